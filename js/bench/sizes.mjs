// What the same read costs as the directory grows.

import { say } from "../log.mjs";
import { gateway } from "./gateway.mjs";
import { again, nothing } from "./measure.mjs";
import { FEWEST_USERS, THREE, questions } from "./questions.mjs";
import { median, shown } from "./statistics.mjs";

export const DEEP = "deep page by cursor";

/** The directories that are held against each other, where the large one is asked for. */
export const [SMALL, LARGE] = [1_000, 100_000];

/** How many pages by cursor are asked for. */
const CURSORS = 50;

/** Directories of up to `users`, and with `large` the largest; each has half the time, since there are many. */
export async function sizes({ users, rounds, seconds, large }) {
  const wanted = [FEWEST_USERS, users, ...(large ? [SMALL, LARGE] : [SMALL].filter((count) => count < users))];
  const counts = [...new Set(wanted)].sort((a, b) => a - b);
  say(`\nSizes: filling ${counts.join(", ")}`);
  const all = [];
  try {
    for (const count of counts) {
      const ours = await gateway({ users: count, say });
      const { [THREE]: _, ...columns } = questions(ours.ids);
      all.push({ count, ours, found: {}, columns: { ...columns, [DEEP]: await deepPages(ours.client(), count) } });
    }
    for (let round = 0; round < rounds; round += 1) {
      for (const column of Object.keys(all[0].columns)) {
        for (const { ours, found, columns } of all) {
          await again((found[column] ??= nothing()), ours, { paths: columns[column], seconds: Math.ceil(seconds / 2) });
        }
      }
      say(`  round ${round + 1} of ${rounds}`);
    }
    const found = all.map(({ count, found }) => ({ count, found }));
    for (const column of Object.keys(found[0].found)) {
      say(`${column.padEnd(24)} ${found.map(({ count, found }) => `${count}: ${shown(median(found[column].perSecond))}/s (${shown(median(found[column].cpu))} µs)`).join("   ")}`);
    }
    return found;
  } finally {
    for (const { ours } of all) await ours.stop();
  }
}

/** The paths of pages by cursor, nine tenths into the directory. */
async function deepPages(client, users) {
  const start = Math.max(0, Math.floor(users * 0.9) - 100);
  let cursor = "";
  const forward = async (count) => {
    const { body } = await client.get(`/Users?cursor=${cursor}&count=${count}&attributes=userName`);
    cursor = body.nextCursor;
  };
  for (let passed = 0; passed < start; passed += Math.min(1000, start - passed)) await forward(Math.min(1000, start - passed));
  const step = Math.max(1, Math.floor((users - 100 - start) / CURSORS));
  const paths = [];
  for (let at = start; paths.length < CURSORS && at <= users - 100; at += step) {
    paths.push(`/Users?cursor=${cursor}&count=100`);
    await forward(step);
  }
  return paths;
}
