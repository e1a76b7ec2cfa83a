// The brake on removals, and the modes of service accounts.

import { CommandError, EXIT } from "./cli-gateway.mjs";
import { note, pairs, plain, print, printJson, time } from "./cli-output.mjs";

const MODES = ["normal", "append-only", "shadow"];

const usage = (message) => new CommandError(EXIT.usage, message);

/** Numbers of users and of groups, in words. */
const both = ({ users, groups }, words) => `${words(users)} users, ${words(groups)} groups`;

export const suspicionOf = (one) => one && both(one, ({ wouldRemove, of }) => `${wouldRemove} of ${of}`);

function show(brake) {
  const { limits, lastHour, stopped, letThrough, suspicion } = brake;
  pairs([
    ["state", brake.state],
    ["limit", limits && `${limits.removalsPerHour} an hour and ${limits.removalsPercent} percent, from ${limits.leastResources} resources on`],
    ["users", `${lastHour.users.deleted} deleted, ${lastHour.users.deactivated} deactivated of ${lastHour.users.of} within an hour`],
    ["groups", `${lastHour.groups.deleted} deleted, ${lastHour.groups.emptied} emptied of ${lastHour.groups.of} within an hour`],
    ["stopped", stopped && `${stopped.requests} requests since ${time(stopped.since)}`],
    ["let through", letThrough && `${letThrough.removals ?? "all"} until ${time(letThrough.until)}, by ${letThrough.by}`],
    ["origin", suspicion && `suspicious since ${time(suspicion.since)}: does not show ${suspicionOf(suspicion)}`],
  ]);
}

async function status({ gateway, values }) {
  const brake = await gateway.operate("GET", ".brake");
  return values.json ? printJson(brake) : show(brake);
}

/** What is let through, as the call wants it. */
function wanted({ removals, until }) {
  if (removals !== undefined && until !== undefined) throw usage("Give --removals or --until, not both");
  if (until !== undefined) {
    const at = Date.parse(until);
    if (!(at > Date.now())) throw usage("--until must be a time to come, such as 2030-01-31T18:00:00Z");
    return { letThrough: "until", until: at };
  }
  if (removals === undefined) return { letThrough: "once" };
  const count = Number(removals);
  if (!Number.isInteger(count) || count < 1) throw usage("--removals must be a whole number above 0");
  return { letThrough: "once", removals: count };
}

async function letThrough({ gateway, values }) {
  const brake = await gateway.operate("POST", ".brake", { body: wanted(values) });
  return values.json ? printJson(brake) : show(brake);
}

async function takeBack({ gateway, values }) {
  const brake = await gateway.operate("POST", ".brake", { body: { letThrough: "none" } });
  return values.json ? printJson(brake) : show(brake);
}

async function setMode({ gateway, words: [identifier, mode], values }) {
  if (!MODES.includes(mode)) throw usage(`A mode is one of ${MODES.join(", ")}`);
  const path = `/ng/api/serviceaccount/${encodeURIComponent(identifier)}`;
  const { name, email, description, tags } = await gateway.admin("GET", path);
  const changed = await gateway.admin("PUT", path, { body: { identifier, name, email, description, tags, mode } });
  if (values.json) return printJson(changed);
  print(`${plain(identifier)} is ${plain(changed.mode)}`);
  return note("In force everywhere within 120 seconds.");
}

/** The commands. */
export const brake = [
  { name: "brake status", usage: "", about: "show the brake on removals: what it has counted, stopped and lets through", arguments: [0, 0], run: status },
  {
    name: "brake let-through",
    usage: "",
    about: "let removals through that the brake stops",
    details: "Without an option: as many as were stopped, within an hour.",
    options: {
      removals: { type: "string", value: "N", about: "so many, within an hour" },
      until: { type: "string", value: "TIME", about: "all until a time, at most a day away" },
    },
    arguments: [0, 0],
    run: letThrough,
  },
  { name: "brake take-back", usage: "", about: "let nothing through any more", arguments: [0, 0], run: takeBack },
];

export const mode = {
  name: "service-accounts mode",
  usage: "IDENTIFIER MODE",
  about: "set how much of its permissions a service account uses",
  details: "normal; append-only: it adds and changes, and removes nothing; shadow: its writes are answered and recorded, and change nothing.",
  arguments: [2, 2],
  run: setMode,
};
