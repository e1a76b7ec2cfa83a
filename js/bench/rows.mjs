// How many rows of SQLite a write costs, index entries included, as the platform counts and bills them.

import { gateway } from "./gateway.mjs";
import { person } from "./people.mjs";
import { median } from "./statistics.mjs";

const TIMES = 21;
const PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/** For a new user with one e-mail address, for one with two, and for a PATCH of an attribute without an index. */
export async function rowsWritten() {
  const ours = await gateway({ users: 1, watched: true });
  try {
    const client = ours.client();
    const so = await counter(client);
    const [create, createTwo, patch] = [[], [], []];
    for (let n = 0; n < TIMES; n += 1) {
      const one = { ...person(2 * n + 1), emails: person(2 * n + 1).emails.slice(0, 1) };
      create.push(so(await client.call("POST", "/Users", one)));
      const two = await client.call("POST", "/Users", person(2 * n + 2));
      createTwo.push(so(two));
      const change = { op: "replace", path: "title", value: `Title ${n}` };
      patch.push(so(await client.call("PATCH", `/Users/${two.body.id}`, { schemas: [PATCH], Operations: [change] })));
    }
    return { create: median(create), createTwo: median(createTwo), patch: median(patch) };
  } finally {
    await ours.stop();
  }
}

/** What tells the rows written since the answer before this one. */
async function counter(client) {
  const read = ({ headers }) => Number(headers.get("x-rows-written"));
  let before = read(await client.get("/Users?count=0"));
  return (answer) => {
    if (answer.status >= 300) throw new Error(`counting rows: ${answer.status}`);
    const now = read(answer);
    const written = now - before;
    before = now;
    return written;
  };
}
