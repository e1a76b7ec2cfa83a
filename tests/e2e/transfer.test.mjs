// Export and import of an account: what is in an export, that it is signed and can be gone on with, and that an import
// makes the same account of it or nothing.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import { EmbeddedJWK, compactVerify } from "jose";
import { GROUP, USER, server, start } from "./harness.mjs";

const gateway = await start();
after(() => gateway.stop());

const root = { "x-api-key": gateway.rootKey };
const user = (userName, more = {}) => ({ schemas: [USER], userName, ...more });
const group = (displayName, ids) => ({ schemas: [GROUP], displayName, members: ids.map((value) => ({ value })) });
const EXTENSION = "urn:example:Badge";

/** The lines of an export, and the text. */
async function exported(account, query = "", key = gateway.rootKey) {
  const response = await fetch(`${gateway.url}/ng/api/scim/account/${account}/.export${query}`, { headers: { "x-api-key": key } });
  assert.equal(response.status, 200, account);
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const text = await response.text();
  return { text, lines: text.trimEnd().split("\n").map((line) => JSON.parse(line)) };
}

/** The manifest, its signature checked by a library of its own. */
async function manifestOf({ lines }) {
  const { payload, protectedHeader } = await compactVerify(lines.at(-1).jws, EmbeddedJWK);
  assert.deepEqual([protectedHeader.alg, protectedHeader.typ], ["EdDSA", "scim-edge-export"]);
  return JSON.parse(new TextDecoder().decode(payload));
}

