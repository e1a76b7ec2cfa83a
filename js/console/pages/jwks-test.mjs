// "Test this URL": the gateway fetches a key set as it would for a token, and says what it found.

import { Badge, Notice, Table, useAction, useSession } from "../parts.mjs";
import { span } from "../time.mjs";
import { html, useState } from "../vendor.mjs";

export function JwksTest({ url }) {
  const session = useSession();
  const [found, setFound] = useState(null);
  const { busy, error, run } = useAction();
  const test = () =>
    run(async () => {
      setFound(null);
      setFound({ url, ...(await session.operator("POST", ".jwks", { url })) });
    });
  return html`
    <div class="test">
      <button type="button" class="small" disabled=${busy || !url} onClick=${test}>${busy ? "Fetching …" : "Test this URL"}</button>
      <${Notice} kind="bad" text=${error} />
      <div role="status">
        ${found && found.url === url && html`
          <p class="small">${found.keys.filter((key) => key.usable).length} of ${found.keys.length} keys can check signatures; fresh for ${span(found.freshSeconds)}.</p>
          <${Table} caption="Keys of the set" head=${["Key id", "Type", "Algorithm", "Use", ""]}>
            ${found.keys.map((key) => html`
              <tr>
                <td><code>${key.kid ?? "–"}</code></td><td>${key.kty ?? "–"}</td><td>${key.alg ?? "any of its type"}</td><td>${key.use ?? "–"}</td>
                <td><${Badge} kind=${key.usable ? "good" : "bad"}>${key.usable ? "usable" : "not usable"}<//>${key.problem && html` <span class="small">${key.problem}</span>`}</td>
              </tr>`)}
          <//>`}
      </div>
    </div>`;
}
