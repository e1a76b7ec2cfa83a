// The replica: what state the copy is in, how the first fill goes, what the origin is like.

import { Badge, Confirm, Empty, Loaded, Notice, Table, useAction, useEvery, useLoad, useSession } from "../parts.mjs";
import { ago, count, dateOf, span, timeOf } from "../time.mjs";
import { html, useState } from "../vendor.mjs";

const EVERY_MS = 2_000;

const STATES = {
  live: ["good", "live"],
  filling: ["accent", "filling"],
  stale: ["warn", "stale"],
};
const PASSES = { resync: "Copying everything again", check: "Checking against the origin" };
const HEALTH = { up: "good", down: "bad", unknown: "" };
const CIRCUIT = { closed: "good", open: "bad", "half-open": "warn" };

export function Replica() {
  const session = useSession();
  const replica = useLoad(() => session.operator("GET", ".replica"), [session]);
  useEvery(EVERY_MS, replica.reload);
  return html`<${Loaded} of=${replica} what="The replica's state is">${(data) => html`<${State} of=${data} reload=${replica.reload} />`}<//>`;
}

function State({ of, reload }) {
  const session = useSession();
  const { busy, error, done, run } = useAction();
  const [asking, setAsking] = useState(false);
  const [kind, word] = STATES[of.state] ?? ["", of.state];
  const call = (name, sentence) => async () => {
    await session.operator("POST", name);
    await reload();
    return sentence;
  };
  const copies = of.mode === "copy";
  const setAside = (of.setAside?.users ?? 0) + (of.setAside?.groups ?? 0);
  return html`
    <section class="card" aria-label="State">
      <div class="heading">
        <h2>${copies ? "A copy of the origin" : "The system of record"} <${Badge} kind=${kind}>${word}<//></h2>
        ${copies && html`
          <div class="actions">
            <button disabled=${busy} onClick=${() => run(call(".check", "The check has begun; its result appears below."))}>Check against the origin</button>
            <button disabled=${busy} onClick=${() => setAsking(true)}>Resync</button>
          </div>`}
      </div>
      <${Notice} kind="bad" text=${error} />
      <${Notice} kind="good" text=${done} />
      <dl class="figures">
        <div><dt>Users</dt><dd>${count(of.users)}</dd></div>
        <div><dt>Groups</dt><dd>${count(of.groups)}</dd></div>
        ${copies && html`
          <div><dt>Last compared</dt><dd title=${of.syncedAt && dateOf(of.syncedAt)}>${of.ageSeconds === null ? "never" : `${span(of.ageSeconds)} ago`}</dd></div>
          <div><dt>May be as old as</dt><dd>${span(of.maxStalenessSeconds)}</dd></div>
          <div><dt>Unknown outcomes</dt><dd class=${of.unknownOutcomes ? "bad-text" : ""}>${count(of.unknownOutcomes)}</dd></div>
          ${setAside > 0 && html`<div><dt>Set aside</dt><dd class="bad-text" title="Resources of the origin whose ids no path can carry">${count(setAside)}</dd></div>`}`}
      </dl>
      ${of.unknownOutcomes > 0 && html`<p class="small quiet">Writes whose answer the origin owes; reads of these resources go to it until it is known.</p>`}
      ${of.fill && html`<${Fill} fill=${of.fill} />`}
      ${of.pass && !of.fill && html`<p role="status">${PASSES[of.pass.purpose] ?? "Comparing with the origin"}: ${count(of.pass.pages)} pages read, begun ${ago(of.pass.startedAt)}</p>`}
    </section>
    ${of.origin && html`<${Origin} origin=${of.origin} />`}
    ${copies && html`<${Check} check=${of.lastCheck} />`}
    ${asking && html`<${Confirm} title="Copy everything again?" text="The copy is rebuilt from the origin, which is asked for every resource. Reads go on meanwhile."
      action="Resync" onClose=${() => setAsking(false)} onConfirm=${call(".resync")} />`}`;
}

function Fill({ fill }) {
  const left = fill.total !== null && fill.perSecond > 0 ? (fill.total - fill.copied) / fill.perSecond : null;
  return html`
    <div class="fill">
      <label for="fill">First fill</label>
      <progress id="fill" max=${fill.total ?? undefined} value=${fill.total === null ? undefined : fill.copied}></progress>
      <p class="small">
        ${count(fill.copied)} of ${fill.total === null ? "an unknown number" : count(fill.total)} copied,
        ${" "}${count(Math.round(fill.perSecond))} a second, begun ${ago(fill.startedAt)}${left === null ? "" : `, about ${span(left)} left`}
      </p>
    </div>`;
}

function Origin({ origin }) {
  return html`
    <section class="card" aria-label="Origin">
      <h2>Origin</h2>
      <dl class="figures">
        <div><dt>Host</dt><dd class="break">${origin.host}</dd></div>
        <div><dt>Health</dt><dd><${Badge} kind=${HEALTH[origin.health]}>${origin.health}<//></dd></div>
        <div><dt>Circuit</dt><dd><${Badge} kind=${CIRCUIT[origin.circuit]}>${origin.circuit}<//></dd></div>
        <div><dt>Failures in a row</dt><dd>${count(origin.failures)}</dd></div>
        ${origin.retryAt && html`<div><dt>Tried again at</dt><dd>${timeOf(origin.retryAt)}</dd></div>`}
      </dl>
      ${origin.circuit === "open" && html`<p class="small quiet">Writes are answered 503 at once until the origin has answered again; reads go on from the copy.</p>`}
    </section>`;
}

function Check({ check }) {
  if (!check) {
    return html`<section class="card" aria-label="Differences"><h2>Differences</h2><${Empty} title="Not checked yet">A check compares the copy with the origin, resource by resource.<//></section>`;
  }
  const differences = [
    ...check.missing.map((one) => ["missing here", one]),
    ...check.extra.map((one) => ["not at the origin", one]),
    ...check.different.map((one) => ["different", one]),
  ];
  return html`
    <section class="card" aria-label="Differences">
      <div class="heading">
        <h2>Differences <${Badge} kind=${differences.length ? "bad" : "good"}>${differences.length ? count(differences.length) : "none"}<//></h2>
        <span class="quiet small">${check.complete ? "checked" : "checking, begun"} ${ago(check.at)}</span>
      </div>
      <dl class="figures">
        <div><dt>Users here / origin</dt><dd>${count(check.users.here)} / ${count(check.users.origin)}</dd></div>
        <div><dt>Groups here / origin</dt><dd>${count(check.groups.here)} / ${count(check.groups.origin)}</dd></div>
      </dl>
      ${differences.length > 0 && html`
        <${Table} caption="Differences" head=${["What", "Type", "Id"]}>
          ${differences.map(([what, { type, id }]) => html`
            <tr key=${`${what} ${type} ${id}`}><td>${what}</td><td>${type}</td><td><a href=${`#/directory/${type}s/${encodeURIComponent(id)}`}><code>${id}</code></a></td></tr>`)}
        <//>`}
    </section>`;
}
