// The deletion of an account: nothing of it answers, and nothing comes back with its name.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { USER, isHit, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const gateway = await start();
after(() => gateway.stop());

async function remove(account, key = gateway.rootKey, method = "DELETE") {
  const response = await fetch(`${gateway.url}/ng/api/accounts/${account}`, { method, headers: { "x-api-key": key } });
  return { status: response.status, body: await response.json() };
}

test("only the root key deletes an account", async () => {
  await gateway.account("kept");
  const calls = gateway.admin("kept");
  await calls.serviceAccount("boss", "_account_admin");
  assert.equal((await remove("kept", await calls.mint("boss"))).status, 401);
  assert.equal((await remove("kept", "wrong")).status, 401);
  assert.equal((await remove("kept", gateway.rootKey, "GET")).status, 405);
  assert.equal((await calls.call("GET", "/ng/api/settings?category=SCIM")).status, 200);
});

test("a deleted account answers like one that never was, and begins empty when it is made again", async () => {
  const client = await gateway.account("gone");
  assert.equal((await client.call("POST", "/Users", { schemas: [USER], userName: "ann" })).status, 201);
  const { status, body } = await remove("gone");
  assert.deepEqual([status, body.status, body.data], [200, "SUCCESS", true]);
  const never = await gateway.scim("never", "sat.never.a.b").get("/Users");
  const now = await client.get("/Users");
  assert.deepEqual([now.status, now.body], [never.status, never.body]);
  assert.equal((await gateway.admin("gone").call("GET", "/ng/api/settings?category=SCIM")).status, 404);
  // Once more, and for one that never was: both are as they should be.
  assert.equal((await remove("gone")).status, 200);
  assert.equal((await remove("never")).status, 200);
  const again = await gateway.account("gone");
  assert.equal((await again.get("/Users?count=0")).body.totalResults, 0);
  assert.equal((await client.get("/Users")).status, 401, "the old key stays dead");
  const settings = await gateway.admin("gone").call("GET", "/ng/api/settings?category=SCIM");
  assert.ok(settings.body.data.every(({ setting }) => setting.settingSource === "DEFAULT"));
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

test("what was deleted stays deleted over a restart", async (t) => {
  const first = await start();
  t.after(() => first.stop());
  const client = await first.account("acc");
  const key = await first.admin("acc").mint("provisioner");
  assert.equal((await client.get("/Users")).status, 200);
  await fetch(`${first.url}/ng/api/accounts/acc`, { method: "DELETE", headers: { "x-api-key": first.rootKey } });
  await first.stop({ keepState: true });
  const second = await start({ state: first.folder });
  t.after(() => second.stop());
  assert.equal((await second.scim("acc", key).get("/Users")).status, 401);
});
