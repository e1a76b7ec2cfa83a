// Badges: reads that go the short way because one like them was let through. Nobody may tell them from others, and
// none goes that way once the long one would not let it through.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { SignJWT, exportJWK, generateKeyPair } from "jose";
import { USER, server, start, until } from "./harness.mjs";

// A module in front of the bundle, whose clock goes ahead by as many seconds as it is told to, and that has the
// points of Analytics Engine written among the lines.
const AHEAD = `
import worker from "./index.js";
export * from "./index.js";
const now = Date.now.bind(Date);
let ahead = 0;
const ANALYTICS = { writeDataPoint: (point) => console.log(JSON.stringify({ event: "point", ...point })) };
Date.now = () => now() + ahead;
export default {
  fetch(request, env, context) {
    const seconds = request.headers.get("x-ahead");
    if (seconds === null) return worker.fetch(request, { ...env, ANALYTICS }, context);
    ahead += seconds * 1000;
    return new Response("");
  },
};`;

const lines = [];
const gateway = await start({ wrapper: AHEAD, output: (line) => lines.push(line) });
const idp = await gateway.idp();
after(() => gateway.stop());

const goAhead = (seconds) => fetch(gateway.url, { headers: { "x-ahead": String(seconds) } });
const sub = (value) => [{ field: "sub", value }];
const rule = (more = {}) => ({ jwksUrl: `${idp.url}/keys`, claims: sub("client"), serviceAccount: "provisioner", clockSkewSeconds: 0, ...more });
const text = (name) => [...name].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join("");

/** An account that trusts the issuer, with one user. */
async function account(name, more) {
  const key = await gateway.account(name);
  const calls = gateway.admin(name);
  await calls.data("PUT", "/ng/api/settings/jwt-rules/own", rule(more));
  const { body } = await key.call("POST", "/Users", { schemas: [USER], userName: `${name}@example.com` });
  return { calls, key, path: `/Users/${body.id}` };
}

async function badges() {
  const shown = await (await fetch(`${gateway.url}/metrics`, { headers: { "x-api-key": gateway.rootKey } })).text();
  return Object.fromEntries([...shown.matchAll(/^scim_edge_badges_total\{.*of="(\w+)"\} (\d+)$/gm)].map(([, of, count]) => [of, Number(count)]));
}

/** How many of what `work` asks went the short way. */
async function byBadge(work, of = "token") {
  const before = (await badges())[of] ?? 0;
  await work();
  return ((await badges())[of] ?? 0) - before;
}

/** Asks until a badge has let a read through. */
async function badged(client, path, of) {
  await until(async () => (await byBadge(async () => assert.equal((await client.get(path)).status, 200), of)) === 1);
}

