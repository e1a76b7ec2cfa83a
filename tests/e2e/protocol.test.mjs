// RFC 7644 and RFC 9865 as HTTP: what docs/conformance.md lists, section by section.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ENTERPRISE, GROUP, PATCH, USER, sleep, start } from "./harness.mjs";

const ERROR = "urn:ietf:params:scim:api:messages:2.0:Error";
const LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
const BULK = "urn:ietf:params:scim:api:messages:2.0:Bulk";

const gateway = await start();
after(() => gateway.stop());

let client;
let key;
let ann;
before(async () => {
  client = await gateway.account("protocol");
  key = await gateway.admin("protocol").mint("provisioner");
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
  assert.equal(meta.location, made.headers.get("content-location"));
  assert.equal((await client.get(`/Users/${id}`)).headers.get("content-location"), meta.location);
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

test("3.1: the schemas of messages are no schemas of resources", async () => {
  const { body } = await client.get("/Schemas");
  assert.deepEqual(body.Resources.filter((one) => one.id.startsWith("urn:ietf:params:scim:api:")), []);
  for (const message of [LIST, SEARCH, ERROR, PATCH, `${BULK}Request`, `${BULK}Response`]) {
    assert.ok(message.startsWith("urn:ietf:params:scim:api:"));
    isError(await client.get(`/Schemas/${message}`), 404);
  }
});

test("3.1: an answer shows the resource as it is kept, not as it was sent", async () => {
  const made = await post("/Users", user("kept", { active: "False", emails: [{ value: "k@x.org" }, { value: "k@x.org" }], nothing: 1 }));
  assert.equal(made.body.active, false);
  assert.deepEqual([made.body.emails, made.body.nothing], [[{ value: "k@x.org" }], undefined]);
  const path = `/Users/${made.body.id}`;
  assert.deepEqual((await client.get(path)).body, made.body);
  const put = await client.call("PUT", path, user("kept", { active: "TRUE" }));
  assert.equal(put.body.active, true);
  assert.deepEqual((await client.get(path)).body, put.body);
  const patched = await patch(path, { op: "replace", path: "active", value: "False" });
  assert.equal(patched.body.active, false);
  assert.deepEqual((await client.get(path)).body, patched.body);
});

test("3.3.1: the endpoint decides the type, whatever the body says", async () => {
  const one = await post("/Users", user("typed", { meta: { resourceType: "Group" } }));
  const all = await post("/Groups", { schemas: [GROUP], displayName: "Typed", meta: { resourceType: "User" } });
  assert.deepEqual([one.body.meta.resourceType, all.body.meta.resourceType], ["User", "Group"]);
});

test("3.4.2: a part of a list says where it begins and how long it is; only matches are in it", async () => {
  for (const n of [1, 2, 3]) await post("/Users", user(`part-${n}`));
  const part = await list("/Users", { filter: 'userName sw "part-"', count: 2 });
  assert.deepEqual([part.totalResults, part.startIndex, part.itemsPerPage], [3, 1, 2]);
  assert.deepEqual(names(part), ["part-1", "part-2"]);
});

test("3.4.2.2: order comparisons of booleans and binary values are refused, by each operator", async () => {
  for (const operator of ["gt", "ge", "lt", "le"]) {
    for (const [attribute, value] of [["active", "true"], ["x509Certificates.value", '"MIID"'], ["emails.primary", "false"]]) {
      isError(await client.get(`/Users?${query({ filter: `${attribute} ${operator} ${value}` })}`), 400, "invalidFilter");
      isError(await post("/Users/.search", { schemas: [SEARCH], filter: `${attribute} ${operator} ${value}` }), 400, "invalidFilter");
    }
  }
});

test("3.4.2.2: an operator that is not known is named", async () => {
  const refused = await client.get(`/Users?${query({ filter: 'userName regex "a.*"' })}`);
  isError(refused, 400, "invalidFilter");
  assert.match(refused.body.detail, /regex/);
});

test("3.4.2.2: what was answered for an attribute that was not sent is what filters see", async () => {
  const { body } = await post("/Users", user("defaulted"));
  const holds = async (filter) => (await list("/Users", { filter: `userName eq "defaulted" and (${filter})` })).totalResults === 1;
  for (const name of ["active", "title", "externalId"]) assert.equal(await holds(`${name} pr`), body[name] !== undefined, name);
  if (body.active !== undefined) assert.ok(await holds(`active eq ${body.active}`));
});

test("3.4.2.3: strings that are case-exact sort by case", async () => {
  for (const externalId of ["b", "C", "a", "B"]) await post("/Users", user(`exact-${externalId}-${externalId.charCodeAt(0)}`, { externalId }));
  const sorted = await list("/Users", { filter: 'userName sw "exact-"', sortBy: "externalId" });
  assert.deepEqual(sorted.Resources.map((one) => one.externalId), ["B", "C", "a", "b"]);
});

test("3.4.3: a SearchRequest sorts, and excludes nothing that is always returned", async () => {
  for (const n of [1, 2]) await post("/Users", user(`searched-${n}`, { title: "T" }));
  const body = { schemas: [SEARCH], filter: 'userName sw "searched-"', sortBy: "userName", sortOrder: "descending" };
  assert.deepEqual(names((await post("/Users/.search", body)).body), ["searched-2", "searched-1"]);
  const found = await post("/Users/.search", { ...body, excludedAttributes: ["id", "title", "meta"] });
  assert.deepEqual(found.body.schemas, [LIST]);
  for (const one of found.body.Resources) assert.deepEqual(Object.keys(one).sort(), ["id", "schemas", "userName"]);
});

test("3.5.2: schemas follow the attributes, within one request too", async () => {
  const { body } = await post("/Users", user("extended"));
  const path = `/Users/${body.id}`;
  const added = await patch(path, { op: "add", path: `${ENTERPRISE}:employeeNumber`, value: "7" }, { op: "replace", path: `${ENTERPRISE}:employeeNumber`, value: "8" });
  assert.deepEqual(added.body.schemas.toSorted(), [USER, ENTERPRISE].toSorted());
  assert.deepEqual(added.body[ENTERPRISE], { employeeNumber: "8" });
  const removed = await patch(path, { op: "remove", path: `${ENTERPRISE}:employeeNumber` });
  assert.deepEqual([removed.body.schemas, removed.body[ENTERPRISE]], [[USER], undefined]);
});

test("3.5.2: a failed request leaves everything as it was, times and versions too", async () => {
  const { body } = await post("/Users", user("restored", { emails: [{ value: "r@x.org", primary: true }] }));
  const path = `/Users/${body.id}`;
  const wrong = await patch(path, { op: "add", path: "emails", value: [{ value: "s@x.org", primary: true }] }, { op: "remove", path: "userName" });
  isError(wrong, 400, "mutability");
  assert.deepEqual((await client.get(path)).body, body);
});

test("3.5.2.1: adding what is there does not touch lastModified", async () => {
  const { body } = await post("/Users", user("untouched", { title: "T", emails: [{ value: "u@x.org", type: "work" }] }));
  await sleep(20);
  const path = `/Users/${body.id}`;
  const same = await patch(path, { op: "add", path: "title", value: "T" }, { op: "add", path: "emails", value: [{ value: "u@x.org", type: "work" }] });
  assert.equal(same.status, 200);
  assert.deepEqual(same.body.meta, body.meta);
  const changed = await patch(path, { op: "add", path: "title", value: "U" });
  assert.ok(Date.parse(changed.body.meta.lastModified) > Date.parse(body.meta.lastModified));
});

test("3.5.2.2: what was removed is unassigned", async () => {
  const { body } = await post("/Users", user("unassigned", { title: "T", emails: [{ value: "w@x.org", type: "work", display: "D" }], roles: [{ value: "r" }] }));
  const path = `/Users/${body.id}`;
  const removed = await patch(path, { op: "remove", path: "title" }, { op: "remove", path: 'emails[type eq "work"].display' }, { op: "remove", path: 'roles[value eq "r"]' });
  assert.deepEqual([removed.body.title, removed.body.emails, removed.body.roles], [undefined, [{ value: "w@x.org", type: "work" }], undefined]);
  const holds = async (filter) => (await list("/Users", { filter: `userName eq "unassigned" and (${filter})` })).totalResults === 1;
  assert.ok(!(await holds("title pr or emails.display pr or roles pr")));
  const emptied = await patch(path, { op: "remove", path: "emails" });
  assert.equal(emptied.body.emails, undefined);
  assert.ok(await holds("not (emails pr)"));
});

test("3.5.2: read strictly, a request names PatchOp, and a value path that selects nothing is noTarget", async () => {
  const strict = await gateway.account("strict", { scim_dialect: "strict" });
  const { body } = await strict.call("POST", "/Users", user("strict", { emails: [{ value: "h@x.org", type: "home" }] }));
  const replace = (path) => strict.call("PATCH", `/Users/${body.id}`, { schemas: [PATCH], Operations: [{ op: "replace", path, value: "w@x.org" }] });
  isError(await strict.call("PATCH", `/Users/${body.id}`, { Operations: [{ op: "add", path: "title", value: "T" }] }), 400, "invalidSyntax");
  isError(await replace('emails[type eq "work"].value'), 400, "noTarget");
  assert.equal((await replace('emails[type eq "home"].value')).body.emails[0].value, "w@x.org");
});

test("3.7: bulk: goes on after failures, in the order sent", async () => {
  const bulk = async (...Operations) => (await post("/Bulk", { schemas: [`${BULK}Request`], Operations })).body.Operations;
  const [made] = await bulk({ method: "POST", path: "/Users", bulkId: "a", data: user("ordered") });
  const path = made.location.slice(client.base.length);
  const answers = await bulk(
    { method: "PUT", path, data: user("ordered", { title: "first" }) },
    { method: "PATCH", path: "/Users/nobody", data: { schemas: [PATCH], Operations: [{ op: "remove", path: "title" }] } },
    { method: "PUT", path: "/Users/nobody", data: user("nobody") },
    { method: "POST", path: "/Users", bulkId: "b", data: user("ordered") },
    { method: "PUT", path, data: user("ordered", { title: "last" }) },
    { method: "DELETE", path: "/Users/nobody" },
  );
  assert.deepEqual(answers.map((one) => one.status), ["200", "404", "404", "409", "200", "404"]);
  assert.equal((await client.get(path)).body.title, "last");
  const again = await bulk({ method: "DELETE", path }, { method: "POST", path: "/Users", bulkId: "c", data: user("ordered") });
  assert.deepEqual(again.map((one) => [one.status, one.bulkId]), [["204", undefined], ["201", "c"]]);
});

test("3.7.3: bulk: a failure has its error, and its location unless it is a POST", async () => {
  const Operations = [
    { method: "DELETE", path: "/Users/nobody" },
    { method: "PUT", path: "/Users/nobody", data: user("nobody") },
    { method: "PATCH", path: "/Groups/nobody", data: { schemas: [PATCH], Operations: [{ op: "remove", path: "members" }] } },
    { method: "POST", path: "/Users", bulkId: "p", data: { schemas: [USER] } },
  ];
  const { status, body } = await post("/Bulk", { schemas: [`${BULK}Request`], Operations });
  assert.equal(status, 200);
  assert.deepEqual(body.Operations.map((one) => one.location), [`${client.base}/Users/nobody`, `${client.base}/Users/nobody`, `${client.base}/Groups/nobody`, undefined]);
  for (const one of body.Operations) {
    assert.deepEqual(one.response.schemas, [ERROR]);
    assert.equal(one.response.status, one.status);
    assert.ok(one.response.detail.length > 5);
  }
});

test("3.7: bulk: a request that is none is an error itself", async () => {
  const bulk = (body) => post("/Bulk", { schemas: [`${BULK}Request`], ...body });
  isError(await bulk({}), 400, "invalidSyntax");
  isError(await bulk({ Operations: {} }), 400, "invalidSyntax");
  const data = user("x");
  for (const one of [{ path: "/Users", bulkId: "x", data }, { method: "GET", path: "/Users" }, { method: "POST", bulkId: "x", data }, { method: "POST", path: "/Users", bulkId: "x" }]) {
    const answer = await bulk({ Operations: [one] });
    const status = answer.status === 200 ? Number(answer.body.Operations[0].status) : answer.status;
    assert.ok(status >= 400 && status < 500, JSON.stringify([one, answer.body]));
  }
});

test("3.7.2: bulk: references of extensions are resolved like others", async () => {
  const Operations = [
    { method: "POST", path: "/Users", bulkId: "report", data: { ...user("bulk-report"), schemas: [USER, ENTERPRISE], [ENTERPRISE]: { manager: { value: "bulkId:boss" } } } },
    { method: "POST", path: "/Users", bulkId: "boss", data: user("bulk-boss") },
  ];
  const { body } = await post("/Bulk", { schemas: [`${BULK}Request`], Operations });
  const [report, boss] = body.Operations;
  assert.deepEqual([report.status, boss.status], ["201", "201"]);
  const read = await client.get(report.location.slice(client.base.length));
  assert.equal(read.body[ENTERPRISE].manager.value, boss.location.split("/").at(-1));
  assert.ok(!JSON.stringify(read.body).includes("bulkId"));
});

test("3.7.4: bulk: a refusal names the limit", async () => {
  const { body: { bulk: limits } } = await client.get("/ServiceProviderConfig");
  assert.ok(limits.maxOperations > 0 && limits.maxPayloadSize > 0);
  const Operations = Array.from({ length: limits.maxOperations + 1 }, () => ({ method: "DELETE", path: "/Users/x" }));
  const many = await post("/Bulk", { schemas: [`${BULK}Request`], Operations });
  isError(many, 413);
  assert.ok(many.body.detail.includes(String(limits.maxOperations)), many.body.detail);
  const large = await post("/Bulk", `{"x":"${"x".repeat(limits.maxPayloadSize)}"}`);
  isError(large, 413);
  assert.ok(large.body.detail.includes(`${limits.maxPayloadSize / 2 ** 20} MiB`), large.body.detail);
});

test("3.8: UTF-8 in and out, said or not", async () => {
  const title = "Größe 漢字 😀";
  for (const type of ["application/scim+json", "application/scim+json; charset=utf-8", "application/json;charset=UTF-8"]) {
    const response = await fetch(`${client.base}/Users?attributes=title`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": type, accept: "application/scim+json" },
      body: new TextEncoder().encode(JSON.stringify(user(`utf8-${type}`, { title }))),
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    assert.equal(response.status, 201);
    assert.equal(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)).title, title);
  }
});

test("3.12: errors of every status are SCIM's, with the status as a string", async () => {
  const path = `/Users/${ann.id}`;
  isError(await client.get("/Users?filter=x"), 400, "invalidFilter");
  isError(await gateway.scim("protocol").get("/Users"), 401);
  isError(await client.get("/Schemas?filter=id%20pr"), 403);
  isError(await client.get("/Users/nobody"), 404);
  isError(await client.call("PATCH", "/Users", {}), 405);
  isError(await post("/Users", user("ann")), 409, "uniqueness");
  isError(await client.call("PUT", path, user("ann"), { "if-match": 'W/"0"' }), 412);
  isError(await post("/Users", `{"userName":"${"a".repeat(1 << 20)}"}`), 413);
  isError(await post("/Users", "x", { "content-type": "text/plain" }), 415);
  isError(await client.get("/Me"), 501);
});

test("3.13: another version of the protocol is refused, not guessed", async () => {
  for (const version of ["v1", "v3"]) isError(await client.get(`/${version}/Users`), 404);
  const second = await client.get("/v2/Users");
  assert.ok(second.status === 200 || second.status === 404, String(second.status));
});

test("3.14: the version is the ETag of every answer, and weak", async () => {
  const made = await post("/Users", user("tagged"));
  const path = `/Users/${made.body.id}`;
  const read = await client.get(path);
  const put = await client.call("PUT", path, user("tagged", { title: "T" }));
  const patched = await patch(path, { op: "replace", path: "title", value: "U" });
  for (const one of [made, read, put, patched]) {
    assert.match(one.headers.get("etag"), /^W\/"[^"]+"$/);
    assert.equal(one.body.meta.version, one.headers.get("etag"));
  }
  const listed = await list("/Users", { filter: 'userName eq "tagged"' });
  assert.equal(listed.Resources[0].meta.version, patched.headers.get("etag"));
});

test("4: discovery: what is required of configuration, types and schemas is there", async () => {
  const { body: config } = await client.get("/ServiceProviderConfig");
  for (const name of ["patch", "bulk", "filter", "changePassword", "sort", "etag"]) assert.equal(typeof config[name].supported, "boolean", name);
  for (const number of [config.bulk.maxOperations, config.bulk.maxPayloadSize, config.filter.maxResults]) assert.ok(Number.isInteger(number));
  for (const scheme of config.authenticationSchemes) assert.ok(scheme.type && scheme.name && scheme.description);
  const { Resources: schemas } = (await client.get("/Schemas")).body;
  const ids = schemas.map((one) => one.id);
  const check = (attribute, within) => {
    assert.ok(attribute.name && attribute.description, `${within}.${attribute.name}`);
    assert.ok(["string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"].includes(attribute.type));
    for (const flag of ["multiValued", "required"]) assert.equal(typeof attribute[flag], "boolean");
    assert.ok(["readOnly", "readWrite", "immutable", "writeOnly"].includes(attribute.mutability));
    assert.ok(["always", "never", "default", "request"].includes(attribute.returned));
    for (const part of attribute.subAttributes ?? []) {
      assert.notEqual(part.type, "complex");
      check(part, attribute.name);
    }
  };
  for (const schema of schemas) {
    assert.ok(schema.name && schema.description, schema.id);
    for (const attribute of schema.attributes) check(attribute, schema.id);
  }
  for (const type of (await client.get("/ResourceTypes")).body.Resources) {
    assert.ok(type.name && type.description && type.endpoint, type.id);
    assert.ok(ids.includes(type.schema));
    for (const extension of type.schemaExtensions ?? []) {
      assert.ok(ids.includes(extension.schema));
      assert.equal(typeof extension.required, "boolean");
    }
  }
});

test("6: one externalId in two accounts is nobody's conflict", async () => {
  const other = await gateway.account("protocol-twin");
  const sent = user("tenant", { externalId: "same" });
  const [here, there] = [await post("/Users", sent), await other.call("POST", "/Users", sent)];
  assert.deepEqual([here.status, there.status], [201, 201]);
  for (const [one, own] of [[client, here], [other, there]]) {
    const found = await one.get(`/Users?${query({ filter: 'externalId eq "same"' })}`);
    assert.deepEqual(found.body.Resources.map((each) => each.id), [own.body.id]);
  }
});

test("7.4: an API key cannot be guessed", async () => {
  const calls = gateway.admin("protocol");
  const minted = [await calls.mint("provisioner"), await calls.mint("provisioner")];
  const [first, second] = minted.map((one) => one.split(".").at(-1));
  assert.notEqual(first, second);
  for (const secret of [first, second]) assert.ok(secret.length >= 22 && new Set(secret).size > 8);
});

test("7.4: an API key ends when it was said to", async () => {
  const calls = gateway.admin("protocol");
  const validTo = Date.now() + 1500;
  const short = await calls.data("POST", "/ng/api/token", { apiKeyType: "SERVICE_ACCOUNT", parentIdentifier: "provisioner", name: "short", validTo });
  const holder = gateway.scim("protocol", short);
  assert.equal((await holder.get("/Users?count=0")).status, 200);
  await sleep(Math.max(0, validTo - Date.now()) + 50);
  isError(await holder.get("/Users?count=0"), 401);
});

test("7643 2.3.7: references lead to what they name", async () => {
  const member = (await post("/Users", user("referred"))).body;
  const group = (await post("/Groups", { schemas: [GROUP], displayName: "References", members: [{ value: member.id }] })).body;
  const read = (await client.get(`/Users/${member.id}`)).body;
  for (const [reference, id] of [[group.members[0].$ref, member.id], [read.groups[0].$ref, group.id]]) {
    const response = await fetch(new URL(reference, `${client.base}/`), { headers: { authorization: `Bearer ${key}` } });
    assert.equal(response.status, 200);
    assert.equal((await response.json()).id, id);
  }
  assert.equal(read.groups[0].value, group.id);
});

test("7643 2.3.8 and 3: no order matters, of attributes or of schemas; no schema twice", async () => {
  const parts = { schemas: [USER, ENTERPRISE, USER], name: { givenName: "G", familyName: "F" }, [ENTERPRISE]: { department: "D" }, title: "T" };
  const one = await post("/Users", { userName: "order-1", ...parts });
  const reversed = Object.fromEntries(Object.entries({ ...parts, schemas: [ENTERPRISE, USER], name: { familyName: "F", givenName: "G" } }).reverse());
  const two = await post("/Users", { ...reversed, userName: "order-2" });
  const rest = (body) => ({ ...body, id: 0, meta: 0, userName: 0 });
  assert.deepEqual(rest(one.body), rest(two.body));
  assert.deepEqual(one.body.schemas.toSorted(), [USER, ENTERPRISE].toSorted());
});

test("7643 2.5: null, an empty list and nothing at all are the same", async () => {
  const bodies = await Promise.all([{}, { title: null, emails: null }, { emails: [] }].map(async (more, n) => (await post("/Users", user(`null-${n}`, more))).body));
  for (const body of bodies) assert.deepEqual([body.title, body.emails], [undefined, undefined]);
  assert.equal((await list("/Users", { filter: 'userName sw "null-" and not (title pr) and not (emails pr)' })).totalResults, 3);
  const { body } = await post("/Users", user("null-set", { emails: [{ value: "n@x.org" }], title: "T" }));
  const put = await client.call("PUT", `/Users/${body.id}`, user("null-set", { emails: [], title: null }));
  assert.deepEqual([put.body.emails, put.body.title], [undefined, undefined]);
});

test("7643 3.1: ids are ours and stay; times and location are right; externalId is not ours", async () => {
  const made = await post("/Users", user("common", { id: ann.id, meta: { created: "1999-01-01T00:00:00Z", lastModified: "1999-01-01T00:00:00Z", location: "x", version: "y" } }));
  const { id, meta } = made.body;
  assert.ok(id.length > 0 && id !== ann.id);
  assert.equal(made.body.externalId, undefined);
  for (const time of [meta.created, meta.lastModified]) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
  assert.equal(meta.lastModified, meta.created);
  await sleep(20);
  const path = `/Users/${id}`;
  const put = await client.call("PUT", path, user("common-2", { id: "z" }));
  const patched = await patch(path, { op: "add", path: "title", value: "T" });
  for (const one of [put, patched]) assert.deepEqual([one.body.id, one.body.meta.created, one.body.meta.location], [id, meta.created, meta.location]);
  assert.ok(Date.parse(patched.body.meta.lastModified) > Date.parse(meta.created));
  await client.call("DELETE", path);
  assert.notEqual((await post("/Users", user("common"))).body.id, id);
  const everything = await list("/", { count: 1000, attributes: "id" });
  assert.equal(new Set(everything.Resources.map((one) => one.id)).size, everything.Resources.length);
});

test("7643 7: case is kept where it counts", async () => {
  const { body } = await post("/Users", user("CaseKept", { externalId: "AbC" }));
  assert.deepEqual([body.userName, body.externalId], ["CaseKept", "AbC"]);
  const found = async (filter) => (await list("/Users", { filter })).totalResults;
  assert.deepEqual([await found('externalId eq "AbC"'), await found('externalId eq "abc"')], [1, 0]);
});

test("RFC 9865: cursors: what they are made of, counts, and what is chosen where nothing is said", async () => {
  for (let n = 0; n < 3; n += 1) await post("/Users", user(`safe-${n}`));
  const filter = 'userName sw "safe-"';
  const first = await list("/Users", { filter, cursor: "", count: 1 });
  assert.match(first.nextCursor, /^[A-Za-z0-9._~-]+$/);
  assert.equal(first.previousCursor, undefined);
  for (const count of [0, -4]) {
    const none = await list("/Users", { filter, cursor: "", count });
    assert.deepEqual([none.totalResults, none.Resources], [3, []]);
  }
  const said = (await client.get("/ServiceProviderConfig")).body.pagination;
  assert.deepEqual([said.cursor, said.index], [true, true]);
  const silent = await client.get(`/Users?${query({ filter })}`);
  assert.equal(silent.status, 200);
  assert.equal(silent.body.startIndex !== undefined, (said.defaultPaginationMethod ?? "index") === "index");
});

test("RFC 9865: a cursor opens nothing that its bearer may not see", async () => {
  for (let n = 0; n < 3; n += 1) await post("/Users", user(`private-${n}`));
  const parameters = { filter: 'userName sw "private-"', count: 1 };
  const { nextCursor: cursor } = await list("/Users", { ...parameters, cursor: "" });
  const path = `/Users?${query({ ...parameters, cursor })}`;
  assert.equal((await client.get(path)).body.Resources.length, 1);
  const other = await gateway.account("protocol-other");
  const foreign = await other.get(path);
  assert.ok(!JSON.stringify(foreign.body).includes("private-"), JSON.stringify(foreign.body));
  const calls = gateway.admin("protocol");
  await calls.data("POST", "/authz/api/roles", { identifier: "groups_only", name: "Groups", permissions: ["core_usergroup_view"] });
  await calls.serviceAccount("groups_only", "groups_only");
  isError(await gateway.scim("protocol", await calls.mint("groups_only")).get(path), 403);
    await calls.serviceAccount("passing", "_account_viewer");
  const viewer = gateway.scim("protocol", await calls.mint("passing"));
  assert.equal((await viewer.get(path)).status, 200);
  await calls.data("DELETE", "/ng/api/serviceaccount/passing");
  isError(await viewer.get(path), 401);
});

test("RFC 9865: cursors that are wrong are all refused in the same words", async () => {
  const words = new Set();
  for (const cursor of ["x", "AAAA", "%00", "a".repeat(300)]) {
    const refused = await client.get(`/Users?cursor=${cursor}`);
    isError(refused, 400, "invalidCursor");
    words.add(refused.body.detail);
  }
  assert.equal(words.size, 1);
});
