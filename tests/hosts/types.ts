// The declarations, held by the compiler.

import { ScimEdgeError, applyPatch, createPolicy, matches, parseFilter, validate } from "scim-edge";
import type { Decision, Filter, Policy, TrustRule } from "scim-edge";

const rule: TrustRule = { issuer: "https://idp.example.com", audiences: ["scim"], serviceAccount: "okta" };
using policy: Policy = await createPolicy({ rules: { okta: rule }, serviceAccounts: { okta: "_scim_provisioner" } });
for (const keys of [{ keys: [] }, "https://idp.example.com/keys", new URL("https://idp.example.com/keys"), async () => ({ keys: [] })]) {
  (await createPolicy({ rules: { okta: rule }, serviceAccounts: {}, keys, crypto: globalThis.crypto })).dispose();
}
const decision: Decision = await policy.authorize({ method: "GET", url: "https://x/Users", headers: new Headers() });
if (decision.allow) {
  const account: string = decision.principal.serviceAccount;
  // @ts-expect-error there is no status where it is allowed
  console.log(account, decision.status);
} else {
  const status: number = decision.status;
  console.log(status, decision.wwwAuthenticate?.length);
}
policy.authorizeSync({ operation: "user.list", token: "a.b.c" });
// @ts-expect-error a request has a URL
await policy.authorize({ method: "GET" });
const filter: Filter = parseFilter('userName eq "a"', { strict: true });
const found: boolean = filter.matches({ userName: "a" }, "User") && matches("userName pr", {});
// @ts-expect-error there are two kinds
filter.matches({}, "Robot");
const user: { userName: string } = applyPatch({ userName: "a" }, { Operations: [{ op: "replace", path: "userName", value: "b" }] });
const error = new ScimEdgeError();
const position: number | undefined = error.position;
console.log(found, user, validate({}).userName, position);
// @ts-expect-error HMACs are no algorithms
export const wrong: TrustRule = { algorithms: ["HS256"], serviceAccount: "okta" };
