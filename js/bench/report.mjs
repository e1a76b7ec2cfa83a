// What was measured, as docs/benchmarks.md and a plot beside it.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../tools.mjs";
import { PAGES } from "./reads.mjs";
import { median, shown, spread, table } from "./statistics.mjs";

const met = (holds) => (holds ? "yes" : "no");

/** A target as a row: what, found, target, whether it is met. */
const atLeast = (what, found, target) => [what, shown(found), `≥ ${target}`, met(found >= target)];
const atMost = (what, found, target, unit = "") => [what, `${shown(found)}${unit}`, `≤ ${target}${unit}`, met(found <= target)];

/** The rows of the targets that this run has figures for. */
function targets({ bundle, start, reads, sizes, scans, writes }) {
  const rows = [];
  const rate = (of) => median(of.perSecond);
  if (reads) {
    const { measured } = reads;
    const base = (name) => measured[PAGES.includes(name) ? PAGES[0] : "GET by id"].floor;
    const ratio = (name) => rate(measured[name]["scim-edge"]) / rate(base(name));
    rows.push(atLeast("GET by id, verified before, / floor", ratio("GET by id"), 0.85));
    for (const name of ["userName eq", "externalId eq", "emails.value eq"]) rows.push(atLeast(`${name} / floor`, ratio(name), 0.8));
    for (const name of PAGES) rows.push(atLeast(`${name} / floor of the same bytes`, ratio(name), 0.6));
    for (const [name, by] of Object.entries(measured)) {
      const peers = Object.entries(by).filter(([who]) => who !== "scim-edge" && who !== "floor");
      if (peers.length > 0) rows.push(atLeast(`${name} / best peer`, rate(by["scim-edge"]) / Math.max(...peers.map(([, of]) => rate(of))), 1.5));
    }
    if (base("GET by id").cpu.length > 0) rows.push(atMost("CPU of a GET by id / floor", median(measured["GET by id"]["scim-edge"].cpu) / median(base("GET by id").cpu), 1.25));
    rows.push(atMost("KV reads per request, warm", (100 * reads.kv.reads) / reads.kv.requests, 0.1, " %"));
  }
  if (sizes) {
    const [small, , large] = sizes;
    for (const name of Object.keys(small.found)) rows.push(atLeast(`${name}: ${large.count.toLocaleString("en")} users / ${small.count.toLocaleString("en")}`, rate(large.found[name]) / rate(small.found[name]), 0.9));
  }
  for (const [name, { ms, neighbour }] of Object.entries(scans?.found ?? {})) {
    rows.push(atMost(`${name} over ${scans.users.toLocaleString("en")} users`, median(ms), 150, " ms"));
    rows.push(atMost(`${name}: a read beside it waits`, median(neighbour), 150, " ms"));
  }
  if (writes) {
    rows.push(atMost("a write to an origin takes longer by", writes.origin.through - writes.origin.own, 3, " ms"));
    rows.push(atMost(`PATCH of 1 member: group of ${writes.groups.members.toLocaleString("en")} / of 10`, writes.groups.everyone / writes.groups.ten, 5, " times"));
  }
  rows.push(atMost("bundle, gzipped", Number(bundle.match(/gzipped (\d+)/)[1]) * 1.024, 500, " KB"));
  if (start) rows.push(atMost("cold start to first answer, above an empty Worker", median(start.ours) - median(start.empty), 50, " ms"));
  return rows;
}

/** Requests per second of all contenders. */
function rates({ measured, contenders }) {
  const cell = (of) => (of ? `${shown(median(of.perSecond))} ± ${Math.round(spread(of.perSecond) * 100)} %` : "–");
  const cpu = (of) => (of && of.cpu.length > 0 ? shown(median(of.cpu)) : "–");
  const rows = Object.entries(measured).map(([name, by]) => [name, ...contenders.map((who) => cell(by[who])), cpu(by["scim-edge"]), cpu(by.floor)]);
  return table(["requests per second", ...contenders, "CPU µs, ours", "CPU µs, floor"], rows);
}

