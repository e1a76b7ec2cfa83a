// Load: wrk where it is installed, since it leaves most of the machine to the server; else autocannon.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../run.mjs";

const hasWrk = spawnSync("wrk", ["-v"]).error === undefined;

/** What makes the load. */
export const generator = hasWrk ? "wrk" : "autocannon";

/**
 * Asks `paths` below `base` in turn over `connections` for `seconds`.
 *
 * @returns {Promise<{ perSecond: number, requests: number, failures: number }>}
 */
export async function load({ base, headers = {}, paths, connections = 16, seconds }) {
  const { origin, pathname } = new URL(base);
  const whole = paths.map((path) => `${pathname === "/" ? "" : pathname}${path}`);
  return (hasWrk ? wrk : autocannon)({ origin, paths: whole, headers, connections, seconds });
}

async function wrk({ origin, paths, headers, connections, seconds }) {
  const folder = mkdtempSync(join(tmpdir(), "scim-edge-paths-"));
  try {
    const file = join(folder, "paths");
    writeFileSync(file, `${paths.join("\n")}\n`);
    const named = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
    const options = ["-t1", `-c${connections}`, `-d${seconds}`, "--timeout", "30", "-s", join(import.meta.dirname, "paths.lua")];
    const said = await run("wrk", [...options, ...named, origin, "--", file], { quiet: true });
    const number = (pattern) => Number(said.match(pattern)?.[1] ?? 0);
    return {
      perSecond: number(/Requests\/sec:\s+([\d.]+)/),
      requests: number(/(\d+) requests in/),
      failures: number(/Non-2xx or 3xx responses: (\d+)/) + number(/Socket errors: connect (\d+)/) + number(/Socket errors:.*timeout (\d+)/),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function autocannon({ origin, paths, headers, connections, seconds }) {
  const { default: cannon } = await import("autocannon");
  const asked = paths.map((path) => ({ method: "GET", path, headers }));
  // Each connection begins elsewhere: they go on in step, and would ask the same at the same time.
  let begun = 0;
  const setupClient = (client) => {
    const start = Math.floor((begun++ * asked.length) / connections);
    client.setRequests([...asked.slice(start), ...asked.slice(0, start)]);
  };
  const { requests, duration, non2xx, errors } = await cannon({ url: origin, connections, duration: seconds, timeout: 30, setupClient });
  return { perSecond: requests.total / duration, requests: requests.total, failures: non2xx + errors };
}

/** How many milliseconds an answer takes; throws where it is not 200, or not there within `bound` milliseconds. */
export async function answered({ url, headers, bound = 30_000 }) {
  const begun = performance.now();
  const answer = await fetch(url, { headers, signal: AbortSignal.timeout(bound) });
  await answer.text();
  if (answer.status !== 200) throw new Error(`${url}: ${answer.status}`);
  return performance.now() - begun;
}
