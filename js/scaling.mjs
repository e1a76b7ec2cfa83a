// `npm run scaling`: what a deployment costs and how far away its answers are, from 1 to 10,000 accounts and
// 100 to 1,000,000 users, by the figures below. A simulation: nothing is measured here, and the seed makes
// every run the same.

import { parseArgs } from "node:util";

/** Dollars per million, as the platform bills them; a gigabyte is a month's. */
const PRICES = { request: 0.3, cpuMs: 0.02, object: 0.15, rowRead: 0.001, rowWritten: 1, kvRead: 0.5, gbSecond: 12.5, gigabyte: 0.2 };

/** What this software does, by its own constants and tests. */
const OURS = {
  rowsPerCreate: 8, // `directory/tables.rs`
  rowsPerChange: 4,
  rowsPerLogged: 5, // `directory/changes.rs`: two entries, written and removed, and how far the copies have come
  rowsPerMark: 1, // `directory/mirror.rs`
  bytesPerUser: 3000, // body, indexes, an address
  page: 100, // `worker/synchronise.rs`
  pagesPerSecond: 10, // `worker/passes.rs`
  stalenessSeconds: 900,
  wholeEvery: 8, // `directory/pass.rs`
  scanMsPerUser: 0.01, // `npm run bench`: 100 ms at 10,000 users
  cpuMsPerRead: 0.3,
  objectSeconds: 10, // how long an object stays after its last request
  objectGb: 0.128,
};

const LIMITS = { objectRequestsPerSecond: 1000, objectBytes: 10e9, scanMs: 150 };

/** Round trips between regions in milliseconds: an assumption of the usual order. */
const REGIONS = ["enam", "wnam", "weur", "apac", "oc", "sam"];
const ROUND_TRIPS = [
  [2, 62, 82, 215, 205, 120],
  [62, 2, 140, 130, 140, 175],
  [82, 140, 2, 190, 270, 190],
  [215, 130, 190, 2, 110, 300],
  [205, 140, 270, 110, 2, 300],
  [120, 175, 190, 300, 300, 2],
];
const ORIGIN_MS = 60; // an origin's own time for a write, beside the way there

/** Random numbers in [0, 1) that are the same in every run (mulberry32). */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const percentile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];

/**
 * How long a caller in `region` waits for a read and for a write, with the account's object in `home`.
 * - primary: every call goes to the object.
 * - asking: a copy near the caller asks the object for its position before it answers.
 * - leased: a copy answers by itself while its lease runs; a write waits until all copies have given theirs back.
 * - own: a copy answers by itself what is as new as the caller's own last write; others' writes may be missing.
 */
const DESIGNS = {
  primary: (near, far) => ({ read: far, write: far + ORIGIN_MS }),
  asking: (near, far) => ({ read: near + far, write: far + ORIGIN_MS }),
  leased: (near, far, farthest) => ({ read: near, write: far + ORIGIN_MS + farthest }),
  own: (near, far) => ({ read: near, write: far + ORIGIN_MS }),
};

function latency(design, region, draw, samples = 20_000) {
  const [reads, writes] = [[], []];
  for (let n = 0; n < samples; n += 1) {
    // Objects are where they were first asked for: half of all accounts at home in North America.
    const home = draw() < 0.5 ? Math.floor(draw() * 2) : 2 + Math.floor(draw() * 4);
    const jitter = () => 1 + draw() ** 4;
    const far = ROUND_TRIPS[region][home] * jitter();
    const near = ROUND_TRIPS[region][region] * jitter();
    const farthest = Math.max(...ROUND_TRIPS[home]) * jitter();
    const { read, write } = DESIGNS[design](near, far, farthest);
    reads.push(read);
    writes.push(write);
  }
  for (const list of [reads, writes]) list.sort((a, b) => a - b);
  return { reads, writes };
}

