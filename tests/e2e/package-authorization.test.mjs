// The npm package's middleware, as its README has it, in front of a SCIM server: requests that are made to be judged
// as one thing and done as another. The server's own key may do everything; what stands between is the middleware.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request as forward } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { buildPackage } from "../../js/npm-build.mjs";
import { root } from "../../js/tools.mjs";
import { GROUP, PATCH, USER, start } from "./harness.mjs";

const BASE = "/scim/v2";
const BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const hosts = join(root, "tests", "hosts");
const folder = mkdtempSync(join(tmpdir(), "scim-edge-authorization-"));

let gateway;
let real;
let idp;
let scimEdge;
let middleware;
let server;
let forwarded = [];
const tokens = {};

/** Every role by which a token here acts. */
const ROLES = {
  viewer: "_account_viewer",
  people: ["core_user_view", "core_user_manage", "core_user_invite"],
  provisioner: "_scim_provisioner",
};

const rules = () =>
  Object.fromEntries(
    Object.keys(ROLES).map((name) => [name, { issuer: idp.url, audiences: ["scim"], claims: [{ field: "sub", value: name }], serviceAccount: name }]),
  );
const options = (more) => ({ base: BASE, rules: rules(), serviceAccounts: ROLES, development: true, ...more });

/** Passes a request on as it came, like a proxy: the path to the letter. */
function proxy(request, response) {
  forwarded.push(`${request.method} ${request.originalUrl}`);
  const { hostname, port } = new URL(gateway.url);
  const path = `/ng/api/scim/account/real${request.originalUrl.slice(BASE.length)}`;
  const headers = { authorization: `Bearer ${real.token}`, "content-type": "application/scim+json" };
  if (request.headers["content-length"]) headers["content-length"] = request.headers["content-length"];
  const onward = forward({ hostname, port, path, method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode, { "content-type": answer.headers["content-type"] ?? "application/scim+json" });
    answer.pipe(response);
  });
  onward.on("error", () => response.writeHead(502).end());
  request.pipe(onward);
}

