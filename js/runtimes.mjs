// Other JavaScript runtimes that the npm package is tried in, in the per-user cache, by version.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { say, step } from "./log.mjs";
import { output, run } from "./run.mjs";
import { cache } from "./tools.mjs";

const VERSIONS = { deno: "2.9.6", bun: "1.4.5" };

/** The path of a runtime; `undefined` where its package cannot be had for this platform. */
export async function runtime(name) {
  const version = VERSIONS[name];
  const folder = join(cache, "runtimes", `${name}-${version}`);
  const bin = join(folder, "node_modules", ".bin", name);
  if (!existsSync(join(folder, ".installed"))) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), "{}");
    try {
      await step(`Installing ${name} ${version} (once for this user)`, () =>
        run("npm", ["install", "--no-package-lock", "--no-audit", "--no-fund", `${name}@${version}`], { cwd: folder, quiet: true }),
      );
      writeFileSync(join(folder, ".installed"), version);
    } catch {
      say(`${name} ${version} could not be installed`);
    }
  }
  return output(bin, ["--version"]) ? bin : undefined;
}
