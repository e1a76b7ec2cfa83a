// The platform itself, with the same bytes in it, and a Worker that does nothing.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { workerd } from "./workerd.mjs";

/** Starts a bare Worker, without an object. */
export const empty = () => bare({ modules: ["empty.worker.js"] });

/**
 * Starts a bare Worker before a bare object that answers `texts` by their names, one read of SQLite each,
 * and `texts.page` from its memory.
 */
export async function floor(texts) {
  const server = await bare({ modules: ["floor.worker.js"], classes: { FLOOR: "Floor" } });
  const names = Object.keys(texts);
  for (let start = 0; start < names.length; start += 1000) {
    const part = Object.fromEntries(names.slice(start, start + 1000).map((name) => [name, texts[name]]));
    await fetch(server.url, { method: "PUT", body: JSON.stringify(part) });
  }
  return server;
}

async function bare({ modules, classes }) {
  const state = mkdtempSync(join(tmpdir(), "scim-edge-floor-"));
  const server = await workerd({ state, modules: modules.map((name) => join(import.meta.dirname, name)), classes });
  return {
    ...server,
    name: "floor",
    async stop() {
      await server.stop();
      rmSync(state, { recursive: true, force: true });
    },
  };
}
