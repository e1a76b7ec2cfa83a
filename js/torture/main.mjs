// `npm run torture -- [--seconds N] [--seed S] [--broken RULE] [--with FOLDER] [--copies] [--history FILE]`:
// proves the contract of `docs/consistency.md` by fault injection, with `--copies` while copies near callers answer too.
// Exits with 1 where it does not hold.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { SetupError, fail, say } from "../log.mjs";
import { setup } from "../setup.mjs";
import { BROKEN } from "./broken.mjs";
import { torture } from "./run.mjs";

/** Violations that are shown; the others are counted. */
const SHOWN = 20;

async function main() {
  const { values } = parseArgs({
    options: {
      ...Object.fromEntries(["seconds", "seed", "broken", "with", "history"].map((name) => [name, { type: "string" }])),
      copies: { type: "boolean", default: false },
    },
  });
  const copies = values.copies || values.broken === "copies";
  const seconds = number("seconds", values.seconds ?? "60", 1, 86_400);
  const seed = number("seed", values.seed ?? String(Date.now() % 1_000_000), 0, 2 ** 32 - 1);
  const broken = values.broken === undefined ? undefined : BROKEN[values.broken];
  if (values.broken !== undefined && !broken) throw new SetupError(`--broken: one of ${Object.keys(BROKEN).join(", ")}`);
  await setup();
  if (broken) say(`The bundle is broken on purpose, rule ${values.broken}: ${broken.what}`);
  say(`Torture for ${seconds} s with the seed ${seed}`);
  const result = await torture({ seconds, seed, wrapper: broken?.module, other: values.with, copies, say: (line) => say(`  … ${line}`) });
  if (values.history) writeFileSync(values.history, JSON.stringify({ accounts: result.accounts, operations: result.history }));
  report(result);
  say(`seed            ${seed}`);
  const caught = result.violations.length > 0;
  if (broken) say(caught ? `The broken build was caught (rule ${values.broken}).` : "The broken build was NOT caught.");
  process.exitCode = caught === Boolean(broken) ? 0 : 1;
}

function number(name, text, least, most) {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new SetupError(`--${name}: a whole number from ${least} to ${most}`);
}

function report({ operations, faults, kills, answers, by, audited, violations }) {
  const total = Object.values(faults).reduce((sum, count) => sum + count, 0);
  say(`operations      ${operations}`);
  say(`answers         ${Object.entries(answers).map(([status, count]) => `${status}: ${count}`).join(", ")}`);
  if (Object.keys(by).length > 0) say(`answered by     ${Object.entries(by).map(([object, count]) => `${object}: ${count}`).join(", ")}`);
  say(`faults          ${total} of ${Object.keys(faults).length} kinds`);
  for (const [name, count] of Object.entries(faults).sort(([, a], [, b]) => b - a)) say(`  ${String(count).padStart(6)}  ${name}`);
  say(`kills           ${kills}`);
  say(`in the audit    ${Object.entries(audited).map(([operation, count]) => `${operation}: ${count}`).join(", ")}`);
  say(`violations      ${violations.length}`);
  for (const { rule, text } of violations.slice(0, SHOWN)) say(`  rule ${rule}: ${text}`);
  if (violations.length > SHOWN) say(`  and ${violations.length - SHOWN} more`);
}

await main().catch(fail);
