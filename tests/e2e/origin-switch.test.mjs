// Switches of the origin: nothing is lost by a mistyped URL, a wrong credential, a slip or a kill.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { who } from "../../js/torture/who.mjs";
import { GROUP, PATCH, USER, isHit, sleep, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const gateway = await start();
after(() => gateway.stop());

let accounts = 0;

/** An operator's call. */
function operator(account, of = gateway, key = of.rootKey) {
  return async (method, call, body) => {
    const response = await fetch(`${of.url}/ng/api/scim/account/${account}/${call}`, {
      method,
      headers: { "x-api-key": key, ...(body && { "content-type": "application/json" }) },
      body: body && JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };
}

/** Changes settings; the answer to each. `confirm` goes with the change of the origin. */
async function put(account, values, { confirm, query = "", of = gateway } = {}) {
  const changes = Object.entries(values).map(([identifier, value]) => ({
    identifier,
    value,
    updateType: value === null ? "RESTORE" : "UPDATE",
    ...(identifier === "scim_origin_url" && confirm !== undefined && { confirm }),
  }));
  return of.admin(account).data("PUT", `/ng/api/settings${query}`, changes);
}

const setting = async (account, identifier) => (await gateway.admin(account).data("GET", `/ng/api/settings/${identifier}`)).value;

/** A system of record with three users, two of them in a group. */
async function record(of = gateway) {
  accounts += 1;
  const account = `switch${accounts}`;
  const client = await of.account(account);
  const ids = [];
  for (let n = 0; n < 3; n += 1) ids.push((await client.call("POST", "/Users", { schemas: [USER], userName: `old${n}` })).body.id);
  const members = ids.slice(0, 2).map((value) => ({ value }));
  await client.call("POST", "/Groups", { schemas: [GROUP], displayName: "Old", members });
  return { account, client, ids, operate: operator(account, of), confirm: "replace 3 users and 1 group" };
}

/** A copy of an origin, complete. */
async function copy(t, it, settings = {}) {
  t.after(() => it.stop());
  accounts += 1;
  const account = `switch${accounts}`;
  const client = await gateway.account(account, { scim_origin_url: it.base, ...settings });
  await until(async () => isHit(await client.get("/Users?count=1")));
  return { account, client, operate: operator(account) };
}

const names = async (client) => {
  const { body } = await client.get("/Users?sortBy=userName&count=50");
  return body.Resources.map((one) => one.userName);
};
const OLD = ["old0", "old1", "old2"];
const NEW = ["user0@example.com", "user1@example.com"];

const replica = async (operate) => (await operate("GET", ".replica")).body;

/** Waits until no switch is under way, and returns the state. */
const settled = (operate) =>
  until(async () => {
    const state = await replica(operate);
    return state.switch === null && state;
  });

const patch = (client, id, title) =>
  client.call("PATCH", `/Users/${id}`, { schemas: [PATCH], Operations: [{ op: "replace", path: "title", value: title }] });

test("origin switch: a mistyped URL, a wrong credential or an origin that is down is the answer, and nothing changes", async (t) => {
  const { account, client, confirm, operate } = await record();
  const it = await origin(2);
  t.after(() => it.stop());
  const gone = await origin(0);
  await gone.stop();
  const refused = async (values, sentence) => {
    const [answer, ...others] = await put(account, values, { confirm });
    assert.equal(answer.updateStatus, false);
    assert.match(answer.errorMessage, sentence);
    for (const other of others) assert.match(other.errorMessage, /not set, since the scim_origin_url in the same request was refused/);
    assert.deepEqual(await names(client), OLD);
    assert.equal(await setting(account, "scim_origin_url"), null);
    const state = await replica(operate);
    assert.deepEqual([state.mode, state.switch], ["record", null]);
  };
  await refused({ scim_origin_url: gone.base }, /^http:.*\/ServiceProviderConfig could not be reached$/);
  await refused({ scim_origin_url: `${it.base}/typo` }, /\/typo\/Users has nothing there \(404\)/);
  it.behave = ({ headers }) => (headers.authorization === "Bearer right" ? undefined : { status: 401, body: { detail: "SECRET" } });
  await refused({ scim_origin_url: it.base, scim_origin_authorization: "Bearer wrong" }, /does not accept scim_origin_authorization/);
  assert.equal(await setting(account, "scim_origin_authorization"), null);
  it.behave = () => ({ status: 500, body: { detail: "SECRET" } });
  await refused({ scim_origin_url: it.base }, /^http:.*\/ServiceProviderConfig answered 500$/);
  it.behave = () => ({ status: 302, headers: { location: "http://127.0.0.1:1/" } });
  await refused({ scim_origin_url: it.base }, /redirect/);
  it.behave = () => ({ status: 200, body: "<html>sign in</html>" });
  await refused({ scim_origin_url: it.base }, /no SCIM message/);
});

test("origin switch: the first origin of an empty directory is asked too", async (t) => {
  accounts += 1;
  const gone = await origin(0);
  await gone.stop();
  await gateway.account(`switch${accounts}`);
  const [answer] = await put(`switch${accounts}`, { scim_origin_url: gone.base });
  assert.match(answer.errorMessage, /could not be reached/);
  const it = await origin(2);
  t.after(() => it.stop());
  const [done] = await put(`switch${accounts}`, { scim_origin_url: it.base });
  assert.deepEqual([done.updateStatus, done.switch.effect, done.switch.confirm], [true, "fill", null]);
});

test("origin switch: what would be replaced has to be confirmed by its numbers, and a dry run tells them", async (t) => {
  const { account, client, confirm } = await record();
  const it = await origin(2);
  t.after(() => it.stop());
  for (const wrong of [undefined, "", "yes", "replace 2 users and 1 group", "replace 3 users and 2 groups", 7]) {
    const [answer] = await put(account, { scim_origin_url: it.base }, { confirm: wrong });
    assert.equal(answer.updateStatus, false, wrong);
    assert.match(answer.errorMessage, /replaces 3 users and 1 group by what 127\.0\.0\.1:\d+ has \(2 users and 0 groups\).*send "confirm": "replace 3 users and 1 group"$/);
    assert.equal(answer.switch.confirm, confirm);
  }
  const [dry] = await put(account, { scim_origin_url: it.base }, { confirm, query: "?dryRun=true" });
  assert.equal(dry.updateStatus, true);
  const { consequence, ...told } = dry.switch;
  assert.match(consequence, /^This replaces 3 users and 1 group /);
  assert.deepEqual(told, { effect: "replace", replaces: { users: 3, groups: 1 }, keptDays: 30, origin: { users: 2, groups: 0 }, confirm, refused: null });
  assert.equal(await setting(account, "scim_origin_url"), null);
  // A form that checks what is being typed asks nobody.
  const before = it.requests.length;
  const [typed] = await put(account, { scim_origin_url: it.base }, { query: "?dryRun=true&ask=false" });
  assert.deepEqual([typed.updateStatus, typed.switch, it.requests.length], [true, undefined, before]);
  assert.deepEqual(await names(client), OLD);
  const [done] = await put(account, { scim_origin_url: it.base }, { confirm });
  assert.equal(done.updateStatus, true, done.errorMessage);
  await until(async () => (await names(client)).length === 2);
});

test("origin switch: the record answers and takes writes until the new copy is complete, and can be put back", async (t) => {
  const { account, client, ids, operate, confirm } = await record();
  const it = await origin(250);
  t.after(() => it.stop());
  let hold = true;
  it.behave = async ({ url }) => {
    while (hold && Number(new URL(url, it.url).searchParams.get("startIndex")) > 150) await sleep(20);
  };
  await put(account, { scim_origin_url: it.base }, { confirm });
  const filling = await until(async () => {
    const { switch: under } = await replica(operate);
    return under?.copied >= 199 && under;
  });
  assert.deepEqual([filling.phase, filling.reason, filling.total, filling.failures], ["filling", "change", 250, 0]);
  assert.deepEqual(await names(client), OLD);
  assert.equal((await client.get(`/Users/${ids[0]}`)).body.groups[0].display, "Old");
  assert.equal((await client.call("POST", "/Users", { schemas: [USER], userName: "during" })).status, 201);
  assert.equal((await patch(client, ids[2], "changed meanwhile")).status, 200);
  assert.equal((await replica(operate)).mode, "record");
  hold = false;
  const after = await settled(operate);
  assert.deepEqual([after.mode, after.users, after.groups, after.state], ["copy", 250, 0, "live"]);
  assert.ok(isHit(await client.get("/Users/u7")));
  assert.ok(it.requests.every(({ method }) => method === "GET"), "no write of the record went to the origin");
  const [kept] = after.kept;
  assert.deepEqual([kept.mode, kept.users, kept.groups, kept.host], ["record", 4, 1, null]);
  assert.equal(Math.round((kept.until - kept.since) / 86_400_000), 30);
  assert.equal(kept.confirm, "put back 4 users and 1 group in place of 250 users and 0 groups");
  // Undone: everything is there, what was written meanwhile too.
  const asked = await operate("POST", ".undo");
  assert.deepEqual([asked.status, asked.body.confirm], [409, kept.confirm]);
  assert.equal((await operate("POST", ".undo", { confirm: "put back 4 users and 1 group in place of 1 user and 0 groups" })).status, 409);
  const dry = await operate("POST", ".undo?dryRun=true");
  assert.deepEqual([dry.status, dry.body.effect, dry.body.replaces], [200, "putBack", { users: 250, groups: 0 }]);
  assert.equal((await operate("POST", ".undo", { confirm: kept.confirm })).status, 202);
  const undone = await settled(operate);
  assert.deepEqual([undone.mode, undone.users], ["record", 4]);
  assert.deepEqual(await names(client), ["during", ...OLD]);
  assert.equal((await client.get(`/Users/${ids[2]}`)).body.title, "changed meanwhile");
  assert.equal((await client.get(`/Users/${ids[0]}`)).body.groups[0].display, "Old");
  assert.equal(await setting(account, "scim_origin_url"), null);
  assert.equal((await patch(client, ids[0], "written after")).status, 200);
  // The undo is undone: the origin, which answers, is copied again.
  it.store.Users.get("u4").title = "later";
  const again = undone.kept[0].confirm;
  assert.equal(again, "put back 250 users and 0 groups in place of 4 users and 1 group");
  assert.equal((await operate("POST", ".undo", { confirm: again })).status, 202);
  const back = await settled(operate);
  assert.deepEqual([back.mode, back.users], ["copy", 250]);
  assert.equal((await client.get("/Users/u4")).body.title, "later");
  assert.equal(await setting(account, "scim_origin_url"), it.base);
  assert.equal((await patch(client, "u3", "at the origin")).status, 204);
  assert.equal(it.store.Users.get("u3").title, "at the origin");
  assert.equal((await client.get("/Users/u3")).body.title, "at the origin");
  // Each of the two sides is still what it was.
  assert.equal((await operate("POST", ".undo", { confirm: back.kept[0].confirm })).status, 202);
  await settled(operate);
  assert.equal((await client.get(`/Users/${ids[0]}`)).body.title, "written after");
});

test("origin switch: .undo is for who may restore the directory", async () => {
  const { account, operate } = await record();
  const calls = gateway.admin(account);
  await calls.serviceAccount("viewer", "_account_viewer");
  const viewer = await calls.mint("viewer");
  assert.equal((await operator(account, gateway, viewer)("POST", ".undo")).status, 403);
  assert.equal((await operator(account, gateway, "sat.x.y.z")("POST", ".undo")).status, 401);
  const nothing = await operate("POST", ".undo");
  assert.equal(nothing.status, 409);
  assert.match(nothing.body.detail, /Nothing is kept/);
  assert.equal((await operate("POST", ".undo?dryRun=perhaps")).status, 400);
});

test("origin switch: an empty origin replaces only what was confirmed, and is undone", async (t) => {
  const { account, client, operate, confirm } = await record();
  const it = await origin(0);
  t.after(() => it.stop());
  const [answer] = await put(account, { scim_origin_url: it.base });
  assert.match(answer.errorMessage, /by what .* has \(0 users and 0 groups\)/);
  await put(account, { scim_origin_url: it.base }, { confirm });
  const { kept } = await settled(operate);
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 0);
  await operate("POST", ".undo", { confirm: kept[0].confirm });
  await settled(operate);
  assert.deepEqual(await names(client), OLD);
});

test("origin switch: an origin that fails leaves what was there, is shown, and is cancelled by the old value", async (t) => {
  const { account, client, operate, confirm } = await record();
  const it = await origin(250);
  t.after(() => it.stop());
  it.behave = ({ url }) => (url.includes("startIndex=199") ? { status: 503, body: { detail: "SECRET" } } : undefined);
  await put(account, { scim_origin_url: it.base }, { confirm });
  const failed = await until(async () => {
    const { switch: under } = await replica(operate);
    return under?.failures > 0 && under;
  });
  assert.match(failed.lastFailure, /^http:.*\/scim\/Users answered 503$/);
  assert.ok(failed.nextAttemptAt > Date.now() - 2_000);
  assert.deepEqual(await names(client), OLD);
  assert.equal((await client.call("POST", "/Users", { schemas: [USER], userName: "zoe" })).status, 201);
  const [cancelled] = await put(account, { scim_origin_url: null });
  assert.deepEqual([cancelled.updateStatus, cancelled.switch.effect], [true, "cancel"]);
  const state = await replica(operate);
  assert.deepEqual([state.mode, state.switch, state.kept], ["record", null, []]);
  const before = it.requests.length;
  await sleep(1_500);
  assert.equal(it.requests.length, before, "the origin is asked no more");
  assert.deepEqual(await names(client), [...OLD, "zoe"]);
});

test("origin switch: a copy goes on with its origin until another one is complete", async (t) => {
  const old = await origin(3);
  const { account, client, operate } = await copy(t, old);
  const it = await origin(250);
  t.after(() => it.stop());
  let hold = true;
  it.behave = async ({ url }) => {
    while (hold && Number(new URL(url, it.url).searchParams.get("startIndex")) > 150) await sleep(20);
  };
  await put(account, { scim_origin_url: it.base }, { confirm: "replace 3 users and 0 groups" });
  await until(async () => (await replica(operate)).switch?.copied >= 199);
  assert.ok(isHit(await client.get("/Users?count=0")));
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 3);
  assert.equal((await patch(client, "u0", "at the old origin")).status, 204);
  assert.equal(old.store.Users.get("u0").title, "at the old origin");
  assert.equal((await client.get("/Users/u0")).body.title, "at the old origin");
  assert.equal(it.store.Users.get("u0").title, undefined);
  hold = false;
  const after = await settled(operate);
  assert.deepEqual([after.users, after.origin.host, after.kept[0].host], [250, new URL(it.url).host, new URL(old.url).host]);
  assert.equal((await client.get("/Users/u0")).body.title, undefined);
  assert.equal((await patch(client, "u1", "at the new origin")).status, 204);
  assert.equal(it.store.Users.get("u1").title, "at the new origin");
});

test("origin switch: the same origin at another address is never behind what was acknowledged", async (t) => {
  const it = await origin(250);
  // The same store below another path.
  let hold = true;
  it.behave = async (request) => {
    const url = new URL(request.url, it.url);
    if (url.pathname.startsWith("/v2/")) {
      request.url = request.url.replace("/v2/", "/scim/");
      // The page has been made when the write comes.
      if (hold && Number(url.searchParams.get("startIndex")) > 150) while (hold) await sleep(20);
    }
  };
  const { account, client, operate } = await copy(t, it);
  await put(account, { scim_origin_url: `${it.url}/v2` }, { confirm: "replace 250 users and 0 groups" });
  await until(async () => (await replica(operate)).switch?.copied >= 199);
  // Read into the new tables already, and changed after that.
  assert.equal((await patch(client, "u5", "after its page")).status, 204);
  assert.equal((await client.call("DELETE", "/Users/u6")).status, 204);
  const made = await client.call("POST", "/Users", { schemas: [USER], userName: "made meanwhile" });
  assert.equal(made.status, 201);
  let last = "";
  const reads = [];
  const reader = (async () => {
    while (hold || (await replica(operate)).switch !== null) {
      const answer = await client.get("/Users/u5");
      reads.push(answer.body.title);
      const written = await patch(client, "u7", `t${reads.length}`);
      if (written.status === 204) last = `t${reads.length}`;
      else assert.equal(written.status, 503);
    }
  })();
  hold = false;
  await settled(operate);
  await reader;
  assert.ok(reads.length > 0 && reads.every((title) => title === "after its page"), String(reads));
  assert.equal((await client.get("/Users/u5")).body.title, "after its page");
  assert.equal((await client.get("/Users/u6")).status, 404);
  assert.ok(isHit(await client.get(`/Users/${made.body.id}`)));
  assert.equal((await client.get("/Users/u7")).body.title, last);
});

test("origin switch: writes are answered 503 only while the tables are exchanged", async (t) => {
  const old = await origin(3);
  const { account, client, operate } = await copy(t, old);
  const it = await origin(2);
  t.after(() => it.stop());
  // A write that takes its time at the old origin holds the exchange.
  let slow = true;
  old.behave = async ({ method }) => {
    while (method === "PATCH" && slow) await sleep(20);
  };
  const under = patch(client, "u0", "slow");
  await until(() => old.requests.some(({ method }) => method === "PATCH"));
  await put(account, { scim_origin_url: it.base }, { confirm: "replace 3 users and 0 groups" });
  let attempts = 0;
  const held = await until(async () => {
    attempts += 1;
    const answer = await client.call("POST", "/Users", { schemas: [USER], userName: `attempt${attempts}` });
    return answer.status === 503 && answer;
  });
  assert.equal(held.headers.get("content-type"), "application/scim+json");
  assert.ok(Number(held.headers.get("retry-after")) >= 1);
  assert.match(held.body.detail, /tables are being exchanged/);
  assert.ok(isHit(await client.get("/Users/u1")), "reads go on");
  slow = false;
  assert.equal((await under).status, 204);
  await settled(operate);
  assert.equal((await client.call("POST", "/Users", { schemas: [USER], userName: "after" })).status, 201);
  assert.ok([...it.store.Users.values()].some(({ userName }) => userName === "after"));
  assert.ok([...it.store.Users.values(), ...old.store.Users.values()].every(({ userName }) => userName !== `attempt${attempts}`), "a write that was answered 503 was not made");
});

test("origin switch: without an origin the copy becomes the record, after the words for it, and the undo copies again", async (t) => {
  const it = await origin(2);
  it.behave = ({ headers }) => (headers.authorization === "Bearer right" ? undefined : { status: 401, body: {} });
  const { account, client, operate } = await copy(t, it, { scim_origin_authorization: "Bearer right" });
  const [asked] = await put(account, { scim_origin_url: null });
  assert.equal(asked.updateStatus, false);
  assert.match(asked.errorMessage, /becomes the system of record: writes stay at the gateway/);
  assert.equal(asked.switch.confirm, "make the copy of 2 users and 0 groups the system of record");
  const [wrong] = await put(account, { scim_origin_url: null }, { confirm: "replace 2 users and 0 groups" });
  assert.equal(wrong.updateStatus, false);
  const [done] = await put(account, { scim_origin_url: null }, { confirm: asked.switch.confirm });
  assert.equal(done.updateStatus, true);
  assert.deepEqual(await names(client), NEW);
  assert.equal((await patch(client, "u0", "here")).status, 200);
  assert.equal(it.store.Users.get("u0").title, undefined);
  const state = await replica(operate);
  assert.deepEqual([state.mode, state.kept[0].mode, state.kept[0].number], ["record", "copy", null]);
  // The credential was not thrown away with a slip: the origin is put back with it.
  await put(account, { scim_origin_authorization: null });
  assert.equal((await operate("POST", ".undo", { confirm: state.kept[0].confirm })).status, 202);
  const back = await settled(operate);
  assert.deepEqual([back.mode, back.users, back.kept[0].mode], ["copy", 2, "record"]);
  assert.equal((await client.get("/Users/u0")).body.title, undefined, "the origin is the truth again");
  // What was written meanwhile is kept.
  await operate("POST", ".undo", { confirm: back.kept[0].confirm });
  await settled(operate);
  assert.equal((await client.get("/Users/u0")).body.title, "here");
});

test("origin switch: a resync fills beside the copy, after a confirmation, and can be cancelled and undone", async (t) => {
  const it = await origin(250);
  const { client, operate } = await copy(t, it);
  it.store.Users.delete("u3");
  it.store.Users.get("u4").title = "changed behind";
  const asked = await operate("POST", ".resync");
  assert.deepEqual([asked.status, asked.body.confirm], [409, "replace 250 users and 0 groups"]);
  assert.match(asked.body.detail, /\(249 users and 0 groups\)/);
  const dry = await operate("POST", ".resync?dryRun=true");
  assert.deepEqual([dry.status, dry.body.origin], [200, { users: 249, groups: 0 }]);
  let hold = true;
  it.behave = async ({ url }) => {
    while (hold && Number(new URL(url, it.url).searchParams.get("startIndex")) > 150) await sleep(20);
  };
  const { confirm } = asked.body;
  assert.equal((await operate("POST", ".resync", { confirm })).body.switch.reason, "resync");
  await until(async () => (await replica(operate)).switch?.copied >= 199);
  assert.equal((await client.get("/Users/u3")).status, 200, "the old copy answers");
  hold = false;
  const cancelled = await operate("POST", ".resync", { cancel: true });
  assert.deepEqual([cancelled.status, cancelled.body.switch], [200, null]);
  assert.equal((await client.get("/Users/u3")).status, 200);
  await operate("POST", ".resync", { confirm });
  const { kept } = await settled(operate);
  assert.equal((await client.get("/Users/u3")).status, 404);
  assert.equal((await client.get("/Users/u4")).body.title, "changed behind");
  assert.match((await operate("POST", ".undo")).body.detail, /as it is: it has nothing that has changed since/);
  assert.equal((await operate("POST", ".undo", { confirm: kept[0].confirm })).status, 202);
  // The old copy is as old as it is, and a pass brings it up to date.
  await until(async () => (await client.get("/Users/u3")).status === 404 && (await client.get("/Users/u4")).body.title === "changed behind");
  const down = await origin(0);
  await down.stop();
  it.behave = () => ({ status: 500 });
  const failed = await operate("POST", ".resync", { confirm });
  assert.equal(failed.status, 409);
  assert.match(failed.body.detail, /answered 500/);
});

test("origin switch: the copy of an origin that is gone is put back as it was", async (t) => {
  const old = await origin(3);
  const { account, client, operate } = await copy(t, old);
  const it = await origin(2);
  t.after(() => it.stop());
  await put(account, { scim_origin_url: it.base }, { confirm: "replace 3 users and 0 groups" });
  const { kept } = await settled(operate);
  await old.stop();
  const asked = await operate("POST", ".undo");
  assert.match(asked.body.detail, /does not answer now \(http:.* could not be reached\), as it is/);
  assert.equal((await operate("POST", ".undo", { confirm: kept[0].confirm })).status, 202);
  const after = await settled(operate);
  assert.deepEqual([after.mode, after.users, after.kept[0].users], ["copy", 3, 2]);
  const read = await client.get("/Users/u2");
  assert.ok(isHit(read) && Number(read.headers.get("age")) >= 0);
});

test("origin switch: passthrough has nobody to fill for, and the record is kept all the same", async (t) => {
  const { account, client, operate, confirm } = await record();
  const it = await origin(2);
  t.after(() => it.stop());
  it.behave = ({ headers }) => (headers.authorization ? undefined : { status: 401, body: {} });
  await put(account, { scim_origin_url: it.base, scim_origin_authorization: "passthrough" }, { confirm });
  const { kept } = await settled(operate);
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 2);
  await operate("POST", ".undo", { confirm: kept[0].confirm });
  await settled(operate);
  assert.deepEqual(await names(client), OLD);
});

