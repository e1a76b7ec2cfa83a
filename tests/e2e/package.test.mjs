// The npm package as it would be published: packed, installed into a fresh project, used in every host
// that can be had here.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { serveIdp } from "../../js/demo/idp.mjs";
import { buildPackage } from "../../js/npm-build.mjs";
import { step } from "../../js/log.mjs";
import { chromium, chromiumFlags, runtime } from "../../js/runtimes.mjs";
import { root } from "../../js/tools.mjs";

const hosts = join(root, "tests", "hosts");
const folder = mkdtempSync(join(tmpdir(), "scim-edge-package-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const table = (name) => JSON.parse(readFileSync(join(root, "tests", "cases", `${name}.json`), "utf8"));
const tables = { tokens: table("tokens"), filters: table("filters"), patches: table("patch"), bodies: table("validate") };

const run = async (command, args, options) => (await promisify(execFile)(command, args, { cwd: folder, maxBuffer: 1 << 26, ...options })).stdout;
const bin = (name) => join(hosts, "node_modules", ".bin", name);

let tarball;
before(async () => {
  const source = await buildPackage();
  await step("Installing the hosts of the npm package", () => run("npm", ["ci", "--no-audit", "--no-fund"], { cwd: hosts }));
  const [{ filename }] = JSON.parse(await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: source }));
  tarball = join(folder, filename);
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball]);
  for (const name of ["check.mjs", "run.mjs", "run-worker.mjs", "types.ts", "tsconfig.json"]) copyFileSync(join(hosts, name), join(folder, name));
  writeFileSync(join(folder, "tables.json"), JSON.stringify(tables));
  for (const name of ["hono", "express"]) symlinkSync(join(hosts, "node_modules", name), join(folder, "node_modules", name));
});

function isRight(host, printed) {
  const { wrong, ...counts } = JSON.parse(printed.trim().split("\n").pop());
  console.log(`${host}: ${JSON.stringify(counts)}`);
  assert.deepEqual(wrong, []);
  assert.ok(counts.tokens >= 250 && counts.filters >= 200);
}

test("what is published, and nothing else", async () => {
  const files = (await run("tar", ["-tzf", tarball])).trim().split("\n").map((name) => name.replace("package/", ""));
  assert.deepEqual(files.sort(), [
    "README.md", "cli-account.mjs", "cli-brake.mjs", "cli-commands.mjs", "cli-deleted.mjs", "cli-export.mjs", "cli-gateway.mjs", "cli-import.mjs", "cli-output.mjs", "cli-switch.mjs", "cli-tail.mjs", "cli.mjs", "core.mjs", "index.d.ts", "index.mjs", "network.mjs", "node.mjs", "package.json",
    "wasm/scim_edge.js", "wasm/scim_edge_bg.wasm", "workerd.mjs",
  ]);
});

test("the operators' command line is installed with it", async () => {
  assert.match(await run(join(folder, "node_modules", ".bin", "scim-edge"), ["settings", "--help"]), /settings get .*\n.*settings set/);
});

test("in the Node that runs this", async () => isRight(`node ${process.version}`, await run(process.execPath, ["run.mjs"])));

for (const [host, args] of [["node", []], ["deno", ["run", "--allow-read", "--allow-env"]], ["bun", ["run"]]]) {
  test(`in the newest ${host}`, async (t) => {
    const program = await runtime(host);
    if (!program) return t.skip(`there is no ${host} for this platform`);
    return isRight(host, await run(program, [...args, "run.mjs"]));
  });
}

/** A Worker with the package, bundled; ends with the test. */
async function workerOf(t, entry, bindings) {
  const { outputFiles } = await build({
    entryPoints: [join(folder, entry)],
    bundle: true,
    write: false,
    format: "esm",
    conditions: ["workerd"],
    external: ["*.wasm"],
    logLevel: "silent",
  });
  const wasm = readFileSync(join(folder, "node_modules", "scim-edge", "wasm", "scim_edge_bg.wasm"));
  const worker = new Miniflare({
    compatibilityDate: "2026-04-01",
    bindings,
    modules: [
      { type: "ESModule", path: "worker.mjs", contents: outputFiles[0].text },
      { type: "CompiledWasm", path: "wasm/scim_edge_bg.wasm", contents: wasm },
    ],
  });
  t.after(() => worker.dispose());
  return worker;
}

test("in workerd", async (t) => {
  const worker = await workerOf(t, "run-worker.mjs");
  const answer = await worker.dispatchFetch("http://localhost/", { method: "POST", body: JSON.stringify(tables) });
  isRight("workerd", await answer.text());
});

