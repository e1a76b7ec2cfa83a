// Answers that the host gives in Wasm's place, and the rest of a body that a refusal has left unread.

const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'",
  "retry-after": "1",
  "x-content-type-options": "nosniff",
};
const DETAIL =
  "The gateway had to start again while it answered. If this was a write, its outcome is unknown: read the resource before sending it again";
const BUSY = "Too many long answers are on their way to slow readers: ask for fewer resources (count) or attributes, or again in a moment";
const SCIM = /^(?:\/gateway)?\/+ng\/api\/scim\//;

const scimError = (status, detail) => ({ schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"], status: String(status), detail });

/** The answer in the place of one that is too long for the moment. */
export const busy = () => new Response(JSON.stringify(scimError(503, BUSY)), { status: 503, headers: { ...HEADERS, "content-type": "application/scim+json" } });

/** The answer to a call whose memory was lost, in the format of its path. */
export function unavailable(request, requestId) {
  const isScim = SCIM.test(new URL(request.url).pathname);
  const body = isScim
    ? scimError(503, DETAIL)
    : { status: "ERROR", code: "SERVICE_UNAVAILABLE", message: DETAIL, correlationId: requestId, detailedMessage: null, responseMessages: [], metadata: null };
  const type = isScim ? "application/scim+json" : "application/json";
  return new Response(JSON.stringify(body), { status: 503, headers: { ...HEADERS, "content-type": type, "x-request-id": requestId } });
}

// A body that nothing has read when the answer is sent ends the connection without notice, and the client's next request
// on it fails. Within these bounds it is read first.
const REST_BYTES = 8 << 20;
const REST_MS = 5_000;

/** Reads what is left of a request's body, unless somebody has begun to. */
export async function spend(request) {
  if (request.body === null || request.bodyUsed) return;
  const reader = request.body.getReader();
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, REST_MS, { done: true })));
  try {
    for (let left = REST_BYTES; left > 0; ) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) return;
      left -= value.byteLength;
    }
  } catch {
    // The client is gone: there is no connection to keep.
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
}
