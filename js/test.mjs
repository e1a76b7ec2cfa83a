// `npm test`: sets everything up and passes every test. `npm test -- --only e2e` runs one part.

import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { SetupError, fail, say } from "./log.mjs";
import { run } from "./run.mjs";
import { chromium, chromiumFlags, executable } from "./runtimes.mjs";
import { setup } from "./setup.mjs";
import { root, tool } from "./tools.mjs";

const WASM = ["--target", "wasm32-unknown-unknown"];
const STRICT = ["--", "-D", "warnings"];

const cargo = (...args) => run("cargo", args, { cwd: root });
const node = (...args) => run(process.execPath, args, { cwd: root });

/** What there is to run, in order. */
const parts = {
  format: () => cargo("fmt", "--all", "--check"),
  async lint() {
    await cargo("clippy", "--workspace", "--exclude", "scim-edge-worker", "--all-targets", ...STRICT);
    await cargo("clippy", "-p", "scim-edge-worker", "-p", "scim-edge-webcrypto", ...WASM, ...STRICT);
    await node(join("node_modules", "eslint", "bin", "eslint.js"), ".");
  },
  native: () => cargo("test", "--workspace", "--exclude", "scim-edge-worker", "--exclude", "scim-edge-webcrypto"),
  wasm,
  async build() {
    const { build, size } = await import("./build.mjs");
    await build();
    say(size());
  },
  /** That this repository could be deployed as it is: everything but the upload. */
  deploy: () => node(join("js", "deploy.mjs"), "--dry-run"),
  /** Licences, sources and advisories, as far as they can be had. */
  audit: () => node(join("js", "audit.mjs")),
  /** Side by side where files are independent: much of their time is waiting for clocks. */
  async e2e() {
    const alone = tests().filter((file) => ALONE.includes(basename(file)));
    await files(2, tests().filter((file) => !alone.includes(file)));
    await files(1, alone);
  },
};

/** End-to-end files that make so much load that others beside them would fail. */
const ALONE = ["bench.test.mjs", "torture.test.mjs"];

const files = (atOnce, paths) =>
  node("--test", `--test-concurrency=${atOnce}`, "--test-timeout=600000", "--test-reporter=spec", ...paths);

/** The case tables again, as Wasm in Node and in a browser. */
async function wasm() {
  const pack = await tool("wasm-pack");
  const env = { ...process.env, PATH: `${dirname(await tool("wasm-bindgen"))}:${process.env.PATH}` };
  const inBrowser = browser();
  const tables = { scim: ["filter_cases", "patch_cases", "body_cases"], webcrypto: ["engines", "vectors"] };
  for (const [crate, files] of Object.entries(tables)) {
    for (const file of files) {
      // What a test says of vectors that are not at hand is shown too.
      const test = ["--test", file, "--", "--nocapture"];
      await run(pack, ["test", "--node", "--mode", "no-install", join("src", crate), ...test], { cwd: root, env });
      // The vectors are files, which a browser does not read.
      if (!inBrowser || file === "vectors") continue;
      const { driver, configuration } = inBrowser;
      const browser = ["--headless", "--chrome", "--chromedriver", driver, "--mode", "no-install"];
      // The runner reads it beside the manifest; it is no source of the crate.
      const told = join(root, "src", crate, "webdriver.json");
      writeFileSync(told, JSON.stringify(configuration));
      try {
        await run(pack, ["test", ...browser, join("src", crate), ...test], { cwd: root, env: { ...env, WASM_BINDGEN_USE_BROWSER: "1" } });
      } finally {
        rmSync(told);
      }
    }
  }
}

/** Chromium and its driver, as wasm-bindgen's test runner is told of them; nothing where there are none. */
function browser() {
  const [binary, driver] = [chromium(), executable("chromedriver")];
  if (binary && driver) return { driver, configuration: { "goog:chromeOptions": { binary, args: chromiumFlags } } };
  say("SKIPPED: the tables in a browser: there is no Chromium with its driver (apt-get install chromium chromium-driver)");
  return undefined;
}

function tests() {
  const folder = join(root, "tests", "e2e");
  return readdirSync(folder).filter((name) => name.endsWith(".test.mjs")).map((name) => join("tests", "e2e", name));
}

async function main() {
  const { values } = parseArgs({ options: { only: { type: "string", multiple: true } } });
  const unknown = values.only?.find((name) => !(name in parts));
  if (unknown) throw new SetupError(`There is no part ${unknown}; there are ${Object.keys(parts).join(", ")}`);
  const began = Date.now();
  await setup({ tests: true });
  for (const [name, part] of Object.entries(parts)) {
    if (values.only && !values.only.includes(name)) continue;
    const start = Date.now();
    say(`\n── ${name}`);
    await part();
    say(`── ${name}: passed in ${((Date.now() - start) / 1000).toFixed(1)} s`);
  }
  say(`\nEverything passed in ${((Date.now() - began) / 1000).toFixed(0)} s.`);
}

await main().catch(fail);
