// `npm run torture:fill -- [--users N] [--groups N]`: how long a first fill takes and what it costs. workerd
// is killed in the middle, and has to go on from there.

import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { build } from "../build.mjs";
import { admin, scim } from "../demo/client.mjs";
import { serve } from "../gateway.mjs";
import { fail, say } from "../log.mjs";
import { setup } from "../setup.mjs";
import { GROUP, LIST, USER } from "./names.mjs";

const MEMBERS = 50;

const id = (prefix, n) => `${prefix}${String(n).padStart(7, "0")}`;

const makers = {
  Users: (n) => ({
    schemas: [USER],
    id: id("u", n),
    externalId: `e-${n}`,
    userName: `user${n}@example.com`,
    name: { givenName: `Given${n % 997}`, familyName: `Family${n % 1009}` },
    displayName: `Given${n % 997} Family${n % 1009}`,
    active: true,
    emails: [{ value: `user${n}@example.com`, type: "work", primary: true }],
    meta: { resourceType: "User", version: 'W/"1"' },
  }),
  Groups: (n, users) => ({
    schemas: [GROUP],
    id: id("g", n),
    displayName: `Group ${n}`,
    members: Array.from({ length: Math.min(MEMBERS, users) }, (_, place) => ({ value: id("u", (n * MEMBERS + place) % users), type: "User" })),
    meta: { resourceType: "Group", version: 'W/"1"' },
  }),
};

/** An origin that makes its resources up as it shows them. */
async function serveOrigin(counts) {
  const asked = [];
  const http = createServer((request, response) => {
    const url = new URL(request.url, "http://origin");
    const segment = url.pathname.split("/").at(-1);
    const total = counts[segment];
    const start = Number(url.searchParams.get("startIndex") ?? 1);
    if (total !== undefined && url.searchParams.has("startIndex")) asked.push(`${segment} ${start}`);
    const size = Math.max(0, Math.min(Number(url.searchParams.get("count") ?? 100), total - start + 1));
    const Resources = Array.from({ length: size }, (_, place) => makers[segment](start - 1 + place, counts.Users));
    response.writeHead(total === undefined ? 404 : 200, { "content-type": "application/scim+json" });
    response.end(JSON.stringify({ schemas: [LIST], totalResults: total, startIndex: start, itemsPerPage: size, Resources }));
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${http.address().port}/scim`,
    asked,
    stop: () => new Promise((resolve) => (http.close(resolve), http.closeAllConnections())),
  };
}

/** Waits until something holds. */
async function until(holds) {
  while (!(await holds())) await sleep(20);
}

const memory = (pids) =>
  Math.max(...pids.map((pid) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0))) / 1024;

function databaseSize(folder) {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && /\.sqlite/.test(entry.name)) bytes += statSync(join(entry.parentPath, entry.name)).size;
  }
  return bytes / 2 ** 20;
}

/** Counts the rows that SQLite says were written (`rowsWritten` of each cursor), in the object itself. */
const COUNTING = `
import { DurableObject } from "cloudflare:workers";
import { Directory as Whole } from "./index.js";
export { Account, default } from "./index.js";
let written = 0;
export class Directory extends DurableObject {
  constructor(state, env) {
    super(state, env);
    const prototype = Object.getPrototypeOf(state.storage.sql);
    const exec = (prototype.whole ??= prototype.exec);
    prototype.exec = function (...all) {
      const cursor = exec.apply(this, all);
      return { columnNames: cursor.columnNames, raw: () => ({ toArray: () => { const rows = cursor.raw().toArray(); written += cursor.rowsWritten; return rows; } }) };
    };
    this.whole = new Whole(state, env);
  }
  async fetch(request) {
    const answer = await this.whole.fetch(request);
    const counted = new Response(answer.body, answer);
    counted.headers.set("content-language", String(written));
    return counted;
  }
  alarm() { return this.whole.alarm(); }
}`;

async function main() {
  const { values } = parseArgs({ options: { users: { type: "string" }, groups: { type: "string" } } });
  const counts = { Users: Number(values.users ?? 100_000), Groups: Number(values.groups ?? 1_000) };
  await setup();
  await build();
  const folder = mkdtempSync(join(tmpdir(), "scim-edge-fill-"));
  const state = join(folder, "gateway");
  const origin = await serveOrigin(counts);
  let gateway = await serve({ port: 0, state, wrapper: COUNTING });
  try {
    const calls = admin(gateway.url, gateway.rootKey, "fill");
    await calls.serviceAccount("provisioner", "_scim_provisioner");
    await calls.set({ scim_origin_url: origin.url });
    const key = await calls.mint("provisioner");
    const began = performance.now();
    await scim(gateway.url, "fill", key).get("/Users?count=1");
    const last = () => Number(origin.asked.at(-1)?.split(" ")[1] ?? 0);
    await until(() => last() >= counts.Users / 2);
    const half = (performance.now() - began) / 1000;
    const written = (answer) => Number(answer.headers.get("content-language"));
    const before = written(await scim(gateway.url, "fill", key).get("/Users?count=0"));
    const used = memory(gateway.workerd);
    const stopped = last();
    say(`half of it copied after ${half.toFixed(1)} s (startIndex ${stopped}): kill -9`);
    for (const pid of gateway.workerd) process.kill(pid, "SIGKILL");
    await gateway.stop();
    origin.asked.length = 0;
    gateway = await serve({ port: 0, state, wrapper: COUNTING });
    const again = performance.now();
    const client = scim(gateway.url, "fill", key);
    let answer;
    await until(async () => /; hit/.test((answer = await client.get("/Users?count=0")).headers.get("cache-status")));
    const rest = (performance.now() - again) / 1000;
    const first = origin.asked.find((one) => one.startsWith("Users"));
    const groups = await client.get("/Groups?count=0");
    say(`went on at ${first}, complete after another ${rest.toFixed(1)} s`);
    say(`resources       ${answer.body.totalResults} users, ${groups.body.totalResults} groups of ${MEMBERS}`);
    say(`time            ${(half + rest).toFixed(1)} s, ${Math.round((counts.Users + counts.Groups) / (half + rest))} resources/s`);
    say(`rows written    ${(before / stopped).toFixed(2)} per user (rowsWritten of SQLite's cursors, ${before} for ${stopped} users)`);
    say(`database        ${databaseSize(state).toFixed(0)} MiB on disk`);
    say(`workerd         ${Math.max(used, memory(gateway.workerd)).toFixed(0)} MiB resident at most`);
    const resumed = Number(first?.split(" ")[1]) > stopped / 2;
    const whole = answer.body.totalResults === counts.Users && groups.body.totalResults === counts.Groups;
    if (!resumed || !whole) say("It did NOT go on where it was, or is not whole.");
    process.exitCode = resumed && whole ? 0 : 1;
  } finally {
    await gateway.stop();
    await origin.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

await main().catch(fail);
