// Third-party suites, run as they are.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";

import { createServer } from "node:net";

import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { pythonSuites } from "../../js/python.mjs";
import { root } from "../../js/tools.mjs";
import { isHit, start, until } from "./harness.mjs";

const bin = await pythonSuites();
const skip = bin ? false : "there is no python3 here";

/** Runs scim2-tester and returns its counts. */
async function check(client, key) {
  const script = join(root, "tests", "suites", "check_scim.py");
  const { stdout } = await promisify(execFile)(join(bin, "python"), [script, client.base, key], { timeout: 240_000 });
  const found = JSON.parse(stdout.trim().split("\n").pop());
  console.log(`scim2-tester: ${JSON.stringify(found.counts)}`);
  return found;
}

/** Somebody else's server; its base. */
async function scim2Server(t) {
  const port = await new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
  const child = spawn(join(bin, "python"), [join(root, "tests", "suites", "serve_scim2.py"), "--port", String(port)], { stdio: "ignore" });
  t.after(() => child.kill());
  const base = `http://127.0.0.1:${port}/v2`;
  await until(() => fetch(`${base}/ServiceProviderConfig`).then((a) => a.ok).catch(() => false));
  return base;
}

const filled = (client) => until(async () => isHit(await client.get("/Users?count=1")));

/** An account in front of somebody else's server, filled, and its gateway. */
async function behindScim2(t) {
  const base = await scim2Server(t);
  const gateway = await start();
  t.after(() => gateway.stop());
  const client = await gateway.account("acc", { scim_origin_url: base });
  await filled(client);
  return { gateway, client };
}

test("scim2-tester, without an origin", { skip }, async (t) => {
  const gateway = await start();
  t.after(() => gateway.stop());
  await gateway.account("acc");
  const key = await gateway.admin("acc").mint("provisioner");
  const found = await check(gateway.scim("acc", key), key);
  assert.deepEqual(found.failed, []);
  assert.ok(found.counts.SUCCESS >= 100);
});

test("scim2-tester, through a gateway whose origin is a second one", { skip }, async (t) => {
  const [gateway, origin] = [await start(), await start()];
  t.after(() => Promise.all([gateway.stop(), origin.stop()]));
  const record = await origin.account("record");
  const originKey = await origin.admin("record").mint("provisioner");
  const client = await gateway.account("acc", {
    scim_origin_url: record.base,
    scim_origin_authorization: `Bearer ${originKey}`,
  });
  await filled(client);
  const key = await gateway.admin("acc").mint("provisioner");
  const found = await check(gateway.scim("acc", key), key);
  assert.deepEqual(found.failed, []);
  assert.ok(found.counts.SUCCESS >= 100);
});

test("scim2-tester, through a gateway whose origin is somebody else's", { skip }, async (t) => {
  const { gateway } = await behindScim2(t);
  const key = await gateway.admin("acc").mint("provisioner");
  const found = await check(gateway.scim("acc", key), key);
  assert.deepEqual(found.failed, []);
  assert.ok(found.counts.SUCCESS >= 100);
});

test("an origin of somebody else's: scim2-server", { skip }, async (t) => {
  const { client } = await behindScim2(t);
  const user = { schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName: "ann@example.com", active: true };
  const made = await client.call("POST", "/Users", user);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.ok(made.body.meta.location.startsWith(client.base), made.body.meta.location);
  const read = await client.get(`/Users/${made.body.id}`);
  assert.ok(isHit(read));
  assert.equal(read.body.userName, "ann@example.com");
  const found = await client.get('/Users?filter=userName eq "ANN@example.com"');
  assert.equal(found.body.totalResults, 1);
  const group = { schemas: ["urn:ietf:params:scim:schemas:core:2.0:Group"], displayName: "Team", members: [{ value: made.body.id }] };
  const team = await client.call("POST", "/Groups", group);
  assert.equal(team.status, 201, JSON.stringify(team.body));
  assert.equal((await client.get(`/Users/${made.body.id}`)).body.groups[0].display, "Team");
  assert.equal((await client.call("POST", "/Users", user)).status, 409);
  assert.equal((await client.call("DELETE", `/Users/${made.body.id}`)).status, 204);
  assert.equal((await client.get(`/Users/${made.body.id}`)).status, 404);
});

