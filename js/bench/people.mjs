// The directory that every contender is given, and the questions that it is asked.

export const USER = "urn:ietf:params:scim:schemas:core:2.0:User";
export const GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group";
export const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

/** One user, some 1 KB once it is answered. */
export const person = (n) => ({
  schemas: [USER, ENTERPRISE],
  userName: `user${n}@example.com`,
  externalId: `e-${n}`,
  displayName: `Given${n % 97} Family${n % 89} ${n}`,
  name: { formatted: `Given${n % 97} Family${n % 89}`, givenName: `Given${n % 97}`, familyName: `Family${n % 89}` },
  title: n % 10 ? "Engineer" : "Manager",
  active: n % 20 !== 0,
  emails: [{ value: `user${n}@example.com`, type: "work", primary: true }, { value: `u${n}@home.example`, type: "home" }],
  phoneNumbers: [{ value: `+49 30 ${String(n).padStart(7, "0")}`, type: "work" }],
  addresses: [{ streetAddress: `${n} Main Street`, locality: "Berlin", postalCode: String(10_000 + (n % 4_000)), country: "DE", type: "work" }],
  [ENTERPRISE]: { employeeNumber: String(n), department: `Department ${n % 13}` },
});

/** The paths of the columns, for user `n` of `users`, whose id is `id`. */
export function questions({ id, n, users }) {
  const filter = (text) => `/Users?filter=${encodeURIComponent(text)}&count=100`;
  return {
    "GET by id": `/Users/${id}`,
    "userName eq": filter(`userName eq "user${n}@example.com"`),
    "externalId eq": filter(`externalId eq "e-${n}"`),
    "emails.value eq": filter(`emails.value eq "u${n}@home.example"`),
    "emails[type and value]": filter(`emails[type eq "work" and value eq "user${n}@example.com"]`),
    "first page of 100": "/Users?startIndex=1&count=100",
    "last page of 100": `/Users?startIndex=${users - 99}&count=100`,
    "displayName co": filter(`displayName co " ${n}"`),
    "and of three": filter(`title eq "Engineer" and active eq true and displayName co " ${n}"`),
  };
}

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
