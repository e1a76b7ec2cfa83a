// What was measured, as docs/benchmarks.md and a picture beside it.

import { besideAnchors, targets } from "./targets.mjs";
import { SLOW_MS } from "./measure.mjs";
import { megabytes } from "./memory.mjs";
import { plot } from "./plot.mjs";
import { AGAIN, FLOOR, OURS } from "./reads.mjs";
import { median, shown, spread, table } from "./statistics.mjs";

/** Requests per second of all contenders, with notes on those that could not be asked like the others. */
function rates({ measured, contenders }) {
  const notes = [];
  const noted = (text, note) => {
    if (!notes.includes(note)) notes.push(note);
    return `${text}<sup>${notes.indexOf(note) + 1}</sup>`;
  };
  const cell = (who, of) => {
    if (!of) return "–";
    if (of.unanswered) return noted("–", `${who}: ${of.unanswered}.`);
    const figure = `${shown(median(of.perSecond))} ± ${Math.round(spread(of.perSecond) * 100)} %`;
    return of.alone ? noted(figure, `One question after another: each answer takes longer than ${SLOW_MS} ms.`) : figure;
  };
  const cpu = (of) => (of && of.cpu.length > 0 ? shown(median(of.cpu)) : "–");
  const rows = Object.entries(measured).map(([column, by]) => [column, ...contenders.map((who) => cell(who, by[who])), cpu(by[OURS]), cpu(by[FLOOR])]);
  const listed = notes.map((note, place) => `${place + 1}. ${note}`).join("\n");
  return [table(["requests per second", ...contenders, "CPU µs, ours", "CPU µs, floor"], rows), listed].filter(Boolean).join("\n\n");
}

function growth(sizes) {
  const counts = sizes.map(({ count }) => `${count.toLocaleString("en")} users`);
  const cell = ({ perSecond, cpu }) => `${shown(median(perSecond))} (${shown(median(cpu))})`;
  const rows = Object.keys(sizes[0].found).map((column) => [column, ...sizes.map(({ found }) => cell(found[column]))]);
  return table(["", ...counts], rows);
}

function memoryTable(memory) {
  const rows = memory.map(({ tokens, requests, resident, heap, wasm }) => [tokens.toLocaleString("en"), requests.toLocaleString("en"), ...[resident, heap, wasm].map(megabytes)]);
  return table(["tokens", "requests", "resident MB", "heap MB", "Wasm's memory MB"], rows);
}

function writesTable({ groups, origin, rows }) {
  const ms = (value) => `${shown(value)} ms`;
  return table(
    ["", ""],
    [
      ["PATCH add of 1 member, group of 10", ms(groups.ten)],
      [`PATCH add of 1 member, group of ${groups.members.toLocaleString("en")}`, ms(groups.everyone)],
      ["PUT to an origin itself", ms(origin.own)],
      ["PUT to it through the gateway", ms(origin.through)],
      ["rows for a new user with one e-mail address", rows.create],
      ["rows for a new user with two", rows.createTwo],
      ["rows for a PATCH of one attribute", rows.patch],
    ],
  );
}

function scansTable({ found }) {
  const rows = Object.entries(found).map(([name, { ms, neighbour }]) => [name, shown(median(ms)), shown(median(neighbour)), shown(Math.max(...neighbour))]);
  return table(["", "ms", "a read by id beside it, ms", "at most"], rows);
}

/** The report's text, and the picture where there is more than one size to draw. */
export function report(results) {
  const { conditions, reads, sizes, scans, writes, memory } = results;
  const picture = sizes?.length > 1 ? plot(sizes) : undefined;
  const parts = [
    "# Benchmarks",
    `Written by \`npm run bench\`: ${conditions}.`,
    `Everything is asked in turn, in each round; figures are medians, with half of what lies between the quartiles. Each
request asks something else than those before it: another user, another page, other letters of a name; ours, the floor
and the peers are asked the same. In "${AGAIN}" ours is asked one question of the column over and
over, which it answers from what it kept. Ours verifies a JWT of each request (RS256, verified once before); the floor
is a bare JavaScript Worker before a bare object, one read of SQLite and the same bytes (of a page, as many, from
memory); the peers keep their users in memory and verify nothing. Ours and the floor run on workerd itself, with data
on disk.`,
    "## Targets",
    table(["what", "found", "target", ""], targets(results)),
  ];
  if (reads) {
    parts.push("## Reads", rates(reads));
    parts.push("## Beside published anchors", "What others have published of the same questions, measured on another machine: requests per second.");
    parts.push(table(["", "ours", "published anchor", "ours / anchor", "target", ""], besideAnchors(reads)));
  }
  if (sizes) parts.push("## As the directory grows", "Requests per second, and microseconds of CPU for each.", growth(sizes));
  if (picture) parts.push("![CPU time of a read against the size of the directory](benchmarks.svg)");
  if (scans) parts.push("## What no index serves", `Over ${scans.users.toLocaleString("en")} users, one at a time, and with a client beside it that reads by id.`, scansTable(scans));
  if (writes) parts.push("## Writes", "Medians; rows as SQLite counts them, with those of indexes.", writesTable(writes));
  if (memory) parts.push("## Memory", "Of workerd and of the isolate in it, its garbage collected, as tokens that were not there before go by.", memoryTable(memory));
  parts.push("## Where the time goes", "[speed.md](speed.md) follows a request through its parts.");
  return { text: `${parts.join("\n\n")}\n`, picture };
}
