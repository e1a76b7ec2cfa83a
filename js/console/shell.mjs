// What is around every page: where one is, whose account it is, and the way out.

import { Access } from "./pages/access.mjs";
import { Activity } from "./pages/activity.mjs";
import { Directory } from "./pages/directory.mjs";
import { Explain } from "./pages/explain.mjs";
import { Replica } from "./pages/replica.mjs";
import { Settings } from "./pages/settings.mjs";
import { Context } from "./parts.mjs";
import { html, useLayoutEffect, useMemo, useRef } from "./vendor.mjs";

/** The pages, in the order of the navigation. */
export const pages = [
  { name: "settings", title: "Settings", page: Settings },
  { name: "access", title: "Service accounts", page: Access },
  { name: "explain", title: "Explain a token", page: Explain },
  { name: "directory", title: "Directory", page: Directory },
  { name: "replica", title: "Replica", page: Replica },
  { name: "activity", title: "Activity", page: Activity },
];

export function Shell({ session, at, onSignOut }) {
  const { title, page } = pages.find(({ name }) => name === at.name);
  const heading = useRef(null);
  const begun = useRef(false);
  useLayoutEffect(() => {
    document.title = `${title} · ${session.account} · scim-edge`;
    // A screen reader is told of the new page; the first page is announced by its title.
    if (begun.current) heading.current?.focus();
    begun.current = true;
  }, [title]);
  const context = useMemo(() => ({ session, signOut: onSignOut }), [session, onSignOut]);
  const skip = (event) => {
    event.preventDefault();
    heading.current?.focus();
  };
  return html`
    <${Context.Provider} value=${context}>
      <a class="skip" href="#main" onClick=${skip}>Skip to the page</a>
      <div class="shell">
        <header>
          <div class="brand"><img src="icon.svg" alt="" width="24" height="24" /> scim-edge</div>
          <nav aria-label="Pages">
            <ul>
              ${pages.map(({ name, title }) => html`
                <li key=${name}><a href=${`#/${name}`} aria-current=${name === at.name ? "page" : undefined}>${title}</a></li>`)}
            </ul>
          </nav>
          <div class="who">
            <span class="account">${session.account}</span>
            <span class="key" title=${session.keyName}>${session.keyName}</span>
            <button class="small" onClick=${() => onSignOut()}>Sign out</button>
          </div>
        </header>
        <main id="main">
          <h1 ref=${heading} tabindex="-1">${title}</h1>
          <${page} key=${at.name} rest=${at.rest} />
        </main>
      </div>
    <//>`;
}
