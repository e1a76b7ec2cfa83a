// Export and import of an account: what is in an export, that it is signed and can be gone on with, and that an import
// makes the same account of it or nothing.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { EmbeddedJWK, compactVerify } from "jose";
import { GROUP, USER, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";
import { digestOf as digestOfLines, importer, signer } from "./transfer-file.mjs";

const gateway = await start();
after(() => gateway.stop());

const root = { "x-api-key": gateway.rootKey };
const user = (userName, more = {}) => ({ schemas: [USER], userName, ...more });
const group = (displayName, ids) => ({ schemas: [GROUP], displayName, members: ids.map((value) => ({ value })) });
const EXTENSION = "urn:example:Badge";
const linesOf = (text) => text.trimEnd().split("\n");
const digestOf = (text) => digestOfLines(linesOf(text));

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
  const slow = await origin(3);
  t.after(() => slow.stop());
  await gateway.account("filling", { scim_origin_url: slow.base });
  slow.behave = () => ({ status: 503, body: {} });
  await gateway.scim("filling").get("/.replica", root);
  const refused = await gateway.scim("filling").get("/.export", root);
  assert.equal(refused.status, 409);
  assert.match(refused.body.detail, /being filled for the first time/);
});

/** What an account shows of itself, as far as it is to be the same elsewhere. */
async function shownBy(account) {
  const calls = gateway.admin(account);
  const client = gateway.scim(account, await calls.mint("boss"));
  const elsewhere = (value) => JSON.parse(JSON.stringify(value).replaceAll(`/account/${account}/`, "/account/X/"));
  const read = async (path) => elsewhere((await client.get(path)).body);
  const { lines } = await exported(account);
  return {
    lines: lines.filter(({ type }) => ["Schema", "User", "Group", "Members"].includes(type)),
    rules: await calls.data("GET", "/ng/api/settings/jwt-rules"),
    roles: await calls.data("GET", "/authz/api/roles"),
    // One that was there already keeps its identifier.
    assignments: (await calls.data("GET", "/authz/api/roleassignments")).map(({ roleAssignment: one }) => `${one.roleIdentifier} ${one.principal.identifier}`).sort(),
    schema: await read(`/Schemas/${EXTENSION}`),
  };
}

const peopleOf = async (client) => (await client.get("/Users?count=200&sortBy=userName")).body.Resources.map(({ userName }) => userName);

test("import: after a round trip the account is the same", async () => {
  const { client } = await filled("from");
  const { text } = await exported("from");
  const to = await gateway.account("to");
  const it = importer(gateway, "to");
  assert.equal((await it.all(linesOf(text))).body.complete, true);
  // Nothing of it can be seen before the commit.
  assert.equal((await to.get("/Users?count=0")).body.totalResults, 0);
  assert.equal((await gateway.admin("to").call("GET", "/authz/api/roles/reader")).status, 404);
  const done = await it.commit();
  assert.equal(done.status, 200, JSON.stringify(done.body));
  assert.deepEqual([done.body.users, done.body.groups, done.body.members, done.body.membersLeftOut, done.body.committed], [6, 2, 5, 0, true]);
  assert.deepEqual(await shownBy("to"), await shownBy("from"));
  // As a client sees them, with times, versions, groups and order.
  for (const path of ["/Users?count=100", "/Groups", "/Users?filter=emails.value eq \"person1@example.com\"", "/Users?filter=externalId eq \"x3\""]) {
    const seen = await Promise.all([["from", client], ["to", to]].map(async ([account, one]) => {
      const { body } = await one.get(encodeURI(path));
      return JSON.parse(JSON.stringify(body).replaceAll(`/account/${account}/`, "/account/X/"));
    }));
    assert.ok(seen[0].totalResults > 0, path);
    assert.deepEqual(seen[1], seen[0], path);
  }
  // A commit that comes again is answered as it was.
  assert.deepEqual((await it.commit()).body, done.body);
  assert.equal((await to.call("POST", "/Users", user("person1"))).status, 409, "indexes are there");
  assert.equal((await to.call("POST", "/Users", user("new"))).status, 201);
  const [entry] = (await gateway.scim("to").get("/.audit?operation=directory.import", root)).body.entries;
  assert.equal(entry.principal, "root");
});

