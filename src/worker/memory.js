// The life of Wasm's memory. An abort (a panic, an allocation that fails, a stack overflow) stops the code in the middle
// of its work: the memory cannot be trusted, and no promise that was made in it is ever settled. So each abort ends
// every call that waits for that memory, and the next call gets a new one.
//
// INVARIANT: a memory is replaced only while no frame of Wasm is on the stack, and never by the bindings themselves
// (`schedule_reinit`): a callback of the old memory that came first would run in the new one with the old pointers.
// Until the memory is replaced the bindings refuse all calls ("Module terminated"), afterwards they refuse callbacks of
// older memories.

/** The reason of every call that was waiting for a memory when it was lost. */
export class MemoryLost extends Error {
  constructor() {
    super("The Wasm instance was aborted");
  }
}

let make;
let arm;
let number = 0;
let isLost = false;
let waiting = new Set();

/** Says how a new memory is made, and how its aborts are made known to [`aborted`]. */
export function begin(reset, watch) {
  [make, arm] = [reset, watch];
  arm();
}

/** The number of the memory in use: objects of an older one do not work in it. */
export const memoryNumber = () => number;

/** Ends every call of the current memory. The bindings call it when an exception leaves Wasm. */
export function aborted() {
  if (isLost) return;
  isLost = true;
  const ended = waiting;
  waiting = new Set();
  for (const end of ended) end(new MemoryLost());
  console.error(JSON.stringify({ event: "abort", memory: number, calls: ended.size }));
  // Not before the stack is empty; the old memory is garbage then, whether or not another call comes.
  queueMicrotask(renew);
}

function renew() {
  if (!isLost) return;
  number += 1;
  make();
  arm();
  isLost = false;
}

/** Calls Wasm, in a memory that is sound. */
export function guarded(call) {
  renew();
  let result;
  try {
    result = call();
  } catch (error) {
    // A stack overflow can leave too little room for the bindings to tell of it.
    if (error instanceof WebAssembly.RuntimeError || error?.message === "Module terminated") aborted();
    throw isLost ? new MemoryLost() : error;
  }
  if (isLost) throw new MemoryLost();
  return result instanceof Promise ? settled(result) : result;
}

// The abort may come out of another request. The host carries the rejection over to the request that waits for it, unless
// it has found by then that the request waits for nothing: its own events have all come to callbacks of the old memory.
// A timer is one event more. It is longer than any call takes.
const ALIVE_MS = 120_000;

/** A promise of Wasm's that also ends with its memory. */
export function settled(promise) {
  const ended = waiting;
  return new Promise((resolve, reject) => {
    const alive = setTimeout(() => {}, ALIVE_MS);
    const end = (settle) => (value) => {
      clearTimeout(alive);
      ended.delete(lose);
      settle(value);
    };
    const lose = end(reject);
    ended.add(lose);
    promise.then(end(resolve), lose);
  });
}

/** A streamed answer that breaks off where the memory that makes it is lost. */
export function outlasting(response) {
  const reader = response.body.getReader();
  const body = new ReadableStream({
    async pull(controller) {
      const { done, value } = await settled(reader.read());
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new Response(body, response);
}
