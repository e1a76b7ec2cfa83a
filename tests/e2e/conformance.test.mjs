// docs/conformance.md names tests for every demand: each has to exist, under that very name.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "../../js/tools.mjs";

const read = (file) => readFileSync(join(root, file), "utf8");

/** The rows under each heading, as number, demand and citations. */
function tables() {
  const found = new Map();
  let heading;
  for (const line of read("docs/conformance.md").split("\n")) {
    if (line.startsWith("## ")) heading = line.slice(3);
    if (!/^\| \d[\d.-]* \|/.test(line)) continue;
    const [number, demand, tests] = line.slice(2, -2).split(" | ");
    found.set(heading, [...(found.get(heading) ?? []), { number, demand, tests: tests?.split("<br>") ?? [] }]);
  }
  return found;
}

/** The names of a table's cases, or its filters, which are their own names. */
function cases(value) {
  if (Array.isArray(value)) {
    const isFilter = value.length === 2 && typeof value[0] === "string" && typeof value[1] !== "number";
    return [...(isFilter ? [value[0]] : []), ...value.flatMap(cases)];
  }
  if (value === null || typeof value !== "object") return [];
  return [...(typeof value.name === "string" ? [value.name] : []), ...Object.values(value).flatMap(cases)];
}

/** The names of the tests in a file. */
function names(file) {
  const text = read(file);
  if (file.endsWith(".json")) return cases(JSON.parse(text));
  const pattern = file.endsWith(".rs") ? /#\[(?:wasm_bindgen_)?test\]\s*(?:async )?fn (\w+)\(/g : /^ *test\("((?:[^"\\]|\\.)*)"/gm;
  return [...text.matchAll(pattern)].map((match) => match[1]);
}

const rows = [...tables().values()].flat();

test("the document has its tables, and each number once", () => {
  assert.ok(rows.length > 190, `${rows.length} rows`);
  for (const [heading, table] of tables()) {
    assert.equal(new Set(table.map((row) => row.number)).size, table.length, heading);
    for (const row of table) assert.ok(row.demand && row.tests.length > 0, `${heading} ${row.number}`);
  }
});

test("every test that the document names exists", () => {
  const known = new Map();
  const wrong = [];
  for (const { number, tests } of rows) {
    for (const cited of tests.filter((one) => one !== "— none")) {
      const [, file, name] = /^`([^`]+)` › (.+)$/.exec(cited) ?? [];
      if (!file || !existsSync(join(root, file))) wrong.push(`${number}: no file in ${cited}`);
      else {
        if (!known.has(file)) known.set(file, new Set(names(file)));
        if (!known.get(file).has(name)) wrong.push(`${number}: ${file} has no ${name}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

test("a demand without a test is explained where the document says what is not so", () => {
  const text = read("docs/conformance.md");
  const explained = text.slice(text.indexOf("## Where we are not so"));
  const without = rows.filter((row) => row.tests.includes("— none")).map((row) => row.number);
  assert.ok(without.length < 6, without.join());
  for (const number of without) assert.ok(explained.includes(number), number);
});
