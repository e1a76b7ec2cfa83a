// That the gateway starts, stops, and finds its data again, whatever ended it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { root } from "../../js/tools.mjs";
import { USER, admin, scim, sleep, start, until } from "./harness.mjs";

const folder = mkdtempSync(join(tmpdir(), "scim-edge-boot-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `npm start`'s program and waits until it serves. */
async function run(args, env = {}) {
  const child = spawn(process.execPath, [join(root, "js", "start.mjs"), ...args], { env: { ...process.env, ...env } });
  let printed = "";
  child.stdout.on("data", (chunk) => (printed += chunk));
  child.stderr.on("data", (chunk) => (printed += chunk));
  const ended = new Promise((resolve) => child.on("exit", (code) => resolve(code)));
  await until(() => printed.includes("Ctrl-C") || child.exitCode !== null, 120);
  return { child, ended, printed: () => printed, url: printed.match(/serves (\S+)/)?.[1] };
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

test("healthz answers, a restart finds the data again", async (t) => {
  const state = join(folder, "restart");
  const first = await start({ state });
  t.after(() => first.stop({ keepState: true }));
  const health = await fetch(`${first.url}/healthz`);
  assert.equal(health.status, 200);
  const client = await first.account("acc");
  const made = await client.call("POST", "/Users", { schemas: [USER], userName: "ann" });
  assert.equal(made.status, 201);
  const key = await first.admin("acc").mint("provisioner");
  // KV takes one write a second: the key's publication is the alarm's to do.
  await sleep(1_500);
  await first.stop({ keepState: true });

  const second = await start({ state });
  t.after(() => second.stop());
  const again = second.scim("acc", key);
  const found = await accepted(again, `/Users/${made.body.id}`);
  assert.equal(found.status, 200);
  assert.equal(found.body.userName, "ann");
});

/** A read with a key that was minted just before a restart: its publication may still be under way. */
const accepted = (client, path) =>
  until(async () => {
    const answer = await client.get(path);
    return answer.status === 401 ? undefined : answer;
  });

test("kill -9 during writes loses nothing that was acknowledged", async (t) => {
  const state = join(folder, "kill");
  const port = await freePort();
  const args = ["--no-demo", "--port", String(port), "--state", state];
  const rootKey = "root-key-of-the-kill-test";
  const first = await run(args, { ROOT_API_KEY: rootKey });
  t.after(() => first.child.kill("SIGKILL"));
  const account = admin(first.url, rootKey, "acc");
  await account.serviceAccount("provisioner", "_scim_provisioner");
  const key = await account.mint("provisioner");
  const acknowledged = [];
  const client = scim(first.url, "acc", key);
  const writers = [0, 1, 2, 3].map(async (writer) => {
    for (let count = 0; ; count += 1) {
      const userName = `user-${writer}-${count}`;
      const made = await client.call("POST", "/Users", { schemas: [USER], userName }).catch(() => undefined);
      if (made?.status !== 201) return;
      acknowledged.push(made.body.id);
    }
  });
  await until(() => acknowledged.length >= 100, 60);
  // The runner alone: its workerd is left behind, still writing, and the next run has to end it.
  first.child.kill("SIGKILL");
  await first.ended;
  const second = await run(args, { ROOT_API_KEY: rootKey });
  t.after(() => second.child.kill("SIGTERM"));
  await Promise.all(writers);
  const again = scim(second.url, "acc", key);
  await accepted(again, "/Users?count=0");
  for (const id of acknowledged) {
    const found = await again.get(`/Users/${id}`);
    assert.equal(found.status, 200, `user ${id} was acknowledged and is gone`);
  }
  second.child.kill("SIGTERM");
  assert.equal(await second.ended, 0);
});

test("a port in use is said in a sentence, with the command that helps", async (t) => {
  const blocker = createServer();
  t.after(() => blocker.close());
  await new Promise((resolve) => blocker.listen(0, "127.0.0.1", resolve));
  const { port } = blocker.address();
  const { ended, printed } = await run(["--no-demo", "--port", String(port), "--state", join(folder, "port")]);
  assert.equal(await ended, 1);
  assert.match(printed(), new RegExp(`Port ${port} is in use[\\s\\S]*npm start -- --port`));
});

test("bad options are refused with the help", async () => {
  const { ended, printed } = await run(["--port", "many"]);
  assert.equal(await ended, 1);
  assert.match(printed(), /--port must be a number[\s\S]*--no-demo/);
});
