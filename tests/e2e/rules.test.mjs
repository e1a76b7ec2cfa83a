// Named trust rules: keys at a URL, in the rule, and where the issuer says.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { SignJWT, exportJWK, generateKeyPair } from "jose";
import { server, start } from "./harness.mjs";

const gateway = await start();
const [first, second] = [await gateway.idp(), await gateway.idp()];
after(() => gateway.stop());

/** An account with rules; each may be a service account of its own. */
async function account(name, rules) {
  const calls = gateway.admin(name);
  await calls.serviceAccount("provisioner", "_scim_provisioner");
  await calls.data("POST", "/ng/api/serviceaccount", { identifier: "powerless", name: "p" });
  for (const [rule, body] of Object.entries(rules)) {
    await calls.data("PUT", `/ng/api/settings/jwt-rules/${rule}`, { serviceAccount: "provisioner", ...body });
  }
  return { calls, status: async (token) => (await gateway.scim(name, token).get("/Users")).status };
}

const sub = (value) => [{ field: "sub", value }];

test("each issuer's tokens are tried against its own rule", async () => {
  const { calls, status } = await account("named", {
    one: { jwksUrl: `${first.url}/keys`, issuer: first.url, claims: sub("client") },
    two: { jwksUrl: `${second.url}/keys`, issuer: second.url, audiences: ["scim"], serviceAccount: "powerless", claims: [] },
  });
  assert.equal(await status(await first.mint({ sub: "client" })), 200);
  assert.equal(await status(await first.mint({ sub: "other" })), 403);
  assert.equal(await status(await second.mint({ sub: "client" })), 403);
  // The keys of one issuer do not sign for another.
  assert.equal(await status(await first.mint({ sub: "client", iss: second.url })), 401);
  await calls.data("DELETE", "/ng/api/settings/jwt-rules/one");
  assert.equal(await status(await first.mint({ sub: "client" })), 401);
});

test("the rule of the settings and a named one, of one issuer: the first that verifies decides", async () => {
  const { calls, status } = await account("both", { late: { jwksUrl: `${first.url}/keys`, claims: sub("second") } });
  await calls.set({
    scim_jwt_token_jwks_keys_url: `${first.url}/keys`,
    scim_jwt_token_key_field: "sub",
    scim_jwt_token_value_field: "first",
    scim_jwt_token_service_account_id: "powerless",
  });
  assert.equal(await status(await first.mint({ sub: "first" })), 403);
  assert.equal(await status(await first.mint({ sub: "second" })), 200);
  assert.equal(await status(await first.mint({ sub: "third" })), 403);
});

test("keys in the rule are asked of nobody", async () => {
  const jwks = await (await fetch(`${first.url}/keys`)).json();
  const { status } = await account("inline", { own: { jwks, claims: sub("client"), algorithms: ["ES256"] } });
  assert.equal(await status(await first.mint({ sub: "client" }, { alg: "ES256" })), 200);
  assert.equal(await status(await first.mint({ sub: "client" })), 401);
  assert.equal(await status(await second.mint({ sub: "client" }, { alg: "ES256" })), 401);
});

test("an issuer's configuration says where its keys are, and must be its own", async (t) => {
  const found = await account("discovered", { own: { issuer: first.url, audiences: ["scim"] } });
  assert.equal(await found.status(await first.mint({ sub: "anyone" })), 200);
  // Where OpenID Connect has nothing, RFC 8414's place is asked.
  const oauth = await server(({ url }) =>
    url === "/.well-known/oauth-authorization-server" ? { body: { issuer: oauth.url, jwks_uri: `${first.url}/keys` } } : { status: 404 },
  );
  t.after(() => oauth.stop());
  const other = await account("oauth", { own: { issuer: oauth.url, audiences: ["scim"] } });
  assert.equal(await other.status(await first.mint({ iss: oauth.url })), 200);
  const liar = await server(() => ({ body: { issuer: first.url, jwks_uri: `${first.url}/keys` } }));
  t.after(() => liar.stop());
  const fooled = await account("fooled", { own: { issuer: liar.url, audiences: ["scim"] } });
  assert.equal(await fooled.status(await first.mint({ iss: liar.url })), 503);
});

test("a rule's types of token", async () => {
  const { status } = await account("typed", { own: { jwksUrl: `${first.url}/keys`, claims: sub("client"), tokenTypes: ["at+jwt"] } });
  assert.equal(await status(await first.mint({ sub: "client" })), 401);
  assert.equal(await status(await first.mint({ sub: "client" }, { typ: "at+jwt" })), 200);
});

test("a key that is published with its private half checks nothing, and operators are told", async (t) => {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const whole = { ...(await exportJWK(privateKey)), kid: "whole" };
  const twin = { ...(await exportJWK(publicKey)), kid: "twin" };
  const issuer = await server(() => ({ body: { keys: [whole, twin] } }));
  t.after(() => issuer.stop());
  const { status } = await account("exposed", { own: { jwksUrl: `${issuer.url}/keys`, claims: sub("client") } });
  const operate = async (call, body) => {
    const answer = await fetch(`${gateway.url}/ng/api/scim/account/exposed/${call}`, { method: "POST", headers: { "x-api-key": gateway.rootKey }, body: JSON.stringify(body) });
    return { status: answer.status, text: await answer.text() };
  };
  for (const kid of ["whole", "twin"]) {
    const token = await new SignJWT({ sub: "client" }).setProtectedHeader({ alg: "ES256", kid }).setExpirationTime("1h").sign(privateKey);
    assert.equal(await status(token), 401);
    if (kid === "whole") assert.match((await operate(".explain", { token })).text, /private half/);
  }
  const shown = await operate(".jwks", { url: `${issuer.url}/keys` });
  const { keys } = JSON.parse(shown.text);
  assert.deepEqual(keys.map(({ usable }) => usable), [false, false]);
  assert.match(keys[0].problem, /private half \(d\)/);
  assert.ok(!shown.text.includes(whole.d));
});
