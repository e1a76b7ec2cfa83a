// The checker: whether a recorded history keeps the contract of `docs/consistency.md`.
//
// Every write goes through the origin, so the order of its commits is the order in which writes took
// effect, and a history is linearisable where each answer fits into that order: what a read shows was
// current at some moment that is not before anything the reader's world could already know, and not
// after the read. No search is needed.
//
// A history: `{ accounts: { name: { resources: { id: { kind, versions } }, lies, limits } }, operations }`, with
// versions as in `truth.mjs`, operations as in `clients.mjs`, and `lies` and `limits` of the brake as in `lies.mjs`.

import { Lies, checkBrake } from "./brakes.mjs";
import { EXISTS, Registers, member, values } from "./registers.mjs";

/** The clocks of origin, clients and gateway are one machine's: this is for their rounding. */
const SLACK_MS = 60;

/** The violations in a history, as `{ rule, text }`. */
export function check({ accounts, operations }) {
  const violations = [];
  const report = (rule, text) => violations.push({ rule, text });
  const registers = {};
  const lies = {};
  for (const [name, account] of Object.entries(accounts)) {
    registers[name] = new Registers(account.resources);
    lies[name] = new Lies(account.lies);
    checkCommits(registers[name], report);
    if (account.limits) checkBrake(account, operations.filter((one) => one.account === name), report);
  }
  checkPairs(registers, operations, report);
  const ended = operations.filter(({ end }) => end !== null).sort((a, b) => a.end - b.end);
  const starts = earliest(ended);
  const shown = new Shown();
  for (const [place, operation] of ended.entries()) {
    const own = registers[operation.account];
    own.move(starts[place], operation.end);
    shown.note(operation);
    checkIsolation(operation, Object.keys(accounts), report);
    if (operation.what === "write") checkWrite(own, operation, report);
    else if (operation.what === "refresh") noteRefresh(own, operation);
    else if (operation.what === "restore") checkRestore(own, operation, shown, report);
    else if (operation.what === "read") checkRead(own, operation, lies[operation.account], report);
  }
  for (const [name, { limits }] of Object.entries(accounts)) if (limits) lies[name].check(limits, report);
  return violations;
}

/** What copies have shown, and who was told of a deletion, until now. */
class Shown {
  #shown = new Map();
  #deleted = new Map();

