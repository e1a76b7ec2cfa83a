// What callers see of the gate: tokens, permissions, isolation, bad input. One gateway for all tests.

import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { connect } from "node:net";
import { after, test } from "node:test";
import { PATCH, USER, server, start } from "./harness.mjs";

const gateway = await start();
const idp = await gateway.idp();
after(() => gateway.stop());

const JWT = {
  scim_jwt_token_jwks_keys_url: `${idp.url}/keys`,
  scim_jwt_token_key_field: "sub",
  scim_jwt_token_value_field: "client",
  scim_jwt_token_service_account_id: "provisioner",
};
const own = await gateway.account("alpha", JWT);
const ALPHA = await gateway.admin("alpha").mint("provisioner");
const BETA = await gateway.account("beta", { ...JWT, scim_jwt_token_value_field: "other" });
const token = await idp.mint({ sub: "client" });
const alpha = gateway.scim("alpha", token);

/** An answer that is a SCIM error of this status. */
function isScimError(answer, status, scimType) {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.equal(answer.headers.get("content-type"), "application/scim+json");
  assert.deepEqual(answer.body.schemas, ["urn:ietf:params:scim:api:messages:2.0:Error"]);
  assert.equal(answer.body.status, String(status));
  assert.equal(answer.body.scimType, scimType);
  assert.ok(answer.body.detail.length > 10);
}

