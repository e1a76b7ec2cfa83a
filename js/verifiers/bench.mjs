// `npm run bench:verify`: how long it takes to verify a token, ours beside others', in Node and in workerd. All
// take turns in one run; what counts is the ratio to the signature alone, and the middle of the rounds.

import { createRequire } from "node:module";
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, readFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SignJWT, exportJWK, exportSPKI, generateKeyPair } from "jose";
import { fail, say, step } from "../log.mjs";
import { buildPackage } from "../npm-build.mjs";
import { run } from "../run.mjs";
import { setup } from "../setup.mjs";
import { root } from "../tools.mjs";

const here = join(root, "js", "verifiers");

/** A key pair of a kind, its set, and distinct tokens of it. */
async function material(kind, alg, count, { ISSUER, AUDIENCE }) {
  const options = { extractable: true, ...(alg === "EdDSA" && { crv: "Ed25519" }), modulusLength: kind.endsWith("4096") ? 4096 : 2048 };
  const { publicKey, privateKey } = await generateKeyPair(alg, options);
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "one", alg, use: "sig" }] };
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const sign = (_, n) => new SignJWT({ sub: "client", jti: `token-${n}` }).setProtectedHeader({ alg, kid: "one", typ: "JWT" }).setIssuer(ISSUER).setAudience(AUDIENCE).setIssuedAt().setExpirationTime(exp).sign(privateKey);
  return { alg, jwks, pem: await exportSPKI(publicKey), tokens: await Promise.all(Array.from({ length: count }, sign)) };
}

/** Verifiers that there are for Node alone. */
function others(require) {
  const { createVerifier } = require("fast-jwt");
  const { JwtVerifier } = require("aws-jwt-verify");
  const fast = (cache) => async (_, alg, __, { pem }) => {
    const verify = createVerifier({ key: pem, cache, algorithms: [alg], allowedIss: ISSUER, allowedAud: AUDIENCE });
    return async (token) => Boolean(verify(token));
  };
  const aws = async (jwks) => {
    const verifier = JwtVerifier.create({ issuer: ISSUER, audience: AUDIENCE, jwksUri: `${ISSUER}keys` });
    verifier.cacheJwks(jwks);
    return async (token) => Boolean(await verifier.verify(token));
  };
  return { "fast-jwt": { make: fast(false) }, "fast-jwt, cached": { make: fast(4096), again: true }, "aws-jwt-verify": { make: aws } };
}

let ISSUER, AUDIENCE;

const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Microseconds a token, by contender: the middle and the ends of the rounds. */
async function rounds(names, count, once) {
  const taken = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < count; round += 1) {
    // Each goes first once.
    for (const name of [...names.slice(round % names.length), ...names.slice(0, round % names.length)]) taken[name].push(await once(name));
  }
  return Object.fromEntries(names.map((name) => [name, { us: middle(taken[name]), least: Math.min(...taken[name]), most: Math.max(...taken[name]) }]));
}

function print(host, kind, flight, figures) {
  const floor = figures["subtle.verify alone"].us;
  say(`\n${host}, ${kind}, ${flight === 1 ? "one after another" : `${flight} at a time`}`.padEnd(52) + "µs".padStart(9) + "least".padStart(9) + "most".padStart(9) + "ratio".padStart(9));
  for (const [name, { us, least, most }] of Object.entries(figures)) {
    say(`  ${name.padEnd(49)}${us.toFixed(1).padStart(9)}${least.toFixed(1).padStart(9)}${most.toFixed(1).padStart(9)}${(us / floor).toFixed(2).padStart(9)}`);
  }
}

/** Everything in one folder, with the packed package beside the others. */
async function project() {
  const source = await buildPackage();
  const folder = mkdtempSync(join(tmpdir(), "scim-edge-verifiers-"));
  for (const name of ["package.json", "package-lock.json", "contenders.mjs", "worker.mjs"]) copyFileSync(join(here, name), join(folder, name));
  await step("Installing what is measured", () => run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: folder, quiet: true }));
  symlinkSync(source, join(folder, "node_modules", "scim-edge"));
  return folder;
}

/** A workerd with the contenders that it can run. */
async function workerd(folder) {
  const { build } = await import("esbuild");
  const { Miniflare } = await import("miniflare");
  const { outputFiles } = await build({ entryPoints: [join(folder, "worker.mjs")], bundle: true, write: false, format: "esm", conditions: ["workerd"], external: ["*.wasm"], logLevel: "silent" });
  const wasm = readFileSync(join(folder, "node_modules", "scim-edge", "wasm", "scim_edge_bg.wasm"));
  const modules = [
    { type: "ESModule", path: "worker.mjs", contents: outputFiles[0].text },
    { type: "CompiledWasm", path: "wasm/scim_edge_bg.wasm", contents: wasm },
  ];
  const worker = new Miniflare({ compatibilityDate: "2026-04-01", cf: false, modules });
  const url = await worker.ready;
  const ask = async (body) => {
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(body) });
    if (answer.status !== 200) throw new Error(await answer.text());
    await answer.text();
  };
  return { ask, stop: () => worker.dispose() };
}

async function main() {
  const { values } = parseArgs({ options: { tokens: { type: "string", default: "1000" }, rounds: { type: "string", default: "7" }, only: { type: "string" } } });
  const [count, times] = [Number(values.tokens) + 1, Number(values.rounds)];
  await setup({});
  const folder = await project();
  const there = await workerd(folder);
  try {
    const shared = await import(join(folder, "contenders.mjs"));
    ({ ISSUER, AUDIENCE } = shared);
    const inNode = { ...shared.contenders, ...others(createRequire(join(folder, "package.json"))) };
    say(`\nNode ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}, ${count - 1} tokens, ${times} rounds`);
    for (const [kind, alg] of Object.entries(shared.ALGORITHMS)) {
      if (values.only && values.only !== kind) continue;
      const made = await material(kind, alg, count, shared);
      for (const flight of [1, 16]) {
        const figures = await rounds(Object.keys(inNode), times, async (name) => {
          const { make, again } = inNode[name];
          const { verify, asked } = await shared.prepared({ make: (jwks, one, tokens) => make(jwks, one, tokens, made), again }, made);
          const begun = performance.now();
          await shared.all(verify, asked, flight);
          return ((performance.now() - begun) * 1000) / asked.length;
        });
        print("Node", kind, flight, figures);
      }
      const figures = await rounds(Object.keys(shared.contenders), times, async (name) => {
        await there.ask({ name, keep: { jwks: made.jwks, alg, tokens: made.tokens } });
        const time = async (flight) => {
          const begun = performance.now();
          await there.ask({ name, flight });
          return performance.now() - begun;
        };
        const empty = Math.min(await time(0), await time(0), await time(0));
        return (((await time(1)) - empty) * 1000) / (count - 1);
      });
      print("workerd", kind, 1, figures);
    }
  } finally {
    await there.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

await main().catch(fail);
