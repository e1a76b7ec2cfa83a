// Reads per second and CPU time per read: ours, the floor, the peers.

import { say } from "../log.mjs";
import { floor } from "./floor.mjs";
import { gateway } from "./gateway.mjs";
import { again, nothing } from "./measure.mjs";
import { scim2Server, scimmy } from "./peers.mjs";
import { EARLY, ID, LATE, questions } from "./questions.mjs";
import { median, shown, spread } from "./statistics.mjs";

/** The columns' names of ours, of ours asked one question again and again, and of the platform alone. */
export const [OURS, AGAIN, FLOOR] = ["scim-edge", "same question again", "floor"];

/** The column of the floor that another is held against: the page, or the read by id. */
export const floorOf = (column) => ([EARLY, LATE].includes(column) ? column : ID);

/** Runs the rounds. */
export async function reads({ users, rounds, seconds, peers }) {
  say("\nReads: filling");
  const started = [];
  const begin = async (starting) => {
    const server = await starting;
    if (server) started.push(server);
    return server;
  };
  try {
    const ours = await begin(gateway({ users, say }));
    const texts = await everyone(ours.client(), users);
    const bare = await begin(floor(texts));
    const others = peers ? [await begin(scimmy({ users })), await begin(scim2Server({ users }))].filter(Boolean) : [];
    const contenders = [...alike(ours, bare), ...others.map((other) => ({ ...other, columns: questions(other.ids) }))];
    for (const contender of contenders) await again(nothing(), contender, { paths: contender.columns[ID], seconds: 1 });
    const before = await ours.kvReads();
    const measured = await inTurn(contenders, { rounds, seconds });
    const requests = [OURS, AGAIN].flatMap((name) => Object.values(measured).map((by) => by[name].requests)).reduce((sum, one) => sum + one, 0);
    const found = { measured, kv: { reads: (await ours.kvReads()) - before, requests }, contenders: contenders.map(({ name }) => name), bytes: bytes(texts) };
    tell(found);
    return found;
  } finally {
    for (const server of started) await server.stop();
  }
}

/** Ours in both ways, and the floor, which is asked for what it has. */
function alike(ours, bare) {
  const columns = questions(ours.ids);
  const one = Object.fromEntries(Object.entries(columns).map(([name, paths]) => [name, [paths[Math.floor(paths.length / 2)]]]));
  const pages = (column) => columns[column].map((path) => path.replace("/Users", "/page"));
  const least = { [ID]: columns[ID].map((path) => path.replace("/Users", "")), [EARLY]: pages(EARLY), [LATE]: pages(LATE) };
  return [
    { ...ours, name: OURS, columns },
    { ...ours, name: AGAIN, columns: one },
    { ...bare, name: FLOOR, base: bare.url, still: least[ID][0], headers: ours.headers, columns: least },
  ];
}

/** What each contender's columns gave, column by column, round by round. */
async function inTurn(contenders, { rounds, seconds }) {
  const measured = {};
  for (let round = 0; round < rounds; round += 1) {
    for (const column of Object.keys(contenders[0].columns)) {
      for (const contender of contenders.filter(({ columns }) => columns[column])) {
        const found = ((measured[column] ??= {})[contender.name] ??= nothing());
        await again(found, contender, { paths: contender.columns[column], seconds });
      }
    }
    say(`  round ${round + 1} of ${rounds}`);
  }
  return measured;
}

function tell({ measured, kv, bytes }) {
  const figure = ({ perSecond, cpu, alone, unanswered }) =>
    unanswered ?? `${shown(median(perSecond))}/s ±${Math.round(spread(perSecond) * 100)} % (${shown(median(cpu))} µs${alone ? ", one connection" : ""})`;
  for (const [column, by] of Object.entries(measured)) {
    say(`${column.padEnd(24)} ${Object.entries(by).map(([who, of]) => `${who} ${figure(of)}`).join("   ")}`);
  }
  for (const [column, by] of Object.entries(measured)) {
    const [mine, least] = [by[OURS], measured[floorOf(column)][FLOOR]];
    say(`${column.padEnd(24)} / floor: ${shown(median(mine.perSecond) / median(least.perSecond))} of its requests, ${shown(median(mine.cpu) / median(least.cpu))} of its CPU`);
  }
  say(`KV reads: ${kv.reads} for ${kv.requests} requests; a page is ${Math.round(bytes.page / 1024)} KiB, a user ${bytes.one} bytes`);
}

/** The text of each user by its id, and of a page. */
async function everyone(client, users) {
  const texts = {};
  for (let start = 1; start <= users; start += 1000) {
    const { body } = await client.get(`/Users?startIndex=${start}&count=1000`);
    for (const user of body.Resources) texts[user.id] = JSON.stringify(user);
  }
  const { body } = await client.get("/Users?startIndex=1&count=100");
  return { ...texts, page: JSON.stringify(body) };
}

const bytes = ({ page, ...texts }) => ({ page: page.length, one: Object.values(texts)[0].length });