/** Writes both files. */
export function report(results) {
  const { conditions, reads, sizes, writes } = results;
  const parts = [
    "# Benchmarks",
    `Written by \`npm run bench\`: ${conditions}. Everything is asked in turn, in each round; figures are medians,
with half of what lies between the quartiles. Ours verifies a JWT of each request (RS256, verified once before);
the floor is a bare JavaScript Worker before a bare object, one read of SQLite and the same bytes, the peers keep
their users in memory and verify nothing. All of ours and the floor run on workerd itself, with data on disk.`,
    "## Targets",
    table(["what", "found", "target", "met"], targets(results)),
  ];
  if (reads) parts.push("## Reads", rates(reads));
  if (sizes) {
    const names = Object.keys(sizes[0].found);
    const rows = names.map((name) => [name, ...sizes.map(({ found }) => `${shown(median(found[name].perSecond))} (${shown(median(found[name].cpu))})`)]);
    parts.push("## As the directory grows", "Requests per second, and microseconds of CPU for each.", table(["", ...sizes.map(({ count }) => `${count.toLocaleString("en")} users`)], rows), "![CPU time of a read against the size of the directory](benchmarks.svg)");
    writeFileSync(join(root, "docs", "benchmarks.svg"), plot(sizes));
  }
  if (writes) {
    const memory = writes.memory.map(({ requests, bytes }) => [requests.toLocaleString("en"), shown(bytes / 1e6)]);
    parts.push("## Memory", "Of workerd, as requests with 10,000 different tokens go by.", table(["requests so far", "MB"], memory));
  }
  writeFileSync(join(root, "docs", "benchmarks.md"), `${parts.join("\n\n")}\n`);
}

const COLOURS = ["#0b6e99", "#c2570c", "#4d7c0f", "#7c3aed", "#be123c", "#0f766e", "#a16207", "#475569"];

/** CPU time against size, both axes in powers of ten. */
function plot(sizes) {
  const [width, height, left, top, right, bottom] = [760, 420, 70, 20, 220, 50];
  const counts = sizes.map(({ count }) => Math.log10(count));
  const names = Object.keys(sizes[0].found);
  const value = (found, name) => Math.log10(Math.max(median(found[name].cpu) || 1e6 / median(found[name].perSecond), 1));
  const all = sizes.flatMap(({ found }) => names.map((name) => value(found, name)));
  const [low, high] = [Math.floor(Math.min(...all)), Math.ceil(Math.max(...all))];
  const x = (log) => left + ((log - counts[0]) / (counts.at(-1) - counts[0])) * (width - left - right);
  const y = (log) => height - bottom - ((log - low) / (high - low)) * (height - top - bottom);
  const text = (at, to, words, more = "") => `<text x="${at.toFixed(1)}" y="${to.toFixed(1)}" ${more}>${words}</text>`;
  const grid = [];
  for (let power = low; power <= high; power += 1) {
    grid.push(`<path d="M${left} ${y(power).toFixed(1)}H${width - right}" stroke="#ddd"/>`, text(left - 8, y(power) + 4, (10 ** power).toLocaleString("en"), 'text-anchor="end"'));
  }
  sizes.forEach(({ count }, place) => grid.push(text(x(counts[place]), height - bottom + 20, count.toLocaleString("en"), 'text-anchor="middle"')));
  // Names stand beside the ends of their lines, apart from each other.
  const ends = names.map((name) => ({ name, at: y(value(sizes.at(-1).found, name)) })).sort((a, b) => a.at - b.at);
  ends.forEach((end, place) => (end.at = Math.max(end.at, place === 0 ? top : ends[place - 1].at + 15)));
  const lines = names.map((name, place) => {
    const points = sizes.map(({ found }, index) => `${x(counts[index]).toFixed(1)},${y(value(found, name)).toFixed(1)}`).join(" ");
    const colour = COLOURS[place % COLOURS.length];
    const end = ends.find((one) => one.name === name);
    return `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2"/>${text(width - right + 8, end.at + 4, name, `fill="${colour}"`)}`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="white"/>
${grid.join("\n")}
${lines.join("\n")}
${text((left + width - right) / 2, height - 8, "users in the directory", 'text-anchor="middle"')}
${text(16, (top + height - bottom) / 2, "CPU of a read, µs", `text-anchor="middle" transform="rotate(-90 16 ${(top + height - bottom) / 2})"`)}
</svg>
`;
}
