// What every host's entry has in common. The Wasm is instantiated when it is first needed.

import init, { Filter as WasmFilter, Policy as WasmPolicy, applyPatch as patch, initSync, isKeySet, validate as read } from "./wasm/scim_edge.js";
import { fetchedKeys, givenKeys } from "./keys.mjs";

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

/** Runs what throws error texts. */
function made(make) {
  try {
    return make();
  } catch (thrown) {
    if (typeof thrown === "string") throw new ScimEdgeError(JSON.parse(thrown).error);
    throw thrown;
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

function asked({ method, url, headers, operation, token }) {
  if (operation !== undefined) return json({ operation, token });
  return json({ method, url: String(url), authorization: header(headers, "Authorization"), dpop: header(headers, "DPoP") });
}

/** An account's policy: see index.d.ts. */
class Policy {
  #core;
  #keys;
  #now;
  #names;

  constructor(core, keys, now, names) {
    this.#core = core;
    this.#keys = keys;
    this.#now = now;
    this.#names = names;
  }

  async load() {
    for (const name of this.#names) await this.#keys.get(name);
  }

  async authorize(request) {
    return answer(await this.#core.authorize(asked(request), this.#now(), (name, kid) => this.#keys.get(name, kid)));
  }

  authorizeSync(request) {
    return answer(this.#core.authorizeSync(asked(request), this.#now(), (name, kid) => this.#keys.getSync(name, kid)));
  }

  async explain(token) {
    return answer(await this.#core.explain(String(token), this.#now(), (name, kid) => this.#keys.get(name, kid)));
  }

  dispose() {
    this.#core.free();
  }

  [Symbol.dispose ?? Symbol.for("dispose")]() {
    this.dispose();
  }
}

/** What the rules' keys are kept by. */
function sources({ settings = {}, rules = {} }) {
  const named = Object.values(rules).filter((rule) => !rule.jwks).map((rule) => rule.jwksUrl ?? `issuer ${rule.issuer}`);
  const url = settings.scim_jwt_token_jwks_keys_url;
  return [...new Set(url ? [url, ...named] : named)];
}

export async function createPolicy({ keys, now = Date.now, development = false, fetch = globalThis.fetch, ...settings }) {
  await load();
  const core = made(() => new WasmPolicy(json(settings), development));
  const host = { development, now, isKeySet, fetch: (...args) => fetch(...args) };
  const source = keys === undefined ? fetchedKeys(host) : givenKeys(keys);
  return new Policy(core, source, now, sources(settings));
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
