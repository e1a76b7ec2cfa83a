// Filters and PATCH against another implementation of them: what differs is decided by a sentence of the RFC.
// SCIM_EDGE_CASES sets how many cases, SCIM_EDGE_SEED which.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { pythonSuites } from "../../js/python.mjs";
import { run } from "../../js/run.mjs";
import { root } from "../../js/tools.mjs";

const bin = await pythonSuites();

test("filters and PATCH agree with scim2-models", { skip: bin ? false : "there is no python3 here" }, async () => {
  await run("cargo", ["build", "--quiet", "-p", "scim-edge-scim", "--example", "oracle"], { cwd: root });
  const oracle = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug", "examples", "oracle");
  const { SCIM_EDGE_CASES: cases = "2000", SCIM_EDGE_SEED: seed = "20110513" } = process.env;
  const script = join(root, "tests", "suites", "differential.py");
  const { stdout } = await promisify(execFile)(join(bin, "python"), [script, oracle, cases, seed], { maxBuffer: 1 << 26 });
  const { unexplained, sentences, ...figures } = JSON.parse(stdout);
  console.log(`differential: ${JSON.stringify(figures)}`);
  assert.deepEqual(unexplained, [], "disagreements that no sentence explains");
  assert.ok(Object.keys(figures.explained).every((name) => sentences[name].startsWith("RFC")));
  assert.ok(figures.agree > figures.cases * 0.8);
});
