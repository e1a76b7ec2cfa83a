// Settings: the form is made of what the API lists, so that a new setting appears by itself. What is typed
// is checked by the gateway itself (`dryRun`), which knows the rules.

import { Badge, Confirm, Field, Loaded, Notice, useAction, useLoad, useSession } from "../parts.mjs";
import { ago, timeOf } from "../time.mjs";
import { html, useEffect, useState } from "../vendor.mjs";
import { JwksTest } from "./jwks-test.mjs";
import { Rules } from "./rules.mjs";
import { HELP, groupsOf } from "./settings-text.mjs";

/** A change is in force everywhere within this time. */
const FORCE_SECONDS = 120;
const MASK = "******";
const PATH = "/ng/api/settings";

/** What a draft asks of the API. */
const changeOf = (identifier, text) =>
  text === null
    ? { identifier, updateType: "RESTORE", allowOverrides: false }
    : { identifier, value: text, updateType: "UPDATE", allowOverrides: false };

const changesOf = (drafts) => Object.entries(drafts).map(([identifier, text]) => changeOf(identifier, text));

const errorsOf = (answers) =>
  Object.fromEntries(answers.filter((one) => !one.updateStatus).map((one) => [one.identifier, one.errorMessage]));

const sentenceOf = (words) => words[0].toUpperCase() + words.slice(1);

export function Settings() {
  const session = useSession();
  const settings = useLoad(() => session.admin("GET", `${PATH}?category=SCIM`), [session]);
  const accounts = useLoad(() => session.admin("GET", "/ng/api/serviceaccount").catch(() => []), [session]);
  return html`
    <${Loaded} of=${settings} what="Settings">
      ${(list) => html`<${Form} list=${list} accounts=${accounts.data ?? []} reload=${settings.reload} />`}
    <//>
    ${settings.data && html`<${Rules} accounts=${accounts.data ?? []} />`}`;
}

