// What the same read costs as the directory grows.

import { say } from "../log.mjs";
import { gateway } from "./gateway.mjs";
import { load } from "./load.mjs";
import { questions } from "./people.mjs";
import { median, shown } from "./statistics.mjs";

/** Directories of a tenth, of all and of ten times the users. */
export async function sizes({ users, rounds, seconds }) {
  const counts = [users / 10, users, users * 10].map(Math.round);
  say(`\nSizes: filling ${counts.join(", ")}`);
  const all = [];
  for (const count of counts) all.push({ count, ours: await gateway({ users: count, say }), found: {} });
  try {
    for (const one of all) {
      const n = Math.floor(one.count / 2);
      one.questions = questions({ id: one.ours.ids[n], n, users: one.count });
      one.questions["deep page by cursor"] = await deepCursor(one);
      delete one.questions["displayName co"];
      delete one.questions["and of three"];
    }
    for (let round = 0; round < rounds; round += 1) {
      for (const name of Object.keys(all[0].questions)) {
        for (const one of all) {
          const before = one.ours.cpu();
          const { perSecond, requests } = await load({ ...one.ours.request(one.questions[name]), seconds });
          const of = (one.found[name] ??= { perSecond: [], cpu: [] });
          of.perSecond.push(perSecond);
          if (before !== undefined) of.cpu.push(((one.ours.cpu() - before) / Math.max(requests, 1)) * 1e6);
        }
      }
    }
    const found = all.map(({ count, found }) => ({ count, found }));
    for (const name of Object.keys(found[0].found)) {
      say(`${name.padEnd(24)} ${found.map(({ count, found }) => `${count}: ${shown(median(found[name].perSecond))}/s (${shown(median(found[name].cpu))} µs)`).join("   ")}`);
    }
    return found;
  } finally {
    for (const one of all) await one.ours.stop();
  }
}

/** The path of a page by cursor, nine tenths into the directory. */
async function deepCursor({ ours, count }) {
  const client = ours.client();
  let cursor = "";
  for (let shownSoFar = 0; shownSoFar < count * 0.9; shownSoFar += 1000) {
    const { body } = await client.get(`/Users?cursor=${cursor}&count=1000&attributes=userName`);
    if (!body.nextCursor) break;
    cursor = body.nextCursor;
  }
  return `/Users?cursor=${cursor}&count=100`;
}
