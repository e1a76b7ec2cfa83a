// What no index serves: how long it takes, and for how long it keeps others waiting.

import { say } from "../log.mjs";
import { gateway } from "./gateway.mjs";
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

/** One after another, and with a neighbour that reads by id all the time. */
export async function scans({ users, rounds }) {
  say("\nScans: filling");
  const ours = await gateway({ users, say });
  try {
    const client = ours.client();
    const paths = Object.fromEntries(Object.entries(SHAPES).map(([name, filter]) => [name, `/Users?filter=${encodeURIComponent(filter)}&count=100&attributes=userName`]));
    paths["sortBy userName"] = "/Users?sortBy=userName&count=100&attributes=userName";
    const found = {};
    for (let round = 0; round < rounds * 2; round += 1) {
      for (const [name, path] of Object.entries(paths)) {
        const of = (found[name] ??= { ms: [], neighbour: [] });
        of.ms.push(await timed(client, path));
        of.neighbour.push(await neighbour(client, path, `/Users/${ours.ids[0]}`));
      }
    }
    for (const [name, { ms, neighbour }] of Object.entries(found)) {
      say(`${name.padEnd(24)} ${shown(median(ms))} ms; a read by id beside it waits at most ${shown(median(neighbour))} ms`);
    }
    return { users, found };
  } finally {
    await ours.stop();
  }
}

async function timed(client, path) {
  const begun = performance.now();
  const { status } = await client.get(path);
  if (status !== 200) throw new Error(`${path}: ${status}`);
  return performance.now() - begun;
}

/** The longest read by id while a scan runs. */
async function neighbour(client, path, other) {
  let running = true;
  const scan = timed(client, path).finally(() => (running = false));
  let longest = 0;
  while (running) longest = Math.max(longest, await timed(client, other));
  await scan;
  return longest;
}
