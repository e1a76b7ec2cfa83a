// RFC 7644 and RFC 9865 as HTTP: what docs/conformance.md lists, section by section.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ENTERPRISE, GROUP, PATCH, USER, start } from "./harness.mjs";

const ERROR = "urn:ietf:params:scim:api:messages:2.0:Error";
const LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
const BULK = "urn:ietf:params:scim:api:messages:2.0:Bulk";

const gateway = await start();
after(() => gateway.stop());

let client;
let ann;
before(async () => {
  client = await gateway.account("protocol");
  ann = (await post("/Users", { ...user("ann"), name: { givenName: "Ann" }, emails: [{ value: "ann@x.org", type: "work" }] })).body;
});

const user = (userName, more = {}) => ({ schemas: [USER], userName, ...more });
const post = (path, body, headers) => client.call("POST", path, body, headers);
const patch = (path, ...Operations) => client.call("PATCH", path, { schemas: [PATCH], Operations });
const query = (parameters) => new URLSearchParams(parameters).toString().replaceAll("+", "%20");
const list = async (path, parameters) => (await client.get(`${path}?${query(parameters)}`)).body;
const names = (found) => found.Resources.map((one) => one.userName ?? one.displayName);

function isError(answer, status, scimType) {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.deepEqual(answer.body.schemas, [ERROR]);
  assert.equal(answer.body.status, String(status));
  assert.equal(answer.body.scimType, scimType);
  assert.ok(answer.body.detail.length > 5);
  assert.equal(answer.headers.get("content-type"), "application/scim+json");
}

test("2: a refusal names the scheme; each client has its own permissions", async () => {
  const nobody = await gateway.scim("protocol").get("/Users");
  isError(nobody, 401);
  assert.match(nobody.headers.get("www-authenticate"), /^Bearer /);
  const calls = gateway.admin("protocol");
  await calls.data("POST", "/authz/api/roles", { identifier: "reading", name: "Reading", permissions: ["core_user_view"] });
  await calls.serviceAccount("reader", "reading");
  const reader = gateway.scim("protocol", await calls.mint("reader"));
  assert.equal((await reader.get("/Users")).status, 200);
  isError(await reader.call("POST", "/Users", user("x")), 403);
});

test("3.1: media types, case of names, schemas in every message", async () => {
  for (const accept of ["application/scim+json", "application/json", "*/*"]) {
    const answer = await client.get("/Users", { accept });
    assert.equal(answer.headers.get("content-type"), "application/scim+json");
    assert.deepEqual(answer.body.schemas, [LIST]);
  }
  const made = await post("/Users", { SCHEMAS: [USER], USERNAME: "upper" }, { "content-type": "application/json" });
  assert.equal(made.body.userName, "upper");
  isError(await post("/Users", user("x"), { "content-type": "text/plain" }), 415);
  isError(await post("/Users", "{"), 400, "invalidSyntax");
});

test("3.3: creating: 201 with Location, meta and version; what is read-only is ignored; a conflict is 409", async () => {
  const made = await post("/Users", user("created", { id: "mine", meta: { created: "2000-01-01T00:00:00Z" }, groups: [{ value: "g" }], externalId: "e" }));
  assert.equal(made.status, 201);
  const { id, meta } = made.body;
  assert.notEqual(id, "mine");
  assert.equal(made.headers.get("location"), `${client.base}/Users/${id}`);
  assert.equal(meta.location, made.headers.get("location"));
  assert.equal(meta.version, made.headers.get("etag"));
  assert.equal(meta.resourceType, "User");
  assert.equal(meta.created, meta.lastModified);
  assert.ok(Date.now() - Date.parse(meta.created) < 60_000);
  assert.equal(made.body.groups, undefined);
  isError(await post("/Users", user("CREATED")), 409, "uniqueness");
  const bulkLike = await post("/Users", user("y", { id: "bulkId:1" }));
  assert.ok(!bulkLike.body.id.includes("bulkId"));
});

test("3.4.1: a resource by its id; what is not there is 404", async () => {
  const read = await client.get(`/Users/${ann.id}`);
  assert.equal(read.status, 200);
  assert.equal(read.body.userName, "ann");
  isError(await client.get("/Users/nobody"), 404);
  isError(await client.get(`/Groups/${ann.id}`), 404);
  isError(await client.get("/Nothing"), 404);
});

test("3.4.2: a list without matches is 200 and says so", async () => {
  const none = await client.get(`/Users?${query({ filter: 'userName eq "nobody at all"' })}`);
  assert.equal(none.status, 200);
  assert.deepEqual(none.body, { schemas: [LIST], totalResults: 0, itemsPerPage: 0, startIndex: 1, Resources: [] });
});

