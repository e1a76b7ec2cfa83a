// Permissions × calls, on the gateway itself: every call of tests/cases/permissions.json with every built-in role and
// every permission alone. A call is permitted unless its answer is 401 or 403.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { start } from "./harness.mjs";

const { calls } = JSON.parse(readFileSync(new URL("../cases/permissions.json", import.meta.url), "utf8"));
const PREFIX = { scim: "/ng/api/scim/account/table", operator: "/ng/api/scim/account/table/", admin: "", root: "" };

const gateway = await start();
after(() => gateway.stop());

test("permissions: each call is for holders of the permissions that it needs, and for no others", async () => {
  const account = gateway.admin("table");
  await account.data("POST", "/ng/api/serviceaccount", { identifier: "idle", name: "idle" });
  const roles = await account.data("GET", "/authz/api/roles");
  const all = roles.find(({ identifier }) => identifier === "_account_admin").permissions;
  const holders = roles.map(({ identifier, permissions }) => ({ role: identifier, permissions }));
  for (const [n, permission] of all.entries()) {
    const role = `only_${n}`;
    await account.data("POST", "/authz/api/roles", { identifier: role, name: permission, permissions: [permission] });
    holders.push({ role, permissions: [permission] });
  }
  for (const holder of holders) {
    holder.key = await account.data("POST", "/ng/api/token", { apiKeyType: "USER", roleIdentifier: holder.role, name: holder.role });
  }
  const wrong = [];
  let made = 0;
  for (const { key, permissions } of holders) {
    const judged = calls.map(async ({ api, call, needs, any = [], query = "", body }) => {
      const [method, path] = call.split(" ");
      const separator = query || api === "admin" ? "?" : "";
      const url = `${gateway.url}${PREFIX[api]}${path}${separator}${query}${api === "admin" ? "&accountIdentifier=table" : ""}`;
      const credentials = api === "scim" ? { authorization: `Bearer ${key}` } : { "x-api-key": key };
      const headers = { ...credentials, "content-type": api === "scim" ? "application/scim+json" : "application/json" };
      const answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
      const text = await answer.text();
      made += 1;
      const isPermitted = api !== "root" && needs.every((one) => permissions.includes(one)) && (any.length === 0 || any.some((one) => permissions.includes(one)));
      const isLetThrough = answer.status !== 403 && answer.status !== 401;
      if (isLetThrough !== isPermitted || answer.status >= 500 && answer.status !== 501) wrong.push(`${call} with ${permissions}: ${answer.status} ${text.slice(0, 200)}`);
    });
    await Promise.all(judged);
  }
  console.log(`${made} calls`);
  assert.deepEqual(wrong, []);
  assert.equal(made, calls.length * (all.length + 3));
});
