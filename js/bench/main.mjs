// `npm run bench`: what the gateway costs, beside the platform's floor and beside peers, in one run.
//
// Everything is asked in turn, so that what else the machine does meets all alike; what counts are the
// ratios. Options: --users 10000, --rounds 5, --seconds 2, --only reads,sizes,writes,scans,start,peers,
// and --no-report, which leaves docs/ as it is.

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { build, size } from "../build.mjs";
import { fail, say } from "../log.mjs";
import { setup } from "../setup.mjs";
import { generator } from "./load.mjs";
import { install } from "./peers.mjs";
import { reads } from "./reads.mjs";
import { report } from "./report.mjs";
import { scans } from "./scans.mjs";
import { sizes } from "./sizes.mjs";
import { start } from "./start.mjs";
import { writes } from "./writes.mjs";

const PARTS = { start, reads, sizes, scans, writes };

async function main() {
  const { values } = parseArgs({
    options: {
      users: { type: "string", default: "10000" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "2" },
      only: { type: "string", default: [...Object.keys(PARTS), "peers"].join(",") },
      "no-report": { type: "boolean", default: false },
    },
  });
  const only = values.only.split(",");
  await setup({});
  await install();
  if (!process.env.BENCH_BUILD) await build();
  const options = { users: Number(values.users), rounds: Number(values.rounds), seconds: Number(values.seconds), peers: only.includes("peers") };
  const machine = `${cpus().length} cores (${cpus()[0].model.trim()}), Node ${process.version}, ${generator}`;
  const conditions = `${options.users} users, ${options.rounds} rounds of ${options.seconds} s, 16 connections, on ${machine}`;
  say(`${conditions}\n${size()}`);
  const results = {};
  for (const [name, part] of Object.entries(PARTS)) {
    if (only.includes(name)) results[name] = await part(options);
  }
  if (!values["no-report"]) report({ conditions, bundle: size(), ...results });
}

await main().catch(fail);