test("3.4.2.1: the root finds every type; what a type does not have is no value", async () => {
  await post("/Groups", { schemas: [GROUP], displayName: "Root group" });
  const both = await list("/", { filter: 'userName eq "ann" or displayName eq "root GROUP"' });
  assert.deepEqual(both.Resources.map((one) => one.meta.resourceType), ["User", "Group"]);
  assert.deepEqual(names(await list("/", { filter: 'meta.resourceType eq "Group" and not (userName pr)' })), ["Root group"]);
});

test("3.4.2.2: filters: precedence, any value of a list, one value for a value path, types of values", async () => {
  const emails = [{ value: "a@x.org", type: "home" }, { value: "b@x.org", type: "work" }];
  await post("/Users", user("filtered", { title: "T", active: true, emails, [ENTERPRISE]: { department: "Räte" } }));
  const holds = async (filter) => (await list("/Users", { filter: `userName eq "filtered" and (${filter})` })).totalResults === 1;
  assert.ok(await holds('title eq "none" and title pr or active eq true'));
  assert.ok(await holds('not (title eq "none") and title pr'));
  assert.ok(await holds('emails.value eq "b@x.org" and emails.type eq "home"'));
  assert.ok(!(await holds('emails[value eq "b@x.org" and type eq "home"]')));
  assert.ok(await holds(`${ENTERPRISE}:department EQ "RÄTE"`));
  assert.ok(await holds(`${ENTERPRISE}:department eq "ra\\u0308te"`));
  assert.ok(await holds('meta.created gt "2020-01-01T01:00:00+01:00" and id pr'));
  const refused = async (filter) => client.get(`/Users?${query({ filter })}`);
  for (const filter of ["active gt true", 'userName like "x"', 'userName eq "x" and', '(userName eq "x"', "active eq 1", "unknownOne pr"]) {
    isError(await refused(filter), 400, "invalidFilter");
  }
  assert.match((await refused('userName eq "x" nd title pr')).body.detail, /byte 16/);
});

test("3.4.2.3: sorting: ascending by default, nothing last, the primary value of a list, without regard to case", async () => {
  for (const [name, more] of [["sort-b", { nickName: "b" }], ["sort-a", { nickName: "A" }], ["sort-none", {}]]) await post("/Users", user(name, more));
  const sorted = async (more) => names(await list("/Users", { filter: 'userName sw "sort-"', ...more }));
  assert.deepEqual(await sorted({ sortBy: "nickName" }), ["sort-a", "sort-b", "sort-none"]);
  assert.deepEqual(await sorted({ sortBy: "NICKNAME", sortOrder: "descending" }), ["sort-none", "sort-b", "sort-a"]);
  const emails = (first, second) => [{ value: first }, { value: second, primary: true }];
  await post("/Users", user("prim-1", { emails: emails("a@x.org", "z@x.org") }));
  await post("/Users", user("prim-2", { emails: emails("y@x.org", "b@x.org") }));
  assert.deepEqual(names(await list("/Users", { filter: 'userName sw "prim-"', sortBy: "emails.value" })), ["prim-2", "prim-1"]);
  assert.deepEqual(names(await list("/Users", { filter: 'userName sw "prim-"', sortBy: "emails" })), ["prim-2", "prim-1"]);
});

test("3.4.2.4: pages: 1-based, never more than asked, wrong numbers as the RFC counts them", async () => {
  const all = await list("/Users", { count: 200 });
  const second = await list("/Users", { startIndex: 2, count: 1 });
  assert.deepEqual(second.Resources[0].id, all.Resources[1].id);
  assert.deepEqual([second.totalResults, second.itemsPerPage, second.startIndex], [all.totalResults, 1, 2]);
  assert.deepEqual((await list("/Users", { startIndex: 0, count: 1 })).startIndex, 1);
  assert.deepEqual((await list("/Users", { startIndex: -3, count: 1 })).Resources[0].id, all.Resources[0].id);
  for (const count of [0, -1]) {
    const counted = await list("/Users", { count });
    assert.deepEqual([counted.totalResults, counted.Resources], [all.totalResults, []]);
  }
  isError(await client.get("/Users?count=many"), 400, "invalidValue");
});