test("import: lines that are not those of the manifest are never seen", async () => {
  await filled("signed");
  const lines = linesOf((await exported("signed")).text);
  const at = lines.findIndex((line) => line.includes("person3"));
  const variants = {
    changed: lines.with(at, lines[at].replace("person3", "person9")),
    missing: lines.toSpliced(at, 1),
    added: lines.toSpliced(at, 0, lines[at].replaceAll(/person3/g, "person8").replace(/"id":"[^"]+"/, '"id":"added"')),
    moved: lines.toSpliced(at, 2, lines[at + 1], lines[at]),
  };
  for (const [name, variant] of Object.entries(variants)) {
    const client = await gateway.account(name);
    const it = importer(gateway, name);
    assert.equal((await it.all(variant)).body.complete, true, name);
    const refused = await it.commit();
    assert.equal(refused.status, 409, name);
    assert.match(refused.body.detail, /not those that the manifest was signed for/);
    assert.equal((await client.get("/Users?count=0")).body.totalResults, 0);
  }
  // Without the manifest there is nothing to commit.
  await gateway.account("cut");
  const it = importer(gateway, "cut");
  await it.all(lines.slice(0, -1));
  const refused = await it.commit();
  assert.deepEqual([refused.status, refused.body.detail], [409, `The import is not complete: the next position is ${lines.length - 1}`]);
});

test("import: another deployment's key is trusted if the operator names it, and a false signature never", async () => {
  const { x, signed } = await signer();
  const content = [
    { type: "Export", format: 1, account: "elsewhere" },
    { type: "User", created: 1, lastModified: 2, version: 3, resource: { schemas: [USER], id: "ann", userName: "ann" } },
  ].map((line) => JSON.stringify(line));
  const client = await gateway.account("foreign");
  const it = importer(gateway, "foreign");
  const whole = await signed(content);
  await it.all(whole);
  for (const body of [{}, { trustKey: x.replace(/^./, (first) => (first === "A" ? "B" : "A")) }]) {
    const refused = await it.commit(body);
    assert.equal(refused.status, 409);
    assert.match(refused.body.detail, /signed by a key of another deployment/);
  }
  // The key is the right one, the signature of something else.
  const other = await signed([content[0]]);
  const forged = importer(gateway, "foreign", { session: "forged" });
  const [head, payload] = JSON.parse(whole.at(-1)).jws.split(".");
  const jws = [head, payload, JSON.parse(other.at(-1)).jws.split(".")[2]].join(".");
  await forged.all([...content, JSON.stringify({ type: "Manifest", jws })]);
  const refused = await forged.commit({ trustKey: x });
  assert.deepEqual([refused.status, refused.body.detail], [409, "the signature of the export's manifest does not hold"]);
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 0);
  // The other session has taken the place of the first.
  assert.equal((await it.state()).status, 404);
  await it.all(whole);
  assert.equal((await it.commit({ trustKey: x })).status, 200);
  const ann = (await client.get("/Users/ann")).body;
  assert.deepEqual([Date.parse(ann.meta.created), Date.parse(ann.meta.lastModified), ann.meta.version], [1, 2, 'W/"3"']);
});

test("import: a chunk that comes again changes nothing, one that is missing is asked for", async (t) => {
  const first = await start();
  t.after(() => first.stop());
  await first.account("from");
  const provisioner = first.scim("from", await first.admin("from").mint("provisioner"));
  for (let n = 0; n < 5; n += 1) await provisioner.call("POST", "/Users", user(`person${n}`));
  const answer = await fetch(`${first.url}/ng/api/scim/account/from/.export`, { headers: { "x-api-key": first.rootKey } });
  const lines = linesOf(await answer.text());
  await first.account("to");
  let it = importer(first, "to");
  assert.equal((await it.lines(3, lines.slice(3))).status, 404, "there is no such session yet");
  const once = await it.lines(0, lines.slice(0, 6));
  assert.deepEqual((await it.lines(0, lines.slice(0, 6))).body, once.body);
  assert.deepEqual((await it.lines(2, lines.slice(2, 5))).body, once.body);
  const gap = await it.lines(8, lines.slice(8));
  assert.deepEqual([gap.status, gap.body.detail], [409, "lines are missing: the next position is 6"]);
  // A restart in the middle.
  await first.stop({ keepState: true });
  const second = await start({ state: first.folder });
  t.after(() => second.stop());
  it = importer(second, "to");
  assert.deepEqual((await it.state()).body, once.body);
  // A chunk that begins with what is known is taken from there on.
  const rest = await it.lines(4, lines.slice(4));
  assert.deepEqual([rest.body.position, rest.body.users, rest.body.complete], [lines.length, 5, true]);
  assert.equal((await it.commit()).body.users, 5);
});

