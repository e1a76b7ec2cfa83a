// SECRETS_KEY replaced as docs/deploy.md says: secrets stay usable throughout, and in the end the old key opens nothing.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { USER, server, start } from "./harness.mjs";

test("the key that seals secrets is replaced, account by account", async (t) => {
  const state = mkdtempSync(join(tmpdir(), "scim-edge-seal-"));
  t.after(() => rmSync(state, { recursive: true, force: true }));
  const origin = await server(({ method, body }) => {
    if (method !== "POST") return { body: { schemas: [], totalResults: 0, Resources: [] } };
    const id = randomBytes(4).toString("hex");
    return { status: 201, body: { ...JSON.parse(body), id, meta: { resourceType: "User" } } };
  });
  t.after(() => origin.stop());

  let gateway;
  t.after(() => gateway.stop());
  let users = 0;
  const keys = {};
  /** What a write of an account's is answered, and what its origin was shown as authorization. */
  async function write(account) {
    users += 1;
    const { status } = await gateway.scim(account, keys[account]).call("POST", "/Users", { schemas: [USER], userName: `user-${users}` });
    return [status, origin.requests.findLast((one) => one.method === "POST")?.headers.authorization];
  }

  gateway = await start({ state });
  for (const account of ["touched", "forgotten"]) {
    await gateway.account(account, { scim_origin_url: origin.url, scim_origin_authorization: `Bearer ${account}-secret` });
    keys[account] = await gateway.admin(account).mint("provisioner");
  }
  assert.deepEqual(await write("touched"), [201, "Bearer touched-secret"]);

  const file = join(state, "gateway", "secrets.json");
  const restartWith = async (change) => {
    await gateway.stop({ keepState: true });
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...change }));
    gateway = await start({ state });
  };
  const previousSecretsKey = JSON.parse(readFileSync(file, "utf8")).secretsKey;
  await restartWith({ secretsKey: randomBytes(32).toString("base64"), previousSecretsKey });
  assert.deepEqual(await write("forgotten"), [201, "Bearer forgotten-secret"]);
  // Any call of the admin API seals what its account has anew.
  const shown = await gateway.admin("touched").data("GET", "/ng/api/settings/scim_origin_authorization");
  assert.equal(shown.value, "******");
  assert.deepEqual(await write("touched"), [201, "Bearer touched-secret"]);

  await restartWith({ previousSecretsKey: undefined });
  assert.deepEqual(await write("touched"), [201, "Bearer touched-secret"]);
  // Nobody administered the other account meanwhile: its secret is lost. That is said, and nothing goes out without it.
  const before = origin.requests.length;
  assert.equal((await write("forgotten"))[0], 500);
  assert.deepEqual(origin.requests.slice(before), []);
});