test("3.4.2.5 and 3.9: attributes and excludedAttributes, on every verb", async () => {
  const made = await post("/Users?attributes=userName", user("projected", { title: "T", nickName: "N" }));
  assert.deepEqual(Object.keys(made.body).sort(), ["id", "schemas", "userName"]);
  const path = `/Users/${made.body.id}`;
  const keys = async (parameters) => Object.keys((await client.get(`${path}?${parameters}`)).body).sort();
  assert.deepEqual(await keys("attributes=title,nickname"), ["id", "nickName", "schemas", "title"]);
  assert.deepEqual(await keys("excludedAttributes=title,meta,id,schemas"), ["id", "nickName", "schemas", "userName"]);
  isError(await client.get(`${path}?attributes=title&excludedAttributes=meta`), 400, "invalidValue");
  const put = await client.call("PUT", `${path}?attributes=title`, user("projected", { title: "U" }));
  assert.deepEqual(put.body, { schemas: [USER], id: made.body.id, title: "U" });
  const patched = await client.call("PATCH", `${path}?excludedAttributes=meta`, { schemas: [PATCH], Operations: [{ op: "add", path: "title", value: "V" }] });
  assert.deepEqual(patched.body, { schemas: [USER], id: made.body.id, userName: "projected", title: "V" });
});

test("3.4.3: a search by POST, at the root and at a type, is a query", async () => {
  const body = { schemas: [SEARCH], filter: 'userName eq "ann"', attributes: ["userName"], startIndex: 1, count: 10, sortBy: "userName" };
  for (const path of ["/.search", "/Users/.search"]) {
    const found = await post(path, body);
    assert.equal(found.status, 200);
    assert.deepEqual(found.body.Resources, [{ schemas: [USER], id: ann.id, userName: "ann" }]);
  }
  isError(await post("/Users/.search", { schemas: [SEARCH], filter: "x" }), 400, "invalidFilter");
});

test("3.5.1: PUT replaces, ignores what is read-only, keeps what is immutable, and creates nothing", async () => {
  const { body } = await post("/Users", user("put", { title: "T", nickName: "N", active: false }));
  const put = await client.call("PUT", `/Users/${body.id}`, user("put", { title: "U", id: "other", meta: {}, groups: [{ value: "g" }] }));
  assert.equal(put.status, 200);
  assert.deepEqual([put.body.id, put.body.title, put.body.nickName, put.body.groups], [body.id, "U", undefined, undefined]);
  assert.equal(put.body.meta.created, body.meta.created);
  isError(await client.call("PUT", "/Users/nobody", user("nobody")), 404);
  isError(await client.call("PUT", `/Users/${body.id}`, { schemas: [USER], title: "no name" }), 400, "invalidValue");
  isError(await client.call("PUT", `/Users/${body.id}`, user("ann")), 409, "uniqueness");
  isError(await client.call("PUT", "/Users", user("put")), 405);
});

test("3.5.2: PATCH: all or nothing, in order; 200 with a body where attributes are asked for, else 200 or 204", async () => {
  const { body } = await post("/Users", user("patched", { title: "T" }));
  const path = `/Users/${body.id}`;
  const wrong = await patch(path, { op: "replace", path: "title", value: "U" }, { op: "replace", path: "id", value: "x" });
  isError(wrong, 400, "mutability");
  assert.equal((await client.get(path)).body.title, "T");
  const ordered = await patch(path, { op: "add", path: "nickName", value: "a" }, { op: "replace", path: "nickName", value: "b" });
  assert.deepEqual([ordered.status, ordered.body.nickName], [200, "b"]);
  isError(await patch(path, { op: "remove" }), 400, "noTarget");
  isError(await patch(path, { op: "replace", path: "nope", value: 1 }), 400, "invalidPath");
  isError(await patch(path, { op: "move", path: "title", value: 1 }), 400, "invalidSyntax");
  isError(await patch("/Users/nobody", { op: "remove", path: "title" }), 404);
  const group = (await post("/Groups", { schemas: [GROUP], displayName: "Patched" })).body;
  const rename = (more) => client.call("PATCH", `/Groups/${group.id}?${more}`, { schemas: [PATCH], Operations: [{ op: "replace", path: "displayName", value: more || "x" }] });
  assert.equal((await rename("excludedAttributes=members")).status, 204);
  assert.equal((await rename("attributes=")).status, 204);
  const asked = await rename("attributes=displayName");
  assert.deepEqual([asked.status, asked.body.displayName], [200, "attributes=displayName"]);
});

test("3.5.2: one primary value at most", async () => {
  const { body } = await post("/Users", user("primary", { emails: [{ value: "a@x.org", primary: true }] }));
  const added = await patch(`/Users/${body.id}`, { op: "add", path: "emails", value: [{ value: "b@x.org", primary: true }] });
  assert.deepEqual(added.body.emails.map((one) => one.primary), [false, true]);
});

