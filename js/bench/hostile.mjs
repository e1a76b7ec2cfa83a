// Hostile and large requests beside ordinary traffic: what they do to the memory of workerd and to the others.
//
// `npm run bench:hostile` prints resident memory and the ordinary requests' times before, during and after. Options:
// --accounts 50, --each 60 (of each kind, at once), --seconds 5 (before and after).

import { connect } from "node:net";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { admin, scim } from "../demo/client.mjs";
import { USER } from "./people.mjs";

const SCIM = "application/scim+json";
const MIB = 1 << 20;

/** A user with a body of about so many bytes. */
const long = (name, length) => JSON.stringify({ schemas: [USER], userName: name, profileUrl: `https://example.com/${"x".repeat(length)}` });

/** An origin whose lists never end, or are made of nothing but brackets, once it is `bad.isSet`. */
function origin() {
  const bad = { isSet: false };
  const server = createServer(async (request, response) => {
    response.writeHead(200, { "content-type": SCIM });
    if (!bad.isSet) return response.end('{"schemas":[],"totalResults":1,"Resources":[]}');
    response.write('{"schemas":[],"totalResults":1,"Resources":[');
    const chunk = Buffer.from((request.url.includes("/brackets/") ? "[]," : `{"id":"a","x":"${"x".repeat(100)}"},`).repeat(4096));
    const most = request.url.includes("/brackets/") ? 7 * MIB : 64 * MIB;
    for (let sent = 0; sent < most && !response.destroyed; sent += chunk.length) {
      if (response.write(chunk)) continue;
      await new Promise((resolve) => {
        const goOn = () => {
          response.off("drain", goOn).off("close", goOn);
          resolve();
        };
        response.on("drain", goOn).on("close", goOn);
      });
    }
    response.end("{}]}");
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(Object.assign(bad, { url: `http://127.0.0.1:${server.address().port}`, stop: () => (server.closeAllConnections(), server.close()) }))));
}

/** A raw request that stops in its middle: of its body, or of reading its answer. */
function stalled(url, { method, path, token, length = 0, sent = "" }) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  socket.pause();
  const size = method === "GET" ? "" : `content-type: ${SCIM}\r\ncontent-length: ${length}\r\n`;
  socket.write(`${method} ${path} HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${token}\r\n${size}\r\n`);
  socket.write(sent);
  return socket;
}

