// What every host's entry has in common. The Wasm is instantiated when it is first needed.

import init, { Filter as WasmFilter, Policy as WasmPolicy, applyPatch as patch, initSync, validate as read } from "./wasm/scim_edge.js";
import { get } from "./network.mjs";

/** A mistake of the caller's. `code` is stable; `position` is the byte of a filter where it is. */
export class ScimEdgeError extends Error {
  constructor({ code, message, position }, options) {
    super(message, options);
    this.name = "ScimEdgeError";
    this.code = code;
    if (typeof position === "number") this.position = position;
  }
}

let loaded = false;
let atHand;

/** Says how the host's entry has the Wasm at hand: bytes, or a compiled module. */
export function provide(module) {
  atHand = module;
}

/** Loads the Wasm where it is not at hand: a URL, a response, bytes or a compiled module. */
export async function load(wasm) {
  if (loaded) return;
  if (wasm === undefined && atHand) return ready();
  await init({ module_or_path: wasm ?? new URL("./wasm/scim_edge_bg.wasm", import.meta.url) });
  loaded = true;
}

function ready() {
  if (loaded) return;
  if (!atHand) throw new ScimEdgeError({ code: "not_loaded", message: "The Wasm is not loaded: await load() first" });
  initSync({ module: atHand() });
  loaded = true;
}

/** An answer of the Wasm's; its mistakes are thrown. */
function answer(text) {
  const value = JSON.parse(text);
  if (value.error) throw new ScimEdgeError(value.error);
  return value;
}

/** Throws what the Wasm threw: of a text, the mistake that it tells. */
function thrown(error) {
  throw typeof error === "string" ? new ScimEdgeError(JSON.parse(error).error) : error;
}

/** Runs what throws error texts. */
function made(make) {
  try {
    return make();
  } catch (error) {
    return thrown(error);
  }
}

const json = (value) => JSON.stringify(value) ?? "null";

/** A header of a Headers, a Map, an object or pairs; two of a name are none that holds. */
function header(headers, wanted) {
  if (headers === undefined || headers === null) return undefined;
  if (typeof headers.get === "function") return headers.get(wanted.toLowerCase()) ?? headers.get(wanted) ?? undefined;
  const pairs = Symbol.iterator in headers ? [...headers] : Object.entries(headers);
  const values = pairs.filter(([name]) => name.toLowerCase() === wanted.toLowerCase()).flatMap(([, value]) => value);
  return values.length > 0 ? values.join(", ") : undefined;
}

/** Headers by which some frameworks take a request for one of another method. */
const OVERRIDES = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

/** What the Wasm is asked: a method, a URL, two headers and whether others name a method; or an operation, nothing, and a token. */
function asked({ method, url, headers, operation, token }) {
  if (operation !== undefined) return [String(operation), undefined, String(token), undefined, false];
  const overridden = OVERRIDES.some((name) => header(headers, name) !== undefined);
  return [String(method), String(url), header(headers, "Authorization"), header(headers, "DPoP"), overridden];
}

/** What must not be changed, since the next request may get it too. */
function frozen(value) {
  if (typeof value !== "object" || value === null) return value;
  for (const member of Object.values(value)) frozen(member);
  return Object.freeze(value);
}

/** A decision: an object that permits, or the text of one that does not. */
const decided = (decision) => (typeof decision === "string" ? answer(decision) : decision);

/** An account's policy: see index.d.ts. */
class Policy {
  #core;

  constructor(core) {
    this.#core = core;
  }

  async load() {
    await this.#core.load().catch(thrown);
  }

  async authorize(request) {
    return decided(await this.#core.authorize(...asked(request)));
  }

  authorizeSync(request) {
    return decided(this.#core.authorizeSync(...asked(request)));
  }

  async explain(token) {
    return answer(await this.#core.explain(String(token)));
  }

  dispose() {
    this.#core.free();
  }

  [Symbol.dispose ?? Symbol.for("dispose")]() {
    this.dispose();
  }
}

/** What the Wasm is given of the host and of the caller. */
function hostOf({ now, fetch, crypto, load }) {
  const text = (set) => (typeof set === "string" ? set : JSON.stringify(set));
  return {
    now,
    get: (url, accept) => get(fetch, url, accept),
    load(url, issuer, kid) {
      const loaded = load({ url, issuer, kid });
      return typeof loaded?.then === "function" ? Promise.resolve(loaded).then(text) : text(loaded);
    },
    subtle: crypto?.subtle,
    frozen: (decision) => frozen(JSON.parse(decision)),
  };
}

export async function createPolicy({ keys, now = Date.now, crypto, development = false, fetch = globalThis.fetch, ...settings }) {
  await load();
  const loader = typeof keys === "function" ? keys : undefined;
  const url = typeof keys === "string" || keys instanceof URL ? String(keys) : undefined;
  const given = keys === undefined || loader || url !== undefined ? undefined : json(keys);
  const host = hostOf({ now, fetch: (...args) => fetch(...args), crypto, load: loader });
  return new Policy(made(() => new WasmPolicy(json(settings), development, host, given, url, loader !== undefined)));
}

/** A filter that was read: see index.d.ts. */
class Filter {
  #core;

  constructor(core) {
    this.#core = core;
  }

  matches(resource, kind = "User") {
    return answer(this.#core.matches(json(resource), kind)).matches;
  }

  toString() {
    return this.#core.canonical();
  }

  dispose() {
    this.#core.free();
  }

  [Symbol.dispose ?? Symbol.for("dispose")]() {
    this.dispose();
  }
}

export function parseFilter(text, { strict = false } = {}) {
  ready();
  return new Filter(made(() => new WasmFilter(String(text), strict)));
}

export function matches(filter, resource, kind = "User") {
  const parsed = parseFilter(filter);
  try {
    return parsed.matches(resource, kind);
  } finally {
    parsed.dispose();
  }
}

export function applyPatch(resource, operations, { kind = "User", strict = false } = {}) {
  ready();
  return answer(patch(json(resource), json(operations), kind, strict)).resource;
}

export function validate(resource, { kind = "User", strict = false } = {}) {
  ready();
  return answer(read(json(resource), kind, strict)).resource;
}
