// The built Worker on real workerd, with KV and Durable Objects on disk.

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { assets } from "./console-build.mjs";
import { SetupError } from "./log.mjs";
import { output } from "./run.mjs";
import { root } from "./tools.mjs";

const HOST = "127.0.0.1";

/** What the tests run with; wrangler.toml has the same. */
export const COMPATIBILITY_DATE = "2026-04-01";

/**
 * Serves the gateway on loopback. All of its data is under `state`: a later run finds it again, also
 * after a kill.
 *
 * @param {{ port: number, state: string, rootKey?: string, wrapper?: string, other?: string, console?: boolean,
 *   output?: (line: string) => void, bindings?: object, vars?: object }} options `port` 0 takes a free one; `wrapper` is a module
 *   in front of the bundle, for tests that break it on purpose; `other` is the folder of another bundle, which a
 *   `wrapper` finds below `./other`; `console` serves the operators' console too, with
 *   a router in front of the Worker as on the platform; `output` gets each line that the Worker writes, without
 *   it all but the lines about requests are shown; `bindings` are Miniflare's options for those that need not be
 *   there, `vars` the variables of `wrangler.toml`. A request is from where its header `MF-CF-Blob` says, as JSON.
 * @returns {Promise<{ url: string, rootKey: string, workerd: number[], stop: () => Promise<void> }>}
 */
export async function serve({ port, state, rootKey, wrapper, other, console = false, output: write = show, bindings = {}, vars = {} }) {
  const { Log, LogLevel, Miniflare } = await import("miniflare");
  mkdirSync(state, { recursive: true, mode: 0o700 });
  await endOrphan(state);
  if (port !== 0) await checkPort(port);
  const secrets = keep(join(state, "secrets.json"), () => ({
    rootKey: `root-${randomBytes(24).toString("base64url")}`,
    secretsKey: randomBytes(32).toString("base64"),
  }));
  const built = join(root, "build");
  const before = new Set(children());
  const miniflare = new Miniflare({
    host: HOST,
    port,
    log: new Log(LogLevel.WARN),
    // Not to be fetched from the network.
    cf: false,
    modulesRoot: built,
    modules: [
      ...(wrapper ? [{ type: "ESModule", path: join(built, "wrapper.js"), contents: wrapper }] : []),
      ...bundle(built, built),
      ...(other ? bundle(join(built, "other"), other) : []),
    ],
    compatibilityDate: COMPATIBILITY_DATE,
    bindings: {
      ROOT_API_KEY: rootKey ?? secrets.rootKey,
      SECRETS_KEY: secrets.secretsKey,
      // While the key is being replaced: docs/deploy.md.
      ...(secrets.previousSecretsKey && { SECRETS_KEY_PREVIOUS: secrets.previousSecretsKey }),
      // Allows http to loopback for key sets and origins; a deployment does not have it.
      DEVELOPMENT: "true",
      ...vars,
    },
    kvNamespaces: ["SETTINGS", "JWKS"],
    kvPersist: join(state, "kv"),
    durableObjects: {
      ACCOUNT: { className: "Account", useSQLite: true },
      DIRECTORY: { className: "Directory", useSQLite: true },
    },
    durableObjectsPersist: join(state, "objects"),
    handleRuntimeStdio(...streams) {
      for (const input of streams) createInterface({ input }).on("line", write);
    },
    ...bindings,
    ...(console ? { assets: consoleAssets } : {}),
  });
  const url = (await miniflare.ready).origin;
  const workerd = children().filter((pid) => !before.has(pid));
  writeFileSync(join(state, "workerd.pid"), workerd.join("\n"));
  return {
    url,
    rootKey: rootKey ?? secrets.rootKey,
    workerd,
    async stop() {
      await miniflare.dispose();
      rmSync(join(state, "workerd.pid"), { force: true });
    },
  };
}

/** The modules of the bundle in `folder`, as if it were `at` another place. */
function bundle(at, folder) {
  return [
    { type: "ESModule", path: join(at, "index.js"), contents: readFileSync(join(folder, "index.js"), "utf8") },
    { type: "CompiledWasm", path: join(at, "index_bg.wasm"), contents: readFileSync(join(folder, "index_bg.wasm")) },
  ];
}

/** Shows a line, unless it is one of those that there are for every request. */
function show(line) {
  if (!line.startsWith('{"event":"request"')) console.error(line);
}

/** What `[assets]` of wrangler.toml says. */
const consoleAssets = {
  directory: assets,
  routerConfig: {
    has_user_worker: true,
    static_routing: { user_worker: ["/*"], asset_worker: ["/console", "/console/*"] },
  },
};

/** A JSON file that only its owner can read, made where it is not there. */
export function keep(path, make) {
  if (!existsSync(path)) writeFileSync(path, JSON.stringify(make(), null, 2), { mode: 0o600 });
  return JSON.parse(readFileSync(path, "utf8"));
}

/** The workerd processes that this process has started. */
function children() {
  const list = output("ps", ["-A", "-o", "pid=,ppid=,comm="]) ?? "";
  return list
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, name]) => Number(parent) === process.pid && name?.startsWith("workerd"))
    .map(([pid]) => Number(pid));
}

/** Ends a workerd that a killed run has left behind: two must not open the same databases. */
async function endOrphan(state) {
  const file = join(state, "workerd.pid");
  if (!existsSync(file)) return;
  for (const pid of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
    const isWorkerd = () => (output("ps", ["-p", pid, "-o", "comm="]) ?? "").trim().startsWith("workerd");
    if (!isWorkerd()) continue;
    process.kill(Number(pid), "SIGKILL");
    for (let tries = 0; tries < 50 && isWorkerd(); tries += 1) await sleep(100);
  }
  rmSync(file, { force: true });
}

/** Says in a sentence that a port is taken. */
function checkPort(port) {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error) => {
      const taken = error.code === "EADDRINUSE";
      const problem = taken ? `Port ${port} is in use by another program` : `Port ${port}: ${error.message}`;
      reject(new SetupError(problem, `npm start -- --port ${Number(port) + 10}`));
    });
    probe.listen(port, HOST, () => probe.close(() => resolve()));
  });
}
