// Documents name tests as `file` › name: these are the names that there are.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../js/tools.mjs";

export const read = (file) => readFileSync(join(root, file), "utf8");

/** The names of a table's cases, or its filters, which are their own names. */
function cases(value) {
  if (Array.isArray(value)) {
    const isFilter = value.length === 2 && typeof value[0] === "string" && typeof value[1] !== "number";
    return [...(isFilter ? [value[0]] : []), ...value.flatMap(cases)];
  }
  if (value === null || typeof value !== "object") return [];
  return [...(typeof value.name === "string" ? [value.name] : []), ...Object.values(value).flatMap(cases)];
}

/** The names of the tests in a file. */
function names(file) {
  const text = read(file);
  if (file.endsWith(".json")) return cases(JSON.parse(text));
  const pattern = file.endsWith(".rs") ? /#\[(?:wasm_bindgen_)?test\]\s*(?:async )?fn (\w+)\(/g : /^ *test\("((?:[^"\\]|\\.)*)"/gm;
  return [...text.matchAll(pattern)].map((match) => match[1]);
}

const known = new Map();

/** What is wrong with a citation; nothing where the test exists. */
export function fault(cited) {
  const [, file, name] = /^`([^`]+)` › (.+)$/.exec(cited) ?? [];
  if (!file || !existsSync(join(root, file))) return `no file in ${cited}`;
  if (!known.has(file)) known.set(file, new Set(names(file)));
  return known.get(file).has(name) ? undefined : `${file} has no ${name}`;
}
