// The commands, in the order in which the help shows them.

import { setTimeout as sleep } from "node:timers/promises";
import { accountCommands } from "./cli-account.mjs";
import { brake, mode, suspicionOf } from "./cli-brake.mjs";
import { deletedCommands } from "./cli-deleted.mjs";
import { exportCommand } from "./cli-export.mjs";
import { importCommand } from "./cli-import.mjs";
import { CommandError, EXIT } from "./cli-gateway.mjs";
import { note, pairs, plain, print, printJson, progress, table, time } from "./cli-output.mjs";
import { confirmOption, confirmed, setConfirmed } from "./cli-switch.mjs";
import { tail } from "./cli-tail.mjs";

/** Settings whose values are secrets. */
const SECRET = ["scim_origin_authorization"];

const usage = (message) => new CommandError(EXIT.usage, message);

/** How often work that goes on is asked after. */
const POLL_MS = 500;

async function getSettings({ gateway, words: [identifier], values }) {
  if (identifier !== undefined) {
    const one = await gateway.admin("GET", `/ng/api/settings/${encodeURIComponent(identifier)}`);
    return values.json ? printJson(one) : print(plain(one.value));
  }
  const all = await gateway.admin("GET", "/ng/api/settings", { query: { category: "SCIM" } });
  if (values.json) return printJson(all);
  const rows = all.map(({ setting, lastModifiedAt }) => [setting.identifier, setting.value ?? "-", setting.settingSource, time(lastModifiedAt)]);
  return table(["SETTING", "VALUE", "SOURCE", "CHANGED"], rows);
}

async function setSettings({ gateway, words, values, input }) {
  const changes = (values.unset ?? []).map((identifier) => ({ identifier, updateType: "RESTORE" }));
  for (const word of words) {
    const [, identifier, given] = /^([^=]+)=([^]*)$/.exec(word) ?? [];
    if (!identifier) throw usage(`${plain(word)}: must be IDENTIFIER=VALUE`);
    if (SECRET.includes(identifier) && !given.startsWith("@") && given !== "passthrough") {
      throw usage(`${identifier} is a secret: give it as ${identifier}=@FILE or ${identifier}=@-`);
    }
    const value = given.startsWith("@") ? (await input.read(given.slice(1))).trim() : given;
    changes.push({ identifier, value, updateType: "UPDATE" });
  }
  if (changes.length === 0) throw usage("Which settings? Give IDENTIFIER=VALUE or --unset IDENTIFIER");
  const answers = await setConfirmed(gateway, values, changes);
  const refused = answers.filter((answer) => !answer.updateStatus);
  if (values.json) printJson(answers);
  else table(["SETTING", "RESULT"], answers.map((one) => [one.identifier, one.updateStatus ? "set" : `refused: ${one.errorMessage}`]));
  if (refused.length > 0) throw new CommandError(EXIT.refused, `${refused.length} of ${answers.length} refused, the others are set`);
  if (!values.json) note("In force everywhere within 120 seconds.");
}

/** When a key is to end. */
function validTo({ days }) {
  if (days === undefined) return undefined;
  const count = Number(days);
  if (!(count > 0 && count <= 3650)) throw usage("--days must be a number above 0, at most 3650");
  return Math.round(Date.now() + count * 86_400_000);
}

/** Mints a key and shows it: the only secret that is ever printed, and only here. */
async function mint({ gateway, values }, body) {
  const expiry = validTo(values);
  const key = await gateway.admin("POST", "/ng/api/token", { body: { ...body, name: values.name ?? "scim-edge cli", validTo: expiry } });
  const identifier = key.split(".")[2];
  if (values.json) return printJson({ identifier, key, validTo: expiry ?? null });
  print(key);
  return note(`Shown this once. It is good ${expiry ? `until ${time(expiry)}` : "until it is revoked"}: scim-edge keys revoke ${identifier}`);
}

async function mintToken(context) {
  const [identifier] = context.words;
  if (context.values.create) await makeServiceAccount(context.gateway, identifier, context.values.role ?? "_scim_provisioner");
  else if (context.values.role) throw usage("--role goes with --create");
  return mint(context, { apiKeyType: "SERVICE_ACCOUNT", parentIdentifier: identifier });
}

