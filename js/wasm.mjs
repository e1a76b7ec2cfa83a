// From a crate to Wasm with its JavaScript: Cargo, wasm-bindgen, wasm-opt.

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.mjs";
import { root, tool } from "./tools.mjs";

// What every host has; with all features on, encodings come out that some cannot read.
const FEATURES = ["bulk-memory", "multivalue", "mutable-globals", "nontrapping-float-to-int", "reference-types", "sign-ext"];

/**
 * Whether to build for speed of building (`SCIM_EDGE_BUILD=quick`): no link-time optimization and no wasm-opt. For
 * development only; such a bundle is two to three times as large and is neither measured nor deployed.
 */
export const quick = process.env.SCIM_EDGE_BUILD === "quick";

const QUICK = {
  CARGO_PROFILE_RELEASE_LTO: "off",
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
  CARGO_PROFILE_RELEASE_INCREMENTAL: "true",
};

/** Compiles a crate into `out`, as `name.js` and `name_bg.wasm`; `options` are further ones of wasm-bindgen. */
export async function compile(crate, { out, name, target, options = [] }) {
  await run("cargo", ["build", "--release", "-p", crate, "--target", "wasm32-unknown-unknown"], {
    cwd: root,
    quiet: true,
    env: quick ? { ...process.env, ...QUICK } : process.env,
  });
  const wasm = join(root, "target", "wasm32-unknown-unknown", "release", `${crate.replaceAll("-", "_")}.wasm`);
  const bindings = [wasm, "--target", target, "--out-dir", out, "--out-name", name, "--no-typescript", ...options];
  await run(await tool("wasm-bindgen"), bindings, { quiet: true });
}

/** Optimises `from` into `to`, which may be the same file; `features` are those that the host has beside. */
export async function optimise(from, to, { features = [], options }) {
  if (quick) {
    if (from !== to) copyFileSync(from, to);
    return;
  }
  const enabled = [...FEATURES, ...features].map((feature) => `--enable-${feature}`);
  const program = join(root, "node_modules", "binaryen", "bin", "wasm-opt");
  await run(process.execPath, [program, ...options, ...enabled, from, "-o", to], { quiet: true });
}
