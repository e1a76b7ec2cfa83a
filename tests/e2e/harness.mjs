// What every end-to-end test starts from: a gateway on real workerd with a state folder of its own, an
// identity provider and accounts.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "../../js/build.mjs";
import { admin, scim } from "../../js/demo/client.mjs";
import { serveIdp } from "../../js/demo/idp.mjs";
import { serve } from "../../js/gateway.mjs";

export { admin, scim, sleep };

export const USER = "urn:ietf:params:scim:schemas:core:2.0:User";
export const GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group";
export const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
export const PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/** A gateway and what a test does with it; `stop` takes everything away. `options` are those of `serve`. */
export async function start({ state, ...options } = {}) {
  await build();
  const folder = state ?? mkdtempSync(join(tmpdir(), "scim-edge-test-"));
  const gateway = await serve({ port: 0, state: join(folder, "gateway"), ...options });
  const stops = [gateway.stop];
  async function accounts(method, path, body, key) {
    const headers = { "x-api-key": key, ...(body && { "content-type": "application/json" }) };
    const response = await fetch(`${gateway.url}/ng/api/accounts/${path}`, { method, headers, body: body && JSON.stringify(body) });
    return { status: response.status, body: await response.json() };
  }
  return {
    ...gateway,
    folder,
    admin: (account, key = gateway.rootKey) => admin(gateway.url, key, account),
    scim: (account, token) => scim(gateway.url, account, token),
    /** An account with a key that may provision; `settings` are set on it. */
    async account(name, settings = {}) {
      const calls = admin(gateway.url, gateway.rootKey, name);
      await calls.serviceAccount("provisioner", "_scim_provisioner");
      if (Object.keys(settings).length > 0) await calls.set(settings);
      return scim(gateway.url, name, await calls.mint("provisioner"));
    },
    /** Deletes an account, for good unless `options` say otherwise; they are members of the request. */
    remove: (account, { confirm = account, undoable = false, ...options } = {}, key = gateway.rootKey) =>
      accounts("DELETE", account, { confirm, undoable, ...options }, key),
    /** Undoes the deletion of an account. */
    undelete: (account, key = gateway.rootKey) => accounts("POST", `${account}/.undelete`, undefined, key),
    async idp() {
      const idp = await serveIdp({ port: 0, state: join(folder, `idp-${stops.length}`) });
      stops.push(idp.stop);
      return idp;
    },
    async stop({ keepState = false } = {}) {
      for (const stop of stops.splice(0).reverse()) await stop();
      if (!keepState) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A server that answers with what `handle` returns, and remembers what it was asked. */
export async function server(handle) {
  const requests = [];
  const http = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const seen = { method: request.method, url: request.url, headers: request.headers, body };
    requests.push(seen);
    const answer = (await handle(seen)) ?? {};
    if (answer.destroy) return request.socket.destroy();
    const text = typeof answer.body === "string" ? answer.body : answer.body && JSON.stringify(answer.body);
    response.writeHead(answer.status ?? 200, { "content-type": "application/scim+json", ...answer.headers });
    return response.end(text);
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${http.address().port}`,
    requests,
    stop: () =>
      new Promise((resolve) => {
        http.close(resolve);
        http.closeAllConnections();
      }),
  };
}

/** Waits until `holds` returns something true, for at most `seconds`. */
export async function until(holds, seconds = 20) {
  for (const end = Date.now() + seconds * 1000; ; await sleep(100)) {
    const value = await holds();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${holds}`);
  }
}

/** Whether a resource's answer came from the gateway's own copy. */
export const isHit = (answer) => /scim-edge; hit/.test(answer.headers.get("cache-status"));
