// What a deployment has to have: each rule looks at one thing and says what is wrong and what to do.

import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { COMPATIBILITY_DATE } from "./gateway.mjs";

/** What the code asks of its environment. */
export const NAMES = {
  kv: ["SETTINGS", "JWKS"],
  objects: { ACCOUNT: "Account", DIRECTORY: "Directory" },
  secrets: ["ROOT_API_KEY", "SECRETS_KEY"],
  /** Only while SECRETS_KEY is being replaced. */
  optionalSecrets: ["SECRETS_KEY_PREVIOUS"],
  /** For runs on one's own machine. */
  never: ["DEVELOPMENT"],
  vars: ["READ_COPIES"],
};

/** Where the platform can be asked to have an object; `policy/region.rs` has the same. */
const REGIONS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"];

/** The migrations that deployments have run: none of them may change or go, or the next deploy is refused. */
const RELEASED = [{ tag: "v1", new_sqlite_classes: ["Account", "Directory"] }];

/** The platform's limits in bytes, gzipped, and what we want to stay below. */
const BUNDLE = { free: 3 * 1000 ** 2, paid: 10 * 1000 ** 2, aim: 500 * 1024 };
const ASSET = { bytes: 25 * 1024 ** 2, files: 20_000 };

const error = (what, todo) => ({ level: "error", what, todo });
const warning = (what, todo) => ({ level: "warning", what, todo });

function* namespaces({ config }) {
  const bound = config.kv_namespaces ?? [];
  for (const name of NAMES.kv) {
    if (!bound.some((one) => one.binding === name)) {
      yield error(`there is no KV namespace ${name}`, `add [[kv_namespaces]] with binding = "${name}" (an [env] needs its own: it inherits none)`);
    }
  }
  for (const { binding, id } of bound) {
    if (!NAMES.kv.includes(binding)) yield warning(`the code does not use the KV namespace ${binding}`, "remove it, or correct its name");
    if (id === undefined) continue;
    if (!/^[0-9a-f]{32}$/.test(id)) yield error(`the id of ${binding} is not 32 hexadecimal digits`, `npx wrangler kv namespace list shows it`);
    const twin = bound.find((one) => one.id === id && one.binding < binding);
    if (twin) yield error(`${twin.binding} and ${binding} are one namespace`, "give each its own: nothing else may write to either");
  }
}

function* objects({ config }) {
  const bound = config.durable_objects?.bindings ?? [];
  for (const [name, wanted] of Object.entries(NAMES.objects)) {
    const one = bound.find((binding) => binding.name === name);
    if (!one) yield error(`there is no Durable Object ${name}`, `add { name = "${name}", class_name = "${wanted}" } to durable_objects.bindings`);
    else if (one.script_name) yield error(`the Durable Object ${name} is another Worker's`, "remove its script_name");
    else if (one.class_name !== wanted) yield error(`the Durable Object ${name} has the class ${one.class_name}`, `its class_name must be "${wanted}"`);
  }
}

/** The classes that stand after all migrations, and whether each is kept in SQLite. */
function migrated(migrations) {
  const classes = new Map();
  for (const one of migrations) {
    for (const name of one.new_sqlite_classes ?? []) classes.set(name, true);
    for (const name of one.new_classes ?? []) classes.set(name, false);
    for (const { from, to } of one.renamed_classes ?? []) {
      classes.set(to, classes.get(from));
      classes.delete(from);
    }
    for (const name of one.deleted_classes ?? []) classes.delete(name);
  }
  return classes;
}

function* migrations({ config }) {
  const steps = config.migrations ?? [];
  const tags = steps.map((one) => one.tag);
  for (const tag of new Set(tags.filter((one, index) => tags.indexOf(one) !== index))) {
    yield error(`two migrations are tagged ${tag}`, "give the newer one a tag of its own");
  }
  for (const [index, released] of RELEASED.entries()) {
    if (JSON.stringify(steps[index]) !== JSON.stringify(released)) {
      yield error(`the migration ${released.tag} has changed or is gone`, `put it back as number ${index + 1}: ${JSON.stringify(released)}; changes are new migrations below it`);
    }
  }
  for (const one of steps) {
    for (const name of one.deleted_classes ?? []) {
      yield error(`the migration ${one.tag} deletes ${name} and all that its objects hold`, "remove it; to delete an account, delete the account");
    }
  }
  const classes = migrated(steps);
  for (const name of Object.values(NAMES.objects)) {
    if (!classes.has(name)) yield error(`the class ${name} has no migration`, `add [[migrations]] with a new tag and new_sqlite_classes = ["${name}"]`);
    else if (!classes.get(name)) yield error(`the class ${name} is not kept in SQLite`, "name it in new_sqlite_classes, not in new_classes; it cannot be changed later");
  }
}

function* date({ config, now }) {
  const given = config.compatibility_date;
  if (!/^\d{4}-\d\d-\d\d$/.test(given ?? "") || Number.isNaN(Date.parse(given))) {
    yield error("there is no compatibility_date", `set it to "${COMPATIBILITY_DATE}", with which the tests run`);
  } else if (Date.parse(given) > now) {
    yield error(`the compatibility_date ${given} is to come`, `set it to "${COMPATIBILITY_DATE}", with which the tests run`);
  } else if (given !== COMPATIBILITY_DATE) {
    yield warning(`the tests run with the compatibility_date ${COMPATIBILITY_DATE}, not with ${given}`, "make both the same (js/gateway.mjs) and run npm test");
  }
}

