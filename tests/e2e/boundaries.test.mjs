// The border between the gateway and an origin: ids that a path cannot carry, loops, answers that are not SCIM or too
// long.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { after, test } from "node:test";
import { hostile } from "../../js/bench/hostile.mjs";
import { GROUP, PATCH, USER, isHit, sleep, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const gateway = await start();
after(() => gateway.stop());

let accounts = 0;

/** An account in front of an origin, filled. */
async function behind(t, it, settings = {}) {
  t.after(() => it.stop());
  accounts += 1;
  const name = `border${accounts}`;
  const client = await gateway.account(name, { scim_origin_url: it.base, scim_origin_authorization: "Bearer origin-secret", ...settings });
  await until(async () => isHit(await client.get("/Users?count=1")));
  return Object.assign(client, { name });
}

/** A request with the path as it is written: `fetch` would resolve dot segments. */
function raw(url, { method = "GET", path, headers = {}, body }) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const request = httpRequest({ hostname, port, method, path, headers }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body: text }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

const operator = (name, call) => fetch(`${gateway.url}/ng/api/scim/account/${name}/${call}`, { headers: { "x-api-key": gateway.rootKey } }).then((answer) => answer.json());

// As they are in the path: each names something else to some server.
const SEGMENTS = [
  "..%2FGroups", "a%2Fb", "a%2fb", "a%252Fb", "a%25252fb", "%5C..%5Cx", "a%5cb", "%252e%252e", "%252e", "%25%32%65%252e", "..;x=1", "%2e%2e%3Bx",
  "%252e%252e;x", "a%0Ab", "a%00", "a%7F", "a%250d%250ab", "%25u002e%25u002e", "%25c0%25ae%25c0%25ae", "%EF%BC%8E%EF%BC%8E", "a%EF%BC%8Fb", "%E2%80%A4.",
];

test("ids: one that a path cannot carry never reaches the origin, by any verb or in a bulk request", async (t) => {
  const it = await origin();
  const client = await behind(t, it);
  const key = await gateway.admin(client.name).mint("provisioner");
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/scim+json" };
  const { pathname } = new URL(client.base);
  it.requests.length = 0;
  const put = JSON.stringify({ schemas: [USER], userName: "x" });
  const patch = JSON.stringify({ schemas: [PATCH], Operations: [{ op: "replace", path: "title", value: "x" }] });
  for (const segment of SEGMENTS) {
    for (const [method, body] of [["GET"], ["PUT", put], ["PATCH", patch], ["DELETE"]]) {
      for (const collection of ["Users", "Groups"]) {
        const answer = await raw(gateway.url, { method, path: `${pathname}/${collection}/${segment}`, headers, body });
        assert.equal(answer.status, 404, `${method} ${segment}: ${answer.status}`);
        assert.equal(JSON.parse(answer.body).status, "404");
      }
    }
  }
  const Operations = SEGMENTS.map((segment) => ({ method: "DELETE", path: `/Users/${segment}` }));
  const bulk = await client.call("POST", "/Bulk", { schemas: ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], Operations });
  assert.equal(bulk.status, 200);
  for (const [at, one] of bulk.body.Operations.entries()) assert.match(one.status, /^40[04]$/, SEGMENTS[at]);
  assert.deepEqual(it.requests.map(({ method, url }) => `${method} ${url}`), []);
  // Dot segments of the URL itself end where the host resolves them: at no other account, and at no origin.
  for (const path of [`${pathname}/Users/../../x/Users/u0`, `${pathname}/Users/%2e%2e/Groups/g`, `${pathname}/Users/.%2e`]) {
    const answer = await raw(gateway.url, { path, headers });
    assert.ok([200, 401, 403, 404].includes(answer.status), `${path}: ${answer.status}`);
  }
  assert.ok(it.requests.every(({ url }) => !/%2e|\.\./i.test(url)), it.requests.map(({ url }) => url).join());
});