test("3.5.2: PATCHes of one group at the same time all take effect", async () => {
  const { body: group } = await post("/Groups", { schemas: [GROUP], displayName: "Parallel" });
  const ids = await Promise.all([1, 2, 3, 4, 5].map(async (n) => (await post("/Users", user(`parallel-${n}`))).body.id));
  const added = await Promise.all(ids.map((value) => patch(`/Groups/${group.id}`, { op: "Add", path: "members", value: [{ $ref: null, value }] })));
  assert.ok(added.every((one) => one.status === 200));
  const { body } = await client.get(`/Groups/${group.id}`);
  assert.deepEqual(body.members.map((one) => one.value).sort(), ids.sort());
});

test("3.6: deleting: 204, then 404 for every verb, gone from lists and from conflicts", async () => {
  const { body } = await post("/Users", user("deleted"));
  const path = `/Users/${body.id}`;
  const gone = await client.call("DELETE", path);
  assert.deepEqual([gone.status, gone.body], [204, undefined]);
  for (const [method, sent] of [["GET"], ["DELETE"], ["PUT", user("deleted")], ["PATCH", { schemas: [PATCH], Operations: [{ op: "remove", path: "title" }] }]]) {
    isError(await client.call(method, path, sent), 404);
  }
  assert.equal((await list("/Users", { filter: 'userName eq "deleted"' })).totalResults, 0);
  assert.equal((await post("/Users", user("deleted"))).status, 201);
});

test("3.7: bulk: each operation is answered, with its bulkId, location and status; limits are 413", async () => {
  const bulk = (Operations, more) => post("/Bulk", { schemas: [`${BULK}Request`], ...more, Operations });
  const answer = await bulk([
    { method: "POST", path: "/Users", bulkId: "q", data: user("bulk-1") },
    { method: "POST", path: "/Users", bulkId: "r", data: user("BULK-1") },
    { method: "PUT", path: "/Users/bulkId:q", data: user("bulk-1", { title: "T" }) },
    { method: "DELETE", path: "/Users/bulkId:q" },
  ]);
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.body.schemas, [`${BULK}Response`]);
  const [made, twin, put, gone] = answer.body.Operations;
  assert.deepEqual([made.method, made.bulkId, made.status], ["POST", "q", "201"]);
  assert.ok(made.location.startsWith(`${client.base}/Users/`));
  assert.deepEqual([twin.status, twin.bulkId, twin.response.scimType, twin.location], ["409", "r", "uniqueness", undefined]);
  assert.deepEqual([put.status, put.location], ["200", made.location]);
  assert.deepEqual([gone.status, gone.location], ["204", made.location]);
  const stopped = await bulk([{ method: "DELETE", path: "/Users/a" }, { method: "DELETE", path: "/Users/b" }, { method: "DELETE", path: "/Users/c" }], { failOnErrors: 2 });
  assert.equal(stopped.body.Operations.length, 2);
  const { body: { bulk: limits } } = await client.get("/ServiceProviderConfig");
  const many = Array.from({ length: limits.maxOperations + 1 }, () => ({ method: "DELETE", path: "/Users/x" }));
  isError(await bulk(many), 413);
  isError(await post("/Bulk", `{"x":"${"x".repeat(limits.maxPayloadSize)}"}`), 413);
  isError(await bulk([{ method: "POST", path: "/Users", data: user("x") }]), 400, "invalidSyntax");
});

test("3.10: fully qualified names, and extensions only by them", async () => {
  const filter = (text) => client.get(`/Users?${query({ filter: text })}`);
  assert.equal((await filter(`${USER}:userName eq "ann"`)).body.totalResults, 1);
  assert.equal((await filter(`${USER}:name.givenName eq "ann"`)).body.totalResults, 1);
  isError(await filter('department eq "x"'), 400, "invalidFilter");
});

test("3.11: /Me is not offered, and says so", async () => {
  isError(await client.get("/Me"), 501);
  isError(await client.call("PUT", "/Me", user("me")), 501);
});

test("3.12: methods that a path does not have are 405 with Allow; a query that cannot be read is 400", async () => {
  const answer = await client.call("DELETE", "/Users");
  isError(answer, 405);
  assert.match(answer.headers.get("allow"), /GET.*POST/);
  isError(await client.get("/Users?filter=%ff"), 400, "invalidSyntax");
});

