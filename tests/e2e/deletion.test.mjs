// The deletion of an account: it asks for the name, nothing of the account answers, it can be undone for as long as the
// request says, and nothing comes back with the name once it is final.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { USER, isHit, sleep, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const gateway = await start();
after(() => gateway.stop());
const { remove, undelete } = gateway;

const user = (userName) => ({ schemas: [USER], userName });
const settings = (account) => gateway.admin(account).call("GET", "/ng/api/settings?category=SCIM");

test("only the root key deletes an account, and puts one back", async () => {
  await gateway.account("kept");
  const calls = gateway.admin("kept");
  await calls.serviceAccount("boss", "_account_admin");
  const boss = await calls.mint("boss");
  for (const key of [boss, "wrong"]) {
    assert.equal((await remove("kept", {}, key)).status, 401);
    assert.equal((await undelete("kept", key)).status, 401);
  }
  const headers = { "x-api-key": gateway.rootKey };
  assert.equal((await fetch(`${gateway.url}/ng/api/accounts/kept`, { headers })).status, 405);
  assert.equal((await fetch(`${gateway.url}/ng/api/accounts/kept/.undelete`, { headers })).status, 405);
  assert.equal((await settings("kept")).status, 200);
});

test("deletion: a request that does not repeat the account's name deletes nothing", async () => {
  const client = await gateway.account("named");
  const url = `${gateway.url}/ng/api/accounts/named`;
  const headers = { "x-api-key": gateway.rootKey };
  const bare = await fetch(url, { method: "DELETE", headers });
  assert.equal(bare.status, 400);
  assert.match((await bare.json()).errors[0].error, /must be "named": the deletion of an account asks for its name/);
  for (const confirm of ["kept", "NAMED", "", null]) assert.equal((await remove("named", { confirm })).status, 400, confirm);
  assert.equal((await fetch(`${url}?confirm=other`, { method: "DELETE", headers })).status, 400);
  assert.equal((await remove("named", { undoable: "no" })).status, 400);
  assert.equal((await remove("named", { confirm: "named".padEnd(5000) })).status, 413);
  assert.equal((await client.get("/Users")).status, 200);
  assert.equal((await fetch(`${url}?confirm=named`, { method: "DELETE", headers })).status, 200);
  assert.equal((await client.get("/Users")).status, 401);
});

test("a deleted account answers like one that never was, and begins empty when it is made again", async () => {
  const client = await gateway.account("gone");
  assert.equal((await client.call("POST", "/Users", user("ann"))).status, 201);
  const { status, body } = await remove("gone");
  assert.deepEqual([status, body.status, body.data], [200, "SUCCESS", { account: "gone", undoableUntil: null }]);
  const never = await gateway.scim("never", "sat.never.a.b").get("/Users");
  const now = await client.get("/Users");
  assert.deepEqual([now.status, now.body], [never.status, never.body]);
  assert.equal((await settings("gone")).status, 404);
  // Once more, and for one that never was: both are as they should be.
  assert.equal((await remove("gone")).status, 200);
  assert.equal((await remove("never")).status, 200);
  const again = await gateway.account("gone");
  assert.equal((await again.get("/Users?count=0")).body.totalResults, 0);
  assert.equal((await client.get("/Users")).status, 401, "the old key stays dead");
  assert.ok((await settings("gone")).body.data.every(({ setting }) => setting.settingSource === "DEFAULT"));
});

test("undelete: within its time a deleted account comes back as it was", async () => {
  const client = await gateway.account("back", { scim_patch_answer: "empty" });
  const ann = (await client.call("POST", "/Users", user("ann"))).body;
  const before = [await settings("back"), await client.get("/Users")];
  const began = Date.now();
  // Unless the request says otherwise a deletion can be undone.
  const url = `${gateway.url}/ng/api/accounts/back?confirm=back`;
  const first = await fetch(url, { method: "DELETE", headers: { "x-api-key": gateway.rootKey } });
  assert.equal(first.status, 200);
  const end = (await first.json()).data.undoableUntil;
  assert.ok(end >= began + 86_400_000 && end <= Date.now() + 86_400_000, `${end}`);
  // Nobody gets in meanwhile, whatever was remembered of him.
  assert.equal((await client.get(`/Users/${ann.id}`)).status, 401);
  assert.equal((await client.call("POST", "/Users", user("bob"))).status, 401);
  assert.equal((await settings("back")).status, 404);
  // Deleting again does not give it more time.
  assert.equal((await remove("back", { undoable: true })).body.data.undoableUntil, end);
  // The name is taken as long as it can come back.
  const taken = await gateway.admin("back").call("POST", "/ng/api/serviceaccount", { identifier: "new", name: "New" });
  assert.deepEqual([taken.status, taken.body.code], [409, "ACCOUNT_DELETED"]);
  assert.match(taken.body.message, /undelete it, or delete it with undoable: false/);

  const put = await undelete("back");
  assert.deepEqual([put.status, put.body.data], [200, { account: "back" }]);
  const now = [await settings("back"), await client.get("/Users")];
  assert.deepEqual(now.map(({ status, body }) => [status, body.data ?? body]), before.map(({ status, body }) => [status, body.data ?? body]));
  assert.equal((await client.call("POST", "/Users", user("bob"))).status, 201);
  const audit = await gateway.scim("back").get("/.audit?kind=settings&count=2", { "x-api-key": gateway.rootKey });
  const entries = audit.body.entries.map(({ operation, principal, resource }) => [operation, principal, resource.id]);
  assert.deepEqual(entries, [["account.undelete", "root", "back"], ["account.delete", "root", "back"]]);
});

