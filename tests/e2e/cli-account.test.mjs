// The account commands of the command line against a real gateway.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { commandLine } from "./command-line.mjs";
import { start } from "./harness.mjs";

const gateway = await start();
after(() => gateway.stop());
const { done, json, fails } = commandLine(gateway, "acme");

test("account delete: asks for the name, and account undelete puts the account back", async () => {
  const client = await gateway.account("acme");
  await fails(2, /It can be undone for a day\. Confirm it with --confirm "acme"/, ["account", "delete"]);
  await fails(4, /Not confirmed, nothing was changed/, ["account", "delete", "--confirm", "acmee"]);
  assert.equal((await client.get("/Users")).status, 200);
  const key = await gateway.admin("acme").mint("provisioner");
  await fails(3, /valid key/, ["account", "delete", "--confirm", "acme"], { env: { SCIM_EDGE_KEY: key } });
  assert.match(await done(["account", "delete", "--confirm", "acme"]), /^acme is deleted, and can be put back until \d{4}-.*: scim-edge account undelete\n$/);
  assert.equal((await client.get("/Users")).status, 401);
  assert.equal(await done(["account", "undelete"]), "acme is as it was\n");
  assert.equal((await client.get("/Users")).status, 200);
  assert.equal((await json(["account", "delete", "--confirm", "acme", "--final"])).undoableUntil, null);
  await fails(4, /Deleted account with identifier \[acme\] not found/, ["account", "undelete"]);
});
