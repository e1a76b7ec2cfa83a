// The demonstration's people: 50 users in 5 groups.

const GIVEN = ["Ada", "Bo", "Cleo", "Dev", "Eva", "Finn", "Gita", "Hugo", "Ines", "Jun"];
const FAMILY = ["Lovelace", "Nakamura", "Okafor", "Petrov", "Quispe"];
const TEAMS = ["Engineering", "Sales", "Support", "Finance", "Everyone"];

/** Fills a directory, unless it has been filled before. */
export async function seed(client) {
  const { body } = await client.get("/Users?count=0");
  if (body.totalResults > 0) return;
  const ids = [];
  for (const family of FAMILY) {
    for (const given of GIVEN) {
      const name = `${given}.${family}`.toLowerCase();
      const user = await client.call("POST", "/Users", {
        schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
        userName: `${name}@example.com`,
        externalId: `e-${ids.length + 1}`,
        name: { givenName: given, familyName: family },
        displayName: `${given} ${family}`,
        active: true,
        emails: [{ value: `${name}@example.com`, type: "work", primary: true }],
      });
      if (user.status !== 201) throw new Error(`seeding: ${user.status} ${JSON.stringify(user.body)}`);
      ids.push(user.body.id);
    }
  }
  for (const [index, team] of TEAMS.entries()) {
    const members = team === "Everyone" ? ids : ids.filter((_, place) => place % (TEAMS.length - 1) === index);
    await client.call("POST", "/Groups", {
      schemas: ["urn:ietf:params:scim:schemas:core:2.0:Group"],
      displayName: team,
      members: members.map((value) => ({ value })),
    });
  }
}
