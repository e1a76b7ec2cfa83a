// What crosses between the host and Wasm, in as few calls as possible: each call costs as much as a
// hundred bytes of what it carries. Texts go over in one piece, their parts behind each other.

import { LONG, outgoing } from "./outgoing.js";
import { busy } from "./refuse.js";

const CALL = "x-scim-edge-call";
const OWN = "x-scim-edge-own";
const REQUEST_ID = "x-request-id";

// Request ---------------------------------------------------------------------------------------

// The headers that are read of every request, and those that a read tells its object beside: http.rs has them
// in this order.
const OUTER = ["authorization", "harness-account", "x-api-key", "dpop", REQUEST_ID, "cdn-loop"];
const INNER = [CALL, OWN, "content-type", "if-match", "if-none-match"];
const BESIDE = ["accept", "authorization", "prefer", "traceparent", "cdn-loop"];

/** Method, URL, its parts and headers, a line each; a header that is there begins with `=`. */
export function describe(request, inner) {
  const { url, headers } = request;
  const { origin, pathname, search } = new URL(url);
  return `${request.method}\n${url}\n${origin}\n${pathname}\n${search.slice(1)}${lines(headers, inner ? INNER : OUTER)}`;
}

function lines(headers, names) {
  let text = "";
  for (const name of names) {
    const value = headers.get(name);
    text += value === null ? "\n" : `\n=${value}`;
  }
  return text;
}

/** Where the platform says that a request is from: its continent and, where it is known, the longitude. */
export function place(request) {
  const { continent = "", longitude = "" } = request.cf ?? {};
  return `${continent} ${longitude}`;
}

// Response --------------------------------------------------------------------------------------

/** An answer; `headers` are lines, names and values in turn. */
export function respond(status, headers, body) {
  if (body !== undefined && body.length > LONG) return respondLong(status, headers, body);
  // A copy: the view is of Wasm's memory.
  return new Response(body === undefined ? null : body.slice(), { status, headers: headersOf(headers) });
}

/** The same, with a text that has never been in Wasm's memory. */
export function respondHeld(status, headers, body) {
  if (body !== null && body.length > LONG) return respondLong(status, headers, encoder.encode(body));
  return new Response(body, { status, headers: headersOf(headers) });
}

function respondLong(status, headers, body) {
  const stream = outgoing(body.slice());
  return stream === undefined ? busy() : new Response(stream, { status, headers: headersOf(headers) });
}

/** Headers by their names, of lines. */
export function headersOf(text) {
  const lines = text.split("\n");
  // An object: pairs would take the host twice as long.
  const named = {};
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const [name, value] = [lines[at], lines[at + 1]];
    named[name] = name in named ? `${named[name]}, ${value}` : value;
  }
  return named;
}

/** An answer as an object gives it to its Worker. */
export function reply(status, headers, body) {
  return { status, headers, body };
}

const OBSERVED = ["cache-status", "server-timing", REQUEST_ID];
const OBSERVED_OF_REFUSALS = [...OBSERVED, "scim-edge-refused-by"];

/** What the log says of an answer: its status, and headers as lines, names and values in turn. */
export function observe(response) {
  let text = `${response.status}\n`;
  for (const name of response.status < 400 ? OBSERVED : OBSERVED_OF_REFUSALS) {
    const value = response.headers.get(name);
    if (value !== null) text += `${name}\n${value}\n`;
  }
  return text;
}

// Objects ---------------------------------------------------------------------------------------

const IDS = 256;
const ids = new Map();

/** The Directory object of this name, in a region where one is given. */
function stub(env, name, region) {
  let id = ids.get(name);
  if (id === undefined) {
    if (ids.size >= IDS) ids.clear();
    ids.set(name, (id = env.DIRECTORY.idFromName(name)));
  }
  return region === "" ? env.DIRECTORY.get(id) : env.DIRECTORY.get(id, { locationHint: region });
}

/** Asks a Directory object with the client's own request. */
export function ask(env, name, request, call, own, region) {
  const copy = new Request(request.url, request);
  copy.headers.set(CALL, call);
  copy.headers.set(OWN, own);
  return stub(env, name, region).fetch(copy);
}

/**
 * Asks it what has no body. `head` are the first lines of what `describe` says of the request. An object of an
 * older deployment is asked with the request.
 */
export function askFor(env, name, request, head, call, own, region) {
  const of = request.headers;
  const text = `${head}\n=${call}\n=${own}${lines(of, INNER.slice(2))}${lines(of, BESIDE)}`;
  return stub(env, name, region).read(text).catch((error) => {
    if (!(error instanceof TypeError && error.message.includes("RPC"))) throw error;
    return ask(env, name, request, call, own, region);
  });
}

/** Tells an account's own object what its copy was told. */
export const tell = (env, account, text) => stub(env, account, "").read(text);

/** What an object answered: a status and headers as lines; nothing where it is a response. */
export function replied(answer) {
  return answer instanceof Response ? "" : `${answer.status}\n${answer.headers}`;
}

export const bodyOf = (answer) => answer.body;

export const turn = () => pause(0);

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// SQLite ----------------------------------------------------------------------------------------

const BIND = "\u001f";
const encoder = new TextEncoder();
let text = "";

/**
 * Runs a statement. Its rows are kept as one text for `take`, whose length is returned, or 0 where there are
 * none: the number of columns, then each cell in turn (`n` for null, `i` and a number, `t` and a length in
 * UTF-16 units), and behind the first line break the texts themselves.
 */
export function run(database, statement, binds) {
  const values = binds === "" ? [] : binds.split(BIND).map(value);
  return keep(database.exec(statement, ...values));
}

/** The same, with values that have separators in them. */
export function runWith(database, statement, values) {
  return keep(database.exec(statement, ...values));
}

function value(bind) {
  const rest = bind.slice(1);
  return bind[0] === "t" ? rest : bind[0] === "i" ? Number(rest) : null;
}

function keep(cursor) {
  let cells = "";
  let texts = "";
  for (const row of cursor.raw().toArray()) {
    for (const cell of row) {
      if (typeof cell === "string") {
        cells += `,t${cell.length}`;
        texts += cell;
      } else {
        cells += cell === null ? ",n" : `,i${cell}`;
      }
    }
  }
  text = cells === "" ? "" : `${cursor.columnNames.length}${cells}\n${texts}`;
  return text.length;
}

/** Writes the text into Wasm's memory; returns its length in bytes, or -1 where there is too little room. */
export function take(room) {
  const { read, written } = encoder.encodeInto(text, room);
  return read === text.length ? written : -1;
}
