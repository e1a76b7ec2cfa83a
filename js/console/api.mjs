// The gateway's APIs, as one who has signed in calls them. The key is in this object and nowhere else.

/** A call that was not answered as hoped: its status and the sentence that the gateway gave. */
export class Refused extends Error {
  constructor(status, sentence, body) {
    super(sentence);
    this.name = "Refused";
    this.status = status;
    this.body = body;
  }
}

async function call(method, url, headers, body) {
  let response;
  try {
    response = await fetch(url, {
      method,
      headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
  } catch {
    throw new Refused(0, "The gateway could not be reached.");
  }
  const text = await response.text();
  let read;
  try {
    read = text === "" ? undefined : JSON.parse(text);
  } catch {
    read = undefined;
  }
  if (!response.ok) {
    // The settings API says `message`, SCIM says `detail`.
    const sentence = read?.message ?? read?.detail ?? `The gateway answered ${response.status}.`;
    throw new Refused(response.status, sentence, read);
  }
  return { status: response.status, headers: response.headers, body: read };
}

/**
 * The calls of one who has signed in.
 *
 * @param {string} account The account's identifier.
 * @param {string} key An API key of the account's, or the root key.
 */
export function session(account, key) {
  const named = `accountIdentifier=${encodeURIComponent(account)}`;
  const base = `/ng/api/scim/account/${encodeURIComponent(account)}`;
  const own = /^(pat|sat)\./.test(key);
  return {
    account,
    /** The key's public part. */
    keyName: own ? key.split(".").slice(0, 3).join(".") : "root key",
    base,
    /** What SCIM calls are made with: the root key opens none. */
    bearer: own ? key : undefined,
    /** A call of the settings API; its `data`. */
    async admin(method, path, body) {
      const url = `${path}${path.includes("?") ? "&" : "?"}${named}`;
      return (await call(method, url, { "x-api-key": key }, body)).body?.data;
    },
    /** A call of the operators' API; its body. */
    async operator(method, path, body) {
      return (await call(method, `${base}/${path}`, { "x-api-key": key }, body)).body;
    },
    /** A SCIM read; all of its answer. */
    scim(path) {
      return call("GET", `${base}/${path}`, { authorization: `Bearer ${this.bearer}`, accept: "application/scim+json" });
    },
  };
}
