// A history's registers: each attribute of each resource, whether the resource exists, and whether a
// user is in a group, with every value that it has had at the origin, in the order of the commits.
//
// For each there is a least index that a read may show from some time on. It only grows.

export class Register {
  /** `{ at, by, received, because, value }`, oldest first. */
  entries;
  #floors = [];

  constructor(entries) {
    this.entries = entries;
  }

  /** From `time` on, reads show the entry of this index or a later one. `why` is for the report. */
  raise(time, index, why) {
    if (index <= (this.#floors.at(-1)?.index ?? 0)) return;
    this.#floors.push({ time, index, why });
  }

  /** What a read that begins at `time` must show at least. */
  floor(time) {
    return this.#floors.findLast((floor) => floor.time < time) ?? { index: 0 };
  }

  /** The index of the last entry that was committed before `time`; 0 where there is none. */
  before(time) {
    let [from, to] = [0, this.entries.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.entries[middle].at < time) from = middle + 1;
      else to = middle;
    }
    return Math.max(0, from - 1);
  }

  /** Whether two values are the same: absent ones are. */
  has(index, value) {
    return (this.entries[index].value ?? null) === (value ?? null);
  }
}

/** The registers of an account's resources. */
export class Registers {
  #ofResource = new Map();
  /** What is not there yet, the next last. */
  #coming = [];
  #current = { User: new Set(), Group: new Set() };
  #written = new Map();

  constructor(resources) {
    for (const [id, { kind, versions }] of Object.entries(resources)) {
      this.#ofResource.set(id, { kind, fields: fieldsOf(versions) });
      this.#coming.push({ id, kind, at: versions[0].at });
    }
    this.#coming.sort((a, b) => b.at - a.at);
    for (const [id, field, register] of this.all()) {
      for (const [index, { value }] of register.entries.entries()) {
        const key = `${field} ${value}`;
        if (typeof value === "string" && !this.#written.has(key)) this.#written.set(key, { id, register, index });
      }
    }
  }

  /** Where a token was first written. */
  written(field, value) {
    return this.#written.get(`${field} ${value}`);
  }

  /** Whether readers have known since before `time` that a resource is deleted. */
  isClosed(id, time) {
    const exists = this.get(id, EXISTS);
    const { index } = exists.floor(time);
    return index === exists.entries.length - 1 && exists.entries[index].value === false;
  }

  /** Whether a resource was there for as long as an operation took. */
  isThere(id, { start, end }) {
    const exists = this.get(id, EXISTS);
    const [first, last] = [exists.before(start), exists.before(end + 0.001)];
    return first === last && exists.entries[first].value === true;
  }

  kind(id) {
    return this.#ofResource.get(id)?.kind;
  }

  /** A register; where nothing ever was, there is one that says so. */
  get(id, field) {
    const fields = this.#ofResource.get(id)?.fields;
    if (!fields) return undefined;
    if (!fields.has(field)) fields.set(field, new Register([{ at: -Infinity, value: undefined }]));
    return fields.get(field);
  }

  /** From now on only what begins after `start` and ends by `end` is looked at. */
  move(start, end) {
    while (this.#coming.length > 0 && this.#coming.at(-1).at <= end) {
      const { id, kind } = this.#coming.pop();
      this.#current[kind].add(id);
    }
    for (const ids of Object.values(this.#current)) {
      for (const id of ids) if (this.isClosed(id, start)) ids.delete(id);
    }
  }

  /** The ids of a kind, but for what readers knew to be deleted before, or is created later. */
  ids(kind) {
    return this.#current[kind];
  }

  /** The names of a resource's registers. */
  fields(id) {
    return [...this.#ofResource.get(id).fields.keys()];
  }

  /** All registers, as `[id, field, register]`. */
  *all() {
    for (const [id, { fields }] of this.#ofResource) {
      for (const [field, register] of fields) yield [id, field, register];
    }
  }
}

export const EXISTS = "exists";
export const member = (id) => `member:${id}`;

/** A resource's state as values by field. */
export function values(state) {
  if (!state) return { [EXISTS]: false };
  const { members = [], ...rest } = state;
  return { [EXISTS]: true, ...rest, ...Object.fromEntries(members.map((id) => [member(id), true])) };
}

function fieldsOf(versions) {
  const fields = new Map();
  for (const { state, ...made } of versions) {
    const now = values(state);
    for (const field of new Set([...fields.keys(), ...Object.keys(now)])) {
      // Of what is deleted nothing is told but that.
      if (!state && field !== EXISTS && !field.startsWith("member:")) continue;
      if (!fields.has(field)) fields.set(field, [{ at: -Infinity, value: undefined }]);
      const entries = fields.get(field);
      if ((entries.at(-1).value ?? null) !== (now[field] ?? null)) entries.push({ ...made, value: now[field] });
    }
  }
  return new Map([...fields].map(([field, entries]) => [field, new Register(entries)]));
}
