/** Whose tokens are accepted, and whom they act as. */
export interface TrustRule {
  name: string;
  /** Names the key set; nothing is fetched here. */
  jwksUrl: string;
  /** What `iss` must be. */
  issuer?: string;
  /** One of these must be in `aud`. */
  audiences?: string[];
  algorithms?: ("RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" | "ES256" | "ES384" | "EdDSA")[];
  /** All must hold; `field` is a JSON Pointer where it begins with `/`, else a top-level claim. */
  claims: { field: string; value: string }[];
  serviceAccount: string;
  /** 0 to 300. */
  clockSkewSeconds: number;
  maxLifetimeSeconds?: number;
}

export type Decision =
  | { allow: true; rule: string; serviceAccount: string; claims: Record<string, unknown> }
  | { allow: false; status: number; reason: string; detail: string; wwwAuthenticate: string | null };

/** A mistake of the caller's, with a stable `code`. */
export class ScimEdgeError extends Error {
  readonly code: string;
}

/** Verifies a token, without waiting. `now` is in milliseconds since the epoch. */
export function verifyToken(input: {
  token: string;
  rules: TrustRule[];
  keys: { keys: object[] };
  now?: number;
}): Decision;

/** Whether a resource satisfies a SCIM filter (RFC 7644 section 3.4.2.2). */
export function matchFilter(filter: string, resource: object, kind?: "User" | "Group"): boolean;

/** Loads the Wasm where the host's entry does not do it by itself: a URL, a response, bytes or a module. */
export function load(wasm?: URL | Response | BufferSource | WebAssembly.Module): Promise<void>;
