// Deleted resources: they are listed, restored with their memberships, and kept for as long as the account says.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ENTERPRISE, GROUP, PATCH, USER, isHit, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

// A module in front of the bundle whose clock goes ahead by as many seconds as it is told to.
const AHEAD = `
import worker from "./index.js";
export * from "./index.js";
const now = Date.now.bind(Date);
let ahead = 0;
Date.now = () => now() + ahead;
export default {
  fetch(request, env, context) {
    const seconds = request.headers.get("x-ahead");
    if (seconds === null) return worker.fetch(request, env, context);
    ahead += seconds * 1000;
    return new Response("");
  },
};`;

const DAY = 86_400;
const gateway = await start({ wrapper: AHEAD });
after(() => gateway.stop());

const user = (userName, more = {}) => ({ schemas: [USER], userName, ...more });
const group = (displayName, ids) => ({ schemas: [GROUP], displayName, members: ids.map((value) => ({ value })) });
const created = async (client, path, body) => {
  const made = await client.call("POST", path, body);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body;
};
const removed = async (client, path) => assert.equal((await client.call("DELETE", path)).status, 204);

/** Operators' calls of an account. */
function operator(account, key = gateway.rootKey, it = gateway) {
  return async (method, path, body) => {
    const response = await fetch(`${it.url}/ng/api/scim/account/${account}/${path}`, {
      method,
      headers: { "x-api-key": key, ...(body && { "content-type": "application/json" }) },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
  };
}

/** A key of an account with just these permissions. */
async function keyWith(account, name, permissions) {
  const calls = gateway.admin(account);
  await calls.data("POST", "/authz/api/roles", { identifier: `role_${name}`, name, permissions });
  await calls.serviceAccount(name, `role_${name}`);
  return calls.mint(name);
}

function deferred() {
  const it = {};
  it.promise = new Promise((resolve) => (it.resolve = resolve));
  return it;
}

const members = async (client, id) => ((await client.get(`/Groups/${id}`)).body.members ?? []).map(({ value }) => value).sort();

test("restore: a deleted user comes back with its id, a higher version and its groups, and is readable at once", async () => {
  const client = await gateway.account("acc");
  const call = operator("acc");
  const ann = await created(client, "/Users", user("ann@example.com", { title: "Engineer", emails: [{ value: "ann@work.example" }] }));
  const staff = await created(client, "/Groups", group("Staff", [ann.id]));
  await removed(client, `/Users/${ann.id}`);
  assert.equal((await client.get(`/Users/${ann.id}`)).status, 404);
  const { body: listed } = await call("GET", ".deleted?type=User&userName=ANN@example.com");
  assert.equal(listed.retentionDays, 30);
  assert.equal(listed.resources.length, 1);
  const [one] = listed.resources;
  assert.deepEqual([one.type, one.id, one.userName, one.source, one.principal], ["User", ann.id, "ann@example.com", "gateway", "provisioner"]);
  const restored = await call("POST", ".restore", { type: "User", id: ann.id });
  assert.equal(restored.status, 200, JSON.stringify(restored.body));
  assert.deepEqual(restored.body, { type: "User", id: ann.id, memberships: 1, waiting: 0, pending: 0, lost: 0 });
  const { body: now } = await client.get(`/Users/${ann.id}`);
  assert.equal(now.title, "Engineer");
  assert.equal(now.meta.created, ann.meta.created);
  assert.notEqual(now.meta.version, ann.meta.version);
  assert.deepEqual(now.groups.map(({ value }) => value), [staff.id]);
  assert.deepEqual(await members(client, staff.id), [ann.id]);
  for (const filter of ['userName eq "ANN@example.com"', 'emails.value eq "ann@work.example"', `groups.value eq "${staff.id}"`]) {
    assert.equal((await client.get(`/Users?filter=${encodeURIComponent(filter)}`)).body.totalResults, 1, filter);
  }
  assert.deepEqual((await call("GET", ".deleted")).body.resources, []);
  assert.equal((await call("POST", ".restore", { type: "User", id: ann.id })).status, 409);
  const { body: audit } = await call("GET", `.audit?resource=User/${ann.id}&kind=write`);
  assert.deepEqual(audit.entries.map(({ operation, principal }) => [operation, principal]), [
    ["user.restore", "root"],
    ["user.delete", "provisioner"],
    ["user.create", "provisioner"],
  ]);
});

test("restore: a caller needs the permissions to create the resource and to change its groups", async () => {
  const client = await gateway.account("rights");
  const ann = await created(client, "/Users", user("ann"));
  await created(client, "/Groups", group("Admins", [ann.id]));
  await removed(client, `/Users/${ann.id}`);
  const body = { type: "User", id: ann.id };
  const viewer = operator("rights", await keyWith("rights", "viewer", ["core_user_view", "scim_audit_view"]));
  assert.equal((await viewer("GET", ".deleted")).status, 403);
  assert.equal((await viewer("POST", ".restore", body)).status, 403);
  const restorer = operator("rights", await keyWith("rights", "restorer", ["scim_directory_restore"]));
  assert.equal((await restorer("GET", ".deleted")).body.resources.length, 1);
  assert.equal((await restorer("POST", ".restore", body)).status, 403);
  const manager = operator("rights", await keyWith("rights", "manager", ["scim_directory_restore", "core_user_manage", "core_user_invite"]));
  const refused = await manager("POST", ".restore", body);
  assert.equal(refused.status, 403);
  assert.match(refused.body.detail, /to change groups unless memberships is false/);
  assert.equal((await manager("POST", ".erase", { ...body, confirm: "erase ann" })).status, 403);
  assert.equal((await viewer("GET", `.history?type=User&id=${ann.id}`)).status, 200);
  assert.equal((await manager("GET", `.history?type=User&id=${ann.id}`)).status, 403);
  assert.equal((await manager("POST", ".restore", { ...body, memberships: false })).body.memberships, 0);
  // Shortening the time that deleted resources are kept erases them.
  const editor = gateway.admin("rights", await keyWith("rights", "editor", ["core_setting_edit", "core_setting_view"]));
  await assert.rejects(editor.set({ scim_deleted_retention_days: "0" }), /scim_directory_erase/);
});

test("restore: bad requests are refused in one sentence", async () => {
  await gateway.account("bad");
  const call = operator("bad");
  for (const body of [{}, { type: "Robot", id: "1" }, { type: "User" }, { resources: [] }, { resources: Array(101).fill({ type: "User", id: "1" }) }, { type: "User", id: "1", memberships: "no" }]) {
    const refused = await call("POST", ".restore", body);
    assert.deepEqual([refused.status, refused.body.scimType], [400, "invalidValue"], JSON.stringify(body));
  }
  assert.equal((await call("POST", ".restore", { type: "User", id: "nobody" })).status, 404);
  for (const query of ["type=Robot", "count=0", "count=1001", "cursor=x"]) assert.equal((await call("GET", `.deleted?${query}`)).status, 400, query);
  assert.equal((await call("GET", ".history?type=User")).status, 400);
  assert.equal((await call("GET", ".history?type=User&id=nobody")).status, 404);
});

test("restore: a userName that somebody else has taken is a conflict, also of two requests at once", async () => {
  const client = await gateway.account("taken");
  const call = operator("taken");
  for (let round = 0; round < 10; round += 1) {
    const name = `ann-${round}`;
    const { id } = await created(client, "/Users", user(name));
    await removed(client, `/Users/${id}`);
    const [restored, other] = await Promise.all([call("POST", ".restore", { type: "User", id }), client.call("POST", "/Users", user(name.toUpperCase()))]);
    assert.deepEqual([restored.status, other.status].sort(), restored.status === 200 ? [200, 409] : [201, 409]);
    const found = await client.get(`/Users?filter=${encodeURIComponent(`userName eq "${name}"`)}`);
    assert.equal(found.body.totalResults, 1);
    if (restored.status === 409) {
      assert.equal(restored.body.scimType, "uniqueness");
      assert.match(restored.body.detail, /another User has this name by now/);
    }
  }
});

test("restore: groups and members in any order, several in one call, each with its own answer", async () => {
  const client = await gateway.account("many");
  const call = operator("many");
  const people = [];
  for (const name of ["a", "b", "c"]) people.push(await created(client, "/Users", user(name)));
  const ids = people.map(({ id }) => id).sort();
  const staff = await created(client, "/Groups", group("Staff", ids));
  await removed(client, `/Users/${ids[0]}`);
  await removed(client, `/Groups/${staff.id}`);
  await removed(client, `/Users/${ids[1]}`);
  const resources = [
    { type: "User", id: ids[1] },
    { type: "Group", id: staff.id },
    { type: "User", id: "nobody" },
    { type: "User", id: ids[0] },
  ];
  const { status, body } = await call("POST", ".restore", { resources });
  assert.equal(status, 200);
  assert.deepEqual(body.restored.map(({ id }) => id), [ids[1], staff.id, ids[0]]);
  assert.deepEqual(body.failed.map(({ id, status: code }) => [id, code]), [["nobody", 404]]);
  assert.deepEqual(await members(client, staff.id), ids);
  // A member that left before the deletion does not come back with it.
  const leave = { schemas: [PATCH], Operations: [{ op: "remove", path: `members[value eq "${ids[2]}"]` }] };
  assert.ok((await client.call("PATCH", `/Groups/${staff.id}`, leave)).status < 300);
  await removed(client, `/Groups/${staff.id}`);
  await call("POST", ".restore", { type: "Group", id: staff.id });
  assert.deepEqual(await members(client, staff.id), ids.slice(0, 2));
});

test("history: it has principal, time, status and the names of attributes, no value, also of a deleted resource", async () => {
  const client = await gateway.account("history");
  const call = operator("history");
  const { id } = await created(client, "/Users", user("ann", { title: "planted5ecret" }));
  const change = { schemas: [PATCH], Operations: [{ op: "replace", value: { title: "planted5ecret2", name: { givenName: "planted5ecret3" } } }, { op: "add", path: `${ENTERPRISE}:department`, value: "planted5ecret4" }] };
  assert.equal((await client.call("PATCH", `/Users/${id}`, change)).status, 200);
  assert.equal((await client.call("PUT", `/Users/${id}`, user("ann"))).status, 200);
  const bulk = { schemas: ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], Operations: [{ method: "PATCH", path: `/Users/${id}`, data: { schemas: [PATCH], Operations: [{ op: "add", path: "nickName", value: "planted5ecret5" }] } }] };
  assert.equal((await client.call("POST", "/Bulk", bulk)).status, 200);
  await removed(client, `/Users/${id}`);
  const { body } = await call("GET", `.history?type=User&id=${id}`);
  assert.deepEqual([body.exists, body.deleted.source, body.deleted.userName], [false, "gateway", "ann"]);
  assert.deepEqual(
    body.entries.map(({ operation, principal, status, attributes }) => [operation, principal, status, attributes]),
    [
      ["user.delete", "provisioner", 204, undefined],
      ["user.patch", "provisioner", 200, { added: ["nickName"] }],
      ["user.replace", "provisioner", 200, { removed: ["title", "name.givenName", `${ENTERPRISE}:department`] }],
      ["user.patch", "provisioner", 200, { added: ["name.givenName", `${ENTERPRISE}:department`], changed: ["title"] }],
      ["user.create", "provisioner", 201, { added: ["userName", "title"] }],
    ],
  );
  assert.ok(body.entries.every(({ at, requestId }) => Math.abs(Date.now() - at) < 60_000 && requestId));
  assert.ok(!JSON.stringify(body).includes("planted5ecret"));
  const first = (await call("GET", `.history?type=User&id=${id}&count=2`)).body;
  const rest = (await call("GET", `.history?type=User&id=${id}&count=100&cursor=${first.nextCursor}`)).body;
  assert.deepEqual([...first.entries, ...rest.entries], body.entries);
  assert.ok(!JSON.stringify((await call("GET", ".audit")).body).includes("planted5ecret"));
});

/** An account in front of an origin, once its copy is complete. */
async function behind(t, name, options) {
  const it = await origin(3, options);
  t.after(() => it.stop());
  const client = await gateway.account(name, { scim_origin_url: it.base });
  await until(async () => isHit(await client.get("/Users?count=1")));
  return { it, client, call: operator(name) };
}

test("restore at an origin: a POST gives a new id, the groups take it, and the history goes on", async (t) => {
  const { it, client, call } = await behind(t, "at", { lacks: ["patch"] });
  const staff = await created(client, "/Groups", group("Staff", ["u0", "u1"]));
  await removed(client, "/Users/u0");
  // As origins do.
  it.store.Groups.get(staff.id).members = [{ value: "u1" }];
  const { body } = await call("POST", ".restore", { type: "User", id: "u0" });
  assert.deepEqual([body.formerId, body.memberships, body.pending], ["u0", 1, 0], JSON.stringify(body));
  assert.notEqual(body.id, "u0");
  const { body: shown } = await client.get(`/Users/${body.id}`);
  assert.equal(shown.userName, "user0@example.com");
  assert.equal(it.store.Users.get(body.id).userName, "user0@example.com");
  assert.deepEqual(await members(client, staff.id), [body.id, "u1"].sort());
  assert.deepEqual(it.store.Groups.get(staff.id).members.map(({ value }) => value).sort(), [body.id, "u1"].sort());
  assert.equal((await call("GET", ".deleted")).body.resources.length, 0);
  assert.equal((await call("POST", ".restore", { type: "User", id: "u0" })).status, 404);
  const { body: history } = await call("GET", `.history?type=User&id=${body.id}`);
  assert.deepEqual(history.otherIds, ["u0"]);
  assert.deepEqual(history.entries.map(({ operation, formerId }) => [operation, formerId]), [["user.restore", "u0"], ["user.delete", undefined]]);
  // A forwarded change has its names by the copy.
  await client.call("PUT", `/Users/${body.id}`, user("user0@example.com", { active: true, title: "x" }));
  assert.deepEqual((await call("GET", `.history?type=User&id=${body.id}`)).body.entries[0].attributes, { added: ["title"] });
  // A group whose member has another id by now.
  await removed(client, `/Groups/${staff.id}`);
  await removed(client, "/Users/u1");
  const people = (await call("POST", ".restore", { resources: [{ type: "Group", id: staff.id }, { type: "User", id: "u1" }] })).body;
  assert.deepEqual(people.failed, []);
  const [again, second] = people.restored;
  assert.deepEqual([again.memberships, again.waiting, second.memberships], [1, 1, 1]);
  assert.deepEqual(await members(client, again.id), [body.id, second.id].sort());
});

test("restore at an origin: deletions that a pass finds are kept, and a resource that the origin still has is put back", async (t) => {
  const { it, client, call } = await behind(t, "found");
  const gone = it.store.Users.get("u2");
  it.store.Users.delete("u2");
  const { confirm } = (await call("POST", ".resync")).body;
  assert.equal((await call("POST", ".resync", { confirm })).status, 202);
  const found = await until(async () => (await call("GET", ".deleted")).body.resources[0]);
  assert.deepEqual([found.id, found.source, found.principal], ["u2", "reconciliation", null]);
  // The origin has it again, with less in it.
  it.store.Users.set("u2", { ...gone, active: false });
  const { status, body } = await call("POST", ".restore", { type: "User", id: "u2" });
  assert.deepEqual([status, body.id, body.formerId], [200, "u2", undefined], JSON.stringify(body));
  assert.equal(it.store.Users.get("u2").active, true);
  assert.equal((await client.get("/Users/u2")).body.active, true);
  assert.equal((await call("GET", ".deleted")).body.resources.length, 0);
  // A resource that the origin has changed since stays as it is there.
  await removed(client, "/Users/u2");
  it.store.Users.set("u2", { ...gone, title: "newer" });
  it.behave = (request) =>
    request.method === "GET" && request.url.endsWith("/Users/u2")
      ? { body: { ...it.store.Users.get("u2"), meta: { lastModified: new Date(Date.now() + 5000).toISOString() } } }
      : undefined;
  const newer = await call("POST", ".restore", { type: "User", id: "u2" });
  assert.equal(newer.status, 409);
  assert.equal((await client.get("/Users/u2")).body.title, "newer");
});

test("restore at an origin: a refusal is the answer, and an unknown outcome is not tried twice", async (t) => {
  const { it, client, call } = await behind(t, "unknown");
  await removed(client, "/Users/u0");
  const restore = { type: "User", id: "u0" };
  it.behave = ({ method }) => (method === "POST" ? { status: 409, body: { schemas: [], status: "409", scimType: "uniqueness", detail: "taken" } } : undefined);
  const refused = await call("POST", ".restore", restore);
  assert.deepEqual([refused.status, refused.body.scimType], [409, "uniqueness"]);
  assert.equal((await call("GET", ".deleted")).body.resources.length, 1);
  // The origin creates it, and the connection is lost.
  it.behave = (request) => {
    if (request.method !== "POST") return undefined;
    it.store.Users.set("late", { ...JSON.parse(request.body), id: "late" });
    return { destroy: true };
  };
  const lost = await call("POST", ".restore", restore);
  assert.equal(lost.status, 504);
  it.behave = undefined;
  const again = await until(async () => {
    const answer = await call("POST", ".restore", restore);
    return answer.status !== 503 && answer;
  });
  assert.deepEqual([again.status, again.body.scimType], [409, "uniqueness"]);
  assert.match(again.body.detail, /perhaps since an earlier restore has created it/);
  assert.equal([...it.store.Users.values()].filter(({ userName }) => userName === "user0@example.com").length, 1);
  assert.equal((await client.get("/Users/late")).status, 200);
  // With the origin away nothing is sent, and nothing lost.
  await removed(client, "/Users/u1");
  await it.stop();
  const away = await call("POST", ".restore", { type: "User", id: "u1" });
  assert.ok([502, 503].includes(away.status), String(away.status));
  assert.ok(away.headers.get("retry-after"));
  assert.ok((await call("GET", ".deleted")).body.resources.some(({ id }) => id === "u1"));
});

test("restore: an acknowledged restore survives a kill, and the others can be repeated", async (t) => {
  const first = await start();
  const client = await first.account("killed");
  const call = operator("killed", first.rootKey, first);
  const ids = [];
  for (let n = 0; n < 20; n += 1) ids.push((await created(client, "/Users", user(`u${n}`))).id);
  const staff = await created(client, "/Groups", group("Staff", ids));
  for (const id of ids) await removed(client, `/Users/${id}`);
  const acknowledged = new Set();
  const restoring = ids.map(async (id) => {
    const answer = await call("POST", ".restore", { type: "User", id }).catch(() => undefined);
    if (answer?.status === 200) acknowledged.add(id);
    if (acknowledged.size === 5) for (const pid of first.workerd) process.kill(pid, "SIGKILL");
  });
  await Promise.all(restoring);
  assert.ok(acknowledged.size >= 5);
  await first.stop({ keepState: true }).catch(() => {});
  const second = await start({ state: first.folder });
  t.after(() => second.stop());
  const again = second.scim("killed", await second.admin("killed").mint("provisioner"));
  await until(async () => (await again.get("/Users?count=0")).status === 200);
  for (const id of acknowledged) assert.equal((await again.get(`/Users/${id}`)).status, 200, id);
  const left = operator("killed", second.rootKey, second);
  for (const id of ids) {
    const { status } = await left("POST", ".restore", { type: "User", id });
    assert.ok(status === 200 || status === 409, String(status));
  }
  assert.deepEqual(await members(again, staff.id), [...ids].sort());
});

test("restore at an origin: a kill in the middle leaves one resource, and the same request goes on", async (t) => {
  const it = await origin(3);
  t.after(() => it.stop());
  const first = await start();
  const client = await first.account("cut", { scim_origin_url: it.base });
  await until(async () => isHit(await client.get("/Users?count=1")));
  const staff = await created(client, "/Groups", group("Staff", ["u0", "u1"]));
  for (const id of ["u0", "u1"]) await removed(client, `/Users/${id}`);
  it.store.Groups.get(staff.id).members = [];
  const call = operator("cut", first.rootKey, first);
  const { promise: reached, resolve: reach } = deferred();
  // The origin creates u0 and never says so, and takes u1 but never answers the change of its group.
  it.behave = (request) => {
    if (request.method === "POST" && JSON.parse(request.body).userName === "user0@example.com") {
      it.store.Users.set("late", { ...JSON.parse(request.body), id: "late" });
      return new Promise(() => {});
    }
    if (request.method !== "PATCH") return undefined;
    reach();
    return new Promise(() => {});
  };
  const cut = [call("POST", ".restore", { type: "User", id: "u1" })];
  await reached;
  cut.push(call("POST", ".restore", { type: "User", id: "u0" }));
  await until(() => it.store.Users.has("late"));
  const ended = Promise.allSettled(cut);
  for (const pid of first.workerd) process.kill(pid, "SIGKILL");
  assert.ok((await ended).every(({ status, value }) => status === "rejected" || value.status >= 500));
  await first.stop({ keepState: true }).catch(() => {});
  it.behave = undefined;
  const second = await start({ state: first.folder });
  t.after(() => second.stop());
  const again = operator("cut", second.rootKey, second);
  const settled = (id) =>
    until(async () => {
      const answer = await again("POST", ".restore", { type: "User", id });
      return answer.status !== 503 && answer;
    });
  const one = await settled("u1");
  assert.deepEqual([one.status, one.body.formerId, one.body.memberships, one.body.pending], [200, "u1", 1, 0], JSON.stringify(one.body));
  const other = await settled("u0");
  assert.deepEqual([other.status, other.body.scimType], [409, "uniqueness"]);
  const named = (name) => [...it.store.Users.values()].filter(({ userName }) => userName === name).length;
  assert.deepEqual([named("user0@example.com"), named("user1@example.com")], [1, 1]);
});

test("deleted resources: they are kept for as long as the setting says, and not at all if it is 0", async () => {
  const client = await gateway.account("kept");
  const call = operator("kept");
  const { id } = await created(client, "/Users", user("ann"));
  await removed(client, `/Users/${id}`);
  const goAhead = (days) => fetch(gateway.url, { headers: { "x-ahead": String(days * DAY) } });
  await goAhead(29);
  assert.equal((await call("GET", ".deleted")).body.resources.length, 1);
  await goAhead(2);
  assert.equal((await call("GET", ".deleted")).body.resources.length, 0);
  assert.equal((await call("POST", ".restore", { type: "User", id })).status, 404);
  const other = await gateway.account("none", { scim_deleted_retention_days: "0" });
  const bob = await created(other, "/Users", user("bob"));
  await removed(other, `/Users/${bob.id}`);
  assert.deepEqual((await operator("none")("GET", ".deleted")).body, { resources: [], nextCursor: null, retentionDays: 0 });
});
