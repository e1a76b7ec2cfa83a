// Reading what an issuer publishes. What is asked for, and what is made of the answer, the Wasm says.

const TIME_LIMIT = 5_000;
const BYTES = 64 << 10;

/** A GET without following redirects, of no more than 64 KiB in five seconds: `{ status, cacheControl, body }`. */
export async function get(fetch, url, accept) {
  const response = await fetch(url, { headers: { accept }, redirect: "manual", signal: AbortSignal.timeout(TIME_LIMIT) });
  const body = new Uint8Array(BYTES);
  let length = 0;
  for await (const chunk of chunks(response)) {
    if (length + chunk.length > BYTES) throw new Error(`the answer is longer than ${BYTES} bytes`);
    body.set(chunk, length);
    length += chunk.length;
  }
  return { status: response.status, cacheControl: response.headers.get("cache-control") ?? undefined, body: body.subarray(0, length) };
}

/** A body's parts; a reader that stops early ends the transfer. */
async function* chunks(response) {
  const reader = response.body?.getReader();
  try {
    for (let part = await reader?.read(); part && !part.done; part = await reader.read()) yield part.value;
  } finally {
    await reader?.cancel().catch(() => {});
  }
}