test("a read by a badge is answered and written down as any other", async () => {
  const { key, path } = await account("alike");
  const client = gateway.scim("alike", await idp.mint({ sub: "client" }));
  const asked = [path, "/Users", "/Groups?count=1", `/Users?filter=userName eq "alike@example.com"`, "/Users/nobody", "/Users?count=x", "/Users?filter=("];
  const all = (headers, { headers: _, ...rest }) => ({ ...rest, headers: [...headers].filter(([name]) => !["date", "x-request-id"].includes(name)) });
  const points = () => lines.filter((text) => text.startsWith('{"event":"point"'));
  const said = async (one, id) => {
    const before = points().length;
    const answer = await client.get(one, { "x-request-id": id });
    const [point] = await until(() => points().length > before && points().slice(before));
    const { indexes, blobs, doubles: [, originMs] } = JSON.parse(point);
    const line = await until(() => lines.find((text) => text.includes(id)));
    const { time, totalMs, requestId, ...rest } = JSON.parse(line);
    assert.equal(requestId, answer.headers.get("x-request-id"));
    assert.ok(Math.abs(Date.now() - time) < 60_000 && totalMs >= 0);
    return { ...all(answer.headers, answer), keys: Object.keys(JSON.parse(line)), ...rest, indexes, blobs, originMs };
  };
  for (const [place, one] of asked.entries()) {
    const first = await said(one, `first-${place}`);
    // The first was verified, the second known, and has earned a badge.
    await client.get(one);
    let third;
    assert.equal(await byBadge(async () => (third = await said(one, `third-${place}`))), 1, one);
    assert.deepEqual(third, first, one);
  }
  const made = (await client.get(path)).headers.get("x-request-id");
  assert.match(made, /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  assert.match((await client.get(path, { "x-request-id": "a.b.c" })).headers.get("x-request-id"), /^[0-9a-f]{8}-/);
  // What others write is in the next answer.
  await key.call("PUT", path, { schemas: [USER], userName: "alike@example.com", title: "new" });
  assert.equal((await client.get(path)).body.title, "new");
  const { etag } = Object.fromEntries((await client.get(path)).headers);
  assert.equal((await client.get(path, { "if-none-match": etag })).status, 304);
});

test("an API key has badges as well, of its own account only", async () => {
  const { key, path } = await account("keyed");
  await badged(key, path, "key");
  const other = await account("neighbour");
  assert.equal((await fetch(`${gateway.scim("neighbour").base}${other.path}`, { headers: { authorization: await bearer(key, path) } })).status, 401);
});

/** The `Authorization` that a client sends. */
async function bearer(client, path) {
  let sent;
  const { fetch: real } = globalThis;
  globalThis.fetch = (url, options) => ((sent = options.headers.authorization), real(url, options));
  await client.get(path);
  globalThis.fetch = real;
  return sent;
}

test("what is unusual goes the long way, and gets its answer there", async () => {
  const { path } = await account("unusual");
  const client = gateway.scim("unusual", await idp.mint({ sub: "client" }));
  await badged(client, path);
  await badged(client, "/Users");
  for (const [one, status, headers] of [
    [`${path}?accountIdentifier=other`, 400],
    [`${path}?${text("accountIdentifier")}=other`, 400],
    [`/Users?count=1&${text("accountIdentifier")}=other`, 400],
    [`/Users?accountIdentifier=unusual`, 200],
    [`/Users?access_token=${"a".repeat(20)}`, 400],
    [path, 400, { "harness-account": "other" }],
    [path, 401, { dpop: "a.b.c", authorization: "DPoP x" }],
    ["/Users/.search", 405],
    ["/Users/%zz", 400],
    ["/Users/..%2f..", 404],
    ["/Schemas", 200],
    ["/Users/", 200],
    [path.toUpperCase(), 404],
  ]) {
    let answer;
    assert.equal(await byBadge(async () => (answer = await client.get(one, headers))), 0, one);
    assert.equal(answer.status, status, `${one} ${JSON.stringify(answer.body)}`);
  }
  // Other methods have none.
  assert.equal(await byBadge(() => client.call("HEAD", path)), 0);
  assert.equal(await byBadge(() => client.call("DELETE", path)), 0);
  assert.equal((await client.get(path)).status, 404);
});

test("a badge ends with the token", async () => {
  const { path } = await account("ending");
  const client = gateway.scim("ending", await idp.mint({ sub: "client" }, { expiresIn: 20 }));
  await badged(client, path);
  await goAhead(21);
  let answer;
  assert.equal(await byBadge(async () => (answer = await client.get(path))), 0);
  assert.equal(answer.status, 401);
});

test("a badge ends with the account's settings, at once where they are changed", async () => {
  const { calls, path } = await account("changing");
  const client = gateway.scim("changing", await idp.mint({ sub: "client" }));
  await badged(client, path);
  await calls.data("POST", "/ng/api/serviceaccount", { identifier: "powerless", name: "p" });
  await calls.data("PUT", "/ng/api/settings/jwt-rules/own", rule({ serviceAccount: "powerless" }));
  assert.equal((await client.get(path)).status, 403);
  await calls.data("PUT", "/ng/api/settings/jwt-rules/own", rule());
  await badged(client, path);
  await calls.data("DELETE", "/ng/api/settings/jwt-rules/own");
  assert.equal((await client.get(path)).status, 401);
});

test("a badge ends with the API key", async () => {
  const { calls, key, path } = await account("revoked");
  await badged(key, path, "key");
  const [{ identifier }] = await calls.data("GET", "/ng/api/token?apiKeyType=SERVICE_ACCOUNT&parentIdentifier=provisioner");
  await calls.data("DELETE", `/ng/api/token/${identifier}?apiKeyType=SERVICE_ACCOUNT&parentIdentifier=provisioner`);
  assert.equal((await key.get(path)).status, 401);
});

test("a badge ends with the account", async () => {
  const { path } = await account("deleted");
  const client = gateway.scim("deleted", await idp.mint({ sub: "client" }));
  await badged(client, path);
  assert.equal((await gateway.remove("deleted", { undoable: true })).status, 200);
  assert.equal((await client.get(path)).status, 401);
  assert.equal((await gateway.undelete("deleted")).status, 200);
  assert.equal((await client.get(path)).status, 200);
  assert.equal((await gateway.remove("deleted")).status, 200);
  assert.equal((await client.get(path)).status, 401);
});

test("a badge ends with the issuer's key: as soon as a new set lacks it, and with the old set's time", async (t) => {
  const made = async (kid) => {
    const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
    return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid } };
  };
  const [old, young] = [await made("old"), await made("young")];
  let keys = [old.jwk];
  const issuer = await server(() => ({ body: { keys } }));
  t.after(() => issuer.stop());
  const { path } = await account("rotating", { jwksUrl: `${issuer.url}/keys` });
  const client = (key) =>
    new SignJWT({ sub: "client", exp: Math.floor(Date.now() / 1000) + 40_000 })
      .setProtectedHeader({ alg: "ES256", kid: key.kid })
      .sign(key.privateKey)
      .then((token) => gateway.scim("rotating", token));
  const [first, second] = [await client(old), await client(young)];
  await badged(first, path);
  keys = [young.jwk];
  // The cooldown, and settings that are read anew: within them nobody asks the issuer.
  await goAhead(31);
  await badged(first, path);
  assert.equal((await second.get(path)).status, 200);
  assert.equal((await first.get(path)).status, 401);
  await badged(second, path);
  keys = [old.jwk];
  await goAhead(20 * 60);
  // Served while the set is refreshed in the background, and then no more.
  await second.get(path);
  await until(async () => (await second.get(path)).status === 401);
});

test("a badge that was given by a clock that was ahead lets nothing through", async () => {
  const { key, path } = await account("clock");
  const year = 365 * 86_400;
  await goAhead(year);
  await badged(key, path, "key");
  await goAhead(-year);
  assert.equal(await byBadge(async () => assert.equal((await key.get(path)).status, 200), "key"), 0);
  await badged(key, path, "key");
});
