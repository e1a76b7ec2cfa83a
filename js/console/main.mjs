// The console: signed out or in, and one page at a time, named by the address's fragment.

import { session } from "./api.mjs";
import { Shell, pages } from "./shell.mjs";
import { SignIn } from "./sign-in.mjs";
import { html, render, useCallback, useEffect, useState } from "./vendor.mjs";

const route = () => {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  return pages.some((page) => page.name === name) ? { name, rest: rest.map(decodeURIComponent) } : { name: pages[0].name, rest: [] };
};

function Console() {
  const [open, setOpen] = useState(null);
  const [why, setWhy] = useState(null);
  const [at, setAt] = useState(route);
  useEffect(() => {
    const moved = () => setAt(route());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  const signOut = useCallback((sentence) => {
    setWhy(typeof sentence === "string" ? sentence : null);
    setOpen(null);
  }, []);
  if (!open) return html`<${SignIn} why=${why} onSession=${(account, key) => setOpen(session(account, key))} />`;
  return html`<${Shell} session=${open} at=${at} onSignOut=${signOut} />`;
}

render(html`<${Console} />`, document.getElementById("console"));
