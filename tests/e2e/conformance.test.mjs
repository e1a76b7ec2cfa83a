// docs/conformance.md names tests for every demand: each has to exist, under that very name.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fault, read } from "./citations.mjs";

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

const rows = [...tables().values()].flat();

test("the document has its tables, and each number once", () => {
  assert.ok(rows.length > 190, `${rows.length} rows`);
  for (const [heading, table] of tables()) {
    assert.equal(new Set(table.map((row) => row.number)).size, table.length, heading);
    for (const row of table) assert.ok(row.demand && row.tests.length > 0, `${heading} ${row.number}`);
  }
});

test("every test that the document names exists", () => {
  const cited = rows.flatMap(({ number, tests }) => tests.filter((one) => one !== "— none").map((one) => [number, fault(one)]));
  const wrong = cited.filter(([, problem]) => problem).map((one) => one.join(": "));
  assert.deepEqual(wrong, []);
});

test("a demand without a test is explained where the document says what is not so", () => {
  const text = read("docs/conformance.md");
  const explained = text.slice(text.indexOf("## Where we are not so"));
  const without = rows.filter((row) => row.tests.includes("— none")).map((row) => row.number);
  assert.ok(without.length < 6, without.join());
  for (const number of without) assert.ok(explained.includes(number), number);
});
