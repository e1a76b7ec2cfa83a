// One run: workerd with the built bundle, the origin, the clients, and what disturbs them.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "../build.mjs";
import { admin } from "../demo/client.mjs";
import { serve } from "../gateway.mjs";
import { check } from "./check.mjs";
import { read, work } from "./clients.mjs";
import { Faults } from "./faults.mjs";
import { serveOrigin } from "./origin.mjs";
import { BRAKED, LET_THROUGH, LIMITS, PER_HOUR, lie } from "./lies.mjs";
import { operate, written } from "./operator.mjs";
import { random } from "./random.mjs";
import { now } from "./truth.mjs";
import { who } from "./who.mjs";

/** The accounts whose origin gets another address now and then, and one with the brake on, whose origin lies. */
const SWITCHED = ["alpha", "beta"];
const ACCOUNTS = [...SWITCHED, BRAKED];

/** Where clients are, and which of that has copies. */
const CONTINENTS = ["EU", "AS", "AF"];
const READ_COPIES = "weur,apac";

/** How long the copies may take to agree with the origin once nothing goes wrong any more, in milliseconds. */
const QUIET_MS = 120_000;

/**
 * Tortures the gateway for `seconds`, then waits for it to come to rest, and checks the history.
 * `wrapper` is a module that breaks the bundle on purpose; `other` is the folder of a bundle of another version, which
 * deployments mix with this one; with `copies` there are copies near the clients, who are all over the world.
 */