function* variables({ config }) {
  for (const name of Object.keys(config.vars ?? {})) {
    if ([...NAMES.secrets, ...NAMES.optionalSecrets].includes(name)) {
      yield error(`the secret ${name} stands in the file`, `remove it, choose another, and set that with npx wrangler secret put ${name}`);
    } else if (NAMES.never.includes(name)) {
      yield error(`${name} is for local runs only: it allows key sets and origins without TLS`, "remove it");
    } else if (!NAMES.vars.includes(name)) {
      yield warning(`the code does not use the variable ${name}`, "remove it, or correct its name");
    }
  }
}

function* copies({ config }) {
  const given = config.vars?.READ_COPIES;
  if (given === undefined) return;
  if (typeof given !== "string") {
    yield error("READ_COPIES is not a text", `a list of regions, separated by commas: READ_COPIES = "weur,apac"`);
    return;
  }
  const regions = given.split(",").map((one) => one.trim()).filter(Boolean);
  for (const one of regions.filter((name) => !REGIONS.includes(name))) {
    yield error(`READ_COPIES names ${one}, which is no region: nothing is copied there`, `the regions are ${REGIONS.join(", ")}`);
  }
}

function* secrets({ secretNames }) {
  if (!secretNames) return;
  for (const name of NAMES.secrets) {
    if (!secretNames.includes(name)) yield error(`the secret ${name} is not set`, `npx wrangler secret put ${name} (docs/deploy.md says what to put)`);
  }
  for (const name of secretNames) {
    if (NAMES.never.includes(name)) yield error(`${name} is for local runs only`, `npx wrangler secret delete ${name}`);
    else if (NAMES.optionalSecrets.includes(name)) yield warning(`${name} is set: a replacement of its key is going on`, "when it is done, npx wrangler secret delete it");
    else if (!NAMES.secrets.includes(name)) yield warning(`the code does not use the secret ${name}`, `a slip of the pen? npx wrangler secret delete ${name}`);
  }
}

function* observability({ config }) {
  if (!config.observability?.enabled) yield warning("logs are not kept", "add [observability] with enabled = true, or send them elsewhere (tail_consumers, logpush)");
}

function* files(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* files(path);
    else yield path;
  }
}

function* assets({ config, folder }) {
  if (!config.assets?.directory) return;
  const where = join(folder, config.assets.directory);
  if (!existsSync(where)) return yield error(`there is no folder ${config.assets.directory} of assets`, "correct assets.directory");
  const all = [...files(where)];
  if (all.length === 0) yield error(`the folder ${config.assets.directory} of assets is empty`, "correct assets.directory");
  if (all.length > ASSET.files) yield error(`${all.length} assets are more than the platform's ${ASSET.files}`, "remove some");
  for (const path of all.filter((one) => statSync(one).size > ASSET.bytes)) {
    yield error(`the asset ${relative(where, path)} is larger than the platform's 25 MiB`, "remove it or make it smaller");
  }
  const first = config.assets.run_worker_first;
  if (first === true || (Array.isArray(first) && first.includes("/*"))) return undefined;
  // Else an asset is served before the Worker is asked: one with the name of an API's path would take its place.
  for (const path of all.map((one) => relative(where, one)).filter((one) => /^(ng|authz|gateway|healthz|readyz|metrics)(\/|\.html$|$)/.test(one))) {
    yield error(`the asset ${path} stands in the place of the API`, "rename it");
  }
  return undefined;
}

function* bundle({ config, plan, withBundle }) {
  if (!withBundle) return;
  if (!config.main || !existsSync(config.main)) return yield error("there is no bundle", "npm run build");
  const folder = dirname(config.main);
  const parts = readdirSync(folder).filter((name) => name.endsWith(".wasm")).map((name) => join(folder, name));
  const bytes = [config.main, ...parts].reduce((sum, path) => sum + gzipSync(readFileSync(path), { level: 9 }).length, 0);
  const size = `the bundle has ${Math.round(bytes / 1024)} KiB gzipped`;
  if (bytes > BUNDLE[plan]) yield error(`${size}, more than the ${plan} plan's ${BUNDLE[plan] / 1e6} MB`, plan === "free" ? "deploy to a paid plan (--plan paid), or make it smaller" : "make it smaller");
  else if (bytes > BUNDLE.aim) yield warning(`${size}, more than our own aim of ${BUNDLE.aim / 1024}`, "find what made it grow before others do: a cold start reads all of it");
  const exported = [...readFileSync(config.main, "utf8").matchAll(/export\s*\{([^}]*)\}|export\s+class\s+(\w+)/g)].flatMap(([, list, name]) =>
    name ? [name] : list.split(",").map((one) => one.trim().split(/\s+as\s+/).pop()),
  );
  for (const name of Object.values(NAMES.objects)) {
    if (!exported.includes(name)) yield error(`the bundle does not export the class ${name}`, "rm -rf build && npm run build");
  }
  return undefined;
}

/** Every rule, by what it looks at. */
export const RULES = { namespaces, objects, migrations, date, variables, copies, secrets, observability, assets, bundle };
