// Aborts of the Wasm instance: an allocation that fails, a stack overflow. All that was waiting for that memory is
// answered at once, of whatever account; the memory is let go; the next call works.
//
// The gateway has no switch for this. The module in front of the bundle replaces the constructor of Wasm instances and
// makes a call from Wasm to its host fail as the real thing does: by a trap in Wasm's own allocator, and by a stack
// overflow.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { after, test } from "node:test";
import { PATCH, USER, isHit, sleep, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const FAULTY = `
const Instance = WebAssembly.Instance;
let exports;
let fault;
let instances = 0;

const deeper = () => deeper() + 1;
const faults = {
  allocation: () => exports.__wbindgen_malloc(0x7fff0000, 1),
  stack: () => deeper(),
};

// Memory that is in use, and not only reserved.
function fill() {
  const { memory } = exports;
  const from = memory.buffer.byteLength;
  for (let pages = 1024; pages > 0; pages >>= 1) {
    try {
      while (memory.grow(pages) !== -1 && memory.buffer.byteLength - from < 64 << 20);
    } catch {}
  }
  new Uint8Array(memory.buffer, from).fill(1);
  return memory.buffer.byteLength;
}

WebAssembly.Instance = function (module, imports) {
  const calls = imports["./index_bg.js"];
  for (const [name, call] of Object.entries(calls)) {
    const at = /^__wbg_(take|describe)_/.exec(name)?.[1];
    if (at === undefined) continue;
    calls[name] = (...values) => {
      if (fault?.at === at) {
        const { kind } = fault;
        fault = undefined;
        return faults[kind]();
      }
      return call(...values);
    };
  }
  const instance = new Instance(module, imports);
  exports = instance.exports;
  instances += 1;
  return instance;
};

const gateway = await import("./index.js");
export const { Account, Directory } = gateway;

export default {
  fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/.fault") {
      if (searchParams.get("filled")) fill();
      fault = { kind: searchParams.get("kind"), at: searchParams.get("at") };
      return new Response(String(instances));
    }
    return gateway.default.fetch(request, env, context);
  },
};`;

const gateway = await start({ wrapper: FAULTY, output: (line) => process.env.SHOW && console.error(line) });
after(() => gateway.stop());

/** Has the next call of Wasm's to its host fail: `take` is an object's, \`describe\` the Worker's. */
const strike = async (kind, at, more = "") => Number(await (await fetch(`${gateway.url}/.fault?kind=${kind}&at=${at}${more}`)).text());

/** A request whose body does not end. */
function endless(url, headers) {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method: "POST", headers: { ...headers, "content-length": "100000" } }, (response) => {
      response.resume();
      resolve({ status: response.statusCode });
      request.destroy();
    });
    request.on("error", reject);
    request.write('{"schemas":[');
  });
}

let accounts = 0;

