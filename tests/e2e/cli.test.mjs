// The command line against a real gateway: what it prints, for people and for scripts, how it ends, and
// that no secret is in it but the one that was asked for.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { COMMANDS, COMMON } from "../../js/npm/cli-commands.mjs";
import { root } from "../../js/tools.mjs";
import { EMPTY, commandLine } from "./command-line.mjs";
import { start } from "./harness.mjs";

const gateway = await start();
const folder = mkdtempSync(join(tmpdir(), "scim-edge-cli-"));
after(async () => {
  await gateway.stop();
  rmSync(folder, { recursive: true, force: true });
});

const account = "cli";
const { cli, done, json, fails } = commandLine(gateway, account);
/** Names that look like settings and are none: the group they are in, and permissions. */
const isOther = (name) => name === "scim_jwt_token_configuration_g1" || /^scim_replica_(view|manage)$/.test(name);

test("help: of everything, of a group, of each command", async () => {
  const help = await done(["--help"], { env: EMPTY });
  assert.match(help, /Exit codes:\n {2}0 {2}done/);
  const commands = [...help.matchAll(/^ {2}((?:[a-z-]+ )?[a-z-]+) .*$/gm)].map((match) => match[1].trim());
  for (const name of ["settings get", "settings set", "token mint", "token explain", "replica status", "replica resync", "replica undo", "replica diff", "keys create", "keys revoke", "tail"]) {
    assert.match(await done([...name.split(" "), "--help"], { env: EMPTY }), new RegExp(`^scim-edge ${name}[\\s\\S]*--key-file FILE[\\s\\S]*Exit codes:`), name);
    assert.ok(commands.some((one) => one.startsWith(name)), `${name} is not in the help: ${commands}`);
  }
  assert.match(await done(["keys", "--help"], { env: EMPTY }), /keys create[\s\S]*keys revoke/);
});

test("a command line that is wrong is code 2, and says how it would be right", async () => {
  await fails(2, /scim-edge COMMAND/, []);
  await fails(2, /There is no command settings put[\s\S]*settings set/, ["settings", "put"]);
  await fails(2, /--frobnicate[\s\S]*scim-edge settings get/, ["settings", "get", "--frobnicate"]);
  await fails(2, /Which gateway\?/, ["settings", "get"], { env: { SCIM_EDGE_URL: undefined } });
  await fails(2, /Which account\?/, ["settings", "get"], { env: { SCIM_EDGE_ACCOUNT: "a/b" } });
  await fails(2, /With which key\?/, ["settings", "get"], { env: { SCIM_EDGE_KEY: undefined } });
  await fails(2, /must begin with https/, ["settings", "get", "--url", "http://gateway.example.com"]);
  await fails(2, /--days must be/, ["keys", "create", "--days", "never"]);
  await fails(2, /IDENTIFIER=VALUE/, ["settings", "set", "scim_dialect"]);
  await fails(2, /there is no such file/, ["settings", "get", "--key-file", join(folder, "none")]);
});

