// Conversations with identity providers, replayed: tests/conversations/*.json. A step's expected body
// is a part of the answer: members it names are there and equal, lists are as long, null is for what
// must not be there, "*" for what must be there whatever it is. {{name}} stands for what an earlier
// step remembered.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { request as http } from "node:http";
import { join } from "node:path";
import { after, test } from "node:test";
import { root } from "../../js/tools.mjs";
import { isHit, start, until } from "./harness.mjs";

const [gateway, origin] = [await start(), await start()];
after(() => Promise.all([gateway.stop(), origin.stop()]));

const folder = join(root, "tests", "conversations");
const conversations = readdirSync(folder).map((file) => ({ name: file.replace(".json", ""), ...JSON.parse(readFileSync(join(folder, file), "utf8")) }));

const at = (body, pointer) => pointer.split("/").slice(1).reduce((value, name) => value?.[name], body);

/** A request whose target goes out as it is written: `fetch` would drop a trailing question mark. */
function say(base, key, { method, path, headers, body }) {
  const { hostname, port, pathname } = new URL(base);
  const sent = { authorization: `Bearer ${key}`, ...(body && { "content-type": "application/scim+json" }), ...headers };
  return new Promise((resolve, reject) => {
    const out = http({ hostname, port, method, path: pathname + path, headers: sent }, async (answer) => {
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

/** Says a conversation's part to a server. */
async function replay(base, key, { steps }) {
  const known = {};
  const filled = (value) => JSON.parse(JSON.stringify(value).replace(/\{\{(\w+)\}\}/g, (_, name) => known[name]));
  for (const step of steps) {
    const asked = filled(step.request);
    const answer = await say(base, key, asked);
    const wrong = faults(answer, filled(step.response));
    assert.deepEqual(wrong, [], `${step.name}: ${JSON.stringify(asked)}\n${wrong.join("\n")}\n${answer.text}`);
    for (const [name, pointer] of Object.entries(step.remember ?? {})) known[name] = at(read(answer.text), pointer);
  }
}

for (const conversation of conversations) {
  const { client, name, steps } = conversation;
  test(`${client}: ${steps.length} steps, the gateway being the system of record`, async () => {
    const account = await gateway.account(name);
    await replay(account.base, await gateway.admin(name).mint("provisioner"), conversation);
  });

  test(`${client}: ${steps.length} steps, in front of an origin`, async () => {
    const record = await origin.account(name);
    const key = await origin.admin(name).mint("provisioner");
    const copy = `${name}-copy`;
    const account = await gateway.account(copy, { scim_origin_url: record.base, scim_origin_authorization: `Bearer ${key}` });
    await until(async () => isHit(await account.get("/Users?count=1")));
    await replay(account.base, await gateway.admin(copy).mint("provisioner"), conversation);
  });
}
