// A demonstration identity provider: two keys, a JWK Set, and tokens for whoever asks.

import { createServer } from "node:http";
import { join } from "node:path";
import { mkdirSync } from "node:fs";
import { SignJWT, exportJWK, generateKeyPair, importJWK } from "jose";
import { keep } from "../gateway.mjs";

/**
 * @param {{ port: number, state: string }} options `port` 0 takes a free one.
 * @returns {Promise<{ url: string, mint: (claims: object, options?: object) => Promise<string>, stop: () => Promise<void> }>}
 */
export async function serveIdp({ port, state }) {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const made = Object.fromEntries(
    await Promise.all(["RS256", "ES256"].map(async (alg) => [alg, await makeKey(alg)])),
  );
  const keys = keep(join(state, "idp-keys.json"), () => made);
  let url = "";

  async function mint(claims, { alg = "RS256", expiresIn = 3600, typ = "JWT" } = {}) {
    const key = await importJWK(keys[alg], alg);
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ iss: url, aud: "scim", iat: now, exp: now + expiresIn, ...claims })
      .setProtectedHeader({ alg, kid: keys[alg].kid, typ })
      .sign(key);
  }

  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://idp");
    const answer = (status, body) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    try {
      if (pathname === "/keys") return answer(200, { keys: Object.values(keys).map(publicPart) });
      if (pathname === "/.well-known/openid-configuration") {
        return answer(200, { issuer: url, jwks_uri: `${url}/keys`, token_endpoint: `${url}/token` });
      }
      if (pathname === "/token" && request.method === "POST") {
        const claims = await readClaims(request);
        const token = await mint(claims, { alg: searchParams.get("alg") ?? "RS256" });
        return answer(200, { access_token: token, token_type: "Bearer", expires_in: 3600 });
      }
      return answer(404, { error: "not_found" });
    } catch (error) {
      return answer(400, { error: "invalid_request", error_description: error.message });
    }
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${server.address().port}`;
  return {
    url,
    mint,
    stop: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

async function makeKey(alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: `${alg.toLowerCase()}-1`, alg, use: "sig" };
}

function publicPart({ kty, crv, x, y, n, e, kid, alg, use }) {
  return { kty, crv, x, y, n, e, kid, alg, use };
}

async function readClaims(request) {
  let body = "";
  for await (const chunk of request) body += chunk;
  if (request.headers["content-type"]?.includes("json")) return JSON.parse(body || "{}");
  return Object.fromEntries(new URLSearchParams(body));
}
