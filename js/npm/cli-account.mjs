// `scim-edge account`: the deletion of an account, and its undoing, with the root key.

import { createInterface } from "node:readline/promises";
import { CommandError, EXIT } from "./cli-gateway.mjs";
import { plain, print, printJson, time } from "./cli-output.mjs";

const usage = (message) => new CommandError(EXIT.usage, message);

/** The sentence that confirms: from the command line, or typed by somebody who sees the question. */
export async function confirmation(values, question, sentence) {
  if (values.confirm !== undefined) return values.confirm;
  if (!process.stdin.isTTY) throw usage(`${question} Confirm it with --confirm "${sentence}"`);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question(`${question}\nType ${sentence} to confirm: `);
  } finally {
    lines.close();
  }
}

/** Ends a command whose confirmation is another. */
export function check(given, sentence) {
  if (given.trim() !== sentence) throw new CommandError(EXIT.refused, `Not confirmed, nothing was changed: the confirmation is "${sentence}"`);
}

async function remove({ gateway, values }) {
  const { account } = gateway;
  const lasting = values.final ? "This cannot be undone." : "It can be undone for a day.";
  check(await confirmation(values, `The account ${account} will be deleted with all that it holds. ${lasting}`, account), account);
  const { undoableUntil } = await gateway.accounts("DELETE", "", { body: { confirm: account, undoable: !values.final } });
  if (values.json) return printJson({ account, undoableUntil });
  const rest = undoableUntil === null ? "for good" : `and can be put back until ${time(undoableUntil)}: scim-edge account undelete`;
  return print(`${plain(account)} is deleted, ${rest}`);
}

async function undelete({ gateway, values }) {
  const data = await gateway.accounts("POST", "/.undelete");
  return values.json ? printJson(data) : print(`${plain(data.account)} is as it was`);
}

export const accountCommands = [
  {
    name: "account delete",
    usage: "",
    about: "delete the account; asks for its name (root key)",
    details: "For a day the account can be put back as it was; nobody uses its name meanwhile.",
    options: {
      confirm: { type: "string", value: "ACCOUNT", about: "the account's name, where nobody can be asked" },
      final: { type: "boolean", about: "for good at once, also an account that could still be put back" },
    },
    arguments: [0, 0],
    run: remove,
  },
  { name: "account undelete", usage: "", about: "put a deleted account back as it was (root key)", arguments: [0, 0], run: undelete },
];
