// The command line on the copy of an origin.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { commandLine } from "./command-line.mjs";
import { USER, isHit, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const gateway = await start();
after(() => gateway.stop());
const { cli, done, json, fails } = commandLine(gateway, "record");

/** An origin of our own kind, with people in it, and an account that is a copy of it. */
async function copy(t, name, people) {
  const origin = await start();
  t.after(() => origin.stop());
  const record = await origin.account(name);
  for (let index = 0; index < people; index += 1) {
    await record.call("POST", "/Users", { schemas: [USER], userName: `user-${index}` });
  }
  const authorization = `Bearer ${await origin.admin(name).mint("provisioner")}`;
  const client = await gateway.account(name, { scim_origin_url: record.base, scim_origin_authorization: authorization });
  await until(async () => isHit(await client.get("/Users?count=1")));
  return record;
}

test("replica: what the copy is, what differs from the origin, and how it is made anew", async (t) => {
  await gateway.account("record");
  const plain = await done(["replica", "status"]);
  assert.match(plain, /^mode +system of record$/m);
  await fails(4, /no copy of an origin/, ["replica", "resync"]);
  await fails(4, /no copy of an origin/, ["replica", "diff"]);
  const record = await copy(t, "copied", 5);
  const of = ["--account", "copied"];
  const status = await done(["replica", "status", ...of]);
  assert.match(status, /^mode +copy of an origin\nstate +live\nusers +5\ngroups +0\nage +\d+ s \(at most 900 s\)$/m);
  assert.match(status, /^origin +127\.0\.0\.1:\d+, up$/m);
  assert.equal((await json(["replica", "status", ...of])).users, 5);
  assert.match(await done(["replica", "diff", ...of]), /^users +5 +5\ngroups +0 +0\n\nNo differences\n$/m);
  const late = await record.call("POST", "/Users", { schemas: [USER], userName: "late" });
  const differs = await cli(["replica", "diff", ...of]);
  assert.equal(differs.code, 6, differs.err);
  assert.match(differs.out, new RegExp(`^missing +User +${late.body.id}$`, "m"));
  await fails(2, /This replaces 5 users and 0 groups .* Confirm it with --confirm "replace 5 users and 0 groups"/, ["replica", "resync", ...of]);
  await fails(4, /To do so/, ["replica", "resync", ...of, "--confirm", "replace 4 users and 0 groups"]);
  const remade = await cli(["replica", "resync", ...of, "--confirm", "replace 5 users and 0 groups"]);
  assert.equal(remade.code, 0, remade.err);
  assert.match(remade.out, /^users +6$/m);
  assert.match(remade.out, /^kept 0 +copy of 127\.0\.0\.1:\d+, 5 users, 0 groups, until \d{4}-/m);
  assert.equal((await cli(["replica", "diff", ...of, "--json"])).code, 0);
});

test("settings set and replica undo: a change of the origin is confirmed with its numbers, and put back", async (t) => {
  await gateway.account("switched");
  const client = gateway.scim("switched", await gateway.admin("switched").mint("provisioner"));
  await client.call("POST", "/Users", { schemas: [USER], userName: "mine" });
  const it = await origin(2);
  t.after(() => it.stop());
  const of = ["--account", "switched"];
  const set = ["settings", "set", `scim_origin_url=${it.base}`, ...of];
  const asked = await cli(set);
  assert.equal(asked.code, 4, asked.err);
  assert.match(asked.out, /refused: This replaces 1 user and 0 groups .*"replace 1 user and 0 groups"/);
  await done([...set, "--confirm", "replace 1 user and 0 groups"]);
  await until(async () => /^users +2$/m.test(await done(["replica", "status", ...of])));
  const words = "put back 1 user and 0 groups in place of 2 users and 0 groups";
  await fails(2, new RegExp(`puts back the system of record.*--confirm "${words}"`), ["replica", "undo", ...of]);
  assert.match(await done(["replica", "undo", ...of, "--confirm", words]), /^mode +system of record$/m);
  assert.equal((await client.get("/Users")).body.Resources[0].userName, "mine");
});
