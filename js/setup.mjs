// Sets up what `npm start` and `npm test` need, from nothing but Rust and Node. Uses only what Node
// brings along until the packages are there.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SetupError, step } from "./log.mjs";
import { output, run } from "./run.mjs";
import { root, tool } from "./tools.mjs";

const RUST = [1, 91];
const NODE = 20;
const TARGET = "wasm32-unknown-unknown";

/** Sets everything up; `tests` adds what only the tests need. */
export async function setup({ tests = false } = {}) {
  checkNode();
  checkRust();
  await addTarget();
  await installPackages();
  await tool("wasm-bindgen");
  if (tests) await tool("wasm-pack");
}

function checkNode() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < NODE) throw new SetupError(`Node ${NODE} or newer is needed, this is ${process.version}`);
}

function checkRust() {
  const version = output("rustc", ["--version"], { cwd: root });
  if (!version) throw new SetupError("There is no Rust here (rustc)", "install it with rustup, then open a new shell");
  const [major, minor] = version.match(/(\d+)\.(\d+)/).slice(1).map(Number);
  if (major < RUST[0] || (major === RUST[0] && minor < RUST[1])) {
    throw new SetupError(`Rust ${RUST.join(".")} or newer is needed, this is ${version.trim()}`, "rustup update stable");
  }
}

async function addTarget() {
  const sysroot = output("rustc", ["--print", "sysroot"])?.trim() ?? "";
  if (existsSync(join(sysroot, "lib", "rustlib", TARGET, "lib"))) return;
  const add = ["target", "add", TARGET];
  await step(`Adding Rust's target ${TARGET}`, () => run("rustup", add, { quiet: true })).catch(() => {
    throw new SetupError(`Rust's target ${TARGET} is missing and could not be added`, `rustup ${add.join(" ")}`);
  });
}

async function installPackages() {
  const lock = readFileSync(join(root, "package-lock.json"));
  const wanted = createHash("sha256").update(lock).digest("hex");
  const stamp = join(root, "node_modules", ".installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  // --ignore-scripts: every package here works without its install script.
  const install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
  await step("Installing Node packages", () => run("npm", install, { quiet: true, cwd: root })).catch(() => {
    throw new SetupError("The Node packages could not be installed", `npm ${install.join(" ")}`);
  });
  writeFileSync(stamp, wanted);
}
