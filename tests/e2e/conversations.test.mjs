// Conversations with identity providers, replayed: tests/conversations/*.json. A step's expected body
// is a part of the answer: members it names are there and equal, lists are as long, null is for
// what must not be there. {{name}} stands for what an earlier step remembered.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { root } from "../../js/tools.mjs";
import { isHit, start, until } from "./harness.mjs";

const [gateway, origin] = [await start(), await start()];
after(() => Promise.all([gateway.stop(), origin.stop()]));

const folder = join(root, "tests", "conversations");
const conversations = readdirSync(folder).map((file) => ({ name: file.replace(".json", ""), ...JSON.parse(readFileSync(join(folder, file), "utf8")) }));

const at = (body, pointer) => pointer.split("/").slice(1).reduce((value, name) => value?.[name], body);

/** What differs between an answer and what was expected of it. */
function differences(got, expected, path = "") {
  if (expected === null) return got === undefined ? [] : [`${path} is ${JSON.stringify(got)}, and should not be there`];
  if (typeof expected !== "object") return got === expected ? [] : [`${path} is ${JSON.stringify(got)}, not ${JSON.stringify(expected)}`];
  if (Array.isArray(expected) && (!Array.isArray(got) || got.length !== expected.length)) {
    return [`${path} is ${JSON.stringify(got)}, not ${JSON.stringify(expected)}`];
  }
  return Object.entries(expected).flatMap(([name, value]) => differences(got?.[name], value, `${path}/${name}`));
}

/** Says a conversation's part to a server. */
async function replay(client, { steps }) {
  const known = {};
  const filled = (value) => JSON.parse(JSON.stringify(value).replace(/\{\{(\w+)\}\}/g, (_, name) => known[name]));
  for (const step of steps) {
    const { method, path, body, headers } = filled(step.request);
    const expected = filled(step.response);
    const answer = await client.call(method, path, body, headers);
    const wrong = [
      ...differences(answer.status, expected.status, "status"),
      ...differences(answer.body, expected.body ?? {}),
      ...Object.entries(expected.headers ?? {}).flatMap(([name, value]) => differences(answer.headers.get(name), value, name)),
    ];
    assert.deepEqual(wrong, [], `${step.name}: ${method} ${path} ${JSON.stringify(body) ?? ""}\n${JSON.stringify(answer.body)}`);
    for (const [name, pointer] of Object.entries(step.remember ?? {})) known[name] = at(answer.body, pointer);
  }
}

for (const conversation of conversations) {
  const { client, name, steps } = conversation;
  test(`${client}: ${steps.length} steps, the gateway being the system of record`, async () => {
    await replay(await gateway.account(name), conversation);
  });

  test(`${client}: ${steps.length} steps, in front of an origin`, async () => {
    const record = await origin.account(name);
    const key = await origin.admin(name).mint("provisioner");
    const account = await gateway.account(`${name}-copy`, { scim_origin_url: record.base, scim_origin_authorization: `Bearer ${key}` });
    await until(async () => isHit(await account.get("/Users?count=1")));
    await replay(account, conversation);
  });
}
