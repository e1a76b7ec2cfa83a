// What the gateway adds to an origin that says it lacks it, and what it does not pretend to know.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { GROUP, PATCH, USER, isHit, sleep, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const gateway = await start();
after(() => gateway.stop());

let accounts = 0;

/** An account in front of an origin, filled unless it is not to be. */
async function behind(t, it, settings = {}, { filled = true } = {}) {
  t.after(() => it.stop());
  accounts += 1;
  const client = await gateway.account(`sup${accounts}`, { scim_origin_url: it.base, ...settings });
  if (filled) await until(async () => isHit(await client.get("/ResourceTypes")) && isHit(await client.get("/Groups?count=1")));
  return client;
}

const patch = (...operations) => ({ schemas: [PATCH], Operations: operations });
const methods = (it) => it.requests.map((one) => one.method);

test("a PATCH becomes GET and PUT where the origin has no PATCH", async (t) => {
  const it = await origin(3, { lacks: ["patch"] });
  const client = await behind(t, it);
  it.store.Users.get("u0").nickName = "changed behind the gateway";
  it.changed("u0");
  it.requests.length = 0;
  const answer = await client.call("PATCH", "/Users/u0", patch({ op: "Replace", path: "title", value: "Boss" }));
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.deepEqual(methods(it), ["GET", "PUT"]);
  assert.equal(it.requests[1].headers["if-match"], 'W/"2"');
  assert.equal(JSON.parse(it.requests[1].body).meta, undefined);
  assert.deepEqual(
    (({ title, nickName }) => ({ title, nickName }))(it.store.Users.get("u0")),
    { title: "Boss", nickName: "changed behind the gateway" },
  );
  const read = await client.get("/Users/u0");
  assert.ok(isHit(read));
  assert.equal(read.body.title, "Boss");
});

test("a PATCH that lost a race is made anew; with If-Match it is refused", async (t) => {
  const it = await origin(3, { lacks: ["patch"] });
  const client = await behind(t, it);
  let others = 2;
  it.behave = ({ method }) => {
    if (method === "PUT" && others > 0) {
      others -= 1;
      it.store.Users.get("u0").nickName = `other${others}`;
      it.changed("u0");
    }
  };
  const raced = await client.call("PATCH", "/Users/u0", patch({ op: "add", path: "title", value: "Boss" }));
  assert.equal(raced.status, 200);
  assert.equal(it.store.Users.get("u0").nickName, "other0");
  const version = (await client.get("/Users/u0")).headers.get("etag");
  it.changed("u0");
  it.requests.length = 0;
  const refused = await client.call("PATCH", "/Users/u0", patch({ op: "add", path: "title", value: "x" }), { "if-match": version });
  assert.equal(refused.status, 412);
  assert.deepEqual(methods(it), ["GET"]);
});

test("a PATCH that is wrong, or changes nothing, writes nothing", async (t) => {
  const it = await origin(3, { lacks: ["patch", "etag"] });
  const client = await behind(t, it);
  it.requests.length = 0;
  const wrong = await client.call("PATCH", "/Users/u0", patch({ op: "replace", path: "active", value: "maybe" }));
  assert.equal(wrong.status, 400);
  assert.equal(wrong.body.scimType, "invalidValue");
  const same = await client.call("PATCH", "/Users/u0", patch({ op: "replace", path: "active", value: "True" }));
  assert.equal(same.status, 200);
  const nobody = await client.call("PATCH", "/Users/nobody", patch({ op: "replace", path: "active", value: true }));
  assert.equal(nobody.status, 404);
  assert.ok(methods(it).every((method) => method === "GET"), methods(it).join());
  // The outcome is known: reads do not ask the origin.
  it.requests.length = 0;
  assert.ok(isHit(await client.get("/Users/u0")));
  assert.deepEqual(methods(it), []);
});