test("ids: resources of the origin whose ids a path cannot carry are set aside, counted, and shown by no read", async (t) => {
  const bad = ["../Groups/g", "a/b", "%2e%2e", "x\\y", "line\nbreak", "%252fx"];
  const it = await origin(3);
  for (const id of bad) it.store.Users.set(id, { schemas: [USER], id, userName: `bad ${id}` });
  it.store.Groups.set("g", { schemas: [GROUP], id: "g", displayName: "G", members: [{ value: "u0" }, { value: "../u1" }] });
  let hold = false;
  it.behave = async ({ url }) => {
    while (hold && url.includes("Groups?startIndex")) await sleep(50);
  };
  accounts += 1;
  const name = `border${accounts}`;
  t.after(() => it.stop());
  const client = await gateway.account(name, { scim_origin_url: it.base });
  // The first fill begins with the first call.
  hold = true;
  // Until the copy is complete the origin answers.
  const early = await client.get("/Users");
  assert.match(early.headers.get("cache-status"), /fwd=miss/);
  assert.deepEqual(early.body.Resources.map(({ id }) => id), ["u0", "u1", "u2"]);
  assert.equal(early.body.itemsPerPage, 3);
  hold = false;
  const late = await until(async () => {
    const answer = await client.get("/Users");
    return isHit(answer) && answer;
  });
  assert.deepEqual(late.body.Resources.map(({ id }) => id), ["u0", "u1", "u2"]);
  assert.equal(late.body.totalResults, 3);
  assert.deepEqual((await client.get("/Groups/g")).body.members.map(({ value }) => value), ["u0"]);
  assert.deepEqual((await operator(name, ".replica")).setAside, { users: bad.length, groups: 0 });
  // Nor by a write's answer, or by being told of.
  it.behave = ({ method }) => (method === "POST" ? { status: 201, body: { schemas: [USER], id: "../x", userName: "made" } } : undefined);
  const made = await client.call("POST", "/Users", { schemas: [USER], userName: "made" });
  assert.equal(made.status, 502);
  assert.doesNotMatch(JSON.stringify(made.body), /\.\.\/x/);
  it.requests.length = 0;
  const told = await fetch(`${client.base}/.changes`, {
    method: "POST",
    headers: { "x-api-key": gateway.rootKey, "content-type": "application/json" },
    body: JSON.stringify({ resources: [{ type: "User", id: "../Groups/g" }, { type: "User", id: "%2e%2e" }] }),
  });
  assert.equal((await told.json()).failed.length, 2);
  assert.deepEqual(it.requests.filter(({ url }) => !url.includes("?")).map(({ url }) => url), []);
});

test("loops: the origin is told of the hops, and a request that comes back is refused with 508", async (t) => {
  const it = await origin();
  const client = await behind(t, it);
  const other = await behind(t, await origin());
  const write = (headers) => client.call("PUT", "/Users/u0", { schemas: [USER], userName: "x" }, headers);
  it.requests.length = 0;
  await write({ "cdn-loop": "cloudflare; loops=1" });
  const hops = it.requests[0].headers["cdn-loop"];
  assert.match(hops, /^cloudflare; loops=1, scim-edge; id=[0-9a-f]{24}$/);
  assert.ok(!hops.includes(client.name));
  it.requests.length = 0;
  for (const [method, path] of [["GET", "/Users/u0"], ["GET", "/Users"], ["PUT", "/Users/u0"], ["POST", "/Users"]]) {
    // Twice: what comes again may go a shorter way.
    for (let time = 0; time < 3; time += 1) {
      const body = method === "GET" ? undefined : { schemas: [USER], userName: "x" };
      const answer = await client.call(method, path, body, { "cdn-loop": hops });
      assert.equal(answer.status, 508, `${method} ${path}`);
      assert.equal(answer.body.status, "508");
      assert.ok(answer.body.detail.length > 20);
      await client.get(path);
    }
  }
  assert.equal(it.requests.filter(({ method }) => method !== "GET").length, 0);
  // Another account behind this one is no loop.
  assert.equal((await other.call("GET", "/Users/u0", undefined, { "cdn-loop": hops })).status, 200);
});

