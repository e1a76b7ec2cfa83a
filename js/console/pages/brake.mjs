// The brake on removals: what it has counted and stopped, and the way through it.

import { Badge, Dialog, Field, Notice, useAction, useSession } from "../parts.mjs";
import { ago, count, dateOf, timeOf } from "../time.mjs";
import { html, useState } from "../vendor.mjs";

const STATES = {
  off: ["warn", "off"],
  watching: ["good", "watching"],
  stopping: ["bad", "stopping removals"],
  "letting-through": ["warn", "letting removals through"],
  "too-few-resources": ["", "too few resources to watch"],
};

/** The whole of it, as a card of the replica's page. */
export function Brake({ brake, reload }) {
  const session = useSession();
  const { busy, error, run } = useAction();
  const [asking, setAsking] = useState(false);
  const [kind, word] = STATES[brake.state] ?? ["", brake.state];
  const { limits, lastHour, stopped, letThrough, suspicion } = brake;
  const takeBack = () => run(async () => (await session.operator("POST", ".brake", { letThrough: "none" }), reload()));
  return html`
    <section class="card" aria-label="Brake">
      <div class="heading">
        <h2>Brake on removals <${Badge} kind=${kind}>${word}<//></h2>
        ${limits && html`
          <div class="actions">
            ${letThrough && html`<button disabled=${busy} onClick=${takeBack}>Take back</button>`}
            <button onClick=${() => setAsking(true)}>Let through</button>
          </div>`}
      </div>
      <${Notice} kind="bad" text=${error} />
      ${suspicion && html`
        <${Notice} kind="bad">
          The origin does not show ${count(suspicion.users.wouldRemove)} of ${count(suspicion.users.of)} users and
          ${" "}${count(suspicion.groups.wouldRemove)} of ${count(suspicion.groups.of)} groups, since ${dateOf(suspicion.since)}. The copy keeps
          them, and asks again at ${timeOf(suspicion.againAt)}.
        <//>`}
      <dl class="figures">
        <div><dt>Users deleted, deactivated</dt><dd>${count(lastHour.users.deleted)}, ${count(lastHour.users.deactivated)} of ${count(lastHour.users.of)}</dd></div>
        <div><dt>Groups deleted, emptied</dt><dd>${count(lastHour.groups.deleted)}, ${count(lastHour.groups.emptied)} of ${count(lastHour.groups.of)}</dd></div>
        ${limits && html`<div><dt>Limit an hour</dt><dd>${count(limits.removalsPerHour)} and ${limits.removalsPercent} %</dd></div>`}
        ${stopped && html`<div><dt>Requests stopped</dt><dd class="bad-text" title=${dateOf(stopped.since)}>${count(stopped.requests)}, first ${ago(stopped.since)}</dd></div>`}
        ${letThrough && html`<div><dt>Let through</dt><dd>${letThrough.removals === undefined ? "all" : count(letThrough.removals)} until ${timeOf(letThrough.until)}, by ${letThrough.by}</dd></div>`}
      </dl>
    </section>
    ${asking && html`<${LetThrough} brake=${brake} reload=${reload} onClose=${() => setAsking(false)} />`}`;
}

function LetThrough({ brake, reload, onClose }) {
  const session = useSession();
  const missing = brake.suspicion ? brake.suspicion.users.wouldRemove + brake.suspicion.groups.wouldRemove : 0;
  const [form, setForm] = useState({ way: "once", removals: String(Math.max(missing, brake.stopped?.requests ?? 0) || ""), hours: "1" });
  const { busy, error, run } = useAction();
  const body = () => form.way === "once"
    ? { letThrough: "once", removals: Number(form.removals) }
    : { letThrough: "until", until: Date.now() + Math.round(Number(form.hours) * 3_600_000) };
  const submit = async (event) => {
    event.preventDefault();
    if (await run(async () => (await session.operator("POST", ".brake", body()), reload()))) onClose();
  };
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  return html`
    <${Dialog} title="Let removals through?" onClose=${onClose}>
      <form onSubmit=${submit}>
        <p>Deletions and deactivations are made without the brake. Make sure that they are meant.</p>
        <${Field} label="Which">
          ${(props) => html`
            <select ...${props} value=${form.way} onChange=${set("way")}>
              <option value="once">A number of them, within an hour</option>
              <option value="until">All of them for a time</option>
            </select>`}
        <//>
        ${form.way === "once"
          ? html`<${Field} label="Removals">${(props) => html`<input ...${props} type="number" min="1" max="1000000" required value=${form.removals} onInput=${set("removals")} />`}<//>`
          : html`<${Field} label="Hours, at most 24">${(props) => html`<input ...${props} type="number" min="0.1" max="24" step="0.1" required value=${form.hours} onInput=${set("hours")} />`}<//>`}
        <${Notice} kind="bad" text=${error} />
        <div class="actions">
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="danger" disabled=${busy}>Let through</button>
        </div>
      </form>
    <//>`;
}
