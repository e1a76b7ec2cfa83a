// The commands about deleted resources, history and erasure against a real gateway.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { commandLine } from "./command-line.mjs";
import { GROUP, USER, start } from "./harness.mjs";

const gateway = await start();
after(() => gateway.stop());
const { cli, done, json, fails } = commandLine(gateway, "acme");

test("deleted list, deleted restore, history and erase: a user through all of them", async () => {
  const client = await gateway.account("acme");
  const { id } = (await client.call("POST", "/Users", { schemas: [USER], userName: "ann" })).body;
  const group = { schemas: [GROUP], displayName: "Staff", members: [{ value: id }] };
  assert.equal((await client.call("POST", "/Groups", group)).status, 201);
  assert.equal((await client.call("DELETE", `/Users/${id}`)).status, 204);
  assert.match(await done(["deleted", "list", "--type", "user", "--user", "ANN"]), new RegExp(`^TYPE .*\nUser +${id} +ann +\\S+Z +provisioner +gateway\n$`));
  assert.deepEqual((await json(["deleted", "list", "--text", "nobody"])), []);
  await fails(2, /must be User or Group/, ["deleted", "restore", "robot", id]);
  assert.match(await done(["deleted", "restore", "user", id]), /is restored with 1 memberships\n$/);
  const again = await cli(["deleted", "restore", "User", id, "nobody"]);
  assert.equal(again.code, 4, again.err);
  assert.match(again.out, /is not restored: the User with this id is not deleted/);
  const shown = await done(["history", "User", id]);
  assert.match(shown, /root +user\.restore +200/);
  assert.match(shown, /provisioner +user\.create +201 +\+userName /);
  assert.equal((await json(["history", "User", id])).entries.length, 3);
  await fails(2, /will be erased for good.*--name/, ["erase", "User", id]);
  await fails(2, /Confirm it with --confirm "erase ann"/, ["erase", "User", id, "--name", "ann"]);
  await fails(4, /Not confirmed, nothing was changed/, ["erase", "User", id, "--name", "ann", "--confirm", "erase"]);
  await fails(4, /confirm must be the word erase/, ["erase", "User", id, "--name", "bob", "--confirm", "erase bob"]);
  assert.equal((await client.get(`/Users/${id}`)).status, 200);
  assert.match(await done(["erase", "User", id, "--name", "ann", "--confirm", "erase ann"]), /is erased\n$/);
  assert.equal((await client.get(`/Users/${id}`)).status, 404);
  await fails(4, /with this id, or a trace of one/, ["history", "User", id]);
});
