// The Worker and the servers that publish keys: rotation, and everything that can be wrong with one. What takes
// longer than half a minute is tried by injected time, in the policy and in the npm package (keys.test.mjs).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { after, test } from "node:test";
import { SignJWT, exportJWK, generateKeyPair } from "jose";
import { server, sleep, start } from "./harness.mjs";

const gateway = await start();
after(() => gateway.stop());

async function keyOf(kid) {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid } };
}

const token = (key, kid = key.kid) =>
  new SignJWT({ sub: "client" }).setProtectedHeader({ alg: "ES256", kid }).setExpirationTime("1h").sign(key.privateKey);

const set = (...keys) => JSON.stringify({ keys: keys.map((key) => key.jwk) });

/** Listens on loopback until the test ends. */
async function listen(t, one) {
  await new Promise((resolve) => one.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    one.close();
    one.closeAllConnections?.();
  });
  return one.address().port;
}

/** An account that takes its keys from a URL; answers with the status that a token gets. */
async function trusting(name, jwksUrl) {
  const calls = gateway.admin(name);
  await calls.serviceAccount("provisioner", "_scim_provisioner");
  await calls.data("PUT", "/ng/api/settings/jwt-rules/one", { jwksUrl, claims: [{ field: "sub", value: "client" }], serviceAccount: "provisioner" });
  return async (text) => gateway.scim(name, text).get("/Users");
}

test("issuers", { concurrency: true }, async (t) => {
  const key = await keyOf("k");

  /** A server of keys that is no good: 503, since nobody can tell, with a word on when to try again. */
  const isUnavailable = (name, urlOf) =>
    t.test(`no keys: ${name}`, async (t) => {
      const ask = await trusting(name.replaceAll(/\W/g, "-"), await urlOf(t));
      for (const text of [await token(key), await token(key, "other")]) {
        const answer = await ask(text);
        assert.equal(answer.status, 503);
        assert.ok(Number(answer.headers.get("retry-after")) > 0);
        assert.equal(answer.body.status, "503");
      }
    });

  const answering = (handle) => async (t) => {
    const issuer = await server(handle);
    t.after(() => issuer.stop());
    return `${issuer.url}/keys`;
  };

  const elsewhere = await server(() => ({ body: set(key) }));
  t.after(() => elsewhere.stop());
  const tls = { key: readFileSync(new URL("./tls/key.pem", import.meta.url)), cert: readFileSync(new URL("./tls/certificate.pem", import.meta.url)) };
  let sent = 0;

  await Promise.all([
    isUnavailable("500", answering(() => ({ status: 500 }))),
    isUnavailable("a page", answering(() => ({ body: "<html>sign in</html>", headers: { "content-type": "text/html" } }))),
    isUnavailable("no key in it", answering(() => ({ body: '{"keys":[]}' }))),
    isUnavailable("a secret key only", answering(() => ({ body: { keys: [{ kty: "oct", k: "AAAA", kid: "k" }] } }))),
    isUnavailable("a redirect", answering(() => ({ status: 302, headers: { location: `${elsewhere.url}/keys` } }))),
    isUnavailable("hung up", answering(() => ({ destroy: true }))),
    isUnavailable("cut short", answering(() => ({ body: set(key).slice(0, -20) }))),
    isUnavailable("slow", answering(() => sleep(8_000).then(() => ({ body: set(key) })))),
    isUnavailable("nobody there", async () => "http://127.0.0.1:9/keys"),
    isUnavailable("no such name", async () => "https://no-such-host.invalid/keys"),
    isUnavailable("a certificate that nobody trusts", async (t) => {
      const port = await listen(t, createTlsServer(tls, (_, response) => response.end(set(key))));
      return `https://127.0.0.1:${port}/keys`;
    }),
    isUnavailable("no TLS", async (t) => `https://127.0.0.1:${await listen(t, createServer((_, response) => response.end(set(key))))}/keys`),
    isUnavailable("ten megabytes", async (t) => {
      const issuer = createServer((_, response) => {
        const more = () => {
          while (sent < 10 << 20) {
            sent += 16 << 10;
            if (!response.write(" ".repeat(16 << 10))) return response.once("drain", more);
          }
          return response.end(set(key));
        };
        more();
      });
      return `http://127.0.0.1:${await listen(t, issuer)}/keys`;
    }),

    t.test("requests that come together while there are no keys yet", async (t) => {
      const issuer = await server(() => sleep(700).then(() => ({ body: set(key) })));
      t.after(() => issuer.stop());
      const ask = await trusting("together", `${issuer.url}/keys`);
      const text = await token(key);
      const answers = await Promise.all(Array.from({ length: 12 }, () => ask(text)));
      assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
    }),

    t.test("rotation, and made-up key ids", async (t) => {
      const [old, young] = [await keyOf("old"), await keyOf("young")];
      let published = set(old);
      const issuer = await server(() => ({ body: published, headers: { "cache-control": "max-age=60" } }));
      t.after(() => issuer.stop());
      const ask = await trusting("rotation", `${issuer.url}/keys`);
      const status = async (text) => (await ask(text)).status;
      assert.equal(await status(await token(old)), 200);
      const begun = Date.now();
      published = set(old, young);
      // As fast as they can be asked about: nobody asks the issuer, which was asked just now.
      const made = await Promise.all(Array.from({ length: 1000 }, (_, n) => token(old, `made-up-${n}`)));
      for (let at = 0; at < made.length; at += 50) {
        assert.deepEqual([...new Set(await Promise.all(made.slice(at, at + 50).map(status)))], [401]);
      }
      assert.equal(issuer.requests.length, 1);
      await sleep(Math.max(0, 31_000 - (Date.now() - begun)));
      // Asked again, once: both keys are good.
      assert.equal(await status(await token(young)), 200);
      assert.equal(await status(await token(old)), 200);
      assert.equal(issuer.requests.length, 2);
      published = set(young);
      await sleep(31_000);
      // A made-up id makes the issuer asked again, and the old key is gone for tokens that were let in with it.
      assert.equal(await status(made[0]), 401);
      assert.equal(issuer.requests.length, 3);
      assert.equal(await status(await token(old)), 401);
      assert.equal(await status(await token(young)), 200);
    }),
  ]);

  assert.equal(elsewhere.requests.length, 0, "redirects are not followed");
  assert.ok(sent < 5 << 20, `an answer that is too long is not read to its end: ${sent} bytes were sent`);
});

