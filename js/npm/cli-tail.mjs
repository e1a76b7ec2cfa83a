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

/** The entries that came after one, oldest first; before there is one, the latest `count`. */
async function after(gateway, query, last, count) {
  const found = [];
  for (let cursor; ; ) {
    const size = last === undefined ? Math.min(count, PAGE) : PAGE;
    const { entries, nextCursor } = await gateway.operate("GET", ".audit", { query: { ...query, count: size, cursor } });
    const fresh = last === undefined ? entries : entries.filter((entry) => entry.id > last);
    found.push(...fresh);
    const more = last === undefined ? found.length < count : fresh.length === entries.length;
    if (!more || !nextCursor || entries.length === 0) break;
    cursor = nextCursor;
  }
  return found.slice(0, last === undefined ? count : undefined).reverse();
}

async function run({ gateway, values }) {
  const count = number(values, "lines", 1, 10_000, 10);
  const pause = number(values, "interval", 0.2, 3600, 2) * 1000;
  const query = Object.fromEntries(Object.keys(FILTERS).map((name) => [name, values[name]]));
  process.once("SIGINT", () => process.exit(EXIT.done));
  let last;
  for (let waits = 0; ; ) {
    let fresh = [];
    try {
      fresh = await after(gateway, query, last, count);
      waits = 0;
    } catch (error) {
      // One that follows goes on over a deployment; one that has shown nothing yet says what is wrong.
      waits += 1;
      if (last === undefined || error.exit !== EXIT.unavailable || waits > 10) throw error;
    }
    for (const entry of fresh) show(entry, values.json);
    last = fresh.at(-1)?.id ?? last ?? 0;
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
