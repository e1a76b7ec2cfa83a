// The parts that pages are made of.

import { createContext, html, useCallback, useContext, useEffect, useId, useLayoutEffect, useRef, useState } from "./vendor.mjs";

/** The session, and the way out of it. */
export const Context = createContext(null);
export const useSession = () => useContext(Context).session;

/** Whether a failure means that the session is over. */
const isOver = (error, { session }) => error.status === 401 && session.own;
const OVER = "The key is not valid any more.";

/**
 * What a call answers, asked when the page opens and with `reload`. A key that is not valid any more
 * ends the session.
 */
export function useLoad(load, what = []) {
  const context = useContext(Context);
  const [state, setState] = useState({ data: undefined, error: null, busy: true });
  const latest = useRef(0);
  const reload = useCallback(async () => {
    const mine = (latest.current += 1);
    setState((before) => ({ ...before, busy: true }));
    try {
      const data = await load();
      if (mine === latest.current) setState({ data, error: null, busy: false });
    } catch (error) {
      if (mine !== latest.current) return;
      if (isOver(error, context)) return context.signOut(OVER);
      setState((before) => ({ ...before, error, busy: false }));
    }
  }, what);
  useEffect(() => {
    reload();
    return () => {
      latest.current += 1;
    };
  }, [reload]);
  return { ...state, reload };
}

/** Calls `work` again and again while the page can be seen. */
export function useEvery(milliseconds, work) {
  const kept = useRef(work);
  kept.current = work;
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === "visible" && kept.current(), milliseconds);
    return () => clearInterval(timer);
  }, [milliseconds]);
}

/** An action of a button: while it runs, its failure, and what it had to say. */
export function useAction() {
  const context = useContext(Context);
  const [state, setState] = useState({ busy: false, error: null, done: null });
  const run = useCallback(async (work) => {
    setState({ busy: true, error: null, done: null });
    try {
      const done = await work();
      setState({ busy: false, error: null, done: typeof done === "string" ? done : null });
      return true;
    } catch (error) {
      if (isOver(error, context)) return context.signOut(OVER);
      setState({ busy: false, error: error.message, done: null });
      return false;
    }
  }, [context]);
  return { ...state, run };
}

/** A control with its label, its help and what is wrong with it. */
export function Field({ label, help, error, children, note }) {
  const id = useId();
  const described = [help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  const props = { id, "aria-describedby": described, "aria-invalid": error ? "true" : undefined };
  return html`
    <div class="field">
      <label for=${id}>${label}</label>${note}
      ${children(props)}
      ${help && html`<p class="help" id=${`${id}-help`}>${help}</p>`}
      <p class="error" id=${`${id}-error`} aria-live="polite">${error}</p>
    </div>`;
}

/** A sentence about how something went; screen readers say it when it appears. */
export function Notice({ kind = "info", text, children }) {
  const shown = text ?? children;
  return html`<div role=${kind === "bad" ? "alert" : "status"} class=${shown ? `notice ${kind}` : "none"}>${shown}</div>`;
}

/** What a page shows in the place of what it has not got (yet). */
export function Loaded({ of, what, children }) {
  if (of.data !== undefined) {
    return html`${of.error && html`<${Notice} kind="bad" text=${of.error.message} />`}${children(of.data)}`;
  }
  if (of.error?.body?.code === "ENTITY_NOT_FOUND") {
    return html`<${Empty} title="There is no such account yet">The root key makes it with the first <a href="#/access">service account</a>.<//>`;
  }
  if (of.error?.status === 404) {
    return html`<${Empty} title=${`${what} not available`}>This gateway's version does not serve it.<//>`;
  }
  if (of.error) {
    return html`
      <${Notice} kind="bad" text=${of.error.message} />
      <p><button onClick=${of.reload}>Try again</button></p>`;
  }
  return html`<p class="quiet" role="status">Loading …</p>`;
}

/** Nothing, and what to do about it. */
export function Empty({ title, children }) {
  return html`<div class="empty"><p class="title">${title}</p><p>${children}</p></div>`;
}

/** A state as a word in a colour. */
export const Badge = ({ kind = "", children }) => html`<span class=${`badge ${kind}`}>${children}</span>`;

/** A table that scrolls by itself on a narrow screen. */
export function Table({ caption, head, children }) {
  return html`
    <div class="scroll" tabindex="0" role="region" aria-label=${caption}>
      <table>
        <caption class="hidden">${caption}</caption>
        <thead><tr>${head.map((name) => html`<th scope="col" class=${name.number ? "number" : ""}>${name.number ?? name}</th>`)}</tr></thead>
        <tbody>${children}</tbody>
      </table>
    </div>`;
}

/** A dialog over the page; Escape closes it. */
export function Dialog({ title, onClose, children }) {
  const element = useRef(null);
  const id = useId();
  useLayoutEffect(() => {
    const before = document.activeElement;
    element.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  return html`
    <dialog ref=${element} aria-labelledby=${id} onClose=${onClose}>
      <h2 id=${id}>${title}</h2>
      ${children}
    </dialog>`;
}

/** Asks before something that cannot be undone. */
export function Confirm({ title, text, action, onConfirm, onClose }) {
  const { busy, error, run } = useAction();
  const confirm = async () => (await run(onConfirm)) && onClose();
  return html`
    <${Dialog} title=${title} onClose=${onClose}>
      <p>${text}</p>
      <${Notice} kind="bad" text=${error} />
      <div class="actions">
        <button onClick=${onClose}>Cancel</button>
        <button class="danger" disabled=${busy} onClick=${confirm}>${action}</button>
      </div>
    <//>`;
}
