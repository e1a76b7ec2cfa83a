// Strangers learn nothing and use up little. A module in front of the bundle counts the calls of KV and objects, and
// has its clock go ahead.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { sleep, start, until } from "./harness.mjs";

const COUNTING = `
import worker from "./index.js";
export * from "./index.js";
const now = Date.now.bind(Date);
let ahead = 0;
Date.now = () => now() + ahead;
let counts = {};
const counting = (name, binding) => new Proxy(binding, {
  get(target, key) {
    const value = Reflect.get(target, key, target);
    if (typeof value !== "function" || key === "constructor") return value;
    return (...args) => {
      counts[name + "." + key] = (counts[name + "." + key] ?? 0) + 1;
      return value.apply(target, args);
    };
  },
});
export default {
  fetch(request, env, context) {
    const seconds = request.headers.get("x-ahead");
    if (seconds !== null) {
      ahead += seconds * 1000;
      const told = counts;
      counts = {};
      return Response.json(told);
    }
    const names = ["SETTINGS", "JWKS", "ACCOUNT", "DIRECTORY"];
    const counted = Object.fromEntries(names.map((name) => [name, counting(name, env[name])]));
    return worker.fetch(request, { ...env, ...counted }, context);
  },
};`;

const gateway = await start({ wrapper: COUNTING });
after(() => gateway.stop());

/** The calls of KV and objects since the last time. */
const counts = async (seconds = 0) => (await fetch(gateway.url, { headers: { "x-ahead": String(seconds) } })).json();

test("the admin API: a wrong key is answered alike whether its account exists, before the body is read or an object asked", async () => {
  await gateway.account("existing");
  await sleep(2_500);
  const ask = async (account, { method, path, headers = {}, body }) => {
    await counts();
    const url = `${gateway.url}${path}${path.includes("?") ? "&" : "?"}accountIdentifier=${account}`;
    const answer = await fetch(url, { method, headers: { "x-api-key": `pat.${account}.identifier.secret`, ...headers }, body });
    const { correlationId, ...told } = await answer.json();
    assert.ok(correlationId);
    const named = ["content-type", "cache-control", "www-authenticate", "connection"].map((name) => answer.headers.get(name));
    return { status: answer.status, told, named, asked: await counts() };
  };
  const json = { "content-type": "application/json" };
  const calls = [
    { method: "GET", path: "/ng/api/settings?category=SCIM" },
    { method: "PUT", path: "/ng/api/settings", headers: json, body: "[" },
    { method: "PUT", path: "/ng/api/settings", headers: { "content-type": "text/plain" }, body: "x" },
    { method: "POST", path: "/ng/api/serviceaccount", headers: json, body: "x".repeat(1_100_000) },
    { method: "DELETE", path: "/ng/api/token/x" },
    { method: "PUT", path: "/ng/api/settings/jwt-rules/x", headers: json, body: "{}" },
    { method: "PATCH", path: "/authz/api/roles" },
  ];
  for (const [n, call] of calls.entries()) {
    // An account that this isolate knows, one that it knew, one that was never asked for, and one that just was.
    const known = await ask("existing", call);
    await counts(60);
    const outdated = await ask("existing", call);
    const never = await ask(`nothing${n}`, call);
    const again = await ask(`nothing${n}`, call);
    assert.equal(known.status, 401);
    assert.deepEqual(known.asked, { "SETTINGS.get": 1 }, JSON.stringify(call.path));
    for (const other of [outdated, never, again]) assert.deepEqual(other, known);
  }
  // A good key is let in, and asks.
  const owner = gateway.admin("existing");
  await owner.serviceAccount("boss", "_account_admin");
  const boss = await owner.mint("boss");
  assert.equal((await gateway.admin("existing", boss).call("GET", "/ng/api/settings?category=SCIM")).status, 200);
});

test("refusals: strangers make few entries, and none of callers with credentials is lost among them", async () => {
  await gateway.account("crowded");
  const calls = gateway.admin("crowded");
  await calls.serviceAccount("viewer", "_account_viewer");
  const viewer = await calls.mint("viewer");
  const base = `${gateway.url}/ng/api/scim/account/crowded`;
  const shown = [{}, { authorization: "Bearer a.b.c" }, { authorization: "Bearer a b" }, { authorization: "Bearer sat.crowded.x.y" }];
  const asked = ["Users", "Groups"].flatMap((type) => [["GET", type], ["POST", type], ["GET", `${type}/1`], ["PUT", `${type}/1`], ["PATCH", `${type}/1`], ["DELETE", `${type}/1`], ["POST", `${type}/.search`]]);
  const strangers = async () => {
    // Names of accounts that do not exist take no room either.
    for (let n = 0; n < 100; n += 1) await fetch(`${gateway.url}/ng/api/scim/account/made-up-${n}/Users`);
    for (const headers of shown) {
      for (const [method, path] of asked) await fetch(`${base}/${path}`, { method, headers });
    }
  };
  await strangers();
  const refused = await gateway.scim("crowded", viewer).call("DELETE", "/Users/1");
  assert.equal(refused.status, 403);
  const entries = async () => {
    const answer = await fetch(`${base}/.audit?kind=refused&count=1000`, { headers: { "x-api-key": gateway.rootKey } });
    return (await answer.json()).entries;
  };
  const found = await until(async () => {
    const all = await entries();
    return all.some(({ principal }) => principal === "viewer") && all;
  });
  assert.equal(found.find(({ principal }) => principal === "viewer").operation, "user.delete");
  await strangers();
  await sleep(3_000);
  const rows = (await entries()).filter(({ principal }) => principal === null);
  assert.ok(rows.length <= 2 * 51, `${rows.length} entries of two hours at most`);
});
