// The walk through the demonstration: what is printed for people to paste, and what the tests run.

/**
 * The steps, to be run one after another in one shell.
 *
 * @param {{ gateway: string, idp: string, rootKey: string, account: string }} demo
 * @returns {{ title: string, command: string, shows: RegExp }[]} `shows` is what the command prints.
 */
export function walkthrough({ gateway, idp, rootKey, account }) {
  const scim = `${gateway}/ng/api/scim/account/${account}`;
  const setting = (identifier, value) => ({ identifier, value, allowOverrides: false, updateType: "UPDATE" });
  const settings = JSON.stringify([
    setting("scim_jwt_token_jwks_keys_url", `${idp}/keys`),
    setting("scim_jwt_token_key_field", "sub"),
    setting("scim_jwt_token_value_field", "demo-client"),
    setting("scim_jwt_token_service_account_id", "provisioner"),
  ]);
  const user = JSON.stringify({
    schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
    userName: "grace.hopper@example.com",
    name: { givenName: "Grace", familyName: "Hopper" },
    active: true,
  });
  const patch = JSON.stringify({
    schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    Operations: [{ op: "replace", path: "title", value: "Rear Admiral" }],
  });
  const json = "-H 'content-type: application/scim+json'";
  const bearer = '-H "authorization: Bearer $TOKEN"';
  return [
    {
      title: "Put the four settings",
      command: `curl -s -X PUT '${gateway}/ng/api/settings?accountIdentifier=${account}' -H 'x-api-key: ${rootKey}' -H 'content-type: application/json' -d '${settings}'`,
      shows: /"updateStatus":true/,
    },
    {
      title: "Have the identity provider mint a token",
      command: `TOKEN=$(curl -s ${idp}/token -H 'content-type: application/json' -d '{"sub":"demo-client"}' | sed -E 's/.*"access_token":"([^"]+)".*/\\1/'); echo "$TOKEN"`,
      shows: /^ey[\w-]+\.[\w-]+\.[\w-]+$/m,
    },
    {
      title: "List users",
      command: `curl -s '${scim}/Users?count=2' ${bearer}`,
      shows: /"totalResults":5\d,"itemsPerPage":2/,
    },
    {
      title: "Find a user by name",
      command: `curl -s -G '${scim}/Users' --data-urlencode 'filter=userName eq "ada.lovelace@example.com"' ${bearer}`,
      shows: /"totalResults":1,.*Ada Lovelace/,
    },
    {
      title: "Create a user: it goes to the origin first",
      command: `USER_ID=$(curl -s -X POST ${scim}/Users ${bearer} ${json} -d '${user}' | sed -E 's/.*"id":"([^"]+)".*/\\1/'); echo "$USER_ID"`,
      shows: /^[\w-]{36}$/m,
    },
    {
      title: "Change it",
      command: `curl -s -X PATCH ${scim}/Users/$USER_ID ${bearer} ${json} -d '${patch}'`,
      shows: /"title":"Rear Admiral"/,
    },
    {
      title: "Read it back, from the edge",
      command: `curl -s -i ${scim}/Users/$USER_ID ${bearer}`,
      shows: /cache-status: scim-edge; (hit|fwd=miss)[\s\S]*"title":"Rear Admiral"/i,
    },
    {
      title: "See a wrong token refused",
      command: `curl -s -i ${scim}/Users -H 'authorization: Bearer not.a.token'`,
      shows: /401[\s\S]*www-authenticate: Bearer[\s\S]*invalid_token/i,
    },
    {
      title: "Delete the user again",
      command: `curl -s -o /dev/null -w '%{http_code}\\n' -X DELETE ${scim}/Users/$USER_ID ${bearer}`,
      shows: /^204$/m,
    },
  ];
}
