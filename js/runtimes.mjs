// Other JavaScript runtimes: those that the npm package is tried in, in the per-user cache, by version; and the
// system's Chromium.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { say, step } from "./log.mjs";
import { output, run } from "./run.mjs";
import { cache } from "./tools.mjs";

const VERSIONS = { deno: "2.9.6", bun: "1.4.5", node: "26.10.0" };

/** The package that a runtime is in. The package `node` is a script that installs another one. */
const packageOf = (name) => (name === "node" ? `node-${process.platform}-${process.arch}` : name);

/** The path of a runtime; `undefined` where its package cannot be had for this platform. */
export async function runtime(name) {
  const version = VERSIONS[name];
  const folder = join(cache, "runtimes", `${name}-${version}`);
  const bin = name === "node" ? join(folder, "node_modules", packageOf(name), "bin", name) : join(folder, "node_modules", ".bin", name);
  if (!existsSync(join(folder, ".installed"))) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), "{}");
    try {
      await step(`Installing ${name} ${version} (once for this user)`, () =>
        run("npm", ["install", "--no-package-lock", "--no-audit", "--no-fund", `${packageOf(name)}@${version}`], { cwd: folder, quiet: true }),
      );
      writeFileSync(join(folder, ".installed"), version);
    } catch {
      say(`${name} ${version} could not be installed`);
    }
  }
  return output(bin, ["--version"]) ? bin : undefined;
}

/** A program of the system's, where there is one. */
export function executable(...names) {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

/** The system's Chromium, where there is one. */
export const chromium = () => executable("chromium", "chromium-browser", "google-chrome");

/** How it is started: without a window, also as root in a container, asking nobody on the network for anything. */
export const chromiumFlags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
