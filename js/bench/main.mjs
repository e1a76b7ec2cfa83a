// `npm run bench`: what the gateway costs, beside the platform's floor and beside peers, in one run.
//
// Everything is asked in turn, so that what else the machine does meets all alike; what counts are the
// ratios. Options: --users 10000, --rounds 5, --seconds 2, --only start,reads,sizes,scans,writes,memory,peers,
// --large, which adds a directory of 100,000 users, and --no-report, which leaves docs/ as it is.

import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "../build.mjs";
import { SetupError, fail, say } from "../log.mjs";
import { setup } from "../setup.mjs";
import { root } from "../tools.mjs";
import { gzipped } from "./bundle.mjs";
import { generator } from "./load.mjs";
import { memory } from "./memory.mjs";
import { install } from "./peers.mjs";
import { FEWEST_USERS } from "./questions.mjs";
import { reads } from "./reads.mjs";
import { report } from "./report.mjs";
import { scans } from "./scans.mjs";
import { sizes } from "./sizes.mjs";
import { start } from "./start.mjs";
import { writes } from "./writes.mjs";

const PARTS = { start, reads, sizes, scans, writes, memory };

async function main() {
  const { values } = parseArgs({
    options: {
      users: { type: "string", default: "10000" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "2" },
      only: { type: "string", default: [...Object.keys(PARTS), "peers"].join(",") },
      large: { type: "boolean", default: false },
      "no-report": { type: "boolean", default: false },
    },
  });
  const only = values.only.split(",");
  const options = { users: Number(values.users), rounds: Number(values.rounds), seconds: Number(values.seconds), large: values.large, peers: only.includes("peers") };
  if (!(options.users >= FEWEST_USERS)) throw new SetupError(`--users: at least ${FEWEST_USERS}, or pages of 100 are all the same`);
  await setup({});
  await install();
  if (!process.env.BENCH_BUILD) await build();
  const machine = `${cpus().length} cores (${cpus()[0].model.trim()}), Node ${process.version}, ${generator}`;
  const conditions = `${options.users} users, ${options.rounds} rounds of ${options.seconds} s, 16 connections, on ${machine}`;
  say(`${conditions}\nThe bundle has ${Math.round(gzipped() / 1000)} KB, gzipped`);
  const begun = performance.now();
  const results = {};
  for (const [name, part] of Object.entries(PARTS)) {
    if (only.includes(name)) results[name] = await part(options);
  }
  say(`\nMeasured in ${Math.round((performance.now() - begun) / 1000)} s`);
  if (!values["no-report"]) write(report({ conditions, bundle: gzipped(), ...results }));
}

function write({ text, picture }) {
  writeFileSync(join(root, "docs", "benchmarks.md"), text);
  if (picture) writeFileSync(join(root, "docs", "benchmarks.svg"), picture);
}

await main().catch(fail);