/** The digest of lines as docs/transfer.md says. */
function digestOf(text) {
  let digest = Buffer.alloc(32);
  for (const line of text.trimEnd().split("\n")) {
    if (!/^\{"type":"(Checkpoint|Manifest)"/.test(line)) digest = createHash("sha256").update(digest).update(`${line}\n`).digest();
  }
  return digest.toString("base64url");
}

/** An account with something of everything. */
async function filled(name, users = 7) {
  const client = await gateway.account(name, { scim_patch_answer: "empty", scim_origin_authorization: "Bearer planted-secret" });
  const calls = gateway.admin(name);
  await calls.data("POST", "/authz/api/roles", { identifier: "reader", name: "Reader", permissions: ["core_user_view"] });
  await calls.serviceAccount("watcher", "reader");
  const rule = { issuer: "https://idp.example.com", audiences: ["scim"], serviceAccount: "watcher" };
  await calls.data("PUT", "/ng/api/settings/jwt-rules/second", rule);
  await calls.serviceAccount("boss", "_account_admin");
  const boss = gateway.scim(name, await calls.mint("boss"));
  const badge = { id: EXTENSION, name: "Badge", attributes: [{ name: "number", type: "string", multiValued: false }] };
  assert.equal((await boss.call("PUT", `/Schemas/${EXTENSION}`, badge)).status, 201);
  const ids = [];
  for (let n = 0; n < users; n += 1) {
    const emails = [{ value: `person${n}@example.com`, type: "work", primary: true }];
    const badges = { schemas: [USER, EXTENSION], [EXTENSION]: { number: `${n}` } };
    ids.push((await client.call("POST", "/Users", user(`person${n}`, { emails, externalId: `x${n}`, active: n % 2 === 0, ...badges }))).body.id);
  }
  const staff = (await client.call("POST", "/Groups", group("Staff", ids.slice(0, 4)))).body;
  await client.call("POST", "/Groups", group("All", [staff.id, ids[6]]));
  const changed = { schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations: [{ op: "replace", path: "title", value: "\u00e9t\u00e9 \"x\"" }] };
  await client.call("PATCH", `/Users/${ids[1]}`, changed);
  await client.call("DELETE", `/Users/${ids[2]}`);
  return { client, calls, ids };
}

test("export: configuration without secrets, users, groups with members, and a signed manifest", async () => {
  const { client, calls } = await filled("whole");
  const made = await exported("whole");
  assert.ok(!made.text.includes("planted-secret") && !made.text.includes("scim_origin_authorization"));
  const types = made.lines.map(({ type }) => type).filter((type) => type !== "Checkpoint");
  assert.deepEqual(types, [
    "Export", "ServiceAccount", "ServiceAccount", "ServiceAccount", "Role", "RoleAssignment", "RoleAssignment", "RoleAssignment",
    "Setting", "JwtRule", "Schema", "User", "User", "User", "User", "User", "User", "Group", "Group", "Members", "Members", "Manifest",
  ]);
  const of = (type) => made.lines.filter((line) => line.type === type);
  const shown = (await client.get("/Users?count=100")).body.Resources;
  for (const [place, { resource, version, created, lastModified }] of of("User").entries()) {
    const { meta, groups, ...rest } = shown[place];
    assert.ok(groups === undefined || groups.length > 0);
    assert.deepEqual(resource, rest);
    assert.deepEqual([Date.parse(meta.created), Date.parse(meta.lastModified)], [created, lastModified]);
    assert.ok(meta.version.startsWith(`W/"${version}`));
  }
  const [staff, all] = (await client.get("/Groups")).body.Resources;
  const members = Object.fromEntries(of("Members").map((line) => [line.group, line.members.map(({ value, type }) => [value, type])]));
  for (const one of [staff, all]) assert.deepEqual(members[one.id], one.members.map(({ value, type }) => [value, type]));
  const manifest = await manifestOf(made);
  assert.deepEqual([manifest.account, manifest.users, manifest.groups, manifest.members], ["whole", 6, 2, 5]);
  assert.deepEqual([manifest.lines, manifest.digest, manifest.writesMeanwhile], [types.length - 1, digestOf(made.text), 0]);
  // Whoever took it is in the audit.
  const [entry] = (await gateway.scim("whole").get("/.audit?operation=directory.export", root)).body.entries;
  assert.deepEqual([entry.principal, entry.kind], ["root", "write"]);
  assert.equal((await calls.call("GET", "/ng/api/settings?category=SCIM")).status, 200);
});

test("export: nobody takes away what he may not see", async () => {
  const { calls } = await filled("partly", 2);
  const withRole = async (identifier, permissions) => {
    await calls.data("POST", "/authz/api/roles", { identifier, name: identifier, permissions });
    await calls.serviceAccount(identifier, identifier);
    return calls.mint(identifier);
  };
  const status = async (key) => {
    const answer = await fetch(`${gateway.url}/ng/api/scim/account/partly/.export`, { headers: { "x-api-key": key } });
    return [answer.status, answer.status === 200 ? undefined : (await answer.json()).detail];
  };
  assert.equal((await status(await withRole("viewer", ["core_user_view", "core_usergroup_view"])))[0], 403);
  assert.equal((await status(await withRole("blind", ["scim_directory_export", "core_usergroup_view"])))[0], 403);
  const key = await withRole("taker", ["scim_directory_export", "core_user_view", "core_usergroup_view"]);
  assert.equal((await status(key))[0], 200);
  const types = new Set((await exported("partly", "", key)).lines.map(({ type }) => type));
  assert.deepEqual([...types], ["Export", "Schema", "Checkpoint", "User", "Group", "Members", "Manifest"]);
  // An issuer's token, or a key of another account, opens nothing.
  assert.equal((await status("wrong"))[0], 401);
});

test("export: it goes on behind a checkpoint, and ends as it would have ended", async () => {
  await filled("resumed");
  const { text, lines } = await exported("resumed");
  const all = text.trimEnd().split("\n");
  const places = lines.flatMap(({ type }, place) => (type === "Checkpoint" ? [place] : []));
  assert.ok(places.length >= 2);
  for (const place of places) {
    const rest = await exported("resumed", `?after=${lines[place].after}`);
    const whole = `${all.slice(0, place + 1).join("\n")}\n${rest.text}`;
    const manifest = await manifestOf(rest);
    assert.equal(manifest.digest, digestOf(whole));
    const first = await manifestOf({ lines });
    assert.deepEqual({ ...manifest, ended: 0 }, { ...first, ended: 0 });
  }
  // A checkpoint of another account, or one that was changed, is none.
  await gateway.account("elsewhere");
  const { after: place } = lines[places[0]];
  for (const [account, after] of [["elsewhere", place], ["resumed", `${place.slice(0, -2)}AA`], ["resumed", "x"]]) {
    const refused = await gateway.scim(account).get(`/.export?after=${after}`, root);
    assert.deepEqual([refused.status, refused.body.scimType], [400, "invalidValue"]);
  }
});

test("export: says how many writes were made meanwhile", async () => {
  const { client, ids } = await filled("busy");
  const { lines } = await exported("busy");
  const { after: place } = lines.find(({ type }) => type === "Checkpoint");
  assert.equal((await client.call("DELETE", `/Users/${ids[0]}`)).status, 204);
  assert.equal((await client.call("POST", "/Users", user("late"))).status, 201);
  const rest = await exported("busy", `?after=${place}`);
  assert.equal((await manifestOf(rest)).writesMeanwhile, 2);
  assert.ok(rest.lines.some(({ resource }) => resource?.userName === "late"), "what is new comes along");
});

test("export: a copy can be taken along once it is whole", async (t) => {
  let isDown = false;
  const slow = await server(() => (isDown ? { status: 503, body: {} } : { body: { totalResults: 1, Resources: [] } }));
  t.after(() => slow.stop());
  await gateway.account("filling", { scim_origin_url: slow.url });
  isDown = true;
  await gateway.scim("filling").get("/.replica", root);
  const refused = await gateway.scim("filling").get("/.export", root);
  assert.equal(refused.status, 409);
  assert.match(refused.body.detail, /being filled for the first time/);
});