  note({ what, age, shows = {}, deletes, id, status, start, end }) {
    if (what === "read" && age !== undefined) {
      for (const [one, state] of Object.entries(shows)) if (state && !this.#shown.has(one)) this.#shown.set(one, end);
    }
    const wasShown = this.#shown.get(id) < start;
    if (deletes && status === 204 && wasShown && !this.#deleted.has(id)) this.#deleted.set(id, end);
  }

  /** Whether a resource that a copy had was deleted by a client that was told so before `time`. */
  isDeleted(id, time) {
    return this.#deleted.get(id) < time;
  }
}

/** When the first of what is still to come began, for each place in a list. */
function earliest(operations) {
  let least = Infinity;
  return operations.toReversed().map(({ start }) => (least = Math.min(least, start))).toReversed();
}

/** Every token is written once: one that comes back was put back by a stale write (rule 7). */
function checkCommits(registers, report) {
  for (const [id, field, { entries }] of registers.all()) {
    if (field === EXISTS || field.startsWith("member:")) continue;
    const seen = new Set();
    for (const { value } of entries) {
      if (seen.has(value)) report(7, `${field} of ${id} went back to ${value} at the origin: a later write was lost`);
      seen.add(value);
    }
  }
}

/** A user is put into and taken out of a group by one client only, one request at a time: between its requests
 * nothing changes, unless user or group are deleted (rule 7). */
function checkPairs(registers, operations, report) {
  const pairs = new Map();
  for (const operation of operations) {
    if (!operation.member) continue;
    const key = `${operation.account} ${operation.id} ${operation.member.id}`;
    if (!pairs.has(key)) pairs.set(key, []);
    pairs.get(key).push(operation);
  }
  for (const list of pairs.values()) {
    list.sort((a, b) => a.start - b.start);
    for (const [place, { account, id, member: pair, status, end }] of list.entries()) {
      if (end === null || !is2xx(status)) continue;
      const until = list[place + 1]?.start ?? Infinity;
      const lost = registers[account]
        .get(id, member(pair.id))
        ?.entries.find((entry) => entry.at > end && entry.at < until && (entry.value ?? false) !== pair.present);
      const isGone = lost && (lost.because || registers[account].get(id, EXISTS).entries.some((entry) => entry.at === lost.at && !entry.value));
      if (lost && !isGone) report(7, `member ${pair.id} of ${id}: an acknowledged change was lost at the origin`);
    }
  }
}

/** What one account has written is never seen in another's answers (rule 8). */
function checkIsolation({ account, marks = [], n }, names, report) {
  const foreign = marks.find((mark) => names.includes(mark) && mark !== account);
  if (foreign) report(8, `operation ${n} of ${account} was answered with data of ${foreign}`);
}

function checkWrite(registers, operation, report) {
  const { n, start, end, status } = operation;
  const made = effects(registers, operation);
  for (const { register, index } of made) {
    const { received } = register.entries[index];
    // Anybody may delete: of a deletion nobody can tell whose it was.
    if (!operation.deletes && received > end + 2) report(6, `operation ${n} was answered ${status}, and sent to the origin after that`);
  }
  if (!is2xx(status)) return;
  const expected = Object.keys(operation.wrote ?? {}).length + (operation.deletes ? 1 : 0) + (operation.member ? 1 : 0);
  if (made.length < expected && !isOvertaken(registers, operation)) {
    report(1, `operation ${n} was answered ${status}, and the origin never had it`);
  }
  for (const { id, register, index } of made) {
    if (register.entries[index].at > end) report(1, `operation ${n} was answered ${status} before the origin had it`);
    register.raise(end, index, `operation ${n} (answered ${status}) had made it so`);
    const exists = registers.get(id, EXISTS);
    // What was written to is there.
    if (!operation.deletes) exists.raise(end, exists.before(register.entries[index].at + 0.001), `operation ${n} had written to it`);
    if (operation.deletes) {
      for (const group of registers.ids("Group")) {
        const pair = registers.get(group, member(id));
        const cascade = pair.entries.findIndex(({ because, at }) => because === id && at >= start && at <= end);
        if (cascade > 0) pair.raise(end, cascade, `operation ${n} had deleted the user`);
      }
    }
  }
}

/** What was shown by the copy, and deleted by a client that was told so, can be restored; and what is restored is there. */
function checkRestore(registers, { n, start, end, status, formerId, restored }, known, report) {
  if (status === 404 && known.isDeleted(formerId, start)) report(12, `operation ${n} did not find ${formerId}, which was deleted through the gateway`);
  if (status !== 200) return;
  const exists = registers.get(restored, EXISTS);
  const made = exists?.entries.findIndex(({ value, at }) => value === true && at <= end) ?? -1;
  if (made < 0) report(13, `operation ${n} had restored ${formerId} as ${restored}, which the origin did not have`);
  else exists.raise(end, made, `operation ${n} had restored it`);
}

/** What was read anew is shown from then on, as it was when that was asked for. */
function noteRefresh(registers, { n, start, end, status, refreshed = [] }) {
  if (status !== 200) return;
  for (const id of refreshed) {
    for (const field of registers.fields(id)) {
      const register = registers.get(id, field);
      register.raise(end, register.before(start), `operation ${n} had it read anew`);
    }
  }
}

/** Where in which registers a write took effect. */
function effects(registers, { id, wrote = {}, deletes, member: pair, start, end }) {
  const found = [];
  const add = (own, register, index) => index >= 0 && found.push({ id: own, register, index });
  for (const [field, value] of Object.entries(wrote)) {
    const place = registers.written(field, value);
    if (place && (id === undefined || place.id === id)) found.push(place);
  }
  if (deletes) {
    const register = registers.get(id, EXISTS);
    add(id, register, register?.entries.findLastIndex((entry) => entry.value === false) ?? -1);
  }
  if (pair) {
    const register = registers.get(id, member(pair.id));
    const holds = (index) => (register.entries[index].value ?? false) === pair.present;
    const first = register ? register.before(start) : -1;
    const last = register ? register.before(end + 0.001) : -1;
    let index = first;
    while (index >= 0 && index <= last && !holds(index)) index += 1;
    if (index >= 0 && index <= last) add(id, register, index);
  }
  return found;
}

/** Whether what a write named was deleted before it was answered: an origin may then leave members out. */
function isOvertaken(registers, { member: pair, end }) {
  const exists = pair && registers.get(pair.id, EXISTS);
  return Boolean(exists?.entries.some((entry) => entry.at <= end && entry.value === false));
}

function checkRead(registers, operation, lies, report) {
  // What the origin says is its own affair.
  if (lies.isTold(operation)) return;
  const isHidden = (id) => lies.hides(operation, id);
  for (const [id, state] of Object.entries(operation.shows)) {
    if (registers.kind(id) === undefined) {
      if (state) report(2, `operation ${operation.n} showed ${id}, which the origin never had`);
      continue;
    }
    if (!state && isHidden(id) && registers.isThere(id, operation)) {
      lies.note(operation, id, registers.kind(id));
      continue;
    }
    const shown = values(state);
    checkValue(registers.get(id, EXISTS), shown[EXISTS], operation, `${id} (exists)`, report);
    if (!state) continue;
    for (const field of new Set([...registers.fields(id), ...Object.keys(shown)])) {
      // Who is not in the copy is in no group of it.
      if (field === EXISTS || (shown[field] === undefined && field.startsWith("member:") && isHidden(field.slice(7)))) continue;
      checkValue(registers.get(id, field), shown[field], operation, `${field} of ${id}`, report);
    }
  }
  const { whole, groupsOf } = operation;
  for (const id of whole ? registers.ids(whole) : []) {
    if (id in operation.shows || registers.isClosed(id, operation.start)) continue;
    if (!isHidden(id)) checkAbsent(registers, id, operation, report);
    else if (!operation.filter && registers.isThere(id, operation)) lies.note(operation, id, whole);
  }
  for (const [user, groups] of Object.entries(groupsOf ?? {})) {
    for (const group of new Set([...registers.ids("Group"), ...groups])) {
      if (registers.kind(group) === undefined) {
        report(2, `operation ${operation.n} showed ${group}, which the origin never had`);
        continue;
      }
      const present = groups.includes(group) ? true : undefined;
      if (!present && (isHidden(user) || registers.isClosed(group, operation.start))) continue;
      checkValue(registers.get(group, member(user)), present, operation, `the groups of ${user}: ${group}`, report);
    }
  }
}

/** A resource that a list left out: it was not there, or did not match. */
function checkAbsent(registers, id, operation, report) {
  const exists = registers.get(id, EXISTS);
  const { filter } = operation;
  if (filter) {
    const register = registers.get(id, filter.field);
    const least = lowest(register, operation).index;
    const last = register.before(operation.end);
    for (let index = least; index <= last; index += 1) if (!register.has(index, filter.value)) return;
  }
  checkValue(exists, false, operation, `${id} (exists)`, report);
}

/** The least entry that a read may show, and why. */
function lowest(register, { start, age, fresh, last }) {
  let floor = register.floor(start);
  const atLeast = (index, rule, why) => {
    if (index > floor.index) floor = { index, rule, why };
  };
  // Asked of the origin after it began.
  if (fresh) atLeast(register.before(start), 2, "the origin was asked");
  // The copy is said to be whole as of then.
  if (age !== null && age !== undefined) {
    atLeast(register.before(start - (age + 1) * 1000 - SLACK_MS), 5, `the copy was said to be ${age} s old`);
  }
  if (last) atLeast(register.entries.length - 1, 4, "nothing had changed for long");
  return floor;
}

function checkValue(register, value, operation, what, report) {
  const wanted = value === false && !register.has(0, false) ? [false, undefined] : [value];
  const is = (index) => wanted.some((one) => register.has(index, one));
  const floor = lowest(register, operation);
  const last = register.before(operation.end);
  for (let index = floor.index; index <= last; index += 1) {
    if (!is(index)) continue;
    // What one has seen of a gateway's write, all see from then on. What came from behind the gateway may
    // be seen by those whose read went to the origin, and by others later.
    let seen = index;
    while (seen > 0 && register.entries[seen].by !== "gateway") seen -= 1;
    register.raise(operation.end, seen, `operation ${operation.n} had shown it so`);
    return;
  }
  const known = register.entries.some((_, index) => is(index));
  const must = register.entries[floor.index].value;
  const text = `operation ${operation.n} showed ${what} as ${String(value)}`;
  if (!known) report(2, `${text}, which it never was`);
  else report(floor.rule ?? 2, `${text}, not ${String(must)} or newer: ${floor.why ?? "it was not so yet"}`);
}

export const is2xx = (status) => status >= 200 && status < 300;
