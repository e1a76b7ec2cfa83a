// The torture's checker, on histories made by hand: those that keep the contract pass, and each way of not
// keeping it is caught.

import assert from "node:assert/strict";
import { test } from "node:test";
import { check } from "../../js/torture/check.mjs";
import { random } from "../../js/torture/random.mjs";

const user = (title) => ({ userName: "alpha~u", title, nickName: "alpha~k" });
const group = (...members) => ({ displayName: "alpha~g", externalId: "alpha~x", members });

/** Versions of a resource: `[time, who, state]`. */
const versions = (...list) => list.map(([at, by, state, more]) => ({ at, by, received: at, state, ...more }));

/** A user with a title that was changed through the gateway at 10 000, and a group. */
const USERS = { u: { kind: "User", versions: versions([1, "behind", user("alpha~0")], [10_000, "gateway", user("alpha~1")]) } };

let number = 0;
const operation = (what, start, end, more) => ({ n: (number += 1), account: "alpha", what, start, end, ...more });
const patch = (start, end, status, more) => operation("write", start, end, { status, id: "u", wrote: { title: "alpha~1" }, ...more });
const read = (start, end, title, more) =>
  operation("read", start, end, { status: 200, shows: { u: title === null ? null : user(title) }, ...more });

/** The rules that a history does not keep. */
function broken(operations, resources = USERS) {
  const found = check({ accounts: { alpha: { resources }, beta: { resources: {} } }, operations });
  return [...new Set(found.map(({ rule }) => rule))];
}

test("what keeps the contract passes", () => {
  const write = patch(9_990, 10_020, 200);
  const cases = {
    "before and after": [read(100, 110, "alpha~0"), write, read(10_030, 10_040, "alpha~1")],
    "either, while it is under way": [write, read(9_995, 10_015, "alpha~0"), read(10_005, 10_010, "alpha~1")],
    "an unknown outcome that nobody has seen yet": [patch(9_990, 10_020, 504), read(10_030, 10_040, "alpha~0")],
    "no answer at all": [patch(9_990, null, null), read(10_030, 10_040, "alpha~0")],
    "an old copy that says so": [read(11_000, 11_010, "alpha~0", { age: 2 })],
    "an error shows nothing": [write, operation("read", 10_030, 10_040, { status: 502, shows: {} })],
  };
  for (const [name, operations] of Object.entries(cases)) assert.deepEqual(broken(operations), [], name);
});

test("rule 1: what is acknowledged and not at the origin", () => {
  assert.deepEqual(broken([patch(20_000, 20_010, 200, { wrote: { title: "alpha~9" } })]), [1]);
  assert.deepEqual(broken([operation("write", 20_000, 20_010, { status: 204, id: "u", deletes: true })]), [1]);
  assert.deepEqual(broken([patch(9_000, 9_990, 200)]), [6, 1]);
  assert.deepEqual(broken([patch(20_000, 20_010, 503, { wrote: { title: "alpha~9" } })]), [], "it was refused");
});

test("rule 2: a read that does not show what was answered before it, or shows what never was", () => {
  const write = patch(9_990, 10_020, 200);
  assert.deepEqual(broken([write, read(10_021, 10_030, "alpha~0")]), [2]);
  assert.deepEqual(broken([write, read(10_021, 10_030, null)]), [2]);
  assert.deepEqual(broken([read(100, 110, "alpha~7")]), [2]);
  assert.deepEqual(broken([read(100, 110, "alpha~1")]), [2], "before it was written");
  const list = { whole: "User", shows: {} };
  assert.deepEqual(broken([write, operation("read", 10_030, 10_040, list)]), [2], "a list without it");
  const filter = { field: "title", value: "alpha~1" };
  assert.deepEqual(broken([write, operation("read", 10_030, 10_040, { ...list, filter })]), [2]);
  assert.deepEqual(broken([write, operation("read", 10_030, 10_040, { ...list, filter: { ...filter, value: "alpha~0" } })]), []);
  assert.deepEqual(broken([read(10_100, 10_110, "alpha~0", { fresh: true })]), [2], "the origin was asked");
});

test("rule 3: an unknown outcome that was seen stays", () => {
  const unknown = patch(9_990, 10_020, 504);
  assert.deepEqual(broken([unknown, read(10_030, 10_040, "alpha~1"), read(10_050, 10_060, "alpha~0")]), [2]);
  assert.deepEqual(broken([unknown, read(10_030, 10_055, "alpha~1"), read(10_050, 10_060, "alpha~0")]), []);
});