test("import: an account with resources is replaced or merged with only if the words say so, and can be put back", async () => {
  const { signed, x } = await signer();
  const record = (id, userName) => JSON.stringify({ type: "User", created: 1, lastModified: 2, version: 1, resource: { schemas: [USER], id, userName } });
  const head = JSON.stringify({ type: "Export", format: 1, account: "elsewhere" });
  const lines = await signed([head, record("new1", "new1"), record("new2", "new2")]);
  const make = async (name) => {
    const client = await gateway.account(name);
    const { id } = (await client.call("POST", "/Users", user("old"))).body;
    await client.call("POST", "/Groups", group("Old", [id]));
    const it = importer(gateway, name);
    await it.all(lines);
    return { client, it, id };
  };

  const { client, it } = await make("full");
  for (const [body, sentence] of [
    [{}, 'This account has resources: the mode must be merge, or replace with the confirmation "replace 1 user and 1 group"'],
    [{ mode: "replace" }, 'The confirmation must be "replace 1 user and 1 group"'],
    [{ mode: "replace", confirm: "replace 2 users and 1 group" }, 'The confirmation must be "replace 1 user and 1 group"'],
    [{ mode: "merge", confirm: "replace 1 user and 1 group" }, 'The confirmation must be "merge into 1 user and 1 group"'],
  ]) {
    const refused = await it.commit({ trustKey: x, ...body });
    assert.deepEqual([refused.status, refused.body.detail], [409, sentence]);
  }
  assert.deepEqual(await peopleOf(client), ["old"]);
  const replaced = await it.commit({ trustKey: x, mode: "replace", confirm: "replace 1 user and 1 group" });
  assert.equal(replaced.status, 200, JSON.stringify(replaced.body));
  assert.deepEqual(await peopleOf(client), ["new1", "new2"]);
  assert.equal((await client.get("/Groups?count=0")).body.totalResults, 0);
  assert.ok(replaced.body.undoUntil > Date.now() + 29 * 86_400_000);
  // What was there comes back, if that is confirmed as well.
  const undo = (body) => gateway.scim("full").call("POST", "/.undo", body, { ...root, "content-type": "application/json" });
  assert.equal((await undo({})).status, 409);
  assert.equal((await undo({ confirm: "put back 1 user and 1 group in place of 2 users and 0 groups" })).status, 202);
  await until(async () => isDeepStrictEqual(await peopleOf(client), ["old"]));

  const merged = await make("merging");
  const done = await merged.it.commit({ trustKey: x, mode: "merge", confirm: "merge into 1 user and 1 group" });
  assert.equal(done.status, 200, JSON.stringify(done.body));
  assert.deepEqual(await peopleOf(merged.client), ["new1", "new2", "old"]);
  const [old] = (await merged.client.get("/Groups")).body.Resources;
  assert.deepEqual([old.displayName, old.members.map(({ value }) => value)], ["Old", [merged.id]]);

  // Two users of one name: nothing happens, however often it is tried.
  const clash = await make("clash");
  await clash.client.call("POST", "/Users", user("NEW1"));
  for (let n = 0; n < 2; n += 1) {
    const refused = await clash.it.commit({ trustKey: x, mode: "merge", confirm: "merge into 2 users and 1 group" });
    assert.deepEqual([refused.status, refused.body.scimType], [409, "uniqueness"]);
  }
  assert.deepEqual(await peopleOf(clash.client), ["NEW1", "old"]);
  const [, other] = (await clash.client.get("/Users?sortBy=userName")).body.Resources;
  const [taken] = (await clash.client.get("/Users?sortBy=userName")).body.Resources;
  assert.equal((await clash.client.call("DELETE", `/Users/${taken.id}`)).status, 204);
  assert.equal((await clash.client.call("PUT", `/Users/${other.id}`, user("older"))).status, 200);
  assert.equal((await clash.it.commit({ trustKey: x, mode: "merge", confirm: "merge into 1 user and 1 group" })).status, 200);
  assert.deepEqual(await peopleOf(clash.client), ["new1", "new2", "older"], "as they are now, not as they were at the first attempt");
});

