// docs/walk.md, command by command: each prints what the document says, and all of them can be typed in ten minutes.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { root } from "../../js/tools.mjs";
import { build } from "../../js/build.mjs";
import { until } from "./harness.mjs";

const text = readFileSync(join(root, "docs", "walk.md"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "scim-edge-walk-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** The commands, each with what is printed, where the document says so. */
const steps = [...text.matchAll(/```sh\n([^]*?)```\n(?:\n```text\n([^]*?)```)?/g)].map(([, command, shown]) => ({ command, shown }));

/** What is printed as a pattern: `…` is anything in a line, or, alone, any lines. */
function pattern(shown) {
  const line = (one) => one.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/ +/g, " +")).join(".*");
  return new RegExp(`^\\s*${shown.trimEnd().split("\n").map((one) => (one === "…" ? "(?:.*\\n)*?" : `${line(one)} *\\n`)).join("")}\\s*$`);
}

/** `npm start` as the document has it, on other ports and with data of its own. */
async function start(t, { command, shown }) {
  const [, key] = /^export ROOT_API_KEY=(\S+)\nnpm start\n$/.exec(command);
  await build();
  const env = { ...process.env, ROOT_API_KEY: key };
  const child = spawn(process.execPath, [join(root, "js", "start.mjs"), "--port", "0", "--state", folder], { env });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  t.after(() => {
    child.kill("SIGTERM");
    return ended;
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (printed += chunk));
  await until(() => printed.includes("Ctrl-C") || child.exitCode !== null, 120);
  const gateway = /serves (\S+)/.exec(printed)?.[1];
  const idp = /identity provider: (\S+)/.exec(printed)?.[1];
  const here = (one) => one.replaceAll("http://127.0.0.1:8787", gateway).replaceAll("http://127.0.0.1:8789", idp);
  assert.match(printed, pattern(here(shown)));
  return here;
}

test("the walk, step by step", async (t) => {
  const [first, ...rest] = steps;
  const here = await start(t, first);
  const script = rest.map(({ command }) => `${here(command)}\necho '====='`).join("\n");
  const { stdout } = await promisify(execFile)("bash", ["-c", `exec 2>&1\n${script}`], { cwd: root });
  const printed = stdout.split("=====\n");
  for (const [index, { command, shown }] of rest.entries()) {
    await t.test(command.split("\n")[0], () => assert.match(printed[index], shown === undefined ? /^$/ : pattern(here(shown))));
  }
});

test("ten minutes of typing, and not more", () => {
  const typed = steps.reduce((sum, { command }) => sum + command.length, 0);
  console.log(`${steps.length} steps, ${typed} characters: ${(typed / 200).toFixed(1)} minutes at 200 a minute`);
  assert.ok(steps.length >= 9 && typed / 200 < 10, `${typed} characters`);
});