test("rules 4 and 5: what the copy claims to be as of", () => {
  assert.deepEqual(broken([read(11_000, 11_010, "alpha~0", { age: 0 })]), []);
  assert.deepEqual(broken([read(12_000, 12_010, "alpha~0", { age: 0 })]), [5]);
  assert.deepEqual(broken([read(90_000, 90_010, "alpha~0", { last: true })]), [4]);
});

test("rule 6: what was answered is not sent afterwards", () => {
  const late = { u: { kind: "User", versions: versions([1, "behind", user("alpha~0")], [10_000, "gateway", user("alpha~1")]) } };
  assert.deepEqual(broken([patch(8_000, 8_010, 503)], late), [6]);
  assert.deepEqual(broken([patch(8_000, 8_010, 504)], late), [6]);
  late.u.versions[1].received = 8_005;
  assert.deepEqual(broken([patch(8_000, 8_010, 504)], late), [], "sent before, and committed late");
});

test("rule 7: no write is undone by another", () => {
  const back = versions([1, "behind", user("alpha~0")], [10_000, "gateway", user("alpha~1")], [10_050, "gateway", user("alpha~0")]);
  assert.deepEqual(broken([], { u: { kind: "User", versions: back } }), [7]);
  const member = (start, status, present) =>
    operation("write", start, start + 10, { status, id: "g", member: { id: "u", present } });
  const resources = (...list) => ({ ...USERS, g: { kind: "Group", versions: versions([1, "behind", group()], ...list) } });
  const lost = resources([105, "gateway", group("u")], [150, "gateway", group()]);
  assert.deepEqual(broken([member(100, 204, true)], lost), [7]);
  assert.deepEqual(broken([member(100, 204, true), member(145, 204, false)], lost), []);
  assert.deepEqual(broken([member(100, 504, true)], lost), [], "its outcome was unknown");
  const gone = resources([105, "gateway", group("u")], [150, "gateway", group(), { because: "u" }]);
  assert.deepEqual(broken([member(100, 204, true)], gone), [], "the user was deleted");
});

test("a deleted user stays deleted, and is in no group", () => {
  const deleted = { received: 10_000 };
  const resources = {
    u: { kind: "User", versions: versions([1, "behind", user("alpha~0")], [10_000, "gateway", null, deleted]) },
    g: { kind: "Group", versions: versions([2, "behind", group("u")], [10_000, "gateway", group(), { because: "u" }]) },
  };
  const remove = operation("write", 9_990, 10_010, { status: 204, id: "u", deletes: true });
  const groups = (...members) => operation("read", 10_020, 10_030, { status: 200, shows: { g: group(...members) } });
  assert.deepEqual(broken([remove, read(10_020, 10_030, null), groups()], resources), []);
  assert.deepEqual(broken([remove, read(10_020, 10_030, "alpha~0")], resources), [2]);
  assert.deepEqual(broken([remove, groups("u")], resources), [2]);
});

test("a user's groups are held against the groups", () => {
  const g = { kind: "Group", versions: versions([1, "behind", group()], [10_000, "gateway", group("u")]) };
  const add = operation("write", 9_990, 10_010, { status: 204, id: "g", member: { id: "u", present: true } });
  const shown = (...groups) => read(10_020, 10_030, "alpha~1", { groupsOf: { u: groups } });
  assert.deepEqual(broken([add, shown("g")], { ...USERS, g }), []);
  assert.deepEqual(broken([add, shown()], { ...USERS, g }), [2]);
});

test("rule 8: nothing of another account is shown", () => {
  assert.deepEqual(broken([read(100, 110, "alpha~0", { marks: ["alpha"] })]), []);
  assert.deepEqual(broken([read(100, 110, "alpha~0", { marks: ["alpha", "beta"] })]), [8]);
});