function Form({ list, accounts, reload }) {
  const session = useSession();
  // By identifier: the text that was typed, or null to restore the default.
  const [drafts, setDrafts] = useState({});
  const [errors, setErrors] = useState({});
  const save = useAction();
  // The answer to a change of the origin that has to be confirmed.
  const [asked, setAsked] = useState(null);
  const changed = Object.keys(drafts).length;

  useEffect(() => {
    if (changed === 0) return setErrors({});
    let over = false;
    const timer = setTimeout(async () => {
      const answers = await session.admin("PUT", `${PATH}?dryRun=true&ask=false`, changesOf(drafts)).catch(() => []);
      if (!over) setErrors(errorsOf(answers));
    }, 300);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [drafts]);

  function edit(setting, text) {
    const set = setting.settingSource === "ACCOUNT";
    const { [setting.identifier]: _, ...others } = drafts;
    if (text === undefined || (set && text === setting.value) || (!set && text === "")) return setDrafts(others);
    setDrafts({ ...others, [setting.identifier]: text === "" ? null : text });
  }

  const submit = (event) => {
    event.preventDefault();
    save.run(async () => {
      const answers = await session.admin("PUT", PATH, changesOf(drafts));
      const refused = errorsOf(answers);
      setDrafts(Object.fromEntries(Object.entries(drafts).filter(([identifier]) => identifier in refused)));
      await reload();
      setErrors(refused);
      const origin = answers.find((one) => one.identifier in refused && one.switch?.confirm);
      if (origin) setAsked(origin);
      const stored = answers.length - Object.keys(refused).length;
      const until = timeOf(Date.now() + FORCE_SECONDS * 1000);
      if (stored === 0) throw new Error("Nothing was saved: see the marked settings.");
      const rest = Object.keys(refused).length ? " The marked ones were refused and changed nothing." : "";
      return `${stored} saved, in force everywhere by ${until}.${rest}`;
    });
  };

  /** Makes the change of the origin, with what came with it. */
  const confirm = async () => {
    const refused = changesOf(Object.fromEntries(Object.entries(drafts).filter(([identifier]) => identifier in errors)));
    const changes = refused.map((one) => (one.identifier === asked.identifier ? { ...one, confirm: asked.switch.confirm } : one));
    const answers = await session.admin("PUT", PATH, changes);
    const left = errorsOf(answers);
    setDrafts(Object.fromEntries(Object.entries(drafts).filter(([identifier]) => identifier in left)));
    await reload();
    setErrors(left);
    if (asked.identifier in left) throw new Error(left[asked.identifier]);
  };

  return html`
    ${asked && html`<${Confirm} title="Change the origin?" text=${asked.switch.consequence} action=${sentenceOf(asked.switch.confirm)}
      onClose=${() => setAsked(null)} onConfirm=${confirm} />`}
    <form onSubmit=${submit} autocomplete="off" novalidate>
      ${groupsOf(list).map(({ title, settings }) => html`
        <section class="card" key=${title} aria-label=${title}>
          <h2>${title}</h2>
          ${settings.map(({ setting, lastModifiedAt }) => html`
            <${Setting} key=${setting.identifier} setting=${setting} at=${lastModifiedAt} accounts=${accounts}
              draft=${drafts[setting.identifier]} error=${errors[setting.identifier]} onEdit=${(text) => edit(setting, text)} />`)}
        </section>`)}
      <div class=${changed || save.done || save.error ? "bar" : "none"}>
        <${Notice} kind=${save.error ? "bad" : "good"} text=${save.error ?? save.done} />
        ${changed > 0 && html`
          <span>${changed === 1 ? "1 change" : `${changed} changes`} not saved</span>
          <span class="space"></span>
          <button type="button" onClick=${() => setDrafts({})}>Discard</button>
          <button class="primary" disabled=${save.busy}>${save.busy ? "Saving …" : "Save"}</button>`}
      </div>
    </form>`;
}

function Setting({ setting, at, accounts, draft, error, onEdit }) {
  const set = setting.settingSource === "ACCOUNT";
  const secret = setting.value === MASK;
  const stored = set && !secret ? setting.value : "";
  const text = draft === undefined ? stored : draft ?? "";
  const fresh = at && Date.now() - at < FORCE_SECONDS * 1000;
  const placeholder = draft === null ? "" : secret ? "set, and not shown" : setting.defaultValue ?? "not set";
  const inEffect = secret ? "a secret" : setting.value ?? "nothing";
  const onInput = (event) => onEdit(event.target.value);
  const control = (props) => {
    if (setting.allowedValues) {
      return html`
        <select ...${props} value=${text} onChange=${onInput}>
          <option value="">default: ${setting.defaultValue}</option>
          ${setting.allowedValues.map((value) => html`<option value=${value}>${value}</option>`)}
        </select>`;
    }
    if (setting.identifier.endsWith("service_account_id")) {
      return html`
        <select ...${props} value=${text} onChange=${onInput}>
          <option value="">not set</option>
          ${[...new Set([...accounts.map((one) => one.identifier), text])].filter(Boolean).map((name) => html`<option value=${name}>${name}</option>`)}
        </select>`;
    }
    const numeric = /_seconds$/.test(setting.identifier);
    return html`<input ...${props} class=${numeric ? "short" : ""} inputmode=${numeric ? "numeric" : undefined}
      spellcheck=${false} autocapitalize="none" value=${text} placeholder=${placeholder} onInput=${onInput} />`;
  };
  return html`
    <div class="setting">
      <${Field} label=${setting.name} help=${HELP[setting.identifier]} error=${error}
        note=${html`<code class="identifier">${setting.identifier}</code>`}>${control}<//>
      <div class="meta">
        ${draft !== undefined
          ? html`<${Badge} kind="accent">${draft === null ? "will be restored" : "changed"}<//>
              <span>In effect: <b>${inEffect}</b></span>
              <button type="button" class="link" onClick=${() => onEdit(undefined)}>Undo</button>`
          : set
            ? html`<span title=${new Date(at).toISOString()}>In effect, set ${ago(at)}</span>
                ${fresh && html`<${Badge} kind="warn">everywhere by ${timeOf(at + FORCE_SECONDS * 1000)}<//>`}
                <button type="button" class="link" onClick=${() => onEdit("")}>Restore default</button>`
            : html`<span>${setting.defaultValue ? html`In effect: <b>${inEffect}</b> (default)` : "Not set"}</span>`}
      </div>
      ${/jwks.*url/.test(setting.identifier) && html`<${JwksTest} url=${text} />`}
    </div>`;
}
