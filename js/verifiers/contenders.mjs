// What is timed: each takes a set of keys and gives a function that verifies one token. Shared by Node and
// workerd.

import { createLocalJWKSet, jwtVerify } from "jose";
import { createPolicy } from "scim-edge";

export const ISSUER = "https://idp.example.com/";
export const AUDIENCE = "scim";
export const ALGORITHMS = { "RS256-2048": "RS256", "RS256-4096": "RS256", ES256: "ES256", ES384: "ES384", Ed25519: "EdDSA" };

const WEBCRYPTO = {
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  EdDSA: { name: "Ed25519" },
};

/** The floor: nothing but the signature, of a token that was taken apart before. */
async function bare({ keys: [jwk] }, alg, tokens) {
  const algorithm = WEBCRYPTO[alg];
  const key = await crypto.subtle.importKey("jwk", jwk, algorithm, false, ["verify"]);
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const parts = new Map(tokens.map((token) => [token, token.lastIndexOf(".")]).map(([token, dot]) => [token, [new TextEncoder().encode(token.slice(0, dot)), bytes(token.slice(dot + 1))]]));
  return (token) => {
    const [signed, signature] = parts.get(token);
    return crypto.subtle.verify(algorithm, key, signature, signed);
  };
}

async function ours(jwks) {
  const rule = { issuer: ISSUER, audiences: [AUDIENCE], claims: [{ field: "sub", value: "client" }], serviceAccount: "sa" };
  const policy = await createPolicy({ rules: { one: rule }, serviceAccounts: { sa: "_scim_provisioner" }, keys: jwks });
  return async (token) => (await policy.authorize({ operation: "user.list", token })).allow;
}

async function jose(jwks) {
  const keys = createLocalJWKSet(jwks);
  return async (token) => Boolean(await jwtVerify(token, keys, { issuer: ISSUER, audience: AUDIENCE }));
}

/** By name: what makes a verifier, and whether it is asked for tokens that it has seen. */
export const contenders = {
  "subtle.verify alone": { make: bare },
  "scim-edge, first use": { make: ours },
  "scim-edge, later uses": { make: ours, again: true },
  jose: { make: jose },
};

/** Makes a verifier; what it does not believe is a mistake of the benchmark's. */
export async function prepared({ make, again }, { jwks, alg, tokens }) {
  const verify = await make(jwks, alg, tokens);
  const asked = again ? tokens.map(() => tokens[0]) : tokens;
  // The first of all pays for importing the key.
  if (!(await verify(tokens[0]))) throw new Error("a good token was refused");
  return { verify, asked: again ? asked : asked.slice(1) };
}

/** Verifies all, `flight` at a time. */
export async function all(verify, tokens, flight) {
  for (let at = 0; at < tokens.length; at += flight) {
    const answers = await Promise.all(tokens.slice(at, at + flight).map(verify));
    if (!answers.every(Boolean)) throw new Error("a good token was refused");
  }
}
