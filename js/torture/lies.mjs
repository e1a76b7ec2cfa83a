// An origin that lies for some seconds, with well-formed answers of 200 and 404, and has lost nothing: the brake is
// there for that. It is the origin of one account, whose limits are low.

import { setTimeout as sleep } from "node:timers/promises";
import { now } from "./truth.mjs";

/** The account whose origin lies, and the limits of its brake: removals of a type in an hour. */
export const BRAKED = "gamma";
export const PER_HOUR = 3;

/** The account's settings of the brake. */
export const LIMITS = {
  scim_brake_removals_per_hour: String(PER_HOUR),
  scim_brake_removals_percent: "0",
  scim_brake_least_resources: "5",
};

/** The most removals that an operator lets through by their number. */
export const LET_THROUGH = 3;

const WAYS = ["empty lists", "a 401 as an empty list", "half of its users"];

/** What an origin that lies answers to a read of users or groups; nothing if that is no lie. `list` takes which ids are in it. */
export function lied({ way, hidden }, { id, method }, list) {
  if (method !== "GET" && id !== ".search") return undefined;
  const isOne = id && id !== ".search";
  if (way === "a 401 as an empty list" || (way === "empty lists" && !isOne)) return list(() => false);
  if (isOne) return hidden.has(id) ? { status: 404, body: { schemas: [], status: "404" } } : undefined;
  return hidden.size > 0 ? list((one) => !hidden.has(one)) : undefined;
}

/** Has an origin lie now and then, until `world.isOver`. The lies are kept in `world.truth.lies`. */
export async function lie({ truth, faults, isOver, brake }, choices) {
  for (;;) {
    await sleep(choices.between(6_000, 12_000));
    // What an operator lets through may rightly be removed.
    while (brake.until > now() && !isOver()) await sleep(50);
    if (isOver()) return;
    const way = choices.pick(WAYS);
    const half = truth.ids("User").filter((_, place) => place % 2 === 0);
    const told = { way, hidden: new Set(way === "half of its users" ? half : []), start: now(), end: Infinity };
    faults.count(`origin shows ${way}`);
    truth.lies.push(told);
    truth.lie = told;
    // Long enough for a pass to begin.
    for (const end = now() + choices.between(8_000, 18_000); now() < end && !isOver(); ) await sleep(50);
    truth.lie = undefined;
    told.end = now();
  }
}