/** Aborts while calls of several accounts, and an alarm, wait for the memory. */
async function abort(t, kind, at) {
  accounts += 1;
  const name = (which) => `${which}${accounts}`;
  const struck = await gateway.account(name("struck"));
  const made = await struck.call("POST", "/Users", { schemas: [USER], userName: "ann" });
  const copied = await origin();
  const filling = await origin(250);
  let release;
  const held = new Promise((resolve) => (release = resolve));
  t.after(async () => {
    release();
    await copied.stop();
    await filling.stop();
  });
  const writer = await gateway.account(name("writer"), { scim_origin_url: copied.base });
  await until(async () => isHit(await writer.get("/Users?count=1")));
  copied.behave = ({ method }) => (method === "PATCH" ? held : undefined);
  filling.behave = ({ url }) => (url.includes("startIndex=100") || url.includes("filter") ? held : undefined);
  const reader = await gateway.account(name("reader"), { scim_origin_url: filling.base });
  await reader.get("/Users?count=1");
  // The alarm of the first fill waits for the second page.
  await until(() => filling.requests.some(({ url }) => url.includes("startIndex=100")));

  const authorization = `Bearer ${await gateway.admin(name("struck")).mint("provisioner")}`;
  const patch = { schemas: [PATCH], Operations: [{ op: "replace", path: "title", value: "x" }] };
  const pending = [
    writer.call("PATCH", "/Users/u0", patch),
    reader.get('/Users?filter=userName eq "user7@example.com"'),
    endless(`${struck.base}/Users`, { authorization, "content-type": "application/scim+json" }),
  ];
  await until(() => copied.requests.some(({ method }) => method === "PATCH"));
  await until(() => filling.requests.some(({ url }) => url.includes("filter")));
  // With its memory the isolate loses the account's newest document, and reads it from KV, which takes a write a second.
  await sleep(3_000);
  const before = await strike(kind, at);
  // Not by a badge, which does without Wasm in the Worker.
  const blow = await struck.get(`/Users/${made.body.id}`, { "harness-account": name("struck") });
  assert.equal(blow.status, 503, JSON.stringify(blow.body));
  assert.equal(blow.body.status, "503");
  assert.ok(Number(blow.headers.get("retry-after")) >= 1);
  // The origins answer none of them.
  for (const answer of await Promise.all(pending)) assert.equal(answer.status, 503);

  assert.equal((await struck.get(`/Users/${made.body.id}`)).body.userName, "ann");
  assert.equal((await struck.call("POST", "/Users", { schemas: [USER], userName: "ben" })).status, 201);
  assert.equal(await strike("", ""), before + 1);
  release();
  // The write is of unknown outcome, and asked about; the fill goes on with the alarm.
  assert.equal((await writer.get("/Users/u0")).status, 200);
  await until(async () => isHit(await reader.get("/Users?count=1")), 60);
  assert.equal((await reader.get("/Users?count=0")).body.totalResults, 250);
}

const LIMIT = { timeout: 120_000 };

test("abort: an allocation that fails in an object: calls of every account are answered 503, alarms are repeated", LIMIT, (t) => abort(t, "allocation", "take"));

test("abort: an allocation that fails in the Worker: calls of every account are answered 503, alarms are repeated", LIMIT, (t) => abort(t, "allocation", "describe"));

test("abort: a stack overflow in an object: calls of every account are answered 503, alarms are repeated", LIMIT, (t) => abort(t, "stack", "take"));

test("abort: a stack overflow in the Worker: calls of every account are answered 503, alarms are repeated", LIMIT, (t) => abort(t, "stack", "describe"));

test("abort: an admin call is answered 503 in its own format", async () => {
  await gateway.account("admin");
  await strike("allocation", "describe");
  const answer = await gateway.admin("admin").call("GET", "/ng/api/settings?category=SCIM");
  assert.equal(answer.status, 503);
  assert.equal(answer.body.code, "SERVICE_UNAVAILABLE");
  assert.equal((await gateway.admin("admin").call("GET", "/ng/api/settings?category=SCIM")).status, 200);
});

test("abort: old memories are let go", { timeout: 120_000 }, async (t) => {
  const resident = () => gateway.workerd.reduce((sum, pid) => sum + Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)[1]) / 1024, 0);
  try {
    resident();
  } catch {
    return t.skip("the system does not tell how much memory a process has");
  }
  const client = await gateway.account("large");
  // A new memory knows of keys what is published.
  await sleep(3_000);
  const rounds = 12;
  let before;
  for (let round = 0; round < rounds; round += 1) {
    await strike("allocation", "describe", "&filled=1");
    assert.equal((await client.get("/Users?count=0", { "harness-account": "large" })).status, 503);
    assert.equal((await client.get("/Users?count=0")).status, 200);
    if (round === 1) before = resident();
  }
  const more = resident() - before;
  // Each of them had 64 MiB.
  assert.ok(more < 300, `${Math.round(more)} MiB more after ${rounds - 2} aborts`);
});
