// `npm run bench:against -- --with FOLDER`: the built bundle beside another one, in turn, in one run: the ratio of
// the processor time of a request, read and write by write. Options: --users 2000, --rounds 9, --seconds 2.

import { parseArgs } from "node:util";
import { build } from "../build.mjs";
import { SetupError, fail, say } from "../log.mjs";
import { setup } from "../setup.mjs";
import { gateway } from "./gateway.mjs";
import { again, nothing } from "./measure.mjs";
import { person } from "./people.mjs";
import { install } from "./peers.mjs";
import { EARLY, FEWEST_USERS, ID, questions } from "./questions.mjs";
import { median, shown, spread, table } from "./statistics.mjs";

const READS = [ID, "userName eq", EARLY];
const PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/** Requests of each kind of write in a round, and how many are under way at a time. */
const WRITES = 400;
const AT_ONCE = 8;

async function main() {
  const { values } = parseArgs({
    options: {
      with: { type: "string" },
      users: { type: "string", default: "2000" },
      rounds: { type: "string", default: "9" },
      seconds: { type: "string", default: "2" },
    },
  });
  if (!values.with) throw new SetupError("--with: the folder of the other bundle");
  const [users, rounds, seconds] = [values.users, values.rounds, values.seconds].map(Number);
  if (!(users >= FEWEST_USERS)) throw new SetupError(`--users: at least ${FEWEST_USERS}`);
  await setup();
  await install();
  await build();
  const contenders = [];
  try {
    contenders.push(await gateway({ users, say }), await gateway({ users, bundle: values.with, say }));
    report(await inTurn(contenders, { rounds, seconds }), { users, rounds, seconds });
  } finally {
    for (const { stop } of contenders) await stop();
  }
}

/** CPU microseconds of a request, by column: `[ours, theirs]`, a figure for each round. */
async function inTurn(contenders, { rounds, seconds }) {
  const found = {};
  for (let round = 0; round < rounds; round += 1) {
    // The first of a round has the colder machine: each is first every second time.
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    for (const column of READS) {
      for (const place of order) {
        const contender = contenders[place];
        const paths = questions(contender.ids)[column];
        const one = nothing();
        await again(one, contender, { paths, seconds });
        add(found, column, place, one.cpu[0]);
      }
    }
    for (const place of order) {
      for (const [column, cpu] of Object.entries(await write(contenders[place], round))) add(found, column, place, cpu);
    }
    say(`  round ${round + 1} of ${rounds}`);
  }
  return found;
}

function add(found, column, place, cpu) {
  ((found[column] ??= [[], []])[place]).push(cpu);
}

/** Creates users, changes and deletes them; CPU microseconds of each request. */
async function write(contender, round) {
  const client = contender.client();
  const ids = [];
  const number = (n) => 1_000_000 + round * WRITES + n;
  const patch = (n) => ({ schemas: [PATCH], Operations: [{ op: "replace", path: "title", value: `Title ${n}` }] });
  const steps = {
    create: async (n) => ids.push((await sent(client.call("POST", "/Users", person(number(n))), 201)).body.id),
    patch: (n) => sent(client.call("PATCH", `/Users/${ids[n]}`, patch(n)), 200),
    delete: (n) => sent(client.call("DELETE", `/Users/${ids[n]}`), 204),
  };
  const cpu = {};
  for (const [name, step] of Object.entries(steps)) {
    const begun = contender.cpu();
    let next = 0;
    const work = async () => {
      while (next < WRITES) await step(next++);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    cpu[name] = ((contender.cpu() - begun) / WRITES) * 1e6;
  }
  return cpu;
}

async function sent(request, status) {
  const answer = await request;
  if (answer.status !== status) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
  return answer;
}

function report(found, { users, rounds, seconds }) {
  const rows = Object.entries(found).map(([column, [ours, theirs]]) => {
    const ratios = ours.map((cpu, round) => cpu / theirs[round]);
    return [column, `${shown(median(ours))} µs`, `${shown(median(theirs))} µs`, median(ratios).toFixed(3), `±${(spread(ratios) * 100).toFixed(1)} %`];
  });
  say(`\nCPU of a request, ${users} users, ${rounds} rounds of ${seconds} s; the ratio is the median of the rounds' ratios`);
  say(table(["", "this bundle", "the other", "ratio", "spread"], rows));
}

await main().catch(fail);
