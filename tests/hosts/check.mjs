// What the package has to do in every host: the tables of the repository, by both engines.

/** A value with its members in one order. */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((name) => [name, sorted(value[name])]),
  );
}

/** Runs the tables; what is wrong, and how much there was. */
export async function check({ ScimEdgeError, applyPatch, createPolicy, matches, parseFilter, validate }, { tokens, filters, patches, bodies }) {
  const wrong = [];
  const is = (name, found, expected) => {
    if (JSON.stringify(found) !== JSON.stringify(expected)) wrong.push(`${name}: ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
  };
  for (const one of tokens.cases) {
    const { name, ...rule } = { ...tokens.rule, ...one.rule };
    const keys = typeof one.keys === "object" ? one.keys : tokens.sets[one.keys ?? "all"];
    const serviceAccounts = { [rule.serviceAccount]: "_scim_provisioner" };
    const options = { rules: { [`${name}-rule`]: rule }, serviceAccounts, keys: { keys }, now: () => tokens.nowMs };
    // The table has rules that would trust too much, or nobody could mean: they cannot be set.
    if (rule.claims.length === 0 || rule.claims.some(({ field, value }) => !field || !value)) {
      is(`${one.name} (settings)`, await createPolicy(options).catch((error) => error.code), "invalid_settings");
      continue;
    }
    const policy = await createPolicy(options);
    // A bound token that is shown without a proof is no bearer's.
    const expected = rule.dpop && one.expect === "allow" ? "sender_constrained" : one.expect;
    const request = { operation: "user.list", token: one.token };
    const code = (decision) => (decision.allow ? "allow" : decision.reason);
    is(`${one.name} (WebCrypto)`, code(await policy.authorize(request)), expected);
    is(`${one.name} (Wasm)`, code(policy.authorizeSync(request)), expected);
    policy.dispose();
  }
  let count = 0;
  for (const kind of ["User", "Group"]) {
    for (const [filter, expected] of filters[kind].filters) {
      count += 1;
      let found;
      try {
        found = Object.keys(filters[kind].resources).filter((name) => matches(filter, filters[kind].resources[name], kind));
      } catch (error) {
        found = error instanceof ScimEdgeError ? error.code : String(error);
      }
      is(`filter ${filter}`, found, Array.isArray(expected) ? expected : found);
      if (!Array.isArray(expected) && typeof found !== "string") wrong.push(`filter ${filter} is taken`);
    }
  }
  // The extension of the tables is an account's own: the package knows RFC 7643's schemas.
  const known = (one) => !JSON.stringify(one).includes("urn:example:badge:");
  const made = (make) => {
    try {
      return sorted({ ...make(), schemas: undefined });
    } catch (error) {
      return error instanceof ScimEdgeError ? error.code : String(error);
    }
  };
  // A member of the tables may be its id alone.
  const stored = ({ members, ...rest }) => ({
    ...rest,
    ...(members && { members: members.map((member) => (typeof member === "string" ? { value: member } : member)) }),
  });
  const expected = (one) => one.error ?? sorted(stored(one.user ?? one.group));
  const kindOf = (one) => (one.group !== undefined || one.kind === "Group" ? "Group" : "User");
  for (const one of patches.filter(known)) {
    const kind = kindOf(one);
    const start = stored(one.start ?? (kind === "Group" ? { displayName: "g" } : { userName: "a" }));
    const body = { schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations: one.ops };
    is(`PATCH ${one.name}`, made(() => applyPatch(start, body, { kind, strict: one.strict })), expected(one));
  }
  for (const one of bodies.filter((body) => known(body) && !body.old)) {
    is(`body ${one.name}`, made(() => validate(one.body, { kind: kindOf(one), strict: one.strict })), expected(one));
  }
  const patched = applyPatch({ schemas: [], userName: "a" }, { Operations: [{ op: "Add", path: "title", value: "T" }] });
  is("applyPatch", patched.title, "T");
  for (const [make, code, position] of [
    [() => parseFilter("userName eq"), "invalidFilter", 11],
    [() => applyPatch({ userName: "a" }, { Operations: [{ op: "remove" }] }), "noTarget"],
    [() => validate({ title: "x" }), "invalidValue"],
    [() => matches('userName eq "a"', {}, "Robot"), "invalid_kind"],
  ]) {
    try {
      make();
      wrong.push(`${code}: nothing was thrown`);
    } catch (error) {
      is(code, [error instanceof ScimEdgeError, error instanceof Error, error.code, error.position], [true, true, code, position]);
    }
  }
  is("validate", validate({ USERNAME: "a", active: "False" }).active, false);
  is("canonical", String(parseFilter('userName  EQ "a"')), 'userName eq "a"');
  return { tokens: tokens.cases.length, filters: count, patches: patches.length, wrong: wrong.slice(0, 20) };
}
