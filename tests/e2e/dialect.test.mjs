// The tolerant dialect in front of an origin that reads RFC 7644 only: a second gateway in the strict dialect. What is
// between the two writes down what the origin is asked.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { conversations, replay } from "../../js/demo/conversation.mjs";
import { ENTERPRISE, GROUP, PATCH, USER, isHit, server, start, until } from "./harness.mjs";
import { origin as scripted } from "./scripted-origin.mjs";

const gateway = await start();
after(() => gateway.stop());

let accounts = 0;

/** An account in front of a strict origin; `asked` is what the origin is asked, `record` the origin itself. */
async function strictly(t, settings = {}, { strict = true } = {}) {
  accounts += 1;
  const name = `strict${accounts}`;
  const record = await gateway.account(`${name}-record`, strict ? { scim_dialect: "strict", scim_group_names: "any" } : {});
  const key = await gateway.admin(`${name}-record`).mint("provisioner");
  const between = await server(async ({ method, url, headers, body }) => {
    const forwarded = Object.entries(headers).filter(([header]) => !["host", "connection", "content-length"].includes(header));
    const sent = { method, headers: Object.fromEntries(forwarded), ...(body && { body }) };
    const answer = await fetch(`${record.base}${url.replace("/scim", "")}`, sent);
    const text = await answer.text();
    const kept = ["etag", "location", "content-type"].flatMap((header) => (answer.headers.has(header) ? [[header, answer.headers.get(header)]] : []));
    // The origin names itself in its answers: here it is what stands between.
    const named = (value) => value.replaceAll(record.base, `${between.url}/scim`);
    return { status: answer.status, headers: Object.fromEntries(kept.map(([header, value]) => [header, named(value)])), body: named(text) };
  });
  t.after(() => between.stop());
  const client = await gateway.account(name, {
    scim_origin_url: `${between.url}/scim`,
    scim_origin_authorization: `Bearer ${key}`,
    ...settings,
  });
  await until(async () => isHit(await client.get("/Users?count=1")));
  const asked = () => between.requests.splice(0).map(({ method, body, headers, url }) => ({ method, url, headers, ...(body && { body: JSON.parse(body) }) }));
  asked();
  const token = await gateway.admin(name).mint("provisioner");
  return { client, record, asked, token };
}

const patch = (...Operations) => ({ schemas: [PATCH], Operations });
const methods = (asked) => asked.map(({ method }) => method).join(" ");

for (const conversation of conversations()) {
  test(`dialect: ${conversation.client}'s conversation in front of a strict origin`, async (t) => {
    const { client, token } = await strictly(t);
    await replay(client.base, token, conversation);
  });
}

test("dialect: a PATCH that the origin would refuse is sent in RFC 7644's form, once", async (t) => {
  const { client, asked } = await strictly(t);
  const made = await client.call("POST", "/Users", {
    schemas: [USER],
    userName: "ann",
    active: true,
    emails: [{ type: "work", value: "ann@example.com" }],
  });
  const path = `/Users/${made.body.id}`;
  asked();
  const changed = await client.call("PATCH", path, patch(
    { op: "Replace", path: "active", value: "False" },
    { op: "Add", path: `${ENTERPRISE}:manager`, value: "boss" },
    { op: "replace", value: { "name.givenName": "Ann", [`${ENTERPRISE}:department`]: "R", id: made.body.id } },
  ));
  assert.equal(changed.status, 200, JSON.stringify(changed.body));
  const [sent, ...more] = asked();
  assert.deepEqual([sent.method, more], ["PATCH", []]);
  assert.deepEqual(sent.body.Operations, [
    { op: "replace", path: "active", value: false },
    { op: "add", path: `${ENTERPRISE}:manager`, value: { value: "boss" } },
    { op: "replace", path: "name.givenName", value: "Ann" },
    { op: "replace", path: `${ENTERPRISE}:department`, value: "R" },
  ]);
  const read = await client.get(path);
  assert.ok(isHit(read));
  assert.deepEqual([read.body.active, read.body.name.givenName, read.body[ENTERPRISE].manager.value], [false, "Ann", "boss"]);
  // What is in the RFC's form is sent as it is.
  await client.call("PATCH", path, patch({ op: "replace", path: "title", value: "T" }));
  assert.deepEqual(asked().map(({ body }) => body), [patch({ op: "replace", path: "title", value: "T" })]);
});

