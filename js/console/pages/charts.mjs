// Charts of the last day: drawn as SVG, and told as numbers to who does not see them.

import { Table } from "../parts.mjs";
import { count, timeOf } from "../time.mjs";
import { html } from "../vendor.mjs";

const WIDTH = 600;
const HEIGHT = 120;
const DAY_MS = 86_400_000;

/** The charts, each with its series; a series is drawn as bars or as a line. */
const CHARTS = [
  { title: "Requests", unit: "", series: [{ name: "requests", of: "requests", as: "bars", sum: true }] },
  {
    title: "Latency",
    unit: " ms",
    series: [
      { name: "95 of 100 are faster", of: "millisecondsP95", as: "bars" },
      { name: "half are faster", of: "millisecondsP50", as: "line" },
    ],
  },
  {
    title: "Refused and failed",
    unit: "",
    series: [
      { name: "refused", of: "refused", as: "bars", sum: true },
      { name: "failed", of: "failed", as: "line", sum: true },
    ],
  },
];

export function Charts({ of }) {
  const { buckets, bucketSeconds } = of;
  const total = (name) => buckets.reduce((sum, bucket) => sum + bucket[name], 0);
  // The bucket under way is shown as a whole.
  const end = Math.max(Date.now(), ...buckets.map((bucket) => bucket.at + bucketSeconds * 1000));
  return html`
    <section class="charts" aria-label="The last 24 hours">
      ${CHARTS.map((chart) => html`<${Chart} key=${chart.title} ...${chart} buckets=${buckets} from=${end - DAY_MS} width=${(WIDTH * bucketSeconds * 1000) / DAY_MS} total=${total} />`)}
    </section>
    <details class="card">
      <summary>The same as a table</summary>
      <${Table} caption="The last 24 hours" head=${["From", { number: "Requests" }, { number: "Refused" }, { number: "Failed" }, { number: "Median ms" }, { number: "95 % ms" }]}>
        ${[...buckets].reverse().filter((bucket) => bucket.requests > 0).map((bucket) => html`
          <tr key=${bucket.at}>
            <th scope="row">${timeOf(bucket.at)}</th>
            ${["requests", "refused", "failed", "millisecondsP50", "millisecondsP95"].map((name) => html`<td class="number">${count(bucket[name])}</td>`)}
          </tr>`)}
      <//>
    </details>`;
}

function Chart({ title, unit, series, buckets, from, width, total }) {
  const busy = buckets.filter((bucket) => bucket.requests > 0);
  const top = Math.max(1, ...series.flatMap(({ of }) => busy.map((bucket) => bucket[of])));
  const x = (bucket) => ((bucket.at - from) / DAY_MS) * WIDTH;
  const y = (value) => HEIGHT - (value / top) * HEIGHT;
  const said = series.map(({ name, of, sum }) =>
    sum ? `${count(total(of))} ${name}` : `${name} than ${count(Math.max(0, ...busy.map((bucket) => bucket[of])))}${unit} at most`);
  const label = `${title} of the last 24 hours: ${said.join(", ")}`;
  return html`
    <figure class="card chart">
      <figcaption><h2>${title}</h2><span class="quiet">${series[0].sum ? said.join(", ") : `up to ${count(top)}${unit}`}</span></figcaption>
      <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>
        ${[0.25, 0.5, 0.75].map((part) => html`<line class="grid" x1="0" x2=${WIDTH} y1=${HEIGHT * part} y2=${HEIGHT * part} />`)}
        ${series.map(({ of, as }) => (as === "bars"
          ? busy.map((bucket) => html`<rect class="bars" x=${x(bucket)} width=${Math.max(1, width)} y=${y(bucket[of])} height=${HEIGHT - y(bucket[of])} />`)
          : html`<polyline class="line" points=${busy.map((bucket) => `${x(bucket) + width / 2},${y(bucket[of])}`).join(" ")} />`))}
      </svg>
      <div class="axis" aria-hidden="true"><span>24 h ago</span><span>12 h</span><span>now</span></div>
      ${series.length > 1 && html`<ul class="legend">${series.map(({ name, as }) => html`<li class=${as}>${name}</li>`)}</ul>`}
    </figure>`;
}
