// scim-edge for Node, Deno and Bun: the Wasm lies beside this file.

import { readFileSync } from "node:fs";
import { provide } from "./core.mjs";

provide(() => readFileSync(new URL("./wasm/scim_edge_bg.wasm", import.meta.url)));

export { ScimEdgeError, applyPatch, createPolicy, load, matches, parseFilter, validate } from "./core.mjs";
