// The npm package as it would be published: packed, installed into a fresh project, used.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { serveIdp } from "../../js/demo/idp.mjs";
import { buildPackage } from "../../js/npm-build.mjs";

test("the packed package verifies tokens and matches filters in a fresh project", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "scim-edge-package-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const source = await buildPackage();
  const npm = (args, cwd) => execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const [{ filename, files }] = JSON.parse(npm(["pack", "--json", "--pack-destination", folder], source));
  assert.deepEqual(
    files.map((file) => file.path).sort(),
    ["README.md", "index.d.ts", "index.mjs", "node.mjs", "package.json", "wasm/scim_edge.js", "wasm/scim_edge_bg.wasm"],
  );
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  npm(["install", "--offline", "--no-audit", "--no-fund", join(folder, filename)], folder);

  const idp = await serveIdp({ port: 0, state: join(folder, "idp") });
  t.after(() => idp.stop());
  const input = {
    keys: await (await fetch(`${idp.url}/keys`)).json(),
    tokens: [await idp.mint({ sub: "client" }), await idp.mint({ sub: "client" }, { alg: "ES256" }), await idp.mint({ sub: "x" })],
  };
  writeFileSync(join(folder, "input.json"), JSON.stringify(input));
  writeFileSync(
    join(folder, "use.mjs"),
    `import { readFileSync } from "node:fs";
     import { ScimEdgeError, matchFilter, verifyToken } from "scim-edge";
     const { keys, tokens } = JSON.parse(readFileSync("input.json"));
     const rules = [{ name: "r", jwksUrl: "https://idp.example.com", claims: [{ field: "sub", value: "client" }], serviceAccount: "sa", clockSkewSeconds: 30 }];
     const decisions = tokens.map((token) => verifyToken({ token, rules, keys }));
     const late = verifyToken({ token: tokens[0], rules, keys, now: Date.now() + 7200_000 });
     const user = { userName: "DÄVE", emails: [{ type: "work", value: "d@example.com" }] };
     let code;
     try { matchFilter("userName eq", user); } catch (error) { code = error instanceof ScimEdgeError && error.code; }
     console.log(JSON.stringify([decisions.map((d) => d.allow), decisions[2].reason, late.reason, matchFilter('userName eq "däve"', user), code]));`,
  );
  const printed = execFileSync(process.execPath, ["use.mjs"], { cwd: folder, encoding: "utf8" });
  assert.deepEqual(JSON.parse(printed), [[true, true, false], "claim_mismatch", "expired", true, "invalid_filter"]);
});
