// SCIMMY behind Express, over a store that is indexed as well as its interface allows: by id and by an
// equality on userName. Filled from standard input; prints its port.

import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const byId = new Map();
const byName = new Map();

SCIMMY.Resources.declare(SCIMMY.Resources.User, {
  egress: (resource) => {
    if (resource.id) return byId.get(resource.id) ?? notFound(resource.id);
    const [comparison] = resource.filter?.[0]?.username ?? resource.filter?.[0]?.userName ? Object.values(resource.filter[0]) : [];
    if (resource.filter?.length === 1 && Object.keys(resource.filter[0]).length === 1 && comparison?.[0] === "eq") {
      return [byName.get(String(comparison[1]).toLowerCase())].filter(Boolean);
    }
    return [...byId.values()];
  },
  ingress: () => notFound(""),
  degress: () => notFound(""),
});

function notFound(id) {
  throw new SCIMMY.Types.Error(404, null, `Resource ${id} not found`);
}

let text = "";
for await (const chunk of process.stdin) text += chunk;
for (const person of JSON.parse(text)) {
  byId.set(person.id, person);
  byName.set(person.userName.toLowerCase(), person);
}

const app = express();
app.use("/scim", new SCIMMYRouters({ type: "bearer", handler: (request) => request.header("authorization") ?? "" }));
const server = app.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
