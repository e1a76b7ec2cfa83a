// `npm run bench`: how long each shape of query takes, against a read by id in the same run. On real
// workerd, with data on disk; what counts is the ratio, for machines differ.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { admin, scim } from "./demo/client.mjs";
import { serve } from "./gateway.mjs";
import { fail, say } from "./log.mjs";
import { setup } from "./setup.mjs";

const USER = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

const person = (n) => ({
  schemas: [USER, ENTERPRISE],
  userName: `user${n}@example.com`,
  externalId: `e-${n}`,
  name: { givenName: `Given${n % 97}`, familyName: `Family${n % 89}` },
  title: n % 10 ? "Engineer" : "Manager",
  active: n % 20 !== 0,
  emails: [{ value: `user${n}@example.com`, type: "work", primary: true }, { value: `u${n}@home.example`, type: "home" }],
  [ENTERPRISE]: { employeeNumber: String(n), department: `Department ${n % 13}` },
});

/** Fills a directory by bulk; returns the ids. */
async function fill(client, users) {
  const ids = [];
  const made = async (operations) => {
    const { status, body } = await client.call("POST", "/Bulk", { schemas: [BULK], Operations: operations });
    if (status !== 200) throw new Error(`filling: ${status} ${JSON.stringify(body)}`);
    return body.Operations.map((one) => one.location.split("/").pop());
  };
  for (let start = 0; start < users; start += 500) {
    const numbers = Array.from({ length: Math.min(500, users - start) }, (_, place) => start + place);
    ids.push(...(await made(numbers.map((n) => ({ method: "POST", path: "/Users", bulkId: `b${n}`, data: person(n) })))));
    say(`  ${ids.length} of ${users} users`);
  }
  const group = (displayName, members) => ({ method: "POST", path: "/Groups", bulkId: displayName, data: { schemas: [GROUP], displayName, members: members.map((value) => ({ value })) } });
  const teams = Array.from({ length: 20 }, (_, team) => group(`Team ${team}`, ids.filter((_, n) => n % 50 === team)));
  const [everyone] = await made([group("Everyone", ids), ...teams]);
  return { ids, everyone };
}

/** The shapes: a name and a request. */
function shapes({ ids, everyone }) {
  const one = Math.floor(ids.length / 2);
  const filter = (text, more = "") => ["GET", `/Users?filter=${encodeURIComponent(text)}&count=100${more}`];
  const patch = (...Operations) => ["PATCH", `/Groups/${everyone}?excludedAttributes=members`, { schemas: [PATCH], Operations }];
  return {
    "a user by id": ["GET", `/Users/${ids[one]}`],
    "userName eq": filter(`userName eq "user${one}@example.com"`),
    "externalId eq": filter(`externalId eq "e-${one}"`),
    "emails.value eq": filter(`emails.value eq "u${one}@home.example"`),
    "emails[type and value]": filter(`emails[type eq "work" and value eq "user${one}@example.com"]`),
    "first page of 100": ["GET", "/Users?startIndex=1&count=100"],
    "last page of 100": ["GET", `/Users?startIndex=${ids.length - 99}&count=100`],
    "page of 100 by cursor": ["GET", "/Users?cursor=&count=100"],
    "count=0": ["GET", "/Users?count=0"],
    "title eq (scan)": filter('title eq "Manager"', "&attributes=userName"),
    "active eq false (scan)": filter("active eq false", "&attributes=userName"),
    "userName co (scan)": filter('userName co "99@"', "&attributes=userName"),
    "department eq (scan)": filter(`${ENTERPRISE}:department eq "Department 7"`, "&attributes=userName"),
    "meta.lastModified gt (scan)": filter('meta.lastModified gt "2011-01-01T00:00:00Z"', "&attributes=userName"),
    "sortBy userName (scan)": ["GET", "/Users?sortBy=userName&count=100&attributes=userName"],
    "nothing matches (scan)": filter('nickName eq "nobody"'),
    "groups.value eq": filter(`groups.value eq "${everyone}"`, "&attributes=userName"),
    "a group with everyone": ["GET", `/Groups/${everyone}`],
    "that group without members": ["GET", `/Groups/${everyone}?excludedAttributes=members`],
    "is a member (members eq)": ["GET", `/Groups?filter=${encodeURIComponent(`members eq "${ids[one]}"`)}&attributes=displayName`],
    "removing one of everyone": patch({ op: "remove", path: `members[value eq "${ids[one]}"]` }),
    "adding one to everyone": patch({ op: "add", path: "members", value: [{ value: ids[one] }] }),
  };
}

/** Milliseconds, the middle of `times` requests. */
async function median(client, [method, path, body], times) {
  const taken = [];
  for (let n = 0; n < times; n += 1) {
    const begun = performance.now();
    const { status } = await client.call(method, path, body);
    taken.push(performance.now() - begun);
    if (status >= 300) throw new Error(`${method} ${path}: ${status}`);
  }
  return taken.sort((a, b) => a - b)[Math.floor(times / 2)];
}

async function main() {
  const { values } = parseArgs({ options: { users: { type: "string", default: "10000" }, times: { type: "string", default: "15" } } });
  await setup({});
  await build();
  const state = mkdtempSync(join(tmpdir(), "scim-edge-bench-"));
  const gateway = await serve({ port: 0, state });
  try {
    const calls = admin(gateway.url, gateway.rootKey, "bench");
    await calls.serviceAccount("provisioner", "_scim_provisioner");
    const client = scim(gateway.url, "bench", await calls.mint("provisioner"));
    const filled = await fill(client, Number(values.users));
    let unit;
    say(`\n${"shape".padEnd(30)}${"ms".padStart(10)}${"ratio".padStart(10)}`);
    for (const [name, request] of Object.entries(shapes(filled))) {
      const ms = await median(client, request, Number(values.times));
      unit ??= ms;
      say(`${name.padEnd(30)}${ms.toFixed(2).padStart(10)}${(ms / unit).toFixed(1).padStart(10)}`);
    }
  } finally {
    await gateway.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

await main().catch(fail);
