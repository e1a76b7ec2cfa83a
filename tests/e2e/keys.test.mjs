// The npm package's key sets over a real network: rotation and outages, by injected time.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { SignJWT, exportJWK, generateKeyPair } from "jose";
import { buildPackage } from "../../js/npm-build.mjs";
import { server } from "./harness.mjs";

const MINUTE = 60_000;
const START = Date.parse("2026-01-01T00:00:00Z");

let createPolicy;
before(async () => {
  await buildPackage();
  ({ createPolicy } = await import("../../pkg/node.mjs"));
});

async function keyOf(kid) {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid } };
}

/** An issuer, a policy that trusts it, and a clock that the test moves. */
async function setting(t, { answer }) {
  const issuer = await server((request) => answer(request));
  t.after(() => issuer.stop());
  const clock = { now: START };
  const policy = await createPolicy({
    rules: { one: { jwksUrl: `${issuer.url}/keys`, claims: [{ field: "sub", value: "client" }], serviceAccount: "sa" } },
    serviceAccounts: { sa: "_scim_provisioner" },
    now: () => clock.now,
    development: true,
  });
  t.after(() => policy.dispose());
  const token = (key) =>
    new SignJWT({ sub: "client", exp: Math.floor(clock.now / 1000) + 3600 }).setProtectedHeader({ alg: "ES256", kid: key.kid }).sign(key.privateKey);
  const reason = async (key) => {
    const decision = await policy.authorize({ operation: "user.list", token: await token(key) });
    return decision.allow ? "allow" : decision.reason;
  };
  return { issuer, clock, policy, token, reason };
}

const set = (...keys) => ({ body: { keys: keys.map((key) => key.jwk) } });
/** Lets what runs in the background answer. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 60));

test("rotation: a new key is found at once, an old one ends with its set", async (t) => {
  const [old, young] = [await keyOf("old"), await keyOf("young")];
  let published = set(old);
  const { issuer, clock, reason } = await setting(t, { answer: () => published });
  assert.equal(await reason(old), "allow");
  published = set(old, young);
  clock.now += 31_000;
  assert.equal(await reason(young), "allow");
  assert.equal(await reason(old), "allow");
  assert.equal(issuer.requests.length, 2);
  published = set(young);
  clock.now += 11 * MINUTE;
  // Served while it is refreshed in the background, and then no more.
  assert.equal(await reason(old), "allow");
  await settled();
  assert.equal(await reason(old), "key_not_found");
  assert.equal(await reason(young), "allow");
});

test("made-up key ids make the issuer asked once in 30 seconds, whether it answers or not", async (t) => {
  const key = await keyOf("real");
  let up = true;
  const { issuer, clock, reason } = await setting(t, { answer: () => (up ? set(key) : { status: 500 }) });
  assert.equal(await reason(key), "allow");
  const many = async () => {
    for (let n = 0; n < 200; n += 1) assert.equal(await reason({ ...key, kid: `made-up-${n}` }), "key_not_found");
  };
  await many();
  assert.equal(issuer.requests.length, 1);
  clock.now += 31_000;
  await many();
  assert.equal(issuer.requests.length, 2);
  up = false;
  clock.now += 31_000;
  await many();
  assert.equal(issuer.requests.length, 3);
  assert.equal(await reason(key), "allow");
});

test("a day of outage is bridged, not more; then nobody gets in until it ends", async (t) => {
  const key = await keyOf("k");
  let up = true;
  const { issuer, clock, reason } = await setting(t, { answer: () => (up ? set(key) : { destroy: true }) });
  assert.equal(await reason(key), "allow");
  up = false;
  for (let hour = 1; hour < 24; hour += 1) {
    clock.now = START + hour * 60 * MINUTE;
    assert.equal(await reason(key), "allow", `after ${hour} hours`);
    await settled();
  }
  clock.now = START + 24 * 60 * MINUTE;
  assert.equal(await reason(key), "keys_unavailable");
  const asked = issuer.requests.length;
  assert.equal(await reason(key), "keys_unavailable");
  assert.equal(issuer.requests.length, asked, "within the cooldown nobody is asked");
  up = true;
  clock.now += 31_000;
  assert.equal(await reason(key), "allow");
});

test("no bad answer replaces a good set", async (t) => {
  const key = await keyOf("k");
  const elsewhere = await server(() => ({ body: { keys: [] } }));
  t.after(() => elsewhere.stop());
  let answer = set(key);
  const it = await setting(t, { answer: () => answer });
  assert.equal(await it.reason(key), "allow");
  for (const bad of [
    { status: 500 },
    { body: "<html>sign in</html>" },
    { body: { keys: "none" } },
    { body: {} },
    { body: { keys: [] } },
    { body: { keys: [{ kty: "oct", k: "AAAA", kid: "k" }] } },
    { status: 302, headers: { location: `${elsewhere.url}/keys` } },
    { body: JSON.stringify({ keys: [], padding: "x".repeat(70_000) }) },
    { destroy: true },
  ]) {
    answer = bad;
    it.clock.now += 11 * MINUTE;
    assert.equal(await it.reason(key), "allow");
    await settled();
    assert.equal(await it.reason(key), "allow", JSON.stringify(bad).slice(0, 60));
  }
  assert.equal(elsewhere.requests.length, 0, "redirects are not followed");
});

test("max-age is heeded between a minute and an hour", async (t) => {
  const key = await keyOf("k");
  for (const [seconds, minutes] of [[5, 1], [1800, 30], [86_400, 60]]) {
    const { issuer, clock, reason } = await setting(t, { answer: () => ({ ...set(key), headers: { "cache-control": `public, max-age=${seconds}` } }) });
    await reason(key);
    clock.now += minutes * MINUTE - 1;
    await reason(key);
    await settled();
    assert.equal(issuer.requests.length, 1, `${seconds} s`);
    clock.now += 1;
    await reason(key);
    await settled();
    assert.equal(issuer.requests.length, 2, `${seconds} s`);
  }
});

test("without waiting, keys are those that were loaded", async (t) => {
  const key = await keyOf("k");
  const { policy, token } = await setting(t, { answer: () => set(key) });
  const request = { operation: "user.list", token: await token(key) };
  const early = policy.authorizeSync(request);
  assert.deepEqual([early.status, early.reason], [503, "keys_unavailable"]);
  await policy.load();
  assert.equal(policy.authorizeSync(request).allow, true);
});

test("an explanation has every check, and neither token nor signature", async (t) => {
  const key = await keyOf("k");
  const { policy, token } = await setting(t, { answer: () => set(key) });
  const good = await token(key);
  const told = await policy.explain(good);
  assert.equal(told.allow, true);
  const checks = told.steps.map((step) => step.check);
  for (const check of ["form", "issuer", "algorithm", "type", "keys", "signature", "exp", "nbf", "iat", "cnf", "iss", "aud", "claims"]) {
    assert.ok(checks.includes(check), check);
  }
  const other = await new SignJWT({ sub: "other", exp: 1 }).setProtectedHeader({ alg: "ES256", kid: "k" }).sign(key.privateKey);
  const refused = await policy.explain(other);
  assert.equal(refused.reason, "expired");
  // Those behind the first that does not hold are there too.
  assert.deepEqual(refused.steps.filter((step) => !step.ok).map((step) => step.reason), ["expired", "claim_mismatch"]);
  for (const [one, text] of [[good, JSON.stringify(told)], [other, JSON.stringify(refused)]]) {
    assert.ok(one.split(".").every((part) => !text.includes(part)));
  }
});
