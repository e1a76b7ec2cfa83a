// The replica: what state the copy is in, how the first fill goes, what the origin is like.

import { Badge, Confirm, Empty, Loaded, Notice, Table, useAction, useEvery, useLoad, useSession } from "../parts.mjs";
import { ago, count, dateOf, span, timeOf } from "../time.mjs";
import { html, useState } from "../vendor.mjs";
import { Brake } from "./brake.mjs";

const EVERY_MS = 2_000;

const STATES = {
  live: ["good", "live"],
  filling: ["accent", "filling"],
  stale: ["warn", "stale"],
  suspicious: ["bad", "the origin is suspicious"],
};
const PASSES = { check: "Checking against the origin" };
const REASONS = { change: "Copying the new origin", resync: "Copying everything again", undo: "Putting back what was before" };
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
  // What a call asks to be confirmed, and the call.
  const [asking, setAsking] = useState(null);
  const [kind, word] = STATES[of.state] ?? ["", of.state];
  const call = (name, sentence, body) => async () => {
    await session.operator("POST", name, body);
    await reload();
    return sentence;
  };
  /** Asks what a call would do, and for its confirmation where it wants one. */
  const ask = (name, title, body = {}) => async () => {
    const { confirm, consequence } = await session.operator("POST", `${name}?dryRun=true`, body);
    const sent = { ...body, confirm: confirm ?? undefined };
    if (!confirm) return call(name, undefined, sent)();
    setAsking({ title, text: consequence, action: confirm, onConfirm: call(name, undefined, sent) });
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
            ${of.switch?.reason === "resync"
              ? html`<button disabled=${busy} onClick=${() => run(call(".resync", "The copy stays as it was.", { cancel: true }))}>Cancel the resync</button>`
              : html`<button disabled=${busy || of.switch !== null} onClick=${() => run(ask(".resync", "Copy everything again?"))}>Resync</button>`}
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
      ${of.fill && html`<${Fill} fill=${of.fill} title="First fill" />`}
      ${of.switch && html`<${Switch} of=${of.switch} />`}
      ${of.pass && !of.fill && html`<p role="status">${PASSES[of.pass.purpose] ?? "Comparing with the origin"}: ${count(of.pass.pages)} pages read, begun ${ago(of.pass.startedAt)}</p>`}
    </section>
    ${of.brake && html`<${Brake} brake=${of.brake} reload=${reload} />`}
    ${of.origin && html`<${Origin} origin=${of.origin} />`}
    ${copies && html`<${Check} check=${of.lastCheck} />`}
    ${of.kept.length > 0 && html`<${Kept} kept=${of.kept} busy=${busy || of.switch !== null}
      onUndo=${(number) => run(ask(".undo", "Put this back?", { number: number ?? undefined }))} />`}
    ${asking && html`<${Confirm} ...${asking} action=${asking.action[0].toUpperCase() + asking.action.slice(1)} onClose=${() => setAsking(null)} />`}`;
}

function Switch({ of }) {
  return html`
    ${of.phase === "filling"
      ? html`<${Fill} fill=${of} title=${REASONS[of.reason] ?? of.reason} />`
      : html`<p role="status">${REASONS[of.reason] ?? of.reason}: writes are held for some seconds</p>`}
    <p class="small quiet">What is in use answers until the new copy is complete.${of.reason === "change" ? " Setting scim_origin_url back ends the switch." : ""}</p>
    ${of.lastFailure && html`<${Notice} kind="bad" text=${`${of.lastFailure}${of.nextAttemptAt ? `, tried again at ${timeOf(of.nextAttemptAt)}` : ""}`} />`}`;
}

/** What was in use before, and can be put back. */
function Kept({ kept, busy, onUndo }) {
  return html`
    <section class="card" aria-label="Kept">
      <h2>Kept since a change of the origin</h2>
      <${Table} caption="Kept" head=${["What", { number: "Users" }, { number: "Groups" }, "Until", ""]}>
        ${kept.map((one) => html`
          <tr key=${String(one.number)}>
            <td>${one.mode === "record" ? "The system of record" : `A copy of ${one.host}`}</td>
            <td class="number">${count(one.users)}</td><td class="number">${count(one.groups)}</td><td>${dateOf(one.until)}</td>
            <td><button disabled=${busy} onClick=${() => onUndo(one.number)}>Put back</button></td>
          </tr>`)}
      <//>
    </section>`;
}

function Fill({ fill, title }) {
  const left = fill.total !== null && fill.perSecond > 0 ? (fill.total - fill.copied) / fill.perSecond : null;
  return html`
    <div class="fill">
      <label for="fill">${title}</label>
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
