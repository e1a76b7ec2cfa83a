// `npm run deploy:check`: what would go wrong with a deployment, before there is one.

import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { RULES } from "./deploy-rules.mjs";
import { SetupError, fail, say } from "./log.mjs";
import { setup } from "./setup.mjs";
import { root } from "./tools.mjs";

const HELP = `npm run deploy:check -- [options]

  --config FILE   the configuration (default wrangler.toml)
  --env NAME      one of its environments
  --plan PLAN     free or paid: whose limits count (default paid)
  --secrets FILE  the output of \`npx wrangler secret list\`, - for standard input: are they all there?
  --no-bundle     look at the configuration only
  --help          this text

A line for each finding, with what to do. Exit code 0: nothing is wrong (warnings may be there); 1: something is.`;

/**
 * Looks at a configuration and at what was built.
 *
 * @returns {Promise<{ level: "error" | "warning", rule: string, what: string, todo: string }[]>}
 */
export async function check({ config: path, env, plan, secretNames, withBundle, now = Date.now() }) {
  // wrangler's own reader: what it refuses, it would refuse at the deploy.
  const { unstable_readConfig: read } = await import("wrangler");
  let config;
  try {
    config = read({ config: path, env });
  } catch (error) {
    const line = error.location?.line ? ` (line ${error.location.line})` : "";
    const what = (error.text ?? error.message).replace(/\s*\n\s*/g, " ");
    return [{ level: "error", rule: "configuration", what: `wrangler does not take the file: ${what}${line}`, todo: "correct it" }];
  }
  const context = { config, folder: dirname(path), plan, secretNames, withBundle, now };
  return Object.entries(RULES).flatMap(([rule, look]) => [...look(context)].map((finding) => ({ rule, ...finding })));
}

/** A finding as it is said. */
export const line = ({ level, rule, what, todo }) => `${level.padEnd(7)}  ${rule}: ${what}: ${todo}`;

/** Says what was found; whether nothing is wrong. */
export function report(findings) {
  for (const finding of findings) say(line(finding));
  const wrong = findings.filter((one) => one.level === "error").length;
  const warnings = findings.length - wrong;
  say(wrong > 0 ? `Not to be deployed: errors ${wrong}, warnings ${warnings}` : `Ready to be deployed, warnings ${warnings}`);
  return wrong === 0;
}

/** The names in what `wrangler secret list` prints. */
export function names(listed) {
  try {
    return JSON.parse(listed.slice(listed.indexOf("["))).map((one) => one.name);
  } catch {
    throw new SetupError("The list of secrets is not what `npx wrangler secret list` prints");
  }
}

async function main() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        config: { type: "string", default: resolve(root, "wrangler.toml") },
        env: { type: "string" },
        plan: { type: "string", default: "paid" },
        secrets: { type: "string" },
        "no-bundle": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }));
    if (!["free", "paid"].includes(values.plan)) throw new Error("--plan must be free or paid");
  } catch (error) {
    throw new SetupError(`${error.message}\n\n${HELP}`);
  }
  if (values.help) return say(HELP);
  await setup();
  const listed = values.secrets && (values.secrets === "-" ? await text(process.stdin) : readFileSync(values.secrets, "utf8"));
  const secretNames = listed === undefined ? undefined : names(listed);
  const findings = await check({ ...values, config: resolve(values.config), secretNames, withBundle: !values["no-bundle"] });
  if (!report(findings)) process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main().catch(fail);
