// The copy of an origin: what changes behind the gateway is found, and what operators can do about it.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { GROUP, PATCH, USER, isHit, sleep, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const gateway = await start();
after(() => gateway.stop());

let accounts = 0;

/** Calls of an operator on an account. */
function operator(account, key = gateway.rootKey) {
  return async (method, call, body) => {
    const response = await fetch(`${gateway.url}/ng/api/scim/account/${account}/${call}`, {
      method,
      headers: { "x-api-key": key, ...(body && { "content-type": "application/json" }) },
      body: body && JSON.stringify(body),
    });
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
}

/** An account in front of an origin, filled, and its operator. */
async function behind(t, it, settings = {}) {
  t.after(() => it.stop());
  accounts += 1;
  const account = `copy${accounts}`;
  const client = await gateway.account(account, { scim_origin_url: it.base, ...settings });
  await until(async () => isHit(await client.get("/Users?count=1")));
  return { account, client, operate: operator(account) };
}

/** An origin whose resources say when they were modified, and which finds them by that. */
async function timed(people) {
  const times = new Map();
  const old = "2020-01-01T00:00:00Z";
  const shows = (shown) => ({ ...shown, meta: { ...shown.meta, lastModified: times.get(shown.id) ?? old } });
  const it = await origin(people, { shows });
  it.filtered = [];
  it.touch = (id) => times.set(id, new Date().toISOString());
  it.behave = ({ method, url }) => {
    const { pathname, searchParams } = new URL(url, it.url);
    const since = /^meta\.lastModified gt "(.+)"$/.exec(searchParams.get("filter"))?.[1];
    const all = it.store[pathname.split("/")[2]];
    if (method !== "GET" || !since || !all) return undefined;
    const found = [...all.values()].map((one) => shows({ ...one, meta: {} })).filter(({ meta }) => new Date(meta.lastModified) > new Date(since));
    it.filtered.push({ url, found: found.length });
    return { body: { totalResults: found.length, startIndex: 1, itemsPerPage: found.length, Resources: found } };
  };
  return it;
}

test("the state of a copy, for those who may see it", async (t) => {
  const it = await origin(3);
  const { account, operate } = await behind(t, it);
  const answer = await operate("GET", ".replica");
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), "application/json");
  const { origin: about, ...copy } = answer.body;
  assert.deepEqual([copy.mode, copy.state, copy.users, copy.groups, copy.fill, copy.unknownOutcomes], ["copy", "live", 3, 0, null, 0]);
  assert.equal(copy.maxStalenessSeconds, 900);
  assert.ok(copy.ageSeconds >= 0 && copy.syncedAt > 0);
  assert.deepEqual(about, { host: new URL(it.url).host, health: "up", circuit: "closed", failures: 0, retryAt: null });
  const calls = gateway.admin(account);
  await calls.serviceAccount("viewer", "_account_viewer");
  const [viewer, provisioner] = [await calls.mint("viewer"), await calls.mint("provisioner")];
  // Its own key is known to every isolate at once where there is one isolate.
  assert.equal((await operator(account, viewer)("GET", ".replica")).status, 200);
  assert.equal((await operator(account, viewer)("POST", ".resync")).status, 403);
  assert.equal((await operator(account, provisioner)("GET", ".replica")).status, 403);
  assert.equal((await operator(account, "sat.x.y.z")("GET", ".replica")).status, 401);
  assert.equal((await operator("nobody")("GET", ".replica")).status, 401);
});

test("a system of record has nothing to copy from", async () => {
  await gateway.account("record");
  const operate = operator("record");
  const { body } = await operate("GET", ".replica");
  assert.deepEqual([body.mode, body.state, body.origin, body.lastCheck], ["record", "live", null, null]);
  for (const call of [".resync", ".check", ".changes"]) {
    const refused = await operate("POST", call, { resources: [] });
    assert.equal(refused.status, 409, call);
    assert.equal(refused.body.status, "409");
  }
});

