// Service accounts, what they may do, and the keys of each.

import { Badge, Confirm, Dialog, Empty, Field, Loaded, Notice, Table, useAction, useLoad, useSession } from "../parts.mjs";
import { html, useState } from "../vendor.mjs";
import { Keys, Mint } from "./keys.mjs";
import { MODES, Mode } from "./mode.mjs";
import { Roles } from "./roles.mjs";

const ACCOUNTS = "/ng/api/serviceaccount";
const ASSIGNMENTS = "/authz/api/roleassignments";

/** Everything on the page; what the key may not see is `null`. */
async function load(session) {
  const accounts = await session.admin("GET", ACCOUNTS).catch((error) => {
    // Root makes an account with its first change.
    if (error.status === 404) return [];
    throw error;
  });
  const unless403 = (path) =>
    session.admin("GET", path).catch((error) => {
      if (error.status === 403) return null;
      if (error.status === 404) return [];
      throw error;
    });
  const [roles, assignments, keys] = await Promise.all([unless403("/authz/api/roles"), unless403(ASSIGNMENTS), unless403("/ng/api/token")]);
  return { accounts, roles, assignments: assignments?.map((one) => one.roleAssignment) ?? null, keys };
}

export function Access() {
  const session = useSession();
  const all = useLoad(() => load(session), [session]);
  return html`<${Loaded} of=${all} what="Service accounts">${(data) => html`<${Page} ...${data} reload=${all.reload} />`}<//>`;
}

function Page({ accounts, roles, assignments, keys, reload }) {
  const session = useSession();
  // What is open over the page: its kind, and of whom.
  const [open, setOpen] = useState(null);
  const close = () => setOpen(null);
  const unassign = useAction();
  return html`
    <section class="card" aria-label="Service accounts">
      <div class="heading">
        <p class="quiet">Whom requests act as: an external token is mapped to one, or it has a key of its own.</p>
        <button class="primary" onClick=${() => setOpen({ kind: "create" })}>New service account</button>
      </div>
      <${Notice} kind="bad" text=${unassign.error} />
      ${accounts.length === 0
        ? html`<${Empty} title="No service accounts yet">Make one for each client that provisions.<//>`
        : html`<${Table} caption="Service accounts" head=${["Identifier", "Name", "Roles", { number: "Keys" }, ""]}>
            ${accounts.map((one) => html`
              <tr key=${one.identifier}>
                <th scope="row">${one.identifier} ${(one.mode ?? "normal") !== "normal" && html`<span title=${MODES[one.mode]}><${Badge} kind="warn">${one.mode}<//></span>`}<span class="sub">${one.email}</span></th>
                <td>${one.name}<span class="sub">${one.description}</span></td>
                <td>
                  <ul class="chips">
                    ${(assignments ?? []).filter(({ principal }) => principal.identifier === one.identifier).map(({ identifier, roleIdentifier }) => html`
                      <li key=${identifier}>${roleIdentifier}<button aria-label=${`Take ${roleIdentifier} from ${one.identifier}`}
                        onClick=${() => unassign.run(async () => (await session.admin("DELETE", `${ASSIGNMENTS}/${encodeURIComponent(identifier)}`), reload()))}>×</button></li>`)}
                  </ul>
                </td>
                <td class="number">${keys ? keys.filter((key) => key.parentIdentifier === one.identifier).length : "–"}</td>
                <td class="row-actions">
                  <button class="small" onClick=${() => setOpen({ kind: "assign", of: one.identifier })}>Assign role<span class="hidden"> to ${one.identifier}</span></button>
                  <button class="small" onClick=${() => setOpen({ kind: "mint", of: one.identifier })}>Mint key<span class="hidden"> for ${one.identifier}</span></button>
                  <button class="small" onClick=${() => setOpen({ kind: "mode", of: one })}>Mode<span class="hidden"> of ${one.identifier}</span></button>
                  <button class="small danger" onClick=${() => setOpen({ kind: "delete", of: one.identifier })}>Delete<span class="hidden"> ${one.identifier}</span></button>
                </td>
              </tr>`)}
          <//>`}
    </section>
    <${Keys} keys=${keys} reload=${reload} onMint=${() => setOpen({ kind: "mint" })} />
    <${Roles} roles=${roles} reload=${reload} />
    ${open?.kind === "create" && html`<${Create} onClose=${close} reload=${reload} />`}
    ${open?.kind === "assign" && html`<${Assign} of=${open.of} roles=${roles ?? []} onClose=${close} reload=${reload} />`}
    ${open?.kind === "mode" && html`<${Mode} of=${open.of} onClose=${close} reload=${reload} />`}
    ${open?.kind === "mint" && html`<${Mint} of=${open.of} roles=${roles ?? []} onClose=${close} reload=${reload} />`}
    ${open?.kind === "delete" && html`<${Confirm} title=${`Delete ${open.of}?`} action="Delete"
      text="Its roles and keys go with it. Trust rules that name it let nobody in." onClose=${close}
      onConfirm=${async () => (await session.admin("DELETE", `${ACCOUNTS}/${open.of}`), reload())} />`}`;
}

function Create({ onClose, reload }) {
  const session = useSession();
  const [form, setForm] = useState({ identifier: "", name: "", description: "" });
  const { busy, error, run } = useAction();
  const wrong = form.identifier && !/^[A-Za-z_][0-9A-Za-z_$]{0,127}$/.test(form.identifier)
    ? "Begin with a letter or _, then letters, digits, _ and $." : null;
  const field = (name, label, extra) => html`
    <${Field} label=${label} error=${name === "identifier" ? wrong : null}>
      ${(props) => html`<input ...${props} ...${extra} spellcheck=${false} autocapitalize="none" value=${form[name]}
        onInput=${(event) => setForm({ ...form, [name]: event.target.value })} />`}
    <//>`;
  const submit = async (event) => {
    event.preventDefault();
    const made = await run(async () => {
      await session.admin("POST", ACCOUNTS, { ...form, name: form.name || form.identifier });
      await reload();
    });
    if (made) onClose();
  };
  return html`
    <${Dialog} title="New service account" onClose=${onClose}>
      <form onSubmit=${submit} autocomplete="off">
        ${field("identifier", "Identifier", { required: true })}
        ${field("name", "Name", { placeholder: form.identifier })}
        ${field("description", "Description")}
        <${Notice} kind="bad" text=${error} />
        <div class="actions">
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" disabled=${busy || Boolean(wrong)}>Create</button>
        </div>
      </form>
    <//>`;
}

function Assign({ of, roles, onClose, reload }) {
  const session = useSession();
  const [role, setRole] = useState("_scim_provisioner");
  const { busy, error, run } = useAction();
  const submit = async (event) => {
    event.preventDefault();
    const assigned = await run(async () => {
      await session.admin("POST", ASSIGNMENTS, { roleIdentifier: role, principal: { identifier: of, type: "SERVICE_ACCOUNT" } });
      await reload();
    });
    if (assigned) onClose();
  };
  return html`
    <${Dialog} title=${`Assign a role to ${of}`} onClose=${onClose}>
      <form onSubmit=${submit}>
        <${Field} label="Role" help=${`Grants ${roles.find((one) => one.identifier === role)?.permissions.join(", ") ?? ""}`}>
          ${(props) => html`
            <select ...${props} value=${role} onChange=${(event) => setRole(event.target.value)}>
              ${roles.map((one) => html`<option value=${one.identifier}>${one.name}</option>`)}
            </select>`}
        <//>
        <${Notice} kind="bad" text=${error} />
        <div class="actions">
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" disabled=${busy}>Assign</button>
        </div>
      </form>
    <//>`;
}
