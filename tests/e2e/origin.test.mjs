// The gateway in front of an origin that the test controls.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { GROUP, PATCH, USER, isHit, server, sleep, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const gateway = await start();
after(() => gateway.stop());

let accounts = 0;

/** An account in front of an origin, filled. */
async function behind(t, it, settings = {}) {
  t.after(() => it.stop());
  accounts += 1;
  const client = await gateway.account(`acc${accounts}`, {
    scim_origin_url: it.base,
    scim_origin_authorization: "Bearer origin-secret",
    ...settings,
  });
  await until(async () => isHit(await client.get("/Users?count=1")));
  return client;
}

test("the first fill copies page by page; until it is complete reads go through", async (t) => {
  const it = await origin(250);
  let hold = true;
  it.behave = async ({ url }) => {
    while (hold && url.includes("startIndex=199")) await sleep(50);
  };
  t.after(() => it.stop());
  const client = await gateway.account("filling", { scim_origin_url: it.base });
  const early = await client.get("/Users?count=2");
  assert.match(early.headers.get("cache-status"), /scim-edge; fwd=miss/);
  assert.equal(early.body.totalResults, 250);
  hold = false;
  const late = await until(async () => {
    const answer = await client.get("/Users?count=2&startIndex=249");
    return isHit(answer) && answer;
  });
  assert.equal(late.body.totalResults, 250);
  assert.equal(late.body.Resources[1].userName, "user249@example.com");
  assert.ok(Number(late.headers.get("age")) >= 0);
});

test("a first fill that is interrupted goes on where it was", async (t) => {
  const it = await origin(600);
  t.after(() => it.stop());
  it.behave = () => sleep(150);
  const first = await start();
  t.after(() => first.stop());
  const client = await first.account("acc", { scim_origin_url: it.base });
  const key = await first.admin("acc").mint("provisioner");
  await client.get("/Users?count=1");
  await until(() => it.requests.some(({ url }) => url.includes("startIndex=298")));
  // Long enough for the key to be published, and for the page to be stored.
  await sleep(300);
  await first.stop({ keepState: true });
  const before = it.requests.length;
  const second = await start({ state: first.folder });
  t.after(() => second.stop());
  const again = second.scim("acc", key);
  await until(async () => isHit(await again.get("/Users?count=1")), 60);
  const pages = it.requests.slice(before).filter(({ url }) => url.startsWith("/scim/Users?startIndex="));
  assert.ok(pages.length > 0 && pages.every(({ url }) => !url.includes("startIndex=1&")), pages.map((one) => one.url).join());
  assert.equal((await again.get("/Users?count=0")).body.totalResults, 600);
});

test("what reaches the origin, and what does not", async (t) => {
  const it = await origin();
  const client = await behind(t, it);
  it.requests.length = 0;
  const made = await client.call(
    "POST",
    "/Users?trace=1",
    { schemas: [USER], userName: "ann", manager: { $ref: `${client.base}/Users/u0` } },
    { cookie: "a=b", "x-forwarded-for": "1.2.3.4", "x-api-key": "k", traceparent: "00-1-2-03", prefer: "return=minimal" },
  );
  assert.equal(made.status, 201);
  const [sent] = it.requests;
  assert.equal(sent.url, "/scim/Users?trace=1");
  assert.equal(sent.headers.authorization, "Bearer origin-secret");
  assert.equal(sent.headers.traceparent, "00-1-2-03");
  assert.equal(sent.headers["content-type"], "application/scim+json");
  for (const name of ["cookie", "x-forwarded-for", "x-api-key", "x-scim-edge-call", "cf-connecting-ip"]) {
    assert.equal(sent.headers[name], undefined, name);
  }
  // URLs are the origin's on the way there and the gateway's on the way back.
  assert.equal(JSON.parse(sent.body).manager.$ref, `${it.base}/Users/u0`);
  assert.equal(made.headers.get("location"), `${client.base}/Users/${made.body.id}`);
  assert.equal(made.body.meta.location, `${client.base}/Users/${made.body.id}`);
  it.requests.length = 0;
  await client.call("DELETE", "/Users/b%20c%3F");
  assert.equal(it.requests[0].url, "/scim/Users/b%20c%3F");
});

test("passthrough sends the caller's own authorization", async (t) => {
  const it = await origin();
  t.after(() => it.stop());
  const client = await gateway.account("passing", { scim_origin_url: it.base, scim_origin_authorization: "passthrough" });
  await client.get("/Users");
  assert.match(it.requests.at(-1).headers.authorization, /^Bearer sat\.passing\./);
});

