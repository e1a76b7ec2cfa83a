// `scim-edge replica resync` and `replica undo`, and settings that replace what the directory holds: each is asked for
// with the words that the gateway wants, which say how many users and groups are concerned.

import { confirmation } from "./cli-account.mjs";
import { EXIT } from "./cli-gateway.mjs";
import { plain } from "./cli-output.mjs";

/** The option of each of these commands. */
export const confirmOption = {
  confirm: { type: "string", value: "WORDS", about: "the words that the gateway asks for, where nobody can be asked" },
};

/** Makes a call of the operators' API; where the gateway asks for words, they are asked for here, and it is made again. */
export async function confirmed(gateway, values, path, body = {}) {
  try {
    return await gateway.operate("POST", path, { body: { ...body, confirm: values.confirm } });
  } catch (error) {
    const { confirm, consequence } = error.body ?? {};
    if (error.exit !== EXIT.refused || !confirm || values.confirm !== undefined) throw error;
    const words = await confirmation(values, plain(consequence), confirm);
    return gateway.operate("POST", path, { body: { ...body, confirm: words.trim() } });
  }
}

const ORIGIN = "scim_origin_url";

/** Changes settings. Where a change of the origin has to be confirmed, and somebody is there, it is asked for. */
export async function setConfirmed(gateway, values, changes) {
  const put = (some, confirm) => {
    const body = some.map((change) => (change.identifier === ORIGIN ? { ...change, confirm } : change));
    return gateway.admin("PUT", "/ng/api/settings", { body });
  };
  const answers = await put(changes, values.confirm);
  const asked = answers.find((one) => !one.updateStatus && one.switch?.confirm);
  if (!asked || values.confirm !== undefined || !process.stdin.isTTY) return answers;
  const words = await confirmation(values, plain(asked.switch.consequence), asked.switch.confirm);
  const refused = new Set(answers.filter((one) => !one.updateStatus).map((one) => one.identifier));
  const again = await put(changes.filter(({ identifier }) => refused.has(identifier)), words.trim());
  return [...answers.filter((one) => one.updateStatus), ...again];
}
