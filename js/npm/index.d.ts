/** The signature algorithms that are accepted; there is no `none` and no HMAC. */
export type Algorithm = "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" | "ES256" | "ES384" | "EdDSA";

/** A JWK Set (RFC 7517). Keys that cannot check a signature are left out. */
export interface JwkSet {
  keys: object[];
}

/** Whose tokens are accepted, and whom they act as. */
export interface TrustRule {
  /** Where the issuer's keys are. Without this and `jwks`, they are where the issuer's configuration says. */
  jwksUrl?: string;
  /** The issuer's keys themselves. */
  jwks?: JwkSet;
  /** What `iss` must be, to the letter. */
  issuer?: string;
  /** One of these must be in `aud`. */
  audiences?: string[];
  algorithms?: Algorithm[];
  /** All must hold; `field` is a JSON Pointer where it begins with `/`, else a top-level claim. */
  claims?: { field: string; value: string }[];
  serviceAccount: string;
  /** 0 to 300; 30 where nothing is said. */
  clockSkewSeconds?: number;
  /** The longest time from `iat` to `exp`. */
  maxLifetimeSeconds?: number;
  tokenTypes?: ("JWT" | "at+jwt" | "none")[];
  /** Demands tokens that are bound to a key, and requests that prove to have it (RFC 9449). */
  dpop?: boolean;
}

/** The token settings of the gateway's settings API; together they are the rule `default`. */
export interface TokenSettings {
  scim_jwt_token_jwks_keys_url?: string;
  scim_jwt_token_key_field?: string;
  scim_jwt_token_value_field?: string;
  scim_jwt_token_service_account_id?: string;
  scim_jwt_token_issuer?: string;
  scim_jwt_token_audience?: string;
  scim_jwt_token_algorithms?: string;
  scim_jwt_token_clock_skew_seconds?: string | number;
  scim_jwt_token_max_lifetime_seconds?: string | number;
}

/** Asked for a key set, by its URL or its issuer; `kid` is the token's. */
export type KeyLoader = (wanted: { url?: string; issuer?: string; kid?: string }) => JwkSet | string | Promise<JwkSet | string>;

export interface PolicyOptions {
  /** The account's identifier: requests below the gateway's paths must name it. */
  account?: string;
  /**
   * The path that all of SCIM is below, like `/scim/v2`: requests to other paths are refused (404). Without it a
   * request is judged by the end of its path.
   */
  base?: string;
  settings?: TokenSettings;
  /** By name; up to 20. */
  rules?: Record<string, TrustRule>;
  /** What each service account may do: permissions, or a built-in role. */
  serviceAccounts: Record<string, string | string[]>;
  /**
   * The keys of rules that have none themselves: a set, the URL of one, or a function that loads them. Where absent
   * they are fetched from where each rule says. What is fetched is kept: fresh for as long as the issuer says (1 to 60
   * minutes), used for up to a day while the issuer cannot be reached; what a function returns is not.
   */
  keys?: JwkSet | string | URL | KeyLoader;
  /** Milliseconds since the epoch. Whatever else it returns, nothing is permitted (503, `clock_not_usable`). */
  now?: () => number;
  /** A WebCrypto instead of the host's. */
  crypto?: { subtle: object };
  /** Allows URLs of loopback addresses. */
  development?: boolean;
  fetch?: typeof globalThis.fetch;
}

/**
 * An HTTP request as it came, or an operation by its name. A request that two servers could read differently is
 * refused (400, `ambiguous_request`): dot segments in any encoding, encoded slashes, backslashes, control characters,
 * a scheme within the path, a header that names another method. A bulk request needs the permissions of everything
 * it could do.
 * Operations are `user.list`, `group.patch`, `bulk`, …
 */
export type AuthorizationRequest =
  | {
      method: string;
      url: string | URL;
      headers?: { get(name: string): string | null } | Iterable<[string, string]> | Record<string, string | string[] | undefined>;
    }
  | { operation: string; token: string };

