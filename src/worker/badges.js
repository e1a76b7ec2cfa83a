// Badges: what the gate has decided once of a caller's reads, for those that he sends after. Whoever shows one goes
// on to the account's object, and Wasm is not asked again. Nothing is decided here: a badge is for the very
// `Authorization` header and path that were let through, until the earliest time at which anything that it was
// given for ends; all of them are forgotten as soon as settings or keys change. Whatever is unusual about a request
// has it go the whole way.

import { askFor, headersOf } from "./edge.js";
import { keepTime, takeTimes } from "./times.js";

// The longest that a badge holds: one that holds for longer was given by a clock that was ahead.
const HOUR_MS = 3_600_000;

// So many are kept, and so many characters of headers.
const BADGES = 1024;
const CHARACTERS = 4 << 20;

/**
 * By the header, then by the URL up to the query, with `*` for a resource's id. A map looks for a hash of the whole
 * header: how long that takes tells nothing of how much of a guess is right.
 */
const known = new Map();
let badges = 0;
let characters = 0;

/** Keeps a badge, as badge.rs writes it. */
export function give(authorization, scope, text) {
  if (badges >= BADGES || characters > CHARACTERS) forget();
  let scopes = known.get(authorization);
  if (scopes === undefined) {
    known.set(authorization, (scopes = new Map()));
    characters += authorization.length;
  }
  if (!scopes.has(scope)) badges += 1;
  scopes.set(scope, JSON.parse(text));
}

/** Forgets all: something that they were given for has changed. */
export function forget() {
  known.clear();
  badges = characters = 0;
}

// What every id of the gateway's own is of, and most of origins'; `.search` and the like are none.
const ID = /^[\w-][\w.~-]*$/;
// What a URL would have percent-encoded; encoded names; names that the gate looks at.
const UNUSUAL = /[^!$-&(-;=?-~]|(?:^|&)[^=&]*%|accountIdentifier|access_token/;

// Whether a gateway has sent a request on (RFC 8586): the platform's own hops are no concern of the gate's.
const isLooping = (hops) => hops !== null && /scim-edge/i.test(hops);

/** The badge that lets a request through, if one does. */
export function badgeOf({ method, url, headers }) {
  const scopes = method === "GET" ? known.get(headers.get("authorization")) : undefined;
  if (scopes === undefined) return undefined;
  const end = url.indexOf("?");
  const path = end < 0 ? url : url.slice(0, end);
  const start = path.lastIndexOf("/") + 1;
  const badge = scopes.get(path) ?? (ID.test(path.slice(start)) ? scopes.get(`${path.slice(0, start)}*`) : undefined);
  const left = badge === undefined ? 0 : badge.until - Date.now();
  const holds = left > 0 && left <= HOUR_MS;
  const isUsual = (end < 0 || !UNUSUAL.test(url.slice(end + 1))) && !headers.has("dpop") && !headers.has("harness-account") && !isLooping(headers.get("cdn-loop"));
  return holds && isUsual ? badge : undefined;
}

// As log.rs takes them from callers.
const REQUEST_ID = /^[\w-]{1,128}$/;

/** The id of a request: the caller's own, or a new one. */
export function requestIdOf(headers) {
  const given = headers.get("x-request-id");
  return given !== null && REQUEST_ID.test(given) ? given : crypto.randomUUID();
}

/** Answers a read that a badge lets through; `count` is told of it. */
export async function read(request, env, badge, count) {
  const time = Date.now();
  const { url, headers } = request;
  const requestId = requestIdOf(headers);
  const end = url.indexOf("?");
  const [path, query] = end < 0 ? [url.slice(badge.origin.length), ""] : [url.slice(badge.origin.length, end), url.slice(end + 1)];
  const head = `GET\n${url}\n${badge.origin}\n${path}\n${query}`;
  const answer = await askFor(env, badge.account, request, head, badge.call, `${requestId}${takeTimes(badge.account)}`, "");
  const isWhole = answer instanceof Response;
  const said = isWhole ? Object.fromEntries(answer.headers) : headersOf(answer.headers);
  const response = isWhole ? answer : new Response(answer.body, { status: answer.status, headers: said });
  const line = { ...badge.line, time, ...told(said), totalMs: Math.max(0, Date.now() - time), status: response.status, requestId };
  console.log(JSON.stringify(line));
  count(env, badge, line);
  keepTime(badge.account, line.totalMs);
  return response;
}

/** What an answer's headers say for the log, as log.rs reads them. */
function told(headers) {
  const cache = /^scim-edge; (?:fwd=)?([^;]*)/.exec(headers["cache-status"])?.[1] ?? null;
  const origin = /^origin;dur=(\d+)$/.exec(headers["server-timing"])?.[1];
  return { cache, originMs: origin === undefined ? null : Number(origin) };
}
