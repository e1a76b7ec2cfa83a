// `npm test -- --only audit`: licences, sources and known weaknesses of what we build on. What needs a tool
// or a database that cannot be had here is left out, and that is said. `node js/audit.mjs --install`
// installs the tool first, as CI does.

import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { SetupError, fail, say } from "./log.mjs";
import { installed, root, tool } from "./tools.mjs";

/** Where there are packages of npm's: each has a lock. */
const LOCKS = ["", "tests/hosts", "js/bench", "js/verifiers"];

const skipped = (what, why) => say(`SKIPPED: ${what}: ${why}`);

/** Runs a program and keeps what it prints. */
function run(program, args, options = {}) {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 26, timeout: 300_000, ...options });
  return { isGood: status === 0, stdout: stdout ?? "", stderr: stderr ?? "" };
}

/** Licences, sources and banned crates; then advisories, whose database comes over the network. */
function crates() {
  const path = installed("cargo-deny");
  if (!path) return skipped("crates", "cargo-deny is not installed (node js/audit.mjs --install)");
  const deny = (...checks) => run("cargo", ["deny", "check", ...checks], { env: { ...process.env, PATH: `${dirname(path)}:${process.env.PATH}` } });
  const offline = deny("licenses", "bans", "sources");
  if (!offline.isGood) throw new SetupError(`cargo deny check licenses bans sources\n${offline.stderr}`);
  say("crates: licences, bans and sources are as deny.toml has them");
  const advisories = deny("advisories");
  if (advisories.isGood) return say("crates: no advisory but those that SECURITY.md explains");
  if (/failed to (fetch|open|load|clone)[^]*advisory/i.test(advisories.stderr)) return skipped("advisories of crates", "their database cannot be had here");
  throw new SetupError(`cargo deny check advisories\n${advisories.stderr}`);
}

/** Advisories of npm's packages. None of them is shipped; they build and test. */
function packages(folder) {
  const where = folder || "the repository";
  const { stdout } = run("npm", ["audit", "--json", "--audit-level=high"], { cwd: `${root}/${folder}` });
  let report;
  try {
    report = JSON.parse(stdout);
  } catch {
    report = {};
  }
  const counts = report.metadata?.vulnerabilities;
  if (!counts) return skipped(`advisories of npm packages of ${where}`, "the registry here does not answer that question");
  if (counts.high + counts.critical === 0) return say(`npm packages of ${where}: no high or critical advisory`);
  const names = Object.values(report.vulnerabilities).filter((one) => ["high", "critical"].includes(one.severity));
  throw new SetupError(`npm packages of ${where}: ${names.map((one) => `${one.name} (${one.severity})`).join(", ")}`, "npm audit fix, then npm test");
}

/** Everything that can be looked at here. */
export function audit() {
  crates();
  for (const folder of LOCKS) packages(folder);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    if (process.argv.includes("--install")) await tool("cargo-deny");
    audit();
  } catch (error) {
    fail(error);
  }
}
