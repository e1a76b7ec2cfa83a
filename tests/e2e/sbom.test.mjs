// The bill of materials names what is in the Worker, and nothing else.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { output } from "../../js/run.mjs";
import { sbom } from "../../js/sbom.mjs";
import { installed, root } from "../../js/tools.mjs";

const skip = installed("cargo-cyclonedx") ? false : "cargo-cyclonedx is not installed (npm run sbom installs it)";

test("npm run sbom: the Worker's crates, each with version, licence and address", { skip }, async () => {
  const [worker, tools] = (await sbom()).map((path) => {
    const text = readFileSync(path, "utf8");
    assert.ok(!text.includes(root), "the place where it was built is in it");
    return JSON.parse(text);
  });
  assert.equal(worker.bomFormat, "CycloneDX");
  const tree = output("cargo", ["tree", "--offline", "-p", "scim-edge-worker", "--target", "wasm32-unknown-unknown", "-e", "normal", "--prefix", "none"], { cwd: root });
  const wanted = new Set(tree.trim().split("\n").map((line) => line.split(" v")[0]).filter((name) => name !== "scim-edge-worker"));
  const named = new Set(worker.components.map((one) => one.name));
  assert.deepEqual([...wanted].filter((name) => !named.has(name)), []);
  for (const one of worker.components) assert.ok(one.version && one.licenses?.length > 0 && one.purl.startsWith("pkg:cargo/"), one.name);
  // What checks signatures where there is no WebCrypto is not in it (SECURITY.md).
  for (const name of ["rsa", "jwt-simple", "rusqlite"]) assert.ok(!named.has(name), name);
  assert.ok(tools.components.some((one) => one.name === "wrangler"));
});
