// What crosses between SQLite and Wasm, in as few calls as possible: each call costs as much as a hundred
// bytes of what it carries. Rows go over in one text, their cells behind each other.

const CELL = "\u001f";
const ROW = "\u001e";
const encoder = new TextEncoder();
let rows = [];
let text = "";

/**
 * Runs a statement. Its rows are kept as one text for `take`, whose length is returned; where a cell has
 * a separator in it, -1 is, and the rows are kept as they are for `takeRows`.
 */
export function run(database, statement, binds) {
  const values = binds === "" ? [] : binds.split(CELL).map(value);
  return keep(database.exec(statement, ...values));
}

/** The same, with values that have separators in them. */
export function runWith(database, statement, values) {
  return keep(database.exec(statement, ...values));
}

function value(bind) {
  const rest = bind.slice(1);
  return bind[0] === "t" ? rest : bind[0] === "i" ? Number(rest) : null;
}

function keep(cursor) {
  rows = [];
  text = "";
  let whole = true;
  for (const row of cursor.raw()) {
    rows.push(row);
    for (const cell of row) {
      if (typeof cell === "string") {
        whole = whole && !cell.includes(CELL) && !cell.includes(ROW);
        text += `t${cell}${CELL}`;
      } else {
        text += cell === null ? `n${CELL}` : `i${cell}${CELL}`;
      }
    }
    text += ROW;
  }
  return whole ? text.length : -1;
}

/** Writes the text into Wasm's memory; returns its length in bytes, or -1 where there is too little room. */
export function take(room) {
  const { read, written } = encoder.encodeInto(text, room);
  return read === text.length ? written : -1;
}

export const takeRows = () => rows;
