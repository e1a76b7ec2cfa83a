// Peers from package registries, with the same users in their memory.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { clientOf } from "../demo/client.mjs";
import { step } from "../log.mjs";
import { pythonSuites } from "../python.mjs";
import { run } from "../run.mjs";
import { root } from "../tools.mjs";
import { fill, person } from "./people.mjs";
import { ended, usage } from "./workerd.mjs";

const here = import.meta.dirname;

/** Installs what only the benchmark needs, beside it. */
export async function install() {
  if (existsSync(join(here, "node_modules", ".package-lock.json"))) return;
  const options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
  await step("Installing the benchmark's packages", () => run("npm", options, { quiet: true, cwd: here }));
}

/** SCIMMY on Node. */
export async function scimmy({ users }) {
  const people = Array.from({ length: users }, (_, n) => ({ ...person(n), id: randomUUID() }));
  const child = spawn(process.execPath, [join(here, "scimmy.server.mjs")], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify(people));
  const port = await new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error("scimmy ended")));
    child.stdout.once("data", (chunk) => resolve(Number(chunk)));
  });
  return peer("scimmy", child, `http://127.0.0.1:${port}/scim`, people.map(({ id }) => id));
}

/** scim2-server on Python, over a server that keeps connections; nothing where there is no Python. */
export async function scim2Server({ users }) {
  const bin = await pythonSuites();
  if (!bin) return undefined;
  const port = await freePort();
  const script = join(root, "tests", "suites", "serve_scim2.py");
  const child = spawn(join(bin, "python"), [script, "--port", String(port)], { stdio: "ignore" });
  const base = `http://127.0.0.1:${port}/v2`;
  const up = () => fetch(`${base}/ServiceProviderConfig`).then((answer) => answer.ok).catch(() => false);
  for (let tries = 0; !(await up()); tries += 1) {
    if (child.exitCode !== null || tries > 100) throw new Error("scim2-server did not start");
    await sleep(200);
  }
  const { ids } = await fill(clientOf(base), users, { groups: false });
  return peer("scim2-server", child, base, ids);
}

function peer(name, child, base, ids) {
  return { name, peer: true, ids, still: `/Users/${ids[0]}`, ...usage(child.pid), base, headers: { authorization: "Bearer x" }, stop: () => ended(child) };
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
