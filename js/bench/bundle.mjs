// The bundle that is measured.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { root } from "../tools.mjs";

const folder = process.env.BENCH_BUILD ?? join(root, "build");

/** A bundle's files in its folder, the entry first. */
export const filesIn = (place) => ["index.js", "index_bg.wasm"].map((name) => join(place, name));

/** Its files, the entry first. */
export const files = filesIn(folder);

/** How many bytes it has, gzipped. */
export const gzipped = () => files.reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0);