test("dialect: members are removed one by one, and somebody who is none is no error", async (t) => {
  const { client, asked, record } = await strictly(t);
  const ids = [];
  for (const userName of ["a", "b", "c"]) ids.push((await client.call("POST", "/Users", { schemas: [USER], userName })).body.id);
  const members = ids.map((value) => ({ value }));
  const group = await client.call("POST", "/Groups", { schemas: [GROUP], displayName: "G", members });
  const path = `/Groups/${group.body.id}`;
  const shown = async () => (await record.get(path)).body.members?.map(({ value }) => value) ?? [];
  asked();
  const removed = await client.call("PATCH", path, patch({ op: "Remove", path: "members", value: [{ $ref: null, value: ids[0] }] }));
  assert.equal(removed.status, 200);
  assert.deepEqual(asked()[0].body.Operations, [{ op: "remove", path: `members[value eq "${ids[0]}"]` }]);
  assert.deepEqual(await shown(), ids.slice(1).sort());
  // Once more: the origin finds no such member, and nothing has to change.
  const again = await client.call("PATCH", path, patch({ op: "Remove", path: "members", value: [{ value: ids[0] }] }));
  assert.equal(again.status, 200);
  assert.equal(methods(asked()), "PATCH GET");
  assert.deepEqual(await shown(), ids.slice(1).sort());
});

test("dialect: a value path that selects nothing makes the value, on the condition that nobody changed the user", async (t) => {
  const { client, asked, record } = await strictly(t);
  const made = await client.call("POST", "/Users", { schemas: [USER], userName: "ann" });
  const path = `/Users/${made.body.id}`;
  asked();
  const work = 'emails[type eq "work"]';
  const added = await client.call("PATCH", path, patch(
    { op: "Add", path: `${work}.value`, value: "ann@example.com" },
    { op: "Add", path: `${work}.display`, value: "Ann" },
    { op: "Replace", path: 'roles[primary eq "True"].value', value: "admin" },
  ));
  assert.equal(added.status, 200, JSON.stringify(added.body));
  const sent = asked();
  assert.equal(methods(sent), "PATCH GET PUT");
  assert.ok(sent[2].headers["if-match"], "the PUT is conditional");
  const { body } = await record.get(path);
  assert.deepEqual(body.emails, [{ type: "work", value: "ann@example.com", display: "Ann" }]);
  assert.deepEqual(body.roles, [{ primary: true, value: "admin" }]);
  // Taking the value of an e-mail takes what described it along: that is the state's to say.
  const gone = await client.call("PATCH", path, patch({ op: "Remove", path: `${work}.display` }, { op: "Remove", path: `${work}.value` }));
  assert.equal(gone.status, 200);
  assert.equal(methods(asked()), "GET PUT");
  assert.equal((await record.get(path)).body.emails, undefined);
});

test("dialect: a POST and a PUT are sent in RFC 7643's form, with what only the origin may know", async (t) => {
  const { client, asked, record } = await strictly(t);
  const body = {
    schemas: [USER, "urn:scim:schemas:core:1.0"],
    userName: "ann",
    active: "False",
    password: "secret",
    roles: ['{"value":"admin"}'],
    [`${ENTERPRISE}:department`]: "R",
    "name.familyName": "Lee",
  };
  const made = await client.call("POST", "/Users", body);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const [sent, ...more] = asked();
  assert.deepEqual(more, []);
  assert.deepEqual(sent.body, {
    schemas: [USER, ENTERPRISE],
    userName: "ann",
    active: false,
    password: "secret",
    roles: [{ value: "admin" }],
    [ENTERPRISE]: { department: "R" },
    name: { familyName: "Lee" },
  });
  // The origin refuses what it does not know, and is sent the rest.
  const odd = await client.call("POST", "/Users", { ...body, userName: "bob", nothing: 1 });
  assert.equal(odd.status, 201, JSON.stringify(odd.body));
  assert.deepEqual(asked().map((one) => one.body.nothing), [1, undefined]);
  // A user who was let go stays away, though the PUT does not say so.
  const put = await client.call("PUT", `/Users/${made.body.id}`, { schemas: [USER], userName: "ann" });
  assert.equal(put.status, 200, JSON.stringify(put.body));
  assert.equal(methods(asked()), "GET PUT");
  assert.equal((await record.get(`/Users/${made.body.id}`)).body.active, false);
});

