// That the benchmark runs, asks ever new questions, and claims nothing that it has not measured.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { displayed, nameOf } from "../../js/bench/names.mjs";
import { CONTAINS, FEWEST_USERS, questions } from "../../js/bench/questions.mjs";
import { report } from "../../js/bench/report.mjs";
import { root } from "../../js/tools.mjs";

const ids = (users) => Array.from({ length: users }, (_, n) => `id-${n}`);

test("it runs, and says what each scan takes", { timeout: 200_000 }, () => {
  const args = ["--no-report", "--users", "200", "--rounds", "1", "--only", "scans"];
  const printed = execFileSync(process.execPath, [join(root, "js", "bench", "main.mjs"), ...args], { encoding: "utf8" });
  for (const shape of ["title eq", "nothing matches", "sortBy userName"]) assert.match(printed, new RegExp(`^${shape} +[\\d.]+ ms`, "m"));
});

test("no question is asked twice before all others were", () => {
  for (const users of [FEWEST_USERS, 10_000]) {
    for (const [column, paths] of Object.entries(questions(ids(users)))) {
      assert.equal(new Set(paths).size, paths.length, column);
      // More than the gateway keeps answers.
      assert.ok(paths.length > 32, column);
    }
  }
});

test("every fragment of a name is in some names, and in few", () => {
  const users = 10_000;
  const names = ids(users).map((_, n) => displayed(nameOf(n)).toLowerCase());
  for (const path of questions(ids(users))[CONTAINS]) {
    const [, part] = new URL(path, "http://scim").searchParams.get("filter").match(/^displayName co "([a-z]{3,6})"$/);
    const hits = names.filter((name) => name.includes(part)).length;
    assert.ok(hits >= 1 && hits <= 10, `${part}: ${hits}`);
  }
});

test("what was not run is said not to have been", () => {
  const { text, picture } = report({ conditions: "nothing" });
  const rows = text.split("\n").filter((line) => /[≥≤]/.test(line));
  assert.ok(rows.length > 20);
  for (const row of rows) assert.match(row, /\| not run \| .* \| – \|$/);
  assert.equal(picture, undefined);
});

test("a figure is held against its target, and a peer that does not answer is left out with a note", () => {
  const of = (perSecond) => ({ perSecond: [perSecond], cpu: [1e6 / perSecond], requests: perSecond });
  const measured = {
    "GET by id": { "scim-edge": of(900), "same question again": of(950), floor: of(1000), scimmy: of(100) },
    "userName eq": { "scim-edge": of(700), "same question again": of(950), scimmy: { ...of(0), unanswered: "no answer within 5 s" } },
  };
  const { text } = report({ conditions: "made up", reads: { measured, kv: { reads: 1, requests: 1000 }, contenders: ["scim-edge", "same question again", "floor", "scimmy"] } });
  assert.match(text, /^\| GET by id \/ floor \| 0\.9 \| ≥ 0\.85 \| met \|$/m);
  assert.match(text, /^\| userName eq \/ floor's read by id \| 0\.7 \| ≥ 0\.8 \| not met \|$/m);
  assert.match(text, /^\| userName eq \/ best peer of this run \| no peer answered \|/m);
  assert.match(text, /^\| CPU of a GET by id \/ floor \| 1\.1 \| ≤ 1\.25 \| met \|$/m);
  assert.match(text, /^\| userName eq \| .* \| –<sup>1<\/sup> \|/m);
  assert.match(text, /^1\. scimmy: no answer within 5 s\.$/m);
  assert.match(text, /^\| userName eq \| 700 \| 1,520, scimmy \(Node\) \| 0\.46 \| ≥ 1\.5 \| not met \|$/m);
});
