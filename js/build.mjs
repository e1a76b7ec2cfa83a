// Builds the Worker: `build/index.js` and `build/index_bg.wasm`, only where a source has changed; and the
// console's assets beside it.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { buildConsole } from "./console-build.mjs";
import { SetupError, fail, say, step } from "./log.mjs";
import { run } from "./run.mjs";
import { setup } from "./setup.mjs";
import { root, tool } from "./tools.mjs";

const out = join(root, "build");

/** The files that something is made of. */
function* sources(path) {
  if (!statSync(path).isDirectory()) return yield path;
  for (const name of readdirSync(path).sort()) yield* sources(join(path, name));
}

function fingerprint(...names) {
  const hash = createHash("sha256");
  for (const name of names) {
    for (const path of sources(join(root, name))) {
      hash.update(relative(root, path)).update("\0").update(readFileSync(path)).update("\0");
    }
  }
  return hash.digest("hex");
}

/** Runs `make` where what it makes is not of the files that there are now. */
async function unlessBuilt(stamp, wanted, make) {
  const path = join(out, stamp);
  if (existsSync(path) && readFileSync(path, "utf8") === wanted) return;
  await make();
  writeFileSync(path, wanted);
}

/** Builds where needed, and returns the bundle's folder. */
export async function build() {
  await unlessBuilt(".built", fingerprint("Cargo.toml", "Cargo.lock", "js/build.mjs", "docs/openapi.json", "src"), buildWorker);
  await unlessBuilt(".console", fingerprint("package-lock.json", "js/console-build.mjs", "js/console"), buildConsole);
  return out;
}

async function buildWorker() {
  const binaries = {
    WASM_BINDGEN_BIN: await tool("wasm-bindgen"),
    WASM_OPT_BIN: join(root, "node_modules", "binaryen", "bin", "wasm-opt"),
    ESBUILD_BIN: join(root, "node_modules", "esbuild", "bin", "esbuild"),
  };
  // A path that leads nowhere would only warn, and then download.
  for (const [name, path] of Object.entries(binaries)) {
    if (!existsSync(path)) throw new SetupError(`${name}: there is no ${path}`, "rm -rf node_modules && npm start");
  }
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out);
  const crate = join(root, "src", "worker");
  const args = ["--release", "--out-dir", relative(crate, out), crate];
  const env = { ...process.env, ...binaries };
  await step("Building the Worker", async () => run(await tool("worker-build"), args, { quiet: true, cwd: crate, env }));
  say(size());
}

/** How large the bundle is. */
export function size() {
  const files = ["index.js", "index_bg.wasm"].map((name) => readFileSync(join(out, name)));
  const kilobytes = (bytes) => `${Math.round(bytes / 1024)} KiB`;
  const raw = files.reduce((sum, file) => sum + file.length, 0);
  const zipped = files.reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0);
  return `Worker bundle: ${kilobytes(raw)}, gzipped ${kilobytes(zipped)}`;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await setup().then(build).catch(fail);
}
