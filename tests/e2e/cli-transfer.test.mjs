// Export and import by the command line against a real gateway.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { createServer, request as ask } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { digestOf as resourcesOf, makeExport } from "../../js/transfer.mjs";
import { commandLine } from "./command-line.mjs";
import { USER, start } from "./harness.mjs";

const gateway = await start();
const folder = mkdtempSync(join(tmpdir(), "scim-edge-transfer-"));
after(async () => {
  await gateway.stop();
  rmSync(folder, { recursive: true, force: true });
});
const { done, fails, cli } = commandLine(gateway, "acme");

const people = async (account, count) => {
  const client = await gateway.account(account);
  for (let n = 0; n < count; n += 1) {
    assert.equal((await client.call("POST", "/Users", { schemas: [USER], userName: `person${n}` })).status, 201);
  }
  return client;
};
const linesOf = (path) => readFileSync(path, "utf8").trimEnd().split("\n");
const isManifest = (line) => line.startsWith('{"type":"Manifest"');

/** The gateway behind a connection that breaks after so many bytes of each answer. */
async function breaking(t, limits) {
  const proxy = createServer((incoming, outgoing) => {
    const limit = limits.shift() ?? Infinity;
    const { hostname, port } = new URL(gateway.url);
    const passed = ask({ hostname, port, path: incoming.url, method: incoming.method, headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      let sent = 0;
      answer.on("data", (chunk) => {
        sent += chunk.length;
        if (sent <= limit) outgoing.write(chunk);
        else outgoing.destroy();
      });
      answer.on("end", () => outgoing.end());
    });
    incoming.pipe(passed);
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  t.after(() => proxy.close());
  return { SCIM_EDGE_URL: `http://127.0.0.1:${proxy.address().port}` };
}

test("export: to a file and to standard output, with what it was", async () => {
  await people("acme", 3);
  const path = join(folder, "acme.ndjson");
  const ended = await cli(["export", "--output", path]);
  assert.equal(ended.code, 0, ended.err);
  assert.match(ended.err, /3 users, 0 groups with 0 members, signed by the key [\w-]{43}\n$/);
  assert.equal(statSync(path).mode & 0o777, 0o600, "nobody else reads it");
  const out = await done(["export"]);
  const users = (lines) => lines.filter((line) => line.startsWith('{"type":"User"'));
  assert.deepEqual(users(out.trimEnd().split("\n")), users(linesOf(path)));
  assert.ok(isManifest(out.trimEnd().split("\n").at(-1)));
  await fails(2, /it is there already/, ["export", "--output", path]);
  await fails(2, /--resume goes with --output/, ["export", "--resume"]);
  const key = await gateway.admin("acme").mint("provisioner");
  await fails(3, /does not permit this call/, ["export"], { env: { SCIM_EDGE_KEY: key } });
});

test("export: a connection that breaks is gone on with, and so is a file", async (t) => {
  const { done, json, fails } = commandLine(gateway, "broken");
  await people("broken", 3);
  const whole = join(folder, "whole.ndjson");
  await done(["export", "--output", whole]);
  const digestOf = (path) => JSON.parse(Buffer.from(JSON.parse(linesOf(path).at(-1)).jws.split(".")[1], "base64url")).digest;
  const broken = join(folder, "broken.ndjson");
  const answer = await json(["export", "--output", broken], { env: await breaking(t, [10, 700, 2_000]) });
  assert.equal(answer.digest, digestOf(whole));
  // As if the machine had stopped in the middle of a line.
  truncateSync(broken, linesOf(broken)[0].length + 200);
  assert.equal((await json(["export", "--output", broken, "--resume"])).digest, digestOf(whole));
  assert.equal(digestOf(broken), digestOf(whole));
  // A file that is whole stays as it is.
  const before = readFileSync(broken, "utf8");
  await done(["export", "--output", broken, "--resume"]);
  assert.equal(readFileSync(broken, "utf8"), before);
  await fails(2, /there is no such file/, ["export", "--output", join(folder, "none"), "--resume"]);
  writeFileSync(join(folder, "empty"), "");
  assert.equal((await json(["export", "--output", join(folder, "empty"), "--resume"])).digest, digestOf(whole));
});

test("import: 2,000 users and 100 groups are the same after a round trip, over connections that break", async (t) => {
  const [made, first, second] = ["made", "first", "second"].map((name) => join(folder, `${name}.ndjson`));
  const key = await makeExport(made, 2_000, 100);
  for (const account of ["one", "two"]) await gateway.account(account);
  const [one, two] = [commandLine(gateway, "one"), commandLine(gateway, "two")];
  await one.fails(4, /signed by a key of another deployment/, ["import", made]);
  // The first answers are lost: what was sent is sent again.
  const env = await breaking(t, [Infinity, 0, 10, Infinity, 0]);
  const done = await one.json(["import", made, "--trust-key", key], { env });
  assert.deepEqual([done.users, done.groups, done.committed], [2_000, 100, true]);
  await one.done(["export", "--output", first]);
  const ended = await two.cli(["import", first]);
  assert.equal(ended.code, 0, ended.err);
  assert.match(ended.out, /^2000 users, 100 groups with \d+ members, \d things of the configuration\n$/);
  assert.match(ended.err, /Exported from one at \d{4}-/);
  await two.done(["export", "--output", second]);
  assert.equal(await resourcesOf(first), await resourcesOf(made));
  assert.equal(await resourcesOf(second), await resourcesOf(made));
});

test("import: what is there goes only if somebody says so", async () => {
  const client = await people("there", 2);
  const there = commandLine(gateway, "there");
  const path = join(folder, "there.ndjson");
  const key = await makeExport(path, 3, 1);
  await there.fails(4, /the mode must be merge, or replace/, ["import", path, "--trust-key", key]);
  const words = ["import", path, "--trust-key", key, "--mode", "replace"];
  await there.fails(2, /Confirm it with --confirm "replace 2 users and 0 groups"/, words);
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 2);
  await there.done([...words, "--confirm", "replace 2 users and 0 groups"]);
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 3);
});

test("import: a file that is no export, or not finished, is not sent", async () => {
  await gateway.account("none");
  const none = commandLine(gateway, "none");
  const path = join(folder, "none.ndjson");
  writeFileSync(path, '{"type":"Export","format":1}\n');
  await none.fails(2, /does not end with a manifest/, ["import", path]);
  await none.fails(2, /there is no such file/, ["import", join(folder, "nothing")]);
});
