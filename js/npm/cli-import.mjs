// `scim-edge import`: an export taken over into an account.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { confirmation } from "./cli-account.mjs";
import { linesOf, readManifest } from "./cli-export.mjs";
import { CommandError, EXIT } from "./cli-gateway.mjs";
import { note, plain, print, printJson, progress, time } from "./cli-output.mjs";

const usage = (message) => new CommandError(EXIT.usage, message);

/** How much goes in one request; the gateway takes twice that. */
const BYTES = 1 << 20;
const LINES = 1_000;

/** How often in a row a request may fail before the import is given up. */
const ATTEMPTS = 6;

/** The manifest of a file: its last line. */
async function manifestOf(path) {
  const size = await stat(path).then(({ size }) => size, (error) => {
    throw usage(`${path}: ${error.code === "ENOENT" ? "there is no such file" : error.message}`);
  });
  let last = "";
  for await (const line of linesOf(createReadStream(path, { start: Math.max(0, size - 16_384) }))) if (line.trim() !== "") last = line;
  try {
    const line = JSON.parse(last);
    if (line.type === "Manifest") return { line: last, ...readManifest(line) };
  } catch {
    // Said below.
  }
  throw usage(`${path} does not end with a manifest: it is no export, or one that is not finished`);
}

/** Parts of a file, each of some lines, behind as many as have come already. */
async function* chunksOf(path, position) {
  let [chunk, bytes, lines, at] = ["", 0, 0, 0];
  for await (const line of linesOf(createReadStream(path))) {
    at += 1;
    if (at <= position) continue;
    const length = Buffer.byteLength(line);
    if (lines > 0 && (bytes + length > BYTES || lines >= LINES)) {
      yield { position: at - 1 - lines, chunk };
      [chunk, bytes, lines] = ["", 0, 0];
    }
    chunk += line;
    bytes += length;
    lines += 1;
  }
  if (lines > 0) yield { position: at - lines, chunk };
}

/** Asks again where the gateway cannot answer just now. */
async function patiently(ask) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (error.exit !== EXIT.unavailable || attempt >= ATTEMPTS) throw error;
      await sleep(2 ** attempt * 250);
    }
  }
}

async function run({ gateway, values, words: [path] }) {
  const manifest = await manifestOf(path);
  // The same export goes on in the same session.
  const session = createHash("sha256").update(manifest.line).digest("base64url").slice(0, 32);
  const call = (options) => patiently(() => gateway.upload(".import", options));
  let known = await call({ query: { session } }).catch((error) => {
    if (error.status === 404) return undefined;
    throw error;
  });
  if (known?.committed) known = undefined;
  const bar = progress("Importing");
  try {
    for await (const { position, chunk } of chunksOf(path, known?.position ?? 0)) {
      known = await call({ query: { session, position }, lines: chunk });
      bar.show({ copied: known.users + known.groups, total: manifest.users + manifest.groups });
    }
  } finally {
    bar.end();
  }
  const mode = values.mode ?? "empty";
  const body = { mode, confirm: values.confirm, trustKey: values["trust-key"], configuration: !values["no-configuration"] };
  const commit = () => call({ query: { session }, body });
  const done = await commit().catch(async (error) => {
    const [, wanted] = /The confirmation must be "(.+)"/.exec(error.message) ?? [];
    if (!wanted || values.confirm !== undefined) throw error;
    body.confirm = await confirmation(values, `The account ${gateway.account} has resources.`, wanted);
    return commit();
  });
  if (values.json) return printJson(done);
  print(`${done.users} users, ${done.groups} groups with ${done.members} members, ${done.configuration} things of the configuration`);
  if (done.membersLeftOut > 0) note(`${done.membersLeftOut} members were left out: nobody is behind them`);
  if (mode !== "empty") note(`What was there can be put back until ${time(done.undoUntil)}: scim-edge replica undo`);
  return note(`Exported from ${plain(manifest.account)} at ${time(manifest.ended)}`);
}

export const importCommand = {
  name: "import",
  usage: "FILE",
  about: "take an export over; nothing is visible before all of it is checked",
  details: "An import that was interrupted goes on where it was. API keys and the origin's secrets are in no export.",
  options: {
    mode: { type: "string", value: "MODE", about: "empty (the default), replace or merge: what becomes of those who are there" },
    confirm: { type: "string", value: "TEXT", about: "the confirmation that the gateway asks for, where nobody can be asked" },
    "trust-key": { type: "string", value: "KEY", about: "the public key of the deployment that has signed the export, if it is another one" },
    "no-configuration": { type: "boolean", about: "schemas, users and groups only" },
  },
  arguments: [1, 1],
  run,
};
