// `npm run deploy`: checks, builds, checks what was built, and has wrangler deploy it.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { check, names, report } from "./deploy-check.mjs";
import { SetupError, fail, say } from "./log.mjs";
import { output, run } from "./run.mjs";
import { setup } from "./setup.mjs";
import { root } from "./tools.mjs";
import { quick } from "./wasm.mjs";

const HELP = `npm run deploy -- [options]

  --env NAME   one of wrangler.toml's environments
  --plan PLAN  free or paid: whose limits count (default paid)
  --dry-run    everything but the upload, into build/deploy
  --help       this text`;

const WRANGLER = join(root, "node_modules", "wrangler", "bin", "wrangler.js");

/** The secrets that are set; unknown before the first deployment, and to whom has not signed in. */
function secretNames(env) {
  const listed = output(process.execPath, [WRANGLER, "secret", "list", "--format", "json", ...env], { cwd: root });
  return listed === undefined ? undefined : names(listed);
}

async function main() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        env: { type: "string" },
        plan: { type: "string", default: "paid" },
        "dry-run": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }));
  } catch (error) {
    throw new SetupError(`${error.message}\n\n${HELP}`);
  }
  if (values.help) return say(HELP);
  if (quick) throw new SetupError("SCIM_EDGE_BUILD=quick is for development: its bundle is not deployed", "unset SCIM_EDGE_BUILD");
  await setup();
  const env = values.env ? ["--env", values.env] : [];
  const dry = values["dry-run"];
  const options = { config: join(root, "wrangler.toml"), env: values.env, plan: values.plan };
  const known = dry ? undefined : secretNames(env);
  for (const withBundle of [false, true]) {
    if (withBundle) await build();
    if (!report(await check({ ...options, secretNames: known, withBundle }))) throw new SetupError("Nothing was deployed");
  }
  const args = [WRANGLER, "deploy", ...env, ...(dry ? ["--dry-run", "--outdir", "build/deploy"] : [])];
  await run(process.execPath, args, { cwd: root, quiet: dry, env: { ...process.env, WRANGLER_SEND_METRICS: "false", ...(dry && { CI: "true" }) } });
  if (dry) return say("Nothing was uploaded: a dry run");
  if (!known) say(`Are the secrets set? npx wrangler secret list | npm run deploy:check -- --secrets -`);
}

await main().catch(fail);
