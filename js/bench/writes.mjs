// Writes: groups small and large, what an origin's writes take longer through the gateway, and rows written.

import { createServer } from "node:http";
import { say } from "../log.mjs";
import { gateway } from "./gateway.mjs";
import { person } from "./people.mjs";
import { rowsWritten } from "./rows.mjs";
import { median, shown } from "./statistics.mjs";

const PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/** All three. */
export async function writes({ users, rounds }) {
  const times = rounds * 20;
  const [groups, origin, rows] = [await patches(users, times), await behindOrigin(times), await rowsWritten()];
  say(`PATCH add of 1 member: ${shown(groups.ten)} ms in a group of 10, ${shown(groups.everyone)} ms in one of ${shown(groups.members)}: ${shown(groups.everyone / groups.ten)} times`);
  say(`A write to an origin: ${shown(origin.own)} ms, through the gateway ${shown(origin.through)} ms: ${shown(origin.through - origin.own)} ms more`);
  say(`Rows written: ${rows.create} for a user with one e-mail address, ${rows.createTwo} with two, ${rows.patch} for a PATCH of one attribute`);
  return { groups, origin, rows };
}

async function patches(users, times) {
  say("\nWrites: filling");
  const ours = await gateway({ users, say });
  try {
    const client = ours.client();
    const stranger = (await client.call("POST", "/Users", person(users + 1))).body.id;
    const patch = async (group, operation) => {
      const { status } = await client.call("PATCH", `/Groups/${group}?excludedAttributes=members`, { schemas: [PATCH], Operations: [operation] });
      if (status >= 300) throw new Error(`PATCH: ${status}`);
    };
    const taken = { ten: [], everyone: [] };
    for (let n = 0; n < times; n += 1) {
      for (const name of Object.keys(taken)) {
        const begun = performance.now();
        await patch(ours[name], { op: "add", path: "members", value: [{ value: stranger }] });
        taken[name].push(performance.now() - begun);
        await patch(ours[name], { op: "remove", path: `members[value eq "${stranger}"]` });
      }
    }
    return { ten: median(taken.ten), everyone: median(taken.everyone), members: Math.min(users, 10_000) };
  } finally {
    await ours.stop();
  }
}

/** A PUT to an origin that answers at once, without and with the gateway. */
async function behindOrigin(times) {
  const stored = { ...person(1), id: "1", meta: { resourceType: "User", created: "2026-01-01T00:00:00Z", lastModified: "2026-01-01T00:00:00Z", version: 'W/"1"' } };
  const lists = { schemas: ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], startIndex: 1 };
  const server = createServer(async (request, response) => {
    for await (const chunk of request) chunk.fill(0);
    const { pathname } = new URL(request.url, "http://origin");
    const list = (Resources) => ({ ...lists, totalResults: Resources.length, itemsPerPage: Resources.length, Resources });
    const body = { "/Users/1": stored, "/Users": list([stored]), "/Groups": list([]) }[pathname];
    response.writeHead(body ? 200 : 404, { "content-type": "application/scim+json" });
    response.end(JSON.stringify(body ?? {}));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${server.address().port}`;
  const ours = await gateway({ settings: { scim_origin_url: base } });
  try {
    const client = ours.client();
    while (!(await client.get("/Users/1")).headers.get("cache-status")?.includes("hit")) await new Promise((resolve) => setTimeout(resolve, 200));
    const put = async (url, headers) => {
      const begun = performance.now();
      const answer = await fetch(url, { method: "PUT", headers: { ...headers, "content-type": "application/scim+json" }, body: JSON.stringify(stored) });
      await answer.text();
      if (answer.status !== 200) throw new Error(`PUT: ${answer.status}`);
      return performance.now() - begun;
    };
    const taken = { own: [], through: [] };
    for (let n = 0; n < times; n += 1) {
      taken.own.push(await put(`${base}/Users/1`, {}));
      const { url, headers } = ours.request("/Users/1");
      taken.through.push(await put(url, headers));
    }
    return { own: median(taken.own), through: median(taken.through) };
  } finally {
    await ours.stop();
    server.close();
    server.closeAllConnections();
  }
}