test("the documents name commands, options and settings that there are", async () => {
  await done(["service-accounts", "create", "reader"], { env: { SCIM_EDGE_ACCOUNT: "documents" } });
  const settings = (await json(["settings", "get"], { env: { SCIM_EDGE_ACCOUNT: "documents" } })).map((one) => one.setting.identifier);
  const wrong = [];
  for (const file of ["docs/deploy.md", "docs/transfer.md", "docs/walk.md", "SECURITY.md", "README.md", "pkg/README.md"]) {
    const text = readFileSync(join(root, file), "utf8");
    for (const [, named, rest] of text.matchAll(/\bscim-edge ((?:settings|service-accounts|token|replica|keys|account|deleted) [a-z]+|tail|export|import|history|erase)\b([^`\n|;)]*)/g)) {
      const command = COMMANDS.find((one) => one.name === named);
      if (!command) wrong.push(`${file}: ${named}`);
      for (const [, option] of rest.matchAll(/ --([a-z-]+)/g)) {
        if (!(option in { ...COMMON, ...command?.options })) wrong.push(`${file}: ${named} --${option}`);
      }
    }
    for (const [, name] of text.matchAll(/\b(scim_(?:jwt_token|origin|replica|patch|dialect)[a-z_]*)\b/g)) if (!settings.includes(name) && !isOther(name)) wrong.push(`${file}: ${name}`);
  }
  assert.deepEqual(wrong, []);
});

test("from an empty gateway: a service account, settings, and what they are", async () => {
  await fails(4, /Account with identifier \[cli\] not found/, ["settings", "get"]);
  assert.equal(await done(["service-accounts", "create", "entra"]), "entra has _scim_provisioner\n");
  await done(["service-accounts", "create", "entra"]);
  assert.match(await done(["service-accounts", "list"]), /^IDENTIFIER +NAME +ROLES +MODE\nentra +entra +_scim_provisioner +normal\n$/);
  const set = await done(["settings", "set", "scim_jwt_token_key_field=sub", "scim_jwt_token_value_field=entra-client", "scim_jwt_token_service_account_id=entra"]);
  assert.match(set, /^scim_jwt_token_value_field +set$/m);
  assert.equal(await done(["settings", "get", "scim_jwt_token_value_field"]), "entra-client\n");
  const table = await done(["settings", "get"]);
  assert.match(table, /^SETTING +VALUE +SOURCE +CHANGED$/m);
  assert.match(table, /^scim_jwt_token_value_field +entra-client +ACCOUNT +\d{4}-\d\d-\d\dT/m);
  assert.match(table, /^scim_dialect +tolerant +DEFAULT$/m);
  const one = (await json(["settings", "get"])).find((entry) => entry.setting.identifier === "scim_jwt_token_key_field");
  assert.deepEqual([one.setting.value, one.setting.settingSource], ["sub", "ACCOUNT"]);
  await done(["settings", "set", "--unset", "scim_jwt_token_value_field"]);
  assert.equal((await json(["settings", "get", "scim_jwt_token_value_field"])).value, null);
});

test("settings: a bad value is refused beside good ones, which are set", async () => {
  const { code, out, err } = await cli(["settings", "set", "scim_dialect=lax", "scim_patch_answer=empty", "scim_no_such=1"]);
  assert.equal(code, 4);
  assert.match(out, /^scim_dialect +refused: .*tolerant/m);
  assert.match(out, /^scim_patch_answer +set$/m);
  assert.match(out, /^scim_no_such +refused: Setting \[scim_no_such\]/m);
  assert.match(err, /2 of 3 refused/);
  assert.equal(await done(["settings", "get", "scim_patch_answer"]), "empty\n");
  await fails(4, /scim_no_such/, ["settings", "get", "scim_no_such"]);
});

test("secrets come from a file or standard input, and are not shown again", async () => {
  await fails(2, /is a secret: give it as scim_origin_authorization=@FILE/, ["settings", "set", "scim_origin_authorization=Bearer planted-secret"]);
  const set = await done(["settings", "set", "scim_origin_authorization=@-"], { input: "Bearer planted-secret\n" });
  const shown = [set, await done(["settings", "get"]), await done(["settings", "get", "--json"]), await done(["settings", "get", "scim_origin_authorization"])];
  assert.ok(shown.every((text) => !text.includes("planted-secret")), shown.join("\n"));
  assert.equal(shown[3], "******\n");
  await done(["settings", "set", "--unset", "scim_origin_authorization"]);
});

test("keys: created, listed, used from a file, revoked", async () => {
  const { identifier, key, validTo } = await json(["keys", "create", "--role", "_account_viewer", "--name", "viewer", "--days", "2"]);
  assert.ok(key.startsWith(`pat.${account}.${identifier}.`));
  assert.ok(validTo > Date.now() + 1.9 * 86_400_000 && validTo < Date.now() + 2.1 * 86_400_000);
  const file = join(folder, "key");
  writeFileSync(file, `${key}\n`);
  const env = { SCIM_EDGE_KEY: undefined };
  assert.match(await done(["settings", "get", "--key-file", file], { env }), /scim_dialect/);
  assert.match(await done(["settings", "get", "--key-file", "-"], { env, input: `${key}\n` }), /scim_dialect/);
  await fails(3, /core_setting_edit/, ["settings", "set", "scim_dialect=strict", "--key-file", file], { env });
  const listed = await done(["keys", "list"]);
  assert.match(listed, new RegExp(`^${identifier} +viewer +role _account_viewer +\\d{4}-`, "m"));
  assert.ok(!listed.includes(key) && !listed.includes(key.split(".")[3]));
  await fails(2, /its third part/, ["keys", "revoke", key]);
  assert.match(await done(["keys", "revoke", identifier]), /revoked/);
  await fails(4, /not found/, ["keys", "revoke", identifier]);
  await fails(3, /does not hold a valid key/, ["settings", "get", "--key-file", file], { env });
});

test("a minted token is printed alone, and is a SCIM client's", async () => {
  await fails(4, /service account "okta" does not exist/, ["token", "mint", "okta"]);
  const token = await done(["token", "mint", "okta", "--create", "--name", "okta provisioning"]);
  assert.match(token, /^sat\.cli\.[^.\s]+\.[^.\s]+\n$/);
  const client = gateway.scim(account, token.trim());
  assert.equal((await client.get("/Users")).status, 200);
  assert.match(await done(["keys", "list"]), /okta provisioning +okta +/);
  await done(["keys", "revoke", token.split(".")[2]]);
  assert.equal((await client.get("/Users")).status, 401);
});

test("explain: what let a token in, and what kept one out", async () => {
  const idp = await gateway.idp();
  await done(["settings", "set", `scim_jwt_token_jwks_keys_url=${idp.url}/keys`, "scim_jwt_token_value_field=entra-client"]);
  const token = await idp.mint({ sub: "entra-client" });
  const told = await done(["token", "explain"], { input: token });
  assert.match(told, /^RULE +CHECK +FOUND$/m);
  assert.match(told, /^Let in by rule default as entra, with .*core_user_manage/m);
  const other = await idp.mint({ sub: "somebody" });
  const file = join(folder, "token");
  writeFileSync(file, other);
  const refused = await cli(["token", "explain", "--file", file]);
  assert.equal(refused.code, 6, refused.err);
  assert.match(refused.out, /^default +\S.* +FAILED +claim_mismatch: /m);
  assert.match(refused.out, /^Refused: claim_mismatch: /m);
  const answer = await cli(["token", "explain", "--json"], { input: other });
  assert.equal(answer.code, 6);
  assert.equal(JSON.parse(answer.out).reason, "claim_mismatch");
  const signatures = [token, other].map((one) => one.split(".")[2]);
  for (const text of [told, refused.out, answer.out]) assert.ok(signatures.every((one) => !text.includes(one)));
});

test("a gateway that is not there, and one that is something else", async () => {
  await fails(5, /cannot be reached/, ["settings", "get", "--url", "http://127.0.0.1:9"]);
  await fails(3, /valid key/, ["settings", "get"], { env: { SCIM_EDGE_KEY: "pat.cli.none.nothing" } });
  const idp = await gateway.idp();
  await fails(4, /The gateway answered 404|not_found/, ["settings", "get", "--url", idp.url]);
});

test("a warning of the gateway's is beside the result", async () => {
  await gateway.admin(account).data("POST", "/ng/api/serviceaccount", { identifier: "warned", name: "warned" });
  const four = ["jwks_keys_url=https://idp.example.com/keys", "key_field=aud", "value_field=scim", "service_account_id=warned"].map((one) => `scim_jwt_token_${one}`);
  const set = await cli(["settings", "set", ...four]);
  assert.equal(set.code, 0);
  assert.match(set.err, /^Warning: .*nothing but aud/m);
  assert.ok(!set.out.includes("Warning"));
  await done(["settings", "set", ...four.map((one) => ["--unset", one.split("=")[0]]).flat()]);
});
