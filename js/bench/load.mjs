// Load: wrk where it is installed, since it leaves most of the machine to the server; else autocannon.

import { spawnSync } from "node:child_process";
import { run } from "../run.mjs";

const hasWrk = spawnSync("wrk", ["-v"]).error === undefined;

/** What makes the load. */
export const generator = hasWrk ? "wrk" : "autocannon";

/**
 * Asks one URL over `connections` for `seconds`.
 *
 * @returns {Promise<{ perSecond: number, requests: number, failures: number }>}
 */
export async function load({ url, headers = {}, connections = 16, seconds }) {
  return hasWrk ? wrk({ url, headers, connections, seconds }) : autocannon({ url, headers, connections, seconds });
}

async function wrk({ url, headers, connections, seconds }) {
  const named = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const said = await run("wrk", ["-t1", `-c${connections}`, `-d${seconds}`, "--timeout", "30", ...named, url], { quiet: true });
  const number = (pattern) => Number(said.match(pattern)?.[1] ?? 0);
  return {
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    requests: number(/(\d+) requests in/),
    failures: number(/Non-2xx or 3xx responses: (\d+)/) + number(/Socket errors: connect (\d+)/) + number(/Socket errors:.*timeout (\d+)/),
  };
}

async function autocannon({ url, headers, connections, seconds }) {
  const { default: cannon } = await import("autocannon");
  const { requests, duration, non2xx, errors } = await cannon({ url, headers, connections, duration: seconds, timeout: 30 });
  return { perSecond: requests.total / duration, requests: requests.total, failures: non2xx + errors };
}
