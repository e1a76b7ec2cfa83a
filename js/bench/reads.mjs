// Reads per second and CPU time per read: ours, the floor, the peers.

import { say } from "../log.mjs";
import { floor } from "./floor.mjs";
import { gateway } from "./gateway.mjs";
import { load } from "./load.mjs";
import { scim2Server, scimmy } from "./peers.mjs";
import { questions } from "./people.mjs";
import { median, shown, spread } from "./statistics.mjs";

/** The questions whose floor is the page. */
export const PAGES = ["first page of 100", "last page of 100"];

/** Runs the rounds. */
export async function reads({ users, rounds, seconds, peers }) {
  say("\nReads: filling");
  const n = Math.floor(users / 2);
  const ours = await gateway({ users, say });
  const others = peers ? [await scimmy({ users }), await scim2Server({ users })].filter(Boolean) : [];
  const asked = questions({ id: ours.ids[n], n, users });
  const client = ours.client();
  const one = JSON.stringify((await client.get(`/Users/${ours.ids[n]}`)).body);
  const page = JSON.stringify((await client.get(asked["first page of 100"])).body);
  const bare = await floor({ ...Object.fromEntries(ours.ids.map((id) => [id, one])), page });
  const contenders = [
    { name: "scim-edge", cpu: ours.cpu, memory: ours.memory, questions: asked, request: ours.request },
    { name: "floor", cpu: bare.cpu, memory: bare.memory, questions: asked, request: (path) => ({ url: `${bare.url}/${path.startsWith("/Users/") ? ours.ids[n] : PAGES.some((name) => asked[name] === path) ? "page" : ours.ids[n]}`, headers: { authorization: `Bearer ${ours.token}` } }), only: ["GET by id", "first page of 100"] },
    ...others.map((other) => ({ ...other, questions: questions({ id: other.id, n, users }), request: other.request })),
  ];
  const measured = {};
  try {
    const kvBefore = await ours.kvReads();
    let requests = 0;
    for (const contender of contenders) await load({ ...contender.request(contender.questions["GET by id"]), seconds: 1 });
    for (let round = 0; round < rounds; round += 1) {
      for (const name of Object.keys(asked)) {
        for (const contender of contenders.filter((one) => one.only?.includes(name) ?? true)) {
          const before = contender.cpu();
          const { perSecond, requests: done, failures } = await load({ ...contender.request(contender.questions[name]), seconds });
          if (failures > 0) throw new Error(`${contender.name}, ${name}: ${failures} failures of ${done}`);
          if (contender.name === "scim-edge") requests += done;
          const of = ((measured[name] ??= {})[contender.name] ??= { perSecond: [], cpu: [] });
          of.perSecond.push(perSecond);
          if (before !== undefined) of.cpu.push(((contender.cpu() - before) / Math.max(done, 1)) * 1e6);
        }
      }
      say(`  round ${round + 1} of ${rounds}`);
    }
    const kv = { reads: (await ours.kvReads()) - kvBefore, requests };
    for (const [name, by] of Object.entries(measured)) {
      say(`${name.padEnd(24)} ${Object.entries(by).map(([who, of]) => `${who} ${shown(median(of.perSecond))}/s ±${Math.round(spread(of.perSecond) * 100)} % (${shown(median(of.cpu))} µs)`).join("   ")}`);
    }
    for (const [name, by] of Object.entries(measured)) {
      const base = measured[PAGES.includes(name) ? PAGES[0] : "GET by id"].floor;
      const [mine, of] = [by["scim-edge"], base];
      say(`${name.padEnd(24)} / floor: ${shown(median(mine.perSecond) / median(of.perSecond))} of its requests, ${shown(median(mine.cpu) / median(of.cpu))} of its CPU`);
    }
    say(`KV reads: ${kv.reads} for ${kv.requests} requests; a page is ${Math.round(page.length / 1024)} KiB, a user ${one.length} bytes`);
    return { measured, kv, bytes: { one: one.length, page: page.length }, contenders: contenders.map(({ name }) => name) };
  } finally {
    for (const one of [ours, bare, ...others]) await one.stop();
  }
}
