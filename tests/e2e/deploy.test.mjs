// `npm run deploy:check`: what is right passes, and each thing that is wrong is found and told with what to do.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { build } from "../../js/build.mjs";
import { check as found, line } from "../../js/deploy-check.mjs";
import { NAMES } from "../../js/deploy-rules.mjs";
import { root } from "../../js/tools.mjs";

const wrangler = readFileSync(join(root, "wrangler.toml"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "scim-edge-deploy-"));
after(() => rmSync(folder, { recursive: true, force: true }));
before(async () => {
  await build();
  for (const name of ["build", "js"]) symlinkSync(join(root, name), join(folder, name));
});

const config = join(folder, "wrangler.toml");

/** Runs the program on a configuration. */
function run(text, args = [], input = "") {
  writeFileSync(config, text);
  return new Promise((resolve) => {
    const script = join(root, "js", "deploy-check.mjs");
    const child = execFile(process.execPath, [script, "--config", config, ...args], (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
    child.stdin.end(input);
  });
}

/** What the check finds, as it prints it. */
async function check(text, options = {}) {
  writeFileSync(config, text);
  const findings = await found({ config, plan: "paid", withBundle: true, ...options });
  return findings.map(line);
}

/** That there is exactly one finding of the kind. */
function has(lines, level, pattern) {
  const matches = lines.filter((one) => pattern.test(one));
  assert.equal(matches.length, 1, `${pattern}\n${lines.join("\n")}`);
  assert.ok(matches[0].startsWith(level), matches[0]);
}

/** That a configuration with something in another's place is refused, in one line that says what and what to do. */
async function finds(from, to, level, pattern) {
  const broken = wrangler.replace(from, to);
  assert.notEqual(broken, wrangler, `${from} is not in wrangler.toml`);
  const lines = await check(broken);
  has(lines, level, pattern);
  if (level === "warning") assert.deepEqual(lines.filter((one) => one.startsWith("error")), []);
}

test("the repository's own configuration and bundle are ready", async () => {
  const { code, stdout } = await run(wrangler);
  assert.match(stdout, /^Ready to be deployed/m);
  assert.equal(code, 0, stdout);
});

const BROKEN = {
  "a file that is no TOML": [/$/, "\nname = \n", "error", /configuration: wrangler does not take the file: .*\(line \d+\)/],
  "a field that is misspelt": ['class_name = "Account"', 'class_nam = "Account"', "error", /configuration: .*class_name/],
  "a namespace that is missing": ['binding = "JWKS"', 'binding = "JKWS"', "error", /there is no KV namespace JWKS: add/],
  "a namespace whose id is none": ['binding = "JWKS"', 'binding = "JWKS"\nid = "<your-id>"', "error", /the id of JWKS is not/],
  "an object that is missing": ['{ name = "DIRECTORY", class_name = "Directory" },', "", "error", /there is no Durable Object DIRECTORY/],
  "an object of another class": ['class_name = "Directory"', 'class_name = "Account"', "error", /DIRECTORY has the class Account/],
  "an object of another Worker": ['class_name = "Directory"', 'class_name = "Directory", script_name = "other"', "error", /DIRECTORY is another Worker's/],
  "a class without a migration": ['["Account", "Directory"]', '["Account"]', "error", /the class Directory has no migration: add/],
  "a class that is not in SQLite": [/new_sqlite_classes = .*/, 'new_sqlite_classes = ["Account"]\nnew_classes = ["Directory"]', "error", /the class Directory is not kept in SQLite/],
  "a migration that was renamed": ['tag = "v1"', 'tag = "v2"', "error", /the migration v1 has changed or is gone: put it back/],
  "a migration that deletes": [/$/, '\n[[migrations]]\ntag = "v99"\ndeleted_classes = ["Directory"]\n', "error", /v99 deletes Directory and all/],
  "two migrations of one tag": [/$/, '\n[[migrations]]\ntag = "v1"\nnew_sqlite_classes = ["More"]\n', "error", /two migrations are tagged v1/],
  "no date": [/compatibility_date = .*/, "", "error", /there is no compatibility_date/],
  "a date to come": [/compatibility_date = .*/, 'compatibility_date = "2999-01-01"', "error", /2999-01-01 is to come/],
  "a date that nothing was tested with": [/compatibility_date = .*/, 'compatibility_date = "2025-01-01"', "warning", /not with 2025-01-01/],
  "a secret in the file": [/$/, '\n[vars]\nROOT_API_KEY = "0123456789abcdef"\n', "error", /the secret ROOT_API_KEY stands in the file/],
  "development": [/$/, '\n[vars]\nDEVELOPMENT = "true"\n', "error", /DEVELOPMENT is for local runs only/],
  "a variable that nothing reads": [/$/, '\n[vars]\nMAX_AGE = "3"\n', "warning", /does not use the variable MAX_AGE/],
  "copies in no region": [/$/, '\n[vars]\nREAD_COPIES = "weur, mars"\n', "error", /READ_COPIES names mars, which is no region: .*the regions are wnam, enam/],
  "copies that are no list": [/$/, '\n[vars]\nREAD_COPIES = true\n', "error", /READ_COPIES is not a text/],
  "no logs": ["enabled = true", "enabled = false", "warning", /logs are not kept/],
  "no bundle": ["build/index.js", "nowhere/index.js", "error", /there is no bundle: npm run build/],
};

for (const [name, [from, to, level, pattern]] of Object.entries(BROKEN)) {
  test(`found: ${name}`, () => finds(from, to, level, pattern));
}

test("copies in regions that there are", async () => {
  assert.deepEqual((await check(`${wrangler}\n[vars]\nREAD_COPIES = "weur, apac"\n`)).filter((one) => one.includes("READ_COPIES")), []);
});

test("the regions are those of the code", () => {
  const code = readFileSync(join(root, "src", "policy", "region.rs"), "utf8");
  const rules = readFileSync(join(root, "js", "deploy-rules.mjs"), "utf8");
  const listed = (text, pattern) => pattern.exec(text)[1].match(/\w+/g);
  assert.deepEqual(listed(code, /REGIONS: \[&str; 9\] = \[(.*?)\]/), listed(rules, /const REGIONS = \[(.*?)\]/));
});

test("two namespaces that are one", async () => {
  const id = "0".repeat(32);
  const text = wrangler.replace('binding = "SETTINGS"', `binding = "SETTINGS"\nid = "${id}"`).replace('binding = "JWKS"', `binding = "JWKS"\nid = "${id}"`);
  has(await check(text), "error", /JWKS and SETTINGS are one namespace/);
});

test("an environment has its own bindings, or they are missed", async () => {
  const lines = await check(`${wrangler}\n[env.staging]\n`, { env: "staging" });
  has(lines, "error", /there is no KV namespace SETTINGS: .*an \[env\] needs its own/);
  has(lines, "error", /there is no Durable Object ACCOUNT/);
});

test("secrets: those that are missing, misspelt, or only for a time", async () => {
  const bad = await check(wrangler, { secretNames: ["ROOT_API_KEY", "SECRET_KEY"] });
  has(bad, "error", /the secret SECRETS_KEY is not set: npx wrangler secret put SECRETS_KEY/);
  has(bad, "warning", /does not use the secret SECRET_KEY/);
  has(await check(wrangler, { secretNames: [...NAMES.secrets, "SECRETS_KEY_PREVIOUS"] }), "warning", /SECRETS_KEY_PREVIOUS is set/);
  has(await check(wrangler, { secretNames: [...NAMES.secrets, "DEVELOPMENT"] }), "error", /DEVELOPMENT is for local runs only/);
});

test("secrets are read from what wrangler prints", async () => {
  const listed = (...names) => `\n ⛅️ wrangler\n${JSON.stringify(names.map((name) => ({ name, type: "secret_text" })))}\n`;
  const good = await run(wrangler, ["--secrets", "-"], listed("ROOT_API_KEY", "SECRETS_KEY"));
  assert.equal(good.code, 0, good.stdout);
  const bad = await run(wrangler, ["--secrets", "-"], listed("ROOT_API_KEY"));
  assert.equal(bad.code, 1);
  assert.match(bad.stdout, /^error .*SECRETS_KEY is not set[^]*\nNot to be deployed: errors 1, /);
  const none = await run(wrangler, ["--secrets", "-"], "not signed in");
  assert.equal(none.code, 1);
  assert.match(none.stderr, /not what `npx wrangler secret list` prints/);
});

/** A configuration whose bundle is a folder of its own. */
function withBundle(name, change) {
  const where = join(folder, name);
  cpSync(join(root, "build"), where, { recursive: true, filter: (path) => !path.endsWith("deploy") });
  change(where);
  return wrangler.replace("build/index.js", `${name}/index.js`);
}

test("a bundle that is too large for a plan, and one without a class", async () => {
  // What does not compress: its size is its size.
  const large = withBundle("large", (where) => writeFileSync(join(where, "more.wasm"), randomBytes(3_500_000)));
  has(await check(large, { plan: "free" }), "error", /KiB gzipped, more than the free plan's 3 MB/);
  has(await check(large), "warning", /KiB gzipped, more than our own aim of 500/);
  const huge = withBundle("large", (where) => writeFileSync(join(where, "more.wasm"), randomBytes(10_500_000)));
  has(await check(huge), "error", /KiB gzipped, more than the paid plan's 10 MB/);
  const without = withBundle("without", (where) => writeFileSync(join(where, "index.js"), "export default {};\n"));
  has(await check(without), "error", /does not export the class Account/);
});

test("assets: a folder that is not there, is empty, or stands in the place of the API", async () => {
  const text = (directory) => `${wrangler.replace(/\[assets\]\n(?:.+\n)*/, "")}\n[assets]\ndirectory = "${directory}"\n`;
  has(await check(text("no-such")), "error", /there is no folder no-such of assets/);
  mkdirSync(join(folder, "public", "ng"), { recursive: true });
  has(await check(text("public")), "error", /public of assets is empty/);
  writeFileSync(join(folder, "public", "ng", "api.html"), "<p>");
  has(await check(text("public")), "error", /the asset ng\/api\.html stands in the place of the API/);
});

test("the check knows every binding, variable and secret that the code asks for", () => {
  const code = readdirSync(join(root, "src", "worker"), { recursive: true })
    .filter((name) => name.endsWith(".rs"))
    .map((name) => readFileSync(join(root, "src", "worker", name), "utf8"))
    .join("\n");
  const asked = [...code.matchAll(/env\s*\.\w+\(\s*"([A-Z_]+)"/g)].map((match) => match[1]);
  const known = [...NAMES.kv, ...Object.keys(NAMES.objects), ...NAMES.secrets, ...NAMES.optionalSecrets, ...NAMES.never, ...NAMES.vars];
  assert.ok(asked.length >= 7, asked.join());
  assert.deepEqual(asked.filter((name) => !known.includes(name)), []);
  assert.deepEqual(known.filter((name) => !asked.includes(name)), []);
});

test("bad options are refused with the help", async () => {
  const { code, stderr } = await run(wrangler, ["--plan", "gold"]);
  assert.equal(code, 1);
  assert.match(stderr, /--plan must be free or paid[\s\S]*npm run deploy:check --/);
});
