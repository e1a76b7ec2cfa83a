// The gateway's admin and operators' API, as the commands call it.

import { note, plain } from "./cli-output.mjs";

/** How a command ends. */
export const EXIT = { done: 0, failed: 1, usage: 2, denied: 3, refused: 4, unavailable: 5, no: 6 };

/** How long an answer may take. */
const TIMEOUT_MS = 30_000;

/** How long one that has much to do may take. */
const LONG_MS = 300_000;

/** A command that did not succeed, with what to say of it. */
export class CommandError extends Error {
  /** `status` and `body` are the gateway's, where it answered. */
  constructor(exit, message, status, body) {
    super(message);
    this.exit = exit;
    this.status = status;
    this.body = body;
  }
}

const usage = (message) => new CommandError(EXIT.usage, message);

/** Where the gateway is: by https, or on this machine; anywhere else the key would be read on the way. */
function address(text) {
  if (!text) throw usage("Which gateway? Give --url or set SCIM_EDGE_URL");
  const url = parse(text);
  const local = url && ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  if (!url || !(url.protocol === "https:" || (url.protocol === "http:" && local))) {
    throw usage("The gateway's URL must begin with https:// (http:// only for one on this machine)");
  }
  if (url.username || url.password || url.search || url.hash) throw usage("The gateway's URL must be an address and nothing else");
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

function parse(text) {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** Calls of one account with one key. */
export function connect({ url, account, key }) {
  const base = address(url);
  if (!/^[\w-]{1,64}$/.test(account ?? "")) throw usage("Which account? Give --account or set SCIM_EDGE_ACCOUNT (letters, digits, _ and -)");
  if (!key) throw usage("With which key? Set SCIM_EDGE_KEY or give --key-file");
  if (!/^[\x21-\x7e]+$/.test(key)) throw usage("The key must be one word");

  function targetOf(path, query) {
    const target = new URL(base + path);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) target.searchParams.set(name, value);
    return target;
  }

  const unreachable = (why) => new CommandError(EXIT.unavailable, `${base} cannot be reached: ${why}`);

  async function call(method, path, { query = {}, body, lines, timeout = TIMEOUT_MS } = {}) {
    const sent = lines ?? (body === undefined ? undefined : JSON.stringify(body));
    const type = lines === undefined ? "application/json" : "application/x-ndjson";
    const target = targetOf(path, query);
    let response, text;
    try {
      response = await fetch(target, {
        method,
        redirect: "manual",
        headers: { "x-api-key": key, accept: "application/json", ...(sent !== undefined && { "content-type": type }) },
        body: sent,
        signal: AbortSignal.timeout(timeout),
      });
      text = await response.text();
    } catch (error) {
      const why = error.name === "TimeoutError" ? `no answer within ${timeout / 1000} s` : (error.cause?.message ?? error.message);
      throw unreachable(why);
    }
    return read(response, text);
  }

  return {
    account,
    /** A call about the account itself, with the root key: the `data` of its answer. */
    async accounts(method, path, options) {
      const answer = await call(method, `/ng/api/accounts/${account}${path}`, options);
      return answer?.data;
    },
    /** A call of the admin API: the `data` of its answer. */
    async admin(method, path, { query, body } = {}) {
      const answer = await call(method, path, { query: { ...query, accountIdentifier: account }, body });
      for (const warning of answer?.metaData?.warnings ?? []) note(`Warning: ${plain(warning)}`);
      return answer?.data;
    },
    /** A long answer of the operators' API, as a stream of bytes. */
    async download(path, query) {
      const target = targetOf(`/ng/api/scim/account/${account}/${path}`, query);
      const headers = { "x-api-key": key, accept: "application/x-ndjson" };
      const response = await fetch(target, { redirect: "manual", headers }).catch((error) => {
        throw unreachable(error.cause?.message ?? error.message);
      });
      if (response.status !== 200) read(response, await response.text());
      return response.body;
    },
    /** A call of the operators' API that takes its time: `lines` are sent as they are. */
    upload: (path, options) => call("POST", `/ng/api/scim/account/${account}/${path}`, { ...options, timeout: LONG_MS }),
    /** A call of the operators' API, below the account's SCIM base. */
    operate: (method, path, options) => call(method, `/ng/api/scim/account/${account}/${path}`, options),
  };
}

/** An answer's JSON; an error says what the gateway said. */
function read({ status, headers }, text) {
  let body;
  try {
    body = text === "" ? undefined : JSON.parse(text);
  } catch {
    if (status < 300) throw new CommandError(EXIT.failed, "The answer is no JSON: is the URL the gateway's?");
  }
  if (status >= 200 && status < 300) return body;
  if (status >= 300 && status < 400) throw new CommandError(EXIT.failed, `The answer is a redirect (${status}): is the URL the gateway's own?`);
  const said = [body?.detail, body?.message].find((one) => typeof one === "string") ?? `The gateway answered ${status}`;
  if (status === 401 || status === 403) throw new CommandError(EXIT.denied, said, status);
  if (status === 429 || status >= 500) {
    const after = headers.get("retry-after");
    throw new CommandError(EXIT.unavailable, after ? `${said} (try again in ${after} s)` : said, status);
  }
  throw new CommandError(EXIT.refused, said, status, body);
}