test("the first fill tells how far it is", async (t) => {
  const it = await origin(250);
  t.after(() => it.stop());
  let hold = true;
  it.behave = async ({ url }) => {
    const start = Number(new URL(url, it.url).searchParams.get("startIndex"));
    while (hold && start > 150) await sleep(50);
  };
  const client = await gateway.account("progress", { scim_origin_url: it.base });
  await client.get("/Users?count=1");
  const filling = await until(async () => {
    const { body } = await operator("progress")("GET", ".replica");
    return body.fill?.copied >= 199 && body;
  });
  assert.equal(filling.state, "filling");
  assert.equal(filling.fill.total, 250);
  assert.ok(filling.fill.startedAt > 0 && filling.fill.perSecond >= 0);
  hold = false;
  await until(async () => (await operator("progress")("GET", ".replica")).body.state === "live");
});

test("another origin is copied at once, not when the next pass over the old one was due", async (t) => {
  const [old, other] = [await origin(3), await origin(2)];
  t.after(() => other.stop());
  const { account, client, operate } = await behind(t, old);
  await gateway.admin(account).set({ scim_origin_url: other.base }, { replace: true });
  await until(async () => {
    const answer = await client.get("/Users?count=1");
    return isHit(answer) && answer.body.totalResults === 2;
  });
  assert.equal((await operate("GET", ".replica")).body.origin.host, new URL(other.url).host);
});

test("changes are found by their time where the origin finds them so, deletions by counting", async (t) => {
  const it = await timed(250);
  const { client, operate } = await behind(t, it, { scim_replica_max_staleness_seconds: "30" });
  const pages = () => it.requests.filter(({ url }) => url.startsWith("/scim/Users?startIndex=") && url.includes("count=100") && !url.includes("filter")).length;
  // Once a whole pass has proved that the origin filters by time, only changes are read.
  await until(async () => it.filtered.some(({ url, found }) => url.includes("9000-") && found === 0), 40);
  await until(async () => (await operate("GET", ".replica")).body.pass === null);
  const before = pages();
  it.store.Users.get("u7").title = "changed behind";
  it.touch("u7");
  it.store.Users.set("late", { schemas: [USER], id: "late", userName: "late", active: true });
  it.touch("late");
  await until(async () => (await client.get("/Users/u7")).body.title === "changed behind", 30);
  assert.ok(isHit(await client.get("/Users/late")));
  assert.equal(pages(), before, "nothing but the changes was read");
  it.store.Users.delete("u8");
  await until(async () => (await client.get("/Users/u8")).status === 404, 30);
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 250);
});

test("an origin that ignores filters is read whole", async (t) => {
  const it = await origin(3);
  const { client } = await behind(t, it, { scim_replica_max_staleness_seconds: "30" });
  it.store.Users.get("u1").title = "changed behind";
  await until(async () => (await client.get("/Users/u1")).body.title === "changed behind", 40);
});

test("a check reports what differs, and changes nothing; a resync mends it", async (t) => {
  const it = await origin(120);
  const { client, operate } = await behind(t, it);
  const group = await client.call("POST", "/Groups", { schemas: [GROUP], displayName: "G", members: [{ value: "u1" }] });
  const checked = async () => {
    const before = (await operate("GET", ".replica")).body.lastCheck?.at ?? 0;
    assert.equal((await operate("POST", ".check")).status, 202);
    return until(async () => {
      const { lastCheck } = (await operate("GET", ".replica")).body;
      return lastCheck?.at > before && lastCheck;
    });
  };
  const { at, ...clean } = await checked();
  assert.ok(at > 0);
  const counts = { users: { here: 120, origin: 120 }, groups: { here: 1, origin: 1 } };
  assert.deepEqual(clean, { ...counts, missing: [], extra: [], different: [], complete: true });
  it.store.Users.delete("u3");
  it.store.Users.get("u4").title = "changed behind";
  it.store.Users.set("new", { schemas: [USER], id: "new", userName: "new", active: true });
  it.store.Groups.get(group.body.id).members = [{ value: "u2" }];
  const found = await checked();
  assert.deepEqual(found.missing, [{ type: "User", id: "new" }]);
  assert.deepEqual(found.extra, [{ type: "User", id: "u3" }]);
  assert.deepEqual(found.different, [{ type: "User", id: "u4" }, { type: "Group", id: group.body.id }]);
  assert.equal((await client.get("/Users/u3")).status, 200);
  // The old copy answers while the new one is made.
  assert.equal((await operate("POST", ".resync", { confirm: "replace 120 users and 1 group" })).status, 202);
  assert.ok(isHit(await client.get("/Users/u5")));
  await until(async () => (await client.get("/Users/u3")).status === 404);
  await until(async () => {
    const { pass, switch: under } = (await operate("GET", ".replica")).body;
    return pass === null && under === null;
  });
  const { missing, extra, different } = await checked();
  assert.deepEqual([missing, extra, different], [[], [], []]);
  assert.equal((await client.get("/Users/u2")).body.groups[0].value, group.body.id);
});

