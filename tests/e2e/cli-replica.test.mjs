// The command line on the copy of an origin.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { commandLine } from "./command-line.mjs";
import { USER, isHit, start, until } from "./harness.mjs";

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
  const remade = await cli(["replica", "resync", ...of]);
  assert.equal(remade.code, 0, remade.err);
  assert.match(remade.out, /^users +6$/m);
  assert.equal((await cli(["replica", "diff", ...of, "--json"])).code, 0);
});
