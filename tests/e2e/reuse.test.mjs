// Refusals that are given before the body was read: clients of several languages go on over the same connection.

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { root } from "../../js/tools.mjs";
import { PATCH, sleep, start } from "./harness.mjs";

const gateway = await start({ bindings: { ratelimits: { AUTH_FAILURES: { simple: { limit: 1000, period: 60 } } } } });
const limited = await start({ bindings: { ratelimits: { AUTH_FAILURES: { simple: { limit: 1, period: 60 } } } } });
after(() => Promise.all([gateway.stop(), limited.stop()]));
await gateway.account("reuse");
const key = await gateway.admin("reuse").mint("provisioner");
const base = "/ng/api/scim/account/reuse";
const good = { authorization: `Bearer ${key}`, "content-type": "application/scim+json" };
const bad = { authorization: "Bearer none", "content-type": "application/scim+json" };
const json = { "x-api-key": "none", "content-type": "application/json" };
const LONG = 900_000;

const CASES = [
  { name: "no credentials", method: "POST", path: `${base}/Users`, headers: { "content-type": "application/scim+json" }, status: 401, length: 1_000 },
  { name: "wrong credentials", method: "POST", path: `${base}/Users`, headers: bad, status: 401, length: LONG },
  { name: "no account", method: "PUT", path: "/ng/api/scim/account/nobody/Users/1", headers: bad, status: 401, length: LONG },
  { name: "no such path", method: "POST", path: `${base}/Nothing`, headers: good, status: 404, length: LONG },
  { name: "no path at all", method: "POST", path: "/nothing", headers: good, status: 404, length: LONG },
  { name: "no such method", method: "PUT", path: `${base}/Users`, headers: good, status: 405, length: LONG },
  { name: "too long", method: "POST", path: `${base}/Users`, headers: good, status: 413, length: 3_000_000 },
  { name: "no such type", method: "POST", path: `${base}/Users`, headers: { ...good, "content-type": "text/plain" }, status: 415, length: LONG },
  { name: "settings with a wrong key", method: "PUT", path: "/ng/api/settings?accountIdentifier=reuse", headers: json, status: 401, length: LONG },
  { name: "a service that is read", method: "POST", path: "/healthz", headers: {}, status: 405, length: LONG },
  { name: "an operator's call with a wrong key", method: "POST", path: `${base}/.changes`, headers: json, status: 401, length: LONG },
  { name: "an operator's call that is too long", method: "POST", path: `${base}/.explain`, headers: { ...json, "x-api-key": gateway.rootKey }, status: 413, length: LONG },
];

const environment = { ...process.env, BASE: gateway.url, CASES: JSON.stringify(CASES) };

function send(agent, url, { method, path, headers, length }) {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${url}${path}`, { agent, method, headers: { ...headers, "content-length": length } }, (response) => {
      response.resume();
      response.on("end", () => resolve({ status: response.statusCode, reused: request.reusedSocket }));
    });
    request.on("error", reject);
    request.end(Buffer.alloc(length, " "));
  });
}

test("refusals: Node's agent goes on over the connection", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const still = { method: "GET", path: "/healthz", headers: {}, length: 0 };
  await send(agent, gateway.url, still);
  for (const one of CASES) {
    const refused = await send(agent, gateway.url, one);
    assert.deepEqual(refused, { status: one.status, reused: true }, one.name);
    await sleep(5);
    assert.deepEqual(await send(agent, gateway.url, still), { status: 200, reused: true }, one.name);
  }
  agent.destroy();
});

test("refusals: too many failures leave the connection usable too", async () => {
  await limited.account("reuse");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const one = CASES[1];
  const statuses = [];
  for (let time = 0; time < 4; time += 1) statuses.push((await send(agent, limited.url, one)).status);
  assert.equal(statuses.at(-1), 429);
  assert.deepEqual(await send(agent, limited.url, { method: "GET", path: "/healthz", headers: {}, length: 0 }), { status: 200, reused: true });
  agent.destroy();
});

test("refusals: undici and fetch go on over the connection", async (t) => {
  let undici;
  try {
    undici = await import("undici");
  } catch {
    t.skip("undici is not installed");
    return;
  }
  const client = new undici.Client(gateway.url, { pipelining: 1 });
  let ended = 0;
  client.on("disconnect", () => (ended += 1));
  for (const { name, method, path, headers, status, length } of CASES) {
    const refused = await client.request({ method, path, headers, body: Buffer.alloc(length, " ") });
    await refused.body.dump();
    assert.equal(refused.statusCode, status, name);
    const read = await client.request({ method: "GET", path: "/healthz" });
    await read.body.dump();
    assert.equal(read.statusCode, 200, name);
  }
  assert.equal(ended, 0);
  await client.close();
});

test("refusals: Python's http.client, urllib3 and requests go on over the connection", async (t) => {
  if (spawnSync("python3", ["--version"]).status !== 0) return t.skip("Python is not installed");
  const { stdout } = await promisify(execFile)("python3", [join(root, "tests", "clients", "reuse.py")], { env: environment });
  t.diagnostic(stdout.trim().replaceAll("\n", ", "));
  assert.match(stdout, /^http\.client$/m);
});

test("refusals: Go's net/http goes on over the connection", async (t) => {
  if (spawnSync("go", ["version"]).status !== 0) return t.skip("Go is not installed");
  const { stdout } = await promisify(execFile)("go", ["run", join(root, "tests", "clients", "reuse.go")], { env: environment });
  assert.match(stdout, /^net\/http$/m);
});

test("refusals: a Rust client goes on over the connection", async (t) => {
  if (spawnSync("rustc", ["--version"]).status !== 0) return t.skip("Rust is not installed");
  const folder = mkdtempSync(join(tmpdir(), "scim-edge-reuse-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, "reuse");
  await promisify(execFile)("rustc", ["--edition", "2024", "-O", "-o", program, join(root, "tests", "clients", "reuse.rs")]);
  const lines = (headers) => Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const given = CASES.flatMap(({ method, path, status, length, headers }) => [method, path, String(status), String(length), lines(headers)]);
  const { stdout } = await promisify(execFile)(program, [new URL(gateway.url).host, ...given]);
  assert.match(stdout, /^std::net$/m);
});

test("refusals: a body that never ends is not waited for, and others are answered meanwhile", async (t) => {
  const { hostname, port } = new URL(gateway.url);
  const socket = connect(Number(port), hostname);
  t.after(() => socket.destroy());
  const answered = new Promise((resolve) => socket.on("data", resolve));
  socket.write(`PATCH ${base}/Users/1 HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: 5000\r\n\r\n`);
  socket.write(JSON.stringify({ schemas: [PATCH] }));
  assert.equal((await fetch(`${gateway.url}/healthz`)).status, 200);
  assert.match(String(await answered), /^HTTP\/1\.1 401/);
});