before(async () => {
  const source = await buildPackage();
  await promisify(execFile)("npm", ["ci", "--no-audit", "--no-fund"], { cwd: hosts, maxBuffer: 1 << 26 });
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(source, join(folder, "node_modules", "scim-edge"));
  for (const name of ["hono", "express"]) symlinkSync(join(hosts, "node_modules", name), join(folder, "node_modules", name));
  const readme = readFileSync(join(root, "pkg", "README.md"), "utf8");
  for (const [, code, name] of readme.matchAll(/```js\n(\/\/ (\w+\.mjs)[\s\S]*?)```/g)) writeFileSync(join(folder, name), code);
  writeFileSync(join(folder, "all.mjs"), 'export * as scimEdge from "scim-edge";\nexport * as withExpress from "./express.mjs";\nexport { guarded } from "./fetch.mjs";\nexport { default as express } from "express";\n');
  const all = await import(pathToFileURL(join(folder, "all.mjs")));
  scimEdge = all.scimEdge;
  middleware = all;
  gateway = await start();
  idp = await gateway.idp();
  const client = await gateway.account("real");
  real = { client, token: await gateway.admin("real").mint("provisioner") };
  for (const name of Object.keys(ROLES)) tokens[name] = await idp.mint({ sub: name, aud: "scim" });
  const policy = await scimEdge.createPolicy(options());
  server = all.express().use(all.withExpress.scim(policy)).use(proxy).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
});
after(async () => {
  server?.close();
  server?.closeAllConnections();
  await gateway?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Sends a request to the letter; its status. */
function send(who, method, target, { body, headers = {} } = {}) {
  const text = body === undefined ? "" : JSON.stringify(body);
  const all = { host: "localhost", connection: "close", authorization: `Bearer ${tokens[who]}`, "content-type": "application/scim+json", ...headers };
  if (text) all["content-length"] = Buffer.byteLength(text);
  const lines = [`${method} ${target} HTTP/1.1`, ...Object.entries(all).map(([name, value]) => `${name}: ${value}`)];
  return new Promise((resolve, reject) => {
    const socket = connect(server.address().port, "127.0.0.1", () => socket.write(`${lines.join("\r\n")}\r\n\r\n${text}`));
    let answer = "";
    socket.setEncoding("latin1");
    socket.on("data", (data) => (answer += data));
    socket.on("error", reject);
    socket.on("end", () => resolve(Number(answer.match(/^HTTP\/1\.1 (\d+)/)?.[1])));
  });
}

test("authorization: what a role may do is done, through the README's middleware", async () => {
  const made = await real.client.call("POST", "/Users", { schemas: [USER], userName: "allowed" });
  const path = `${BASE}/Users/${made.body.id}`;
  assert.equal(await send("viewer", "GET", path), 200);
  assert.equal(await send("people", "PATCH", path, { body: { schemas: [PATCH], Operations: [{ op: "add", path: "title", value: "T" }] } }), 200);
  const Operations = [{ method: "POST", path: "/Users", bulkId: "a", data: { schemas: [USER], userName: "by-bulk" } }];
  assert.equal(await send("provisioner", "POST", `${BASE}/Bulk`, { body: { schemas: [BULK], Operations } }), 200);
  assert.equal(await send("provisioner", "DELETE", path), 204);
  assert.equal(await send("viewer", "GET", path), 404);
});

test("authorization: attacks on the README's middleware change nothing behind it", async () => {
  const { body: user } = await real.client.call("POST", "/Users", { schemas: [USER], userName: "victim" });
  const { body: group } = await real.client.call("POST", "/Groups", { schemas: [GROUP], displayName: "admins", members: [{ value: user.id }] });
  const bulk = (method, path, data) => ({ body: { schemas: [BULK], Operations: [{ method, path, bulkId: "b", data }] } });
  const rename = { body: { schemas: [PATCH], Operations: [{ op: "replace", path: "displayName", value: "taken" }] } };
  const override = (name) => ({ headers: { [name]: "DELETE" } });
  const users = `${BASE}/Users/${user.id}`;
  const groups = `${BASE}/Groups/${group.id}`;
  const behind = `${groups}/Users`;
  const attacks = [
    // Bulk: its operations are in the body.
    ["viewer", "POST", `${BASE}/Bulk`, bulk("DELETE", `/Users/${user.id}`)],
    ["viewer", "POST", `${BASE}/Bulk`, bulk("DELETE", `/Groups/${group.id}`)],
    ["viewer", "POST", `${BASE}/bulk`, bulk("POST", "/Users", { schemas: [USER], userName: "planted" })],
    ["viewer", "POST", `${BASE}//Bulk/`, bulk("PATCH", `/Groups/${group.id}`, rename.body)],
    ["viewer", "POST", `${BASE}/%42ulk`, bulk("DELETE", `/Users/${user.id}`)],
    ["people", "POST", `${BASE}/Bulk`, bulk("DELETE", `/Groups/${group.id}`)],
    // A path that is judged by its end, and done by what is left of it.
    ["people", "DELETE", `${behind}/..`],
    ["people", "DELETE", `${behind}/%2e%2e`],
    ["people", "DELETE", `${behind}/%2E%2e`],
    ["people", "DELETE", `${behind}/.%2e`],
    ["people", "DELETE", `${behind}/%252e%252e`],
    ["people", "DELETE", `${behind}/%25252e%25252e`],
    ["people", "DELETE", `${behind}/..;`],
    ["people", "DELETE", `${behind}/..;a=b`],
    ["people", "DELETE", `${behind}/%2e%2e%3b`],
    ["people", "DELETE", `${behind}/..%2f`],
    ["people", "DELETE", `${behind}/..%5c`],
    ["people", "DELETE", `${behind}/..\\`],
    ["people", "DELETE", `${behind}/%ef%bc%8e%ef%bc%8e`],
    ["people", "DELETE", `${BASE}/Users/../Groups/${group.id}`],
    ["people", "DELETE", `${BASE}/Users/%2e%2e/Groups/${group.id}`],
    ["people", "DELETE", `${BASE}/Users/..%2fGroups%2f${group.id}`],
    ["people", "DELETE", `${BASE}/Users/..%252fGroups%252f${group.id}`],
    ["people", "DELETE", `${BASE}/Users\\..\\Groups\\${group.id}`],
    ["people", "DELETE", `${BASE}/Users/%5c..%5cGroups%5c${group.id}`],
    ["people", "DELETE", `${groups}%00/Users/x`],
    ["people", "DELETE", `${groups}%0d%0a/Users/x`],
    ["people", "DELETE", `${groups}%3f/Users/x`],
    ["people", "DELETE", `${groups}%23/Users/x`],
    ["people", "DELETE", `${groups}#/Users/x`],
    ["people", "DELETE", `${groups}/Users/x`],
    ["people", "DELETE", `${groups}/http://x/Users/y`],
    ["people", "DELETE", `${groups}/http:%2f%2fx/Users/y`],
    ["people", "DELETE", `http://elsewhere${groups}`],
    ["people", "DELETE", `//elsewhere${groups}`],
    ["people", "DELETE", `/other/Users/..${groups}`],
    ["people", "DELETE", `/other${users}`],
    ["people", "PATCH", groups, rename],
    ["people", "PUT", groups, { body: { schemas: [GROUP], displayName: "taken" } }],
    // A method that a header takes back.
    ["viewer", "POST", `${BASE}/Users/.search`, override("X-HTTP-Method-Override")],
    ["viewer", "GET", users, override("x-http-method")],
    ["viewer", "GET", users, override("X-Method-Override")],
    ["viewer", "delete", users],
    ["viewer", "DELETE", users],
    ["viewer", "DELETE", `${users}?access_token=x`],
    ["viewer", "PATCH", `${BASE}/Me`, rename],
    ["viewer", "PUT", `${BASE}/Schemas/urn:a:b`, { body: { id: "urn:a:b", attributes: [{ name: "a" }] } }],
  ];
  assert.ok(attacks.length >= 30);
  forwarded = [];
  for (const [who, method, target, more] of attacks) {
    const status = await send(who, method, target, more);
    assert.ok(status >= 400 && status < 500, `${who}: ${method} ${target}: ${status}`);
  }
  assert.deepEqual(forwarded, [], "none of them came through");
  assert.equal((await real.client.get(`/Users/${user.id}`)).status, 200);
  const kept = await real.client.get(`/Groups/${group.id}`);
  assert.deepEqual([kept.body.displayName, kept.body.members.length], ["admins", 1]);
  assert.equal((await real.client.get('/Users?filter=userName eq "planted"')).body.totalResults, 0);
});

test("authorization: what was permitted once permits nothing else of its name", async () => {
  const policy = await scimEdge.createPolicy(options({ serviceAccounts: { ...ROLES, viewer: ["core_user_view"] } }));
  const ask = async (method, path) => (await policy.authorize({ method, url: `${BASE}${path}`, headers: { authorization: `Bearer ${tokens.viewer}` } })).status ?? 200;
  assert.equal(await ask("POST", "/Users/.search"), 200);
  assert.equal(await ask("POST", "/Users/.search"), 200);
  assert.equal(await ask("POST", "/.search"), 403);
  assert.equal(await ask("POST", "/Groups/.search"), 403);
  assert.equal(await ask("GET", "/Me"), 200);
  assert.equal(await ask("DELETE", "/Me"), 403);
  const named = async (operation) => (await policy.authorize({ operation, token: tokens.viewer })).status ?? 200;
  assert.deepEqual([await named("user.get"), await named("bulk"), await named("me"), await named("search")], [200, 403, 403, 403]);
  policy.dispose();
});

test("authorization: a request of the Fetch API is judged alike", async () => {
  const policy = await scimEdge.createPolicy(options());
  const handle = middleware.guarded(policy, async (request) => new Response(new URL(request.url).pathname));
  const ask = async (who, method, path) => (await handle(new Request(`http://localhost${path}`, { method, headers: { authorization: `Bearer ${tokens[who]}` } }))).status;
  assert.equal(await ask("viewer", "GET", `${BASE}/Users`), 200);
  assert.equal(await ask("viewer", "POST", `${BASE}/Bulk`), 403);
  assert.equal(await ask("people", "DELETE", `${BASE}/Groups/1/Users/..`), 403);
  assert.equal(await ask("people", "DELETE", `${BASE}/Groups/1/Users/%252e%252e`), 400);
  policy.dispose();
});

test("authorization: a clock that tells no time permits nothing", async () => {
  for (const now of [() => Number.NaN, () => undefined, () => Infinity, () => -Infinity, () => Date.now() / 1000, () => "soon", () => 1e20]) {
    const policy = await scimEdge.createPolicy(options({ now }));
    const decision = await policy.authorize({ method: "GET", url: `${BASE}/Users`, headers: { authorization: `Bearer ${tokens.viewer}` } });
    assert.deepEqual([decision.allow, decision.status, decision.reason], [false, 503, "clock_not_usable"], String(now));
    policy.dispose();
  }
  // One that stops telling it: what is remembered is not believed any longer.
  let now = Date.now;
  const policy = await scimEdge.createPolicy(options({ now: () => now() }));
  const request = { method: "GET", url: `${BASE}/Users`, headers: { authorization: `Bearer ${tokens.viewer}` } };
  assert.equal((await policy.authorize(request)).allow, true);
  now = () => Number.NaN;
  assert.equal((await policy.authorize(request)).allow, false);
  policy.dispose();
});
