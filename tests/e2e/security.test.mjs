// SECURITY.md names the tests that show each defence: they have to exist.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fault, read } from "./citations.mjs";

const rows = read("SECURITY.md")
  .split("\n")
  .filter((line) => line.startsWith("| ") && line.includes("` › "))
  .map((line) => line.slice(2, -2).split(" | "));

test("every threat has what stops it, and tests that exist", () => {
  assert.ok(rows.length >= 25, `${rows.length} threats`);
  const wrong = [];
  for (const [threat, defence, tests] of rows) {
    if (!threat || !defence || !tests) wrong.push(`${threat}: a column is missing`);
    for (const cited of (tests ?? "").split("<br>")) {
      const problem = fault(cited);
      if (problem) wrong.push(`${threat}: ${problem}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("an exception of the audit is explained", () => {
  const excepted = [...read("deny.toml").matchAll(/id = "(RUSTSEC-[\d-]+)"/g)].map((match) => match[1]);
  const explained = [...read("SECURITY.md").matchAll(/^\| (RUSTSEC-[\d-]+) /gm)].map((match) => match[1]);
  assert.deepEqual(excepted, explained);
});