export async function torture({ seconds, seed, clients = 8, wrapper, other, copies = false, say = () => {} }) {
  await build();
  const folder = mkdtempSync(join(tmpdir(), "scim-edge-torture-"));
  const choices = (name) => random(seed, name);
  const problems = [];
  const faults = new Faults(choices("faults"));
  const origin = await serveOrigin({ random: choices("origin"), faults, accounts: ACCOUNTS, problems });
  for (const account of ACCOUNTS) populate(account, origin.truths[account]);
  const vars = copies ? { READ_COPIES } : {};
  const gateway = await restartable({ state: join(folder, "gateway"), wrapper: wrapper ?? (copies ? who() : undefined), other, vars }, choices("deployments"));
  const history = [];
  const tokens = { next: 1000, operations: 0 };
  const answers = {};
  const by = {};
  const audited = {};
  let isCalm = false;
  const end = now() + seconds * 1000;
  const worlds = [];
  try {
    for (const account of ACCOUNTS) {
      const key = await configure(gateway, account, `${origin.url}/${account}/scim`);
      worlds.push({
        account,
        key,
        tokens,
        history,
        faults,
        truth: origin.truths[account],
        url: gateway.url,
        ready: gateway.ready,
        isOver: () => now() > end,
        count(status, object) {
          answers[status] = (answers[status] ?? 0) + 1;
          if (object) by[object] = (by[object] ?? 0) + 1;
        },
        random: choices(`world ${account}`),
        ...(account === BRAKED && { brake: { until: 0 } }),
        ...(copies && { continents: CONTINENTS, calm: () => isCalm }),
      });
    }
    faults.share = { write: copies ? 0.04 : 0.14, read: 0.05 };
    await Promise.all([
      ...worlds.flatMap((world) =>
        Array.from({ length: clients }, (_, own) => work({ ...world, random: choices(`${world.account} ${own}`) }, own, clients)),
      ),
      ...worlds.map((world) => behind(world, choices(`behind ${world.account}`))),
      ...worlds.map((world) => operate(world, gateway.rootKey, choices(`operator ${world.account}`))),
      ...worlds.filter(({ brake }) => brake).map((world) => lie(world, choices("lies"))),
      clocks({ origin, faults, random: choices("clocks"), end }),
      interrupt({ gateway, faults, random: choices("kills"), end }),
      outages({ origin, faults, random: choices("outages"), end }),
      reconfigure({ gateway, origin, faults, random: choices("settings"), end }),
      lulls(choices("lulls"), end, (calm) => (isCalm = calm)),
      progress({ history, faults, end, say }),
    ]);
    faults.share = { write: 0, read: 0 };
    say("coming to rest");
    await Promise.all(worlds.map((world) => rest(world, problems)));
    for (const world of worlds) await written(world, gateway.rootKey, audited);
  } finally {
    await gateway.stop();
    await origin.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  const accounts = Object.fromEntries(
    ACCOUNTS.map((account) => [account, past(account, origin.truths[account])]),
  );
  const violations = [...problems, ...check({ accounts, operations: history })];
  return { operations: history.length, faults: faults.counts, kills: gateway.kills(), answers, by, audited, violations, history, accounts };
}

/** An account's history as the checker takes it. */
function past(account, { resources, lies }) {
  return {
    resources: Object.fromEntries(resources),
    lies: lies.map((told) => ({ ...told, hidden: [...told.hidden] })),
    ...(account === BRAKED && { limits: { perHour: PER_HOUR, letThrough: LET_THROUGH } }),
  };
}

/** A gateway that can be killed and started again where it was. */
async function restartable(options, choices) {
  let gateway = await serve({ ...options, port: 0 });
  const port = Number(new URL(gateway.url).port);
  let ready = Promise.resolve();
  let kills = 0;
  let deployed = {};
  const again = async (end) => {
    let done;
    ready = new Promise((resolve) => (done = resolve));
    await end();
    await gateway.stop();
    gateway = await serve({ ...options, ...deployed, port });
    done();
  };
  return {
    url: () => gateway.url,
    mixes: Boolean(options.other),
    rootKey: gateway.rootKey,
    ready: () => ready,
    kills: () => kills,
    stop: () => gateway.stop(),
    /** Kills workerd, without a warning, and starts it again. */
    kill: () =>
      again(async () => {
        kills += 1;
        for (const pid of gateway.workerd) process.kill(pid, "SIGKILL");
      }),
    /** Ends workerd as a deployment does, and starts it again; Worker and objects may be of two versions then. */
    deploy() {
      if (options.other) deployed = { wrapper: mixed(choices) };
      return again(async () => {});
    },
  };
}

/** A module whose Worker and whose objects are of either version. */
function mixed(choices) {
  const version = () => choices.pick(["./index.js", "./other/index.js"]);
  return `export { default } from "${version()}"; export { Account, Directory } from "${version()}";`;
}

async function configure(gateway, account, url) {
  const calls = admin(gateway.url(), gateway.rootKey, account);
  await calls.serviceAccount("provisioner", "_scim_provisioner");
  const settings = {
    scim_origin_url: url,
    scim_origin_authorization: `Bearer ${account}`,
    scim_replica_max_staleness_seconds: "30",
    ...(account === BRAKED && LIMITS),
  };
  // The origin is asked first, and may be at fault just then.
  for (let attempt = 1; ; attempt += 1) {
    const failed = await calls.set(settings, { replace: true }).then(() => undefined, (error) => error);
    if (!failed) break;
    if (attempt === 20) throw failed;
    await sleep(200);
  }
  return calls.mint("provisioner");
}

function populate(account, truth) {
  for (let n = 0; n < (account === BRAKED ? 28 : 10); n += 1) {
    const token = `${account}~u${n}`;
    truth.create("User", { userName: token, title: token, nickName: token }, { by: "behind" });
  }
  for (let n = 0; n < 4; n += 1) {
    const token = `${account}~g${n}`;
    truth.create("Group", { displayName: token, externalId: token, members: [] }, { by: "behind" });
  }
}

/** Changes the origin behind the gateway. Where the origin has no versions, nothing keeps a PATCH that is made
 * of a GET and a PUT from undoing a change between them: there, users come and go only. Where the brake is on they only
 * come: what an origin has removed would use up the limit. */
async function behind({ account, truth, tokens, faults, isOver, brake }, choices) {
  const made = { by: "behind" };
  while (!isOver()) {
    await sleep(choices.between(150, 900));
    const token = `${account}~${(tokens.next += 1)}`;
    const [users, groups] = [truth.ids("User"), truth.ids("Group")];
    const what = account === "beta" ? 0.8 + choices.below(100) / 500 : choices.below(100) / 100;
    faults.count("change behind the gateway");
    if (what < 0.5) {
      const id = choices.pick(users);
      truth.change(id, { ...truth.get(id).state, [choices.pick(["title", "nickName"])]: token }, made);
    } else if (what < 0.8 && groups.length > 0) {
      const id = choices.pick(groups);
      truth.change(id, { ...truth.get(id).state, displayName: token }, made);
    } else if (what < 0.9 && users.length < 14) {
      truth.create("User", { userName: token, title: token, nickName: token }, made);
    } else if (users.length > 8 && !brake) {
      truth.remove(choices.pick(users), made);
    }
  }
}

async function interrupt({ gateway, faults, random: choices, end }) {
  for (;;) {
    await sleep(choices.between(5_000, 13_000));
    if (now() > end - 3_000) return;
    if (choices.chance(gateway.mixes ? 0.5 : 0.2)) {
      faults.count("deploy");
      await gateway.deploy();
    } else {
      faults.count("kill -9");
      await gateway.kill();
    }
  }
}

async function outages({ origin, faults, random: choices, end }) {
  for (;;) {
    await sleep(choices.between(18_000, 40_000));
    if (now() > end - 6_000) return;
    faults.count("origin down for seconds");
    origin.setDown(true);
    await sleep(choices.between(1_000, 4_000));
    origin.setDown(false);
  }
}

/** The clock of the origin jumps, by less than the gateway allows for. */
async function clocks({ origin, faults, random: choices, end }) {
  for (;;) {
    await sleep(choices.between(8_000, 20_000));
    if (now() > end) return;
    faults.count("clock change");
    for (const truth of Object.values(origin.truths)) {
      const clock = choices.between(-240_000, 240_000);
      if (clock > truth.clock || truth.pushing === 0) truth.clock = clock;
    }
  }
}

/** Settings change under the clients, and now and then the origin gets another address. */
async function reconfigure({ gateway, origin, faults, random: choices, end }) {
  for (;;) {
    await sleep(choices.between(5_000, 10_000));
    if (now() > end) return;
    await gateway.ready();
    const account = choices.pick(ACCOUNTS);
    const values = choices.chance(0.6) && SWITCHED.includes(account)
      ? { scim_origin_url: `${origin.url}/${account}/${choices.pick(["scim", "v2"])}` }
      : {
          scim_replica_max_staleness_seconds: choices.pick(["30", "40"]),
          scim_replica_when_stale: choices.pick(["serve", "forward"]),
        };
    faults.count(values.scim_origin_url ? "change of the origin's address" : "settings change");
    // A kill may come between, or there are more users than were confirmed: then it was none.
    await admin(gateway.url(), gateway.rootKey, account).set(values, { replace: true }).catch(() => {});
  }
}

/** Nobody writes for a while, now and then: copies answer only then. */
async function lulls(choices, end, tell) {
  while (now() < end) {
    tell(true);
    await sleep(choices.between(300, 1_500));
    tell(false);
    await sleep(choices.between(20, 400));
  }
}

async function progress({ history, faults, end, say }) {
  const total = () => Object.values(faults.counts).reduce((sum, count) => sum + count, 0);
  while (now() < end) {
    await sleep(Math.min(10_000, Math.max(1, end - now())));
    say(`${history.length} operations, ${total()} faults`);
  }
}

/** Waits until the copy says that it is younger than the last disturbance, and compares it with the origin. */
async function rest(world, problems) {
  const since = now();
  for (;;) {
    const users = await read(world, "GET", "Users?count=200", {});
    if (users?.age !== undefined && users.start - (users.age + 1) * 1000 > since) break;
    if (now() - since > QUIET_MS) {
      problems.push({ rule: 4, text: `the copy of ${world.account} was not renewed within ${QUIET_MS / 1000} s of quiet` });
      return;
    }
    await sleep(500);
  }
  for (const [kind, segment] of [["User", "Users"], ["Group", "Groups"]]) {
    await read(world, "GET", `${segment}?count=200`, { whole: kind, last: true });
    for (const id of world.truth.ids(kind)) await read(world, "GET", `${segment}/${id}`, { id, last: true });
  }
}
