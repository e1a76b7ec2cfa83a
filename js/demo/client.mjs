// The admin API and SCIM, as much of them as the demonstration and the tests need.

/** Calls of the admin API with a key. */
export function admin(url, key, account) {
  async function call(method, path, body) {
    const separator = path.includes("?") ? "&" : "?";
    const response = await fetch(`${url}${path}${separator}accountIdentifier=${account}`, {
      method,
      headers: { "x-api-key": key, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }
  async function data(method, path, body) {
    const answer = await call(method, path, body);
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body.data;
  }
  return {
    call,
    data,
    /**
     * Sets settings; throws where one is refused. With `replace` a change of the origin is confirmed, whatever the
     * directory holds.
     */
    async set(values, { replace = false } = {}) {
      const changes = Object.entries(values).map(([identifier, value]) => ({
        identifier,
        value,
        allowOverrides: false,
        updateType: value === null ? "RESTORE" : "UPDATE",
      }));
      let answers = await data("PUT", "/ng/api/settings", changes);
      const asked = answers.find((answer) => !answer.updateStatus && answer.switch?.confirm);
      if (replace && asked) {
        const confirmed = changes.map((change) => (change.identifier === asked.identifier ? { ...change, confirm: asked.switch.confirm } : change));
        answers = await data("PUT", "/ng/api/settings", confirmed);
      }
      const refused = answers.filter((answer) => !answer.updateStatus);
      if (refused.length > 0) throw new Error(JSON.stringify(refused));
      return answers;
    },
    /** Makes a service account with a role, and returns a key of it. */
    async serviceAccount(identifier, role) {
      const existing = await call("GET", `/ng/api/serviceaccount/${identifier}`);
      if (existing.status !== 200) {
        await data("POST", "/ng/api/serviceaccount", { identifier, name: identifier });
      }
      await data("POST", "/authz/api/roleassignments", {
        roleIdentifier: role,
        principal: { identifier, type: "SERVICE_ACCOUNT" },
      });
    },
    mint: (identifier) =>
      data("POST", "/ng/api/token", { apiKeyType: "SERVICE_ACCOUNT", parentIdentifier: identifier, name: "demo" }),
  };
}

/** A SCIM client of an account of the gateway. */
export const scim = (url, account, token) => clientOf(`${url}/ng/api/scim/account/${account}`, token);

/** A SCIM client of any server. */
export function clientOf(base, token) {
  async function call(method, path, body, headers = {}) {
    const response = await fetch(`${base}${path}`, {
      method,
      redirect: "manual",
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/scim+json" }),
        ...headers,
      },
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await response.text();
    let parsed;
    try {
      parsed = text === "" ? undefined : JSON.parse(text);
    } catch {
      parsed = text;
    }
    return { status: response.status, headers: response.headers, body: parsed };
  }
  return { base, call, get: (path, headers) => call("GET", path, undefined, headers) };
}