test("origin switch: a deleted account takes every set of tables with it", async (t) => {
  const { account, operate, confirm } = await record();
  const it = await origin(2);
  t.after(() => it.stop());
  await put(account, { scim_origin_url: it.base }, { confirm });
  await settled(operate);
  await put(account, { scim_origin_url: null }, { confirm: "make the copy of 2 users and 0 groups the system of record" });
  assert.equal((await gateway.remove(account)).status, 200);
  const again = await gateway.account(account);
  const state = await replica(operate);
  assert.deepEqual([state.users, state.kept, state.switch], [0, [], null]);
  assert.equal((await again.get("/Users?count=0")).body.totalResults, 0);
});

/** Kills workerd and starts it again with the same data. */
async function killed(t, first) {
  for (const pid of first.workerd) process.kill(pid, "SIGKILL");
  await first.stop({ keepState: true }).catch(() => undefined);
  const next = await start({ state: first.folder });
  t.after(() => next.stop());
  return next;
}

test("origin switch: a kill in any phase leaves one set or the other, and the switch goes on", async (t) => {
  const it = await origin(250);
  t.after(() => it.stop());
  let first = await start();
  t.after(() => first.stop().catch(() => undefined));
  const { account, confirm } = await record(first);
  const key = await first.admin(account).mint("provisioner");
  let hold = 150;
  t.after(() => (hold = Number.MAX_SAFE_INTEGER));
  it.behave = async ({ url }) => {
    while (Number(new URL(url, it.url).searchParams.get("startIndex")) > hold) await sleep(20);
  };
  await put(account, { scim_origin_url: it.base }, { confirm, of: first });
  let operate = operator(account, first);
  await until(async () => (await replica(operate)).switch?.copied >= 199);
  // KV takes a write a second: an isolate that starts before it has the key would refuse it for half a minute.
  await sleep(3_000);
  // While it is filled.
  first = await killed(t, first);
  operate = operator(account, first);
  let client = first.scim(account, key);
  await until(async () => (await client.get("/Users?count=0")).status !== 401, 60);
  assert.deepEqual(await names(client), OLD);
  const pages = it.requests.filter(({ url }) => url.includes("startIndex=1&count=100")).length;
  // Around the exchange: whatever is found is whole.
  hold = Number.MAX_SAFE_INTEGER;
  for (let round = 0; round < 3; round += 1) {
    await sleep(150 * round);
    first = await killed(t, first);
    operate = operator(account, first);
    client = first.scim(account, key);
    const { body } = await client.get("/Users?count=0");
    const { mode, users } = await replica(operate);
    assert.ok([3, 250].includes(body.totalResults), `${body.totalResults}`);
    assert.deepEqual([mode, users].join(), users === 3 ? "record,3" : "copy,250");
  }
  const after = await settled(operate);
  assert.deepEqual([after.mode, after.users, after.kept[0].users], ["copy", 250, 3]);
  assert.equal(it.requests.filter(({ url }) => url.includes("Users?startIndex=1&count=100")).length <= pages + 1, true, "it went on where it was");
  // In the middle of an undo.
  await operate("POST", ".undo", { confirm: after.kept[0].confirm });
  first = await killed(t, first);
  operate = operator(account, first);
  client = first.scim(account, key);
  const undone = await settled(operate);
  assert.deepEqual([undone.mode, undone.users], ["record", 3]);
  assert.deepEqual(await names(client), OLD);
});

test("origin switch: copies near callers change with it, and never go back", async (t) => {
  const near = await start({ wrapper: who(), vars: { READ_COPIES: "weur" } });
  t.after(() => near.stop());
  const { account, client, operate, confirm } = await record(near);
  const it = await origin(2);
  t.after(() => it.stop());
  const europe = { "mf-cf-blob": JSON.stringify({ continent: "EU", longitude: "13.4" }) };
  const africa = { "mf-cf-blob": JSON.stringify({ continent: "AF" }) };
  const copied = () => until(async () => (await client.get("/Users?count=0", europe)).headers.get("x-by") === "weur");
  await copied();
  await put(account, { scim_origin_url: it.base }, { confirm, of: near });
  let isNew = false;
  while (!isNew || (await replica(operate)).switch !== null) {
    for (const place of [europe, africa]) {
      const { totalResults } = (await client.get("/Users?count=0", place)).body;
      assert.ok([2, 3].includes(totalResults) && !(isNew && totalResults === 3), `${totalResults}`);
      isNew ||= totalResults === 2;
    }
  }
  await copied();
  assert.equal((await client.get("/Users?count=0", europe)).body.totalResults, 2);
});
