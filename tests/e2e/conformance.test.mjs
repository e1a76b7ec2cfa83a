// docs/conformance.md names a test for every demand: each has to exist.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "../../js/tools.mjs";

const TABLES = ["filters", "patch", "validate", "project"];

const fileOf = (name) => {
  if (name.startsWith("src/")) return name;
  return TABLES.includes(name) ? `tests/cases/${name}.json` : `tests/e2e/${name}.test.mjs`;
};

test("every demand of the conformance document has a test that exists", () => {
  const text = readFileSync(join(root, "docs", "conformance.md"), "utf8");
  const rows = text.split("\n").filter((line) => /^\| [\d.]+/.test(line));
  assert.ok(rows.length > 80, `${rows.length} rows`);
  for (const row of rows) {
    const [file, name] = row.split(" | ").at(-1).replace(/ \|$/, "").split(" › ");
    assert.ok(readFileSync(join(root, fileOf(file)), "utf8").includes(name), `${file} has no ${name}`);
  }
});
