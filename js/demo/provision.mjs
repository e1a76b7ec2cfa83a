// An identity provider's client, as tests/conversations has it, against a gateway: node js/demo/provision.mjs okta

import { SetupError, fail, say } from "../log.mjs";
import { conversation, conversations, replay } from "./conversation.mjs";

const HELP = `node js/demo/provision.mjs CLIENT

Says what an identity provider's SCIM client says, to an account that is empty, and checks each answer.
CLIENT is one of ${conversations().map((one) => one.name).join(", ")}.
SCIM_EDGE_URL and SCIM_EDGE_ACCOUNT name the account, TOKEN is the client's bearer token.`;

async function main([name]) {
  const { SCIM_EDGE_URL: url, SCIM_EDGE_ACCOUNT: account, TOKEN: token } = process.env;
  const isKnown = conversations().some((one) => one.name === name);
  if (!isKnown || !url || !account || !token) throw new SetupError(HELP);
  const base = `${url}/ng/api/scim/account/${account}`;
  const spoken = conversation(name);
  await replay(base, token, spoken, (step, { status }) => say(`${status}  ${step.request.method.padEnd(6)} ${step.name}`)).catch((error) => {
    throw new SetupError(error.message);
  });
  say(`${spoken.client}: all ${spoken.steps.length} steps were answered as it needs`);
}

await main(process.argv.slice(2)).catch(fail);
