// Copies near callers (READ_COPIES): they answer reads, and none of them shows less than has been answered anywhere.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { who } from "../../js/torture/who.mjs";
import { GROUP, PATCH, USER, isHit, sleep, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const WITH = { wrapper: who(), vars: { READ_COPIES: "weur,apac, nowhere" } };
const gateway = await start(WITH);
after(() => gateway.stop());

const EUROPE = { "mf-cf-blob": JSON.stringify({ continent: "EU", longitude: "13.4" }) };
const ASIA = { "mf-cf-blob": JSON.stringify({ continent: "AS" }) };
const AFRICA = { "mf-cf-blob": JSON.stringify({ continent: "AF" }) };
const PLACES = [EUROPE, ASIA, AFRICA];

const by = (answer) => answer.headers.get("x-by");
const replace = (path, value) => ({ schemas: [PATCH], Operations: [{ op: "replace", path, value }] });
const user = (userName, more = {}) => ({ schemas: [USER], userName, ...more });

/** Waits until the copies answer by themselves. */
const copied = (client, path = "/Users?count=0") =>
  Promise.all([[EUROPE, "weur"], [ASIA, "apac"]].map(([place, region]) => until(async () => by(await client.get(path, place)) === region)));

const breaks = (what, it = gateway) => fetch(`${it.url}/broken?${what}`);

/** An account in front of an origin, its copies made. */
async function behind(t, name, people = 3, options = {}) {
  const it = await origin(people, options);
  t.after(() => it.stop());
  const client = await gateway.account(name, { scim_origin_url: it.base });
  await until(async () => isHit(await client.get("/Users?count=1")));
  await copied(client);
  return { it, client };
}

/** What an answer says, without what differs between any two. */
function said({ status, headers, body }) {
  const all = Object.fromEntries([...headers].filter(([name]) => !["date", "x-by", "x-request-id", "age", "cache-status"].includes(name)));
  return { status, body, headers: all, cache: headers.get("cache-status")?.replace(/ttl=\d+/, "") };
}

/** That everybody is told the same of a path, by the copies and by the account's own object. */
async function alike(client, path, headers = {}) {
  const [europe, asia, own] = await Promise.all(PLACES.map((place) => client.get(path, { ...place, ...headers })));
  assert.deepEqual([by(europe), by(asia), by(own)], ["weur", "apac", "own"], path);
  assert.deepEqual(said(europe), said(own), path);
  assert.deepEqual(said(asia), said(own), path);
  return own;
}

/** Writes to few users from everywhere while others read them, and holds every answer against what was known before. */
async function linearizable(client, ids, seconds) {
  const written = new Map(ids.map((id) => [id, 0]));
  const known = new Map(ids.map((id) => [id, 0]));
  const answered = {};
  const end = Date.now() + seconds * 1000;
  const place = () => PLACES[Math.floor(Math.random() * PLACES.length)];
  const writer = async (id) => {
    while (Date.now() < end) {
      const value = written.get(id) + 1;
      written.set(id, value);
      const { status } = await client.call("PATCH", `/Users/${id}`, replace("title", String(value)), place());
      assert.ok(status === 200 || status === 204, `PATCH: ${status}`);
      known.set(id, Math.max(known.get(id), value));
      await sleep(Math.random() * 120);
    }
  };
  const reader = async () => {
    while (Date.now() < end) {
      const id = ids[Math.floor(Math.random() * ids.length)];
      const paths = [`/Users/${id}`, "/Users?count=100", `/Users?filter=${encodeURIComponent(`id eq "${id}"`)}`];
      const before = new Map(known);
      const answer = await client.get(paths[Math.floor(Math.random() * 3)], place());
      assert.equal(answer.status, 200);
      answered[by(answer)] = (answered[by(answer)] ?? 0) + 1;
      for (const { id: shown, title = "0" } of answer.body.Resources ?? [answer.body]) {
        const value = Number(title);
        assert.ok(value >= before.get(shown), `${by(answer)} shows ${value} of ${shown} after ${before.get(shown)}`);
        assert.ok(value <= written.get(shown));
        known.set(shown, Math.max(known.get(shown), value));
      }
    }
  };
  await Promise.all([...ids.map(writer), ...Array.from({ length: 6 }, reader)]);
  return answered;
}

test("without copies every request goes to the account's own object", async (t) => {
  const it = await start({ wrapper: who() });
  t.after(() => it.stop());
  const client = await it.account("plain");
  for (const place of PLACES) assert.equal(by(await client.get("/Users", place)), "own");
});

test("a copy answers like the account's own object", async () => {
  const client = await gateway.account("alike");
  const ids = [];
  for (const name of ["ann", "BÖB", "cy"]) {
    const made = await client.call("POST", "/Users", user(name, { emails: [{ value: `${name}@x.example` }], title: "t" }), EUROPE);
    assert.deepEqual([made.status, by(made)], [201, "own"]);
    ids.push(made.body.id);
  }
  const members = ids.slice(0, 2).map((value) => ({ value }));
  const group = await client.call("POST", "/Groups", { schemas: [GROUP], displayName: "G", members });
  await copied(client);
  const read = await alike(client, `/Users/${ids[0]}`);
  assert.equal(read.body.groups[0].value, group.body.id);
  assert.ok(read.headers.get("etag"));
  assert.equal((await alike(client, `/Users/${ids[0]}`, { "if-none-match": read.headers.get("etag") })).status, 304);
  assert.equal((await alike(client, `/Groups/${group.body.id}`)).body.members.length, 2);
  assert.equal((await alike(client, "/Users?count=2&sortBy=userName")).body.totalResults, 3);
  assert.equal((await alike(client, `/Users?filter=${encodeURIComponent('emails.value eq "böb@x.example"')}`)).body.totalResults, 1);
  assert.equal((await alike(client, `/Users?filter=${encodeURIComponent(`groups.value eq "${group.body.id}"`)}`)).body.totalResults, 2);
  await alike(client, "/Users?attributes=userName&startIndex=2");
  await alike(client, "/Groups?excludedAttributes=members");
  await alike(client, "/?count=10");
  assert.equal((await alike(client, "/Users/nobody")).status, 404);
  assert.equal((await alike(client, "/Users?filter=nonsense")).status, 400);
});

test("what is no read of resources goes to the account's own object", async () => {
  const client = await gateway.account("others");
  await copied(client);
  const search = await client.call("POST", "/Users/.search", { schemas: [], count: 1 }, EUROPE);
  assert.deepEqual([search.status, by(search)], [200, "own"]);
  for (const path of ["/ServiceProviderConfig", "/Schemas", "/ResourceTypes"]) assert.equal(by(await client.get(path, EUROPE)), "own");
});

test("no caller reaches a copy by its name, or speaks to an object in its place", async () => {
  const client = await gateway.account("named");
  const { id } = (await client.call("POST", "/Users", user("ann"))).body;
  await copied(client);
  const token = { authorization: `Bearer ${gateway.rootKey}` };
  for (const name of ["named~weur", "named%7Eweur"]) {
    const answer = await fetch(`${gateway.url}/ng/api/scim/account/${name}/Users/${id}`, { headers: token });
    assert.ok([400, 401, 404].includes(answer.status), `${name}: ${answer.status}`);
  }
  for (const path of ["/lend", "/recall", "/delete"]) assert.equal((await fetch(`${gateway.url}${path}`, { method: "POST", headers: token })).status, 404);
  const call = JSON.stringify({ protocol: 2, account: "named", near: "weur" });
  const forged = await client.get(`/Users/${id}`, { "x-scim-edge-call": call, "x-scim-edge-own": "forged" });
  assert.deepEqual([forged.status, by(forged)], [200, "own"]);
});

test("every write is seen everywhere once it is answered", async () => {
  const client = await gateway.account("record");
  const ids = [];
  for (const n of [0, 1, 2]) ids.push((await client.call("POST", "/Users", user(`u${n}`))).body.id);
  await copied(client);
  const answered = await linearizable(client, ids, 6);
  assert.ok(answered.weur > 0 && answered.apac > 0 && answered.own > 0, JSON.stringify(answered));
});

test("so is every write to an origin", async (t) => {
  const { it, client } = await behind(t, "behind");
  it.behave = async () => void (await sleep(Math.random() * 20));
  const answered = await linearizable(client, ["u0", "u1", "u2"], 6);
  assert.ok(answered.weur > 0 && answered.apac > 0 && answered.own > 0, JSON.stringify(answered));
  await copied(client);
  const read = await alike(client, "/Users/u1");
  assert.ok(isHit(read));
  await client.call("DELETE", "/Users/u1");
  for (const place of PLACES) assert.equal((await client.get("/Users/u1", place)).status, 404);
});

test("a copy that answers on after it was called back is found", async (t) => {
  const client = await gateway.account("deaf");
  const { id } = (await client.call("POST", "/Users", user("ann"))).body;
  await copied(client);
  t.after(() => breaks(""));
  await breaks("deaf");
  await assert.rejects(linearizable(client, [id], 3), /(weur|apac) shows/);
});

test("a copy that does not confirm is waited for, no longer than its lease", async (t) => {
  const client = await gateway.account("silent");
  t.after(() => breaks(""));
  const { id } = (await client.call("POST", "/Users", user("ann"))).body;
  const other = (await client.call("POST", "/Users", user("bob"))).body.id;
  await copied(client);
  await breaks("recall");
  const deleting = client.call("DELETE", `/Users/${other}`);
  const writing = client.call("PATCH", `/Users/${id}`, replace("title", "new"));
  let isOver = false;
  const reads = (async () => {
    while (!isOver) {
      const answer = await client.get(`/Users/${id}`, EUROPE);
      // The copy may answer with what there was as long as the write is not answered.
      if (!isOver) assert.ok([undefined, "new"].includes(answer.body.title));
      await sleep(50);
    }
  })();
  assert.deepEqual([(await writing).status, (await deleting).status], [200, 204]);
  isOver = true;
  for (const place of PLACES) assert.equal((await client.get(`/Users/${id}`, place)).body.title, "new");
  for (const place of PLACES) assert.equal((await client.get(`/Users/${other}`, place)).status, 404);
  await reads;
});

test("a copy that cannot reach the account's own object answers until its lease ends, and is done without", async (t) => {
  const client = await gateway.account("alone");
  const { id } = (await client.call("POST", "/Users", user("ann"))).body;
  await copied(client);
  t.after(() => breaks(""));
  await breaks("lend");
  assert.equal(by(await client.get(`/Users/${id}`, EUROPE)), "weur");
  await until(async () => by(await client.get(`/Users/${id}`, EUROPE)) === "own");
  await breaks("copies");
  for (const place of PLACES) assert.equal(by(await client.get(`/Users/${id}`, place)), "own");
  await breaks("");
  await copied(client);
});

test("an object that was stopped knows that copies may be answering", async () => {
  const client = await gateway.account("forgot");
  const { id } = (await client.call("POST", "/Users", user("ann"))).body;
  for (const value of ["one", "two"]) {
    await copied(client);
    await breaks("forget");
    assert.equal((await client.call("PATCH", `/Users/${id}`, replace("title", value))).status, 200);
    for (const place of PLACES) assert.equal((await client.get(`/Users/${id}`, place)).body.title, value);
  }
});

test("a directory of many pages is copied while it is written to", async (t) => {
  const { it, client } = await behind(t, "many", 1_200);
  const read = await alike(client, "/Users?startIndex=1150&count=100");
  assert.equal(read.body.totalResults, 1_200);
  const members = [...it.store.Users.keys()].slice(0, 900).map((value) => ({ value }));
  const group = await client.call("POST", "/Groups", { schemas: [GROUP], displayName: "G", members });
  for (let n = 0; n < 600; n += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, more) => client.call("PATCH", `/Users/u${n + more}`, replace("title", `t${n}`), EUROPE)));
  }
  await copied(client);
  assert.equal((await alike(client, `/Groups/${group.body.id}`)).body.members.length, 900);
  assert.equal((await alike(client, "/Users/u599")).body.title, "t580");
  await alike(client, `/Users?filter=${encodeURIComponent('title eq "t580"')}`);
});

