// The copy of an origin that changes while it is read, counts wrongly, forgets or fails: it gets there all the same,
// and says what keeps it.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { USER, isHit, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";

const gateway = await start();
after(() => gateway.stop());

let accounts = 0;

/** An account in front of an origin, and the calls of its operator. */
async function behind(t, it, settings = {}) {
  t.after(() => it.stop());
  accounts += 1;
  const account = `fault${accounts}`;
  const client = await gateway.account(account, { scim_origin_url: it.base, ...settings });
  const operate = async (method, call, body) => {
    const response = await fetch(`${gateway.url}/ng/api/scim/account/${account}/${call}`, {
      method,
      headers: { "x-api-key": gateway.rootKey, ...(body && { "content-type": "application/json" }) },
      body: body && JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };
  const replica = async () => (await operate("GET", ".replica")).body;
  const isLive = async () => (await replica()).state === "live";
  return { account, client, operate, replica, isLive };
}

const placeOf = ({ url }, it) => {
  const { pathname, searchParams } = new URL(url, it.url);
  return { pathname, start: Number(searchParams.get("startIndex")), count: Number(searchParams.get("count")), filter: searchParams.get("filter") };
};

/** Whether a request is for a page of users, as fills and passes ask for it. */
const isPage = (request, it) => {
  const { pathname, start, count, filter } = placeOf(request, it);
  return request.method === "GET" && pathname === "/scim/Users" && start > 0 && count > 1 && !filter;
};

/** With every page but the first some users leave and one joins in front of all. */
function unrest(it, leavers) {
  let joined = 0;
  it.behave = (request) => {
    if (!isPage(request, it) || placeOf(request, it).start === 1) return;
    for (const id of [...it.store.Users.keys()].slice(0, leavers)) it.store.Users.delete(id);
    joined += 1;
    const id = `joiner${joined}`;
    it.store.Users = new Map([[id, { schemas: [USER], id, userName: id, active: true }], ...it.store.Users]);
  };
}

test("replica: a first fill ends while users leave and join with every page", async (t) => {
  const it = await origin(1_000);
  unrest(it, 3);
  const { client, isLive } = await behind(t, it);
  await until(isLive, 30);
  for (const id of ["u500", "u999"]) assert.ok(isHit(await client.get(`/Users/${id}`)), id);
});

test("replica: a pass ends while users leave and join with every page", async (t) => {
  const it = await origin(1_000);
  const { operate, replica, isLive } = await behind(t, it);
  await until(isLive, 30);
  unrest(it, 3);
  assert.equal((await operate("POST", ".check")).status, 202);
  const { lastCheck } = await until(async () => {
    const body = await replica();
    return body.lastCheck && body;
  }, 30);
  // The copy has all that was there before, and not yet those who joined.
  assert.deepEqual(lastCheck.missing.filter(({ id }) => !id.startsWith("joiner")), []);
  assert.ok(lastCheck.users.origin > 900, JSON.stringify(lastCheck.users));
});

test("replica: an origin that shrinks while it is read, and refuses an index behind its end, is copied", async (t) => {
  for (const status of [400, 404]) {
    const it = await origin(1_500);
    it.behave = (request) => {
      if (!isPage(request, it)) return undefined;
      const { start } = placeOf(request, it);
      if (start > 1_200) it.store.Users = new Map([...it.store.Users].slice(0, 50));
      return start > it.store.Users.size && start > 1 ? { status, body: { status: String(status) } } : undefined;
    };
    const { replica, isLive } = await behind(t, it);
    await until(isLive, 30);
    assert.ok((await replica()).users >= 50);
  }
});

test("replica: totals are a hint, and pages are followed to the last", async (t) => {
  const totals = { zero: () => 0, negative: () => -1, page: (shown) => shown.length, text: () => "330", null: () => null, none: () => undefined };
  for (const [name, total] of Object.entries(totals)) {
    const it = await origin(330);
    it.behave = (request) => {
      const { pathname, start, count, filter } = placeOf(request, it);
      const all = it.store[pathname.split("/")[2]];
      if (request.method !== "GET" || !all || pathname.split("/").length > 3 || filter) return undefined;
      const Resources = [...all.values()].slice(start - 1, start - 1 + Math.min(count, 50));
      return { body: { totalResults: total(Resources), startIndex: start, itemsPerPage: Resources.length, Resources } };
    };
    const { client, replica, isLive } = await behind(t, it);
    await until(isLive, 30);
    assert.equal((await replica()).users, 330, name);
    const last = await client.get("/Users/u329");
    assert.deepEqual([last.status, isHit(last)], [200, true], name);
  }
});

test("replica: an origin that counts more than it shows is not taken for copied, and that is said", async (t) => {
  const it = await origin(30);
  it.behave = (request) => {
    if (!isPage(request, it)) return undefined;
    const Resources = [...it.store.Users.values()].slice(placeOf(request, it).start - 1);
    return { body: { totalResults: 31, Resources } };
  };
  const { replica } = await behind(t, it);
  const { state, lastError } = await until(async () => {
    const body = await replica();
    return body.lastError?.attempt > 1 && body;
  });
  assert.equal(state, "filling");
  assert.equal(lastError.sentence, "The origin counts 31 Users and shows fewer");
  it.behave = undefined;
  await until(async () => (await replica()).state === "live", 30);
});

test("replica: a cursor that the origin forgets begins the fill again", async (t) => {
  const it = await origin(350, { byCursor: true, lacks: [] });
  let forgotten = 0;
  it.behave = ({ url }) => {
    if (new URL(url, it.url).searchParams.get("cursor") !== "201" || forgotten > 0) return undefined;
    forgotten += 1;
    return { status: 400, body: { schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"], status: "400", scimType: "expiredCursor" } };
  };
  const { replica, isLive } = await behind(t, it);
  await until(isLive, 30);
  assert.deepEqual([forgotten, (await replica()).users], [1, 350]);
});

test("replica: what fails is said, waits grow, and an operator need not wait", async (t) => {
  for (const [failure, status] of [
    [{ status: 401, body: { status: "401" } }, 401],
    [{ status: 500, body: { status: "500" } }, 500],
    [{ status: 200, headers: { "content-type": "text/html" }, body: "<html></html>" }, 200],
  ]) {
    const it = await origin(3);
    it.behave = (request) => (isPage(request, it) ? failure : undefined);
    const { operate, replica, isLive } = await behind(t, it);
    const { lastError } = await until(async () => {
      const body = await replica();
      return body.lastError?.attempt >= 3 && body;
    }, 30);
    assert.equal(lastError.status, status);
    assert.match(lastError.sentence, /\/scim\/Users answered (401|500|with no SCIM list)$/);
    assert.equal(lastError.nextAttemptAt - lastError.at, 1000 * 2 ** lastError.attempt);
    it.behave = undefined;
    const asked = await operate("POST", ".resync");
    assert.equal(asked.status, 202);
    await until(isLive);
    const { lastError: none } = await replica();
    assert.equal(none, null);
  }
});

test("replica: an origin that asks to be left alone is, at most for minutes, as it shows; an operator need not wait", async (t) => {
  const it = await origin(3);
  it.behave = (request) => (isPage(request, it) ? { status: 429, headers: { "retry-after": "86400" }, body: { status: "429" } } : undefined);
  const { operate, replica, isLive } = await behind(t, it);
  const { origin: about } = await until(async () => {
    const body = await replica();
    return body.origin.retryAt && body;
  });
  const wait = about.retryAt - Date.now();
  assert.ok(wait > 200_000 && wait <= 300_000, String(wait));
  it.behave = undefined;
  await operate("POST", ".resync");
  await until(isLive);
});

test("replica: a Retry-After that is over, negative or a word is none", async (t) => {
  for (const value of ["-3600", "later", "Wed, 21 Oct 2015 07:28:00 GMT", "May 1 2999"]) {
    const it = await origin(3);
    let refused = 0;
    it.behave = (request) => {
      if (!isPage(request, it) || refused > 0) return undefined;
      refused += 1;
      return { status: 429, headers: { "retry-after": value }, body: { status: "429" } };
    };
    const { replica, isLive } = await behind(t, it);
    await until(() => refused > 0);
    assert.equal((await replica()).origin.retryAt, null, value);
    await until(isLive);
  }
});

test("replica: the fill begins when the origin is set, without a call of a client", async (t) => {
  const it = await origin(3);
  await behind(t, it);
  await until(() => it.requests.some((request) => isPage(request, it) && placeOf(request, it).count === 100));
});

test("replica: settings that may mend what failed are tried at once", async (t) => {
  const it = await origin(3);
  it.behave = (request) => (isPage(request, it) && request.headers.authorization !== "Bearer new" ? { status: 401, body: { status: "401" } } : undefined);
  const { account, replica, isLive } = await behind(t, it);
  const { lastError } = await until(async () => {
    const body = await replica();
    return body.lastError?.attempt >= 4 && body;
  }, 30);
  await gateway.admin(account).set({ scim_origin_url: it.base, scim_origin_authorization: "Bearer new" }, { replace: true });
  await until(isLive);
  assert.ok(Date.now() < lastError.nextAttemptAt, "before the next attempt was due");
});

test("replica: one failure is enough to stop asking for other writes of unknown outcome", async (t) => {
  const it = await origin(20);
  const { client, replica, isLive } = await behind(t, it);
  await until(isLive);
  let asked = 0;
  it.behave = ({ method, url }) => {
    if (method === "PUT") return { status: 500, body: { status: "500" } };
    if (/\/Users\/u\d+$/.test(url)) {
      asked += 1;
      return { status: 500, body: { status: "500" } };
    }
    return undefined;
  };
  for (let n = 0; n < 10; n += 1) {
    await client.call("PUT", `/Users/u${n}`, { schemas: [USER], userName: `user${n}@example.com`, title: "unknown" });
  }
  assert.equal((await replica()).unknownOutcomes, 10);
  asked = 0;
  const list = await client.get("/Users?filter=userName%20eq%20%22user15@example.com%22");
  assert.equal(list.status, 200);
  assert.ok(asked <= 2, `${asked} requests for one read`);
  it.behave = undefined;
  await until(async () => isHit(await client.get("/Users?count=1")), 30);
});

test("replica: an error of the gateway's own is told, tried again, and over once its cause is", async (t) => {
  const it = await origin(3);
  it.store.Users.get("u1").title = "x".repeat(2_300_000);
  const { client, replica, isLive } = await behind(t, it);
  await until(async () => {
    const { state, lastError, setAside } = await replica();
    return lastError?.attempt >= 2 || (state === "live" && setAside.users === 1);
  }, 30);
  it.store.Users.get("u1").title = "short";
  await until(async () => (await isLive()) && (await client.get("/Users/u1")).body.title === "short", 60);
});

test("replica: a filter that is refused once is tried again", async (t) => {
  const old = "2020-01-01T00:00:00Z";
  const shows = (shown) => ({ ...shown, meta: { ...shown.meta, lastModified: old } });
  const it = await origin(3, { shows });
  const filtered = [];
  let refuse = false;
  it.behave = (request) => {
    const { pathname, filter } = placeOf(request, it);
    const since = /^meta\.lastModified gt "(.+)"$/.exec(filter)?.[1];
    const all = it.store[pathname.split("/")[2]];
    if (request.method !== "GET" || !since || !all) return undefined;
    filtered.push(since);
    if (refuse) {
      refuse = false;
      return { status: 403, headers: { "content-type": "text/html" }, body: "<html>blocked</html>" };
    }
    const Resources = [...all.values()].map((one) => shows({ ...one, meta: {} })).filter(() => new Date(old) > new Date(since));
    return { body: { totalResults: Resources.length, startIndex: 1, itemsPerPage: Resources.length, Resources } };
  };
  const isOfPass = (since) => !since.startsWith("1970") && !since.startsWith("9000");
  await behind(t, it, { scim_replica_max_staleness_seconds: "30" });
  await until(() => filtered.some((since) => since.startsWith("9000")), 60);
  refuse = true;
  await until(() => !refuse, 60);
  const before = filtered.length;
  await until(() => filtered.slice(before).filter(isOfPass).length >= 2, 90);
});