test("turned off, a PATCH goes to the origin as it is, and is not announced", async (t) => {
  const it = await origin(3, { lacks: ["patch", "sort", "filter"] });
  const client = await behind(t, it, { scim_origin_supplements: "etag, projection" });
  it.requests.length = 0;
  assert.equal((await client.call("PATCH", "/Users/u0", patch({ op: "add", path: "title", value: "x" }))).status, 501);
  assert.equal(it.requests[0].method, "PATCH");
  const { body } = await client.get("/ServiceProviderConfig");
  assert.deepEqual(
    ["patch", "bulk", "filter", "sort", "etag"].map((name) => body[name].supported),
    [false, false, false, false, true],
  );
  assert.equal(body.pagination.cursor, false);
  assert.equal((await client.call("POST", "/Bulk", { Operations: [] })).status, 501);
  it.requests.length = 0;
  const filtered = await client.get('/Users?filter=userName eq "user1@example.com"');
  assert.match(filtered.headers.get("cache-status"), /fwd=bypass/);
  assert.equal(it.requests.length, 1);
});

test("filters, sorting and cursors come from the copy, and before it is complete from nowhere", async (t) => {
  const it = await origin(120, { lacks: ["filter", "sort"] });
  let hold = true;
  it.behave = async ({ url }) => {
    while (hold && url.includes("startIndex=100")) await sleep(50);
  };
  const client = await behind(t, it, {}, { filled: false });
  await client.get("/Users?count=1");
  await until(() => it.requests.some(({ url }) => url.includes("startIndex=100")));
  const early = await client.get('/Users?filter=userName eq "nobody"');
  assert.equal(early.status, 503);
  assert.ok(Number(early.headers.get("retry-after")) > 0);
  assert.equal((await client.get("/Users?cursor=&count=10")).status, 503);
  assert.equal((await client.get("/Users?count=10")).status, 200);
  hold = false;
  await until(async () => isHit(await client.get("/Users?count=1")));
  assert.equal((await client.get('/Users?filter=userName eq "USER7@example.com"')).body.totalResults, 1);
  const sorted = await client.get("/Users?sortBy=userName&sortOrder=descending&count=1&attributes=userName");
  assert.equal(sorted.body.Resources[0].userName, "user9@example.com");
  const first = await client.get("/Users?cursor=&count=100");
  const second = await client.get(`/Users?cursor=${first.body.nextCursor}&count=100`);
  assert.equal(second.body.Resources.length, 20);
});

test("without versions at the origin, If-Match and If-None-Match are answered here", async (t) => {
  const it = await origin(3, { lacks: ["etag"] });
  const client = await behind(t, it);
  const before = (await client.get("/Users/u0")).headers.get("etag");
  assert.equal((await client.get("/Users/u0", { "if-none-match": before })).status, 304);
  const put = (title, tag) => client.call("PUT", "/Users/u0", { schemas: [USER], userName: "user0@example.com", title }, { "if-match": tag });
  assert.equal((await put("a", before)).status, 200);
  assert.equal((await put("b", before)).status, 412);
  assert.equal(it.store.Users.get("u0").title, "a");
});

test("the origin's own extensions filter, sort and validate like built-in ones", async (t) => {
  const urn = "urn:example:params:scim:schemas:Badge";
  const schema = { id: urn, name: "Badge", attributes: [{ name: "number", type: "integer" }, { name: "colour", type: "string", caseExact: true }] };
  const type = { id: "User", name: "User", endpoint: "/Users", schema: USER, schemaExtensions: [{ schema: urn, required: false }] };
  const it = await origin(3, { lacks: ["patch"], discovery: { Schemas: [schema], ResourceTypes: [type] } });
  it.store.Users.get("u1")[urn] = { number: 12, colour: "Red" };
  it.store.Users.get("u2")[urn] = { number: 9, colour: "red" };
  const client = await behind(t, it);
  const ids = async (query) => (await client.get(`/Users?${query}`)).body.Resources.map((one) => one.id);
  assert.deepEqual(await ids(`filter=${urn}:number gt 10`), ["u1"]);
  assert.deepEqual(await ids(`filter=${urn}:colour eq "red"`), ["u2"]);
  assert.deepEqual((await ids(`sortBy=${urn}:number`)).slice(0, 2), ["u2", "u1"]);
  const wrong = await client.call("PATCH", "/Users/u1", patch({ op: "replace", path: `${urn}:number`, value: "many" }));
  assert.equal(wrong.body.scimType, "invalidValue");
  assert.equal((await client.get(`/Schemas/${urn}`)).body.attributes.length, 2);
  const types = await client.get("/ResourceTypes/User");
  assert.ok(types.body.schemaExtensions.some((one) => one.schema === urn));
});

