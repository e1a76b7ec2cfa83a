// docs/dependencies.md is what the manifests are: nothing without a reason, no reason without its dependency.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { join } from "node:path";
import { output } from "../../js/run.mjs";
import { root } from "../../js/tools.mjs";
import { read } from "./citations.mjs";

/** The tables, by the first cell of their heading: name to the other cells. */
const tables = new Map();
for (const block of read("docs/dependencies.md").split(/\n\n/).filter((one) => one.startsWith("| "))) {
  const [heading, , ...rows] = block.trim().split("\n").map((line) => line.slice(2, -2).split(" | "));
  const known = tables.get(heading[0]) ?? new Map();
  for (const [name, ...cells] of rows) {
    assert.ok(!known.has(name), `${name} is there twice`);
    assert.ok(cells.every(Boolean) && cells.length === heading.length - 1, `${name} lacks a reason`);
    known.set(name.replaceAll("`", ""), cells);
  }
  tables.set(heading[0], known);
}

const listed = (heading) => [...tables.get(heading).keys()].sort();

test("every crate has its reason", () => {
  const metadata = JSON.parse(output("cargo", ["metadata", "--format-version", "1", "--no-deps", "--offline"], { cwd: root, maxBuffer: 1 << 26 }));
  const direct = metadata.packages.flatMap((one) => one.dependencies).filter((one) => one.path === undefined || one.path === null);
  assert.deepEqual(listed("crate"), [...new Set(direct.map((one) => one.name))].sort());
});

test("every tool has its reason", () => {
  const tools = [...read("js/tools.mjs").matchAll(/\{ crate: "([\w-]+)"/g)].map((match) => match[1]);
  assert.deepEqual(listed("tool, by cargo"), tools.sort());
});

test("every package of npm has its reason, and its places", () => {
  const found = new Map();
  for (const path of output("git", ["ls-files", "package.json", "*/package.json"], { cwd: root }).trim().split("\n")) {
    const { dependencies, devDependencies, name } = JSON.parse(readFileSync(join(root, path), "utf8"));
    if (name === "scim-edge") assert.deepEqual({ ...dependencies, ...devDependencies }, {}, "what is published has none");
    const place = path === "package.json" ? "root" : `\`${path.replace("/package.json", "")}\``;
    for (const one of Object.keys({ ...dependencies, ...devDependencies })) found.set(one, [...(found.get(one) ?? []), place]);
  }
  const wanted = Object.fromEntries([...found].sort().map(([name, places]) => [name, places.sort()]));
  const written = [...tables.get("package, by npm")].sort().map(([name, [places]]) => [name, places.split(", ").sort()]);
  assert.deepEqual(Object.fromEntries(written), wanted);
});

test("every package of pip has its reason", () => {
  const pinned = [...read("tests/suites/requirements.txt").matchAll(/^([\w-]+)/gm)].map((match) => match[1]);
  assert.deepEqual(listed("package, by pip"), pinned.sort());
});