test("what the origin says has changed is refreshed at once", async (t) => {
  const it = await timed(5);
  const { client, operate } = await behind(t, it);
  it.store.Users.get("u0").title = "changed behind";
  it.store.Users.delete("u1");
  const shown = (id, title, lastModified) => ({ schemas: [USER], id, userName: `user${id.slice(1)}@example.com`, title, active: true, meta: { lastModified } });
  const reads = (id) => it.requests.filter(({ method, url }) => method === "GET" && url.endsWith(`/Users/${id}`)).length;
  const answer = await operate("POST", ".changes", {
    resources: [
      { type: "User", id: "u0" },
      { type: "User", id: "u1" },
      { type: "User", resource: shown("u2", "sent whole", "2021-01-01T00:00:00Z") },
      // As old as what is here: the origin is asked instead.
      { type: "User", resource: shown("u3", "not so", "2020-01-01T00:00:00Z") },
      // Not here: it may have been deleted since it was sent.
      { type: "User", resource: shown("ghost", "not so", "2021-01-01T00:00:00Z") },
      { type: "Device", id: "d" },
    ],
  });
  assert.equal(answer.status, 200);
  const { failed, ...done } = answer.body;
  assert.deepEqual(done, { refreshed: 3, removed: 2 });
  assert.deepEqual(failed.map(({ type, id }) => [type, id]), [["Device", "d"]]);
  assert.equal((await client.get("/Users/u0")).body.title, "changed behind");
  assert.equal((await client.get("/Users/u1")).status, 404);
  assert.equal((await client.get("/Users/u2")).body.title, "sent whole");
  assert.equal((await client.get("/Users/u3")).body.title, undefined);
  assert.equal((await client.get("/Users/ghost")).status, 404);
  assert.deepEqual([reads("u2"), reads("u3")], [0, 1]);
  for (const body of [{}, { resources: {} }, { resources: Array.from({ length: 1001 }, () => ({ type: "User", id: "u0" })) }]) {
    assert.equal((await operate("POST", ".changes", body)).status, 400);
  }
  it.behave = () => ({ status: 500, body: {} });
  const unread = await operate("POST", ".changes", { resources: [{ type: "User", id: "u0" }] });
  assert.equal(unread.body.failed[0].id, "u0");
  assert.equal((await client.get("/Users/u0")).body.title, "changed behind");
});

test("a resource that is sent while it is written does not overwrite the write", async (t) => {
  const it = await timed(2);
  const { client, operate } = await behind(t, it);
  const answer = it.behave;
  it.behave = async (request) => {
    if (request.method !== "PATCH") return answer(request);
    await sleep(500);
    it.touch("u0");
    return undefined;
  };
  const patch = { schemas: [PATCH], Operations: [{ op: "replace", path: "title", value: "written" }] };
  const writing = client.call("PATCH", "/Users/u0", patch);
  await until(() => it.requests.some(({ method }) => method === "PATCH"));
  const sent = { schemas: [USER], id: "u0", userName: "user0@example.com", title: "sent", meta: { lastModified: "2021-01-01T00:00:00Z" } };
  await Promise.all([writing, operate("POST", ".changes", { resources: [{ type: "User", resource: sent }] })]);
  assert.equal((await client.get("/Users/u0")).body.title, "written");
});
