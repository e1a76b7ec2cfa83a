// Walks by cursor (RFC 9865) while the lists change: without an origin, in front of one, and with copies near callers.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { who } from "../../js/torture/who.mjs";
import { PATCH, USER, isHit, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const gateway = await start({ wrapper: who(), vars: { READ_COPIES: "weur" } });
after(() => gateway.stop());

const EUROPE = { "mf-cf-blob": JSON.stringify({ continent: "EU", longitude: "13.4" }) };
const AFRICA = { "mf-cf-blob": JSON.stringify({ continent: "AF" }) };

const by = (answer) => answer.headers.get("x-by");
const change = (client, id, path, value) =>
  client.call("PATCH", `/Users/${id}`, { schemas: [PATCH], Operations: [{ op: "replace", path, value }] });

/** Nine active users; their names in the order of creation. */
async function nine(client) {
  const names = Array.from({ length: 9 }, (_, n) => `walker${n}@example.com`);
  for (const userName of names) {
    const made = await client.call("POST", "/Users", { schemas: [USER], userName, active: true, title: "before" });
    assert.equal(made.status, 201, JSON.stringify(made.body));
  }
  return names;
}

/** Walks by threes and changes what each page shows. `places` are those that ask for the pages, in turn. */
async function walk(client, query, changed, places = [{}]) {
  const shown = [];
  const asked = [];
  for (let cursor = "", page = 0; page < 20; page += 1) {
    const answer = await client.get(`/Users?${query}&count=3&cursor=${cursor}`, places[page % places.length]);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    asked.push(by(answer));
    for (const one of answer.body.Resources) {
      shown.push(one.userName);
      if (shown.length <= 9) assert.ok((await changed(one)).status < 300);
    }
    cursor = answer.body.nextCursor;
    if (cursor === undefined) return { shown, asked };
  }
  throw new Error(`no end of ${query}`);
}

const ACTIVE = `filter=${encodeURIComponent("active eq true")}`;

test("cursors: deactivating what a page of active users shows hides nobody", async () => {
  const client = await gateway.account("deactivate");
  const names = await nine(client);
  const { shown } = await walk(client, ACTIVE, ({ id }) => change(client, id, "active", false));
  assert.deepEqual(shown, names);
});

test("cursors: sorted by what changes under the walk, nobody is hidden, and what moved is shown where it is", async () => {
  const client = await gateway.account("modified");
  const names = await nine(client);
  const { shown } = await walk(client, "sortBy=meta.lastModified", ({ id }) => change(client, id, "title", "after"));
  assert.deepEqual(shown.slice(0, 9), names);
  assert.deepEqual(new Set(shown), new Set(names));
});

test("cursors: in front of an origin likewise", async (t) => {
  const it = await origin(0, { lacks: [] });
  t.after(() => it.stop());
  const client = await gateway.account("behind", { scim_origin_url: it.base });
  await until(async () => isHit(await client.get("/Users?count=1")));
  const names = await nine(client);
  const { shown } = await walk(client, ACTIVE, ({ id }) => change(client, id, "active", false));
  assert.deepEqual(shown, names);
});

test("cursors: a walk goes on at a copy near the caller and at the account's own object", async () => {
  const client = await gateway.account("near");
  const names = await nine(client);
  // A write calls back what was lent to the copy.
  const lent = () => until(async () => by(await client.get("/Users?count=0", EUROPE)) === "weur");
  await lent();
  for (const query of ["sortBy=userName", ACTIVE]) {
    const changed = async ({ id }) => {
      const answer = await change(client, id, "title", query);
      await lent();
      return answer;
    };
    const { shown, asked } = await walk(client, query, changed, [EUROPE, AFRICA]);
    assert.deepEqual(shown, names);
    assert.ok(asked.includes("weur") && asked.includes("own"), asked.join());
  }
});

test("cursors: after the tables were filled again a cursor has expired, and says so", async (t) => {
  const [first, second] = [await origin(9, { lacks: [] }), await origin(9, { lacks: [] })];
  t.after(() => Promise.all([first.stop(), second.stop()]));
  const client = await gateway.account("moved", { scim_origin_url: first.base });
  await until(async () => isHit(await client.get("/Users?count=1")));
  const page = await client.get(`/Users?${ACTIVE}&count=3&cursor=`);
  const next = `/Users?${ACTIVE}&count=3&cursor=${page.body.nextCursor}`;
  assert.equal((await client.get(next)).status, 200);
  await gateway.admin("moved").set({ scim_origin_url: second.base }, { replace: true });
  await until(() => second.requests.length > 0 || client.get("/Users?count=1").then(() => false));
  const expired = await until(async () => {
    const answer = await client.get(next);
    return answer.status === 400 && answer;
  });
  assert.equal(expired.body.scimType, "expiredCursor");
});

test("cursors: a cursor of the copy is never sent to the origin, and is good again once the copy is", async (t) => {
  const it = await origin(9, { lacks: [], byCursor: true });
  t.after(() => it.stop());
  const client = await gateway.account("ours", { scim_origin_url: it.base });
  await until(async () => isHit(await client.get("/Users?count=1")));
  const first = await client.get("/Users?count=3&cursor=");
  it.behave = ({ method }) => (method === "POST" ? { destroy: true } : undefined);
  // Until it is known what became of this one, lists are the origin's to answer.
  assert.equal((await client.call("POST", "/Users", { schemas: [USER], userName: "lost" })).status, 504);
  const second = await until(async () => {
    const answer = await client.get(`/Users?count=3&cursor=${first.body.nextCursor}`);
    assert.ok([200, 503].includes(answer.status), JSON.stringify(answer.body));
    return answer.status === 200 && answer;
  });
  assert.deepEqual(second.body.Resources.map(({ id }) => id), ["u3", "u4", "u5"]);
  assert.ok(it.requests.every(({ url }) => !url.includes(first.body.nextCursor)));
});

test("cursors: bounded in length, however long what is sorted by", async () => {
  const client = await gateway.account("long");
  for (let n = 0; n < 3; n += 1) {
    const title = `${"a title that goes on and on ".repeat(500)}${n}`;
    const made = await client.call("POST", "/Users", { schemas: [USER], userName: `long${n}`, title });
    assert.equal(made.status, 201);
  }
  const first = await client.get("/Users?sortBy=title&count=1&cursor=");
  assert.ok(first.body.nextCursor.length < 300, first.body.nextCursor);
  const second = await client.get(`/Users?sortBy=title&count=1&cursor=${first.body.nextCursor}`);
  assert.deepEqual(second.body.Resources.map((one) => one.userName), ["long1"]);
});
