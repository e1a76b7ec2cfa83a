// `npm run transfer`: a round trip of an account through export and import, with its time and memory. The first export is
// made up and signed here, so that nothing has to be provisioned first.

import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { execFile } from "node:child_process";
import { CompactSign, exportJWK, generateKeyPair } from "jose";
import { build } from "./build.mjs";
import { admin } from "./demo/client.mjs";
import { serve } from "./gateway.mjs";
import { fail, say } from "./log.mjs";
import { linesOf } from "./npm/cli-export.mjs";
import { setup } from "./setup.mjs";

const PROGRAM = fileURLToPath(new URL("npm/cli.mjs", import.meta.url));
const USER = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group";

/** The lines of a made-up export, without the manifest. */
function* content(users, groups) {
  yield { type: "Export", format: 1, account: "made-up" };
  const stamp = (n) => ({ created: 1_700_000_000_000 + n, lastModified: 1_750_000_000_000 + n, version: 1 + (n % 9) });
  for (let n = 0; n < users; n += 1) {
    const emails = [{ value: `person${n}@example.com`, type: "work", primary: true }];
    const name = { givenName: `Given${n % 1000}`, familyName: `F\u00e4mily${n % 777}` };
    yield { type: "User", ...stamp(n), resource: { schemas: [USER], id: `u${n}`, userName: `person${n}@example.com`, externalId: `x${n}`, name, emails, active: n % 10 !== 0 } };
  }
  for (let n = 0; n < groups; n += 1) yield { type: "Group", ...stamp(n), resource: { schemas: [GROUP], id: `g${n}`, displayName: `Group ${n}` } };
  for (let n = 0; n < groups && users > 0; n += 1) {
    const ids = new Set(Array.from({ length: 50 }, (_, place) => `u${(n * 97 + place * 13) % users}`));
    yield { type: "Members", group: `g${n}`, members: [...ids].sort().map((value) => ({ value, type: "User" })) };
  }
}

/** Writes a made-up export to a file. Returns the public key that it is signed with. */
export async function makeExport(path, users, groups) {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const { kty, crv, x } = await exportJWK(publicKey);
  const file = createWriteStream(path, { mode: 0o600 });
  let [digest, lines, members] = [Buffer.alloc(32), 0, 0];
  for (const one of content(users, groups)) {
    const line = `${JSON.stringify(one)}\n`;
    digest = createHash("sha256").update(digest).update(line).digest();
    [lines, members] = [lines + 1, members + (one.members?.length ?? 0)];
    if (!file.write(line)) await new Promise((resolve) => file.once("drain", resolve));
  }
  const manifest = { format: 1, account: "made-up", began: 1, ended: 2, lines, users, groups, members, digest: digest.toString("base64url"), writesMeanwhile: 0 };
  const jws = await new CompactSign(new TextEncoder().encode(JSON.stringify(manifest)))
    .setProtectedHeader({ alg: "EdDSA", typ: "scim-edge-export", jwk: { kty, crv, x } })
    .sign(privateKey);
  await new Promise((resolve) => file.end(`${JSON.stringify({ type: "Manifest", jws })}\n`, resolve));
  return x;
}

/** A digest of the resources and members in a file, in their order. */
export async function digestOf(path) {
  const hash = createHash("sha256");
  for await (const line of linesOf(createReadStream(path))) {
    if (/^\{"type":"(User|Group|Schema)"/.test(line)) hash.update(line);
    // However they are spread over lines.
    if (line.startsWith('{"type":"Members"')) for (const one of JSON.parse(line).members) hash.update(`${JSON.parse(line).group} ${JSON.stringify(one)}`);
  }
  return hash.digest("base64url");
}

/** The most memory that a process has had, in MiB. */
function peakOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024);
}

async function main() {
  const { values } = parseArgs({ options: { users: { type: "string", default: "100000" }, groups: { type: "string", default: "1000" } } });
  const [users, groups] = [Number(values.users), Number(values.groups)];
  await setup();
  await build();
  const folder = mkdtempSync(join(tmpdir(), "scim-edge-transfer-"));
  const gateway = await serve({ port: 0, state: join(folder, "gateway"), output: () => {} });
  try {
    const cli = (account, words) =>
      new Promise((resolve, reject) => {
        const env = { ...process.env, SCIM_EDGE_URL: gateway.url, SCIM_EDGE_ACCOUNT: account, SCIM_EDGE_KEY: gateway.rootKey };
        execFile(process.execPath, [PROGRAM, ...words], { env, maxBuffer: 1 << 26 }, (error, out, err) => (error ? reject(new Error(`${out}${err}`)) : resolve(out)));
      });
    const timed = async (title, work) => {
      const began = performance.now();
      const result = await work();
      const seconds = (performance.now() - began) / 1000;
      say(`${title}: ${seconds.toFixed(1)} s, ${Math.round(users / seconds)} users/s; workerd has had ${Math.max(...gateway.workerd.map(peakOf))} MiB at most`);
      return result;
    };
    for (const account of ["a", "b"]) await admin(gateway.url, gateway.rootKey, account).serviceAccount("provisioner", "_scim_provisioner");
    const [made, first, second] = ["made", "first", "second"].map((name) => join(folder, `${name}.ndjson`));
    const key = await makeExport(made, users, groups);
    say(`${users} users, ${groups} groups: ${Math.round(statSync(made).size / (1 << 20))} MiB`);
    await timed("import", () => cli("a", ["import", made, "--trust-key", key]));
    await timed("export", () => cli("a", ["export", "--output", first]));
    await timed("import of that", () => cli("b", ["import", first]));
    await timed("export again", () => cli("b", ["export", "--output", second]));
    const digests = await Promise.all([made, first, second].map(digestOf));
    if (new Set(digests).size !== 1) throw new Error(`The round trip has changed something: ${digests.join(", ")}`);
    say("All three are equal, line by line");
  } finally {
    await gateway.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main().catch(fail);