test("an IdP's token opens the API, with RS256 and with ES256", async () => {
  assert.equal((await alpha.get("/Users")).status, 200);
  const es = await idp.mint({ sub: "client" }, { alg: "ES256" });
  assert.equal((await gateway.scim("alpha", es).get("/Users")).status, 200);
  const prefixed = await fetch(`${gateway.url}/gateway/ng/api/scim/account/alpha/Users`, {
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(prefixed.status, 200);
});

test("what is no good is refused, and all of it in the same words", async () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const head = (extra) => ({ alg: "RS256", kid: "rs256-1", typ: "JWT", ...extra });
  const body = { sub: "client", exp: now + 600 };
  const forged = (header, claims) => {
    const signed = `${encode(header)}.${encode(claims)}`;
    return `${signed}.${sign("sha256", Buffer.from(signed), privateKey).toString("base64url")}`;
  };
  const refused = [
    "not.a.token",
    forged(head(), body),
    `${encode({ alg: "none" })}.${encode(body)}.AA`,
    forged(head({ kid: "unknown" }), body),
    forged(head({ crit: ["exp"] }), body),
    await idp.mint({ sub: "client" }, { expiresIn: -60 }),
    await idp.mint({ sub: "client", exp: "soon" }),
    `${token}x`,
  ];
  const words = new Set();
  for (const bad of refused) {
    const answer = await gateway.scim("alpha", bad).get("/Users");
    isScimError(answer, 401);
    assert.match(answer.headers.get("www-authenticate"), /^Bearer realm="scim-edge", error="invalid_token"/);
    words.add(answer.body.detail);
  }
  const nobody = await gateway.scim("no-such-account", token).get("/Users");
  isScimError(nobody, 401);
  words.add(nobody.body.detail);
  assert.equal(words.size, 1);
});

test("a token of somebody else's is 403, a missing one is 401 without an error", async () => {
  const other = await gateway.scim("alpha", await idp.mint({ sub: "stranger" })).get("/Users");
  isScimError(other, 403);
  assert.match(other.headers.get("www-authenticate"), /insufficient_scope/);
  const none = await gateway.scim("alpha").get("/Users");
  isScimError(none, 401);
  assert.match(none.headers.get("www-authenticate"), /^Bearer realm="scim-edge", resource_metadata="[^"]+"$/);
  isScimError(await gateway.scim("alpha").get(`/Users?access_token=${token}`), 400);
});

test("permissions are those of the mapped service account", async () => {
  const calls = gateway.admin("viewers");
  await calls.serviceAccount("viewer", "_account_viewer");
  await calls.set({ ...JWT, scim_jwt_token_service_account_id: "viewer" });
  const viewer = gateway.scim("viewers", token);
  assert.equal((await viewer.get("/Users")).status, 200);
  assert.equal((await viewer.get("/ServiceProviderConfig")).status, 200);
  isScimError(await viewer.call("POST", "/Users", { schemas: [USER], userName: "x" }), 403);
  isScimError(await viewer.call("DELETE", "/Groups/x"), 403);
  // A revocation is in force at once in the isolate that made it.
  await calls.data("DELETE", "/ng/api/serviceaccount/viewer");
  isScimError(await viewer.get("/Users"), 403);
});

test("an external token opens SCIM calls only, an API key of another account nothing", async () => {
  const answer = await gateway.admin("alpha", token).call("GET", "/ng/api/settings?category=SCIM");
  assert.equal(answer.status, 401);
  const foreign = await gateway.admin("beta", ALPHA).call("GET", "/ng/api/settings?category=SCIM");
  const unknown = await gateway.admin("nowhere", ALPHA).call("GET", "/ng/api/settings?category=SCIM");
  assert.equal(foreign.status, 401);
  assert.equal(unknown.status, 401);
  assert.equal(foreign.body.message, unknown.body.message);
  isScimError(await gateway.scim("beta", ALPHA).get("/Users"), 401);
  isScimError(await alpha.get("/Users?accountIdentifier=beta"), 400, "invalidSyntax");
  isScimError(await alpha.get("/Users", { "harness-account": "beta" }), 400, "invalidSyntax");
});

test("two accounts never see each other", async () => {
  const made = await own.call("POST", "/Users", { schemas: [USER], userName: "only-in-alpha" });
  assert.equal(made.status, 201);
  isScimError(await BETA.get(`/Users/${made.body.id}`), 404);
  isScimError(await BETA.call("DELETE", `/Users/${made.body.id}`), 404);
  assert.equal((await BETA.get("/Users")).body.totalResults, 0);
  assert.equal((await BETA.get('/Users?filter=id pr or userName eq "only-in-alpha"')).body.totalResults, 0);
  const twin = await BETA.call("POST", "/Users", { schemas: [USER], userName: "only-in-alpha" });
  assert.equal(twin.status, 201);
  const member = { displayName: "G", members: [{ value: made.body.id }] };
  isScimError(await BETA.call("POST", "/Groups", member), 400, "invalidValue");
  const page = await own.get("/Users?cursor&count=1");
  assert.equal(page.status, 200);
});

test("bad input gets the right status, in SCIM's format, with a sentence", async () => {
  const post = (body, headers) => own.call("POST", "/Users", body, headers);
  isScimError(await post('{"userName":'), 400, "invalidSyntax");
  isScimError(await post('["userName"]'), 400, "invalidSyntax");
  isScimError(await post('{"userName":"a","userName":"b"}'), 400, "invalidSyntax");
  isScimError(await post(`{"userName":"a","x":${"[".repeat(40)}${"]".repeat(40)}}`), 400, "invalidSyntax");
  isScimError(await post(`{"userName":"${"a".repeat(1 << 20)}"}`), 413);
  isScimError(await post("userName=a", { "content-type": "application/x-www-form-urlencoded" }), 415);
  isScimError(await post({ schemas: [USER] }), 400, "invalidValue");
  isScimError(await own.call("PUT", "/Users", {}), 405);
  isScimError(await own.call("PROPFIND", "/Users"), 405);
  // A method that HTTP does not know never reaches a Worker: the runtime refuses it.
  assert.equal((await own.call("BREW", "/Users")).status, 501);
  assert.match((await own.call("PUT", "/Users", {})).headers.get("allow"), /GET.*POST/);
  isScimError(await own.get("/Nonsense"), 404);
  isScimError(await own.get("/Users/%zz"), 400, "invalidSyntax");
  isScimError(await own.get("/Users/%ff"), 400, "invalidSyntax");
  isScimError(await own.get("/Users?filter=%zz"), 400, "invalidSyntax");
  isScimError(await own.get(`/Users?filter=${"a".repeat(9000)}`), 400, "invalidFilter");
  isScimError(await own.get(`/Users?filter=${Array(51).fill("id pr").join(" or ")}`), 400, "invalidFilter");
  isScimError(await own.get(`/Users?filter=${"(".repeat(5000)}`), 400, "invalidFilter");
  isScimError(await own.get("/Users?filter=userName eq"), 400, "invalidFilter");
  isScimError(await own.get("/Users?count=many"), 400, "invalidValue");
  const path = { schemas: [PATCH], Operations: [{ op: "replace", path: "nonsense", value: 1 }] };
  const some = (await own.get("/Users?count=1")).body.Resources[0].id;
  isScimError(await own.call("PATCH", `/Users/${some}`, path), 400, "invalidPath");
  const elsewhere = await fetch(`${gateway.url}/nowhere`);
  assert.equal(elsewhere.status, 404);
});

test("the admin API refuses bad input in its own format", async () => {
  const calls = gateway.admin("alpha");
  const raw = (body, headers) =>
    fetch(`${gateway.url}/ng/api/settings?accountIdentifier=alpha`, {
      method: "PUT",
      headers: { "x-api-key": gateway.rootKey, ...headers },
      body,
    });
  for (const [answer, status] of [
    [await raw("{", { "content-type": "application/json" }), 400],
    [await raw("{}", { "content-type": "application/json" }), 400],
    [await raw("a=b", { "content-type": "text/html" }), 415],
    [await raw(" ".repeat((1 << 20) + 1), { "content-type": "application/json" }), 413],
  ]) {
    assert.equal(answer.status, status);
    const body = await answer.json();
    assert.ok(["FAILURE", "ERROR"].includes(body.status) && body.message && body.correlationId, JSON.stringify(body));
  }
  assert.equal((await calls.call("GET", "/ng/api/settings?category=OTHER")).status, 400);
  assert.equal((await calls.call("DELETE", "/ng/api/settings")).status, 405);
  const without = await fetch(`${gateway.url}/ng/api/settings`, { headers: { "x-api-key": gateway.rootKey } });
  assert.equal(without.status, 400);
});

test("a request that breaks off leaves nothing behind", async () => {
  const before = (await own.get("/Users?count=0")).body.totalResults;
  const { hostname, port } = new URL(gateway.url);
  await new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(
        `POST /ng/api/scim/account/alpha/Users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n` +
          'content-type: application/scim+json\r\ncontent-length: 1000\r\n\r\n{"userName":"half',
      );
      setTimeout(() => socket.destroy(), 200);
    });
    socket.on("close", resolve);
  });
  assert.equal((await own.get("/Users?count=0")).body.totalResults, before);
});

