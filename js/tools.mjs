// The tools that building needs, installed from their registries into a per-user cache, by version.

import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { SetupError, say, step } from "./log.mjs";
import { run } from "./run.mjs";

/** The repository. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Where what is shared by all checkouts of a user is kept. */
export const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "scim-edge");

/** A package's version in Cargo.lock. */
function locked(name) {
  const lock = readFileSync(join(root, "Cargo.lock"), "utf8");
  const version = lock.match(new RegExp(`name = "${name}"\\nversion = "([^"]+)"`))?.[1];
  if (!version) throw new SetupError(`Cargo.lock does not name ${name}`, "git checkout Cargo.lock");
  return version;
}

const tools = {
  // Exactly the library's version: the two speak a private format.
  "wasm-bindgen": { crate: "wasm-bindgen-cli", version: () => locked("wasm-bindgen"), args: [] },
  // --debug: a third of the compile time, and nothing it does takes long.
  "wasm-pack": { crate: "wasm-pack", version: () => "0.15.1", args: ["--debug"] },
  // For audits and bills of materials only.
  "cargo-deny": { crate: "cargo-deny", version: () => "0.20.2", args: ["--debug", "--no-default-features"] },
  "cargo-cyclonedx": { crate: "cargo-cyclonedx", version: () => "0.5.9", args: ["--debug"] },
};

/** Where a tool is kept, and the version of it that is wanted. */
function place(name) {
  const { crate, version } = tools[name];
  const wanted = version();
  const folder = join(cache, "tools", `${crate}-${wanted}`);
  return { wanted, folder, path: join(folder, "bin", name) };
}

/** The path of a tool that is there already. */
export function installed(name) {
  const { path } = place(name);
  return existsSync(path) ? path : undefined;
}

/** The path of a tool, installed where it is not yet. */
export async function tool(name) {
  const { crate, args } = tools[name];
  const { wanted, folder, path } = place(name);
  if (existsSync(path)) return path;
  return exclusively(folder, path, async () => {
    const install = ["install", crate, "--version", wanted, "--root", folder, ...args];
    const target = join(cache, "build", `${crate}-${wanted}`);
    await step(`Installing ${crate} ${wanted} (once for this user, a few minutes)`, () =>
      run("cargo", install, { quiet: true, env: { ...process.env, CARGO_TARGET_DIR: target } }),
    );
    rmSync(target, { recursive: true, force: true });
    if (!existsSync(path)) throw new SetupError(`${crate} did not install ${name}`, `cargo ${install.join(" ")}`);
    return path;
  });
}

/** Lets one process at a time install into a folder; the others wait and find it done. */
async function exclusively(folder, path, work) {
  const lock = `${folder}.lock`;
  mkdirSync(dirname(folder), { recursive: true });
  for (let said = false; ; said = true) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (!said) say(`Waiting for another process that installs ${folder}`);
    // One that was killed leaves its lock behind.
    const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > 30 * 60_000) rmSync(lock, { recursive: true, force: true });
    await sleep(1_000);
  }
  try {
    return existsSync(path) ? path : await work();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}