test("after a restart nothing is shown that is older than a write, by copies that had a lease before", async (t) => {
  let it = await start(WITH);
  t.after(() => it.stop());
  let client = await it.account("kept");
  const { id } = (await client.call("POST", "/Users", user("ann"))).body;
  for (const value of ["one", "two", "three"]) {
    await copied(client);
    for (const pid of it.workerd) process.kill(pid, "SIGKILL");
    await it.stop({ keepState: true });
    it = await start({ ...WITH, state: it.folder });
    client = { ...client, ...it.scim("kept", await it.admin("kept").mint("provisioner")) };
    assert.equal((await client.call("PATCH", `/Users/${id}`, replace("title", value), ASIA)).status, 200);
    for (const place of PLACES) assert.equal((await client.get(`/Users/${id}`, place)).body.title, value);
  }
  // Copies that are wanted no more cost nothing more than one look.
  await copied(client);
  await it.stop({ keepState: true });
  it = await start({ wrapper: who(), state: it.folder });
  client = it.scim("kept", await it.admin("kept").mint("provisioner"));
  assert.equal((await client.call("PATCH", `/Users/${id}`, replace("title", "off"))).status, 200);
  assert.equal(by(await client.get(`/Users/${id}`, EUROPE)), "own");
  await it.stop({ keepState: true });
  it = await start({ ...WITH, state: it.folder });
  client = it.scim("kept", await it.admin("kept").mint("provisioner"));
  await copied(client);
  for (const place of PLACES) assert.equal((await client.get(`/Users/${id}`, place)).body.title, "off");
});