test("dialect: what is wrong is refused as without an origin, and the origin is not asked", async (t) => {
  const { client, asked } = await strictly(t);
  const made = await client.call("POST", "/Users", { schemas: [USER], userName: "ann" });
  asked();
  const refused = async (method, path, body, scimType) => {
    const answer = await client.call(method, path, body);
    assert.deepEqual([answer.status, answer.body.scimType], [400, scimType], JSON.stringify(answer.body));
  };
  const path = `/Users/${made.body.id}`;
  await refused("POST", "/Users", { schemas: [USER], userName: "bob", active: "perhaps" }, "invalidValue");
  await refused("PATCH", path, patch({ op: "replace", path: "active", value: "perhaps" }), "invalidValue");
  await refused("PATCH", path, patch({ op: "replace", path: "emails[type eq", value: "x" }), "invalidPath");
  await refused("PATCH", path, patch({ op: "replace", path: "id", value: "x" }), "mutability");
  assert.deepEqual(asked(), []);
});

test("dialect: turned off, every body reaches the origin as it was sent", async (t) => {
  const { client, asked } = await strictly(t, { scim_origin_supplements: "bulk, patch, etag" });
  const body = { schemas: [USER], userName: "ann", active: "False" };
  assert.equal((await client.call("POST", "/Users", body)).status, 400);
  assert.deepEqual(asked().map((one) => one.body), [body]);
});

test("dialect: strict judges bodies in front of an origin as well", async (t) => {
  const { client, asked } = await strictly(t, { scim_dialect: "strict" }, { strict: false });
  const made = await client.call("POST", "/Users", { schemas: [USER], userName: "ann" });
  assert.equal(made.status, 201);
  const path = `/Users/${made.body.id}`;
  asked();
  for (const [method, to, body, scimType] of [
    ["POST", "/Users", { userName: "bob" }, "invalidValue"],
    ["POST", "/Users", { schemas: [USER], userName: "bob", active: "True" }, "invalidValue"],
    ["POST", "/Users", { schemas: [USER], userName: "bob", [ENTERPRISE]: { department: "R" } }, "invalidValue"],
    ["PUT", path, { schemas: [USER], userName: "ann", nothing: 1 }, "invalidValue"],
    ["PATCH", path, { Operations: [{ op: "add", path: "title", value: "x" }] }, "invalidSyntax"],
    ["PATCH", path, patch({ op: "add", path: "nothing", value: 1 }), "invalidPath"],
    ["PATCH", path, patch({ op: "replace", value: { id: "x", title: "T" } }), "mutability"],
    ["PATCH", path, patch({ op: "replace", value: { "name.givenName": "A" } }), "invalidValue"],
  ]) {
    const answer = await client.call(method, to, body);
    assert.deepEqual([answer.status, answer.body.scimType], [400, scimType], JSON.stringify([body, answer.body]));
  }
  assert.deepEqual(asked(), []);
  const good = patch({ op: "replace", path: "title", value: "T" });
  assert.equal((await client.call("PATCH", path, good)).status, 200);
  assert.deepEqual(asked().map(({ body }) => body), [good]);
});

