// Activity: the last day in three charts, and the audit as it grows.

import { Badge, Empty, Field, Loaded, Table, useEvery, useLoad, useSession } from "../parts.mjs";
import { count, dateOf } from "../time.mjs";
import { html, useState } from "../vendor.mjs";
import { Charts } from "./charts.mjs";

const EVERY_MS = 5_000;
const CHARTS_MS = 60_000;
const PAGE = 50;
const OUTCOMES = { ok: "good", failed: "bad", unknown: "warn", refused: "bad" };
const NONE = { kind: "", outcome: "", principal: "", operation: "", resource: "" };

export function Activity() {
  const session = useSession();
  const day = useLoad(() => session.operator("GET", ".activity"), [session]);
  useEvery(CHARTS_MS, day.reload);
  return html`
    <${Loaded} of=${day} what="Charts are">${(data) => html`<${Charts} of=${data} />`}<//>
    <${Audit} />`;
}

function Audit() {
  const session = useSession();
  const [chosen, setChosen] = useState(NONE);
  const [pages, setPages] = useState(1);
  const load = async () => {
    const query = new URLSearchParams({ count: PAGE });
    for (const [name, value] of Object.entries(chosen)) if (value.trim()) query.set(name, value.trim());
    const all = { entries: [], nextCursor: null };
    for (let page = 0; page < pages; page += 1) {
      const { entries, nextCursor } = await session.operator("GET", `.audit?${query}`);
      all.entries.push(...entries);
      all.nextCursor = nextCursor;
      if (!nextCursor) break;
      query.set("cursor", nextCursor);
    }
    return all;
  };
  const audit = useLoad(load, [session, chosen, pages]);
  useEvery(EVERY_MS, audit.reload);
  const set = (name) => (event) => {
    setPages(1);
    setChosen({ ...chosen, [name]: event.target.value });
  };
  const choice = (name, label, values) => html`
    <${Field} label=${label}>
      ${(props) => html`
        <select ...${props} value=${chosen[name]} onChange=${set(name)}>
          <option value="">all</option>
          ${Object.entries(values).map(([value, text]) => html`<option value=${value}>${text}</option>`)}
        </select>`}
    <//>`;
  const typed = (name, label, placeholder) => html`
    <${Field} label=${label}>
      ${(props) => html`<input ...${props} spellcheck=${false} autocapitalize="none" placeholder=${placeholder} value=${chosen[name]} onInput=${set(name)} />`}
    <//>`;
  return html`
    <section class="card" aria-label="Audit">
      <div class="heading">
        <div><h2>Audit</h2><p class="quiet">Writes, changes of settings and refused requests, the newest first; looked at every five seconds.</p></div>
      </div>
      <div class="filters">
        ${choice("kind", "Kind", { write: "writes", settings: "settings", refused: "refused" })}
        ${choice("outcome", "Outcome", { ok: "ok", failed: "failed", unknown: "unknown", refused: "refused", shadow: "shadow" })}
        ${typed("principal", "Principal", "okta")}
        ${typed("operation", "Operation", "user.create")}
        ${typed("resource", "Resource", "id")}
      </div>
      <${Loaded} of=${audit} what="The audit is">
        ${({ entries, nextCursor }) => entries.length === 0
          ? html`<${Empty} title="Nothing yet">${Object.values(chosen).some(Boolean) ? "Nothing matches the filters." : "Nobody has written or been refused."}<//>`
          : html`
            <${Table} caption="Audit" head=${["When", "Outcome", "Operation", "Who", "Resource"]}>
              ${entries.map((one) => html`<${Entry} key=${`${one.kind} ${one.id}`} entry=${one} />`)}
            <//>
            ${nextCursor && html`<p><button onClick=${() => setPages(pages + 1)} disabled=${audit.busy}>Show older ones</button></p>`}`}
      <//>
    </section>`;
}

function Entry({ entry }) {
  const { type, id } = entry.resource ?? {};
  const isShown = id && (type === "User" || type === "Group");
  return html`
    <tr>
      <td class="when">${dateOf(entry.at)}<span class="sub"><code>${entry.requestId}</code></span></td>
      <td><${Badge} kind=${OUTCOMES[entry.outcome]}>${entry.outcome}<//> <span class="quiet">${entry.status || ""}${entry.count > 1 ? ` ×${count(entry.count)}` : ""}</span>
        <span class="sub">${entry.reason}</span></td>
      <td>${entry.operation}<span class="sub">${entry.kind}</span></td>
      <td>${entry.principal ?? html`<span class="quiet">nobody known</span>`}<span class="sub">${entry.subject}</span></td>
      <td>${isShown ? html`<a href=${`#/directory/${type}s/${encodeURIComponent(id)}`}><code>${id}</code></a>` : id && html`<code>${id}</code>`}
        <span class="sub">${type}</span></td>
    </tr>`;
}
