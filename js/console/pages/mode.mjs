// The mode of a service account: how much of its permissions it uses.

import { Dialog, Field, Notice, useAction, useSession } from "../parts.mjs";
import { html, useState } from "../vendor.mjs";

/** The modes, with what each means. */
export const MODES = {
  normal: "All that its roles permit.",
  "append-only": "It adds and changes, and removes nothing: for an identity provider that is being tried.",
  shadow: "Its writes are answered as they would be and recorded, and change nothing.",
};

export function Mode({ of, onClose, reload }) {
  const session = useSession();
  const [mode, setMode] = useState(of.mode ?? "normal");
  const { busy, error, run } = useAction();
  const { identifier, name, email, description, tags } = of;
  const submit = async (event) => {
    event.preventDefault();
    const changed = await run(async () => {
      await session.admin("PUT", `/ng/api/serviceaccount/${encodeURIComponent(identifier)}`, { identifier, name, email, description, tags, mode });
      await reload();
    });
    if (changed) onClose();
  };
  return html`
    <${Dialog} title=${`Mode of ${identifier}`} onClose=${onClose}>
      <form onSubmit=${submit}>
        <${Field} label="Mode" help=${MODES[mode]}>
          ${(props) => html`
            <select ...${props} value=${mode} onChange=${(event) => setMode(event.target.value)}>
              ${Object.keys(MODES).map((one) => html`<option value=${one}>${one}</option>`)}
            </select>`}
        <//>
        <${Notice} kind="bad" text=${error} />
        <div class="actions">
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" disabled=${busy}>Set</button>
        </div>
      </form>
    <//>`;
}