const percentile = (times, share) => [...times].sort((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;

/**
 * Runs it against a gateway: `url`, `rootKey`, and `memory()` in bytes. Returns what was found in each phase:
 * `{ phase, resident, requests, failed, p50, p99, statuses }`: `failed` counts the ordinary requests that failed by their
 * statuses, `statuses` are the hostile requests' own.
 */
export async function hostile({ url, rootKey, memory, accounts = 50, each = 60, seconds = 5, say = () => {} }) {
  const bad = await origin();
  const client = async (name, settings) => {
    const calls = admin(url, rootKey, name);
    await calls.serviceAccount("provisioner", "_scim_provisioner");
    if (settings) await calls.set(settings);
    const token = await calls.mint("provisioner");
    return { ...scim(url, name, token), token, path: new URL(scim(url, name, token).base).pathname };
  };
  const ordinary = [];
  for (let n = 0; n < accounts; n += 1) {
    const one = await client(`plain${n}`);
    const { status, body } = await one.call("POST", "/Users", { schemas: [USER], userName: "ann" });
    if (status !== 201) throw new Error(`an ordinary account: ${status}`);
    ordinary.push({ ...one, id: body.id });
  }
  const large = await client("large");
  for (let n = 0; n < 40; n += 1) {
    const { status } = await large.call("POST", "/Users", long(`user${n}`, 400_000));
    if (status !== 201) throw new Error(`a large user: ${status}`);
  }
  const endless = await client("endless", { scim_origin_url: `${bad.url}/endless` });
  const brackets = await client("brackets", { scim_origin_url: `${bad.url}/brackets` });
  bad.isSet = true;
  const nested = `{"schemas":["${USER}"],"userName":"x","x":[${"[],".repeat(MIB / 3 - 100)}[]]}`;
  const filter = encodeURIComponent(Array.from({ length: 200 }, (_, n) => `title co "${n}"`).join(" or "));
  // All of them at once: they have no answers to count.
  const stall = (make) => {
    const together = async () => {
      const sockets = Array.from({ length: each }, make);
      await sleep(1_000);
      sockets.forEach((socket) => socket.destroy());
      return [];
    };
    return Object.assign(together, { together });
  };
  const kinds = {
    "bodies of 1 MiB": (n) => large.call("POST", "/Users", long(`more${n}`, 900_000)),
    "bodies of brackets": () => large.call("POST", "/Users", nested),
    "bodies that are too long": () => large.call("POST", "/Users", "x".repeat(3 * MIB)),
    "bodies of strangers": () => scim(url, "large", "none").call("POST", "/Users", "x".repeat(MIB)),
    "bodies that stop": stall(() => stalled(url, { method: "POST", path: `${large.path}/Users`, token: large.token, length: MIB, sent: "x".repeat(900_000) })),
    "long lists": () => large.get("/Users?count=1000"),
    "long lists that nobody reads": stall(() => stalled(url, { method: "GET", path: `${large.path}/Users?count=1000`, token: large.token })),
    "scans with long filters": () => large.get(`/Users?filter=${filter}`),
    "endless answers of an origin": () => endless.get("/Users"),
    "an origin's answers of brackets": () => brackets.get("/Users"),
  };
  const found = [];
  try {
    let running = true;
    let times = [];
    let failed = {};
    const traffic = ordinary.map(async ({ get, call, id }, n) => {
      for (let turn = n; running; turn += 1) {
        const begun = performance.now();
        const ask = () => (turn % 5 ? get(`/Users/${id}`) : call("PUT", `/Users/${id}`, { schemas: [USER], userName: "ann", title: String(turn) }));
        // A connection that idled while the machine was busy may be closed: both can be sent again (RFC 9110 §9.2.2).
        const answer = await ask().catch(ask).catch(({ cause, message }) => ({ status: cause?.code ?? message }));
        times.push(performance.now() - begun);
        if (answer.status !== 200) failed[answer.status] = (failed[answer.status] ?? 0) + 1;
        await sleep(50);
      }
    });
    const phase = async (name, work) => {
      [times, failed] = [[], {}];
      let most = memory() ?? 0;
      const watch = setInterval(() => (most = Math.max(most, memory() ?? 0)), 100);
      const answers = await work();
      clearInterval(watch);
      const statuses = {};
      for (const { status } of answers) statuses[status] = (statuses[status] ?? 0) + 1;
      const one = { phase: name, resident: Math.max(most, memory() ?? 0), requests: times.length, failed, p50: percentile(times, 0.5), p99: percentile(times, 0.99), statuses };
      found.push(one);
      say(`${name}: ${Math.round(one.resident / 1e6)} MB resident; ordinary: ${one.requests}, ${JSON.stringify(failed)} failed, p50 ${one.p50.toFixed(1)} ms, p99 ${one.p99.toFixed(1)} ms; answered ${JSON.stringify(statuses)}`);
    };
    const wait = () => sleep(seconds * 1000).then(() => []);
    await phase("before", wait);
    for (const [name, send] of Object.entries(kinds)) {
      await phase(name, () => (send.together ? send() : Promise.all(Array.from({ length: each }, (_, n) => send(n).catch(() => send(n)).catch(() => ({ status: 0 }))))));
    }
    await phase("after", wait);
    running = false;
    await Promise.all(traffic);
    return found;
  } finally {
    bad.stop();
  }
}

async function main() {
  const { build } = await import("../build.mjs");
  const { say } = await import("../log.mjs");
  const { setup } = await import("../setup.mjs");
  const { gateway } = await import("./gateway.mjs");
  const { values } = parseArgs({
    options: { accounts: { type: "string", default: "50" }, each: { type: "string", default: "60" }, seconds: { type: "string", default: "5" } },
  });
  await setup({});
  await build();
  const ours = await gateway({ say });
  const [accounts, each, seconds] = [values.accounts, values.each, values.seconds].map(Number);
  try {
    await hostile({ url: new URL(ours.base).origin, rootKey: ours.rootKey, memory: ours.memory, accounts, each, seconds, say });
  } finally {
    await ours.stop();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { fail } = await import("../log.mjs");
  await main().catch(fail);
}
