// Third-party suites in Python: an environment in the per-user cache, by what is pinned.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { step } from "./log.mjs";
import { output, run } from "./run.mjs";
import { cache, root } from "./tools.mjs";

const REQUIREMENTS = join(root, "tests", "suites", "requirements.txt");

/** The environment's folder of programs; `undefined` where there is no Python to make it with. */
export async function pythonSuites() {
  if (!output("python3", ["--version"])) return undefined;
  const hash = createHash("sha256").update(readFileSync(REQUIREMENTS)).digest("hex").slice(0, 16);
  const folder = join(cache, `python-${hash}`);
  const bin = join(folder, "bin");
  const stamp = join(folder, ".installed");
  if (existsSync(stamp)) return bin;
  mkdirSync(cache, { recursive: true });
  await step("Installing the Python suites (once for this user)", async () => {
    await run("python3", ["-m", "venv", "--clear", folder], { quiet: true });
    await run(join(bin, "pip"), ["install", "--disable-pip-version-check", "-r", REQUIREMENTS], { quiet: true });
  });
  writeFileSync(stamp, hash);
  return bin;
}
