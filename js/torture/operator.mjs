// An operator, and an origin that tells the gateway what has changed: `.changes` with ids and with whole
// resources, `.resync` and `.undo`, under everything else that happens.

import { setTimeout as sleep } from "node:timers/promises";
import { admin } from "../demo/client.mjs";
import { shown } from "./origin.mjs";
import { now } from "./truth.mjs";

/** Works until `world.isOver`. */
export async function operate(world, rootKey, choices) {
  const base = `/ng/api/scim/account/${world.account}`;
  const call = (path, body) => admin(world.url(), rootKey, world.account).call("POST", `${base}/${path}`, body);
  while (!world.isOver()) {
    await sleep(choices.between(200, 1_500));
    await world.ready();
    if (choices.chance(0.02)) {
      // An older copy as it is would rightly show what is no more.
      world.faults.count("undo");
      const asked = await call(".undo").catch(() => undefined);
      if (asked?.body.confirm && !/as it is/.test(asked.body.consequence)) await call(".undo", { confirm: asked.body.confirm }).catch(() => undefined);
      continue;
    }
    if (choices.chance(0.04)) {
      world.faults.count("resync");
      const asked = await call(".resync").catch(() => undefined);
      if (asked?.body.confirm) await call(".resync", { confirm: asked.body.confirm }).catch(() => undefined);
      continue;
    }
    world.faults.count("changes pushed");
    await push(world, call, choices);
  }
}

async function push({ truth, history, account, tokens }, call, choices) {
  const known = [...truth.resources.keys()].slice(-30);
  const ids = [...new Set([0, 1, 2].map(() => choices.pick(known)))];
  const resources = ids.map((id) => {
    const it = truth.get(id);
    // Whole, or by its id where it is gone, or its age could not be told.
    const isWhole = choices.chance(0.5) && it && truth.isFull;
    return { type: truth.resources.get(id).kind, ...(isWhole ? { resource: shown(truth, it) } : { id }) };
  });
  // On its way it gets old.
  if (choices.chance(0.3)) await sleep(choices.between(5, 200));
  const operation = { n: (tokens.operations += 1), account, what: "refresh", start: now(), end: null, status: null };
  history.push(operation);
  const answer = await call(".changes", { resources }).catch(() => undefined);
  if (!answer) return;
  const failed = (answer.body.failed ?? []).map(({ id }) => id);
  // Only what was asked for by its id is read at once.
  const refreshed = resources.filter(({ id }) => id && !failed.includes(id)).map(({ id }) => id);
  Object.assign(operation, { end: now(), status: answer.status, refreshed });
}
