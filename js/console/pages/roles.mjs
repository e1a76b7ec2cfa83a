// Roles: the built-in ones, and an account's own.

import { Badge, Confirm, Dialog, Empty, Field, Notice, Table, useAction, useSession } from "../parts.mjs";
import { html, useState } from "../vendor.mjs";

const ROLES = "/authz/api/roles";

export function Roles({ roles, reload }) {
  const session = useSession();
  const [edited, setEdited] = useState(null);
  const [deleted, setDeleted] = useState(null);
  // The administrator's role has every permission there is.
  const known = roles?.find((role) => role.identifier === "_account_admin")?.permissions ?? [];
  return html`
    <section class="card" aria-label="Roles">
      <div class="heading">
        <div><h2>Roles</h2><p class="quiet">Nobody grants more than he has.</p></div>
        <button onClick=${() => setEdited({})}>New role</button>
      </div>
      ${roles === null ? html`<${Empty} title="Not shown">The key that signed in may not see roles.<//>`
        : html`<${Table} caption="Roles" head=${["Role", "Permissions", ""]}>
            ${roles.map((role) => html`
              <tr key=${role.identifier}>
                <th scope="row">${role.name}${role.name !== role.identifier && html`<span class="sub">${role.identifier}</span>`}</th>
                <td>${role.permissions.length === known.length
                  ? "all of them"
                  : html`<span class="permissions">${role.permissions.join(", ") || "none"}</span>`}</td>
                <td class="row-actions">${role.managed
                  ? html`<${Badge}>built in<//>`
                  : html`<button class="small" onClick=${() => setEdited(role)}>Edit<span class="hidden"> ${role.name}</span></button>
                      <button class="small danger" onClick=${() => setDeleted(role)}>Delete<span class="hidden"> ${role.name}</span></button>`}</td>
              </tr>`)}
          <//>`}
      ${edited && html`<${Editor} role=${edited} known=${known} onClose=${() => setEdited(null)} reload=${reload} />`}
      ${deleted && html`<${Confirm} title=${`Delete ${deleted.name}?`} text="It is taken from everybody who has it." action="Delete"
        onClose=${() => setDeleted(null)} onConfirm=${async () => (await session.admin("DELETE", `${ROLES}/${deleted.identifier}`), reload())} />`}
    </section>`;
}

function Editor({ role, known, onClose, reload }) {
  const session = useSession();
  const isNew = role.identifier === undefined;
  const [identifier, setIdentifier] = useState(role.identifier ?? "");
  const [name, setName] = useState(role.name ?? "");
  const [granted, setGranted] = useState(new Set(role.permissions ?? []));
  const { busy, error, run } = useAction();
  const toggle = (permission) => {
    const next = new Set(granted);
    if (!next.delete(permission)) next.add(permission);
    setGranted(next);
  };
  const submit = async (event) => {
    event.preventDefault();
    const saved = await run(async () => {
      const body = { identifier, name: name || identifier, permissions: [...granted] };
      await (isNew ? session.admin("POST", ROLES, body) : session.admin("PUT", `${ROLES}/${identifier}`, body));
      await reload();
    });
    if (saved) onClose();
  };
  return html`
    <${Dialog} title=${isNew ? "New role" : `Role ${role.name}`} onClose=${onClose}>
      <form onSubmit=${submit} autocomplete="off">
        <div class="two">
          <${Field} label="Identifier">${(props) => html`<input ...${props} required readonly=${!isNew} spellcheck=${false} value=${identifier} onInput=${(event) => setIdentifier(event.target.value)} />`}<//>
          <${Field} label="Name">${(props) => html`<input ...${props} value=${name} placeholder=${identifier} onInput=${(event) => setName(event.target.value)} />`}<//>
        </div>
        <fieldset>
          <legend>Permissions</legend>
          <div class="checks">
            ${known.map((permission) => html`
              <label class="check" key=${permission}><input type="checkbox" checked=${granted.has(permission)} onChange=${() => toggle(permission)} /> <code>${permission}</code></label>`)}
          </div>
        </fieldset>
        <${Notice} kind="bad" text=${error} />
        <div class="actions">
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" disabled=${busy}>Save</button>
        </div>
      </form>
    <//>`;
}