test("a deleted account is gone from its copies too, and begins empty when it is made again", async () => {
  const client = await gateway.account("gone");
  const { id } = (await client.call("POST", "/Users", user("ann"))).body;
  await copied(client);
  assert.equal((await gateway.remove("gone")).status, 200);
  for (const place of PLACES) assert.equal((await client.get(`/Users/${id}`, place)).status, 401);
  const again = await gateway.account("gone");
  for (const place of PLACES) assert.equal((await again.get("/Users?count=0", place)).body.totalResults, 0);
  await copied(again);
  for (const place of PLACES) assert.equal((await again.get(`/Users/${id}`, place)).status, 404);
});

test("undelete: a sealed account answers nowhere, and everywhere again once it is put back", async () => {
  const client = await gateway.account("sealed");
  const { id } = (await client.call("POST", "/Users", user("ann"))).body;
  await copied(client);
  assert.equal((await gateway.remove("sealed", { undoable: true })).status, 200);
  for (const place of PLACES) assert.equal((await client.get(`/Users/${id}`, place)).status, 401);
  assert.equal((await gateway.undelete("sealed")).status, 200);
  for (const place of PLACES) assert.equal((await client.get(`/Users/${id}`, place)).body.userName, "ann");
  await copied(client);
  for (const place of PLACES) assert.equal((await client.get(`/Users/${id}`, place)).body.userName, "ann");
});