test("undelete: there is nothing to put back of a living account, of one that never was, or once it is final", async () => {
  const client = await gateway.account("final");
  assert.equal((await client.call("POST", "/Users", user("ann"))).status, 201);
  assert.equal((await undelete("final")).status, 404);
  assert.equal((await undelete("was-never")).status, 404);
  assert.equal((await remove("final", { undoable: true })).status, 200);
  assert.equal((await undelete("final")).status, 200);
  assert.equal((await undelete("final")).status, 404);
  assert.equal((await remove("final", { undoable: true })).status, 200);
  assert.equal((await remove("final")).body.data.undoableUntil, null);
  assert.equal((await undelete("final")).status, 404);
  const again = await gateway.account("final");
  assert.equal((await again.get("/Users?count=0")).body.totalResults, 0);
});

test("undelete: after its time the account is final without being asked", async () => {
  const client = await gateway.account("timed");
  assert.equal((await client.call("POST", "/Users", user("ann"))).status, 201);
  assert.equal((await remove("timed", { undoable: true, undoableSeconds: 2 })).status, 200);
  const makes = () => gateway.admin("timed").call("POST", "/ng/api/serviceaccount", { identifier: "new", name: "New" });
  await until(async () => (await makes()).status !== 409);
  assert.equal((await undelete("timed")).status, 404);
  const again = await gateway.account("timed");
  assert.equal((await again.get("/Users?count=0")).body.totalResults, 0);
});

test("the copy of an origin goes too, and the origin is asked no more", async (t) => {
  const it = await origin(3);
  t.after(() => it.stop());
  const client = await gateway.account("copied", { scim_origin_url: it.base });
  await until(async () => isHit(await client.get("/Users?count=1")));
  assert.equal((await remove("copied")).status, 200);
  const before = it.requests.length;
  assert.equal((await client.get("/Users/u1")).status, 401);
  const again = await gateway.account("copied");
  assert.equal((await again.get("/Users?count=0")).body.totalResults, 0);
  assert.equal(it.requests.length, before);
});

test("undelete: the origin of a sealed account is left alone, and copied on when it is put back", async (t) => {
  const it = await origin(3);
  t.after(() => it.stop());
  const client = await gateway.account("asleep", { scim_origin_url: it.base });
  // A fill that fails is tried again every few seconds.
  it.behave = () => ({ status: 503, body: {} });
  const asked = it.requests.length;
  await client.get("/Users?count=1");
  await until(() => it.requests.length > asked + 1);
  assert.equal((await remove("asleep", { undoable: true })).status, 200);
  it.behave = undefined;
  const before = it.requests.length;
  await sleep(8_000);
  assert.equal(it.requests.length, before);
  assert.equal((await undelete("asleep")).status, 200);
  await until(() => it.requests.length > before);
  await until(async () => isHit(await client.get("/Users?count=1")));
});

test("a deletion holds over a restart, final or not", async (t) => {
  const first = await start();
  t.after(() => first.stop());
  const [gone, sealed] = [await first.account("acc"), await first.account("sealed")];
  const keys = [await first.admin("acc").mint("provisioner"), await first.admin("sealed").mint("provisioner")];
  for (const client of [gone, sealed]) assert.equal((await client.call("POST", "/Users", user("ann"))).status, 201);
  assert.equal((await first.remove("acc")).status, 200);
  assert.equal((await first.remove("sealed", { undoable: true })).status, 200);
  await first.stop({ keepState: true });
  const second = await start({ state: first.folder });
  t.after(() => second.stop());
  assert.equal((await second.scim("acc", keys[0]).get("/Users")).status, 401);
  assert.equal((await second.scim("sealed", keys[1]).get("/Users")).status, 401);
  assert.equal((await second.undelete("acc")).status, 404);
  assert.equal((await second.undelete("sealed")).status, 200);
  assert.equal((await second.scim("sealed", keys[1]).get("/Users?count=0")).body.totalResults, 1);
});
