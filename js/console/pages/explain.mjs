// Explain a token: every check that the gateway makes, in order, with what it expected and found.

import { Badge, Empty, Field, Notice, useAction, useSession } from "../parts.mjs";
import { html, useState } from "../vendor.mjs";

export function Explain() {
  const session = useSession();
  const [token, setToken] = useState("");
  const [answer, setAnswer] = useState(null);
  const [missing, setMissing] = useState(false);
  const { busy, error, run } = useAction();
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      setAnswer(null);
      const text = token.trim().replace(/^(authorization:\s*)?bearer\s+/i, "");
      try {
        setAnswer(await session.operator("POST", ".explain", { token: text }));
      } catch (refused) {
        if (refused.status !== 404) throw refused;
        setMissing(true);
      }
    });
  };
  if (missing) return html`<${Empty} title="Explanations are not available">This gateway's version does not serve them.<//>`;
  return html`
    <section class="card" aria-label="What to explain">
      <form onSubmit=${submit} autocomplete="off">
        <${Field} label="Token" help="A JWT as a client sends it. It goes to this gateway only, and is neither stored nor logged.">
          ${(props) => html`<textarea ...${props} class="mono" rows="6" required spellcheck=${false} autocapitalize="none" value=${token}
            onInput=${(event) => setToken(event.target.value)}></textarea>`}
        <//>
        <${Notice} kind="bad" text=${error} />
        <div class="actions">
          <button type="button" disabled=${!token} onClick=${() => (setToken(""), setAnswer(null))}>Forget it</button>
          <button class="primary" disabled=${busy}>${busy ? "Checking …" : "Explain"}</button>
        </div>
      </form>
    </section>
    <div role="status">${answer && html`<${Answer} answer=${answer} />`}</div>`;
}

function Answer({ answer }) {
  // A token is tried against one rule after another.
  const tries = [];
  for (const step of answer.steps) {
    if (tries.length === 0 || tries.at(-1).rule !== step.rule) tries.push({ rule: step.rule, steps: [] });
    tries.at(-1).steps.push(step);
  }
  return html`
    <section class="card" aria-label="Outcome">
      <div class="heading">
        <h2>${answer.allow ? "Let in" : "Refused"}</h2>
        <${Badge} kind=${answer.allow ? "good" : "bad"}>${answer.allow ? `by rule ${answer.rule}` : answer.reason}<//>
      </div>
      ${!answer.allow && html`<p>${answer.detail}</p>`}
      ${tries.map(({ rule, steps }, index) => html`
        <h3 key=${index}>${rule ? `Rule ${rule}` : "The token itself"}</h3>
        <ol class="steps">
          ${steps.map((step) => html`
            <li class=${step.ok ? "good" : "bad"}>
              <span class="mark" aria-hidden="true">${step.ok ? "✓" : "✕"}</span>
              <span class="check-name">${step.check}<span class="hidden">${step.ok ? ": passed" : ": failed"}</span></span>
              <span class="found">
                ${step.expected !== undefined && html`<span><span class="quiet">expected</span> ${text(step.expected)}</span>`}
                ${step.found !== undefined && html`<span><span class="quiet">found</span> ${text(step.found)}</span>`}
                ${!step.ok && html`<span>${step.detail} ${step.reason && html`<code>${step.reason}</code>`}</span>`}
              </span>
            </li>`)}
        </ol>`)}
      ${answer.serviceAccount && html`<p>Acts as <b>${answer.serviceAccount}</b></p>`}
      ${answer.permissions && html`
        <h3>Permissions</h3>
        ${answer.permissions.length === 0
          ? html`<p class="quiet">None: every call will be refused with 403.</p>`
          : html`<ul class="chips">${answer.permissions.map((name) => html`<li key=${name}><code>${name}</code></li>`)}</ul>`}`}
    </section>`;
}

const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
