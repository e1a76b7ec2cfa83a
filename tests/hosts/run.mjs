// The package in Node, Deno and Bun: prints one line of JSON.

import { readFileSync } from "node:fs";
import * as scimEdge from "scim-edge";
import { check } from "./check.mjs";

const tables = JSON.parse(readFileSync("tables.json", "utf8"));
console.log(JSON.stringify(await check(scimEdge, tables)));
