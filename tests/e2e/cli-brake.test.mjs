// The command line on the brake, and on the modes of service accounts.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { commandLine } from "./command-line.mjs";
import { USER, start } from "./harness.mjs";

const gateway = await start();
after(() => gateway.stop());
const { done, json, fails } = commandLine(gateway, "braked");

const user = (userName) => ({ schemas: [USER], userName, active: true });

test("brake: its state, and what an operator lets through", async () => {
  const client = await gateway.account("braked", { scim_brake_removals_per_hour: "1", scim_brake_removals_percent: "0", scim_brake_least_resources: "2" });
  const ids = [];
  for (let n = 0; n < 6; n += 1) ids.push((await client.call("POST", "/Users", user(`user-${n}`))).body.id);
  const remove = async () => (await client.call("DELETE", `/Users/${ids.pop()}`)).status;
  assert.match(await done(["brake", "status"]), /^state +watching\nlimit +1 an hour and 0 percent, from 2 resources on\nusers +0 deleted, 0 deactivated of 6 within an hour$/m);
  await fails(4, /Nothing was stopped/, ["brake", "let-through"]);
  assert.deepEqual([await remove(), await remove()], [204, 429]);
  assert.match(await done(["brake", "status"]), /^state +stopping\n[^]*^stopped +1 requests since /m);
  assert.match(await done(["replica", "status"]), /^brake +stopping$/m);
  assert.match(await done(["brake", "let-through"]), /^state +letting-through\n[^]*^let through +1 until .*, by root$/m);
  assert.equal((await json(["brake", "let-through", "--removals", "2"])).letThrough.removals, 2);
  assert.equal((await json(["brake", "let-through", "--until", new Date(Date.now() + 60_000).toISOString()])).letThrough.removals, undefined);
  assert.equal(await remove(), 204);
  assert.equal((await json(["brake", "take-back"])).letThrough, null);
  await fails(2, /a time to come/, ["brake", "let-through", "--until", "yesterday"]);
  await fails(2, /whole number/, ["brake", "let-through", "--removals", "many"]);
  await fails(2, /not both/, ["brake", "let-through", "--removals", "1", "--until", "2030-01-01"]);
});

test("service-accounts mode: an identity provider that is being tried", async () => {
  await done(["service-accounts", "create", "new_idp"]);
  assert.equal(await done(["service-accounts", "mode", "new_idp", "shadow"]), "new_idp is shadow\n");
  assert.match(await done(["service-accounts", "list"]), /^new_idp +new_idp +_scim_provisioner +shadow$/m);
  const shadow = gateway.scim("braked", await gateway.admin("braked").mint("new_idp"));
  const made = await shadow.call("POST", "/Users", user("shadowed"));
  assert.equal(made.status, 201);
  assert.equal((await shadow.get(`/Users/${made.body.id}`)).status, 404);
  await fails(2, /one of normal, append-only, shadow/, ["service-accounts", "mode", "new_idp", "quiet"]);
  assert.equal((await json(["service-accounts", "mode", "new_idp", "normal"])).mode, "normal");
  assert.equal((await shadow.call("POST", "/Users", user("made"))).status, 201);
  assert.equal((await shadow.get('/Users?filter=userName eq "made"')).body.totalResults, 1);
});
