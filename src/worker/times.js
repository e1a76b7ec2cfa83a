// How long the last requests of each account took: its Directory object is told with the next one. Bounded: what is
// too much is forgotten.

const ACCOUNTS = 256;
const TIMES = 32;
const took = new Map();

/** Notes how many milliseconds a request of the account took. */
export function keepTime(account, milliseconds) {
  const times = took.get(account);
  if (times) {
    if (times.length < TIMES) times.push(milliseconds);
  } else if (took.size < ACCOUNTS) {
    took.set(account, [milliseconds]);
  }
}

/** The times, each behind a blank; each is told once. */
export function takeTimes(account) {
  const times = took.get(account);
  if (times === undefined) return "";
  took.delete(account);
  return ` ${times.join(" ")}`;
}