test("loops: an origin that is an account of this gateway is refused at the setting and when it is asked", async (t) => {
  const calls = gateway.admin("circle");
  await calls.serviceAccount("provisioner", "_scim_provisioner");
  const key = await calls.mint("provisioner");
  const base = `${gateway.url}/ng/api/scim/account/circle`;
  for (const url of [base, `${gateway.url}/gateway/ng/api/scim/account/circle`, `${gateway.url}/ng/api/scim/account/another`]) {
    const [answer] = await calls.data("PUT", "/ng/api/settings", [{ identifier: "scim_origin_url", value: url, updateType: "UPDATE" }]);
    assert.equal(answer.updateStatus, false, url);
    assert.match(answer.errorMessage, /account of this gateway/);
  }
  // By another name of the same machine: only the hops tell, when the origin is asked before it is set.
  const local = base.replace("127.0.0.1", "localhost");
  await assert.rejects(calls.set({ scim_origin_url: local, scim_origin_authorization: `Bearer ${key}` }), /answered 508/);
  // An origin that begins to send everything back.
  const it = await origin(0);
  t.after(() => it.stop());
  await calls.set({ scim_origin_url: it.base, scim_origin_authorization: `Bearer ${key}` });
  it.behave = async ({ method, url, headers, body }) => {
    const told = { authorization: headers.authorization, "cdn-loop": headers["cdn-loop"], "content-type": "application/scim+json" };
    const answer = await fetch(base + url.replace("/scim", ""), { method, headers: told, body: body || undefined });
    return { status: answer.status, body: await answer.text() };
  };
  const client = gateway.scim("circle", key);
  const write = await client.call("POST", "/Users", { schemas: [USER], userName: "x" });
  assert.equal(write.status, 508);
});

test("answers: pages and texts of an origin become SCIM errors of a sensible status, JSON keeps its own", async (t) => {
  const it = await origin();
  const client = await behind(t, it);
  const page = { headers: { "content-type": "text/html" }, body: "<html><script>alert('origin')</script></html>" };
  const put = () => client.call("PUT", "/Users/u0", { schemas: [USER], userName: "x" });
  const cases = [
    [{ ...page, status: 400 }, 400],
    [{ ...page, status: 401, headers: { ...page.headers, "www-authenticate": "Basic" } }, 401],
    [{ ...page, status: 403 }, 403],
    [{ ...page, status: 404 }, 502],
    [{ ...page, status: 429, headers: { ...page.headers, "retry-after": "7" } }, 429],
    [{ ...page, status: 500 }, 502],
    [{ ...page, status: 501 }, 502],
    [{ status: 409, headers: { "content-type": "text/plain" }, body: "origin says no" }, 409],
    [{ status: 409, headers: { "content-type": "application/json" }, body: '"origin"' }, 409],
    [{ status: 400, headers: { "content-type": "application/xml" }, body: "<origin/>" }, 400],
  ];
  for (const [answer, status] of cases) {
    it.behave = ({ method }) => (method === "PUT" ? answer : undefined);
    const got = await put();
    assert.equal(got.status, status, JSON.stringify(answer));
    assert.equal(got.headers.get("content-type"), "application/scim+json");
    assert.equal(got.body.status, String(status));
    assert.doesNotMatch(JSON.stringify(got.body), /alert|html|says no|"origin"/);
    if (answer.headers["retry-after"]) assert.equal(got.headers.get("retry-after"), "7");
  }
  // JSON under a name that a browser would run.
  it.behave = ({ method }) => (method === "PUT" ? { status: 409, headers: { "content-type": "text/html" }, body: { schemas: [], status: "409", detail: "<b>" } } : undefined);
  const named = await put();
  assert.equal(named.status, 409);
  assert.equal(named.headers.get("content-type"), "application/scim+json");
  assert.equal(named.body.detail, "<b>");
});