test("import: a write during a commit is refused or kept, never lost", async () => {
  const { signed, x } = await signer();
  const client = await gateway.account("written");
  const ids = [];
  for (let n = 0; n < 40; n += 1) ids.push((await client.call("POST", "/Users", user(`person${n}`))).body.id);
  const content = [
    { type: "Export", format: 1, account: "elsewhere" },
    { type: "ServiceAccount", identifier: "more", name: "More", email: "more@example.com" },
    { type: "User", created: 1, lastModified: 2, version: 1, resource: { schemas: [USER], id: "new", userName: "new" } },
  ];
  const lines = await signed(content.map((line) => JSON.stringify(line)));
  const last = new Map();
  let [isOver, held] = [false, 0];
  const write = async (mine) => {
    for (let n = 0; !isOver; n += 1) {
      for (const id of mine) {
        const Operations = [{ op: "replace", path: "title", value: `title ${n}` }];
        const { status } = await client.call("PATCH", `/Users/${id}`, { schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations });
        if (status === 200) last.set(id, `title ${n}`);
        else assert.equal(status, 503);
        held += Number(status === 503);
      }
    }
  };
  const writers = [0, 1, 2, 3].map((place) => write(ids.slice(place * 10, place * 10 + 10)));
  let commits = 0;
  for (; commits < 3; commits += 1) {
    const it = importer(gateway, "written", { session: `commit${commits}` });
    await it.all(lines);
    const users = commits === 0 ? 40 : 41;
    const { status, body } = await it.commit({ trustKey: x, mode: "merge", confirm: `merge into ${users} users and 0 groups` });
    assert.equal(status, 200, JSON.stringify(body));
  }
  isOver = true;
  await Promise.all(writers);
  const shown = new Map((await client.get("/Users?count=100")).body.Resources.map(({ id, title }) => [id, title]));
  assert.equal(shown.size, 41);
  for (const [id, title] of last) assert.equal(shown.get(id), title);
  console.log(`${held} writes were held`);
});

test("export: it does not go on in other tables than it began in", async () => {
  await filled("exchanged", 3);
  const { text, lines } = await exported("exchanged");
  const { after: place } = lines.find(({ type }) => type === "Checkpoint");
  const it = importer(gateway, "exchanged");
  await it.all(linesOf(text));
  assert.equal((await it.commit({ mode: "replace", confirm: "replace 2 users and 2 groups" })).status, 200);
  const refused = await gateway.scim("exchanged").get(`/.export?after=${place}`, root);
  assert.deepEqual([refused.status, /begin it again/.test(refused.body.detail)], [409, true]);
});

