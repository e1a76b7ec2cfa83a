// Issuers' key sets over the network. A set is fresh for as long as the issuer says (1 to 60 minutes),
// then served while it is refreshed, for up to a day while the issuer cannot be reached. A token with an
// unknown key id has the issuer asked once, and not again for 30 seconds, whether that succeeded or not.

const MINUTE = 60_000;
const FRESH = 10 * MINUTE;
const STALE = 24 * 60 * MINUTE;
const COOLDOWN = 30_000;
const TIME_LIMIT = 5_000;
const BYTES = 64 << 10;

const loopback = ({ hostname }) => ["localhost", "127.0.0.1", "[::1]"].includes(hostname);

/** The text at a URL, never of a redirect, never more than the limit, and when it stops being fresh. */
async function get(url, { development, fetch, now }) {
  const parsed = new URL(url);
  if (parsed.protocol !== "https:" && !(development && loopback(parsed))) throw new Error(`${url}: must begin with https://`);
  const response = await fetch(url, {
    headers: { accept: "application/jwk-set+json, application/json" },
    redirect: "manual",
    signal: AbortSignal.timeout(TIME_LIMIT),
  });
  if (response.status !== 200) throw new Error(`${url}: answered ${response.status}`);
  const chunks = [];
  let length = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > BYTES) {
      await reader.cancel();
      throw new Error(`${url}: longer than ${BYTES} bytes`);
    }
    chunks.push(value);
  }
  const text = await new Blob(chunks).text();
  const seconds = Number(/(?:^|,)\s*max-age="?(\d+)/.exec(response.headers.get("cache-control") ?? "")?.[1] ?? FRESH / 1000);
  return { text, freshUntil: now() + Math.min(Math.max(seconds * 1000, MINUTE), 60 * MINUTE) };
}

/** Where an issuer says that its keys are (OpenID Connect Discovery, RFC 8414). */
async function discover(issuer, host) {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/+$/, "");
  const places = [`${origin}${path}/.well-known/openid-configuration`, `${origin}/.well-known/oauth-authorization-server${path}`];
  let failure;
  for (const place of places) {
    try {
      const configuration = JSON.parse((await get(place, host)).text);
      if (configuration.issuer !== issuer) throw new Error(`${place}: names another issuer`);
      return configuration.jwks_uri;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** Fetches and keeps key sets by the names that rules give them: a URL, or `issuer` and one. */
export function fetchedKeys(host) {
  const entries = new Map();
  const entryOf = (name) => {
    if (!entries.has(name)) entries.set(name, { attemptedAt: -Infinity });
    return entries.get(name);
  };
  async function refresh(name, entry) {
    entry.attemptedAt = host.now();
    const url = name.startsWith("issuer ") ? await discover(name.slice(7), host) : name;
    const { text, freshUntil } = await get(url, host);
    // Nothing but a set with a usable key replaces a good one.
    if (!host.isKeySet(text)) throw new Error(`${url}: is no key set`);
    const kids = new Set(JSON.parse(text).keys.map((key) => key?.kid));
    Object.assign(entry, { text, kids, freshUntil, fetchedAt: host.now() });
    return text;
  }
  const usable = (entry) => entry.text !== undefined && host.now() - entry.fetchedAt < STALE;
  return {
    async get(name, kid) {
      const entry = entryOf(name);
      const rested = host.now() - entry.attemptedAt >= COOLDOWN;
      if (!usable(entry)) {
        if (!rested) throw new Error(`${name}: could not be reached just now`);
        return refresh(name, entry);
      }
      if (kid !== undefined && !entry.kids.has(kid)) return rested ? refresh(name, entry).catch(() => entry.text) : entry.text;
      if (host.now() >= entry.freshUntil && rested) refresh(name, entry).catch(() => {});
      return entry.text;
    },
    getSync(name) {
      const entry = entryOf(name);
      if (!usable(entry)) throw new Error(`${name}: not loaded yet: await policy.load() first`);
      return entry.text;
    },
  };
}

/** Keys that are given: a set, or a function that is asked for one. */
export function givenKeys(keys) {
  const text = (set) => (typeof set === "string" ? set : JSON.stringify(set));
  if (typeof keys !== "function") {
    const fixed = text(keys);
    return { get: () => fixed, getSync: () => fixed };
  }
  const asked = (name, kid) => keys(name.startsWith("issuer ") ? { issuer: name.slice(7), kid } : { url: name, kid });
  return {
    get: async (name, kid) => text(await asked(name, kid)),
    getSync(name, kid) {
      const set = asked(name, kid);
      if (typeof set?.then === "function") throw new Error("the key loader returns a promise: use authorize()");
      return text(set);
    },
  };
}