test("an origin that leaves members out of lists is read group by group", async (t) => {
  const without = ({ members, ...rest }) => (members, rest);
  const it = await origin(3, { lists: without });
  it.store.Groups.set("g", { schemas: [GROUP], id: "g", displayName: "G", members: [{ value: "u0" }, { value: "u2" }] });
  const client = await behind(t, it);
  const read = await client.get("/Groups/g");
  assert.ok(isHit(read));
  assert.deepEqual(read.body.members.map((one) => one.value), ["u0", "u2"]);
  assert.equal((await client.get("/Users/u2")).body.groups[0].value, "g");
});

test("what the origin's reads hide is asked of the origin", async (t) => {
  const without = (shown) => (shown.meta.resourceType === "Group" ? { ...shown, members: undefined } : shown);
  const it = await origin(3, { shows: without });
  const client = await behind(t, it);
  assert.ok(isHit(await client.get("/Groups")));
  const made = await client.call("POST", "/Groups", { schemas: [GROUP], displayName: "G", members: [{ value: "u0" }] });
  assert.equal(made.status, 201);
  const bypassed = async (path) => /fwd=bypass/.test((await client.get(path)).headers.get("cache-status"));
  assert.ok(await bypassed("/Groups"));
  assert.ok(await bypassed(`/Groups?filter=members eq "u0"&excludedAttributes=members`));
  assert.ok(!(await bypassed("/Groups?excludedAttributes=members")));
  assert.ok(!(await bypassed("/Users/u0")));
  const told = await behind(t, await origin(3), { scim_origin_hidden_attributes: "groups" });
  assert.match((await told.get("/Users/u0")).headers.get("cache-status"), /fwd=bypass/);
  assert.ok(isHit(await told.get("/Users/u0?attributes=userName")));
});

test("an origin that pages by cursor only is copied whole", async (t) => {
  const it = await origin(250, { lacks: [], byCursor: true });
  const client = await behind(t, it);
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 250);
  assert.ok(it.requests.every(({ url }) => !url.includes("startIndex")));
});

test("an origin that shows only a part of what it has is never taken for the whole", async (t) => {
  const it = await origin(250);
  it.behave = ({ url }) => {
    const { pathname, searchParams } = new URL(url, it.url);
    if (!pathname.endsWith("/Users") || !searchParams.has("startIndex")) return undefined;
    const [start, count] = ["startIndex", "count"].map((name) => Number(searchParams.get(name)));
    const Resources = [...it.store.Users.values()].slice(0, 100).slice(start - 1, start - 1 + count);
    return { body: { totalResults: 250, startIndex: start, Resources } };
  };
  const client = await behind(t, it, {}, { filled: false });
  await client.get("/Users?count=1");
  // It is read again, and not believed either.
  await until(() => it.requests.filter(({ url }) => url.includes("/Users?startIndex=1&count=100")).length > 1, 30);
  assert.match((await client.get("/Users?count=1")).headers.get("cache-status"), /fwd=miss/);
});

test("a PATCH is answered without the resource where that is asked for", async () => {
  const client = await gateway.account("empty", { scim_patch_answer: "empty" });
  const { body } = await client.call("POST", "/Users", { schemas: [USER], userName: "ann" });
  const answer = await client.call("PATCH", `/Users/${body.id}`, patch({ op: "add", path: "title", value: "x" }));
  assert.equal(answer.status, 204);
  assert.equal(answer.body, undefined);
  const read = await client.get(`/Users/${body.id}`);
  assert.equal(read.headers.get("etag"), answer.headers.get("etag"));
});