test("dialect: attributes and excludedAttributes select of a write's answer, whatever the origin makes of them", async (t) => {
  const it = await scripted(1, { lacks: [] });
  t.after(() => it.stop());
  const client = await gateway.account("selected", { scim_origin_url: it.base });
  await until(async () => isHit(await client.get("/Users?count=1")));
  const made = await client.call("POST", "/Users?attributes=userName", { schemas: [USER], userName: "ann", title: "T" });
  assert.deepEqual([made.status, Object.keys(made.body).sort()], [201, ["id", "schemas", "userName"]]);
  assert.ok(made.headers.get("location"));
  const path = `/Users/${made.body.id}`;
  // The copy has the whole of it.
  const read = await client.get(path);
  assert.ok(isHit(read));
  assert.equal(read.body.title, "T");
  const put = await client.call("PUT", `${path}?excludedAttributes=title,meta`, { schemas: [USER], userName: "ann", title: "U", active: true });
  assert.deepEqual(Object.keys(put.body).sort(), ["active", "id", "schemas", "userName"]);
  // This origin answers a PATCH with 204: the attributes that were asked for are answered all the same.
  const patched = await client.call("PATCH", `${path}?attributes=title`, patch({ op: "replace", path: "title", value: "V" }));
  assert.deepEqual([patched.status, patched.body.title, patched.body.userName], [200, "V", undefined]);
  const both = await client.call("POST", "/Users?attributes=title&excludedAttributes=name", { schemas: [USER], userName: "bob" });
  assert.deepEqual([both.status, both.body.scimType], [400, "invalidValue"]);
  assert.equal(it.store.Users.size, 2);
});

test("dialect: a group whose members the origin hides is never put back without them", async (t) => {
  const it = await scripted(1, { lacks: [], shows: (shown) => (shown.meta.resourceType === "Group" ? { ...shown, members: undefined } : shown) });
  t.after(() => it.stop());
  it.store.Groups.set("g", { schemas: [GROUP], id: "g", displayName: "G", members: [{ value: "u0" }] });
  const client = await gateway.account("hidden", { scim_origin_url: it.base, scim_origin_hidden_attributes: "members" });
  await until(async () => isHit(await client.get("/Groups?excludedAttributes=members")));
  it.requests.length = 0;
  it.behave = ({ method }) => (method === "PATCH" ? { status: 400, body: { status: "400", scimType: "noTarget", detail: "none" } } : undefined);
  const answer = await client.call("PATCH", "/Groups/g", patch({ op: "Remove", path: "members", value: [{ value: "x" }] }));
  assert.deepEqual([answer.status, answer.body.scimType], [400, "noTarget"]);
  assert.ok(it.requests.every(({ method }) => method !== "PUT"));
  assert.equal(it.store.Groups.get("g").members.length, 1);
});

test("dialect: POST /Me is answered as the other methods of /Me", async (t) => {
  const { client } = await strictly(t);
  const plain = await gateway.account("me");
  for (const one of [client, plain]) {
    for (const method of ["POST", "PUT", "PATCH"]) {
      assert.equal((await one.call(method, "/Me", { schemas: [USER], userName: "me" })).status, 501, method);
    }
    assert.match((await one.call("OPTIONS", "/Me")).headers.get("allow"), /POST/);
  }
});

test("dialect: groups of one name, and members that nobody is, as the account's settings have it", async () => {
  const client = await gateway.account("names");
  const calls = gateway.admin("names");
  const group = (displayName, members) => client.call("POST", "/Groups", { schemas: [GROUP], displayName, ...(members && { members }) });
  assert.equal((await group("Crew")).status, 201);
  // An account that is made now has unique names.
  const twice = await group("CREW");
  assert.deepEqual([twice.status, twice.body.scimType], [409, "uniqueness"]);
  assert.equal((await group("Ghosts", [{ value: "nobody" }])).status, 400);
  await calls.set({ scim_group_names: "any", scim_unknown_members: "ignore" });
  const third = await until(async () => {
    const answer = await group("CREW");
    return answer.status === 201 && answer;
  });
  assert.equal(third.body.displayName, "CREW");
  assert.equal((await group("Ghosts", [{ value: "nobody" }])).body.members, undefined);
  await calls.set({ scim_unknown_members: "accept" });
  const kept = await until(async () => {
    const answer = await group("More ghosts", [{ value: "nobody" }]);
    return answer.body.members && answer;
  });
  assert.deepEqual(kept.body.members, [{ value: "nobody" }]);
});