test("3.14: versions: If-None-Match is 304 or nothing, If-Match is 412 or nothing, on every verb", async () => {
  const made = await post("/Users", user("versioned"));
  const path = `/Users/${made.body.id}`;
  const etag = made.headers.get("etag");
  assert.match(etag, /^W\/"/);
  const same = await client.get(path, { "if-none-match": etag });
  assert.deepEqual([same.status, same.body, same.headers.get("etag")], [304, undefined, etag]);
  assert.equal((await client.get(path, { "if-none-match": 'W/"0"' })).status, 200);
  const put = await client.call("PUT", path, user("versioned", { title: "T" }), { "if-match": etag });
  assert.equal(put.status, 200);
  assert.notEqual(put.headers.get("etag"), etag);
  for (const [method, body] of [["PUT", user("versioned")], ["PATCH", { schemas: [PATCH], Operations: [{ op: "remove", path: "title" }] }], ["DELETE"]]) {
    isError(await client.call(method, path, body, { "if-match": etag }), 412);
  }
  assert.equal((await client.call("DELETE", path, undefined, { "if-match": "*" })).status, 204);
});

test("4: discovery: each item on its own; parameters are ignored, filters are 403", async () => {
  const config = await client.get("/ServiceProviderConfig?attributes=patch&sortBy=x&count=0");
  assert.deepEqual(config.body.schemas, ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"]);
  for (const name of ["patch", "bulk", "filter", "changePassword", "sort", "etag"]) assert.equal(typeof config.body[name].supported, "boolean", name);
  assert.ok(config.body.authenticationSchemes[0].type);
  for (const path of ["/ResourceTypes", "/Schemas"]) {
    const all = await client.get(`${path}?count=1&startIndex=9&attributes=id`);
    assert.deepEqual([all.body.schemas, all.body.totalResults], [[LIST], all.body.Resources.length]);
    assert.ok(all.body.Resources.length >= 2);
    for (const one of all.body.Resources) {
      const own = await client.get(`${path}/${one.id}`);
      assert.deepEqual(own.body, one);
      assert.equal(own.body.meta.location, `${client.base}${path}/${one.id}`);
    }
    isError(await client.get(`${path}?filter=id%20pr`), 403);
    isError(await client.get(`${path}/nothing`), 404);
  }
  isError(await client.call("POST", "/Schemas", {}), 405);
});

test("5: userNames compare without regard to case, width and normal form", async () => {
  await post("/Users", user("Jürgen＠x.org"));
  isError(await post("/Users", user("ju\u0308rgen@X.ORG")), 409, "uniqueness");
  assert.equal((await list("/Users", { filter: 'userName eq "JÜRGEN@x.org"' })).totalResults, 1);
});

test("7: passwords are never shown, nor found by", async () => {
  const { body } = await post("/Users", user("secret", { password: "hunter2" }));
  assert.equal(body.password, undefined);
  assert.equal((await client.get(`/Users/${body.id}?attributes=password`)).body.password, undefined);
  assert.ok([0, undefined].includes((await list("/Users", { filter: 'password eq "hunter2"' })).totalResults));
});

test("RFC 9865: pages by cursor: first, next, end, and cursors that are not ours", async () => {
  for (let n = 0; n < 5; n += 1) await post("/Users", user(`cursor-${n}`));
  const filter = 'userName sw "cursor-"';
  const first = await list("/Users", { filter, cursor: "", count: 2 });
  assert.deepEqual([first.totalResults, first.itemsPerPage, first.startIndex], [5, 2, undefined]);
  const gone = await list("/Users", { filter: 'userName eq "cursor-1"' });
  await client.call("DELETE", `/Users/${gone.Resources[0].id}`);
  const second = await list("/Users", { filter, cursor: first.nextCursor, count: 2 });
  assert.deepEqual(names(second), ["cursor-2", "cursor-3"]);
  const last = await list("/Users", { filter, cursor: second.nextCursor, count: 2 });
  assert.deepEqual([names(last), last.nextCursor], [["cursor-4"], undefined]);
  isError(await client.get(`/Users?${query({ cursor: first.nextCursor, count: 2 })}`), 400, "invalidCursor");
  isError(await client.get("/Users?cursor=x"), 400, "invalidCursor");
  const searched = await post("/Users/.search", { schemas: [SEARCH], filter, cursor: "", count: 1 });
  assert.ok(searched.body.nextCursor);
});

test("HEAD is GET without a body; OPTIONS says what there is", async () => {
  const head = await client.call("HEAD", `/Users/${ann.id}`);
  assert.deepEqual([head.status, head.body], [200, undefined]);
  assert.equal(head.headers.get("etag"), (await client.get(`/Users/${ann.id}`)).headers.get("etag"));
  assert.equal((await client.call("HEAD", "/Users/nobody")).status, 404);
  const options = await client.call("OPTIONS", "/Users");
  assert.deepEqual([options.status, options.headers.get("allow")], [204, "GET, HEAD, POST, OPTIONS"]);
});
