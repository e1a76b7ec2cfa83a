// Running the command line in tests.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { root } from "../../js/tools.mjs";

export const PROGRAM = join(root, "js", "npm", "cli.mjs");

/** An environment in which nothing is said. */
export const EMPTY = { SCIM_EDGE_URL: undefined, SCIM_EDGE_ACCOUNT: undefined, SCIM_EDGE_KEY: undefined };

/** Commands for an account of a gateway, with the root key. */
export function commandLine(gateway, account) {
  /** Runs a command; `env` is what stands in the environment for it. */
  function cli(words, { input = "", env = {} } = {}) {
    const known = { ...process.env, SCIM_EDGE_URL: gateway.url, SCIM_EDGE_ACCOUNT: account, SCIM_EDGE_KEY: gateway.rootKey, ...env };
    const given = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
    return new Promise((resolve) => {
      const child = execFile(process.execPath, [PROGRAM, ...words], { env: given }, (error, out, err) => {
        assert.ok(!`${out}${err}`.includes(gateway.rootKey), "the key is in the output");
        resolve({ code: error?.code ?? 0, out, err });
      });
      child.stdin.on("error", () => {});
      child.stdin.end(input);
    });
  }

  /** One that has to succeed: what it prints. */
  async function done(words, options) {
    const { code, out, err } = await cli(words, options);
    assert.equal(code, 0, `${words.join(" ")}: ${out}${err}`);
    return out;
  }

  const json = async (words, options) => JSON.parse(await done([...words, "--json"], options));

  /** One that has to fail in a certain way. */
  async function fails(code, sentence, words, options) {
    const ended = await cli(words, options);
    assert.equal(ended.code, code, `${words.join(" ")}: ${ended.out}${ended.err}`);
    assert.match(ended.err, sentence);
  }

  return { cli, done, json, fails };
}
