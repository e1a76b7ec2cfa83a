// The origin: a SCIM server for two accounts that has every fault of `faults.mjs` and keeps the truth.
//
// `alpha` can do what SCIM asks for, and says when things were modified; `beta` has neither PATCH nor versions
// nor filters nor times, so that the gateway has to make up for them. An index page shows at most seven
// resources, so that a pass over the directory takes several. `gamma` is like `alpha`, and lies (`lies.mjs`).

import { createServer } from "node:http";
import { lied } from "./lies.mjs";
import { GROUP, LIST, USER } from "./names.mjs";
import { Truth, now } from "./truth.mjs";

const PAGE = 7;

const isFull = (account) => account !== "beta";

/** Serves the accounts. `problems` gets what no request of the gateway's may ever be. */
export async function serveOrigin({ random, faults, accounts, problems }) {
  const truths = Object.fromEntries(accounts.map((account) => [account, new Truth()]));
  for (const account of accounts) truths[account].isFull = isFull(account);
  const open = new Map();
  let isDown = false;
  const http = createServer((request, response) => {
    answer(request, response).catch(() => request.socket.destroy());
  });

  async function answer(request, response) {
    const received = now();
    if (isDown) return request.socket.destroy();
    let text = "";
    for await (const chunk of request) text += chunk;
    const url = new URL(request.url, "http://origin");
    const [, account, , segment, id] = url.pathname.split("/").map(decodeURIComponent);
    if (request.headers.authorization !== `Bearer ${account}`) {
      problems.push({ rule: 8, text: `a request of another account reached ${account}` });
    }
    const isWrite = request.method !== "GET" && id !== ".search";
    const asked = { account, method: request.method, segment, id, query: url.searchParams, text, received, request: request.headers["x-request-id"], ifMatch: request.headers["if-match"] };
    const turn = isWrite && id ? serialised(request, asked) : undefined;
    const fault = faults.choose(isWrite);
    try {
      const early = await faults.before(fault);
      // Whoever asked is gone: an origin that finds out does not begin.
      if (request.socket.destroyed) return undefined;
      const sent = early ?? (await faults.after(fault, carryOut(asked)));
      if (sent.destroy) return request.socket.destroy();
      return send(request, response, sent);
    } finally {
      turn?.();
    }
  }

  /** Writes to one resource must not overlap, as long as the gateway waits for them. */
  function serialised({ socket }, { account, id, method }) {
    const key = `${account}/${id}`;
    const other = open.get(key);
    if (other && !other.destroyed) problems.push({ rule: 7, text: `a ${method} of ${key} overlaps with another write of it` });
    open.set(key, socket);
    return () => open.get(key) === socket && open.delete(key);
  }

  function carryOut(asked) {
    const truth = truths[asked.account];
    if (asked.segment === "ServiceProviderConfig") return { status: 200, body: configuration(asked.account) };
    const kind = { Users: "User", Groups: "Group" }[asked.segment];
    if (!truth || !kind) return { status: 404, body: { status: "404" } };
    const full = truth.isFull;
    const show = (it, status = 200) => {
      const resource = shown(truth, it);
      return { status, headers: full ? { etag: resource.meta.version } : {}, body: resource };
    };
    const told = truth.lie && lied(truth.lie, asked, (isShown) => list(truth, kind, asked.query, isShown));
    if (told) return told;
    const body = asked.text === "" ? undefined : JSON.parse(asked.text);
    if (!asked.id && asked.method === "GET") return faults.page(asked.query, list(truth, kind, asked.query));
    if (asked.id === ".search") return list(truth, kind, new URLSearchParams({ count: body.count }));
    const made = { by: "gateway", received: asked.received, request: asked.request };
    if (!asked.id) return show(truth.create(kind, read(truth, kind, body), made), 201);
    const it = truth.get(asked.id);
    if (it?.kind !== kind) return { status: 404, body: { schemas: [], status: "404" } };
    const isAsWanted = !full || asked.ifMatch === undefined || asked.ifMatch === `W/"${truth.version(it.id)}"`;
    if (!isAsWanted) {
      faults.count("412 of the origin");
      return { status: 412, body: { schemas: [], status: "412" } };
    }
    switch (asked.method) {
      case "GET":
        return show(it);
      case "DELETE":
        truth.remove(it.id, made);
        return { status: 204, headers: {} };
      case "PUT":
        return show(truth.change(it.id, read(truth, kind, body), made));
      default: {
        const state = full ? patched(truth, it.state, body.Operations) : undefined;
        if (!state) return { status: full ? 400 : 501, body: { status: full ? "400" : "501", scimType: "invalidValue" } };
        const shows = show(truth.change(it.id, state, made));
        return random.chance(0.5) ? shows : { status: 204, headers: shows.headers };
      }
    }
  }

  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${http.address().port}`,
    truths,
    /** Refuses every request, or no longer. */
    setDown(down) {
      isDown = down;
      if (down) http.closeAllConnections();
    },
    stop: () =>
      new Promise((resolve) => {
        http.close(resolve);
        http.closeAllConnections();
      }),
  };
}

function send({ socket }, response, { status, headers, body, truncated }) {
  const text = typeof body === "string" ? body : body === undefined ? "" : JSON.stringify(body);
  const sent = { "content-type": "application/scim+json", ...headers };
  if (!truncated || text === "") {
    response.writeHead(status, sent);
    response.end(text);
    return;
  }
  response.writeHead(status, { ...sent, "content-length": Buffer.byteLength(text) });
  response.write(text.slice(0, text.length / 2), () => socket.destroy());
}

function configuration(account) {
  const supported = isFull(account);
  const features = ["patch", "filter", "etag", "sort", "bulk"].map((name) => [name, { supported }]);
  return { schemas: ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"], ...Object.fromEntries(features) };
}

function list(truth, kind, query, isShown = () => true) {
  const [, attribute, operator, value] = /^([\w.]+) (eq|gt) "([^"]*)"$/.exec(query.get("filter") ?? "") ?? [];
  const all = truth.ids(kind).filter(isShown).map((id) => truth.get(id));
  const found = all.filter(({ state, modified }) => {
    if (operator === "gt") return new Date(modified) > new Date(value);
    return operator === undefined || state[attribute] === value;
  });
  const start = Number(query.get("startIndex") ?? 1);
  const count = query.has("startIndex") ? PAGE : Number(query.get("count") ?? 100);
  const page = found.slice(start - 1, start - 1 + count).map((it) => shown(truth, it));
  return { status: 200, body: { schemas: [LIST], totalResults: found.length, startIndex: start, itemsPerPage: page.length, Resources: page } };
}

/** A resource as the origin shows it now. */
export function shown(truth, { id, kind, state, modified }) {
  const meta = { resourceType: kind, ...(truth.isFull && { version: `W/"${truth.version(id)}"`, lastModified: modified }) };
  if (kind === "User") {
    const groups = truth.groupsOf(id).map((value) => ({ value, type: "direct" }));
    return { schemas: [USER], id, ...state, groups, meta };
  }
  return { schemas: [GROUP], id, ...state, members: state.members.map((value) => ({ value, type: "User" })), meta };
}

/** The state in a resource that a client sends. Members that are not there are left out. */
function read(truth, kind, body) {
  if (kind === "User") {
    const { userName, title, nickName } = body;
    return { userName, title, nickName };
  }
  const members = [...new Set((body.members ?? []).map(({ value }) => value))];
  return { displayName: body.displayName, externalId: body.externalId, members: members.filter((id) => truth.get(id)) };
}

function patched(truth, state, operations) {
  const next = structuredClone(state);
  for (const { op, path, value } of operations) {
    const removed = /^members\[value eq "([^"]*)"\]$/.exec(path);
    if (removed) next.members = next.members.filter((id) => id !== removed[1]);
    else if (path === "members" && op === "add") {
      for (const { value: id } of value) {
        if (!truth.get(id)) return undefined;
        if (!next.members.includes(id)) next.members.push(id);
      }
    } else next[path] = value;
  }
  return next;
}
