// That the README's commands do what it says, against a gateway on this machine.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { root } from "../../js/tools.mjs";
import { start } from "./harness.mjs";

const readme = readFileSync(join(root, "README.md"), "utf8");
const blocks = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1]);

test("the first settings and the first key of an account", async (t) => {
  const gateway = await start();
  t.after(() => gateway.stop());
  const configure = blocks.find((block) => block.startsWith("api() {"));
  const mint = readme.match(/`(api POST \/ng\/api\/token [^`]*)`/)[1];
  const env = { ...process.env, URL: gateway.url, KEY: gateway.rootKey };
  const { stdout } = await promisify(execFile)("bash", ["-c", `${configure}\necho\n${mint}`], { env });
  assert.equal(stdout.match(/"updateStatus":true/g)?.length, 4, stdout);
  const key = stdout.match(/"data":"(sat\.acme\.[^"]+)"/)[1];
  assert.equal((await gateway.scim("acme", key).get("/Users")).status, 200);
});

test("wrangler.toml has what the deployment's commands name", () => {
  const wrangler = readFileSync(join(root, "wrangler.toml"), "utf8");
  const deploy = blocks.find((block) => block.includes("wrangler deploy"));
  for (const [, name] of deploy.matchAll(/namespace create (\w+)/g)) assert.match(wrangler, new RegExp(`binding = "${name}"`));
  for (const [, name] of deploy.matchAll(/secret put (\w+)/g)) assert.match(wrangler, new RegExp(`#   ${name} `));
});
