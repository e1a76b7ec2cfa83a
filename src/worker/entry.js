// Where the host enters: the Worker, and its objects as classes that have RPC. What the usual tools put here
// stands behind proxies that every request pays for, and has none.
//
// A call whose memory is lost (`memory.js`) is answered 503; an alarm fails, which the platform repeats.

import { DurableObject } from "cloudflare:workers";
import { badgeOf, forget, read, requestIdOf } from "./badges.js";
import { reply } from "./edge.js";
import * as wasm from "./index.js";
import { MemoryLost, begin, guarded, memoryNumber, settled } from "./memory.js";
import { spend, unavailable } from "./refuse.js";

Error.stackTraceLimit = 100;
begin(() => {
  // The changes that would end them are those of what the old memory knew.
  forget();
  wasm.__wbg_reset_state();
}, wasm.watchAborts);

/** An object of Wasm's that outlives the memory that it was made in. */
class Kept {
  constructor(make) {
    this.make = make;
  }

  call(work) {
    return guarded(() => {
      if (this.memory !== memoryNumber()) {
        this.object = this.make();
        this.memory = memoryNumber();
      }
      return work(this.object);
    });
  }
}

/** What a call gives, or `lost` where its memory is. */
function answered(call, lost) {
  const otherwise = (error) => {
    if (!(error instanceof MemoryLost)) throw error;
    return lost();
  };
  try {
    const result = call();
    return result instanceof Promise ? result.catch(otherwise) : result;
  } catch (error) {
    return otherwise(error);
  }
}

/** An answer, once the connection can be used again. */
function spent(request, response) {
  // Nearly no request has a body that is left.
  if (request.body === null) return response;
  return (async () => {
    const answer = await response;
    await spend(request);
    return answer;
  })();
}

class Guarded extends DurableObject {
  constructor(context, env, Part) {
    super(context, env);
    this.kept = new Kept(() => new Part(context, env));
  }

  fetch(request) {
    const response = answered(
      () => this.kept.call((part) => part.fetch(request)),
      () => unavailable(request, requestIdOf(request.headers)),
    );
    return spent(request, response);
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
    const lost = async () => {
      const url = text.split("\n", 2)[1];
      const response = unavailable({ url }, crypto.randomUUID());
      const lines = [...response.headers].map(([name, value]) => `${name}\n${value}\n`).join("");
      return reply(response.status, lines, await response.text());
    };
    return answered(() => this.kept.call((directory) => directory.read(text)), lost);
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

/** Answers by Wasm. */
function whole(request, env, context) {
  const began = Date.now();
  const own = { waitUntil: (promise) => context.waitUntil(settled(promise).catch(() => {})) };
  const lost = () => {
    const requestId = requestIdOf(request.headers);
    const line = { event: "request", time: began, operation: "unknown", reason: "memory_lost", totalMs: Date.now() - began, status: 503, requestId };
    console.log(JSON.stringify(line));
    return unavailable(request, requestId);
  };
  return spent(request, answered(() => guarded(() => wasm.fetch(request, env, own)), lost));
}

export default {
  fetch(request, env, context) {
    const badge = badgeOf(request);
    // What goes wrong is told by who can tell it; a read may be asked for twice.
    return badge === undefined ? whole(request, env, context) : read(request, env, badge, count).catch(() => whole(request, env, context));
  },
};