test("keys: an unknown key id asks the issuer once, and a bad answer replaces no good set", async (t) => {
  const { body: good } = { body: await (await fetch(`${idp.url}/keys`)).json() };
  let answer = { body: good };
  const issuer = await server(() => answer);
  t.after(() => issuer.stop());
  const calls = gateway.admin("keyed");
  await calls.serviceAccount("provisioner", "_scim_provisioner");
  await calls.set({ ...JWT, scim_jwt_token_jwks_keys_url: `${issuer.url}/keys` });
  const client = gateway.scim("keyed", token);
  assert.equal((await client.get("/Users")).status, 200);
  assert.equal(issuer.requests.length, 1);
  for (let n = 0; n < 20; n += 1) {
    const header = Buffer.from(JSON.stringify({ alg: "RS256", kid: `k${n}` })).toString("base64url");
    isScimError(await gateway.scim("keyed", `${header}.${token.split(".")[1]}.AA`).get("/Users"), 401);
  }
  // The first fetch was a moment ago: the cooldown holds.
  assert.equal(issuer.requests.length, 1);
  answer = { status: 500, body: "<html>" };
  assert.equal((await client.get("/Users")).status, 200);
});

test("keys that cannot be had are 503 with Retry-After, whatever the issuer does", async (t) => {
  const answers = [
    { status: 500 },
    { body: "<html>sign in</html>" },
    { status: 302, headers: { location: `${idp.url}/keys` } },
    { body: { keys: [] } },
    { body: { keys: [], padding: "x".repeat(70_000) } },
    { destroy: true },
  ];
  for (const [index, answer] of answers.entries()) {
    const issuer = await server(() => answer);
    t.after(() => issuer.stop());
    const name = `issuer-${index}`;
    const calls = gateway.admin(name);
    await calls.serviceAccount("provisioner", "_scim_provisioner");
    await calls.set({ ...JWT, scim_jwt_token_jwks_keys_url: `${issuer.url}/keys` });
    const refused = await gateway.scim(name, token).get("/Users");
    isScimError(refused, 503);
    assert.ok(Number(refused.headers.get("retry-after")) > 0);
    assert.equal(refused.headers.get("www-authenticate"), null);
  }
});

test("an answer is whole where it is longer than what crosses in one piece; one that would be too long has fewer resources and says so", async () => {
  const client = await gateway.account("long");
  const title = "x".repeat(900_000);
  for (let n = 0; n < 40; n += 1) assert.equal((await client.call("POST", "/Users", { userName: `u${n}`, title })).status, 201);
  for (const [count, shown] of [[1, 1], [2, 2], [40, 4]]) {
    const { status, headers, body } = await client.get(`/Users?count=${count}`);
    assert.equal(status, 200);
    assert.equal(headers.get("cache-status"), "scim-edge; hit");
    assert.ok(headers.get("x-request-id"));
    assert.equal(body.itemsPerPage, shown);
    assert.deepEqual(body.Resources.map((user) => user.title === title), Array(shown).fill(true));
  }
  const names = [];
  for (let start = 1; start <= 40; ) {
    const { body } = await client.get(`/Users?count=1000&startIndex=${start}`);
    assert.equal(body.totalResults, 40);
    names.push(...body.Resources.map(({ userName }) => userName));
    start += body.itemsPerPage;
  }
  assert.deepEqual(names, Array.from({ length: 40 }, (_, n) => `u${n}`));
});