/** A month of one deployment: dollars by item, per million calls, and which limits it passes. */
function month({ accounts, users, callsPerUserAndDay = 2, writes = 0.1, copies = 0 }) {
  const perAccount = users / accounts;
  const calls = users * callsPerUserAndDay * 30;
  const changes = calls * writes;
  const copied = OURS.rowsPerChange + OURS.rowsPerMark;
  const rowsPerChange = OURS.rowsPerChange + (copies > 0 ? OURS.rowsPerLogged + copies * copied : 0);
  const passes = (30 * 86_400) / (OURS.stalenessSeconds / 2);
  const pages = Math.ceil(perAccount / OURS.page);
  const turns = accounts * passes * (1 + (pages / OURS.wholeEvery) / OURS.pagesPerSecond);
  const busy = Math.min(30 * 86_400 * accounts, (calls + turns) * OURS.objectSeconds);
  const million = 1e6;
  const items = {
    requests: (calls * PRICES.request) / million,
    cpu: (calls * OURS.cpuMsPerRead * PRICES.cpuMs) / million,
    // A copy is called back and asks again, for each change.
    objects: ((calls + turns + 2 * copies * changes) * PRICES.object) / million,
    duration: (busy * OURS.objectGb * PRICES.gbSecond * (1 + copies)) / million,
    rows: (changes * rowsPerChange * PRICES.rowWritten + calls * 5 * PRICES.rowRead) / million,
    passes: (accounts * passes * ((pages / OURS.wholeEvery) * 2 + 2) * PRICES.rowWritten) / million,
    storage: ((users * OURS.bytesPerUser) / 1e9) * PRICES.gigabyte * (1 + copies),
  };
  const total = Object.values(items).reduce((sum, one) => sum + one, 0);
  const whole = pages / OURS.pagesPerSecond;
  const breaks = [
    whole > OURS.stalenessSeconds / 2 && `a whole pass takes ${Math.round(whole)} s`,
    perAccount * OURS.scanMsPerUser > LIMITS.scanMs && `an unindexed filter takes ${Math.round(perAccount * OURS.scanMsPerUser)} ms`,
    perAccount * OURS.bytesPerUser > LIMITS.objectBytes && "the object is full",
    (perAccount * callsPerUserAndDay * 10) / 86_400 > LIMITS.objectRequestsPerSecond && "one object gets too many requests",
  ].filter(Boolean);
  return { calls, items, total, perMillion: (total / calls) * million, breaks, fill: (users * OURS.rowsPerCreate * PRICES.rowWritten) / million };
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const { values } = parseArgs({ options: { seed: { type: "string", default: "1" } } });
const draw = random(Number(values.seed));

console.log("Milliseconds from the caller's edge, p50 / p95, by the caller's region\n");
const latencies = [];
for (const design of Object.keys(DESIGNS)) {
  const figures = REGIONS.map((_, region) => latency(design, region, draw));
  const cell = (list) => `${Math.round(percentile(list, 0.5))} / ${Math.round(percentile(list, 0.95))}`;
  latencies.push([`${design}: read`, ...figures.map(({ reads }) => cell(reads))]);
  latencies.push([`${design}: write`, ...figures.map(({ writes }) => cell(writes))]);
}
console.log(table(["", ...REGIONS], latencies));

console.log("\nDollars, with two calls per user and day, one in ten a write\n");
const rows = [];
for (const accounts of [1, 10, 100, 1_000, 10_000]) {
  for (const users of [100, 10_000, 100_000, 1_000_000]) {
    if (users < accounts) continue;
    const one = month({ accounts, users });
    const copied = month({ accounts, users, copies: 2 });
    const most = Object.entries(one.items).sort((a, b) => b[1] - a[1])[0][0];
    rows.push([accounts, users, one.total.toFixed(2), one.perMillion.toFixed(2), most, copied.perMillion.toFixed(2), one.fill.toFixed(2), one.breaks.join("; ") || "nothing"]);
  }
}
console.log(table(["accounts", "users in all", "a month", "per million calls", "most of it", "per million with two copies", "first fill", "what breaks"], rows));
