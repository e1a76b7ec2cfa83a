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
import { answered, load, patientLoad } from "./load.mjs";
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
  return { name, ids, ...usage(child.pid), base, headers: { authorization: "Bearer x" }, stop: () => ended(child) };
}

/** A peer that takes longer for one answer is asked over one connection, which it is busy with. */
const SLOW_MS = 100;

/** A peer has so long for an answer, and so long to come to rest. */
const ANSWER_MS = 5_000;
const REST_MS = 30_000;

/**
 * Asks a peer `paths`, once nothing is left in its queue of what it was asked before.
 *
 * @returns as `load`, with `alone` where it was over one connection; `unanswered` says why there is nothing.
 */
export async function peerLoad({ base, headers, ids }, { paths, seconds }) {
  try {
    await rested({ url: `${base}/Users/${ids[0]}`, headers });
    const alone = (await answered({ url: `${base}${paths[0]}`, headers, bound: ANSWER_MS })) > SLOW_MS;
    const asked = { base, headers, paths, seconds };
    return alone ? { ...(await patientLoad({ ...asked, bound: ANSWER_MS })), alone } : await load(asked);
  } catch (error) {
    const late = error.name === "TimeoutError";
    return { unanswered: late ? `no answer within ${ANSWER_MS / 1000} s` : error.message };
  }
}

/** Waits until a read by id is answered as by a server that does nothing else. */
async function rested(request) {
  for (const end = performance.now() + REST_MS; performance.now() < end; ) {
    const took = await answered({ ...request, bound: REST_MS });
    if (took < SLOW_MS) return;
  }
  throw new Error(`still busy after ${REST_MS / 1000} s`);
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
