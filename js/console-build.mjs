// The console's assets: `build/assets`, the sources as they are and one file of what they are built on.

import { cpSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./tools.mjs";

/** The folder that is served, with `console/` and the headers in it. */
export const assets = join(root, "build", "assets");

/** Makes it anew; what was there before is replaced as a whole. */
export async function buildConsole() {
  const { build } = await import("esbuild");
  const source = join(root, "js", "console");
  const made = join(root, "build", `assets-${process.pid}`);
  const target = join(made, "console");
  mkdirSync(target, { recursive: true });
  cpSync(source, target, { recursive: true });
  renameSync(join(target, "headers"), join(made, "_headers"));
  await build({
    entryPoints: [join(source, "vendor.mjs")],
    outfile: join(target, "vendor.mjs"),
    allowOverwrite: true,
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    logLevel: "error",
  });
  rmSync(assets, { recursive: true, force: true });
  renameSync(made, assets);
}
