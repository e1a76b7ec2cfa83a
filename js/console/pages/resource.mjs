// One resource: what it says, the groups it is in or the members it has, and how fresh it is.

import { Empty, Loaded, Table, useLoad, useSession } from "../parts.mjs";
import { html } from "../vendor.mjs";
import { Freshness } from "./directory.mjs";

/** How many members are shown. */
const SHOWN = 100;

export function Resource({ kind, id }) {
  const session = useSession();
  const read = useLoad(() => session.scim(`${kind}/${encodeURIComponent(id)}`), [session, kind, id]);
  return html`
    <p><a href=${`#/directory/${kind}`}>‹ ${kind}</a></p>
    <${Loaded} of=${read} what="Directory">
      ${({ body, headers }) => html`
        <section class="card" aria-label="Resource">
          <div class="heading">
            <h2>${body.displayName ?? body.userName ?? body.id}</h2>
            <button onClick=${read.reload} disabled=${read.busy}>Read again</button>
          </div>
          <${Freshness} headers=${headers} etag=${headers.get("etag") ?? body.meta?.version} />
          <${Attributes} of=${body} />
        </section>
        ${kind === "Users"
          ? html`<${Links} title="Groups" list=${body.groups ?? []} kind=${() => "Groups"} none="It is in no group." />`
          : html`<${Links} title="Members" list=${body.members ?? []} kind=${(member) => (member.type === "Group" ? "Groups" : "Users")} none="It has no members." />`}
        <details class="card"><summary>As JSON</summary><pre tabindex="0">${JSON.stringify(body, null, 2)}</pre></details>`}
    <//>`;
}

/** Everything but what has a place of its own, by name. */
function Attributes({ of }) {
  const { schemas: _, groups: __, members: ___, ...own } = of;
  return html`
    <dl class="facts">
      ${Object.entries(own).map(([name, value]) => html`<div key=${name}><dt>${name.replace(/^urn:.*:/, "")}</dt><dd>${shown(value)}</dd></div>`)}
    </dl>`;
}

function shown(value) {
  if (Array.isArray(value)) return html`<ul>${value.map((one) => html`<li>${shown(one)}</li>`)}</ul>`;
  if (value !== null && typeof value === "object") {
    return Object.entries(value).map(([name, part]) => html`<span class="part"><span class="quiet">${name}</span> ${shown(part)}</span>`);
  }
  return String(value);
}

function Links({ title, list, kind, none }) {
  return html`
    <section class="card" aria-label=${title}>
      <h2>${title} <span class="quiet">${list.length}</span></h2>
      ${list.length === 0 ? html`<${Empty} title=${none} />` : html`
        <${Table} caption=${title} head=${["Name", "Id", ""]}>
          ${list.slice(0, SHOWN).map((one) => html`
            <tr key=${one.value}>
              <th scope="row"><a href=${`#/directory/${kind(one)}/${encodeURIComponent(one.value)}`}>${one.display ?? one.value}</a></th>
              <td><code>${one.value}</code></td>
              <td>${one.type}</td>
            </tr>`)}
        <//>
        ${list.length > SHOWN && html`<p class="quiet small">and ${list.length - SHOWN} more, in the JSON below.</p>`}`}
    </section>`;
}
