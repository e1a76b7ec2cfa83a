// An operator, and an origin that tells the gateway what has changed: `.changes` with ids and with whole
// resources, `.resync`, `.undo` and `.restore`, under everything else that happens. Where the brake is on, the operator lets
// removals through, and clients delete more than it lets go.

import { setTimeout as sleep } from "node:timers/promises";
import { admin } from "../demo/client.mjs";
import { burst } from "./clients.mjs";
import { LET_THROUGH } from "./lies.mjs";
import { shown } from "./origin.mjs";
import { now } from "./truth.mjs";

/** What the gateway writes down of what operators asked for, and of an origin that it does not believe. */
const AUDITED = ["replica.exchange", "origin.exchange", "origin.put-back", "brake.letThrough", "brake.suspicious", "brake.resolved"];

/** Works until `world.isOver`. */
export async function operate(world, rootKey, choices) {
  const base = `/ng/api/scim/account/${world.account}`;
  const call = (path, body) => admin(world.url(), rootKey, world.account).call("POST", `${base}/${path}`, body);
  const view = () => admin(world.url(), rootKey, world.account).call("GET", `${base}/.replica`);
  // Each is restored once: after that it may be there, under another id.
  const asked = new Set();
  while (!world.isOver()) {
    await sleep(choices.between(200, 1_500));
    await world.ready();
    if (world.brake) {
      if (choices.chance(0.15)) {
        world.faults.count("burst of deletions");
        await burst(world);
      }
      if (choices.chance(0.1) && !world.truth.lie) await letThrough(world, call, choices);
    } else if (choices.chance(0.04)) {
      // An older copy as it is would rightly show what is no more.
      world.faults.count("undo");
      const { kept = [] } = (await view().catch(() => undefined))?.body ?? {};
      if (kept.length === 0) continue;
      const { number } = choices.pick(kept);
      const asked = await call(".undo", { number }).catch(() => undefined);
      if (asked?.body.confirm && !/as it is/.test(asked.body.consequence)) await call(".undo", { number, confirm: asked.body.confirm }).catch(() => undefined);
      continue;
    } else if (choices.chance(0.08)) {
      world.faults.count("resync");
      const asked = await call(".resync").catch(() => undefined);
      if (asked?.body.confirm) await call(".resync", { confirm: asked.body.confirm }).catch(() => undefined);
      continue;
    }
    const gone = world.truth.gone().slice(-8).filter((id) => !asked.has(id));
    if (!world.brake && gone.length > 0 && choices.chance(0.12)) {
      const id = choices.pick(gone);
      asked.add(id);
      await restore(world, call, id);
      continue;
    }
    world.faults.count("changes pushed");
    await push(world, call, choices);
  }
}

/** Counts in `audited` what an account's audit has of that. */
export async function written({ url, account }, rootKey, audited) {
  const calls = admin(url(), rootKey, account);
  for (const operation of AUDITED) {
    const { body } = await calls.call("GET", `/ng/api/scim/account/${account}/.audit?operation=${operation}&count=1000`);
    audited[operation] = (audited[operation] ?? 0) + body.entries.length;
  }
}

/** Lets a number of removals through, or all for some seconds. */
async function letThrough({ brake, faults, history, account, tokens }, call, choices) {
  const isNumber = choices.chance(0.7);
  const removals = isNumber ? choices.between(1, LET_THROUGH) : undefined;
  const seconds = choices.between(1, 3);
  const start = now();
  const until = isNumber ? undefined : start + seconds * 1000 + 100;
  // It may take effect also if its answer is lost.
  if (until) brake.until = until;
  const operation = { n: (tokens.operations += 1), account, what: "let through", start, end: null, status: null, removals, until };
  history.push(operation);
  faults.count("brake let through");
  const body = isNumber ? { letThrough: "once", removals } : { letThrough: "until", until: Date.now() + seconds * 1000 };
  const answer = await call(".brake", body).catch(() => undefined);
  if (answer) Object.assign(operation, { end: now(), status: answer.status });
}

/** Restores a user or a group without its memberships, which clients change. */
async function restore({ truth, faults, history, account, tokens }, call, id) {
  const operation = { n: (tokens.operations += 1), account, what: "restore", start: now(), end: null, status: null, formerId: id };
  history.push(operation);
  const answer = await call(".restore", { type: truth.resources.get(id).kind, id, memberships: false }).catch(() => undefined);
  if (!answer) return;
  faults.count(`restore answered ${answer.status}`);
  Object.assign(operation, { end: now(), status: answer.status, restored: answer.body.id });
}

async function push({ truth, history, account, tokens }, call, choices) {
  const known = [...truth.resources.keys()].slice(-30);
  const ids = [...new Set([0, 1, 2].map(() => choices.pick(known)))];
  const resources = ids.map((id) => {
    const it = truth.get(id);
    // Whole, or by its id where it is gone, or its age could not be told.
    const isWhole = choices.chance(0.5) && it && truth.isFull && truth.isPast(it);
    return { type: truth.resources.get(id).kind, ...(isWhole ? { resource: shown(truth, it) } : { id }) };
  });
  // On its way it gets old. Of an origin whose clock is set back meanwhile nobody can tell that.
  truth.pushing += 1;
  if (choices.chance(0.3)) await sleep(choices.between(5, 200));
  const operation = { n: (tokens.operations += 1), account, what: "refresh", start: now(), end: null, status: null };
  history.push(operation);
  const answer = await call(".changes", { resources }).catch(() => undefined);
  truth.pushing -= 1;
  if (!answer) return;
  const failed = (answer.body.failed ?? []).map(({ id }) => id);
  // Only what was asked for by its id is read at once.
  const refreshed = resources.filter(({ id }) => id && !failed.includes(id)).map(({ id }) => id);
  Object.assign(operation, { end: now(), status: answer.status, refreshed });
}
