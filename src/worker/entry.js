// Where the host enters: the Worker, and its objects as classes that have RPC. What the usual tools put here
// stands behind proxies that every request pays for, and has none.
//
// A panic leaves Wasm's memory as it was in the middle of something: the next call begins with a new memory,
// and objects are made anew in it.

/* global addEventListener */

import { DurableObject } from "cloudflare:workers";
import { badgeOf, read } from "./badges.js";
import * as wasm from "./index.js";

Error.stackTraceLimit = 100;
const state = wasm.__worker_init_state();

addEventListener("error", ({ error }) => note(error));

function note(error) {
  if (!(error instanceof WebAssembly.RuntimeError)) return;
  console.error("Critical", error);
  state.criticalError = true;
}

/** Calls Wasm, in a memory that is sound. */
function guarded(call) {
  if (state.criticalError) {
    console.log("Reinitializing Wasm application");
    wasm.__wbg_reset_state();
    state.criticalError = false;
    state.instanceId += 1;
  }
  try {
    return call();
  } catch (error) {
    note(error);
    throw error;
  }
}

/** An object of Wasm's that outlives the memory that it was made in. */
class Kept {
  constructor(make) {
    this.make = make;
    this.call(() => {});
  }

  call(work) {
    return guarded(() => {
      if (this.instance !== state.instanceId) {
        this.object = this.make();
        this.instance = state.instanceId;
      }
      return work(this.object);
    });
  }
}

class Guarded extends DurableObject {
  constructor(context, env, Part) {
    super(context, env);
    this.kept = new Kept(() => new Part(context, env));
  }

  fetch(request) {
    return this.kept.call((part) => part.fetch(request));
  }

  alarm() {
    return this.kept.call((part) => part.alarm());
  }
}

export class Account extends Guarded {
  constructor(context, env) {
    super(context, env, wasm.Account);
  }
}

export class Directory extends Guarded {
  constructor(context, env) {
    super(context, env, wasm.Directory);
  }

  read(text) {
    return this.kept.call((directory) => directory.read(text));
  }
}

/** Counts a read that a badge let through. */
function count(env, { account, operation, isToken }, { cache, originMs, totalMs, status }) {
  const said = [status, cache === null ? undefined : cache === "hit", originMs ?? undefined, totalMs];
  guarded(() => {
    wasm.countRead(operation, isToken, ...said);
    if (env.ANALYTICS !== undefined) wasm.writePoint(env, account, operation, ...said);
  });
}

export default {
  fetch(request, env, context) {
    const whole = () => guarded(() => wasm.fetch(request, env, context));
    const badge = badgeOf(request);
    // What goes wrong is told by who can tell it; a read may be asked for twice.
    return badge === undefined ? whole() : read(request, env, badge, count).catch(whole);
  },
};
