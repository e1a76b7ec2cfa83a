// The erasure of one resource for privacy: of its values, its ids and its history nothing is left in any table, of the
// account's own object or of a copy near callers, nor in KV.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { who } from "../../js/torture/who.mjs";
import { ENTERPRISE, GROUP, PATCH, USER, isHit, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const MARK = "pl4nted";
const EUROPE = { "mf-cf-blob": JSON.stringify({ continent: "EU", longitude: "13.4" }) };
const OWN = "urn:example:params:scim:schemas:extension:own:2.0:User";

/** A user with a value that is nobody else's in every attribute. */
function planted() {
  let count = 0;
  const value = () => `${MARK}-${(count += 1)}`;
  const many = () => [{ value: value(), display: value(), type: "work" }];
  return {
    schemas: [USER, ENTERPRISE, OWN],
    userName: `${value()}@example.com`,
    externalId: value(),
    name: { formatted: value(), familyName: value(), givenName: value(), middleName: value(), honorificPrefix: value(), honorificSuffix: value() },
    displayName: value(),
    nickName: value(),
    profileUrl: `https://people.example/${value()}`,
    title: value(),
    userType: value(),
    preferredLanguage: "en",
    locale: "en-US",
    timezone: "Europe/Berlin",
    emails: [{ value: `${value()}@work.example`, display: value(), type: "work", primary: true }],
    phoneNumbers: many(),
    ims: many(),
    photos: [{ value: `https://people.example/${value()}.jpg`, type: "photo" }],
    addresses: [{ formatted: value(), streetAddress: value(), locality: value(), region: value(), postalCode: value(), type: "work" }],
    entitlements: many(),
    roles: many(),
    [ENTERPRISE]: { employeeNumber: value(), costCenter: value(), organization: value(), division: value(), department: value() },
    [OWN]: { badge: value() },
  };
}

const schema = {
  schemas: ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
  id: OWN,
  name: "Own",
  attributes: [{ name: "badge", type: "string", multiValued: false, required: false, caseExact: false, mutability: "readWrite", returned: "default", uniqueness: "none" }],
};

function operator(it, account) {
  return async (method, path, body) => {
    const response = await fetch(`${it.url}/ng/api/scim/account/${account}/${path}`, {
      method,
      headers: { "x-api-key": it.rootKey, ...(body && { "content-type": "application/json" }) },
      body: body && JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };
}

const files = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? files(join(folder, one.name)) : [join(folder, one.name)]));

/** Every cell of an object's tables that has one of some texts in it. */
async function cells(it, name, texts) {
  const tables = await (await fetch(`${it.url}/tables?${encodeURIComponent(name)}`)).json();
  const rows = Object.entries(tables).flatMap(([table, list]) => list.map((row) => `${table}: ${JSON.stringify(row)}`));
  assert.ok(rows.length > 5, `${name} has no rows`);
  return rows.filter((row) => texts.some((text) => row.includes(text)));
}

/** How often some texts are in the bytes of the files below a folder, by file. */
function bytes(folder, texts) {
  const count = (path) => {
    const all = readFileSync(path).toString("latin1");
    return texts.reduce((sum, text) => sum + all.split(text).length - 1, 0);
  };
  return Object.fromEntries(files(folder).map((path) => [path.slice(folder.length + 1), count(path)]));
}

async function lived(client, groups = 2) {
  const made = await client.call("POST", "/Users", planted());
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { id } = made.body;
  for (const value of [`${MARK}-old`, `${MARK}-older`]) {
    const patch = { schemas: [PATCH], Operations: [{ op: "replace", path: "title", value }] };
    assert.ok((await client.call("PATCH", `/Users/${id}`, patch)).status < 300);
  }
  assert.equal((await client.call("POST", "/Users", planted())).status, 409);
  const other = (await client.call("POST", "/Users", { schemas: [USER], userName: "bob", displayName: "Bob" })).body;
  const made2 = [];
  for (let n = 0; n < groups; n += 1) {
    const group = { schemas: [GROUP], displayName: `Group ${n}`, members: [{ value: id, display: `${MARK}-display-${n}` }, { value: other.id }] };
    made2.push((await client.call("POST", "/Groups", group)).body.id);
  }
  return { id, userName: made.body.userName, other: other.id, groups: made2 };
}

test("erasure: nothing of a user is left in any table, of copies neither, nor in KV", async (t) => {
  const it = await start({ wrapper: who(), vars: { READ_COPIES: "weur" } });
  t.after(() => it.stop());
  const client = await it.account("acc");
  const call = operator(it, "acc");
  const calls = it.admin("acc");
  await calls.serviceAccount("boss", "_account_admin");
  const registered = await it.scim("acc", await calls.mint("boss")).call("PUT", `/Schemas/${OWN}`, schema);
  assert.ok(registered.status < 300, JSON.stringify(registered.body));
  const it1 = await lived(client);
  // A group that is deleted, with the user as its member; and a user that was deleted and restored.
  assert.equal((await client.call("DELETE", `/Groups/${it1.groups[1]}`)).status, 204);
  assert.equal((await client.call("DELETE", `/Users/${it1.id}`)).status, 204);
  assert.equal((await call("POST", ".restore", { type: "User", id: it1.id })).status, 200);
  await until(async () => (await client.get(`/Users/${it1.id}`, EUROPE)).headers.get("x-by") === "weur");
  const erase = { type: "User", id: it1.id };
  for (const confirm of [undefined, "", "yes", `erase ${it1.id}`, `erase ${it1.userName} `]) {
    const refused = await call("POST", ".erase", { ...erase, confirm });
    assert.deepEqual([refused.status, refused.body.scimType], [400, "invalidValue"], confirm);
    assert.ok(!JSON.stringify(refused.body).includes(MARK));
  }
  assert.equal((await client.get(`/Users/${it1.id}`)).status, 200);
  const before = Object.values(bytes(it.folder, [MARK, it1.id])).reduce((sum, count) => sum + count, 0);
  const erased = await call("POST", ".erase", { ...erase, confirm: `erase ${it1.userName}` });
  assert.equal(erased.status, 200, JSON.stringify(erased.body));
  assert.deepEqual([erased.body.erased, erased.body.ids, erased.body.deletedAtOrigin, erased.body.references], [true, 1, false, []]);
  assert.equal((await client.get(`/Users/${it1.id}`)).status, 404);
  assert.equal((await client.get(`/Users/${it1.id}`, EUROPE)).status, 404);
  assert.equal((await call("GET", `.history?type=User&id=${it1.id}`)).status, 404);
  assert.equal((await call("POST", ".restore", erase)).status, 404);
  assert.equal((await call("POST", ".erase", { ...erase, confirm: `erase ${it1.userName}` })).status, 404);
  const { entries } = (await call("GET", ".audit?kind=write")).body;
  assert.ok(entries.some(({ operation, resource }) => operation === "user.patch" && resource.id === "erased"));
  assert.equal(entries[0].operation, "user.erase");
  // Others are as they were, the deleted group comes back with its other member.
  assert.equal((await call("POST", ".restore", { type: "Group", id: it1.groups[1] })).body.memberships, 1);
  await until(async () => (await client.get(`/Users/${it1.other}`, EUROPE)).headers.get("x-by") === "weur");
  for (const name of ["acc", "acc~weur"]) assert.deepEqual(await cells(it, name, [MARK, it1.id]), [], name);
  await it.stop({ keepState: true });
  // An object cannot turn on secure_delete: free space within pages in use keeps old bytes. Free pages and the log are
  // written over, and every file but the object's own has nothing.
  const found = Object.entries(bytes(it.folder, [MARK, it1.id])).filter(([, count]) => count > 0);
  const databases = new Set(found.map(([path]) => path.replace(/-(wal|shm)$/, "")));
  const left = found.reduce((sum, [, count]) => sum + count, 0);
  assert.ok(left < before / 2, `${left} of ${before}`);
  console.log(`bytes: ${before} traces before, ${left} after`);
  assert.ok(databases.size <= 1 && [...databases].every((path) => path.includes("-Directory")), JSON.stringify(found));
});

test("erasure: a restore at the same time brings nothing back", async (t) => {
  const it = await start();
  t.after(() => it.stop());
  const client = await it.account("acc");
  const call = operator(it, "acc");
  for (let round = 0; round < 8; round += 1) {
    const { id } = (await client.call("POST", "/Users", { schemas: [USER], userName: `ann-${round}` })).body;
    if (round % 2 === 0) assert.equal((await client.call("DELETE", `/Users/${id}`)).status, 204);
    const erase = () => call("POST", ".erase", { type: "User", id, confirm: `erase ann-${round}` });
    const restore = () => call("POST", ".restore", { type: "User", id });
    const [first, second] = await Promise.all(round % 4 < 2 ? [erase(), restore()] : [restore(), erase()]);
    const erased = round % 4 < 2 ? first : second;
    assert.equal(erased.status, 200, JSON.stringify([first.body, second.body]));
    assert.equal((await client.get(`/Users/${id}`)).status, 404);
    assert.equal((await restore()).status, 404);
    assert.deepEqual((await call("GET", ".deleted")).body.resources, []);
  }
});

test("erasure at an origin: the user is deleted there too, under every id that it had", async (t) => {
  const it = await start({ wrapper: who() });
  t.after(() => it.stop());
  const it2 = await origin(1);
  t.after(() => it2.stop());
  const client = await it.account("acc", { scim_origin_url: it2.base });
  await until(async () => isHit(await client.get("/Users?count=1")));
  const call = operator(it, "acc");
  const made = (await client.call("POST", "/Users", planted())).body;
  const other = (await client.call("POST", "/Users", { schemas: [USER], userName: "bob", [ENTERPRISE]: { manager: { value: made.id } } })).body;
  assert.equal((await client.call("DELETE", `/Users/${made.id}`)).status, 204);
  const restored = (await call("POST", ".restore", { type: "User", id: made.id })).body;
  assert.equal(restored.formerId, made.id);
  // The origin refuses: nothing is erased.
  it2.behave = ({ method }) => (method === "DELETE" ? { status: 403, body: { schemas: [], status: "403", detail: "no" } } : undefined);
  const body = { type: "User", id: restored.id, confirm: `erase ${made.userName}` };
  assert.equal((await call("POST", ".erase", body)).status, 403);
  assert.equal((await client.get(`/Users/${restored.id}`)).status, 200);
  // It deletes, and the answer is lost: the same call goes on.
  it2.behave = ({ method, url }) => {
    if (method !== "DELETE") return undefined;
    it2.store.Users.delete(url.split("/").pop());
    return { destroy: true };
  };
  const lost = await call("POST", ".erase", body);
  assert.ok([200, 504].includes(lost.status), String(lost.status));
  it2.behave = undefined;
  const erased = lost.status === 200 ? lost : await call("POST", ".erase", body);
  assert.equal(erased.status, 200, JSON.stringify(erased.body));
  assert.equal(erased.body.ids, 2);
  assert.deepEqual(erased.body.references, [{ type: "User", id: other.id }]);
  assert.ok(![...it2.store.Users.values()].some((one) => JSON.stringify(one).includes(MARK)));
  // The manager of somebody else is that one's data.
  assert.equal((await client.call("PUT", `/Users/${other.id}`, { schemas: [USER], userName: "bob" })).status, 200);
  assert.deepEqual(await cells(it, "acc", [MARK, made.id, restored.id]), []);
});
