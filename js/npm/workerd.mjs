// scim-edge for Workers: the bundler hands the Wasm over compiled.

import module from "./wasm/scim_edge_bg.wasm";
import { provide } from "./core.mjs";

provide(() => module);

export { ScimEdgeError, applyPatch, createPolicy, load, matches, parseFilter, validate } from "./core.mjs";