test("an explanation: each check, what the bearer may do, for a key that may ask and nobody else", async () => {
  const key = await keyOf("k");
  const issuer = await server(() => ({ body: set(key) }));
  after(() => issuer.stop());
  await trusting("explained", `${issuer.url}/keys`);
  const calls = gateway.admin("explained");
  await calls.serviceAccount("viewer", "_account_viewer");
  await calls.serviceAccount("boss", "_account_admin");
  const [viewer, boss] = [await calls.mint("viewer"), await calls.mint("boss")];
  const explain = async (headers, body, method = "POST") => {
    const answer = await fetch(`${gateway.url}/ng/api/scim/account/explained/.explain`, { method, headers, body: method === "POST" ? body : undefined });
    return { status: answer.status, type: answer.headers.get("content-type"), text: await answer.text() };
  };
  const good = await token(key);
  const body = JSON.stringify({ token: good });
  const told = await explain({ "x-api-key": boss }, body);
  assert.deepEqual([told.status, told.type], [200, "application/json"]);
  const found = JSON.parse(told.text);
  assert.deepEqual([found.allow, found.rule, found.serviceAccount], [true, "one", "provisioner"]);
  assert.ok(found.permissions.includes("core_user_manage"));
  assert.ok(found.steps.length >= 10 && found.steps.every((step) => step.ok));
  assert.ok(good.split(".").every((part) => !told.text.includes(part)));
  const forged = JSON.parse((await explain({ "x-api-key": boss }, JSON.stringify({ token: await token(await keyOf("k")) }))).text);
  assert.deepEqual([forged.allow, forged.reason], [false, "signature_mismatch"]);
  assert.deepEqual(forged.steps.filter((step) => !step.ok).map((step) => step.check), ["signature"]);
  // Its own keys open it as bearers too; an issuer's token never does.
  for (const [status, headers, sent, method] of [
    [200, { authorization: `Bearer ${boss}` }, body],
    [200, { "x-api-key": gateway.rootKey }, body],
    [403, { "x-api-key": viewer }, body],
    [401, { authorization: `Bearer ${good}` }, body],
    [401, { "x-api-key": good }, body],
    [401, { "x-api-key": `${boss}x` }, body],
    [401, {}, body],
    [400, { "x-api-key": boss, authorization: `Bearer ${good}` }, body],
    [400, { "x-api-key": boss }, "{"],
    [400, { "x-api-key": boss }, '{"token":1}'],
    [413, { "x-api-key": boss }, JSON.stringify({ token: "x".repeat(40_000) })],
    [405, { "x-api-key": boss }, body, "GET"],
  ]) {
    const answer = await explain(headers, sent, method);
    assert.equal(answer.status, status, `${JSON.stringify(Object.keys(headers))} ${sent.slice(0, 20)}: ${answer.text}`);
    if (status !== 200) assert.equal(JSON.parse(answer.text).status, String(status));
  }
});