test("answers: every one of the API says that nothing in it is to be run", async (t) => {
  const it = await origin();
  const client = await behind(t, it);
  const root = { "x-api-key": gateway.rootKey };
  const asked = [
    ["/healthz"], ["/readyz"], ["/metrics"], ["/metrics", root], ["/openapi.json"], ["/nothing"], ["/%zz"],
    [`/.well-known/oauth-protected-resource/ng/api/scim/account/${client.name}`],
    ["/ng/api/settings?category=SCIM&accountIdentifier=nobody"],
    [`/ng/api/settings?category=SCIM&accountIdentifier=${client.name}`, root],
    [`/ng/api/scim/account/${client.name}/Users`],
    [`/ng/api/scim/account/${client.name}/.replica`, root],
    [`/ng/api/scim/account/${client.name}/.audit`, root],
  ];
  const answers = await Promise.all(asked.map(([path, headers]) => fetch(`${gateway.url}${path}`, { headers })));
  // By a badge, from the copy, from the origin, with no body.
  for (let time = 0; time < 3; time += 1) answers.push(await client.get("/Users/u0"));
  it.behave = ({ method }) => (method === "PUT" ? { status: 409, body: { status: "409" } } : undefined);
  answers.push(await client.call("PUT", "/Users/u0", { schemas: [USER], userName: "x" }));
  answers.push(await client.call("DELETE", "/Users/u2"), await client.call("OPTIONS", "/Users"));
  for (const answer of answers) {
    assert.equal(answer.headers.get("content-security-policy"), "default-src 'none'", answer.url);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff", answer.url);
  }
});

test("answers: one of an origin that is too long, or too intricate, is given up and said to be", async (t) => {
  const it = await origin();
  const client = await behind(t, it, { scim_origin_hidden_attributes: "members" });
  it.behave = ({ method, url }) => {
    if (!url.includes("Groups")) return undefined;
    if (method === "GET") return { body: `{"schemas":[],"Resources":[],"text":"${"x".repeat(9 << 20)}"}` };
    return { status: 200, body: `{"schemas":["${GROUP}"],"id":"g","members":[${"[],".repeat(1 << 20)}[]]}` };
  };
  const read = await client.get("/Groups");
  assert.equal(read.status, 502);
  assert.match(read.body.detail, /longer than 8 MiB/);
  const write = await client.call("PUT", "/Groups/g", { schemas: [GROUP], displayName: "G" });
  assert.equal(write.status, 502);
  assert.match(write.body.detail, /intricate.*unknown/);
  assert.equal((await client.get("/Users/u0")).status, 200);
});

test("answers: pages of an origin that are too long are asked for in smaller parts", async (t) => {
  const it = await origin(40);
  // 40 users of 400 KB.
  for (const one of it.store.Users.values()) one.note = "x".repeat(400_000);
  const client = await behind(t, it);
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 40);
  assert.equal((await client.get("/Users/u39")).body.note.length, 400_000);
});

test("memory: hostile and large requests beside ordinary ones of other accounts fail none of them", { timeout: 200_000 }, async () => {
  const own = await start({ output: () => {} });
  try {
    const resident = () => {
      try {
        return own.workerd.reduce((sum, pid) => sum + Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)[1]) * 1024, 0);
      } catch {
        return undefined;
      }
    };
    const found = await hostile({ url: own.url, rootKey: own.rootKey, memory: resident, accounts: 5, each: 12, seconds: 1 });
    for (const { phase, failed } of found) assert.deepEqual(failed, {}, phase);
    const [before, after] = [found[0], found.at(-1)];
    const statuses = Object.fromEntries(found.map(({ phase, statuses }) => [phase, Object.keys(statuses)]));
    // Refused for want of room is a good answer, too.
    const only = (phase, ...good) => assert.ok(statuses[phase].every((status) => good.includes(status)), `${phase}: ${statuses[phase]}`);
    only("bodies of 1 MiB", "201", "503");
    // More JSON values than a body may have.
    only("bodies of brackets", "413", "503");
    only("bodies that are too long", "413", "503");
    only("bodies of strangers", "401");
    only("long lists", "200", "503");
    only("scans with long filters", "200", "400");
    only("endless answers of an origin", "502", "503");
    only("an origin's answers of brackets", "502", "503");
    if (before.resident) assert.ok(after.resident - before.resident < 700e6, `${before.resident} ${after.resident}`);
  } finally {
    await own.stop();
  }
});
