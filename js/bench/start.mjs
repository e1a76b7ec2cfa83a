// From the start of the process to its first answer: ours, on its data, and a Worker that does nothing.

import { setTimeout as sleep } from "node:timers/promises";
import { say } from "../log.mjs";
import { empty } from "./floor.mjs";
import { gateway } from "./gateway.mjs";
import { answered } from "./load.mjs";
import { median, shown } from "./statistics.mjs";

/** Starts both as often as there are rounds. */
export async function start({ rounds }) {
  const ours = await gateway({ users: 10, say });
  const path = `/Users/${ours.ids[0]}`;
  // KV takes a write a second: the newest key is there a moment after it was made.
  await sleep(3_000);
  const found = { empty: [], ours: [], read: [] };
  try {
    for (let round = 0; round < rounds; round += 1) {
      const bare = await empty();
      found.empty.push(bare.started + (await answered({ url: bare.url })));
      await bare.stop();
      const { url, started } = await ours.restart();
      found.ours.push(started + (await answered({ url: `${url}/healthz` })));
      found.read.push(await answered(ours.request(path)));
    }
    const [bare, first, read] = [found.empty, found.ours, found.read].map(median);
    say(`\nCold start to first answer: ${shown(first)} ms, an empty Worker ${shown(bare)} ms; the first read behind it ${shown(read)} ms`);
    return found;
  } finally {
    await ours.stop();
  }
}
