// API keys: minted, shown once, revoked.

import { Badge, Confirm, Dialog, Empty, Field, Notice, Table, useAction, useSession } from "../parts.mjs";
import { dateOf } from "../time.mjs";
import { html, useState } from "../vendor.mjs";

const TOKENS = "/ng/api/token";
const DAY_MS = 86_400_000;

export function Keys({ keys, reload, onMint }) {
  const session = useSession();
  const [revoked, setRevoked] = useState(null);
  const expired = (key) => key.validTo !== null && key.validTo <= Date.now();
  return html`
    <section class="card" aria-label="Keys">
      <div class="heading">
        <div><h2>Keys</h2><p class="quiet">Of service accounts (sat.) and of administrators (pat.). Only a hash of each is kept.</p></div>
        <button onClick=${onMint}>Mint an administrator's key</button>
      </div>
      ${keys === null ? html`<${Empty} title="Not shown">The key that signed in may not see keys.<//>`
        : keys.length === 0 ? html`<${Empty} title="No keys yet">Mint one where a client cannot have tokens of an issuer.<//>`
        : html`<${Table} caption="Keys" head=${["Key", "Of", "Made", "Valid to", ""]}>
            ${keys.map((key) => html`
              <tr key=${key.identifier}>
                <th scope="row">${key.name || "unnamed"}<span class="sub"><code>${key.identifier}</code></span></th>
                <td>${key.parentIdentifier ?? key.roleIdentifier}<span class="sub">${key.parentIdentifier ? "service account" : "administrator, by role"}</span></td>
                <td class="when">${dateOf(key.createdAt)}</td>
                <td class="when">${key.validTo === null ? "until revoked" : dateOf(key.validTo)} ${expired(key) && html`<${Badge} kind="bad">expired<//>`}</td>
                <td class="row-actions"><button class="small danger" onClick=${() => setRevoked(key)}>Revoke<span class="hidden"> ${key.name || key.identifier}</span></button></td>
              </tr>`)}
          <//>`}
      ${revoked && html`<${Confirm} title=${`Revoke ${revoked.name || revoked.identifier}?`} action="Revoke"
        text="It is refused everywhere within 120 seconds. This cannot be undone." onClose=${() => setRevoked(null)}
        onConfirm=${async () => (await session.admin("DELETE", `${TOKENS}/${encodeURIComponent(revoked.identifier)}`), reload())} />`}
    </section>`;
}

export function Mint({ of, roles, onClose, reload }) {
  const session = useSession();
  const [form, setForm] = useState({ name: "", days: "90", role: "_account_viewer" });
  const [key, setKey] = useState(null);
  const [copied, setCopied] = useState(false);
  const { busy, error, run } = useAction();
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      const whose = of ? { apiKeyType: "SERVICE_ACCOUNT", parentIdentifier: of } : { apiKeyType: "USER", roleIdentifier: form.role };
      const validTo = form.days === "" ? null : Date.now() + Number(form.days) * DAY_MS;
      setKey(await session.admin("POST", TOKENS, { ...whose, name: form.name, validTo }));
      await reload();
    });
  };
  const copy = async () => {
    await navigator.clipboard.writeText(key);
    setCopied(true);
  };
  if (key) {
    return html`
      <${Dialog} title="The new key" onClose=${onClose}>
        <p>It is shown this once. Keep it where secrets are kept.</p>
        <output class="secret" tabindex="0">${key}</output>
        <${Notice} kind="good" text=${copied ? "Copied." : null} />
        <div class="actions">
          <button onClick=${copy}>Copy</button>
          <button class="primary" onClick=${onClose}>Done</button>
        </div>
      <//>`;
  }
  return html`
    <${Dialog} title=${of ? `Mint a key for ${of}` : "Mint an administrator's key"} onClose=${onClose}>
      <form onSubmit=${submit} autocomplete="off">
        <${Field} label="Name" help="For people: where the key is used.">
          ${(props) => html`<input ...${props} value=${form.name} onInput=${set("name")} />`}
        <//>
        ${!of && html`
          <${Field} label="Role" help=${`Grants ${roles.find((one) => one.identifier === form.role)?.permissions.join(", ") ?? ""}`}>
            ${(props) => html`
              <select ...${props} value=${form.role} onChange=${set("role")}>
                ${roles.map((one) => html`<option value=${one.identifier}>${one.name}</option>`)}
              </select>`}
          <//>`}
        <${Field} label="Valid for">
          ${(props) => html`
            <select ...${props} value=${form.days} onChange=${set("days")}>
              <option value="1">1 day</option><option value="30">30 days</option><option value="90">90 days</option>
              <option value="365">a year</option><option value="">until revoked</option>
            </select>`}
        <//>
        <${Notice} kind="bad" text=${error} />
        <div class="actions">
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" disabled=${busy}>Mint</button>
        </div>
      </form>
    <//>`;
}
