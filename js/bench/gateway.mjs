// Ours: the built bundle, an account that trusts an issuer, a directory of so many users.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { admin, scim } from "../demo/client.mjs";
import { serveIdp } from "../demo/idp.mjs";
import { files, filesIn } from "./bundle.mjs";
import { fill } from "./people.mjs";
import { workerd } from "./workerd.mjs";

const WATCHING = ["watched.worker.js", "instances.js"].map((name) => join(import.meta.dirname, name));

const ACCOUNT = "bench";
const ROOT_KEY = "root-key-of-the-benchmark";

/**
 * Starts the gateway; `settings` are the account's beside those that its tokens need; `watched` has its objects tell of
 * themselves and opens workerd's inspector; `bundle` is the folder of another bundle than the one that was built.
 */
export async function gateway({ users, settings = {}, watched = false, bundle, say }) {
  const state = mkdtempSync(join(tmpdir(), "scim-edge-bench-"));
  const idp = await serveIdp({ port: 0, state });
  const options = {
    state,
    inspected: watched,
    modules: [...(watched ? WATCHING : []), ...(bundle ? filesIn(bundle) : files)],
    classes: { ACCOUNT: "Account", DIRECTORY: "Directory" },
    variables: { ROOT_API_KEY: ROOT_KEY, SECRETS_KEY: Buffer.alloc(32, 7).toString("base64"), DEVELOPMENT: "true" },
  };
  let server = await workerd(options);
  const calls = admin(server.url, ROOT_KEY, ACCOUNT);
  await calls.serviceAccount("provisioner", "_scim_provisioner");
  await calls.set({
    scim_jwt_token_jwks_keys_url: `${idp.url}/keys`,
    scim_jwt_token_key_field: "sub",
    scim_jwt_token_value_field: "bench",
    scim_jwt_token_service_account_id: "provisioner",
    ...settings,
  });
  // It removes more than the brake lets go: removals are counted, and never more than all. A bundle from before the
  // brake has no such setting.
  await calls.set({ scim_brake_removals_percent: "100" }).catch(() => {});
  const token = await idp.mint({ sub: "bench" }, { expiresIn: 24 * 3600 });
  const client = () => scim(server.url, ACCOUNT, token);
  const filled = users === undefined ? {} : await fill(client(), users, { say });
  return {
    name: "scim-edge",
    ...filled,
    token,
    rootKey: ROOT_KEY,
    idp,
    client,
    cpu: () => server.cpu(),
    memory: () => server.memory(),
    inspector: server.inspector,
    kvReads: async () => (await (await fetch(`${server.kv}/.counts`)).json()).reads,
    still: `/Users/${filled.ids?.[0]}`,
    get base() {
      return client().base;
    },
    headers: { authorization: `Bearer ${token}` },
    request: (path) => ({ url: `${client().base}${path}`, headers: { authorization: `Bearer ${token}` } }),
    /** Ends it and starts it anew on the same data. */
    async restart() {
      await server.stop();
      server = await workerd(options);
      return server;
    },
    async stop() {
      await server.stop();
      await idp.stop();
      rmSync(state, { recursive: true, force: true });
    },
  };
}
