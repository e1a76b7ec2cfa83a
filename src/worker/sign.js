// Signatures of this deployment, by the host's WebCrypto: Ed25519 (RFC 8032), with a key that is derived from a secret
// (HKDF, RFC 5869), so that there is no further secret to keep and to back up.

const encoder = new TextEncoder();

/** What precedes the 32 bytes of a private Ed25519 key in PKCS #8 (RFC 8410, section 7). */
const PKCS8 = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

async function keyOf(secret, purpose) {
  const { subtle } = crypto;
  const material = await subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const derivation = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: encoder.encode(purpose) };
  const seed = new Uint8Array(await subtle.deriveBits(derivation, material, 256));
  return subtle.importKey("pkcs8", new Uint8Array([...PKCS8, ...seed]), "Ed25519", true, ["sign"]);
}

/** The public part of the key for a purpose, as `x` of a JWK (RFC 8037). */
export async function publicKey(secret, purpose) {
  return (await crypto.subtle.exportKey("jwk", await keyOf(secret, purpose))).x;
}

/** The signature of a text with the key for a purpose. */
export async function sign(secret, purpose, text) {
  return new Uint8Array(await crypto.subtle.sign("Ed25519", await keyOf(secret, purpose), encoder.encode(text)));
}
