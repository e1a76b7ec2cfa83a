// What the commands print: results to standard output, everything said beside them to standard error.

/** Text of somebody else's, without what a terminal would obey. */
// eslint-disable-next-line no-control-regex
export const plain = (value) => String(value ?? "").replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2028\u2029\u2066-\u2069]/g, "\ufffd");

/** One result line. */
export const print = (line) => process.stdout.write(`${line}\n`);

/** A result for scripts. */
export const printJson = (value, indent = 2) => print(JSON.stringify(value, null, indent));

/** One line beside the result. */
export const note = (line) => process.stderr.write(`${line}\n`);

/** Rows of cells below a heading, in columns. */
export function table(heading, rows) {
  const cells = [heading, ...rows.map((row) => row.map(plain))];
  const widths = heading.map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  for (const row of cells) print(row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd());
}

/** Names and values, one pair a line; what has no value is left out. */
export function pairs(entries) {
  const shown = entries.filter(([, value]) => value !== undefined && value !== null);
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  for (const [name, value] of shown) print(`${name.padEnd(width)}  ${plain(value)}`);
}

/** A time for people. */
export const time = (ms) => (Number.isFinite(ms) ? new Date(ms).toISOString().replace(/\.\d+Z$/, "Z") : "");

/** How far long work is: a bar where somebody watches, else a line whenever it has moved on. */
export function progress(title) {
  const watched = process.stderr.isTTY;
  let last = "";
  return {
    show({ copied, total, perSecond }) {
      const share = total > 0 ? Math.min(1, copied / total) : undefined;
      const rate = perSecond > 0 ? `, ${Math.round(perSecond)}/s` : "";
      const count = total > 0 ? `${copied} of ${total}` : `${copied}`;
      const bar = share === undefined ? "" : `[${"#".repeat(Math.floor(share * 30)).padEnd(30, "-")}] `;
      const line = watched ? `${title} ${bar}${count}${rate}` : `${title} ${count}`;
      if (line === last) return;
      process.stderr.write(watched ? `\r\u001b[K${line}` : `${line}\n`);
      last = line;
    },
    end() {
      if (watched && last !== "") process.stderr.write("\r\u001b[K");
    },
  };
}