test("an answer without a body is read again, and the next read shows the write", async (t) => {
  const it = await origin();
  const client = await behind(t, it);
  const patch = { schemas: [PATCH], Operations: [{ op: "replace", path: "title", value: "Boss" }] };
  it.requests.length = 0;
  assert.equal((await client.call("PATCH", "/Users/u1", patch)).status, 204);
  assert.deepEqual(it.requests.map((one) => one.method), ["PATCH", "GET"]);
  const read = await client.get("/Users/u1");
  assert.ok(isHit(read));
  assert.equal(read.body.title, "Boss");
  const group = await client.call("POST", "/Groups", { schemas: [GROUP], displayName: "G", members: [{ value: "u1" }] });
  assert.equal(group.status, 201);
  assert.equal((await client.get("/Users/u1")).body.groups[0].value, group.body.id);
  assert.equal((await client.call("DELETE", "/Users/u1")).status, 204);
  assert.equal((await client.get("/Users/u1")).status, 404);
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 2);
});

test("a bulk request is unrolled, its references resolved", async (t) => {
  const it = await origin();
  const client = await behind(t, it);
  it.requests.length = 0;
  const answer = await client.call("POST", "/Bulk", {
    schemas: ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
    Operations: [
      { method: "POST", path: "/Groups", bulkId: "g", data: { schemas: [GROUP], displayName: "G", members: [{ value: "bulkId:u" }] } },
      { method: "POST", path: "/Users", bulkId: "u", data: { schemas: [USER], userName: "bulk" } },
      { method: "DELETE", path: "/Users/u2" },
      { method: "DELETE", path: "/Users/nobody" },
    ],
  });
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.body.Operations.map((one) => one.status), ["201", "201", "204", "404"]);
  const user = await client.get('/Users?filter=userName eq "bulk"');
  assert.ok(isHit(user));
  assert.equal(user.body.Resources[0].groups[0].display, "G");
  assert.equal((await client.get("/Users/u2")).status, 404);
  assert.ok(it.requests.every(({ url }) => !url.includes("Bulk")));
});

test("any other answer reaches the caller unchanged and changes nothing", async (t) => {
  const it = await origin();
  const client = await behind(t, it);
  const body = { schemas: ["x"], status: "422", detail: "no", custom: [1] };
  it.behave = ({ method }) => (method === "PUT" ? { status: 422, headers: { "retry-after": "7" }, body } : undefined);
  const answer = await client.call("PUT", "/Users/u0", { schemas: [USER], userName: "changed" });
  assert.equal(answer.status, 422);
  assert.deepEqual(answer.body, body);
  assert.equal(answer.headers.get("retry-after"), "7");
  assert.equal((await client.get("/Users/u0")).body.userName, "user0@example.com");
});

test("redirects are not followed", async (t) => {
  const it = await origin();
  const trap = await server(() => ({ body: {} }));
  t.after(() => trap.stop());
  const client = await behind(t, it);
  it.behave = ({ method }) => (method === "POST" ? { status: 307, headers: { location: trap.url } } : undefined);
  const answer = await client.call("POST", "/Users", { schemas: [USER], userName: "x" });
  assert.equal(answer.status, 502);
  assert.equal(trap.requests.length, 0);
});

test("a write whose outcome is unknown is not guessed: reads ask the origin until it is known", async (t) => {
  const it = await origin();
  const client = await behind(t, it);
  it.behave = (request) => {
    if (request.method !== "PATCH") return undefined;
    it.store.Users.get("u0").title = "done all the same";
    return { destroy: true };
  };
  const patch = { schemas: [PATCH], Operations: [{ op: "replace", path: "title", value: "x" }] };
  const answer = await client.call("PATCH", "/Users/u0", patch);
  assert.equal(answer.status, 504);
  assert.match(answer.body.detail, /unknown/);
  const read = await client.get("/Users/u0");
  assert.equal(read.body.title, "done all the same");
});

