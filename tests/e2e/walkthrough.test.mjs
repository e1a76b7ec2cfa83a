// That every command that `npm start` prints does what it says.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { serveDemo } from "../../js/demo/demo.mjs";
import { walkthrough } from "../../js/demo/walkthrough.mjs";
import { start } from "./harness.mjs";

test("the printed commands, pasted one after another into one shell", async (t) => {
  const gateway = await start();
  t.after(() => gateway.stop());
  const demo = await serveDemo({ gateway, port: 0, state: join(gateway.folder, "demo") });
  t.after(() => demo.stop());
  const steps = walkthrough({ gateway: gateway.url, rootKey: gateway.rootKey, ...demo });
  const script = steps.map(({ command }) => `${command}\nprintf '\\n=====\\n'`).join("\n");
  const { stdout } = await promisify(execFile)("bash", ["-c", script]);
  const printed = stdout.split("\n=====\n");
  for (const [index, { title, shows }] of steps.entries()) {
    await t.test(title, () => assert.match(printed[index], shows));
  }
});
