// Clients of the gateway: random operations on few resources, each recorded as an operation of the history.
//
// Every value that is written is a token of its own (`account~n`), so that it can be told which write a read
// shows. A user is put into and taken out of a group by one client only, one request at a time.

import { setTimeout as sleep } from "node:timers/promises";
import { GROUP, PATCH, USER } from "./names.mjs";
import { now } from "./truth.mjs";

const LEAST = { User: 8, Group: 3 };
const MOST = { User: 14, Group: 6 };

/** Where the brake is on there are more, so that half of them are more than it lets go. */
const BRAKED_LEAST = { User: 24, Group: 3 };
const BRAKED_MOST = { User: 30, Group: 6 };

const least = ({ brake }) => (brake ? BRAKED_LEAST : LEAST);
const most = ({ brake }) => (brake ? BRAKED_MOST : MOST);

const WEIGHTS = {
  "create": 3,
  "replace user": 6,
  "patch user": 14,
  "patch group": 6,
  "member": 16,
  "delete": 2,
  "read by id": 26,
  "list": 14,
  "filter": 8,
  "search": 4,
};

const READS = ["read by id", "list", "filter", "search"];

const SEGMENT = { User: "Users", Group: "Groups" };

/** Works until `world.isOver`. `world`: `{ account, url, key, truth, history, ready, random, tokens }`. */
export async function work(world, own, all) {
  const { random, truth } = world;
  while (!world.isOver()) {
    await world.ready();
    const kind = random.chance(0.6) ? "User" : "Group";
    const [users, groups] = [truth.ids("User"), truth.ids("Group")];
    const ids = kind === "User" ? users : groups;
    let what = random.weighted(WEIGHTS);
    if (ids.length < least(world)[kind]) what = "create";
    else if (what === "create" && ids.length >= most(world)[kind]) what = "delete";
    if (world.calm?.() && !READS.includes(what)) what = random.pick(READS);
    await act(what, { kind, ids, users, groups, own, all, world });
  }
}

async function act(what, { kind, ids, users, groups, own, all, world }) {
  const { random } = world;
  const token = `${world.account}~${(world.tokens.next += 1)}`;
  const patch = (...operations) => ({ schemas: [PATCH], Operations: operations });
  switch (what) {
    case "create": {
      const wrote = kind === "User" ? { userName: token, title: token, nickName: token } : { displayName: token, externalId: token };
      const schemas = [kind === "User" ? USER : GROUP];
      return write(world, "POST", SEGMENT[kind], { wrote, creates: kind }, { schemas, ...wrote });
    }
    case "replace user": {
      const id = random.pick(users);
      const state = world.truth.get(id)?.state;
      if (!state) return undefined;
      const wrote = { title: token, nickName: token };
      return write(world, "PUT", `Users/${id}`, { id, wrote }, { schemas: [USER], userName: state.userName, ...wrote });
    }
    case "patch user": {
      const id = random.pick(users);
      const path = random.pick(["title", "nickName"]);
      return write(world, "PATCH", `Users/${id}`, { id, wrote: { [path]: token } }, patch({ op: "replace", path, value: token }));
    }
    case "patch group": {
      const id = random.pick(groups);
      const path = random.pick(["displayName", "externalId"]);
      return write(world, "PATCH", `Groups/${id}`, { id, wrote: { [path]: token } }, patch({ op: "replace", path, value: token }));
    }
    case "member": {
      const [group, user] = [random.pick(groups), random.pick(users)];
      if (owner(group + user, all) !== own) return undefined;
      const present = random.chance(0.65);
      const change = present
        ? { op: "add", path: "members", value: [{ value: user }] }
        : { op: "remove", path: `members[value eq "${user}"]` };
      return write(world, "PATCH", `Groups/${group}`, { id: group, member: { id: user, present } }, patch(change));
    }
    case "delete": {
      if (ids.length <= least(world)[kind]) return undefined;
      const id = random.pick(ids);
      return write(world, "DELETE", `${SEGMENT[kind]}/${id}`, { id, deletes: true });
    }
    case "read by id": {
      const id = random.pick([...ids, ...world.truth.gone().slice(-3)]);
      const { kind: itsKind } = world.truth.resources.get(id);
      return read(world, "GET", `${SEGMENT[itsKind]}/${id}`, { id });
    }
    case "search":
      return read(world, "POST", `${SEGMENT[kind]}/.search`, { whole: kind }, { schemas: [], count: 200 });
    case "filter": {
      const field = kind === "User" ? random.pick(["userName", "title"]) : "displayName";
      const value = world.truth.get(random.pick(ids))?.state[field] ?? token;
      const query = new URLSearchParams({ filter: `${field} eq "${value}"`, count: "200" });
      return read(world, "GET", `${SEGMENT[kind]}?${query}`, { whole: kind, filter: { field, value } });
    }
    default:
      return read(world, "GET", `${SEGMENT[kind]}?count=200`, { whole: kind });
  }
}

