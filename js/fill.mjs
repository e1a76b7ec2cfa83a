// `npm run fill`: how long the first copy of a large origin takes, what it needs, and that one which is
// interrupted in the middle goes on where it was. `-- --users 100000 --groups 1000`.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { fail, say } from "./log.mjs";
import { start } from "../tests/e2e/harness.mjs";

const USER = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group";
const MEMBERS = 100;

/** A server of made-up people, each made when it is asked for. */
async function origin(users, groups) {
  const meta = { lastModified: "2024-01-01T00:00:00Z", version: 'W/"1"' };
  const make = {
    Users: (n) => ({
      schemas: [USER],
      id: `u${n}`,
      externalId: `x${n}`,
      userName: `user${n}@example.com`,
      name: { givenName: "Given", familyName: `Family${n}` },
      emails: [{ value: `user${n}@example.com`, type: "work", primary: true }],
      active: true,
      meta: { resourceType: "User", ...meta },
    }),
    Groups: (n) => ({
      schemas: [GROUP],
      id: `g${n}`,
      displayName: `Group ${n}`,
      members: Array.from({ length: MEMBERS }, (_, m) => ({ value: `u${(n * MEMBERS + m) % users}`, type: "User" })),
      meta: { resourceType: "Group", ...meta },
    }),
  };
  const totals = { Users: users, Groups: groups };
  const pages = [];
  const http = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://origin");
    const type = pathname.split("/")[2];
    const total = totals[type];
    response.setHeader("content-type", "application/scim+json");
    if (!total || searchParams.has("filter")) return response.writeHead(404).end("{}");
    const first = Number(searchParams.get("startIndex") ?? 1);
    const count = Math.max(0, Math.min(Number(searchParams.get("count") ?? 100), total - first + 1));
    if (count > 1) pages.push({ type, first });
    const Resources = Array.from({ length: count }, (_, n) => make[type](first + n - 1));
    return response.end(JSON.stringify({ totalResults: total, startIndex: first, itemsPerPage: count, Resources }));
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return { base: `http://127.0.0.1:${http.address().port}/scim`, pages, stop: () => (http.close(), http.closeAllConnections()) };
}

/** The resident memory of processes, in megabytes. */
function memory(pids) {
  const kilobytes = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  return Math.round(pids.reduce((sum, pid) => sum + kilobytes(pid), 0) / 1024);
}

async function main() {
  const number = (name, value) => ({ [name]: { type: "string", default: String(value) } });
  const { values } = parseArgs({ options: { ...number("users", 100_000), ...number("groups", 1_000) } });
  const [users, groups] = [Number(values.users), Number(values.groups)];
  const it = await origin(users, groups);
  let gateway = await start();
  try {
    const before = memory(gateway.workerd);
    const client = await gateway.account("fill", { scim_origin_url: it.base });
    const key = gateway.rootKey;
    const began = Date.now();
    await client.get("/Users?count=1");
    const status = async () => {
      const response = await fetch(`${gateway.url}/ng/api/scim/account/fill/.replica`, { headers: { "x-api-key": key } });
      return response.json();
    };
    let most = before;
    let interrupted = 0;
    let told = 0;
    for (;;) {
      await sleep(500);
      const now = await status();
      most = Math.max(most, memory(gateway.workerd));
      const copied = now.users + now.groups;
      if (copied >= told + 20_000) say(`${(told = copied)} of ${now.fill?.total} after ${((Date.now() - began) / 1000).toFixed(0)} s, ${memory(gateway.workerd)} MB`);
      if (!now.fill && now.users === users && now.groups === groups) break;
      if (!interrupted && copied > users / 2) {
        interrupted = it.pages.at(-1).first;
        for (const pid of gateway.workerd) process.kill(pid, "SIGKILL");
        const { folder } = gateway;
        await gateway.stop({ keepState: true });
        gateway = await start({ state: folder });
        const again = await status();
        say(`killed at resource ${interrupted}; after the restart ${again.users} users were there`);
      }
    }
    const seconds = (Date.now() - began) / 1000;
    const again = it.pages.filter(({ type }) => type === "Users").length - Math.ceil(users / 99);
    say(`${users} users and ${groups} groups of ${MEMBERS} in ${seconds.toFixed(0)} s: ${Math.round((users + groups) / seconds)} a second, a kill and a restart included`);
    say(`workerd: ${before} MB before, ${most} MB at most; pages of users read more than once: about ${Math.max(0, again)}`);
  } finally {
    await gateway.stop();
    it.stop();
  }
}

await main().catch(fail);
