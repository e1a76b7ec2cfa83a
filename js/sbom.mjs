// `npm run sbom`: what the Worker is made of and what it is built with, as CycloneDX, in `build/`.

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { SetupError, fail, say } from "./log.mjs";
import { output, run } from "./run.mjs";
import { setup } from "./setup.mjs";
import { root, tool } from "./tools.mjs";

const NAME = "scim-edge.cdx";

/** Writes both, and returns their paths. */
export async function sbom() {
  const folder = join(root, "build");
  mkdirSync(folder, { recursive: true });
  const [worker, tools] = [join(folder, "worker.cdx.json"), join(folder, "tools.cdx.json")];
  const path = `${dirname(await tool("cargo-cyclonedx"))}:${process.env.PATH}`;
  const args = ["cyclonedx", "--format", "json", "--spec-version", "1.5", "--target", "wasm32-unknown-unknown", "--no-build-deps"];
  await run("cargo", [...args, "--override-filename", NAME], { cwd: join(root, "src", "worker"), quiet: true, env: { ...process.env, PATH: path } });
  // Without the place where it was built.
  writeFileSync(worker, readFileSync(join(root, "src", "worker", `${NAME}.json`), "utf8").replaceAll(`${root}/`, ""));
  // It writes one beside each manifest of the workspace.
  for (const crate of readdirSync(join(root, "src"))) rmSync(join(root, "src", crate, `${NAME}.json`), { force: true });
  // None of npm's packages is in the Worker: they build, test and deploy it.
  const npm = output("npm", ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"], { cwd: root, maxBuffer: 1 << 26 });
  if (npm === undefined) throw new SetupError("npm sbom failed", "npm install --global npm@latest");
  writeFileSync(tools, npm.replaceAll(`${root}/`, ""));
  return [worker, tools];
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await setup()
    .then(sbom)
    .then((paths) => paths.forEach((path) => say(path)))
    .catch(fail);
}
