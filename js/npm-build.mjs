// Builds the npm package into `pkg/`: the Wasm and its JavaScript beside the committed manifest.

import { copyFileSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { fail, step } from "./log.mjs";
import { setup } from "./setup.mjs";
import { root } from "./tools.mjs";
import { compile, optimise } from "./wasm.mjs";

/** Builds it, and returns its folder. */
export async function buildPackage() {
  const out = join(root, "pkg");
  await step("Building the npm package", async () => {
    await compile("scim-edge-npm", { out: join(out, "wasm"), name: "scim_edge", target: "web" });
    const file = join(out, "wasm", "scim_edge_bg.wasm");
    await optimise(file, file, { options: ["-O3"] });
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