test("rule 10: no more is deleted than the brake lets go, and nothing that it has stopped is sent", () => {
  const resources = {};
  const removals = [];
  for (let n = 1; n <= 4; n += 1) {
    const at = 10_000 + 100 * n;
    const remove = operation("write", at - 10, at + 10, { status: 204, id: `u${n}`, deletes: true });
    removals.push(remove);
    resources[`u${n}`] = { kind: "User", versions: versions([1, "behind", user("alpha~0")], [at, "gateway", null, { request: `t-${remove.n}` }]) };
  }
  const filled = operation("read", 100, 110, { status: 200, shows: {}, age: 0 });
  const limits = { perHour: 3, letThrough: 2 };
  const found = (...more) => {
    const list = check({ accounts: { alpha: { resources, limits } }, operations: [filled, ...removals, ...more] });
    return [...new Set(list.map(({ rule }) => rule))];
  };
  assert.deepEqual(found(), [10], "four");
  const call = (status, more) => operation("let through", 10_215, 10_220, { status, ...more });
  assert.deepEqual(found(call(200, { removals: 1 })), [], "the window begins empty");
  assert.deepEqual(found(call(409, { removals: 1 })), [], "nobody knows");
  assert.deepEqual(found(operation("let through", 9_000, 9_010, { status: 200, until: 10_150 })), []);
  assert.deepEqual(found(operation("let through", 9_000, 9_010, { status: 200, until: 9_500 })), [10]);
  limits.perHour = 4;
  assert.deepEqual(found(), []);
  Object.assign(removals[1], { status: 429, isStopped: true });
  assert.deepEqual(found(), [10], "sent all the same");
});

test("rule 10: while the origin lies, the copy keeps what it has, but for what the brake lets go", () => {
  const ids = ["a", "b", "c", "d"];
  const resources = Object.fromEntries(ids.map((id) => [id, { kind: "User", versions: versions([1, "behind", user("alpha~0")]) }]));
  const lie = { way: "half of its users", hidden: ids, start: 5_000, end: 6_000 };
  const found = (hidden, ...operations) => {
    const alpha = { resources, lies: [{ ...lie, hidden }], limits: { perHour: 3, letThrough: 0 } };
    return [...new Set(check({ accounts: { alpha }, operations }).map(({ rule }) => rule))];
  };
  const without = (start, list, more) =>
    operation("read", start, start + 10, { status: 200, shows: Object.fromEntries(list.map((id) => [id, null])), ...more });
  assert.deepEqual(found(ids, without(5_500, ["a", "b", "c"], { age: 0 })), []);
  assert.deepEqual(found(ids, without(5_500, ids, { age: 0 })), [10]);
  assert.deepEqual(found([], without(5_500, ["a"], { age: 0 })), [5], "only its lists lied");
  assert.deepEqual(found([], without(5_500, ["a"], { fresh: true })), [], "the origin's own answer");
  assert.deepEqual(found(ids, without(20_000, ["a"], { age: 0 })), [5], "it is whole again");
  assert.deepEqual(found(ids, without(20_000, ["a"], { age: 15 })), [], "and the copy is older than that");
});

test("rules 12 and 13: what was deleted through the gateway can be restored, and is there then", () => {
  const resources = {
    u: { kind: "User", versions: versions([1, "behind", user("alpha~0")], [10_000, "gateway", null]) },
    v: { kind: "User", versions: versions([11_000, "gateway", user("alpha~0")]) },
  };
  const before = read(100, 110, "alpha~0", { age: 0 });
  const remove = operation("write", 9_990, 10_010, { status: 204, id: "u", deletes: true });
  const restore = (status, more) => operation("restore", 10_900, 11_010, { status, formerId: "u", restored: "v", ...more });
  assert.deepEqual(broken([before, remove, restore(200)], resources), []);
  assert.deepEqual(broken([before, remove, restore(404)], resources), [12]);
  assert.deepEqual(broken([remove, restore(404)], resources), [], "the copy may never have had it");
  assert.deepEqual(broken([before, remove, restore(200, { end: 10_950 })], resources), [13], "the origin had it later");
  const gone = operation("read", 11_020, 11_030, { status: 200, shows: { v: null } });
  assert.deepEqual(broken([before, remove, restore(200), gone], resources), [2]);
});

test("a seed determines the choices", () => {
  const choices = (seed, name) => Array.from({ length: 20 }, ((it) => () => it.below(1000))(random(seed, name)));
  assert.deepEqual(choices(7, "a"), choices(7, "a"));
  assert.notDeepEqual(choices(7, "a"), choices(8, "a"));
  assert.notDeepEqual(choices(7, "a"), choices(7, "b"));
});
