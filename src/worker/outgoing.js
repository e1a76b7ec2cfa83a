// Long answers on their way to their readers. One that is read slowly is held in the isolate's memory meanwhile, which
// all accounts share: so they are handed out in chunks, counted until they are read, and refused past a limit
// (`docs/limits.md`).

/** Longer answers are counted, in bytes. */
export const LONG = 256 << 10;

const ALL = 24 << 20;
const CHUNK = 64 << 10;
const MOST_MS = 60_000;

// A reader that has gone may never be heard of again: after its time an answer is not counted any more.
const held = new Map();
let last = 0;

/** The answer's body as a stream, or nothing where too much is on its way already. */
export function outgoing(bytes) {
  const now = Date.now();
  let sum = bytes.length;
  for (const [number, one] of held) {
    if (one.until < now) held.delete(number);
    else sum += one.length;
  }
  if (sum > ALL) return undefined;
  const number = (last += 1);
  const until = now + MOST_MS;
  held.set(number, { length: bytes.length, until });
  let at = 0;
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      if (Date.now() > until) {
        held.delete(number);
        controller.error(new Error("the answer was read too slowly"));
        return;
      }
      // A copy: the stream takes the chunk's buffer away.
      controller.enqueue(bytes.slice(at, (at += CHUNK)));
      if (at < bytes.length) return;
      held.delete(number);
      controller.close();
    },
    cancel() {
      held.delete(number);
    },
  });
}
