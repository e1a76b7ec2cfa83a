// The gateway, whose Directory objects say in each answer how many rows SQLite has written for them so far, and how
// large Wasm's memory is.

import { wasmBytes } from "./instances.js";
import { DurableObject } from "cloudflare:workers";
import whole, { Directory as Whole } from "./index.js";

export { Account } from "./index.js";
export default whole;

const cursors = [];
let written = 0;

function count(cursor) {
  cursors.push(cursor);
  return cursor;
}

export class Directory extends DurableObject {
  constructor(state, env) {
    super(state, env);
    const prototype = Object.getPrototypeOf(state.storage.sql);
    const exec = (prototype.whole ??= prototype.exec);
    prototype.exec = function (...statement) {
      return count(exec.apply(this, statement));
    };
    this.whole = new Whole(state, env);
  }

  async fetch(request) {
    const answer = await this.whole.fetch(request);
    for (const cursor of cursors.splice(0)) written += cursor.rowsWritten;
    const watched = new Response(answer.body, answer);
    watched.headers.set("x-rows-written", String(written));
    watched.headers.set("x-wasm-bytes", String(wasmBytes()));
    return watched;
  }

  alarm() {
    return this.whole.alarm();
  }
}
