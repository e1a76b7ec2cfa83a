// scim-edge for browsers and any host that can fetch what lies beside a module: `await load()`, or let
// createPolicy do it.

export { ScimEdgeError, applyPatch, createPolicy, load, matches, parseFilter, validate } from "./core.mjs";