/** Makes a service account, unless it is there, and gives it a role. */
async function makeServiceAccount(gateway, identifier, role) {
  // Made without asking whether it is there: the first one makes the account itself.
  await gateway.admin("POST", "/ng/api/serviceaccount", { body: { identifier, name: identifier } }).catch((error) => {
    if (error.status !== 409) throw error;
  });
  const principal = { identifier, type: "SERVICE_ACCOUNT" };
  return gateway.admin("POST", "/authz/api/roleassignments", { body: { roleIdentifier: role, principal } });
}

async function createServiceAccount({ gateway, words: [identifier], values }) {
  const role = values.role ?? "_scim_provisioner";
  const assignment = await makeServiceAccount(gateway, identifier, role);
  if (values.json) printJson(assignment);
  else print(`${plain(identifier)} has ${plain(role)}`);
}

async function listServiceAccounts({ gateway, values }) {
  const all = await gateway.admin("GET", "/ng/api/serviceaccount");
  if (values.json) return printJson(all);
  const assigned = await gateway.admin("GET", "/authz/api/roleassignments");
  const roles = (identifier) =>
    assigned.map((one) => one.roleAssignment).filter((one) => one.principal.identifier === identifier).map((one) => one.roleIdentifier);
  const row = (one) => [one.identifier, one.name, roles(one.identifier).join(", ") || "-", one.mode ?? "normal"];
  return table(["IDENTIFIER", "NAME", "ROLES", "MODE"], all.map(row));
}

async function explainToken({ gateway, values, input }) {
  const token = (await input.read(values.file ?? "-")).trim();
  const answer = await gateway.operate("POST", ".explain", { body: { token } });
  if (values.json) printJson(answer);
  else {
    table(
      ["RULE", "CHECK", "", "FOUND"],
      answer.steps.map((step) => [step.rule ?? "-", step.check, step.ok ? "ok" : "FAILED", step.ok ? step.found : `${step.reason}: ${step.detail}`]),
    );
    print("");
    if (answer.allow) print(`Let in by rule ${plain(answer.rule)} as ${plain(answer.serviceAccount)}, with ${answer.permissions.map(plain).join(", ") || "no permission"}`);
    else print(`Refused: ${plain(answer.reason)}: ${plain(answer.detail)}`);
  }
  return answer.allow ? EXIT.done : EXIT.no;
}

function showReplica(status) {
  const { fill, pass, origin, lastCheck, switch: under, kept } = status;
  pairs([
    ["mode", status.mode === "record" ? "system of record" : "copy of an origin"],
    ["state", status.state],
    ["users", status.users],
    ["groups", status.groups],
    ["age", status.ageSeconds === null ? null : `${status.ageSeconds} s (at most ${status.maxStalenessSeconds} s)`],
    ["compared", status.syncedAt === null ? null : time(status.syncedAt)],
    ["filling", fill && `${fill.copied}${fill.total === null ? "" : ` of ${fill.total}`}, ${Math.round(fill.perSecond)}/s`],
    ["under way", pass && `${pass.purpose}, ${pass.pages} pages`],
    ["origin", origin && `${origin.host}, ${origin.health}`],
    ["circuit", origin && `${origin.circuit}${origin.failures ? `, ${origin.failures} failures` : ""}${origin.retryAt ? `, asked again at ${time(origin.retryAt)}` : ""}`],
    ["last error", status.lastError && `${status.lastError.sentence}; attempt ${status.lastError.attempt} in vain, the next at ${time(status.lastError.nextAttemptAt)}`],
    ["switch", under && `${under.reason}, ${under.phase}: ${under.copied}${under.total === null ? "" : ` of ${under.total}`}`],
    ["last failure", under?.lastFailure && `${under.lastFailure}${under.nextAttemptAt ? `, tried again at ${time(under.nextAttemptAt)}` : ""}`],
    ...kept.map((one) => [
      one.number === null ? "origin before" : `kept ${one.number}`,
      `${one.mode === "record" ? "system of record" : `copy of ${one.host}`}, ${one.users} users, ${one.groups} groups, until ${time(one.until)}`,
    ]),
    ["suspicious", suspicionOf(status.brake?.suspicion) && `the origin does not show ${suspicionOf(status.brake.suspicion)}; the copy keeps them`],
    ["unknown outcomes", status.unknownOutcomes],
    ["set aside", status.setAside && status.setAside.users + status.setAside.groups > 0 && `${status.setAside.users} users and ${status.setAside.groups} groups, whose ids no path can carry`],
    ["brake", status.brake?.state],
    ["checked", lastCheck && `${time(lastCheck.at)}, ${countDifferences(lastCheck)} differences`],
  ]);
}