test("another origin takes the place of the one before, everywhere at once", async (t) => {
  const { client } = await behind(t, "moved");
  const other = await origin(5);
  t.after(() => other.stop());
  await gateway.admin("moved").set({ scim_origin_url: other.base }, { replace: true });
  // The first read of the new tables makes the others go by them.
  await until(async () => (await client.get("/Users?count=0", AFRICA)).body.totalResults === 5);
  for (const place of PLACES) assert.equal((await client.get("/Users?count=0", place)).body.totalResults, 5);
  await until(async () => isHit(await client.get("/Users?count=0")));
  await copied(client);
  assert.equal((await alike(client, "/Users?count=0")).body.totalResults, 5);
});

test("what became of a write that nobody knows is asked of the origin, wherever the read is from", async (t) => {
  const { it, client } = await behind(t, "unknown");
  it.behave = ({ method }) => (method === "PATCH" ? { destroy: true } : method === "GET" ? { status: 500, body: {} } : undefined);
  assert.equal((await client.call("PATCH", "/Users/u0", replace("title", "lost?"))).status, 504);
  it.store.Users.get("u0").title = "not lost";
  for (const place of PLACES) {
    const answer = await client.get("/Users/u0", place);
    assert.ok(!isHit(answer) && answer.status !== 200, `${by(answer)}: ${answer.status}`);
  }
  it.behave = undefined;
  await until(async () => (await client.get("/Users/u0", EUROPE)).body.title === "not lost");
  for (const place of PLACES) assert.equal((await client.get("/Users/u0", place)).body.title, "not lost");
  await copied(client);
  assert.equal((await alike(client, "/Users/u0")).body.title, "not lost");
});

test("what a pass finds and what the origin tells is shown everywhere", async (t) => {
  const { it, client } = await behind(t, "told");
  it.store.Users.get("u1").title = "changed behind";
  it.store.Users.delete("u2");
  const changes = { resources: [{ type: "User", id: "u1" }, { type: "User", id: "u2" }] };
  const answer = await fetch(`${gateway.url}/ng/api/scim/account/told/.changes`, {
    method: "POST",
    headers: { "x-api-key": gateway.rootKey, "content-type": "application/json" },
    body: JSON.stringify(changes),
  });
  assert.equal(answer.status, 200);
  for (const place of PLACES) {
    assert.equal((await client.get("/Users/u1", place)).body.title, "changed behind");
    assert.equal((await client.get("/Users/u2", place)).status, 404);
  }
});

test("what copies have answered is in the account's activity", async () => {
  const client = await gateway.account("active");
  await copied(client);
  for (let n = 0; n < 20; n += 1) assert.equal(by(await client.get("/Users", EUROPE)), "weur");
  await until(async () => {
    await client.get("/Users", EUROPE);
    const response = await fetch(`${gateway.url}/ng/api/scim/account/active/.activity`, { headers: { "x-api-key": gateway.rootKey } });
    return JSON.stringify(await response.json()).match(/"requests":(\d+)/g).some((text) => Number(text.slice(11)) >= 20);
  });
});
