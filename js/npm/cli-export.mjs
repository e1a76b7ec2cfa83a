// `scim-edge export`: the whole account as lines of JSON, in a file or on standard output.

import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { CommandError, EXIT } from "./cli-gateway.mjs";
import { note, plain, printJson, progress } from "./cli-output.mjs";

/** How often in a row nothing may come before the export is given up. */
const ATTEMPTS = 6;

/** The lines of a stream of bytes, with their ends; the last one may have none. */
export async function* linesOf(stream) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    let begin = 0;
    for (let end; (end = rest.indexOf("\n", begin)) >= 0; begin = end + 1) yield rest.slice(begin, end + 1);
    rest = rest.slice(begin);
  }
  if (rest !== "") yield rest;
}

/** What a manifest says, and the public key that it names. */
export function readManifest(line) {
  const [header, payload] = line.jws.split(".").map((part) => Buffer.from(part, "base64url").toString());
  return { ...JSON.parse(payload), key: JSON.parse(header).jwk.x };
}

/** Where a file that was begun goes on: how long its good part is, and behind which checkpoint. */
async function placeIn(path) {
  const place = { length: 0, after: undefined, manifest: undefined };
  let length = 0;
  for await (const line of linesOf(createReadStream(path))) {
    length += Buffer.byteLength(line);
    if (!line.endsWith("\n")) break;
    if (line.startsWith('{"type":"Checkpoint"')) Object.assign(place, { length, after: JSON.parse(line).after });
    if (line.startsWith('{"type":"Manifest"')) Object.assign(place, { length, manifest: JSON.parse(line) });
  }
  return place;
}

/** Writes an export from where it is. Each page is written once it has come whole, with its checkpoint. */
async function write(gateway, place, put) {
  const bar = progress("Exporting");
  let [lines, failures] = [0, 0];
  try {
    for (;;) {
      let page = [];
      try {
        for await (const line of linesOf(await gateway.download(".export", { after: place.after }))) {
          if (!line.endsWith("\n")) break;
          page.push(line);
          const isEnd = line.startsWith('{"type":"Manifest"');
          if (!isEnd && !line.startsWith('{"type":"Checkpoint"')) continue;
          await put(page.join(""));
          lines += page.length;
          failures = 0;
          bar.show({ copied: lines, unit: " lines" });
          if (isEnd) return JSON.parse(line);
          place.after = JSON.parse(line).after;
          page = [];
        }
      } catch (error) {
        // A refusal stays one.
        if (error instanceof CommandError && error.exit !== EXIT.unavailable) throw error;
        if (failures + 1 >= ATTEMPTS) throw new CommandError(EXIT.unavailable, `The export broke off: ${error.cause?.message ?? error.message}. Go on with --resume`);
      }
      failures += 1;
      if (failures >= ATTEMPTS) throw new CommandError(EXIT.unavailable, "The export does not go on. Try again later with --resume");
      if (failures > 1) await sleep(2 ** failures * 250);
    }
  } finally {
    bar.end();
  }
}

async function run({ gateway, values }) {
  const { output, resume } = values;
  if (resume && output === undefined) throw new CommandError(EXIT.usage, "--resume goes with --output");
  let manifest;
  if (output === undefined) {
    const put = (text) => new Promise((resolve, reject) => process.stdout.write(text, (error) => (error ? reject(error) : resolve())));
    manifest = await write(gateway, {}, put);
  } else {
    const file = await open(output, resume ? "r+" : "wx", 0o600).catch((error) => {
      const why = { EEXIST: "it is there already: go on with --resume, or choose another name", ENOENT: "there is no such file" }[error.code];
      throw new CommandError(EXIT.usage, `${output}: ${why ?? error.message}`);
    });
    try {
      const place = resume ? await placeIn(output) : { length: 0 };
      await file.truncate(place.length);
      let at = place.length;
      const put = async (text) => {
        at += (await file.write(text, at)).bytesWritten;
      };
      manifest = place.manifest ?? (await write(gateway, place, put));
      await file.sync();
    } finally {
      await file.close();
    }
  }
  const read = readManifest(manifest);
  if (values.json && output !== undefined) return printJson(read);
  note(`${read.users} users, ${read.groups} groups with ${read.members} members, signed by the key ${plain(read.key)}`);
  if (read.writesMeanwhile !== 0) {
    const count = read.writesMeanwhile ?? "An unknown number of";
    note(`${count} writes were made meanwhile: the export is not of one moment`);
  }
  return undefined;
}

export const exportCommand = {
  name: "export",
  usage: "",
  about: "write the account to a file: configuration without secrets, users, groups",
  details: "Lines of JSON with a signed manifest at the end. A connection that breaks off is gone on with.",
  options: {
    output: { type: "string", value: "FILE", about: "a new file; without it, standard output" },
    resume: { type: "boolean", about: "go on with the file where it broke off" },
  },
  arguments: [0, 0],
  run,
};
