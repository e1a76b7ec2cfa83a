// The directory: users and groups as SCIM clients see them, by filters, with how fresh each answer is.

import { Badge, Empty, Field, Notice, Table, useAction, useLoad, useSession } from "../parts.mjs";
import { count, span } from "../time.mjs";
import { html, useState } from "../vendor.mjs";
import { Resource } from "./resource.mjs";

const PAGE = 25;
const HOUR_MS = 3_600_000;

/** What the two kinds are shown by. */
const KINDS = {
  Users: {
    attributes: "userName,displayName,active,emails",
    head: ["User name", "Display name", "E-mail", "State"],
    example: 'userName sw "a" and active eq true',
  },
  Groups: { attributes: "displayName", head: ["Display name", "Id"], example: 'displayName co "eng"' },
};

export function Directory({ rest }) {
  const session = useSession();
  const [bearer, setBearer] = useState(session.bearer);
  if (!bearer) return html`<${Unlock} onKey=${(key) => setBearer((session.bearer = key))} />`;
  const [kind, id] = rest;
  if (KINDS[kind] && id) return html`<${Resource} key=${id} kind=${kind} id=${id} />`;
  return html`<${Search} kind=${KINDS[kind] ? kind : "Users"} key=${kind} />`;
}

/** The root key opens no SCIM call: it can mint a key that does. */
function Unlock({ onKey }) {
  const session = useSession();
  const { busy, error, run } = useAction();
  const mint = () =>
    run(async () => {
      const body = { apiKeyType: "USER", roleIdentifier: "_account_viewer", name: "console, for an hour", validTo: Date.now() + HOUR_MS };
      onKey(await session.admin("POST", "/ng/api/token", body));
    });
  return html`
    <section class="card">
      <p>The root key administers accounts and reads no directory. A key that may only read, valid for an hour and kept in this page's memory, opens it.</p>
      <${Notice} kind="bad" text=${error} />
      <button class="primary" disabled=${busy} onClick=${mint}>Mint a key for an hour</button>
    </section>`;
}

function Search({ kind }) {
  const session = useSession();
  const [text, setText] = useState("");
  const [asked, setAsked] = useState({ filter: "", startIndex: 1 });
  const query = new URLSearchParams({ count: PAGE, startIndex: asked.startIndex, attributes: KINDS[kind].attributes });
  if (asked.filter) query.set("filter", asked.filter);
  const { data, error, busy } = useLoad(() => session.scim(`${kind}?${query}`), [session, kind, asked]);
  const isMistake = error?.body?.scimType === "invalidFilter";
  const submit = (event) => {
    event.preventDefault();
    setAsked({ filter: text.trim(), startIndex: 1 });
  };
  const list = error ? undefined : data?.body;
  const rows = list?.Resources ?? [];
  // Of what is shown; what is asked for may still be on its way.
  const first = list?.startIndex ?? asked.startIndex;
  const last = first + rows.length - 1;
  return html`
    <section class="card" aria-label="Search">
      <div class="tabs" role="group" aria-label="Kind">
        ${Object.keys(KINDS).map((name) => html`<a href=${`#/directory/${name}`} aria-current=${name === kind ? "true" : undefined}>${name}</a>`)}
      </div>
      <form onSubmit=${submit} class="search" autocomplete="off">
        <${Field} label="SCIM filter" help=${`Empty shows all. For example: ${KINDS[kind].example}`}>
          ${(props) => html`<input ...${props} class="mono" spellcheck=${false} autocapitalize="none" maxlength="8192" value=${text} aria-invalid=${isMistake ? "true" : undefined}
            onInput=${(event) => setText(event.target.value)} />`}
        <//>
        <button class="primary">Search</button>
      </form>
      ${isMistake && html`<${Mistake} filter=${asked.filter} sentence=${error.message} />`}
      <${Notice} kind="bad" text=${isMistake ? null : error?.message} />
      ${list && (rows.length === 0
        ? html`<${Empty} title="Nothing matches">${asked.filter ? "No resource satisfies the filter." : `There are no ${kind.toLowerCase()} yet.`}<//>`
        : html`
          <${Freshness} headers=${data.headers} />
          <${Table} caption=${kind} head=${KINDS[kind].head}>
            ${rows.map((one) => (kind === "Users" ? html`<${UserRow} key=${one.id} user=${one} />` : html`<${GroupRow} key=${one.id} group=${one} />`))}
          <//>
          <div class="pager">
            <span role="status">${count(first)} to ${count(last)} of ${count(list.totalResults)}</span>
            <button class="small" disabled=${busy || asked.startIndex === 1} onClick=${() => setAsked({ ...asked, startIndex: Math.max(1, asked.startIndex - PAGE) })}>Previous</button>
            <button class="small" disabled=${busy || last >= list.totalResults} onClick=${() => setAsked({ ...asked, startIndex: asked.startIndex + PAGE })}>Next</button>
          </div>`)}
    </section>`;
}

const UserRow = ({ user }) => html`
  <tr>
    <th scope="row"><a href=${`#/directory/Users/${encodeURIComponent(user.id)}`}>${user.userName}</a></th>
    <td>${user.displayName}</td>
    <td>${(user.emails?.find((email) => email.primary) ?? user.emails?.[0])?.value}</td>
    <td>${user.active === false ? html`<${Badge} kind="warn">inactive<//>` : html`<${Badge} kind="good">active<//>`}</td>
  </tr>`;

const GroupRow = ({ group }) => html`
  <tr>
    <th scope="row"><a href=${`#/directory/Groups/${encodeURIComponent(group.id)}`}>${group.displayName}</a></th>
    <td><code>${group.id}</code></td>
  </tr>`;

/** A filter with the place where it cannot be read. The gateway counts bytes. */
function Mistake({ filter, sentence }) {
  const at = Number(/at byte (\d+)/.exec(sentence)?.[1] ?? NaN);
  if (Number.isNaN(at)) return html`<${Notice} kind="bad" text=${sentence} />`;
  const bytes = new TextEncoder().encode(filter);
  const before = new TextDecoder().decode(bytes.slice(0, at));
  const wrong = [...filter.slice(before.length)][0] ?? " ";
  return html`
    <div class="notice bad" role="alert">
      <p class="mono mistake" aria-hidden="true">${before}<mark>${wrong}</mark>${filter.slice(before.length + wrong.length)}</p>
      <p>${sentence}</p>
    </div>`;
}

/** Where an answer came from and how old it is (RFC 9211). */
export function Freshness({ headers, etag }) {
  const status = headers.get("cache-status") ?? "";
  const age = headers.get("age");
  const why = /fwd=([\w-]+)/.exec(status)?.[1];
  const from = /; hit/.test(status) ? "From the gateway's own copy" : why ? "From the origin" : "Made by the gateway";
  return html`
    <p class="fresh small">
      <span>${from}${age === null ? "" : `, ${span(Number(age))} old`}</span>
      ${status && html`<code title="Cache-Status">${status}</code>`}
      ${etag && html`<code title="ETag">${etag}</code>`}
    </p>`;
}
