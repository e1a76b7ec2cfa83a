#!/usr/bin/env node
// The operators' command line: reads what was asked for, runs it, and ends with a code that says how it went.

import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { COMMANDS } from "./cli-commands.mjs";
import { CommandError, EXIT, connect } from "./cli-gateway.mjs";
import { note } from "./cli-output.mjs";

/** Options that every command has. */
const COMMON = {
  url: { type: "string", value: "URL", about: "the gateway (environment: SCIM_EDGE_URL)" },
  account: { type: "string", value: "ACCOUNT", about: "the account (environment: SCIM_EDGE_ACCOUNT)" },
  "key-file": { type: "string", value: "FILE", about: "holds the API key, - is standard input (environment: SCIM_EDGE_KEY, the key itself)" },
  json: { type: "boolean", about: "the gateway's own JSON in the place of tables" },
  help: { type: "boolean", short: "h", about: "this text" },
};

const CODES = `Exit codes:
  0  done
  1  failed in a way that nobody foresaw
  2  the command line is wrong
  3  the key is not good, or lacks a permission
  4  the gateway refused: no such thing, a bad value, a conflict
  5  the gateway cannot be reached, or cannot answer now
  6  done, and the answer is no: the token is refused, the copy differs`;

const width = Math.max(...COMMANDS.map(({ name, usage }) => `${name} ${usage}`.length));

/** The help of everything, or of the commands that begin with a word. */
function overview(word) {
  const shown = COMMANDS.filter(({ name }) => !word || name.split(" ")[0] === word);
  const lines = shown.map(({ name, usage, about }) => `  ${`${name} ${usage}`.padEnd(width)}  ${about}`);
  return `scim-edge COMMAND [options]: operates a scim-edge gateway.

${lines.join("\n")}

Options of every command:
${options(COMMON)}

The key never stands on the command line, where others would see it.
scim-edge COMMAND --help tells more.

${CODES}`;
}

function helpOf({ name, usage, about, details, options: own = {} }) {
  const sections = [`scim-edge ${name} ${usage}`.trim(), about];
  if (details) sections.push(details);
  if (Object.keys(own).length > 0) sections.push(`Options:\n${options(own)}`);
  sections.push(`Options of every command:\n${options(COMMON)}`, CODES);
  return sections.join("\n\n");
}

function options(table) {
  const rows = Object.entries(table).map(([name, { short, value, about }]) => [
    `--${name}${value ? ` ${value}` : ""}${short ? `, -${short}` : ""}`,
    about,
  ]);
  return rows.map(([left, about]) => `  ${left.padEnd(20)}  ${about}`).join("\n");
}

/** The command that the first words name, and the words after it. */
function find(words) {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(" ");
    const command = COMMANDS.find((one) => one.name === name);
    if (command) return { command, rest: words.slice(length) };
  }
  return undefined;
}

const usageError = (message) => new CommandError(EXIT.usage, message);

/** Standard input, which can be read once only. */
function inputs() {
  let taken = false;
  return {
    async read(path) {
      if (path !== "-") {
        try {
          return readFileSync(path, "utf8");
        } catch (error) {
          throw usageError(`${path}: ${error.code === "ENOENT" ? "there is no such file" : error.message}`);
        }
      }
      if (taken) throw usageError("standard input is asked for twice: give one of the two as a file");
      taken = true;
      if (process.stdin.isTTY) note("Paste it here, then Ctrl-D:");
      return text(process.stdin);
    },
  };
}

async function main(words) {
  if (words.length === 0) throw usageError(overview());
  const found = find(words);
  if (!found) {
    const asks = ["help", "--help", "-h"];
    const word = words.find((one) => !asks.includes(one));
    const isGroup = COMMANDS.some(({ name }) => name.split(" ")[0] === word);
    if (words.some((one) => asks.includes(one)) && (!word || isGroup)) return process.stdout.write(`${overview(word)}\n`);
    throw usageError(`There is no command ${words.slice(0, 2).join(" ")}\n\n${overview(isGroup ? word : undefined)}`);
  }
  const { command, rest } = found;
  const help = helpOf(command);
  const allowed = { ...command.options, ...COMMON };
  let parsed;
  try {
    const known = Object.entries(allowed).map(([name, { type, short, multiple }]) => [name, { type, ...(short && { short }), ...(multiple && { multiple }) }]);
    parsed = parseArgs({ args: rest, allowPositionals: true, options: Object.fromEntries(known) });
  } catch (error) {
    throw usageError(`${error.message}\n\n${help}`);
  }
  const { values, positionals } = parsed;
  if (values.help) return process.stdout.write(`${help}\n`);
  const [least, most] = command.arguments;
  if (positionals.length < least || positionals.length > most) throw usageError(help);
  const input = inputs();
  const key = values["key-file"] === undefined ? process.env.SCIM_EDGE_KEY : await input.read(values["key-file"]);
  const gateway = connect({
    url: values.url ?? process.env.SCIM_EDGE_URL,
    account: values.account ?? process.env.SCIM_EDGE_ACCOUNT,
    key: key?.trim(),
  });
  return command.run({ gateway, input, values, words: positionals });
}

// A reader that has seen enough, as `head` has.
process.stdout.on("error", (error) => process.exit(error.code === "EPIPE" ? EXIT.done : EXIT.failed));

try {
  process.exitCode = (await main(process.argv.slice(2))) === EXIT.no ? EXIT.no : EXIT.done;
} catch (error) {
  note(error instanceof CommandError ? error.message : (error?.stack ?? String(error)));
  process.exitCode = error instanceof CommandError ? error.exit : EXIT.failed;
}
