// The directory that every contender is given.

import { displayed, nameOf } from "./names.mjs";

export const USER = "urn:ietf:params:scim:schemas:core:2.0:User";
export const GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group";
export const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

/** One user, some 1 KB once it is answered. */
export const person = (n) => ({
  schemas: [USER, ENTERPRISE],
  userName: `user${n}@example.com`,
  externalId: `e-${n}`,
  displayName: displayed(nameOf(n)),
  name: { formatted: displayed(nameOf(n)), ...nameOf(n) },
  title: n % 10 ? "Engineer" : "Manager",
  active: n % 20 !== 0,
  emails: [{ value: `user${n}@example.com`, type: "work", primary: true }, { value: `u${n}@home.example`, type: "home" }],
  phoneNumbers: [{ value: `+49 30 ${String(n).padStart(7, "0")}`, type: "work" }],
  addresses: [{ streetAddress: `${n} Main Street`, locality: "Berlin", postalCode: String(10_000 + (n % 4_000)), country: "DE", type: "work" }],
  [ENTERPRISE]: { employeeNumber: String(n), department: `Department ${n % 13}` },
});

/** Fills a directory of ours by bulk; returns the users' ids. */
export async function fill(client, users, { groups = true, say = () => {} } = {}) {
  const ids = [];
  const made = async (operations) => {
    const { status, body } = await client.call("POST", "/Bulk", { schemas: [BULK], Operations: operations });
    if (status !== 200) throw new Error(`filling: ${status} ${JSON.stringify(body)}`);
    return body.Operations.map((one) => one.location.split("/").pop());
  };
  for (let start = 0; start < users; start += 500) {
    const numbers = Array.from({ length: Math.min(500, users - start) }, (_, place) => start + place);
    ids.push(...(await made(numbers.map((n) => ({ method: "POST", path: "/Users", bulkId: `b${n}`, data: person(n) })))));
    if (ids.length % 10_000 === 0) say(`  ${ids.length} of ${users} users`);
  }
  if (!groups) return { ids };
  const group = (displayName, members) => ({ method: "POST", path: "/Groups", bulkId: displayName, data: { schemas: [GROUP], displayName, members: members.map((value) => ({ value })) } });
  const [everyone, ten] = await made([group("Everyone", ids.slice(0, 10_000)), group("Ten", ids.slice(0, 10))]);
  return { ids, everyone, ten };
}
