// Extension schemas: values that are unique, schemas that an origin does not have, attributes that it shows on
// request only.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { clientOf } from "../../js/demo/client.mjs";
import { ENTERPRISE, PATCH, USER, isHit, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const gateway = await start();
after(() => gateway.stop());

/** Registers a schema with an administrator's key. */
const register = ({ base }, schema) => clientOf(base).call("PUT", `/Schemas/${URN}`, schema, { "x-api-key": gateway.rootKey });

const URN = "urn:example:params:scim:schemas:Badge";
const badge = (more = {}) => ({
  schemas: ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
  id: URN,
  name: "Badge",
  attributes: [{ name: "number", type: "string", uniqueness: "server" }, { name: "colour", type: "string", ...more }],
});

test("schemas: of writes with one unique value at the same time, one is done", async () => {
  const client = await gateway.account("unique");
  const registered = await register(client, badge());
  assert.equal(registered.status, 201, JSON.stringify(registered.body));
  const user = (userName, number) => ({ schemas: [USER, URN], userName, [URN]: { number } });
  const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => client.call("POST", "/Users", user(`u${n}`, "N-1"))));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array(9).fill(409)]);
  const refused = answers.find(({ status }) => status === 409);
  assert.equal(refused.body.scimType, "uniqueness");
  assert.match(refused.body.detail, /number/);
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 1);
  const other = await client.call("POST", "/Users", user("other", "n-2"));
  const change = { schemas: [PATCH], Operations: [{ op: "replace", path: `${URN}:number`, value: "n-1" }] };
  assert.equal((await client.call("PATCH", `/Users/${other.body.id}`, change)).status, 409);
});

const known = (schema) => ({
  Schemas: [schema],
  ResourceTypes: [{ id: "User", name: "User", endpoint: "/Users", schema: USER, schemaExtensions: [{ schema: schema.id, required: false }] }],
});

test("schemas: one that the origin does not have is not registered", async (t) => {
  const it = await origin(1, { lacks: [], discovery: known({ id: ENTERPRISE, attributes: [{ name: "department" }] }) });
  const silent = await origin(1, { lacks: [] });
  const knows = await origin(1, { lacks: [], discovery: known({ id: URN, attributes: [{ name: "number" }] }) });
  t.after(() => Promise.all([it.stop(), silent.stop(), knows.stop()]));
  const put = async (name, { base }) => {
    const client = await gateway.account(name, { scim_origin_url: base });
    await until(async () => isHit(await client.get("/Users?count=1")));
    const answer = await register(client, badge());
    return { answer, listed: (await client.get(`/Schemas/${URN}`)).status };
  };
  const refused = await put("lacking", it);
  assert.deepEqual([refused.answer.status, refused.listed], [409, 404]);
  assert.match(refused.answer.body.detail, /origin/);
  // An origin that says nothing of its schemas may have it.
  const unsaid = await put("silent", silent);
  assert.deepEqual([unsaid.answer.status, unsaid.listed], [201, 200]);
  const had = await put("knowing", knows);
  assert.deepEqual([had.answer.status, had.listed], [200, 200]);
});

test("schemas: an attribute that is returned on request is asked of the origin", async (t) => {
  const schema = { id: URN, attributes: [{ name: "number" }, { name: "secret", returned: "request" }] };
  const it = await origin(0, { lacks: ["patch"], discovery: known(schema) });
  t.after(() => it.stop());
  const stored = { schemas: [USER, URN], id: "u", userName: "ann", [URN]: { number: "1", secret: "s" } };
  it.store.Users.set("u", stored);
  // The origin shows it if it is named.
  const list = (part) => ({ totalResults: 1, startIndex: 1, itemsPerPage: 1, Resources: [part] });
  const show = (names) => {
    const { secret, ...rest } = it.store.Users.get("u")[URN] ?? {};
    const meta = { resourceType: "User", version: 'W/"1"' };
    if (names) return { schemas: [USER, URN], id: "u", [URN]: { secret }, meta };
    return { ...it.store.Users.get("u"), [URN]: rest, meta };
  };
  it.behave = ({ method, url }) => {
    if (method !== "GET" || !url.includes("/Users")) return undefined;
    const part = show(/[?&]attributes=/.test(url));
    return { body: /\/Users\/u/.test(url) ? part : list(part) };
  };
  const client = await gateway.account("request", { scim_origin_url: it.base });
  await until(async () => isHit(await client.get("/Users?count=1")));
  const plain = await client.get("/Users/u");
  assert.ok(isHit(plain));
  assert.deepEqual(plain.body[URN], { number: "1" });
  const named = await client.get(`/Users/u?attributes=${URN}:secret`);
  assert.match(named.headers.get("cache-status"), /fwd=bypass/);
  assert.equal(named.body[URN].secret, "s");
  const listed = await client.get(`/Users?attributes=${URN}:secret`);
  assert.equal(listed.body.Resources[0][URN].secret, "s");
  // A PATCH that becomes GET and PUT keeps it.
  const change = { schemas: [PATCH], Operations: [{ op: "replace", path: "title", value: "T" }] };
  const changed = await client.call("PATCH", "/Users/u", change);
  assert.equal(changed.status, 200, JSON.stringify(changed.body));
  assert.deepEqual([it.store.Users.get("u").title, it.store.Users.get("u")[URN].secret], ["T", "s"]);
});
