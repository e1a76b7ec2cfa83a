// The brake on removals, through the API and at an origin, and the modes of service accounts.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { GROUP, PATCH, USER, isHit, scim, sleep, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

const lines = [];
const gateway = await start({ output: (line) => lines.push(line) });
after(() => gateway.stop());

let accounts = 0;
const named = () => `brake${(accounts += 1)}`;

/** Calls of an operator on an account. */
const operator = (account, key = gateway.rootKey) => async (method, call, body) => {
  const response = await fetch(`${gateway.url}/ng/api/scim/account/${account}/${call}`, {
    method,
    headers: { "x-api-key": key, ...(body && { "content-type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
};

/** Makes users in bulk, and returns their ids. */
async function populate(client, count) {
  const ids = [];
  for (let from = 0; from < count; from += 500) {
    const Operations = Array.from({ length: Math.min(500, count - from) }, (_, n) => ({
      method: "POST",
      path: "/Users",
      bulkId: `b${n}`,
      data: { schemas: [USER], userName: `user${from + n}`, active: true },
    }));
    const made = await client.call("POST", "/Bulk", { schemas: [BULK], Operations });
    ids.push(...made.body.Operations.map(({ location }) => location.split("/").at(-1)));
  }
  return ids;
}

/** A system of record with people in it. */
async function record(people, settings = {}) {
  const account = named();
  const client = await gateway.account(account, settings);
  return { account, client, ids: await populate(client, people), operate: operator(account) };
}

/** A copy of an origin, filled. */
async function behind(t, people, { settings = {}, ...options } = {}) {
  const it = await origin(people, options);
  t.after(() => it.stop());
  const account = named();
  const client = await gateway.account(account, { scim_origin_url: it.base, scim_replica_max_staleness_seconds: "30", ...settings });
  await until(async () => isHit(await client.get("/Users?count=1")));
  return { it, account, client, operate: operator(account), ids: Array.from({ length: people }, (_, n) => `u${n}`) };
}

const off = { schemas: [PATCH], Operations: [{ op: "replace", path: "active", value: false }] };
const total = async (client) => (await client.get("/Users?count=0")).body.totalResults;

test("brake: deletions past the limit are refused, name the brake, and change nothing", async () => {
  const { account, client, ids, operate } = await record(100);
  for (const id of ids.slice(0, 20)) assert.equal((await client.call("DELETE", `/Users/${id}`)).status, 204);
  const refused = await client.call("DELETE", `/Users/${ids[20]}`);
  assert.equal(refused.status, 429);
  const wait = Number(refused.headers.get("retry-after"));
  assert.ok(wait > 3_500 && wait <= 3_660, String(wait));
  assert.match(refused.body.detail, /brake.*operator lets it through/i);
  assert.equal(refused.body.status, "429");
  assert.equal((await client.get(`/Users/${ids[20]}`)).status, 200);
  assert.equal(await total(client), 80);
  // What removes nothing goes on.
  assert.equal((await client.call("POST", "/Users", { schemas: [USER], userName: "new" })).status, 201);
  const { body } = await operate("GET", ".brake");
  assert.deepEqual([body.state, body.lastHour.users, body.stopped.requests], ["stopping", { deleted: 20, deactivated: 0, of: 101 }, 1]);
  assert.deepEqual((await operate("GET", ".replica")).body.brake, body);
  // Audited, alarmed, counted.
  const audit = await operate("GET", ".audit?operation=user.delete&outcome=failed");
  assert.deepEqual(audit.body.entries.map(({ status, reason }) => [status, reason]), [[429, "brake"]]);
  await until(() => lines.some((line) => line.includes(account) && /the brake stopped removals: 21 of 100 users/.test(line)));
  await until(() => lines.some((line) => line.includes(`"account":"${account}"`) && line.includes('"reason":"brake"')));
  const metrics = await (await fetch(`${gateway.url}/metrics`, { headers: { "x-api-key": gateway.rootKey } })).text();
  assert.match(metrics, /scim_edge_brake_total\{isolate="\w+",event="stopped"\} [1-9]/);
  assert.match(metrics, /scim_edge_refusals_total\{isolate="\w+",reason="brake"\} [1-9]/);
});

test("brake: deactivations count by PATCH, PUT and bulk, operation by operation", async () => {
  const { client, ids } = await record(100);
  const ways = [
    (id) => client.call("PATCH", `/Users/${id}`, off),
    (id) => client.call("PUT", `/Users/${id}`, { schemas: [USER], userName: `u-${id}`, active: false }),
    async (id) => {
      const { body } = await client.call("POST", "/Bulk", { schemas: [BULK], Operations: [{ method: "PATCH", path: `/Users/${id}`, data: off }] });
      return { status: Number(body.Operations[0].status), body: body.Operations[0].response };
    },
  ];
  for (const [n, id] of ids.slice(0, 20).entries()) assert.equal((await ways[n % 3](id)).status, 200);
  for (const [n, way] of ways.entries()) {
    const refused = await way(ids[20 + n]);
    assert.equal(refused.status, 429);
    assert.match(refused.body.detail, /brake/);
    assert.equal((await client.get(`/Users/${ids[20 + n]}`)).body.active, true);
  }
  const mixed = await client.call("POST", "/Bulk", {
    schemas: [BULK],
    Operations: [
      { method: "DELETE", path: `/Users/${ids[30]}` },
      { method: "PATCH", path: `/Users/${ids[31]}`, data: { schemas: [PATCH], Operations: [{ op: "replace", path: "title", value: "x" }] } },
    ],
  });
  assert.deepEqual(mixed.body.Operations.map(({ status }) => status), ["429", "200"]);
});

test("brake: parallel deletions do not share the last place", async () => {
  const { client, ids } = await record(100);
  const statuses = await Promise.all(ids.slice(0, 60).map(async (id) => (await client.call("DELETE", `/Users/${id}`)).status));
  assert.equal(statuses.filter((status) => status === 204).length, 20);
  assert.equal(statuses.filter((status) => status === 429).length, 40);
  assert.equal(await total(client), 80);
});

test("brake: below fifty resources, or turned off, nothing is stopped", async () => {
  const small = await record(49);
  for (const id of small.ids) assert.equal((await small.client.call("DELETE", `/Users/${id}`)).status, 204);
  const free = await record(60, { scim_brake_removals_per_hour: "off" });
  for (const id of free.ids) assert.equal((await free.client.call("DELETE", `/Users/${id}`)).status, 204);
  assert.equal((await free.operate("GET", ".brake")).body.state, "off");
  assert.equal((await free.operate("POST", ".brake", { letThrough: "once" })).status, 409);
});

test("brake: an operator lets through what was stopped, a number, or all until a time, and takes it back", async () => {
  const { account, client, ids, operate } = await record(120, { scim_brake_removals_per_hour: "2", scim_brake_removals_percent: "0" });
  const left = [...ids];
  const remove = async () => (await client.call("DELETE", `/Users/${left.pop()}`)).status;
  const deleted = async () => {
    let count = 0;
    while ((await remove()) === 204) count += 1;
    return count;
  };
  assert.equal((await operate("POST", ".brake", { letThrough: "once" })).status, 409, "nothing was stopped yet");
  assert.equal(await deleted(), 2);
  const once = await operate("POST", ".brake", { letThrough: "once" });
  assert.deepEqual([once.status, once.body.state, once.body.letThrough.removals, once.body.letThrough.by], [200, "letting-through", 1, "root"]);
  assert.equal(await deleted(), 1 + 2, "the one, and the window begins empty");
  await operate("POST", ".brake", { letThrough: "once", removals: 5 });
  assert.equal(await deleted(), 5 + 2);
  await operate("POST", ".brake", { letThrough: "until", until: Date.now() + 60_000 });
  for (let n = 0; n < 30; n += 1) assert.equal(await remove(), 204);
  assert.equal((await operate("POST", ".brake", { letThrough: "none" })).body.letThrough, null);
  assert.equal(await deleted(), 2);
  for (const body of [{}, { letThrough: "always" }, { letThrough: "until" }, { letThrough: "until", until: 1 }, { letThrough: "once", removals: 0 }]) {
    assert.equal((await operate("POST", ".brake", body)).status, 400);
  }
  const { body: audit } = await operate("GET", ".audit?kind=write&count=1000");
  const what = audit.entries.filter(({ operation }) => operation.startsWith("brake.")).map(({ operation, principal }) => [operation, principal]);
  assert.deepEqual(what, [["brake.takeBack", "root"], ...Array(3).fill(["brake.letThrough", "root"])]);
  // To see it is one permission, to let through another.
  const calls = gateway.admin(account);
  await calls.serviceAccount("viewer", "_account_viewer");
  const viewer = operator(account, await calls.mint("viewer"));
  assert.equal((await viewer("GET", ".brake")).status, 200);
  assert.equal((await viewer("POST", ".brake", { letThrough: "once", removals: 1 })).status, 403);
  const provisioner = operator(account, await calls.mint("provisioner"));
  assert.equal((await provisioner("GET", ".brake")).status, 403);
});

test("brake: in front of an origin nothing past the limit is sent, and what the origin refuses is not counted", async (t) => {
  const { it, client, ids, operate } = await behind(t, 100);
  const sent = (method) => it.requests.filter((one) => one.method === method).length;
  it.behave = ({ method }) => (method === "DELETE" ? { status: 403, body: { status: "403", detail: "no" } } : undefined);
  assert.equal((await client.call("DELETE", `/Users/${ids[0]}`)).status, 403);
  it.behave = undefined;
  assert.equal((await operate("GET", ".brake")).body.lastHour.users.deleted, 0);
  for (const id of ids.slice(0, 10)) assert.equal((await client.call("DELETE", `/Users/${id}`)).status, 204);
  for (const id of ids.slice(10, 15)) assert.equal((await client.call("PATCH", `/Users/${id}`, off)).status, 204);
  for (const id of ids.slice(15, 20)) assert.equal((await client.call("PUT", `/Users/${id}`, { schemas: [USER], userName: id, active: false })).status, 200);
  const before = { DELETE: sent("DELETE"), PATCH: sent("PATCH"), PUT: sent("PUT") };
  assert.equal((await client.call("DELETE", `/Users/${ids[20]}`)).status, 429);
  assert.equal((await client.call("PATCH", `/Users/${ids[20]}`, off)).status, 429);
  assert.equal((await client.call("PUT", `/Users/${ids[20]}`, { schemas: [USER], userName: "x", active: "False" })).status, 429);
  const bulk = await client.call("POST", "/Bulk", { schemas: [BULK], Operations: [{ method: "DELETE", path: `/Users/${ids[20]}` }] });
  assert.equal(bulk.body.Operations[0].status, "429");
  assert.deepEqual({ DELETE: sent("DELETE"), PATCH: sent("PATCH"), PUT: sent("PUT") }, before);
  assert.ok(it.store.Users.has(ids[20]));
  // Others go on; so do parallel ones at the last place.
  const on = { schemas: [PATCH], Operations: [{ op: "replace", path: "active", value: true }] };
  assert.equal((await client.call("PATCH", `/Users/${ids[20]}`, on)).status, 204);
  await operate("POST", ".brake", { letThrough: "once", removals: 3 });
  const statuses = await Promise.all(ids.slice(20, 50).map(async (id) => (await client.call("DELETE", `/Users/${id}`)).status));
  assert.equal(statuses.filter((status) => status === 204).length, 3 + 20);
});

test("brake: an origin that shows nothing any more is suspicious: the copy stays, and trusts it when it is whole", async (t) => {
  const { it, account, client, operate } = await behind(t, 80, { settings: { scim_replica_when_stale: "forward" } });
  const empty = ({ method, url }) => {
    if (method !== "GET" || !url.startsWith("/scim/Users")) return undefined;
    if (url.includes("?")) return { body: { totalResults: 0, startIndex: 1, itemsPerPage: 0, Resources: [] } };
    return { status: 404, body: { schemas: [], status: "404", detail: "gone" } };
  };
  it.behave = empty;
  await operate("POST", ".resync");
  const status = await until(async () => {
    const { body } = await operate("GET", ".replica");
    return body.state === "suspicious" && body;
  });
  assert.deepEqual([status.users, status.brake.suspicion.users], [80, { wouldRemove: 80, of: 80 }]);
  assert.equal(await total(client), 80);
  await until(() => lines.some((line) => line.includes(account) && line.includes("would lose 80 of 80 users")));
  // It goes on asking, and the copy answers however old it gets.
  const asked = it.requests.length;
  await until(() => it.requests.length > asked + 2, 40);
  assert.equal((await operate("GET", ".replica")).body.state, "suspicious");
  assert.ok(isHit(await client.get("/Users/u1")));
  // One that is said to be gone stays, too.
  const pushed = await operate("POST", ".changes", { resources: Array.from({ length: 30 }, (_, n) => ({ type: "User", id: `u${n}` })) });
  assert.deepEqual([pushed.body.removed, pushed.body.failed.length], [0, 30]);
  assert.ok(pushed.body.failed.every(({ detail }) => /the brake keeps it/.test(detail)));
  it.behave = undefined;
  await until(async () => (await operate("GET", ".replica")).body.state === "live", 40);
  assert.equal(await total(client), 80);
  const { body: audit } = await operate("GET", ".audit?count=1000");
  const what = audit.entries.map(({ operation }) => operation).filter((operation) => operation.startsWith("brake."));
  assert.deepEqual(what, ["brake.resolved", "brake.suspicious"]);
});

test("brake: a resync whose origin shows half is held, and goes on when the origin is whole or an operator lets it", async (t) => {
  const { it, client, operate } = await behind(t, 80);
  const gone = [...it.store.Users].slice(0, 40);
  const resync = async () => operate("POST", ".resync", { confirm: (await operate("POST", ".resync")).body.confirm });
  const held = () => until(async () => /brake holds the exchange: the origin shows 40 of 80 users/.test((await operate("GET", ".replica")).body.switch?.lastFailure), 40);
  const ended = () => until(async () => (await operate("GET", ".replica")).body.switch === null, 60);
  for (const [id] of gone) it.store.Users.delete(id);
  assert.equal((await resync()).status, 202);
  await held();
  assert.equal(await total(client), 80);
  for (const [id, user] of gone) it.store.Users.set(id, user);
  await ended();
  assert.equal(await total(client), 80);
  for (const [id] of gone) it.store.Users.delete(id);
  assert.equal((await resync()).status, 202);
  await held();
  await operate("POST", ".brake", { letThrough: "once", removals: 40 });
  await ended();
  assert.equal(await total(client), 40);
});

test("brake: a write that the origin has made is not hidden by what the copy keeps of a resource that the origin hides", async (t) => {
  const { it, client } = await behind(t, 60, { settings: { scim_brake_removals_per_hour: "0", scim_brake_removals_percent: "0" } });
  const set = (value) => client.call("PATCH", "/Users/u1", { schemas: [PATCH], Operations: [{ op: "replace", path: "title", value }] });
  assert.equal((await set("before")).status, 204);
  assert.equal((await client.get("/Users/u1")).body.title, "before");
  it.behave = ({ method, url }) =>
    method === "GET" && url.startsWith("/scim/Users/") ? { status: 404, body: { schemas: [], status: "404", detail: "gone" } } : undefined;
  assert.equal((await set("acknowledged")).status, 204);
  for (const read of ["/Users/u1", "/Users?count=100"]) {
    const answer = await client.get(read);
    assert.ok(!JSON.stringify(answer.body).includes('"title":"before"'), read);
  }
  it.behave = undefined;
  const now = await client.get("/Users/u1");
  assert.equal(now.body.title, "acknowledged");
  assert.ok(isHit(await client.get("/Users?count=1")));
});

test("brake: a 401 that became an empty list, and totals that halve, remove nothing", async (t) => {
  const { it, client, operate } = await behind(t, 100);
  it.behave = ({ method, url }) => {
    if (method !== "GET" || !url.startsWith("/scim/Users")) return undefined;
    // A proxy answers every refusal with an empty list.
    return { body: { totalResults: 0, startIndex: 1, itemsPerPage: 0, Resources: [] } };
  };
  await operate("POST", ".resync");
  await until(async () => (await operate("GET", ".replica")).body.state === "suspicious");
  it.behave = undefined;
  await until(async () => (await operate("GET", ".replica")).body.state === "live", 40);
  const lost = [...it.store.Users].slice(0, 50);
  for (const [id] of lost) it.store.Users.delete(id);
  await operate("POST", ".resync");
  const status = await until(async () => {
    const { body } = await operate("GET", ".replica");
    return body.state === "suspicious" && body;
  });
  assert.deepEqual(status.brake.suspicion.users, { wouldRemove: 50, of: 100 });
  assert.equal(await total(client), 100);
  assert.ok(isHit(await client.get("/Users/u0")));
  // What changes meanwhile is taken over all the same.
  it.store.Users.get("u99").title = "changed behind";
  await until(async () => (await client.get("/Users/u99")).body.title === "changed behind", 40);
  // An operator knows better: it is let through, and no more than that.
  const let1 = await operate("POST", ".brake", { letThrough: "once" });
  assert.equal(let1.body.letThrough.removals, 50);
  await until(async () => (await total(client)) === 50, 40);
  await until(async () => (await operate("GET", ".replica")).body.state === "live", 40);
});

test("brake: what is deleted at the origin below the limit goes as before, whatever it is", async (t) => {
  const { it, client, operate } = await behind(t, 100);
  for (const id of ["u1", "u2", "u3"]) it.store.Users.delete(id);
  await operate("POST", ".resync");
  await until(async () => (await total(client)) === 97, 40);
  assert.equal((await operate("GET", ".brake")).body.lastHour.users.deleted, 3);
  assert.equal((await operate("GET", ".replica")).body.state, "live");
  // Lists that leave out more than the limit, of an origin that has them: nothing is removed, nothing is suspicious.
  it.behave = ({ method, url }) => {
    if (method !== "GET" || !url.startsWith("/scim/Users?")) return undefined;
    const { searchParams } = new URL(url, it.url);
    const start = Number(searchParams.get("startIndex")) - 1;
    const shown = [...it.store.Users.values()].slice(0, 50);
    const page = shown.slice(start, start + Number(searchParams.get("count")));
    return { body: { totalResults: 50, startIndex: start + 1, itemsPerPage: page.length, Resources: page } };
  };
  await operate("POST", ".resync");
  await until(async () => (await operate("GET", ".replica")).body.pass === null);
  assert.equal((await operate("GET", ".replica")).body.state, "live");
  assert.equal(await total(client), 97);
});

test("brake: window and suspicion survive a kill", async (t) => {
  const first = await start();
  const { folder } = first;
  const it = await origin(80);
  t.after(() => it.stop());
  const client = await first.account("killed");
  const ids = await populate(client, 60);
  for (const id of ids.slice(0, 20)) await client.call("DELETE", `/Users/${id}`);
  const copy = await first.account("copied", { scim_origin_url: it.base, scim_replica_max_staleness_seconds: "30" });
  await until(async () => isHit(await copy.get("/Users?count=1")));
  it.store.Users.clear();
  const ask = async (at, account) => (await fetch(`${at.url}/ng/api/scim/account/${account}/.replica`, { headers: { "x-api-key": first.rootKey } })).json();
  await fetch(`${first.url}/ng/api/scim/account/copied/.resync`, { method: "POST", headers: { "x-api-key": first.rootKey } });
  await until(async () => (await ask(first, "copied")).state === "suspicious");
  const token = await first.admin("killed").mint("provisioner");
  await sleep(2_500);
  for (const pid of first.workerd) process.kill(pid, "SIGKILL");
  await first.stop({ keepState: true }).catch(() => {});
  const second = await start({ state: folder });
  t.after(() => second.stop());
  const again = scim(second.url, "killed", token);
  await until(async () => (await again.get("/Users?count=0")).status === 200);
  assert.equal((await again.call("DELETE", `/Users/${ids[20]}`)).status, 429);
  const status = await ask(second, "copied");
  assert.deepEqual([status.state, status.users], ["suspicious", 80]);
});

/** A second service account of an account, in a mode. */
async function inMode(account, mode, role = "_scim_provisioner") {
  const calls = gateway.admin(account);
  await calls.data("POST", "/ng/api/serviceaccount", { identifier: "new_idp", name: "New", mode });
  await calls.serviceAccount("new_idp", role);
  return { calls, token: await calls.mint("new_idp"), idp: gateway.scim(account, await calls.mint("new_idp")) };
}

test("mode append-only: an identity provider being tried adds and changes, and removes nothing", async () => {
  const { account, client, ids, operate } = await record(5);
  const group = await client.call("POST", "/Groups", { schemas: [GROUP], displayName: "G", members: ids.slice(0, 2).map((value) => ({ value })) });
  const { idp } = await inMode(account, "append-only");
  assert.equal((await idp.call("POST", "/Users", { schemas: [USER], userName: "added" })).status, 201);
  const set = (value) => ({ schemas: [PATCH], Operations: [{ op: "replace", path: "title", value }] });
  assert.equal((await idp.call("PATCH", `/Users/${ids[0]}`, set("a"))).status, 200);
  assert.equal((await idp.call("PATCH", `/Users/${ids[0]}`, set("b"))).status, 200);
  const add = { schemas: [PATCH], Operations: [{ op: "add", path: "members", value: [{ value: ids[2] }] }] };
  assert.equal((await idp.call("PATCH", `/Groups/${group.body.id}`, add)).status, 200);
  const removals = [
    ["DELETE", `/Users/${ids[0]}`],
    ["DELETE", `/Groups/${group.body.id}`],
    ["PATCH", `/Users/${ids[0]}`, off],
    ["PATCH", `/Users/${ids[0]}`, { schemas: [PATCH], Operations: [{ op: "remove", path: "title" }] }],
    ["PUT", `/Users/${ids[0]}`, { schemas: [USER], userName: "user0", active: true }],
    ["PATCH", `/Groups/${group.body.id}`, { schemas: [PATCH], Operations: [{ op: "remove", path: `members[value eq "${ids[0]}"]` }] }],
    ["PUT", `/Groups/${group.body.id}`, { schemas: [GROUP], displayName: "G", members: [] }],
  ];
  for (const [method, path, body] of removals) {
    const refused = await idp.call(method, path, body);
    assert.equal(refused.status, 403, `${method} ${path}`);
    assert.match(refused.body.detail, /append-only/);
  }
  const bulk = await idp.call("POST", "/Bulk", { schemas: [BULK], Operations: [{ method: "DELETE", path: `/Users/${ids[1]}` }] });
  assert.equal(bulk.body.Operations[0].status, "403");
  assert.equal((await client.get(`/Groups/${group.body.id}`)).body.members.length, 3);
  assert.equal(await total(client), 6);
  const audit = await operate("GET", ".audit?principal=new_idp&outcome=failed&operation=user.delete");
  assert.equal(audit.body.entries.at(-1).reason, "append-only");
});

test("mode append-only: in front of an origin, what the origin has decides", async (t) => {
  const { it, account } = await behind(t, 5);
  const { idp } = await inMode(account, "append-only");
  it.store.Users.get("u0").title = "set behind the copy";
  const writes = () => it.requests.filter(({ method }) => method !== "GET").length;
  const before = writes();
  for (const [method, body] of [
    ["DELETE", undefined],
    ["PATCH", off],
    ["PUT", { schemas: [USER], userName: "user0@example.com", active: true }],
  ]) {
    const refused = await idp.call(method, "/Users/u0", body);
    assert.equal(refused.status, 403, method);
    assert.match(refused.body.detail, /append-only/);
  }
  assert.equal(writes(), before);
  const put = await idp.call("PUT", "/Users/u0", { schemas: [USER], userName: "user0@example.com", active: true, title: "other" });
  assert.equal(put.status, 200);
  assert.equal(it.store.Users.get("u0").title, "other");
});

test("mode shadow: writes are answered as they would be, recorded, and change nothing by any way", async () => {
  const { account, client, ids, operate } = await record(60);
  const { idp } = await inMode(account, "shadow", "_account_admin");
  const state = async () => JSON.stringify([(await client.get("/Users?count=200")).body.Resources, (await client.get("/Groups")).body]);
  const before = await state();
  const made = await idp.call("POST", "/Users", { schemas: [USER], userName: "shadowed" });
  assert.equal(made.status, 201);
  assert.equal((await idp.get(`/Users/${made.body.id}`)).status, 404);
  assert.equal((await idp.call("POST", "/Users", { schemas: [USER], userName: "user1" })).status, 409);
  assert.equal((await idp.call("POST", "/Users", { schemas: [USER] })).status, 400);
  assert.equal((await idp.call("PATCH", `/Users/${ids[0]}`, off)).body.active, false);
  assert.equal((await idp.call("PUT", `/Users/${ids[0]}`, { schemas: [USER], userName: "renamed" })).body.userName, "renamed");
  for (const id of ids) assert.equal((await idp.call("DELETE", `/Users/${id}`)).status, 204);
  const bulk = await idp.call("POST", "/Bulk", {
    schemas: [BULK],
    Operations: [
      { method: "POST", path: "/Users", bulkId: "a", data: { schemas: [USER], userName: "bulked" } },
      { method: "POST", path: "/Groups", bulkId: "g", data: { schemas: [GROUP], displayName: "G", members: [{ value: "bulkId:a" }] } },
      { method: "DELETE", path: `/Users/${ids[3]}` },
    ],
  });
  assert.deepEqual(bulk.body.Operations.map(({ status }) => status), ["201", "201", "204"]);
  for (const method of ["PUT", "PATCH", "DELETE"]) assert.ok((await idp.call(method, "/Me", method === "DELETE" ? undefined : off)).status >= 400);
  const search = { schemas: ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], filter: 'userName eq "user1"' };
  assert.equal((await idp.call("POST", "/Users/.search", search)).body.totalResults, 1);
  const urn = "urn:example:shadow";
  await idp.call("PUT", `/Schemas/${urn}`, { id: urn, name: "S", resourceType: "User", attributes: [{ name: "z", type: "string" }] });
  assert.equal((await client.get(`/Schemas/${urn}`)).status, 404);
  assert.equal(await state(), before);
  const { body: brake } = await operate("GET", ".brake");
  assert.deepEqual([brake.lastHour.users.deleted, brake.stopped], [0, null]);
  const { body: audit } = await operate("GET", ".audit?outcome=shadow&count=1000");
  assert.ok(audit.entries.length >= 66 && audit.entries.every(({ principal, outcome }) => principal === "new_idp" && outcome === "shadow"));
});

test("mode shadow: nothing is sent to an origin, and the answer is made of the copy", async (t) => {
  const { it, account, client } = await behind(t, 60);
  const { idp } = await inMode(account, "shadow");
  const before = it.requests.filter(({ method }) => method !== "GET").length;
  assert.equal((await idp.call("POST", "/Users", { schemas: [USER], userName: "shadowed" })).status, 201);
  assert.equal((await idp.call("POST", "/Users", { schemas: [USER], userName: "user1@example.com" })).status, 409);
  assert.equal((await idp.call("PATCH", "/Users/u1", off)).body.active, false);
  assert.equal((await idp.call("DELETE", "/Users/u1")).status, 204);
  assert.equal((await idp.call("DELETE", "/Users/nobody")).status, 404);
  const bulk = await idp.call("POST", "/Bulk", { schemas: [BULK], Operations: [{ method: "DELETE", path: "/Users/u2" }] });
  assert.equal(bulk.body.Operations[0].status, "204");
  assert.equal(it.requests.filter(({ method }) => method !== "GET").length, before);
  assert.equal((await client.get("/Users/u1")).body.active, true);
  assert.equal(await total(client), 60);
});

test("mode: nobody lifts his own, or one that gives back more than he has", async () => {
  const { account } = await record(1);
  const { calls, token } = await inMode(account, "shadow", "_account_admin");
  const own = (method, path, body) =>
    fetch(`${gateway.url}${path}?accountIdentifier=${account}`, {
      method,
      headers: { "x-api-key": token, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const normal = { identifier: "new_idp", name: "New", mode: "normal" };
  const refused = await own("PUT", "/ng/api/serviceaccount/new_idp", normal);
  assert.equal(refused.status, 403);
  assert.match((await refused.json()).message, /shadow/);
  assert.equal((await own("POST", "/ng/api/token", { apiKeyType: "USER" })).status, 403);
  assert.equal((await operator(account, token)("POST", ".resync")).status, 403);
  assert.equal((await operator(account, token)("POST", ".brake", { letThrough: "once", removals: 1 })).status, 403);
  await calls.data("POST", "/authz/api/roles", { identifier: "editor", name: "E", permissions: ["core_serviceaccount_edit", "core_serviceaccount_view"] });
  await calls.serviceAccount("editor", "editor");
  const editor = await calls.mint("editor");
  const lifted = await fetch(`${gateway.url}/ng/api/serviceaccount/new_idp?accountIdentifier=${account}`, {
    method: "PUT",
    headers: { "x-api-key": editor, "content-type": "application/json" },
    body: JSON.stringify(normal),
  });
  assert.equal(lifted.status, 403);
  assert.equal((await calls.data("PUT", "/ng/api/serviceaccount/new_idp", normal)).mode, "normal");
});
