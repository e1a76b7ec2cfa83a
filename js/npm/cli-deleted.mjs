// `scim-edge deleted`, `history` and `erase`: single resources after their deletion, and before it.

import { check, confirmation } from "./cli-account.mjs";
import { CommandError, EXIT } from "./cli-gateway.mjs";
import { note, plain, print, printJson, table, time } from "./cli-output.mjs";

const usage = (message) => new CommandError(EXIT.usage, message);

/** `User` or `Group`, in any case. */
function typeOf(word) {
  const type = ["User", "Group"].find((one) => one.toLowerCase() === word.toLowerCase());
  if (!type) throw usage(`${plain(word)}: the type must be User or Group`);
  return type;
}

/** All pages of a call, up to a number of rows. */
async function pages(gateway, call, query, rows, most) {
  const found = [];
  let cursor;
  let page;
  do {
    page = await gateway.operate("GET", call, { query: { ...query, count: Math.min(1000, most - found.length), cursor } });
    found.push(...page[rows]);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined && found.length < most);
  return { page, found, more: cursor !== undefined };
}

function most({ count }) {
  const number = Number(count ?? 100);
  if (!(Number.isInteger(number) && number >= 1)) throw usage("--count must be a whole number above 0");
  return number;
}

async function list({ gateway, values }) {
  const query = { type: values.type && typeOf(values.type), userName: values.user, text: values.text };
  const { page, found, more } = await pages(gateway, ".deleted", query, "resources", most(values));
  if (values.json) return printJson(found);
  table(
    ["TYPE", "ID", "NAME", "DELETED", "BY", "FOUND BY"],
    found.map((one) => [one.type, one.id, one.userName ?? one.displayName, time(one.deletedAt), one.principal ?? "-", one.source]),
  );
  return note(`${more ? "There are more: --count. " : ""}Deleted resources can be restored for ${page.retentionDays} days.`);
}

async function restore({ gateway, words: [type, ...ids], values }) {
  const resources = ids.map((id) => ({ type: typeOf(type), id }));
  const body = { resources, ...(values["without-memberships"] && { memberships: false }) };
  const answer = await gateway.operate("POST", ".restore", { body });
  if (values.json) printJson(answer);
  else {
    for (const one of answer.restored) {
      const parts = [`${one.memberships} memberships`];
      if (one.waiting > 0) parts.push(`${one.waiting} wait for other deleted resources`);
      if (one.pending > 0) parts.push(`${one.pending} not added yet: restore again`);
      if (one.lost > 0) parts.push(`${one.lost} lost`);
      const moved = one.formerId === undefined ? "" : `, the origin gave it this id in the place of ${plain(one.formerId)}`;
      print(`${one.type} ${plain(one.id)} is restored with ${parts.join(", ")}${moved}`);
    }
    for (const one of answer.failed) print(`${one.type} ${plain(one.id)} is not restored: ${plain(one.detail ?? one.status)}`);
  }
  const { failed } = answer;
  if (failed.length > 0) {
    const exit = failed.some(({ status }) => status >= 500) ? EXIT.unavailable : EXIT.refused;
    throw new CommandError(exit, `${failed.length} of ${resources.length} not restored`);
  }
}

const names = ({ added = [], changed = [], removed = [], more } = {}) =>
  [...added.map((name) => `+${name}`), ...changed, ...removed.map((name) => `-${name}`), ...(more ? ["…"] : [])].join(" ");

async function history({ gateway, words: [type, id], values }) {
  const { page, found, more } = await pages(gateway, ".history", { type: typeOf(type), id }, "entries", most(values));
  if (values.json) return printJson({ ...page, entries: found, nextCursor: undefined });
  table(
    ["TIME", "BY", "OPERATION", "STATUS", "ATTRIBUTES", "REQUEST"],
    found.map((one) => [time(one.at), one.principal ?? "-", one.operation, one.status, names(one.attributes), one.requestId ?? "-"]),
  );
  if (page.deleted) note(`Deleted at ${time(page.deleted.deletedAt)}, found by ${page.deleted.source}: scim-edge deleted restore ${page.type} ${plain(id)}`);
  if (more) note("There is more: --count");
}

async function erase({ gateway, words: [type, id], values }) {
  const question = `The ${typeOf(type)} ${plain(id)} will be erased for good: its deletion, its history and its ids cannot be restored.`;
  const sentence = values.name === undefined ? undefined : `erase ${values.name}`;
  if (sentence === undefined) throw usage(`${question} Name it with --name: the userName of a user, the displayName of a group, or the id if no name is known any more`);
  check(await confirmation(values, question, sentence), sentence);
  const answer = await gateway.operate("POST", ".erase", { body: { type: typeOf(type), id, confirm: sentence } });
  if (values.json) return printJson(answer);
  print(`${typeOf(type)} ${plain(id)} is erased${answer.deletedAtOrigin ? ", at the origin too" : ""}`);
  for (const one of answer.references) print(`${one.type} ${plain(one.id)} still names it`);
  for (const one of answer.remains) note(`Not erased: ${one}`);
}

const count = { type: "string", value: "N", about: "how many rows at most (default 100)" };

export const deletedCommands = [
  {
    name: "deleted list",
    usage: "",
    about: "show deleted users and groups that can be restored",
    options: {
      type: { type: "string", value: "TYPE", about: "User or Group" },
      user: { type: "string", value: "USERNAME", about: "with this userName" },
      text: { type: "string", value: "TEXT", about: "with this text in the name, or this id or externalId" },
      count,
    },
    arguments: [0, 0],
    run: list,
  },
  {
    name: "deleted restore",
    usage: "TYPE ID…",
    about: "restore deleted users or groups with their memberships",
    options: { "without-memberships": { type: "boolean", about: "restore nothing of groups and members" } },
    arguments: [2, 101],
    run: restore,
  },
  {
    name: "history",
    usage: "TYPE ID",
    about: "show who changed a user or group, when, and which attributes",
    details: "+name was added, -name removed. Values are not kept.",
    options: { count },
    arguments: [2, 2],
    run: history,
  },
  {
    name: "erase",
    usage: "TYPE ID",
    about: "erase a user or group for good, at the origin too, with its history",
    options: {
      name: { type: "string", value: "NAME", about: "its userName or displayName" },
      confirm: { type: "string", value: "SENTENCE", about: '"erase NAME", if the command cannot ask' },
    },
    arguments: [2, 2],
    run: erase,
  },
];
