// Privileges: no permission carries its holder further than it says.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { USER, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const gateway = await start();
after(() => gateway.stop());

/** A key of an account with just these permissions. */
async function keyWith(account, name, permissions) {
  const calls = gateway.admin(account);
  await calls.data("POST", "/authz/api/roles", { identifier: `role_${name}`, name, permissions });
  await calls.serviceAccount(name, `role_${name}`);
  return calls.mint(name);
}

/** An operator's call. */
async function operate(account, key, method, call, body) {
  const response = await fetch(`${gateway.url}/ng/api/scim/account/${account}/${call}`, {
    method,
    headers: { "x-api-key": key },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

/** Waits until an account's origin has been copied, and no switch of origins is under way. */
const settled = (account) =>
  until(async () => {
    const { body } = await operate(account, gateway.rootKey, "GET", ".replica");
    return body.state === "live" && body.switch === null;
  });

test(".changes: a whole resource needs the permission to manage its kind, an id does not", async (t) => {
  const it = await origin(2);
  t.after(() => it.stop());
  const shows = it.behave;
  it.behave = (request) => shows?.(request);
  const client = await gateway.account("told", { scim_origin_url: it.base });
  await client.get("/Users");
  await until(async () => (await operate("told", gateway.rootKey, "GET", ".replica")).body.state === "live");
  const replica = await keyWith("told", "replica", ["scim_replica_manage"]);
  const manager = await keyWith("told", "manager", ["scim_replica_manage", "core_user_manage"]);
  const whole = { type: "User", resource: { schemas: [USER], id: "u0", userName: "planted@example.com", meta: { lastModified: "2099-01-01T00:00:00Z" } } };
  const byId = { type: "User", id: "u1" };
  for (const resources of [[whole], [byId, whole]]) {
    const refused = await operate("told", replica, "POST", ".changes", { resources });
    assert.equal(refused.status, 403);
    assert.match(refused.body.detail, /core_user_manage/);
  }
  assert.equal((await client.get("/Users/u0")).body.userName, "user0@example.com");
  it.store.Users.get("u1").title = "changed behind";
  assert.deepEqual((await operate("told", replica, "POST", ".changes", { resources: [byId] })).body, { refreshed: 1, removed: 0, failed: [] });
  assert.equal((await client.get("/Users/u1")).body.title, "changed behind");
  const group = { type: "Group", resource: { id: "g", displayName: "G", members: [] } };
  assert.equal((await operate("told", manager, "POST", ".changes", { resources: [group] })).status, 403);
  assert.equal((await operate("told", manager, "POST", ".changes", { resources: [whole] })).status, 200);
});

test("dryRun: what has none refuses it, and does nothing", async () => {
  const client = await gateway.account("dry");
  const calls = gateway.admin("dry");
  const rule = { jwksUrl: "https://idp.example.com/keys", serviceAccount: "provisioner", claims: [{ field: "sub", value: "x" }] };
  const shown = await calls.data("PUT", "/ng/api/settings/jwt-rules/one?dryRun=true", rule);
  assert.equal(shown.name, "one");
  assert.deepEqual(await calls.data("GET", "/ng/api/settings/jwt-rules"), []);
  const remove = await fetch(`${gateway.url}/ng/api/accounts/dry?confirm=dry&dryRun=true`, { method: "DELETE", headers: { "x-api-key": gateway.rootKey } });
  assert.equal(remove.status, 400);
  assert.equal((await client.get("/Users")).status, 200);
  for (const call of [".check", ".changes"]) {
    const answer = await operate("dry", gateway.rootKey, "POST", `${call}?dryRun=true`, { resources: [] });
    assert.equal(answer.status, 400);
    assert.match(answer.body.detail, /dryRun/);
  }
});

test("settings: an editor without other permissions lends none, and has no secret sent to another host", async (t) => {
  const [own, evil] = [await origin(1), await origin(1)];
  t.after(() => own.stop());
  t.after(() => evil.stop());
  const idp = await gateway.idp();
  const client = await gateway.account("kept", { scim_origin_url: own.base, scim_origin_authorization: "Bearer origin-secret" });
  await until(async () => (await client.get("/Users?count=0")).headers.get("cache-status").includes("hit"));
  await settled("kept");
  const editor = await keyWith("kept", "editor", ["core_setting_view", "core_setting_edit"]);
  const calls = gateway.admin("kept", editor);
  const rule = { jwksUrl: `${idp.url}/keys`, serviceAccount: "provisioner", claims: [{ field: "sub", value: "mine" }] };
  assert.equal((await calls.call("PUT", "/ng/api/settings/jwt-rules/mine", rule)).status, 403);
  const update = (identifier, value) => ({ identifier, value, updateType: "UPDATE" });
  const four = [
    update("scim_jwt_token_jwks_keys_url", `${idp.url}/keys`),
    update("scim_jwt_token_key_field", "sub"),
    update("scim_jwt_token_value_field", "mine"),
    update("scim_jwt_token_service_account_id", "provisioner"),
  ];
  assert.equal((await calls.call("PUT", "/ng/api/settings", four)).status, 403);
  const mine = gateway.scim("kept", await idp.mint({ sub: "mine" }));
  assert.equal((await mine.get("/Users")).status, 401);
  // The secret stays with its host, whatever is tried, and none of the answers has it.
  const told = [];
  for (const batch of [
    [update("scim_origin_url", evil.base)],
    [{ identifier: "scim_origin_url", updateType: "RESTORE", confirm: "make the copy of 1 user and 0 groups the system of record" }],
    [update("scim_origin_url", evil.base)],
    [{ ...update("scim_origin_url", own.base), confirm: "replace 1 user and 0 groups" }],
  ]) {
    for (const query of ["?dryRun=true", ""]) told.push(await calls.call("PUT", `/ng/api/settings${query}`, batch));
  }
  assert.deepEqual(told.map(({ body }) => body.data[0].updateStatus), [false, false, true, true, false, false, true, true]);
  told.push(await calls.call("GET", "/ng/api/settings?category=SCIM"));
  const shown = await fetch(`${gateway.url}/ng/api/scim/account/kept/.jwks`, { method: "POST", headers: { "x-api-key": editor }, body: JSON.stringify({ url: `${evil.url}/keys` }) });
  told.push(await shown.text());
  assert.ok(!JSON.stringify(told).includes("origin-secret"));
  await settled("kept");
  assert.equal((await client.call("POST", "/Users", { schemas: [USER], userName: "new@example.com" })).status, 201);
  assert.ok(own.requests.some(({ headers }) => headers.authorization === "Bearer origin-secret"));
  assert.ok(evil.requests.every(({ headers }) => headers.authorization === undefined), JSON.stringify(evil.requests));
  // With the secret in the same request the origin can be another one.
  await calls.set({ scim_origin_authorization: "Bearer for-the-other", scim_origin_url: evil.base }, { replace: true });
  await settled("kept");
  await client.call("POST", "/Users", { schemas: [USER], userName: "other@example.com" });
  assert.ok(evil.requests.some(({ headers }) => headers.authorization === "Bearer for-the-other"));
});

test("passthrough: callers' tokens do not go to another host by a change of settings", async (t) => {
  const [own, evil] = [await origin(1), await origin(1)];
  t.after(() => own.stop());
  t.after(() => evil.stop());
  const client = await gateway.account("passed", { scim_origin_url: own.base, scim_origin_authorization: "passthrough" });
  await client.get("/Users/u0");
  assert.ok(own.requests.some(({ headers }) => headers.authorization?.startsWith("Bearer sat.")));
  const change = [{ identifier: "scim_origin_url", value: evil.base, updateType: "UPDATE" }];
  const answer = await gateway.admin("passed").data("PUT", "/ng/api/settings", change);
  assert.match(answer[0].errorMessage, /another origin/);
  await client.get("/Users/u0");
  assert.equal(evil.requests.length, 0);
});
