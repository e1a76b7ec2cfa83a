// `scim-edge tail`: the account's audit, followed as it grows.

import { setTimeout as sleep } from "node:timers/promises";
import { CommandError, EXIT } from "./cli-gateway.mjs";
import { plain, print, printJson, time } from "./cli-output.mjs";

/** What may be asked for, as the gateway calls it. */
const FILTERS = {
  kind: { type: "string", value: "KINDS", about: "of write, settings, refused: those, comma-separated" },
  principal: { type: "string", value: "NAME", about: "what one service account or key did" },
  outcome: { type: "string", value: "OUTCOME", about: "ok, failed, unknown or refused" },
  operation: { type: "string", value: "NAME", about: "such as user.create" },
  resource: { type: "string", value: "ID", about: "what happened to one resource" },
};

/** The longest page that is asked for. */
const PAGE = 100;

/** How far back each look goes: what was written down by another clock may come in a little late. */
const OVERLAP_MS = 60_000;

function number(values, name, least, most, otherwise) {
  if (values[name] === undefined) return otherwise;
  const count = Number(values[name]);
  if (count >= least && count <= most) return count;
  throw new CommandError(EXIT.usage, `--${name} must be a number from ${least} to ${most}`);
}

function show(entry, json) {
  if (json) return printJson(entry, 0);
  const { at, outcome, status, operation, principal, subject, resource, reason, requestId } = entry;
  const who = [principal, subject && subject !== principal && `(${subject})`].filter(Boolean).join(" ");
  const what = resource && `${resource.type} ${resource.id}`;
  const parts = [time(at), outcome.padEnd(7), status, operation, what, who && `by ${who}`, reason, requestId && `[${requestId}]`];
  return print(parts.filter(Boolean).map(plain).join("  "));
}

/** The entries that match, the newest first, `most` of them. Pages may be short, or empty. */
async function entriesOf(gateway, query, most) {
  const found = [];
  for (let cursor; found.length < most; ) {
    const count = Math.min(PAGE, most - found.length);
    const { entries, nextCursor } = await gateway.operate("GET", ".audit", { query: { ...query, count, cursor } });
    found.push(...entries);
    if (!nextCursor) break;
    cursor = nextCursor;
  }
  return found;
}

/** Looks again and again: each look gives what has not been given before, oldest first. */
function follower(gateway, query, lines) {
  const seen = new Map();
  let newest;
  const since = () => entriesOf(gateway, { ...query, from: Math.max(0, newest - OVERLAP_MS) }, Infinity);
  const learn = (entries) => {
    const fresh = entries.filter(({ id }) => !seen.has(id)).reverse();
    for (const { id, at } of fresh) seen.set(id, at);
    newest = Math.max(newest ?? 0, ...fresh.map(({ at }) => at));
    return fresh;
  };
  return async () => {
    if (newest === undefined) {
      const first = learn(await entriesOf(gateway, query, lines));
      // What came before the first lines is not to come up later.
      learn((await since()).filter(({ at }) => at < (first[0]?.at ?? 0)));
      return first;
    }
    const fresh = learn(await since());
    for (const [id, at] of seen) if (at < newest - 2 * OVERLAP_MS) seen.delete(id);
    return fresh;
  };
}

async function run({ gateway, values }) {
  const lines = number(values, "lines", 1, 10_000, 10);
  const pause = number(values, "interval", 0.2, 3600, 2) * 1000;
  const query = Object.fromEntries(Object.keys(FILTERS).map((name) => [name, values[name]]));
  process.once("SIGINT", () => process.exit(EXIT.done));
  const look = follower(gateway, query, lines);
  for (let shown = false, failures = 0; ; ) {
    try {
      for (const entry of await look()) show(entry, values.json);
      [shown, failures] = [true, 0];
    } catch (error) {
      // One that follows goes on over a deployment; one that has shown nothing yet says what is wrong.
      failures += 1;
      if (!shown || error.exit !== EXIT.unavailable || failures > 10) throw error;
    }
    if (values["no-follow"]) return;
    await sleep(pause);
  }
}

export const tail = {
  name: "tail",
  usage: "",
  about: "follow the audit: writes, changes of settings, refused requests",
  details: "A line an entry, oldest first; with --json an object a line. Ctrl-C ends it.",
  options: {
    ...FILTERS,
    lines: { type: "string", value: "N", about: "how many past entries to begin with (default 10)" },
    interval: { type: "string", value: "SECONDS", about: "how often to ask (default 2)" },
    "no-follow": { type: "boolean", about: "end after the past entries" },
  },
  arguments: [0, 0],
  run,
};
