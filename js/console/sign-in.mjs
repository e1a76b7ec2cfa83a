// Signing in: an account and a key, tried on the gateway, kept in memory until the page is left.

import { session } from "./api.mjs";
import { Field, Notice } from "./parts.mjs";
import { html, useLayoutEffect, useRef, useState } from "./vendor.mjs";

export function SignIn({ why, onSession }) {
  const [account, setAccount] = useState("");
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState(why);
  const [busy, setBusy] = useState(false);
  const first = useRef(null);
  // Before the browser paints: what is typed into a page that can be seen must not be lost.
  useLayoutEffect(() => {
    document.title = "Sign in · scim-edge";
    first.current?.focus();
  }, []);

  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await session(account, key).admin("GET", "/ng/api/settings?category=SCIM");
    } catch (error) {
      // A key that may not read settings is a key all the same; root makes an account by its first change.
      const known = error.status === 403 || (error.status === 404 && !/^[ps]at\./.test(key));
      if (!known) {
        setProblem(error.message);
        return setBusy(false);
      }
    }
    return onSession(account, key);
  }

  return html`
    <main class="sign-in">
      <form class="card" onSubmit=${submit} autocomplete="off">
        <div class="brand"><img src="icon.svg" alt="" width="28" height="28" /> scim-edge</div>
        <h1>Sign in</h1>
        <${Notice} kind="bad" text=${problem} />
        <${Field} label="Account">
          ${(props) => html`<input ...${props} ref=${first} required pattern="[A-Za-z0-9_\\-]{1,64}" spellcheck=${false}
            autocapitalize="none" value=${account} onInput=${(event) => setAccount(event.target.value.trim())} />`}
        <//>
        <${Field} label="API key" help="A key that begins with pat. or sat., or the root key.">
          ${(props) => html`<input ...${props} type="password" required autocomplete="off" value=${key}
            onInput=${(event) => setKey(event.target.value.trim())} />`}
        <//>
        <button class="primary wide" disabled=${busy}>${busy ? "Signing in …" : "Sign in"}</button>
        <p class="quiet small">The key stays in this page's memory: a reload asks for it again.</p>
      </form>
    </main>`;
}