async function replicaStatus({ gateway, values }) {
  const status = await gateway.operate("GET", ".replica");
  return values.json ? printJson(status) : showReplica(status);
}

/** How many resources are read in a page of a pass. */
const PAGE = 100;

/** How far the reading of the origin is: a first fill counts resources, later passes pages. */
function reading({ fill, pass, users, groups, switch: under }) {
  if (under) return under;
  if (fill || !pass) return fill;
  const total = Math.ceil(users / PAGE) + Math.ceil(groups / PAGE);
  return { copied: pass.pages, total: Math.max(total, pass.pages), unit: " pages" };
}

/** Asks for the replica's state until `isDone` says so, showing how far the reading is. */
async function watch(gateway, title, isDone) {
  const bar = progress(title);
  try {
    for (;;) {
      const status = await gateway.operate("GET", ".replica");
      const far = reading(status);
      if (far) bar.show(far);
      if (isDone(status)) return status;
      await sleep(POLL_MS);
    }
  } finally {
    bar.end();
  }
}

async function resync({ gateway, values }) {
  const before = await gateway.operate("GET", ".replica");
  let status = await confirmed(gateway, values, ".resync");
  if (!values["no-wait"]) {
    const isNew = (one) => one.syncedAt !== null && one.syncedAt > (before.syncedAt ?? 0);
    status = await watch(gateway, "Copying", (one) => reading(one) === null && one.state === "live" && isNew(one));
  }
  return values.json ? printJson(status) : showReplica(status);
}

async function undo({ gateway, values }) {
  const number = values.number === undefined ? undefined : Number(values.number);
  if (number !== undefined && !Number.isInteger(number)) throw usage("--number must be one that replica status shows");
  let status = await confirmed(gateway, values, ".undo", { number });
  if (!values["no-wait"]) status = await watch(gateway, "Putting back", (one) => one.switch === null);
  return values.json ? printJson(status) : showReplica(status);
}

const countDifferences = ({ missing, extra, different }) => missing.length + extra.length + different.length;

async function diff({ gateway, values }) {
  const before = await gateway.operate("GET", ".replica");
  await gateway.operate("POST", ".check");
  const isNew = (one) => one.lastCheck !== null && one.lastCheck.at > (before.lastCheck?.at ?? 0);
  const { lastCheck } = await watch(gateway, "Comparing", isNew);
  if (values.json) printJson(lastCheck);
  else {
    table(["", "HERE", "ORIGIN"], ["users", "groups"].map((kind) => [kind, lastCheck[kind].here, lastCheck[kind].origin]));
    const found = ["missing", "extra", "different"].flatMap((what) => lastCheck[what].map(({ type, id }) => [what, type, id]));
    print("");
    if (found.length > 0) table(["DIFFERENCE", "TYPE", "ID"], found);
    else print(lastCheck.complete ? "No differences" : "No differences in what could be compared");
  }
  return countDifferences(lastCheck) > 0 || !lastCheck.complete ? EXIT.no : EXIT.done;
}

async function listKeys({ gateway, values }) {
  const all = await gateway.admin("GET", "/ng/api/token");
  if (values.json) return printJson(all);
  const rows = all.map((one) => [one.identifier, one.name, one.parentIdentifier ?? `role ${one.roleIdentifier}`, time(one.createdAt), one.validTo ? time(one.validTo) : "-"]);
  return table(["IDENTIFIER", "NAME", "OF", "CREATED", "VALID TO"], rows);
}

async function revokeKey({ gateway, words: [identifier], values }) {
  if (identifier.includes(".")) throw usage("Give the key's identifier, its third part: the key itself is a secret");
  const done = await gateway.admin("DELETE", `/ng/api/token/${encodeURIComponent(identifier)}`);
  if (values.json) return printJson(done);
  return print(`${plain(identifier)} is revoked, everywhere within 120 seconds`);
}

const keyOptions = {
  name: { type: "string", value: "NAME", about: "for people, in lists of keys" },
  days: { type: "string", value: "N", about: "how long it is good; without it, until it is revoked" },
};
const roleOption = (about) => ({ role: { type: "string", value: "ROLE", about } });

