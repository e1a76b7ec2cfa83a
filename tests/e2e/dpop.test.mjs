// DPoP (RFC 9449): a request proves to have the key that its token is bound to.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair } from "jose";
import { start } from "./harness.mjs";

const gateway = await start();
const idp = await gateway.idp();
after(() => gateway.stop());

const now = () => Math.floor(Date.now() / 1000);
const url = `${gateway.url}/ng/api/scim/account/bound/Users`;
const pair = await generateKeyPair("ES256", { extractable: true });
const jwk = await exportJWK(pair.publicKey);
const jkt = await calculateJwkThumbprint(jwk);
let token;

before(async () => {
  const calls = gateway.admin("bound");
  await calls.serviceAccount("provisioner", "_scim_provisioner");
  const rule = { jwksUrl: `${idp.url}/keys`, claims: [{ field: "sub", value: "client" }], serviceAccount: "provisioner", dpop: true };
  await calls.data("PUT", "/ng/api/settings/jwt-rules/bound", rule);
  token = await idp.mint({ sub: "client", cnf: { jkt } });
});

/** A proof for a GET of the users; `claims` and `header` change it. */
const proof = (claims = {}, header = {}, key = pair.privateKey) =>
  new SignJWT({ jti: randomUUID(), htm: "GET", htu: url, iat: now(), ath: createHash("sha256").update(token).digest("base64url"), ...claims })
    .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk, ...header })
    .sign(key);

const get = (headers, query = "") => fetch(`${url}${query}`, { headers });
const bound = (dpop, more) => get({ authorization: `DPoP ${token}`, dpop, ...more });

test("with a proof the bound token opens the API, once for each proof", async () => {
  const one = await proof();
  assert.equal((await bound(one)).status, 200);
  const again = await bound(one);
  assert.equal(again.status, 401);
  assert.match(again.headers.get("www-authenticate"), /^DPoP .*error="invalid_dpop_proof"/);
  assert.equal((await again.json()).status, "401");
  assert.equal((await bound(await proof())).status, 200);
  // The query is no part of what is proven.
  assert.equal((await get({ authorization: `DPoP ${token}`, dpop: await proof() }, "?count=1")).status, 200);
});

test("a bound token is no bearer's, and an unbound one is not enough", async () => {
  assert.equal((await get({ authorization: `Bearer ${token}` })).status, 401);
  assert.equal((await get({ authorization: `Bearer ${token}`, dpop: await proof() })).status, 401);
  const plain = await idp.mint({ sub: "client" });
  assert.equal((await get({ authorization: `Bearer ${plain}` })).status, 401);
  assert.equal((await get({ authorization: `DPoP ${plain}`, dpop: await proof() })).status, 401);
  assert.equal((await get({ authorization: `DPoP ${token}` })).status, 401);
});

test("proofs that do not hold", async () => {
  const other = await generateKeyPair("ES256", { extractable: true });
  const secret = await exportJWK(pair.privateKey);
  const bad = {
    "another method": await proof({ htm: "POST" }),
    "another URL": await proof({ htu: `${url}/1` }),
    "another host": await proof({ htu: url.replace("127.0.0.1", "example.com") }),
    "another token": await proof({ ath: createHash("sha256").update("x").digest("base64url") }),
    "no token": await proof({ ath: undefined }),
    old: await proof({ iat: now() - 61 }),
    early: await proof({ iat: now() + 62 }),
    "no time": await proof({ iat: undefined }),
    "no jti": await proof({ jti: undefined }),
    "an empty jti": await proof({ jti: "" }),
    "a long jti": await proof({ jti: "x".repeat(257) }),
    "another typ": await proof({}, { typ: "JWT" }),
    "no key": await proof({}, { jwk: undefined }),
    "a private key": await proof({}, { jwk: secret }),
    "another key, its own": await proof({}, { jwk: await exportJWK(other.publicKey) }, other.privateKey),
    "another key's signature": await proof({}, {}, other.privateKey),
    nonsense: "a.b.c",
    "two of them": `${await proof()}, ${await proof()}`,
  };
  for (const [name, one] of Object.entries(bad)) {
    const answer = await bound(one);
    assert.equal(answer.status, 401, name);
    assert.match(answer.headers.get("www-authenticate"), /^DPoP /, name);
  }
});
