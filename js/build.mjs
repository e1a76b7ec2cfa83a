// Builds the Worker: `build/index.js` and `build/index_bg.wasm`, only where a source has changed; and the
// console's assets beside it.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { buildConsole } from "./console-build.mjs";
import { fail, say, step } from "./log.mjs";
import { setup } from "./setup.mjs";
import { root } from "./tools.mjs";
import { compile, optimise, quick } from "./wasm.mjs";

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

/** What the Worker's bundle is built from, and how: a quick build never passes for a real one. */
function workerFingerprint() {
  const sources = fingerprint("Cargo.toml", "Cargo.lock", "js/build.mjs", "js/wasm.mjs", "docs/openapi.json", "src");
  return quick ? `${sources} quick` : sources;
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
  await unlessBuilt(".built", workerFingerprint(), buildWorker);
  await unlessBuilt(".console", fingerprint("package-lock.json", "js/console-build.mjs", "js/console"), buildConsole);
  return out;
}

async function buildWorker() {
  const parts = join(root, "target", "worker");
  await step("Building the Worker", async () => {
    rmSync(parts, { recursive: true, force: true });
    // A panic is an abort here: the entry then starts anew with the state reset.
    const recovery = ["--experimental-reset-state-function", "--force-enable-abort-handler"];
    await compile("scim-edge-worker", { out: parts, name: "index", target: "module", options: recovery });
    const own = join(root, "src", "worker");
    for (const name of readdirSync(own).filter((one) => one.endsWith(".js"))) copyFileSync(join(own, name), join(parts, name));
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out);
    const names = process.env.KEEP_NAMES ? ["--debuginfo"] : ["--strip-debug", "--strip-producers"];
    // What wasm-bindgen catches exceptions with.
    const features = ["exception-handling"];
    await optimise(join(parts, "index_bg.wasm"), join(out, "index_bg.wasm"), { features, options: ["-O2", ...names] });
    await bundle(join(parts, "entry.js"));
  });
  say(size());
}

/** Makes one module of the entry and of what it imports, but for the Wasm. */
async function bundle(entry) {
  const { build: esbuild } = await import("esbuild");
  const external = ["cloudflare:*", "./index_bg.wasm"];
  const options = { entryPoints: [entry], bundle: true, minify: true, format: "esm", external, write: false, logLevel: "error" };
  const { outputFiles } = await esbuild(options);
  // wasm-bindgen writes a source phase import, which workerd does not read; its own import of Wasm means the same.
  writeFileSync(join(out, "index.js"), outputFiles[0].text.replace("import source ", "import "));
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
