// Builds the npm package into `pkg/`: the Wasm and its JavaScript beside the committed manifest.

import { copyFileSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { fail, step } from "./log.mjs";
import { run } from "./run.mjs";
import { setup } from "./setup.mjs";
import { root, tool } from "./tools.mjs";

// What every host of the package has; with all features on, encodings come out that some cannot read.
const FEATURES = ["bulk-memory", "multivalue", "mutable-globals", "nontrapping-float-to-int", "reference-types", "sign-ext"].map(
  (name) => `--enable-${name}`,
);

/** Builds it, and returns its folder. */
export async function buildPackage() {
  const out = join(root, "pkg");
  const cargo = ["build", "--release", "-p", "scim-edge-npm", "--target", "wasm32-unknown-unknown"];
  await step("Building the npm package", async () => {
    await run("cargo", cargo, { cwd: root, quiet: true });
    const wasm = join(root, "target", "wasm32-unknown-unknown", "release", "scim_edge_npm.wasm");
    const bindgen = await tool("wasm-bindgen");
    await run(bindgen, [wasm, "--target", "web", "--out-dir", join(out, "wasm"), "--out-name", "scim_edge", "--no-typescript"], { quiet: true });
    const file = join(out, "wasm", "scim_edge_bg.wasm");
    const optimise = join(root, "node_modules", "binaryen", "bin", "wasm-opt");
    await run(process.execPath, [optimise, "-O3", ...FEATURES, file, "-o", file], { quiet: true });
  });
  // What an earlier version of this repository built would be published too.
  for (const name of readdirSync(out).filter((name) => name.endsWith(".mjs") || name.endsWith(".d.ts"))) rmSync(join(out, name));
  for (const name of readdirSync(join(root, "js", "npm"))) {
    copyFileSync(join(root, "js", "npm", name), join(out, name));
  }
  return dirname(join(out, "package.json"));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await setup().then(buildPackage).catch(fail);
}
