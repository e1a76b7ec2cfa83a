// scim-edge for Node: the Wasm lies beside this file.

import { readFileSync } from "node:fs";
import { load } from "./index.mjs";

await load(readFileSync(new URL("./wasm/scim_edge_bg.wasm", import.meta.url)));

export { ScimEdgeError, matchFilter, verifyToken } from "./index.mjs";
