// A short torture of the built bundle; the long one is `npm run torture`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "../../js/build.mjs";
import { BROKEN } from "../../js/torture/broken.mjs";
import { torture } from "../../js/torture/run.mjs";

const SEED = 5;

test(`30 seconds of torture with the seed ${SEED} keep the contract`, async (t) => {
  const { operations, faults, kills, violations } = await torture({ seconds: 30, seed: SEED, clients: 4 });
  const struck = Object.values(faults).reduce((sum, count) => sum + count, 0);
  t.diagnostic(`${operations} operations, ${struck} faults of ${Object.keys(faults).length} kinds, ${kills} kills`);
  assert.deepEqual(violations, []);
  assert.ok(operations > 100 && Object.keys(faults).length >= 10 && kills > 0);
});

// An open fault, see "Known faults" in docs/consistency.md: its failure is shown and does not fail the run.
test("so do copies near callers", { todo: "a deleted user was shown again, with the seed 5" }, async (t) => {
  const { operations, by, kills, violations } = await torture({ seconds: 20, seed: SEED, clients: 4, copies: true });
  t.diagnostic(`${operations} operations, answered by ${JSON.stringify(by)}, ${kills} kills`);
  assert.deepEqual(violations, []);
  assert.ok(by.weur > 20 && by.apac > 20 && by.own > 20, JSON.stringify(by));
});

test("a bundle that is broken on purpose is caught, and what breaks it is not in the bundle", async () => {
  const { violations } = await torture({ seconds: 12, seed: SEED, clients: 4, wrapper: BROKEN[1].module });
  assert.ok(violations.some(({ rule }) => rule === 1), JSON.stringify(violations.slice(0, 3)));
  const bundle = readFileSync(join(await build(), "index.js"), "utf8");
  assert.doesNotMatch(bundle, /globalThis\.whole/);
});