test("in Chromium", async (t) => {
  const program = chromium();
  if (!program) return t.skip("there is no Chromium on this machine (apt-get install chromium)");
  const types = { ".html": "text/html", ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm" };
  const page = `<!doctype html><script type="importmap">{"imports":{"scim-edge":"/node_modules/scim-edge/index.mjs"}}</script>
    <script type="module">
      import * as scimEdge from "scim-edge";
      import { check } from "/check.mjs";
      const answer = async () => JSON.stringify(await check(scimEdge, await (await fetch("/tables.json")).json()));
      const send = (body) => fetch("/result", { method: "POST", body });
      answer().then(send, (error) => send(JSON.stringify({ wrong: [String(error)] })));
    </script>`;
  let told;
  const result = new Promise((resolve) => (told = resolve));
  const server = createServer(async (request, response) => {
    if (request.method === "POST") {
      told(Buffer.concat(await request.toArray()).toString());
      return response.end();
    }
    if (request.url === "/") return response.writeHead(200, { "content-type": "text/html" }).end(page);
    try {
      const body = readFileSync(join(folder, request.url));
      return response.writeHead(200, { "content-type": types[extname(request.url)] ?? "application/json" }).end(body);
    } catch {
      return response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const browser = spawn(program, [...chromiumFlags, `--user-data-dir=${join(folder, "chromium")}`, `http://127.0.0.1:${server.address().port}/`], { stdio: "ignore" });
  t.after(() => {
    browser.kill("SIGKILL");
    server.close();
    server.closeAllConnections();
  });
  isRight("chromium", await result);
});

test("the declarations hold, and the package is put together as it should be", async () => {
  await run(bin("tsc"), ["--project", join(folder, "tsconfig.json")]).catch((error) => assert.fail(error.stdout));
  await run(bin("publint"), [tarball, "--strict"]).catch((error) => assert.fail(error.stdout));
  // There is no CommonJS, on purpose.
  await run(bin("attw"), [tarball, "--profile", "esm-only", "--exclude-entrypoints", "wasm"]).catch((error) => assert.fail(error.stdout));
});

test("the README's examples", async (t) => {
  const readme = readFileSync(join(root, "pkg", "README.md"), "utf8");
  const examples = [...readme.matchAll(/```js\n(\/\/ (\w+\.mjs)[\s\S]*?)```/g)];
  assert.deepEqual(examples.map((one) => one[2]), ["node.mjs", "fetch.mjs", "worker.mjs", "hono.mjs", "express.mjs", "scim.mjs", "browser.mjs"]);
  for (const [, code, name] of examples) writeFileSync(join(folder, name), code);
  const idp = await serveIdp({ port: 0, state: join(folder, "idp") });
  t.after(() => idp.stop());
  const env = { ...process.env, ISSUER: idp.url, TOKEN: await idp.mint({ sub: "okta-client" }) };
  assert.equal(await run(process.execPath, ["node.mjs"], { env }), "okta\n");
  writeFileSync(
    join(folder, "use.mjs"),
    `import express from "express";
     import { Hono } from "hono";
     import { policy } from "./node.mjs";
     import { guarded } from "./fetch.mjs";
     import * as hono from "./hono.mjs";
     import * as withExpress from "./express.mjs";
     import * as scim from "./scim.mjs";
     import * as browser from "./browser.mjs";
     const request = (token) => new Request("http://localhost/scim/v2/Users", { headers: token ? { authorization: "Bearer " + token } : {} });
     const tokens = [process.env.TOKEN, "a.b.c", undefined];
     const results = [];
     const note = async (response) => results.push([response.status, response.headers.get("www-authenticate")?.split(",")[0] ?? null, await response.text()]);
     const handle = guarded(policy, async (_, principal) => new Response(principal.serviceAccount));
     for (const token of tokens) await note(await handle(request(token)));
     const app = new Hono().use("/scim/*", hono.scim(policy)).get("/scim/v2/Users", (c) => c.text(c.get("principal").serviceAccount));
     for (const token of tokens) await note(await app.fetch(request(token)));
     const server = express().use("/scim", withExpress.scim(policy)).get("/scim/v2/Users", (q, s) => s.send(q.principal.serviceAccount)).listen(0, "127.0.0.1");
     await new Promise((resolve) => server.once("listening", resolve));
     for (const token of tokens) await note(await fetch("http://127.0.0.1:" + server.address().port + "/scim/v2/Users", request(token)));
     server.close();
     console.log(JSON.stringify({ results, scim: [scim.found, scim.changed.emails[0].value, scim.mistake], browser: browser.shown }));`,
  );
  const { results, scim, browser } = JSON.parse((await run(process.execPath, ["use.mjs"], { env })).trim().split("\n").pop());
  assert.deepEqual(scim, [true, "a@example.com", "invalidFilter at 11"]);
  assert.deepEqual(browser, [true, false]);
  assert.equal(results.length, 9);
  for (const [index, [status, challenge, body]] of results.entries()) {
    assert.equal(status, index % 3 === 0 ? 200 : 401);
    assert.equal(challenge, index % 3 === 0 ? null : 'Bearer realm="scim-edge"');
    if (index % 3 === 0) assert.equal(body, "okta");
    else assert.equal(JSON.parse(body).status, "401");
  }
  const worker = await workerOf(t, "worker.mjs", { ISSUER: idp.url, DEVELOPMENT: "true" });
  const statuses = tokens(env.TOKEN).map(async (headers) => (await worker.dispatchFetch("http://localhost/scim/v2/Users", { headers })).status);
  assert.deepEqual(await Promise.all(statuses), [200, 401, 401]);
});

const tokens = (good) => [{ authorization: `Bearer ${good}` }, { authorization: "Bearer a.b.c" }, {}];
