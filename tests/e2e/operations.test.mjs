// What operators see: a line for each request, the audit, activity, counters, and that nothing of what callers,
// issuers and origins say is in any of it that should not be.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { GROUP, PATCH, USER, server, start, until } from "./harness.mjs";

const PLANTED = "planted5ecret";
const lines = [];
const gateway = await start({ output: (line) => lines.push(line) });
const idp = await gateway.idp();
after(() => gateway.stop());

const JWT = {
  scim_jwt_token_jwks_keys_url: `${idp.url}/keys`,
  scim_jwt_token_key_field: "sub",
  scim_jwt_token_value_field: "client",
  scim_jwt_token_service_account_id: "provisioner",
};
const own = await gateway.account("acc", JWT);
const token = await idp.mint({ sub: "client" });

const requests = () => lines.filter((line) => line.startsWith('{"event":"request"')).map((line) => JSON.parse(line));
const line = (id) => until(() => requests().find((one) => one.requestId === id));

/** The operators' API of an account. */
function operator(account, key = gateway.rootKey) {
  return async (path, headers = {}) => {
    const response = await fetch(`${gateway.url}/ng/api/scim/account/${account}/${path}`, {
      headers: { "x-api-key": key, ...headers },
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type") === "application/json";
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
  };
}

test("each request has one line: what was asked, decided, and how it was answered", async () => {
  const made = await own.call("POST", "/Users", { schemas: [USER], userName: "ann" }, { "x-request-id": "create-1" });
  assert.equal(made.status, 201);
  assert.equal(made.headers.get("x-request-id"), "create-1");
  const created = await line("create-1");
  assert.deepEqual(
    { ...created, time: 0, totalMs: 0 },
    {
      event: "request",
      time: 0,
      account: "acc",
      operation: "user.create",
      decision: "allow",
      reason: null,
      principal: "provisioner",
      cache: "hit",
      originMs: null,
      totalMs: 0,
      status: 201,
      requestId: "create-1",
    },
  );
  assert.ok(Math.abs(Date.now() - created.time) < 60_000);
  const stranger = await gateway.scim("acc", "a.b.c").get("/Users", { "x-request-id": "refused-1" });
  assert.equal(stranger.status, 401);
  const refused = await line("refused-1");
  assert.equal(refused.decision, "refuse");
  assert.equal(refused.reason, "malformed_token");
  assert.equal(refused.operation, "user.list");
  assert.equal(refused.principal, null);
  for (const [path, operation] of [
    ["/nowhere", "unknown"],
    ["/healthz", "health"],
    ["/ng/api/settings?accountIdentifier=acc&category=SCIM", "setting.view"],
  ]) {
    const id = `path-${operation.replace(".", "-")}`;
    const answer = await fetch(gateway.url + path, { headers: { "x-api-key": gateway.rootKey, "x-request-id": id } });
    assert.equal(answer.headers.get("x-request-id"), id);
    assert.equal((await line(id)).operation, operation);
  }
  assert.equal(requests().filter((one) => one.requestId === "create-1").length, 1);
});

test("an id that is not well-formed is replaced, and one is made where there is none", async () => {
  for (const id of [undefined, "has a space", "a.b.c", "x".repeat(129), ""]) {
    const answer = await own.get("/Users?count=0", id === undefined ? {} : { "x-request-id": id });
    assert.match(answer.headers.get("x-request-id"), /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  }
});

test("an answer that is refused before it is understood has the id as well", async () => {
  for (const answer of [
    await own.call("POST", "/Users", "x".repeat((1 << 20) + 1), { "x-request-id": "long-1" }),
    await own.get("/Users/%zz", { "x-request-id": "long-1" }),
    await own.get("/Nonsense", { "x-request-id": "long-1" }),
  ]) {
    assert.ok(answer.status >= 400 && answer.status < 500);
    assert.equal(answer.headers.get("x-request-id"), "long-1");
  }
});

test("an origin learns the request's id and its trace, and the line says how long it took", async (t) => {
  const origin = await server(async ({ method, url }) => {
    await new Promise((resolve) => setTimeout(resolve, 30));
    if (method === "POST") return { status: 201, body: { schemas: [USER], id: "o1", userName: "ann" } };
    return url.startsWith("/Users") || url.startsWith("/Groups") ? { body: { totalResults: 0, Resources: [] } } : { status: 404 };
  });
  t.after(() => origin.stop());
  const client = await gateway.account("behind", { scim_origin_url: origin.url });
  const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const headers = { "x-request-id": "origin-1", traceparent: trace };
  const made = await client.call("POST", "/Users", { schemas: [USER], userName: "ann" }, headers);
  assert.equal(made.status, 201);
  const seen = origin.requests.find((request) => request.method === "POST");
  assert.equal(seen.headers["x-request-id"], "origin-1");
  assert.equal(seen.headers.traceparent, trace);
  const said = await line("origin-1");
  assert.ok(said.originMs >= 20 && said.originMs <= said.totalMs, JSON.stringify(said));
  assert.equal(said.cache, "method");
  const audit = (await operator("behind")(".audit?kind=write")).body.entries;
  assert.equal(audit.length, 1);
  assert.equal(audit[0].outcome, "ok");
  assert.equal(audit[0].status, 201);
  // A connection that is lost leaves an outcome that nobody knows.
  await origin.stop();
  assert.equal((await client.call("PUT", "/Users/o1", { schemas: [USER], userName: "ann" })).status >= 500, true);
  const last = (await operator("behind")(".audit?kind=write")).body.entries[0];
  assert.equal(last.operation, "user.replace");
  assert.notEqual(last.outcome, "ok");
  assert.deepEqual(last.resource, { type: "User", id: "o1" });
});

test("audit: operations of a bulk request that are left undone are not mistaken for others", async () => {
  const client = await gateway.account("undone");
  await client.call("POST", "/Users", { schemas: [USER], userName: "taken" });
  const Operations = [
    { method: "POST", path: "/Groups", bulkId: "g", data: { schemas: [GROUP], displayName: "g", members: [{ value: "bulkId:u" }] } },
    { method: "POST", path: "/Users", bulkId: "u", data: { schemas: [USER], userName: "taken" } },
  ];
  const { body } = await client.call("POST", "/Bulk", { schemas: ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], failOnErrors: 1, Operations });
  assert.deepEqual(body.Operations.map(({ bulkId, status }) => [bulkId, status]), [["u", "409"]]);
  const { entries } = (await operator("undone")(".audit?kind=write")).body;
  const parts = entries.filter(({ operation }) => operation !== "bulk").map(({ operation, status }) => [operation, status]);
  assert.deepEqual(parts, [["user.create", 409], ["user.create", 201]]);
});

test("the audit has every write: who, what, when and what came of it", async () => {
  const client = gateway.scim("acc", token);
  const audit = operator("acc");
  const made = await client.call("POST", "/Users", { schemas: [USER], userName: "bob" }, { "x-request-id": "w-1" });
  const { id } = made.body;
  const patch = { schemas: [PATCH], Operations: [{ op: "replace", path: "title", value: "x" }] };
  assert.equal((await client.call("PATCH", `/Users/${id}`, patch)).status, 200);
  assert.equal((await client.call("POST", "/Users", { schemas: [USER], userName: "bob" })).status, 409);
  assert.equal((await client.call("DELETE", `/Users/${id}`)).status, 204);
  const { body } = await audit(`.audit?kind=write&principal=provisioner&count=4`);
  const [removed, duplicate, patched, created] = body.entries;
  assert.deepEqual(
    { ...created, id: 0, at: 0 },
    {
      id: 0,
      at: 0,
      kind: "write",
      principal: "provisioner",
      subject: "client",
      operation: "user.create",
      resource: { type: "User", id },
      status: 201,
      outcome: "ok",
      reason: null,
      requestId: "w-1",
      count: 1,
      attributes: { added: ["userName"] },
    },
  );
  assert.deepEqual([patched.operation, patched.status, patched.resource.id], ["user.patch", 200, id]);
  assert.deepEqual([duplicate.operation, duplicate.status, duplicate.outcome], ["user.create", 409, "failed"]);
  assert.deepEqual([removed.operation, removed.status, removed.resource.id], ["user.delete", 204, id]);
  assert.deepEqual((await audit(`.audit?resource=User/${id}`)).body.entries.length, 3);
  assert.deepEqual((await audit(".audit?outcome=failed&operation=user.create")).body.entries[0], duplicate);
});

test("each operation of a bulk request has an entry of its own", async () => {
  const bulk = {
    schemas: ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
    Operations: [
      { method: "POST", path: "/Users", bulkId: "u", data: { schemas: [USER], userName: "carl" } },
      { method: "POST", path: "/Groups", bulkId: "g", data: { schemas: [GROUP], displayName: "G", members: [{ value: "bulkId:u" }] } },
      { method: "DELETE", path: "/Users/none" },
    ],
  };
  const answer = await own.call("POST", "/Bulk", bulk, { "x-request-id": "bulk-1" });
  assert.equal(answer.status, 200);
  const { body } = await operator("acc")(".audit?kind=write&count=3");
  assert.deepEqual(
    body.entries.map((entry) => [entry.operation, entry.status, entry.outcome, entry.requestId]).reverse(),
    [
      ["user.create", 201, "ok", "bulk-1"],
      ["group.create", 201, "ok", "bulk-1"],
      ["user.delete", 404, "failed", "bulk-1"],
    ],
  );
  assert.ok(answer.body.Operations[0].location.endsWith(body.entries[2].resource.id));
});

test("the audit has every change of the account, without values", async () => {
  const calls = gateway.admin("acc");
  await calls.set({ scim_origin_authorization: `Bearer ${PLANTED}`, scim_audit_retention_days: "30" });
  await calls.set({ scim_origin_authorization: null });
  await calls.data("POST", "/ng/api/serviceaccount", { identifier: "second", name: "Second" });
  const { body, text } = await operator("acc")(".audit?kind=settings&count=4");
  assert.deepEqual(
    body.entries.map(({ operation, resource, principal }) => `${operation} ${resource.type}/${resource.id} ${principal}`),
    [
      "serviceaccount.create ServiceAccount/second root",
      "setting.restore Setting/scim_origin_authorization root",
      // Both of one call.
      "setting.change Setting/scim_origin_authorization root",
      "setting.change Setting/scim_audit_retention_days root",
    ],
  );
  assert.ok(!text.includes(PLANTED));
});

test("refused requests are in the audit, those that are alike as one", async () => {
  for (let n = 0; n < 5; n += 1) assert.equal((await gateway.scim("acc", "x.y.z").get("/Groups")).status, 401);
  const found = await until(async () => {
    const { body } = await operator("acc")(".audit?kind=refused&operation=group.list");
    const count = body.entries.reduce((sum, entry) => sum + entry.count, 0);
    return count >= 5 && body.entries;
  });
  assert.ok(found.length <= 3, JSON.stringify(found));
  assert.equal(found[0].reason, "malformed_token");
  assert.equal(found[0].outcome, "refused");
  assert.equal(found[0].status, 401);
});

test("pages lead through all entries, the newest first; an export has the same, a line each", async () => {
  const audit = operator("acc");
  const all = [];
  for (let cursor = ""; ; ) {
    const { status, body } = await audit(`.audit?count=3&cursor=${cursor}&kind=write,settings`);
    assert.equal(status, 200);
    all.push(...body.entries);
    if (body.nextCursor === null) break;
    cursor = body.nextCursor;
  }
  assert.ok(all.length > 10);
  assert.equal(new Set(all.map((entry) => entry.id)).size, all.length);
  const times = all.map((entry) => entry.at);
  assert.deepEqual(times, times.toSorted((a, b) => b - a));
  assert.deepEqual(new Set(all.map((entry) => entry.kind)), new Set(["write", "settings"]));
  const exported = await audit(".audit?kind=write,settings", { accept: "application/x-ndjson" });
  assert.equal(exported.headers.get("content-type"), "application/x-ndjson");
  assert.deepEqual(exported.text.trim().split("\n").map((text) => JSON.parse(text)), all);
  for (const query of ["count=0", "count=1001", "kind=other", "cursor=x", "from=yesterday", "outcome=maybe"]) {
    assert.equal((await audit(`.audit?${query}`)).status, 400, query);
  }
});

test("the audit and the activity are for who may see them, of their own account", async () => {
  await gateway.account("other");
  const provisioner = await gateway.admin("acc").mint("provisioner");
  assert.equal((await operator("acc", provisioner)(".audit")).status, 403);
  assert.equal((await operator("other", provisioner)(".audit")).status, 401);
  assert.equal((await operator("acc", "")(".audit")).status, 401);
  await gateway.admin("acc").serviceAccount("viewer", "_account_viewer");
  const viewer = await gateway.admin("acc").mint("viewer");
  assert.equal((await operator("acc", viewer)(".audit")).status, 200);
  assert.equal((await operator("acc", viewer)(".activity")).status, 200);
  assert.deepEqual((await operator("other")(".audit?kind=write")).body.entries, []);
});

test("the activity counts requests, refusals and how long they took", async () => {
  const activity = operator("acc");
  for (let n = 0; n < 4; n += 1) await own.get("/Users?count=0");
  const { status, body } = await activity(".activity");
  assert.equal(status, 200);
  assert.equal(body.bucketSeconds, 300);
  const sum = (name) => body.buckets.reduce((total, bucket) => total + bucket[name], 0);
  assert.ok(sum("requests") >= 10 && sum("refused") >= 5 && sum("failed") === 0, JSON.stringify(body));
  const last = body.buckets.at(-1);
  assert.ok(last.millisecondsP50 >= 1 && last.millisecondsP95 >= last.millisecondsP50, JSON.stringify(last));
});

test("nothing that was planted comes out", async (t) => {
  const origin = await server(({ method }) =>
    method === "GET" ? { body: { totalResults: 0, Resources: [] } } : { status: 500, body: { detail: `${PLANTED}-origin` } },
  );
  t.after(() => origin.stop());
  const client = await gateway.account("planted", {
    ...JWT,
    scim_jwt_token_jwks_keys_url: `http://127.0.0.1:9/keys?key=${PLANTED}`,
    scim_origin_url: origin.url,
    scim_origin_authorization: `Bearer ${PLANTED}`,
  });
  const forged = await idp.mint({ sub: PLANTED, name: PLANTED });
  await client.call("POST", "/Users", { schemas: [USER], userName: PLANTED, password: PLANTED }, { cookie: PLANTED, "x-other": PLANTED });
  await client.get(`/Users?filter=userName eq "${PLANTED}"`);
  await client.get(`/Users/${PLANTED}`, { "x-request-id": `${PLANTED}.${PLANTED}` });
  await own.call("POST", "/Users", `{"userName":"${PLANTED}","userName":1}`);
  await own.call("POST", "/Users", { schemas: [USER], userName: PLANTED, [PLANTED]: 1 });
  await own.get(`/Users?filter=${PLANTED} nonsense`);
  await gateway.scim("planted", forged).get("/Users");
  await gateway.scim("acc", forged).get("/Users");
  await gateway.scim("acc", `sat.acc.x.${PLANTED}`).get("/Users");
  await fetch(`${gateway.url}/${PLANTED}?x=${PLANTED}`, { headers: { authorization: `Basic ${PLANTED}` } });
  await fetch(`${gateway.url}/ng/api/settings?accountIdentifier=acc`, { headers: { "x-api-key": PLANTED } });
  await gateway.admin("acc").call("PUT", "/ng/api/settings", [{ identifier: "scim_origin_url", value: PLANTED, updateType: "UPDATE" }]);
  const last = await own.get("/Users?count=0", { "x-request-id": "last-one" });
  assert.equal(last.status, 200);
  await line("last-one");
  assert.ok(lines.length > 30);
  assert.deepEqual(lines.filter((text) => text.includes(PLANTED)), []);
  const metrics = await fetch(`${gateway.url}/metrics`, { headers: { "x-api-key": gateway.rootKey } });
  assert.ok(!(await metrics.text()).includes(PLANTED));
});

test("counters are shown to the root key, in Prometheus' format", async () => {
  const shown = (headers) => fetch(`${gateway.url}/metrics`, { headers });
  assert.equal((await shown({})).status, 401);
  assert.equal((await shown({ "x-api-key": await gateway.admin("acc").mint("provisioner") })).status, 401);
  assert.equal((await shown({ authorization: `Bearer ${gateway.rootKey}` })).status, 200);
  const answer = await shown({ "x-api-key": gateway.rootKey });
  assert.match(answer.headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
  const text = await answer.text();
  const value = (name, ...labels) => {
    const found = text.split("\n").find((one) => one.startsWith(`${name}{`) && labels.every((label) => one.includes(label)));
    return Number(found?.split(" ").at(-1));
  };
  assert.ok(value("scim_edge_requests_total", 'operation="user.create"', 'status="2xx"') >= 2);
  assert.ok(value("scim_edge_refusals_total", 'reason="malformed_token"') >= 6);
  assert.ok(value("scim_edge_directory_answers_total", 'from="hit"') >= 5);
  assert.ok(value("scim_edge_tokens_total", 'cache="verified"') >= 1);
  assert.ok(value("scim_edge_tokens_total", 'cache="hit"') >= 1);
  assert.ok(value("scim_edge_key_fetches_total", 'outcome="ok"') >= 1);
  assert.ok(value("scim_edge_key_fetches_total", 'outcome="failed"') >= 1);
  const count = value("scim_edge_request_duration_seconds_count");
  assert.equal(value("scim_edge_request_duration_seconds_bucket", 'le="+Inf"'), count);
  assert.ok(count >= requests().length - 5);
  for (const sample of text.trim().split("\n")) {
    assert.match(sample, /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\} [0-9.]+)$/);
  }
});

test("it says whether it is there and whether it is ready", async () => {
  for (const [path, text] of [["/healthz", "ok\n"], ["/readyz", "ready\n"]]) {
    const answer = await fetch(gateway.url + path);
    assert.deepEqual([answer.status, await answer.text()], [200, text]);
  }
  assert.equal((await fetch(`${gateway.url}/readyz`, { method: "POST" })).status, 405);
});

test("every challenge leads to the resource's metadata (RFC 9728)", async () => {
  const bare = await fetch(`${gateway.url}/ng/api/scim/account/acc/Users`);
  const challenge = bare.headers.get("www-authenticate");
  const [, url] = /^Bearer realm="scim-edge", resource_metadata="([^"]+)"$/.exec(challenge) ?? [];
  assert.ok(url, challenge);
  const answer = await fetch(url);
  assert.equal(answer.headers.get("content-type"), "application/json");
  const metadata = await answer.json();
  assert.equal(metadata.resource, `${gateway.url}/ng/api/scim/account/acc`);
  assert.deepEqual(metadata.bearer_methods_supported, ["header"]);
  // Whether an account exists cannot be learnt here.
  const other = await fetch(url.replace(/acc$/, "nobody"));
  assert.equal(other.status, 200);
  const bad = await gateway.scim("acc", "a.b.c").get("/Users");
  assert.ok(bad.headers.get("www-authenticate").includes(`resource_metadata="${url}"`));
  const key = await operator("acc", "sat.acc.x.y")(".audit");
  assert.ok(key.headers.get("www-authenticate").includes("resource_metadata="));
});

