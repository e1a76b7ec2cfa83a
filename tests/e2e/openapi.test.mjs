// The document that is served, held against the gateway: schemathesis makes requests from it, good and bad ones,
// and checks that each answer is one that the document has.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { pythonSuites } from "../../js/python.mjs";
import { root } from "../../js/tools.mjs";
import { start } from "./harness.mjs";

const bin = await pythonSuites();
const CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

test("the document is served as it is in the repository", async (t) => {
  const gateway = await start();
  t.after(() => gateway.stop());
  const answer = await fetch(`${gateway.url}/openapi.json`);
  assert.equal(answer.headers.get("content-type"), "application/json");
  assert.deepEqual(await answer.json(), JSON.parse(readFileSync(join(root, "docs", "openapi.json"), "utf8")));
});

test("schemathesis finds no violation", { skip: bin ? false : "there is no python3 here" }, async (t) => {
  const gateway = await start();
  t.after(() => gateway.stop());
  await gateway.account("acc");
  const args = ["run", `${gateway.url}/openapi.json`, "--header", `x-api-key: ${gateway.rootKey}`];
  args.push("--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "7");
  // It would take the account away that the other calls are about.
  args.push("--exclude-path", "/ng/api/accounts/{account}");
  args.push("--generation-database", "none", "--no-color", "--request-timeout", "20", "--suppress-health-check", "all");
  // Its cache of findings goes away with the gateway's folder.
  const options = { cwd: gateway.folder, timeout: 270_000, maxBuffer: 1 << 26 };
  const ran = await promisify(execFile)(join(bin, "schemathesis"), args, options)
    .then(({ stdout }) => ({ code: 0, stdout }))
    .catch(({ code, stdout, stderr }) => ({ code, stdout: `${stdout}${stderr}` }));
  console.log(ran.stdout.split("\n").filter((line) => /generated|Test cases|Seed|API Operations|passed/.test(line)).join("\n"));
  assert.equal(ran.code, 0, ran.stdout.slice(-20_000));
});
