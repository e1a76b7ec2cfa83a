// Exports as tests send them: read from a gateway, changed, or made and signed by a key of their own.

import { createHash } from "node:crypto";
import { CompactSign, exportJWK, generateKeyPair } from "jose";

/** Whether a line is part of the content that the manifest is about. */
export const isContent = (line) => !/^\{"type":"(Checkpoint|Manifest)"/.test(line);

/** The digest of lines as docs/transfer.md says. */
export function digestOf(lines) {
  let digest = Buffer.alloc(32);
  for (const line of lines) if (isContent(line)) digest = createHash("sha256").update(digest).update(`${line}\n`).digest();
  return digest.toString("base64url");
}

/** A key of another deployment: its public part, and what signs the lines of an export. */
export async function signer() {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const { kty, crv, x } = await exportJWK(publicKey);
  async function signed(content, more = {}) {
    const count = (type) => content.filter((line) => line.startsWith(`{"type":"${type}"`)).length;
    const members = content.filter((line) => line.startsWith('{"type":"Members"')).reduce((sum, line) => sum + JSON.parse(line).members.length, 0);
    const manifest = {
      format: 1, account: "elsewhere", began: 1, ended: 2, lines: content.length, users: count("User"), groups: count("Group"),
      members, digest: digestOf(content), writesMeanwhile: 0, ...more,
    };
    const jws = await new CompactSign(new TextEncoder().encode(JSON.stringify(manifest)))
      .setProtectedHeader({ alg: "EdDSA", typ: "scim-edge-export", jwk: { kty, crv, x } })
      .sign(privateKey);
    return [...content, JSON.stringify({ type: "Manifest", jws })];
  }
  return { x, signed };
}

/** Imports into an account of a gateway. */
export function importer(gateway, account, { key = gateway.rootKey, session = "s1" } = {}) {
  const url = `${gateway.url}/ng/api/scim/account/${account}/.import`;
  async function send(query, type, body) {
    const headers = { "x-api-key": key, ...(type && { "content-type": type }) };
    const response = await fetch(`${url}?${new URLSearchParams({ session, ...query })}`, { method: "POST", headers, body });
    return { status: response.status, body: await response.json() };
  }
  const it = {
    state: () => send({}),
    lines: (position, lines) => send({ position }, "application/x-ndjson", lines.map((line) => `${line}\n`).join("")),
    commit: (body = {}) => send({}, "application/json", JSON.stringify(body)),
    /** Sends all lines in chunks; the answer to the last one, or the first refusal. */
    async all(lines, size = 7) {
      let last;
      for (let at = 0; at < lines.length; at += size) {
        last = await it.lines(at, lines.slice(at, at + size));
        if (last.status !== 200) break;
      }
      return last;
    },
  };
  return it;
}