test("import: a bad line is refused with its number, and the whole chunk with it", async () => {
  await gateway.account("bad");
  const head = { type: "Export", format: 1, account: "elsewhere" };
  const ok = { type: "User", created: 1, lastModified: 2, version: 1, resource: { schemas: [USER], id: "a", userName: "ann" } };
  const with_ = (resource, more = {}) => ({ ...ok, ...more, resource: { ...ok.resource, ...resource } });
  const cases = [
    [[ok], /line 1: the first line must be of the type Export/],
    [[{ ...head, format: 2 }], /line 1: format must be 1/],
    [[head, "{"], /line 2: not JSON/],
    [[head, { type: "Robot" }], /line 2: "Robot" is no type of line/],
    [[head, ok, ok], /line 3: the User "a" has come before/],
    [[head, ok, with_({ id: "b", userName: "ANN" })], /line 3: userName: another user has this name/],
    [[head, with_({ userName: undefined })], /line 2: .*userName/],
    [[head, with_({ active: { not: "boolean" } })], /line 2: .*active/],
    [[head, with_({ id: "../x" })], /line 2: id must have/],
    [[head, with_({ id: ".." })], /line 2: id must have/],
    [[head, with_({ id: "%2e%2e%2fx" })], /line 2: id must have/],
    [[head, with_({}, { version: 0 })], /line 2: version must be a whole number/],
    [[head, with_({}, { created: -1 })], /line 2: created must be a whole number/],
    [[head, { type: "Members", group: "none", members: [] }], /line 2: there is no group "none"/],
    [[head, { type: "Schema", resourceType: "User", schema: { id: USER, name: "User", attributes: [{ name: "x", type: "string", multiValued: false }] } }], /line 2: .*cannot be changed/],
  ];
  for (const [place, [lines, sentence]] of cases.entries()) {
    const it = importer(gateway, "bad", { session: `bad${place}` });
    const refused = await it.lines(0, lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))));
    assert.deepEqual([refused.status, refused.body.scimType], [400, "invalidValue"], JSON.stringify(refused.body));
    assert.match(refused.body.detail, sentence);
    assert.deepEqual((await it.state()).body.position, 0);
  }
  const it = importer(gateway, "bad");
  assert.equal((await it.lines(0, Array(2_001).fill("{}"))).status, 413);
  assert.equal((await it.lines(0, ["x".repeat(2 << 20)])).status, 413);
});

test("import: members that nobody is behind are left out", async () => {
  const { signed, x } = await signer();
  const client = await gateway.account("dangling");
  const lines = [
    { type: "Export", format: 1, account: "elsewhere" },
    { type: "User", created: 1, lastModified: 2, version: 1, resource: { schemas: [USER], id: "a", userName: "ann" } },
    { type: "Group", created: 1, lastModified: 2, version: 1, resource: { schemas: [GROUP], id: "g", displayName: "G" } },
    { type: "Members", group: "g", members: [{ value: "a", type: "User" }, { value: "gone", type: "User" }] },
  ];
  const it = importer(gateway, "dangling");
  await it.all(await signed(lines.map((line) => JSON.stringify(line))));
  const { body } = await it.commit({ trustKey: x });
  assert.deepEqual([body.members, body.membersLeftOut], [1, 1]);
  assert.deepEqual((await client.get("/Groups/g")).body.members.map(({ value }) => value), ["a"]);
});

test("import: nobody brings in what he may not write or grant, nor into the copy of an origin", async (t) => {
  await filled("rich");
  const lines = linesOf((await exported("rich")).text);
  const client = await gateway.account("poor");
  const calls = gateway.admin("poor");
  const all = ["scim_directory_import", "core_user_manage", "core_user_invite", "core_usergroup_manage"];
  const keyWith = async (identifier, permissions) => {
    await calls.data("POST", "/authz/api/roles", { identifier, name: identifier, permissions });
    await calls.serviceAccount(identifier, identifier);
    return calls.mint(identifier);
  };
  for (const [place, without] of all.entries()) {
    const key = await keyWith(`less${place}`, all.filter((one) => one !== without));
    assert.equal((await importer(gateway, "poor", { key }).all(lines)).status, 403, without);
  }
  const key = await keyWith("enough", all);
  const it = importer(gateway, "poor", { key });
  assert.equal((await it.all(lines)).status, 200);
  const schemas = await it.commit();
  assert.deepEqual([schemas.status, schemas.body.detail], [403, "The import has schemas, which need core_account_edit"]);
  const edit = importer(gateway, "poor", { key: await keyWith("editor", [...all, "core_account_edit"]) });
  const granted = await edit.commit();
  assert.equal(granted.status, 403);
  assert.match(granted.body.detail, /The configuration is refused: ServiceAccount "boss": Missing permission core_serviceaccount_edit/);
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 0);
  assert.equal((await edit.commit({ configuration: false })).status, 200);
  assert.equal((await client.get("/Users?count=0")).body.totalResults, 6);
  assert.equal((await calls.call("GET", "/authz/api/roles/reader")).status, 404);

  const other = await origin(3);
  t.after(() => other.stop());
  await gateway.account("copy", { scim_origin_url: other.base });
  const copy = await importer(gateway, "copy").lines(0, lines.slice(0, 1));
  assert.equal(copy.status, 409);
  assert.match(copy.body.detail, /is a copy of an origin's, which would overwrite an import/);
});
