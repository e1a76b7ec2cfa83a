// Conversations with identity providers, replayed (js/demo/conversation.mjs says how they are written).

import { after, test } from "node:test";
import { conversations, replay } from "../../js/demo/conversation.mjs";
import { isHit, start, until } from "./harness.mjs";

const [gateway, origin] = [await start(), await start()];
after(() => Promise.all([gateway.stop(), origin.stop()]));

for (const conversation of conversations()) {
  const { client, name, steps } = conversation;
  test(`${client}: ${steps.length} steps, the gateway being the system of record`, async () => {
    const account = await gateway.account(name);
    await replay(account.base, await gateway.admin(name).mint("provisioner"), conversation);
  });

  test(`${client}: ${steps.length} steps, in front of an origin`, async () => {
    const record = await origin.account(name);
    const key = await origin.admin(name).mint("provisioner");
    const copy = `${name}-copy`;
    const account = await gateway.account(copy, { scim_origin_url: record.base, scim_origin_authorization: `Bearer ${key}` });
    await until(async () => isHit(await account.get("/Users?count=1")));
    await replay(account.base, await gateway.admin(copy).mint("provisioner"), conversation);
  });
}
