// scim-edge for any JavaScript host: give it the compiled Wasm, or where it is.

import init, { matchFilter as match, verifyToken as verify } from "./wasm/scim_edge.js";

/** A mistake of the caller's, with a stable `code`. */
export class ScimEdgeError extends Error {
  constructor({ code, message }) {
    super(message);
    this.name = "ScimEdgeError";
    this.code = code;
  }
}

/** Loads the Wasm: a URL, a response, bytes or a compiled module. */
export async function load(wasm) {
  await init({ module_or_path: wasm ?? new URL("./wasm/scim_edge_bg.wasm", import.meta.url) });
}

function read(text) {
  const answer = JSON.parse(text);
  if (answer.error) throw new ScimEdgeError(answer.error);
  return answer;
}

export function verifyToken({ token, rules, keys, now = Date.now() }) {
  return read(verify(token, JSON.stringify(rules), JSON.stringify(keys), now));
}

export function matchFilter(filter, resource, kind = "User") {
  return read(match(filter, JSON.stringify(resource), kind)).matches;
}
