// A SCIM server that a test controls: people in it, and as much of SCIM as the test gives it.

import { randomUUID } from "node:crypto";
import { USER, server } from "./harness.mjs";

const CONFIGURATION = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

/**
 * An origin with `people`; `behave` may answer in its place. `lacks` names what its configuration says
 * it does not support; `discovery` answers /ResourceTypes and /Schemas.
 */
export async function origin(people = 3, { lacks, discovery = {}, lists = (shown) => shown, shows = (shown) => shown, byCursor } = {}) {
  const store = { Users: new Map(), Groups: new Map() };
  const versions = new Map();
  for (let n = 0; n < people; n += 1) {
    const id = `u${n}`;
    store.Users.set(id, { schemas: [USER], id, userName: `user${n}@example.com`, active: true });
  }
  const configuration = lacks && {
    schemas: [CONFIGURATION],
    ...Object.fromEntries(["patch", "filter", "sort", "etag", "bulk"].map((name) => [name, { supported: !lacks.includes(name) }])),
    ...(byCursor && { pagination: { cursor: true, index: false } }),
  };
  const versioned = configuration?.etag.supported;
  const http = await server(async (request) => {
    const behaved = await http.behave?.(request);
    if (behaved) return behaved;
    const { pathname, searchParams } = new URL(request.url, http.url);
    const [, , type, id] = pathname.split("/").map(decodeURIComponent);
    if (type === "ServiceProviderConfig" && configuration) return { body: configuration };
    if (discovery[type]) return { body: { Resources: discovery[type], totalResults: discovery[type].length } };
    const all = store[type];
    if (!all) return { status: 404, body: { status: "404" } };
    const etag = (one) => `W/"${versions.get(one.id) ?? 1}"`;
    const shown = (one) =>
      shows({
        ...one,
        meta: {
          resourceType: type.slice(0, -1),
          location: `${http.url}/scim/${type}/${one.id}`,
          ...(versioned && { version: etag(one) }),
        },
      });
    const answer = (one, status = 200) => ({ status, headers: versioned ? { etag: etag(one) } : {}, body: shown(one) });
    const changed = (changedId) => versions.set(changedId, (versions.get(changedId) ?? 1) + 1);
    if (request.method === "GET" && !id) {
      const start = Number((byCursor ? searchParams.get("cursor") : searchParams.get("startIndex")) || 1);
      const count = Number(searchParams.get("count") ?? 100);
      const page = [...all.values()].slice(start - 1, start - 1 + count).map((one) => lists(shown(one)));
      const next = byCursor && start + count <= all.size ? { nextCursor: String(start + count) } : {};
      return { body: { totalResults: all.size, startIndex: start, itemsPerPage: page.length, Resources: page, ...next } };
    }
    if (request.method === "POST") {
      const one = { ...JSON.parse(request.body), id: randomUUID() };
      all.set(one.id, one);
      return { ...answer(one, 201), headers: { location: `${http.url}/scim/${type}/${one.id}` } };
    }
    const one = all.get(id);
    if (!one) return { status: 404, body: { schemas: [], status: "404", detail: "gone" } };
    const wanted = request.headers["if-match"];
    if (versioned && request.method !== "GET" && wanted && wanted !== etag(one)) return { status: 412, body: { status: "412" } };
    if (request.method === "DELETE") {
      all.delete(id);
      return { status: 204 };
    }
    if (request.method === "PATCH" && lacks?.includes("patch")) return { status: 501, body: { status: "501" } };
    if (request.method === "PUT") all.set(id, { ...JSON.parse(request.body), id });
    if (request.method === "PATCH") {
      for (const { path, value } of JSON.parse(request.body).Operations) one[path] = value;
    }
    if (request.method !== "GET") changed(id);
    return request.method === "PATCH" ? { status: 204 } : answer(all.get(id));
  });
  return Object.assign(http, { store, versions, changed: (id) => versions.set(id, (versions.get(id) ?? 1) + 1), base: `${http.url}/scim` });
}
