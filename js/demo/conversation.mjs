// Conversations with identity providers: tests/conversations/*.json. A step's expected body is a part of
// the answer: members it names are there and equal, lists are as long, null is for what must not be
// there, "*" for what must be there whatever it is. {{name}} stands for what an earlier step remembered.

import { readFileSync, readdirSync } from "node:fs";
import { request as http } from "node:http";
import { request as https } from "node:https";
import { join } from "node:path";
import { root } from "../tools.mjs";

const folder = join(root, "tests", "conversations");

/** All of them. */
export const conversations = () => readdirSync(folder).map((file) => conversation(file.replace(".json", "")));

/** The one of that name. */
export const conversation = (name) => ({ name, ...JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")) });

const at = (body, pointer) => pointer.split("/").slice(1).reduce((value, name) => value?.[name], body);

/** A request whose target goes out as it is written: `fetch` would drop a trailing question mark. */
function say(base, key, { method, path, headers, body }) {
  const { protocol, hostname, port, pathname } = new URL(base);
  const request = protocol === "https:" ? https : http;
  const sent = { authorization: `Bearer ${key}`, ...(body && { "content-type": "application/scim+json" }), ...headers };
  return new Promise((resolve, reject) => {
    const out = request({ hostname, port, method, path: pathname + path, headers: sent }, async (answer) => {
      let text = "";
      for await (const chunk of answer.setEncoding("utf8")) text += chunk;
      resolve({ status: answer.statusCode, headers: answer.headers, text });
    });
    out.on("error", reject).end(body && JSON.stringify(body));
  });
}

/** What an answer's text says, where it is JSON. */
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What differs between an answer and what was expected of it. */
function differences(got, expected, path = "") {
  if (expected === null) return got === undefined ? [] : [`${path} is ${JSON.stringify(got)}, and should not be there`];
  if (expected === "*") return got ? [] : [`${path} is ${JSON.stringify(got)}, and should say something`];
  if (typeof expected !== "object") return got === expected ? [] : [`${path} is ${JSON.stringify(got)}, not ${JSON.stringify(expected)}`];
  if (Array.isArray(expected) && (!Array.isArray(got) || got.length !== expected.length)) {
    return [`${path} is ${JSON.stringify(got)}, not ${JSON.stringify(expected)}`];
  }
  return Object.entries(expected).flatMap(([name, value]) => differences(got?.[name], value, `${path}/${name}`));
}

/** Where a value has nulls. */
function nulls(value, path = "") {
  if (value === null) return [`${path} is null`];
  if (typeof value !== "object") return [];
  return Object.entries(value).flatMap(([name, part]) => nulls(part, `${path}/${name}`));
}

/** All that is wrong with an answer. */
function faults({ status, headers, text }, expected) {
  const body = read(text);
  return [
    ...differences(status, expected.status, "status"),
    ...differences(body, expected.body ?? {}),
    ...differences(headers, expected.headers ?? {}),
    ...(expected.noNulls ? nulls(body) : []),
    // RFC 9110 §15.3.5: a client that reads on would take a body for the next answer.
    ...(expected.status === 204 && text !== "" ? [`204 with a body: ${text}`] : []),
  ];
}

/** Says a conversation's part to a server, step by step; `told` hears of each that was answered as expected. */
export async function replay(base, key, { steps }, told = () => {}) {
  const known = {};
  const filled = (value) => JSON.parse(JSON.stringify(value).replace(/\{\{(\w+)\}\}/g, (_, name) => known[name]));
  for (const step of steps) {
    const asked = filled(step.request);
    const answer = await say(base, key, asked);
    const wrong = faults(answer, filled(step.response));
    if (wrong.length > 0) throw new Error(`${step.name}: ${JSON.stringify(asked)}\n${wrong.join("\n")}\n${answer.text}`);
    for (const [name, pointer] of Object.entries(step.remember ?? {})) known[name] = at(read(answer.text), pointer);
    told(step, answer);
  }
}
