// `scim-edge tail`: the audit as it grows.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, test } from "node:test";
import { PROGRAM, commandLine } from "./command-line.mjs";
import { USER, start, until } from "./harness.mjs";

const gateway = await start();
after(() => gateway.stop());
const { done } = commandLine(gateway, "tailed");

test("tail: the past, what comes, and only what was asked for", async (t) => {
  const client = await gateway.account("tailed");
  await client.call("POST", "/Users", { schemas: [USER], userName: "ann" });
  const lines = async (...more) => (await done(["tail", "--no-follow", ...more])).trim().split("\n");
  assert.match((await lines("--kind", "write")).at(-1), /ok +201 +user\.create +User \S+ +by provisioner/);
  const entries = (await lines("--json", "--lines", "50")).map((line) => JSON.parse(line));
  const times = entries.map((one) => one.at);
  assert.deepEqual(times, times.toSorted((one, other) => one - other));
  for (const kind of ["settings", "write"]) assert.ok(entries.some((one) => one.kind === kind), kind);
  const child = spawn(process.execPath, [PROGRAM, "tail", "--interval", "0.2", "--lines", "1"], {
    env: { ...process.env, SCIM_EDGE_URL: gateway.url, SCIM_EDGE_ACCOUNT: "tailed", SCIM_EDGE_KEY: gateway.rootKey },
  });
  let followed = "";
  child.stdout.on("data", (chunk) => (followed += chunk));
  const ended = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  t.after(() => child.kill("SIGKILL"));
  await until(() => followed.includes("\n"));
  assert.equal((await gateway.scim("tailed", "sat.tailed.no.key").get("/Users")).status, 401);
  await client.call("POST", "/Users", { schemas: [USER], userName: "bo" });
  const written = () => followed.trim().split("\n");
  const creations = () => written().filter((line) => line.includes("user.create"));
  await until(() => creations().length === 2 && written().some((line) => /refused +401 .*api_key_not_valid/.test(line)));
  assert.equal(written().length, 3, followed);
  child.kill("SIGINT");
  assert.equal(await ended, 0);
});
