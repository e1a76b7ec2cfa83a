// The demonstration: an identity provider, an origin, and an account that is configured for both.

import { join } from "node:path";
import { step } from "../log.mjs";
import { serve } from "../gateway.mjs";
import { admin, scim } from "./client.mjs";
import { seed } from "./directory.mjs";
import { serveIdp } from "./idp.mjs";

const ACCOUNT = "demo";

/** Starts it beside a running gateway. What it configures stays; a second run changes nothing. */
export async function serveDemo({ gateway, port, state, origin }) {
  const idp = await serveIdp({ port: port === 0 ? 0 : port + 2, state: join(state, "idp") });
  const stops = [idp.stop];
  const account = admin(gateway.url, gateway.rootKey, ACCOUNT);
  await account.serviceAccount("provisioner", "_scim_provisioner");
  let behind;
  if (origin) {
    await account.set({ scim_origin_url: origin, scim_origin_authorization: "passthrough" }, { replace: true });
  } else {
    const own = await serve({ port: port === 0 ? 0 : port + 1, state: join(state, "origin") });
    stops.push(own.stop);
    const record = admin(own.url, own.rootKey, ACCOUNT);
    await record.serviceAccount("gateway", "_scim_provisioner");
    const key = await record.mint("gateway");
    behind = scim(own.url, ACCOUNT, key);
    await step("Filling the demonstration's origin", () => seed(behind));
    const settings = { scim_origin_url: behind.base, scim_origin_authorization: `Bearer ${key}` };
    await account.set(settings, { replace: true });
  }
  return {
    account: ACCOUNT,
    idp: idp.url,
    /** The demonstration's own origin, for changes behind the gateway. */
    behind,
    stop: async () => {
      for (const stop of stops.reverse()) await stop();
    },
  };
}
