// The bundle that is measured.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { root } from "../tools.mjs";

const folder = process.env.BENCH_BUILD ?? join(root, "build");

/** Its files, the entry first. */
export const files = ["index.js", "index_bg.wasm"].map((name) => join(folder, name));

/** How many bytes it has, gzipped. */
export const gzipped = () => files.reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0);
