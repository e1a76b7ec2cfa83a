// A Worker on workerd itself, as it runs in production: no Miniflare in front, whose proxy would be most
// of what is measured. KV and objects are on disk.

import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const here = import.meta.dirname;

/** The configuration in workerd's own language. */
function configuration({ modules, classes, variables }) {
  const quote = JSON.stringify;
  const embed = (path) => `(name = ${quote(basename(path))}, ${path.endsWith(".wasm") ? "wasm" : "esModule"} = embed ${quote(basename(path))})`;
  const bindings = [
    ...Object.entries(classes).map(([name, className]) => `(name = ${quote(name)}, durableObjectNamespace = ${quote(className)})`),
    ...Object.entries(variables).map(([name, text]) => `(name = ${quote(name)}, text = ${quote(text)})`),
    ...["SETTINGS", "JWKS"].map((name) => `(name = "${name}", kvNamespace = "kv")`),
  ];
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "kv", worker = .kv),
    (name = "objects", disk = (path = "objects", writable = true)),
    (name = "pairs", disk = (path = "pairs", writable = true)),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [
    (name = "main", address = "127.0.0.1:0", http = (), service = "main"),
    (name = "kv", address = "127.0.0.1:0", http = (), service = "kv"),
  ],
);
const main :Workerd.Worker = (
  modules = [${modules.map(embed).join(", ")}],
  compatibilityDate = "2026-04-01",
  durableObjectNamespaces = [${Object.values(classes).map((name) => `(className = ${quote(name)}, uniqueKey = ${quote(name)}, enableSql = true)`).join(", ")}],
  durableObjectStorage = (localDisk = "objects"),
  bindings = [${bindings.join(", ")}],
);
const kv :Workerd.Worker = (
  modules = [(name = "kv.worker.js", esModule = embed "kv.worker.js")],
  compatibilityDate = "2026-04-01",
  bindings = [(name = "PAIRS", service = "pairs")],
);
`;
}

/**
 * Starts a Worker. `modules` are files, the entry first; `classes` are its object namespaces by binding.
 *
 * @returns its URL, the KV's URL, the inspector's where it is `inspected`, `cpu()` (seconds used so far), `memory()` (bytes), `started` (ms) and `stop()`.
 */
export async function workerd({ state, modules, classes = {}, variables = {}, inspected = false }) {
  const program = (await import("workerd")).default.default;
  for (const folder of ["objects", "pairs"]) mkdirSync(join(state, folder), { recursive: true });
  for (const path of [...modules, join(here, "kv.worker.js")]) copyFileSync(path, join(state, basename(path)));
  writeFileSync(join(state, "config.capnp"), configuration({ modules, classes, variables }));
  const begun = performance.now();
  const inspector = inspected ? "127.0.0.1:0" : process.env.BENCH_INSPECT;
  const options = ["serve", "config.capnp", "--control-fd=3", ...(inspector ? [`--inspector-addr=${inspector}`] : [])];
  const child = spawn(program, options, { cwd: state, stdio: ["ignore", "ignore", "inherit", "pipe"] });
  const ports = await listening(child, inspected);
  return {
    url: `http://127.0.0.1:${ports.main}`,
    kv: `http://127.0.0.1:${ports.kv}`,
    inspector: ports.inspector && `http://127.0.0.1:${ports.inspector}`,
    started: performance.now() - begun,
    ...usage(child.pid),
    stop: () => ended(child),
  };
}

/** The ports of the sockets, as workerd tells them. */
function listening(child, inspected) {
  return new Promise((resolve, reject) => {
    const ports = {};
    let text = "";
    child.once("exit", (code) => reject(new Error(`workerd ended with ${code}`)));
    child.stdio[3].on("data", (chunk) => {
      const lines = (text + chunk).split("\n");
      text = lines.pop();
      for (const line of lines.filter(Boolean).map((one) => JSON.parse(one))) {
        if (line.event === "listen") ports[line.socket] = line.port;
        if (line.event === "listen-inspector") ports.inspector = line.port;
      }
      if (ports.main && ports.kv && (ports.inspector || !inspected)) resolve(ports);
    });
  });
}

/** Ends a process that this one has started. */
export function ended(child) {
  if (child.exitCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.removeAllListeners("exit");
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}

/** What a process has used, where the system tells (Linux). */
export function usage(pid) {
  const read = (file, find) => {
    try {
      return find(readFileSync(`/proc/${pid}/${file}`, "utf8"));
    } catch {
      return undefined;
    }
  };
  return {
    // utime and stime, in hundredths of a second; the name before them may hold spaces.
    cpu: () => read("stat", (text) => text.slice(text.lastIndexOf(")")).split(" ").slice(12, 14).reduce((sum, ticks) => sum + Number(ticks) / 100, 0)),
    memory: () => read("status", (text) => Number(text.match(/VmRSS:\s+(\d+)/)[1]) * 1024),
  };
}