test("writes to one resource run one after another", async (t) => {
  const it = await origin();
  const client = await behind(t, it);
  let running = 0;
  let most = 0;
  it.behave = async ({ method }) => {
    if (method !== "PATCH") return;
    running += 1;
    most = Math.max(most, running);
    await sleep(30);
    running -= 1;
  };
  const patch = (n) => ({ schemas: [PATCH], Operations: [{ op: "replace", path: `title`, value: `t${n}` }] });
  await Promise.all([1, 2, 3, 4, 5].map((n) => client.call("PATCH", "/Users/u0", patch(n))));
  assert.equal(most, 1);
});

test("what changes behind the gateway is found by reconciliation", async (t) => {
  const it = await origin();
  const client = await behind(t, it, { scim_replica_max_staleness_seconds: "30" });
  it.store.Users.delete("u0");
  it.store.Users.get("u1").title = "new";
  it.store.Users.set("u9", { schemas: [USER], id: "u9", userName: "late", active: true });
  // A pass shows what it finds as it finds it, deletions last.
  await until(async () => (await client.get("/Users/u9")).status === 200, 40);
  await until(async () => (await client.get("/Users/u1")).body.title === "new");
  await until(async () => (await client.get("/Users/u0")).status === 404);
});

test("with the origin down reads are served, and marked when they are old", async (t) => {
  const it = await origin();
  const client = await behind(t, it);
  await it.stop();
  const read = await client.get("/Users/u0");
  assert.ok(isHit(read));
  const write = await client.call("POST", "/Users", { schemas: [USER], userName: "x" });
  assert.equal(write.status, 504);
  assert.equal(write.headers.get("content-type"), "application/scim+json");
});

test("an origin that is down is left alone: reads are served, writes fail fast, nothing is queued", async (t) => {
  const it = await origin();
  const client = await behind(t, it);
  let down = true;
  it.behave = () => (down ? { status: 503, body: { status: "503" } } : undefined);
  const patch = (value) => client.call("PATCH", "/Users/u0", { schemas: [PATCH], Operations: [{ op: "replace", path: "title", value }] });
  const refused = await until(async () => {
    const answer = await patch("never");
    return answer.headers.get("cache-status") === null && answer;
  });
  // The gateway's own answer, in SCIM's words, with the time to come back.
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get("content-type"), "application/scim+json");
  assert.equal(refused.body.status, "503");
  assert.ok(Number(refused.headers.get("retry-after")) >= 1);
  const asked = it.requests.filter(({ method }) => method === "PATCH").length;
  for (let n = 0; n < 10; n += 1) assert.equal((await patch("never")).status, 503);
  assert.equal((await client.call("POST", "/Users", { schemas: [USER], userName: "never" })).status, 503);
  assert.equal(it.requests.filter(({ method }) => method === "PATCH").length, asked);
  assert.ok(isHit(await client.get("/Users/u1")));
  // Once it is back the circuit closes, and what was refused has not happened.
  down = false;
  const done = await until(async () => {
    const answer = await patch("Boss");
    return answer.status === 204 && answer;
  }, 30);
  assert.match(done.headers.get("cache-status"), /fwd=method/);
  assert.equal((await client.get("/Users/u0")).body.title, "Boss");
  assert.ok([...it.store.Users.values()].every(({ userName, title }) => userName !== "never" && title !== "never"));
});

test("an open circuit survives a restart of the gateway", async (t) => {
  const it = await origin();
  t.after(() => it.stop());
  const first = await start();
  t.after(() => first.stop());
  const client = await first.account("acc", { scim_origin_url: it.base });
  const key = await first.admin("acc").mint("provisioner");
  await until(async () => isHit(await client.get("/Users?count=1")));
  // Longer than the test: the gateway heeds what the origin asks for, up to five minutes.
  it.behave = () => ({ status: 503, headers: { "retry-after": "600" }, body: { status: "503" } });
  const write = (one) => one.call("PATCH", "/Users/u0", { schemas: [PATCH], Operations: [{ op: "replace", path: "title", value: "x" }] });
  const open = (answer) => answer.status === 503 && answer.headers.get("cache-status") === null && answer;
  await until(async () => open(await write(client)));
  await sleep(300);
  await first.stop({ keepState: true });
  const before = it.requests.length;
  const second = await start({ state: first.folder });
  t.after(() => second.stop());
  const again = second.scim("acc", key);
  const refused = await write(again);
  assert.ok(open(refused), `${refused.status}`);
  const wait = Number(refused.headers.get("retry-after"));
  assert.ok(wait > 200 && wait <= 300, String(wait));
  assert.equal(it.requests.length, before);
  assert.ok(isHit(await again.get("/Users/u1")));
});
