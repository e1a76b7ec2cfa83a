// What is aimed at, beside what a run has found: a part that was not run has nothing to show.

import { GO, anchors } from "./anchors.mjs";
import { CONTAINS, EARLY, EQUALITIES, ID, LATE, THREE, TYPED } from "./questions.mjs";
import { AGAIN, FLOOR, OURS, floorOf } from "./reads.mjs";
import { SEARCHES } from "./scans.mjs";
import { DEEP, LARGE, SMALL } from "./sizes.mjs";
import { median, shown } from "./statistics.mjs";

const FILTERS = [...EQUALITIES, TYPED, CONTAINS, THREE];

/** The users and members that targets speak of. */
const TEN_THOUSAND = 10_000;

const counted = (users) => users.toLocaleString("en");
const rate = (of) => (of && !of.unanswered ? median(of.perSecond) : undefined);

/** Of two figures, one of which may not be there. */
const over = (one, other) => (one === undefined || other === undefined ? undefined : one / other);
const above = (one, other) => (one === undefined || other === undefined ? undefined : one - other);

/** A target as a row: what, found, target, whether it is met. */
function row(what, found, target, holds) {
  const known = found.value !== undefined && !Number.isNaN(found.value);
  return [what, known ? `${shown(found.value)}${found.unit}` : (found.missing ?? "not run"), `${target}${found.unit}`, known ? (holds(found.value) ? "met" : "not met") : "–"];
}

const atLeast = (what, value, target, missing) => row(what, { value, unit: "", missing }, `≥ ${target}`, (found) => found >= target);
const atMost = (what, value, target, unit = "") => row(what, { value, unit }, `≤ ${target.toLocaleString("en")}`, (found) => found <= target);

/** The rows of all targets that are of one run: what else the machine did meets both sides. */
export function targets({ bundle, start, reads, sizes, scans, writes, memory }) {
  return [
    ...ofReads(reads ?? { measured: {} }),
    ...ofSizes(sizes ?? []),
    ...ofScans(scans ?? { found: {} }),
    ...ofWrites(writes),
    ...ofMemory(memory),
    atMost("bundle, gzipped", bundle && bundle / 1000, 500, " KB"),
    atMost("cold start to the first answer, above an empty Worker", start && median(start.ours) - median(start.empty), 50, " ms"),
  ];
}

function ofReads({ measured, kv }) {
  const of = (column, who) => measured[column]?.[who];
  const toFloor = (column) => over(rate(of(column, OURS)), rate(of(floorOf(column), FLOOR)));
  const peers = (column) => Object.entries(measured[column] ?? {}).filter(([who]) => ![OURS, AGAIN, FLOOR].includes(who));
  const toBest = (column) => over(rate(of(column, OURS)), best(peers(column).map(([, peer]) => rate(peer))));
  const silent = (column) => (peers(column).length > 0 ? "no peer answered" : undefined);
  const cpu = (who) => of(ID, who) && median(of(ID, who).cpu);
  return [
    atLeast(`${ID} / floor`, toFloor(ID), 0.85),
    ...EQUALITIES.map((column) => atLeast(`${column} / floor's read by id`, toFloor(column), 0.8)),
    ...[EARLY, LATE].map((column) => atLeast(`${column} / floor of as many bytes`, toFloor(column), 0.6)),
    ...FILTERS.map((column) => atLeast(`${column} / best peer of this run`, toBest(column), 1.5, silent(column))),
    ...[EARLY, LATE].map((column) => atLeast(`${column} / best peer of this run`, toBest(column), 1, silent(column))),
    atMost(`CPU of a ${ID} / floor`, over(cpu(OURS), cpu(FLOOR)), 1.25),
    atMost("KV reads per million requests, warm", kv && (1e6 * kv.reads) / kv.requests, 1_000),
  ];
}

function best(rates) {
  const known = rates.filter((one) => one !== undefined);
  return known.length > 0 ? Math.max(...known) : undefined;
}

function ofSizes(sizes) {
  const of = (users, column) => rate(sizes.find(({ count }) => count === users)?.found[column]);
  const columns = [ID, ...EQUALITIES, EARLY, LATE, DEEP];
  return columns.map((column) => atLeast(`${column}: ${counted(LARGE)} users / ${counted(SMALL)}`, over(of(LARGE, column), of(SMALL, column)), 0.9));
}

function ofScans({ users, found }) {
  const of = users >= TEN_THOUSAND ? found : {};
  return Object.keys(SEARCHES).flatMap((shape) => {
    const { ms, neighbour } = of[shape] ?? {};
    return [
      atMost(`${shape} over ${counted(TEN_THOUSAND)} users`, ms && median(ms), 150, " ms"),
      atMost(`${shape}: a read by id beside it waits at most`, neighbour && Math.max(...neighbour), 150, " ms"),
    ];
  });
}

function ofWrites({ groups, origin, rows } = {}) {
  const everyone = groups?.members === TEN_THOUSAND ? groups.everyone : undefined;
  return [
    atMost("rows written for a new user with one e-mail address", rows?.create, 8),
    atMost("rows written for a PATCH of one attribute", rows?.patch, 4),
    atMost(`PATCH of 1 member: group of ${counted(TEN_THOUSAND)} / of 10`, over(everyone, groups?.ten), 5),
    atMost("a write to an origin takes longer by", above(origin?.through, origin?.own), 3, " ms"),
  ];
}

/** Flat: from half of the tokens on, what is held grows no more. */
function ofMemory(memory) {
  const held = (sample) => (sample?.heap === undefined ? undefined : sample.heap + sample.wasm);
  return [atMost("heap and Wasm's memory after all tokens / after half of them", over(held(memory?.[4]), held(memory?.[2])), 1.1)];
}

/** The rows of published figures beside ours: column, ours, theirs, how many times ours is that, target, met. */
export function besideAnchors({ measured }) {
  return Object.entries(measured).flatMap(([column, by]) => {
    const published = anchors(column);
    const target = targetOf(column);
    return published.filter(({ name }) => named(column, name, published)).map(({ name, perSecond }) => {
      const times = rate(by[OURS]) / perSecond;
      const wanted = target(name);
      return [column, shown(rate(by[OURS])), `${shown(perSecond)}, ${name}`, shown(times), wanted ? `≥ ${wanted}` : "–", wanted ? (times >= wanted ? "met" : "not met") : "–"];
    });
  });
}

/** Of each column the fastest; of pages, the fastest beside the Go one too. */
function named(column, name, published) {
  if (name === published[0].name) return true;
  return [EARLY, LATE].includes(column) && name === published.find((one) => one.name !== GO).name;
}

function targetOf(column) {
  if ([EARLY, LATE].includes(column)) return (name) => (name === GO ? 0.8 : 1);
  return () => (FILTERS.includes(column) ? 1.5 : undefined);
}
