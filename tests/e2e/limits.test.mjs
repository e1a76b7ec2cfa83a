// Limits of requests as docs/limits.md tells them: groups of 20,000 members are written back as they were read; past a
// limit the refusal names it, and others go on being answered.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { root } from "../../js/tools.mjs";
import { GROUP, PATCH, USER, isHit, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

let gateway;
let client;
before(async () => {
  gateway = await start();
  client = await gateway.account("limits");
});
after(() => gateway.stop());

/** Makes users by bulk requests; their ids. */
async function users(scim, count) {
  const ids = [];
  for (let from = 0; from < count; from += 1000) {
    const names = Array.from({ length: Math.min(1000, count - from) }, (_, at) => `user-${from + at}`);
    const Operations = names.map((userName) => ({ method: "POST", path: "/Users", bulkId: userName, data: { schemas: [USER], userName } }));
    const { status, body } = await scim.call("POST", "/Bulk", { schemas: [BULK], Operations });
    assert.equal(status, 200);
    for (const one of body.Operations) {
      assert.equal(one.status, "201", JSON.stringify(one));
      ids.push(one.location.split("/").pop());
    }
  }
  return ids;
}

const named = ({ members }) => members.map(({ value, display }) => `${value} ${display}`).sort();

/** A group of many members is read, and written back by PUT as it was read. */
async function replaced(scim, ids) {
  const members = ids.map((value, at) => ({ value, display: `User number ${at}` }));
  const made = await scim.call("POST", "/Groups", { schemas: [GROUP], displayName: "everybody", members });
  assert.equal(made.status, 201, JSON.stringify(made.body).slice(0, 500));
  const path = `/Groups/${made.body.id}`;
  const read = (await scim.get(path)).body;
  assert.equal(read.members.length, ids.length);
  assert.ok(JSON.stringify(read).length > 1 << 20);
  const put = await scim.call("PUT", path, read);
  assert.equal(put.status, 200, JSON.stringify(put.body).slice(0, 500));
  assert.deepEqual(named((await scim.get(path)).body), named(read));
  return { path, read };
}

/** The same, and by PATCH. */
async function writtenBack(scim, ids) {
  const { path, read } = await replaced(scim, ids);
  const patched = await scim.call("PATCH", path, { schemas: [PATCH], Operations: [{ op: "replace", value: { displayName: "all", members: read.members } }] });
  assert.ok([200, 204].includes(patched.status), JSON.stringify(patched.body).slice(0, 500));
  const after = (await scim.get(path)).body;
  assert.deepEqual([after.displayName, named(after)], ["all", named(read)]);
  return path;
}

let ids;
test("limits: a group of 20,000 members is written back as it was read", async () => {
  ids = await users(client, 20_000);
  await writtenBack(client, ids);
});

/** An origin that takes whole resources only, and shows all of a member as this gateway does; and an account in front. */
async function through(t, name) {
  const shown = (member) => ({ ...member, type: "User", $ref: `https://directory.example.com/ng/api/scim/account/limits/Users/${member.value}` });
  const shows = (one) => ({ ...one, ...(one.members && { members: one.members.map(shown) }) });
  const it = await origin(0, { lacks: ["patch"], shows });
  t.after(it.stop);
  const scim = await gateway.account(name, { scim_origin_url: it.base });
  await until(async () => isHit(await scim.get("/Groups")));
  return { it, scim };
}

test("limits: a group of 20,000 members is written back by PUT through an origin, one of 12,000 also by PATCH", async (t) => {
  const { it, scim } = await through(t, "limits-through");
  const kept = (path) => it.store.Groups.get(path.split("/").pop());
  const { path: large } = await replaced(scim, ids);
  assert.equal(kept(large).members.length, ids.length);
  const path = await writtenBack(scim, ids.slice(0, 12_000));
  assert.deepEqual([kept(path).displayName, kept(path).members.length], ["all", 12_000]);
});

test("limits: a PATCH that comes before the origin's configuration is known is made as GET and PUT all the same", async (t) => {
  const it = await origin(1, { lacks: ["patch"] });
  t.after(it.stop);
  it.behave = ({ url }) => (url.endsWith("/ServiceProviderConfig") ? { status: 404, body: { status: "404" } } : undefined);
  const scim = await gateway.account("limits-early", { scim_origin_url: it.base });
  const { status, body } = await scim.call("PATCH", "/Users/u0", { schemas: [PATCH], Operations: [{ op: "replace", path: "title", value: "T" }] });
  assert.ok([200, 204].includes(status), JSON.stringify(body));
  assert.equal(it.store.Users.get("u0").title, "T");
  assert.deepEqual(it.requests.filter(({ method }) => method !== "GET").map(({ method }) => method), ["PATCH", "PUT"]);
});

test("limits: large writes through an origin are done, or not sent: none is left unknown", async (t) => {
  const { it, scim } = await through(t, "limits-many");
  const members = ids.slice(0, 8_000).map((value) => ({ value, display: "x".repeat(60) }));
  const made = await Promise.all(Array.from({ length: 12 }, (_, at) => scim.call("POST", "/Groups", { schemas: [GROUP], displayName: `many-${at}`, members })));
  const done = made.filter(({ status }) => status === 201);
  assert.ok(done.length > 0);
  for (const { status, headers, body } of made) assert.ok(status === 201 || (status === 503 && headers.get("retry-after")), `${status} ${JSON.stringify(body).slice(0, 300)}`);
  assert.equal(it.store.Groups.size, done.length);
});

test("limits: a body that is too long for its path is 413, and the sentence says how long it may be", async () => {
  const long = (bytes) => ({ schemas: [USER], userName: "long", title: "x".repeat(bytes) });
  for (const [method, path, bytes, limit] of [
    ["POST", "/Users", 1 << 20, /1 MiB/],
    ["POST", "/Bulk", 1 << 20, /1 MiB/],
    ["POST", "/Groups/.search", 1 << 20, /1 MiB/],
    ["POST", "/Groups", 8 << 20, /8 MiB/],
    ["PUT", "/Groups/none", 8 << 20, /8 MiB/],
    ["PATCH", "/Groups/none", 8 << 20, /8 MiB/],
  ]) {
    const { status, body } = await client.call(method, path, long(bytes));
    assert.equal(status, 413, `${method} ${path}`);
    assert.match(body.detail, limit, `${method} ${path}`);
  }
});

test("limits: large groups are written one after another, while others are answered", async () => {
  const members = ids.slice(0, 10_000).map((value) => ({ value, display: "x".repeat(60) }));
  const large = Array.from({ length: 8 }, (_, at) => client.call("POST", "/Groups", { schemas: [GROUP], displayName: `many-${at}`, members }));
  const others = Array.from({ length: 40 }, () => client.get(`/Users/${ids[0]}`));
  for (const { status } of await Promise.all(others)) assert.equal(status, 200);
  for (const { status, headers } of await Promise.all(large)) {
    assert.ok(status === 201 || (status === 503 && headers.get("retry-after")), String(status));
  }
});

test("limits: a PATCH that would copy its value many times is 413, and others are answered at once", async () => {
  const roles = Array.from({ length: 4_000 }, (_, at) => ({ value: `r${at}` }));
  const made = await client.call("POST", "/Users", { schemas: [USER], userName: "many", roles });
  const body = { schemas: [PATCH], Operations: [{ op: "replace", path: "roles[value pr].display", value: "x".repeat(90_000) }] };
  const refused = await client.call("PATCH", `/Users/${made.body.id}`, body);
  assert.equal(refused.status, 413);
  assert.match(refused.body.detail, /16 MiB/);
  assert.equal((await client.get(`/Users/${made.body.id}`)).body.roles[0].display, undefined);
});

test("limits: the document has the numbers of the code", () => {
  const rows = readFileSync(join(root, "docs", "limits.md"), "utf8").matchAll(/^\|.*\| (\S[^|]*) \| `(src\/[\w/.]+)` › `(\w+)`(?: (\w+))? \|/gm);
  let count = 0;
  for (const [row, told, file, name, member] of rows) {
    const source = readFileSync(join(root, file), "utf8");
    const found = source.match(new RegExp(`const ${name}: [^=]+ = ([^;]+);`));
    assert.ok(found, `${file} has no ${name}: ${row}`);
    const text = member ? found[1].match(new RegExp(`${member}: ([^,}]+)`))?.[1] : found[1];
    const [base, shift] = text.trim().replaceAll("_", "").split("<<").map(Number);
    const value = shift === undefined ? base : base * 2 ** shift;
    const [, digits, unit] = told.replaceAll(",", "").match(/^(\d+)(?: (KiB|MiB|s|days))?/) ?? [];
    const scale = { KiB: 1024, MiB: 1024 ** 2 }[unit] ?? 1;
    assert.equal(Number(digits) * scale, value, row);
    count += 1;
  }
  assert.ok(count >= 30, `${count} limits`);
});