export interface Allowed {
  allow: true;
  principal: { account: string; serviceAccount: string; permissions: string[] };
  operation: string;
  claims: Record<string, unknown>;
  /** The rule that trusted the token. */
  rule: string;
  /** Of a request with DPoP: refuse what comes with the same `id` again before `expires` (milliseconds since the epoch). */
  proof: { id: string; expires: number } | null;
}

export interface Denied {
  allow: false;
  /** The HTTP status to answer with. */
  status: 400 | 401 | 403 | 404 | 405 | 503;
  /** A stable code, for logs. */
  reason: string;
  /** For logs: what was expected and found. Never for the caller. */
  detail: string;
  /** The body to answer with (RFC 7644 section 3.12). */
  scimError: { schemas: string[]; status: string; scimType?: string; detail: string };
  /** The `WWW-Authenticate` to answer with (RFC 6750). */
  wwwAuthenticate: string | null;
  /** Seconds, for `Retry-After`. */
  retryAfter: number | null;
}

export type Decision = Allowed | Denied;

/** One check of a token, by one rule. */
export type Step =
  | { rule: string | null; check: string; ok: true; expected: string; found: string }
  | { rule: string | null; check: string; ok: false; expected: string; reason: string; detail: string };

export type Explanation = { steps: Step[] } & (
  | { allow: true; rule: string; serviceAccount: string }
  | { allow: false; reason: string; detail: string }
);

export interface Policy extends Disposable {
  /**
   * Decides about a request; signatures are checked by WebCrypto. Never throws for a bad token. A token that was let
   * in is remembered (up to 4,096, 8 MiB) and asked only for its time and its key the next time: the same frozen
   * decision is returned again.
   */
  authorize(request: AuthorizationRequest): Promise<Decision>;
  /** The same without waiting, in Wasm: the keys must be given, or loaded by `load()`. */
  authorizeSync(request: AuthorizationRequest): Decision;
  /** Every check of a token, for operators. */
  explain(token: string): Promise<Explanation>;
  /** Fetches the rules' keys. */
  load(): Promise<void>;
  /** Gives the Wasm's memory back; garbage collection does too. */
  dispose(): void;
}

/** Makes a policy of an account's settings, which are checked as the settings API checks them. */
export function createPolicy(options: PolicyOptions): Promise<Policy>;

/** A mistake of the caller's. */
export class ScimEdgeError extends Error {
  /** Stable: a `scimType` of RFC 7644, or `invalid_settings`, `invalid_request`, `invalid_resource`, `invalid_kind`, `keys_unavailable`, `not_ready`, `not_loaded`. */
  readonly code: string;
  /** The byte of a filter where the mistake is. */
  readonly position?: number;
}

export type Kind = "User" | "Group";

export interface Filter extends Disposable {
  matches(resource: object, kind?: Kind): boolean;
  /** The filter in its one canonical spelling. */
  toString(): string;
  dispose(): void;
}

/** Reads a filter (RFC 7644 section 3.4.2.2); `strict` takes nothing but the RFC's grammar. */
export function parseFilter(text: string, options?: { strict?: boolean }): Filter;

/** Whether a resource satisfies a filter. */
export function matches(filter: string, resource: object, kind?: Kind): boolean;

export interface PatchRequest {
  schemas?: string[];
  Operations: { op: string; path?: string; value?: unknown }[];
}

/** A resource after a PATCH (RFC 7644 section 3.5.2): all operations or none. The one given is left as it is. */
export function applyPatch<T extends object>(resource: T, patch: PatchRequest, options?: { kind?: Kind; strict?: boolean }): T;

/** A resource as a server would keep it: canonical names and types, without what clients cannot set. */
export function validate(resource: object, options?: { kind?: Kind; strict?: boolean }): Record<string, unknown>;

/** Loads the Wasm where the host's entry does not have it at hand: a URL, a response, bytes or a module. */
export function load(wasm?: URL | Response | BufferSource | WebAssembly.Module): Promise<void>;
