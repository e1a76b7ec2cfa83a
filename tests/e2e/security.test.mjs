// SECURITY.md and docs/slips.md name the tests that show each defence: they have to exist.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fault, read } from "./citations.mjs";

/** The rows of a document's tables that cite tests. */
const rowsOf = (document) =>
  read(document)
    .split("\n")
    .filter((line) => line.startsWith("| ") && line.includes("` › "))
    .map((line) => line.slice(2, -2).split(" | "));

/** The faults of rows with a number of columns, the last of which cites tests. */
function faults(rows, columns) {
  const wrong = [];
  for (const row of rows) {
    if (row.length !== columns || !row.every(Boolean)) wrong.push(`${row[0]}: a column is missing`);
    for (const cited of row.at(-1).split("<br>")) {
      const problem = fault(cited);
      if (problem) wrong.push(`${row[0]}: ${problem}`);
    }
  }
  return wrong;
}

test("every threat has what stops it, and tests that exist", () => {
  const threats = rowsOf("SECURITY.md");
  assert.ok(threats.length >= 25, `${threats.length} threats`);
  assert.deepEqual(faults(threats, 3), []);
});

test("slips: each row says what is lost, and has tests that exist", () => {
  const slips = rowsOf("docs/slips.md");
  assert.ok(slips.length >= 60, `${slips.length} slips and attacks`);
  assert.deepEqual(faults(slips, 4), []);
});

test("an exception of the audit is explained", () => {
  const excepted = [...read("deny.toml").matchAll(/id = "(RUSTSEC-[\d-]+)"/g)].map((match) => match[1]);
  const explained = [...read("SECURITY.md").matchAll(/^\| (RUSTSEC-[\d-]+) /gm)].map((match) => match[1]);
  assert.deepEqual(excepted, explained);
});
