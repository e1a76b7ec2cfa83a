// Promises that the torture does not reach: a short run through each, which passes with the bundle as it is, and fails
// with one that is broken on purpose (`js/torture/broken.mjs`).

import assert from "node:assert/strict";
import { test } from "node:test";
import { BROKEN_ELSEWHERE } from "../../js/torture/broken.mjs";
import { USER, start, until } from "./harness.mjs";
import { origin } from "./scripted-origin.mjs";
import { importer } from "./transfer-file.mjs";

const user = (userName) => ({ schemas: [USER], userName });

/** What has to hold of a gateway, by what breaks it. `call` is an operator's. */
const PROMISES = {
  async tombstone({ client, call }) {
    const { id } = (await client.call("POST", "/Users", user("ann"))).body;
    assert.equal((await client.call("DELETE", `/Users/${id}`)).status, 204);
    assert.equal((await call("POST", ".restore", { type: "User", id })).status, 200);
    assert.equal((await client.get(`/Users/${id}`)).body.userName, "ann");
  },

  async kept({ gateway, account, client, call }, t) {
    await client.call("POST", "/Users", user("ann"));
    const it = await origin(0);
    t.after(() => it.stop());
    await gateway.admin(account).set({ scim_origin_url: it.base }, { replace: true });
    await until(async () => (await call("GET", ".replica")).body.switch === null);
    assert.equal((await client.get("/Users?count=0")).body.totalResults, 0);
    const { confirm } = (await call("POST", ".undo")).body;
    assert.equal((await call("POST", ".undo", { confirm })).status, 202);
    await until(async () => (await call("GET", ".replica")).body.switch === null);
    assert.equal((await client.get("/Users")).body.Resources?.[0]?.userName, "ann");
  },

  async erasure({ client, call }) {
    const { id } = (await client.call("POST", "/Users", user("ann"))).body;
    assert.equal((await call("POST", ".erase", { type: "User", id, confirm: "erase ann" })).status, 200);
    assert.ok(!JSON.stringify((await call("GET", ".audit?count=1000")).body).includes(id));
  },

  async import({ gateway, account, client }) {
    await client.call("POST", "/Users", user("ann"));
    const headers = { "x-api-key": gateway.rootKey };
    const response = await fetch(`${gateway.url}/ng/api/scim/account/${account}/.export`, { headers });
    const lines = (await response.text()).trimEnd().split("\n");
    const manifest = JSON.parse(lines.at(-1));
    const [head, payload, signature] = manifest.jws.split(".");
    const other = signature.startsWith("A") ? "B" : "A";
    const forged = JSON.stringify({ ...manifest, jws: `${head}.${payload}.${other}${signature.slice(1)}` });
    const to = await gateway.account("to");
    const it = importer(gateway, "to");
    await it.all(lines.with(-1, forged), 1_000);
    assert.notEqual((await it.commit()).status, 200);
    assert.equal((await to.get("/Users?count=0")).body.totalResults, 0);
  },

  async sealed({ gateway, account, client }) {
    await client.call("POST", "/Users", user("ann"));
    assert.equal((await gateway.remove(account, { undoable: true })).status, 200);
    assert.equal((await gateway.undelete(account)).status, 200);
    assert.equal((await client.get("/Users?count=0")).body.totalResults, 1);
  },
};

/** Runs through a promise with a gateway of its own. */
async function run(name, t, wrapper) {
  const gateway = await start({ wrapper });
  t.after(() => gateway.stop());
  const client = await gateway.account("acc");
  const call = async (method, path, body) => {
    const response = await fetch(`${gateway.url}/ng/api/scim/account/acc/${path}`, {
      method,
      headers: { "x-api-key": gateway.rootKey, ...(body && { "content-type": "application/json" }) },
      body: body && JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };
  await PROMISES[name]({ gateway, account: "acc", client, call }, t);
}

for (const [name, { what, module }] of Object.entries(BROKEN_ELSEWHERE)) {
  test(`mutation ${name}: a bundle in which ${what} is caught, and the bundle as it is passes`, async (t) => {
    await run(name, t);
    await assert.rejects(run(name, t, module), assert.AssertionError);
  });
}