/** Which client changes a user's membership of a group. */
function owner(text, all) {
  let sum = 0;
  for (const char of text) sum = (sum * 31 + char.codePointAt(0)) % 65_521;
  return sum % all;
}

/** More deletions at once than the brake lets go. */
export function burst(world, { random, truth } = world) {
  const ids = truth.ids("User");
  const count = Math.min(8, ids.length - BRAKED_LEAST.User);
  const chosen = new Set(Array.from({ length: Math.max(0, count) }, () => random.pick(ids)));
  return Promise.all([...chosen].map((id) => write(world, "DELETE", `Users/${id}`, { id, deletes: true })));
}

async function write(world, method, path, meant, body) {
  const operation = { n: (world.tokens.operations += 1), account: world.account, what: "write", start: now(), end: null, status: null, ...meant };
  world.history.push(operation);
  const answer = await call(world, method, path, body, operation.n);
  if (!answer) return;
  Object.assign(operation, { end: now(), status: answer.status, marks: answer.marks });
  if (answer.status !== 429 || !/brake/.test(answer.json?.detail)) return;
  operation.isStopped = true;
  world.faults.count("stopped by the brake");
}

/** Reads once. What is no answer of a SCIM server shows nothing. */
export async function read(world, method, path, { id, whole, filter, last }, body) {
  const operation = { n: (world.tokens.operations += 1), account: world.account, what: "read", start: now(), end: null, status: null, shows: {} };
  world.history.push(operation);
  const answer = await call(world, method, path, body);
  if (!answer) return undefined;
  Object.assign(operation, { end: now(), status: answer.status, marks: answer.marks });
  const status = answer.headers.get("cache-status") ?? "";
  if (/; hit/.test(status)) operation.age = Number(answer.headers.get("age"));
  else if (/; fwd=/.test(status)) operation.fresh = true;
  if (last) operation.last = true;
  const json = answer.json;
  if (answer.status === 404 && id && json?.status === "404") operation.shows = { [id]: null };
  if (answer.status !== 200 || typeof json !== "object" || json === null) return operation;
  const resources = id ? [json] : json.Resources;
  if (!Array.isArray(resources) || (id && json.id !== id)) return operation;
  operation.shows = Object.fromEntries(resources.map((one) => [one.id, state(one)]));
  const users = resources.filter((one) => one.schemas?.includes(USER));
  operation.groupsOf = Object.fromEntries(users.map((one) => [one.id, (one.groups ?? []).map(({ value }) => value)]));
  if (whole && json.totalResults === resources.length) Object.assign(operation, { whole, filter });
  return operation;
}

function state({ schemas, userName, title, nickName, displayName, externalId, members }) {
  if (schemas?.includes(USER)) return { userName, title, nickName };
  return { displayName, externalId, members: (members ?? []).map(({ value }) => value) };
}

/** One request; nothing where there was no answer: the gateway was killed, or the client went away. */
async function call(world, method, path, body, n) {
  const abort = new AbortController();
  const leaves = !world.isOver() && world.random.chance(0.004);
  const timer = leaves && setTimeout(() => abort.abort(), world.random.between(1, 60));
  if (leaves) world.faults.count("client gone");
  try {
    const response = await fetch(`${world.url()}/ng/api/scim/account/${world.account}/${path}`, {
      method,
      signal: abort.signal,
      redirect: "manual",
      headers: { ...place(world), ...(n && { "x-request-id": `t-${n}` }), authorization: `Bearer ${world.key}`, ...(body && { "content-type": "application/scim+json" }) },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    const marks = [...new Set(text.match(/\b(alpha|beta|gamma)(?=~)/g) ?? [])];
    world.count(response.status, response.headers.get("x-by"));
    // Whoever is asked to come back later does not come back at once.
    if (response.status === 503) await sleep(world.random.between(20, 120));
    return { status: response.status, headers: response.headers, marks, json: parse(text) };
  } catch {
    world.count("none");
    if (!leaves) await sleep(20);
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** Where a request is from. */
function place({ continents, random }) {
  return continents && { "mf-cf-blob": JSON.stringify({ continent: random.pick(continents) }) };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
