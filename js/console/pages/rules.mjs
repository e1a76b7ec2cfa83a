// Trust rules: whose tokens are accepted beside those of the settings.

import { Confirm, Dialog, Empty, Field, Loaded, Notice, Table, useAction, useLoad, useSession } from "../parts.mjs";
import { html, useState } from "../vendor.mjs";
import { JwksTest } from "./jwks-test.mjs";

const PATH = "/ng/api/settings/jwt-rules";

export function Rules({ accounts }) {
  const session = useSession();
  const rules = useLoad(() => session.admin("GET", PATH), [session]);
  const [edited, setEdited] = useState(null);
  const [deleted, setDeleted] = useState(null);
  return html`
    <section class="card" aria-label="Trust rules">
      <div class="heading">
        <div><h2>Trust rules</h2><p class="quiet">More issuers, beside the one of the settings above. A token is tried against the rules that its issuer can belong to.</p></div>
        <button onClick=${() => setEdited({})}>Add a rule</button>
      </div>
      <${Loaded} of=${rules} what="Trust rules">
        ${(list) => list.length === 0
          ? html`<${Empty} title="No rules yet">Only tokens that satisfy the settings above are accepted.<//>`
          : html`<${Table} caption="Trust rules" head=${["Name", "Keys", "Issuer", "Conditions", "Acts as", ""]}>
              ${list.map((rule) => html`
                <tr key=${rule.name}>
                  <th scope="row">${rule.name}</th>
                  <td class="break">${rule.jwksUrl ?? (rule.jwks ? "in the rule" : "as the issuer says")}</td>
                  <td class="break">${rule.issuer ?? "any"}</td>
                  <td class="break">${conditions(rule)}</td>
                  <td>${rule.serviceAccount}</td>
                  <td class="row-actions">
                    <button class="small" onClick=${() => setEdited(rule)}>Edit<span class="hidden"> ${rule.name}</span></button>
                    <button class="small danger" onClick=${() => setDeleted(rule.name)}>Delete<span class="hidden"> ${rule.name}</span></button>
                  </td>
                </tr>`)}
            <//>`}
      <//>
      ${edited && html`<${Editor} rule=${edited} accounts=${accounts} onClose=${() => setEdited(null)} onSaved=${rules.reload} />`}
      ${deleted && html`<${Confirm} title="Delete this rule?" text=${`Tokens that only ${deleted} accepts are refused everywhere within 120 seconds.`}
        action="Delete" onClose=${() => setDeleted(null)}
        onConfirm=${async () => (await session.admin("DELETE", `${PATH}/${deleted}`), rules.reload())} />`}
    </section>`;
}

const conditions = (rule) =>
  [
    ...(rule.claims ?? []).map(({ field, value }) => `${field} = ${value}`),
    rule.audiences?.length ? `aud: ${rule.audiences.join(", ")}` : null,
    rule.algorithms?.length ? rule.algorithms.join(", ") : null,
    rule.dpop ? "DPoP" : null,
  ].filter(Boolean).join("; ");

const items = (text) => text.split(",").map((item) => item.trim()).filter(Boolean);

/** The form's texts as a rule; what is empty is left out. */
function ruleOf(form) {
  const claims = form.claims.split("\n").filter((line) => line.trim()).map((line) => {
    const [field, ...value] = line.split("=");
    return { field: field.trim(), value: value.join("=").trim() };
  });
  const all = {
    jwksUrl: form.jwksUrl.trim() || undefined,
    jwks: form.jwks,
    issuer: form.issuer.trim() || undefined,
    audiences: items(form.audiences),
    algorithms: items(form.algorithms),
    claims,
    serviceAccount: form.serviceAccount,
    clockSkewSeconds: form.clockSkewSeconds === "" ? undefined : Number(form.clockSkewSeconds),
    maxLifetimeSeconds: form.maxLifetimeSeconds === "" ? undefined : Number(form.maxLifetimeSeconds),
    tokenTypes: form.tokenTypes,
    dpop: form.dpop,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined && value?.length !== 0));
}

function Editor({ rule, accounts, onClose, onSaved }) {
  const session = useSession();
  const isNew = rule.name === undefined;
  const { busy, error, run } = useAction();
  const [form, setForm] = useState({
    name: rule.name ?? "",
    jwksUrl: rule.jwksUrl ?? "",
    jwks: rule.jwks ?? undefined,
    issuer: rule.issuer ?? "",
    audiences: (rule.audiences ?? []).join(", "),
    algorithms: (rule.algorithms ?? []).join(", "),
    claims: (rule.claims ?? []).map(({ field, value }) => `${field} = ${value}`).join("\n"),
    serviceAccount: rule.serviceAccount ?? "",
    clockSkewSeconds: String(rule.clockSkewSeconds ?? ""),
    maxLifetimeSeconds: String(rule.maxLifetimeSeconds ?? ""),
    tokenTypes: rule.tokenTypes,
    dpop: rule.dpop ?? false,
  });
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const field = (name, label, help, extra = {}) => html`
    <${Field} label=${label} help=${help}>
      ${(props) => html`<input ...${props} ...${extra} spellcheck=${false} autocapitalize="none" value=${form[name]} onInput=${set(name)} />`}
    <//>`;
  const submit = async (event) => {
    event.preventDefault();
    const saved = await run(async () => {
      await session.admin("PUT", `${PATH}/${encodeURIComponent(form.name)}`, ruleOf(form));
      await onSaved();
    });
    if (saved) onClose();
  };
  return html`
    <${Dialog} title=${isNew ? "Add a trust rule" : `Trust rule ${rule.name}`} onClose=${onClose}>
      <form onSubmit=${submit} autocomplete="off">
        ${field("name", "Name", "Lower-case letters, digits, _ and -.", { readonly: !isNew, required: true })}
        ${rule.jwks
          ? html`<p class="quiet">The rule brings its own keys along; they stay as they are.</p>`
          : html`${field("jwksUrl", "Key set URL", "Empty: the issuer's configuration says where the keys are.")}<${JwksTest} url=${form.jwksUrl} />`}
        ${field("issuer", "Issuer", "What iss must be.")}
        ${field("audiences", "Audiences", "One of these must be in aud; separated by commas.")}
        <${Field} label="Claims" help="One a line, as field = value; all must hold.">
          ${(props) => html`<textarea ...${props} rows="2" spellcheck=${false} value=${form.claims} onInput=${set("claims")}></textarea>`}
        <//>
        <${Field} label="Acts as">
          ${(props) => html`
            <select ...${props} required value=${form.serviceAccount} onChange=${set("serviceAccount")}>
              <option value="">choose a service account</option>
              ${accounts.map((one) => html`<option value=${one.identifier}>${one.identifier}</option>`)}
            </select>`}
        <//>
        ${field("algorithms", "Algorithms", "Separated by commas; empty accepts every sound one.")}
        <div class="two">
          ${field("clockSkewSeconds", "Clock skew in seconds", "0 to 300, 30 by default.", { inputmode: "numeric" })}
          ${field("maxLifetimeSeconds", "Maximum lifetime in seconds", "From iat to exp.", { inputmode: "numeric" })}
        </div>
        <label class="check"><input type="checkbox" checked=${form.dpop} onChange=${(event) => setForm({ ...form, dpop: event.target.checked })} /> Tokens must be bound to a key (DPoP)</label>
        <${Notice} kind="bad" text=${error} />
        <div class="actions">
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" disabled=${busy}>${busy ? "Saving …" : "Save"}</button>
        </div>
      </form>
    <//>`;
}