test("answers are not to be kept or guessed at by anybody", async () => {
  const made = await own.call("POST", "/Users", { schemas: [USER], userName: "headers" });
  for (const [path, cache] of [
    [`/ng/api/scim/account/acc/Users/${made.body.id}`, "private, no-cache"],
    ["/ng/api/scim/account/acc/Users", "no-store"],
    ["/healthz", "no-store"],
    ["/nowhere", "no-store"],
  ]) {
    const answer = await fetch(gateway.url + path, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(answer.headers.get("cache-control"), cache, path);
  }
});

test("past the limit of failures whoever fails waits, and whoever is known does not", async (t) => {
  const limited = await start({ bindings: { ratelimits: { AUTH_FAILURES: { simple: { limit: 3, period: 60 } } } } });
  t.after(() => limited.stop());
  const client = await limited.account("acc");
  const stranger = limited.scim("acc", "a.b.c");
  for (let n = 0; n < 3; n += 1) assert.equal((await stranger.get("/Users")).status, 401);
  const refused = await stranger.get("/Users");
  assert.equal(refused.status, 429);
  assert.equal(refused.body.status, "429");
  assert.ok(Number(refused.headers.get("retry-after")) > 0);
  assert.equal((await client.get("/Users")).status, 200);
  assert.equal((await limited.scim("acc").get("/Users")).status, 401);
});
