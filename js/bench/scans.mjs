// What no index serves: how long it takes, and for how long it keeps others waiting.

import { say } from "../log.mjs";
import { gateway } from "./gateway.mjs";
import { answered } from "./load.mjs";
import { ENTERPRISE } from "./people.mjs";
import { median, shown } from "./statistics.mjs";

const SHAPES = {
  "title eq": 'title eq "Manager"',
  "active eq false": "active eq false",
  "userName co": 'userName co "99@"',
  "department eq": `${ENTERPRISE}:department eq "Department 7"`,
  "meta.lastModified gt": 'meta.lastModified gt "2011-01-01T00:00:00Z"',
  "nothing matches": 'nickName eq "nobody"',
};

/** What is asked of each shape. */
export const SEARCHES = {
  ...Object.fromEntries(Object.entries(SHAPES).map(([name, filter]) => [name, `filter=${encodeURIComponent(filter)}`])),
  "sortBy userName": "sortBy=userName",
};

/** One after another, and with a neighbour that reads by id all the time. */
export async function scans({ users, rounds }) {
  say("\nScans: filling");
  const ours = await gateway({ users, say });
  try {
    const found = {};
    let asked = 0;
    for (let round = 0; round < rounds * 2; round += 1) {
      for (const [name, search] of Object.entries(SEARCHES)) {
        // Each from another place on: as much to look at, and no answer that was kept.
        const next = () => ours.request(`/Users?${search}&startIndex=${(asked += 1)}&count=100&attributes=userName`);
        const of = (found[name] ??= { ms: [], neighbour: [] });
        of.ms.push(await answered(next()));
        of.neighbour.push(await neighbour(next(), (n) => ours.request(`/Users/${ours.ids[n % users]}`)));
      }
    }
    for (const [name, { ms, neighbour }] of Object.entries(found)) {
      say(`${name.padEnd(24)} ${shown(median(ms))} ms; a read by id beside it waits ${shown(median(neighbour))} ms, at most ${shown(Math.max(...neighbour))} ms`);
    }
    return { users, found };
  } finally {
    await ours.stop();
  }
}

/** The longest read by id while a scan runs. */
async function neighbour(search, read) {
  let running = true;
  const scan = answered(search).finally(() => (running = false));
  let longest = 0;
  for (let n = 0; running; n += 1) longest = Math.max(longest, await answered(read(n)));
  await scan;
  return longest;
}