const noWait = { type: "boolean", about: "do not wait for the end of it" };

/** Options that every command has. */
export const COMMON = {
  url: { type: "string", value: "URL", about: "the gateway (environment: SCIM_EDGE_URL)" },
  account: { type: "string", value: "ACCOUNT", about: "the account (environment: SCIM_EDGE_ACCOUNT)" },
  "key-file": { type: "string", value: "FILE", about: "holds the API key, - is standard input (environment: SCIM_EDGE_KEY, the key itself)" },
  json: { type: "boolean", about: "the gateway's own JSON in the place of tables" },
  help: { type: "boolean", short: "h", about: "this text" },
};

/** `arguments` is the least and the most of them. */
export const COMMANDS = [
  { name: "settings get", usage: "[IDENTIFIER]", about: "show one setting's value, or all settings", arguments: [0, 1], run: getSettings },
  {
    name: "settings set",
    usage: "IDENTIFIER=VALUE…",
    about: "change settings; each stands alone",
    details: "A value that begins with @ is read from that file, @- is standard input. Secrets are taken that way only.",
    options: { unset: { type: "string", multiple: true, value: "IDENTIFIER", about: "back to the default (may be repeated)" }, ...confirmOption },
    arguments: [0, 100],
    run: setSettings,
  },
  { name: "service-accounts list", usage: "", about: "show whom requests can act as", arguments: [0, 0], run: listServiceAccounts },
  {
    name: "service-accounts create",
    usage: "IDENTIFIER",
    about: "make a service account with a role; one that is there gets the role",
    options: roleOption("what it may do (default _scim_provisioner)"),
    arguments: [1, 1],
    run: createServiceAccount,
  },
  mode,
  {
    name: "token mint",
    usage: "SERVICE_ACCOUNT",
    about: "mint a bearer token for a SCIM client, which acts as a service account",
    details: "The token is printed alone, once: TOKEN=$(scim-edge token mint okta). It is also listed and revoked as a key.",
    options: { ...keyOptions, create: { type: "boolean", about: "make the service account first, where it is not there" }, ...roleOption("with --create: what it may do (default _scim_provisioner)") },
    arguments: [1, 1],
    run: mintToken,
  },
  {
    name: "token explain",
    usage: "",
    about: "tell each check of an identity provider's token, and where it fails",
    details: "The token comes from standard input or a file. It is neither kept nor logged.",
    options: { file: { type: "string", value: "FILE", about: "holds the token" } },
    arguments: [0, 0],
    run: explainToken,
  },
  { name: "replica status", usage: "", about: "show the copy of the origin: its state, age and origin", arguments: [0, 0], run: replicaStatus },
  {
    name: "replica resync",
    usage: "",
    about: "copy the origin again, while the copy serves",
    options: { ...confirmOption, "no-wait": noWait },
    arguments: [0, 0],
    run: resync,
  },
  {
    name: "replica undo",
    usage: "",
    about: "put back what was in use before the origin was changed",
    details: "What is in use now is kept for 30 days, as what was before is: an undo can be undone.",
    options: { ...confirmOption, number: { type: "string", value: "N", about: "which one, as replica status shows it (default: the last)" }, "no-wait": noWait },
    arguments: [0, 0],
    run: undo,
  },
  { name: "replica diff", usage: "", about: "compare copy and origin; exit code 6 where they differ", arguments: [0, 0], run: diff },
  ...brake,
  { name: "keys list", usage: "", about: "show API keys and minted tokens, never their secrets", arguments: [0, 0], run: listKeys },
  {
    name: "keys create",
    usage: "",
    about: "create an API key for an operator",
    details: "The key is printed alone, once. Nobody can create a key that may do more than his own.",
    options: { ...keyOptions, ...roleOption("what it may do (default _account_admin)") },
    arguments: [0, 0],
    run: (context) => mint(context, { apiKeyType: "USER", roleIdentifier: context.values.role ?? "_account_admin" }),
  },
  { name: "keys revoke", usage: "IDENTIFIER", about: "revoke an API key or a minted token", arguments: [1, 1], run: revokeKey },
  tail,
  exportCommand,
  importCommand,
  ...deletedCommands,
  ...accountCommands,
];
