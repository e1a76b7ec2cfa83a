// Revocations and deletions that KV does not tell of, or that overtake a request whose body is still being read. A
// module in front of the bundle stands for KV: it shows old values, loses writes, refuses them and holds them back.

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, test } from "node:test";
import { USER, sleep, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

// The time of the Worker, not of its objects, can go ahead, so that what an isolate keeps is due again.
const SLOW_KV = `
import * as gateway from "./index.js";
export * from "./index.js";
let mode = "as it is";
let old = new Map();
let ahead = 0;
let under = 0;
let most = 0;
const now = Date.now.bind(Date);
Date.now = () => now() + ahead;
function kv(binding) {
  return new Proxy(binding, {
    get(target, key) {
      if (key === "get" || key === "getWithMetadata") {
        return async (name, ...rest) => {
          const shown = await target[key](name, ...rest);
          if (mode !== "old") return shown;
          const value = old.get(name) ?? null;
          return key === "get" ? value : { value, metadata: null };
        };
      }
      const value = Reflect.get(target, key, target);
      return typeof value === "function" && key !== "constructor" ? value.bind(target) : value;
    },
  });
}
export class Account extends gateway.Account {
  constructor(state, env) {
    const DIRECTORY = new Proxy(env.DIRECTORY, {
      get(target, key) {
        if (key === "constructor") return target.constructor;
        if (key !== "get") return target[key].bind(target);
        return (id) => {
          const stub = target.get(id);
          const fetch = async (request) => {
            if (mode === "untold" && new URL(request.url).pathname === "/told") throw new Error("the directory does not answer");
            return stub.fetch(request);
          };
          return { fetch };
        };
      },
    });
    const SETTINGS = new Proxy(env.SETTINGS, {
      get(target, key) {
        if (key === "constructor") return target.constructor;
        if (key !== "put") return target[key].bind(target);
        return async (...write) => {
          under += 1;
          most = Math.max(most, under);
          try {
            if (mode === "lost") return undefined;
            if (mode === "put fails") throw new Error("KV does not answer");
            // One that ends late ends with what it had to write then.
            while (mode === "held") await new Promise((resolve) => setTimeout(resolve, 50));
            return await target.put(...write);
          } finally {
            under -= 1;
          }
        };
      },
    });
    super(state, { ...env, DIRECTORY, SETTINGS });
  }
}
export default {
  async fetch(request, env, context) {
    const asked = request.headers.get("x-kv");
    if (asked !== null) {
      if (asked.startsWith("show ")) {
        const shown = JSON.parse(await env.SETTINGS.get("account:" + asked.slice(5)));
        return Response.json({ most, version: shown?.version ?? 0, deleted: shown?.deleted ?? false, keys: Object.keys(shown?.apiKeys ?? {}) });
      }
      if (asked.startsWith("ahead ")) ahead += Number(asked.slice(6)) * 1000;
      else {
        mode = asked;
        if (mode === "old") for (const { name } of (await env.SETTINGS.list()).keys) old.set(name, await env.SETTINGS.get(name));
      }
      return new Response(mode);
    }
    return gateway.default.fetch(request, { ...env, SETTINGS: kv(env.SETTINGS) }, context);
  },
};`;

const gateway = await start({ wrapper: SLOW_KV });
after(() => gateway.stop());
const { remove } = gateway;

const kv = (mode) => fetch(gateway.url, { headers: { "x-kv": mode } });
const user = (userName) => ({ schemas: [USER], userName });

/** A request whose body ends when `end` is called. */
function begun(account, key, body, { method = "POST", path = "/Users" } = {}) {
  const text = JSON.stringify(body);
  const request = httpRequest(`${gateway.url}/ng/api/scim/account/${account}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/scim+json", "content-length": text.length },
  });
  const answered = new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("response", async (response) => {
      let told = "";
      for await (const chunk of response) told += chunk;
      resolve({ status: response.statusCode, body: told });
    });
  });
  request.write(text.slice(0, 10));
  return {
    end() {
      request.end(text.slice(10));
      return answered;
    },
  };
}

async function accountWithKey(name, settings) {
  const client = await gateway.account(name, settings);
  const calls = gateway.admin(name);
  const key = await calls.mint("provisioner");
  return { client, calls, key, identifier: key.split(".")[2] };
}

test("authority: a request that began before its account was deleted does nothing in the account made again", async (t) => {
  const it = await origin(0);
  t.after(() => it.stop());
  const { client, key } = await accountWithKey("remade", { scim_origin_url: it.base });
  const local = await accountWithKey("remade-local");
  assert.equal((await client.get("/Users?count=0")).status, 200);
  const late = [begun("remade", key, user("late")), begun("remade-local", local.key, user("late"))];
  const root = begun("remade-local", gateway.rootKey, user("root"));
  await sleep(500);
  for (const account of ["remade", "remade-local"]) assert.equal((await remove(account)).status, 200);
  const again = [await gateway.account("remade"), await gateway.account("remade-local")];
  for (const one of again) assert.equal((await one.get("/Users?count=0")).body.totalResults, 0);
  const asked = it.requests.length;
  for (const one of [...late, root]) assert.equal((await one.end()).status, 401);
  for (const one of again) assert.equal((await one.get("/Users?count=0")).body.totalResults, 0);
  assert.equal(it.requests.length, asked, "the origin of before is asked no more");
});

test("authority: a request that began before its account was sealed stores nothing, nor after it is put back", async () => {
  const { client, key } = await accountWithKey("sealed");
  const late = begun("sealed", key, user("late"));
  await sleep(500);
  assert.equal((await remove("sealed", { undoable: true })).status, 200);
  assert.equal((await gateway.undelete("sealed")).status, 200);
  assert.equal((await late.end()).status, 401);
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 0);
});

test("authority: a request that began before its key was revoked stores and forwards nothing", async (t) => {
  const it = await origin(0);
  t.after(() => it.stop());
  for (const settings of [{}, { scim_origin_url: it.base }]) {
    const name = settings.scim_origin_url ? "late-origin" : "late-local";
    const { client, calls, key, identifier } = await accountWithKey(name, settings);
    assert.equal((await client.get("/Users?count=0")).status, 200);
    const late = begun(name, key, user("late"));
    const restore = begun(name, key, { type: "User", id: "x" }, { path: "/.restore" });
    await sleep(500);
    await calls.data("DELETE", `/ng/api/token/${identifier}?apiKeyType=SERVICE_ACCOUNT&parentIdentifier=provisioner`);
    assert.equal((await late.end()).status, 401);
    assert.ok([401, 403].includes((await restore.end()).status));
    assert.equal((await client.get("/Users?count=0")).body.totalResults, 0);
  }
  assert.ok(!it.requests.some(({ method }) => method === "POST"));
});

test("authority: a revocation, a lost role and a deletion are in force at once, whatever KV shows", async () => {
  const made = {};
  for (const name of ["revoked", "account", "role", "deleted", "changed"]) {
    made[name] = await accountWithKey(`kv-${name}`);
    assert.equal((await made[name].client.call("POST", "/Users", user("ann"))).status, 201);
  }
  await kv("old");
  try {
    await made.revoked.calls.data("DELETE", `/ng/api/token/${made.revoked.identifier}?apiKeyType=SERVICE_ACCOUNT&parentIdentifier=provisioner`);
    await made.account.calls.data("DELETE", "/ng/api/serviceaccount/provisioner");
    assert.equal((await remove("kv-deleted")).status, 200);
    // Twice past what an isolate keeps: it forgets and reads the old document from KV.
    for (const seconds of [30, 700, 100_000]) {
      await kv(`ahead ${seconds}`);
      for (const name of ["revoked", "account", "deleted"]) {
        const scim = gateway.scim(`kv-${name}`, made[name].key);
        assert.equal((await scim.get("/Users")).status, 401, `${name} ${seconds}`);
        assert.equal((await scim.call("POST", "/Users", user("bob"))).status, 401, name);
      }
    }
    assert.equal((await made.revoked.client.get("/Users?count=0")).status, 200, "the other key is good");
  } finally {
    await kv("as it is");
  }
});

test("authority: a directory that was told nothing asks the account's object, and one that missed a change is told again", async () => {
  await kv("untold");
  const { client, calls, key, identifier } = await accountWithKey("untold");
  assert.equal((await client.get("/Users?count=0")).status, 200);
  // It knows the newest document: what changes from now on it has to be told of.
  const path = `/ng/api/token/${identifier}?apiKeyType=SERVICE_ACCOUNT&parentIdentifier=provisioner`;
  await calls.data("DELETE", path);
  await kv("old");
  await kv("as it is");
  await until(async () => (await gateway.scim("untold", key).get("/Users?count=0")).status === 401);
});

const shown = async (account) => (await kv(`show ${account}`)).json();

test("publication: writes that KV loses, or refuses, are written again until KV shows the newest document", async () => {
  for (const mode of ["lost", "put fails"]) {
    const name = mode.replace(" ", "-");
    const { calls, identifier } = await accountWithKey(name);
    await until(async () => (await shown(name)).keys.includes(identifier));
    await kv(mode);
    await calls.data("DELETE", `/ng/api/token/${identifier}?apiKeyType=SERVICE_ACCOUNT&parentIdentifier=provisioner`);
    assert.ok((await shown(name)).keys.includes(identifier), "KV has the document of before");
    await kv("as it is");
    await until(async () => !(await shown(name)).keys.includes(identifier));
    await kv(mode);
    assert.equal((await remove(name)).status, 200, "a deletion does not need KV");
    assert.equal((await shown(name)).deleted, false);
    await kv("as it is");
    await until(async () => (await shown(name)).deleted);
  }
});

test("publication: one write at a time, so that one that ends late does not replace a tombstone", async () => {
  const { calls, client, identifier } = await accountWithKey("held");
  await until(async () => (await shown("held")).keys.includes(identifier));
  // KV takes a write a second: the next one is begun at once.
  await sleep(1_500);
  await kv("held");
  await calls.data("DELETE", `/ng/api/token/${identifier}?apiKeyType=SERVICE_ACCOUNT&parentIdentifier=provisioner`);
  assert.equal((await remove("held")).status, 200);
  assert.equal((await client.get("/Users")).status, 401);
  // Longer than any call or turn of the alarm waits for KV.
  await sleep(8_000);
  await kv("as it is");
  // The held write ends first, and is not the last word.
  await until(async () => !(await shown("held")).keys.includes(identifier));
  await until(async () => (await shown("held")).deleted, 60);
  assert.equal((await shown("held")).most, 1);
});
