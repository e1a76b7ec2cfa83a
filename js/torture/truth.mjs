// One account's directory at the origin, and its true history: every version of every resource, with
// the time it was committed at and who made it.

import { randomUUID } from "node:crypto";

/** The present, for everything in a history: origin and clients share the clock. */
export const now = () => performance.now();

export class Truth {
  /** id → `{ kind, versions: [{ at, by, received?, request?, because?, state }] }`; a `state` of null: deleted. */
  resources = new Map();
  /** Whether its origin can do what SCIM asks for, and tells versions and times. */
  isFull = false;
  /** How far its clock is off, in milliseconds. */
  clock = 0;
  /** How many requests of its own are on their way that show whole resources. */
  pushing = 0;
  /** What it says that is not so, now, and all of that. */
  lie = undefined;
  lies = [];
  #alive = new Map();
  #gone = [];

  /** The ids of a kind that are there now, oldest first. */
  ids(kind) {
    return [...this.#alive].filter(([, it]) => it.kind === kind).map(([id]) => id);
  }

  /** The ids of what was deleted, in order. */
  gone() {
    return this.#gone;
  }

  get(id) {
    return this.#alive.get(id);
  }

  /** The groups that a user is in. */
  groupsOf(user) {
    return this.ids("Group").filter((id) => this.get(id).state.members.includes(user));
  }

  create(kind, state, made) {
    const id = randomUUID();
    const it = { kind, id, state };
    this.#alive.set(id, it);
    this.resources.set(id, { kind, versions: [] });
    this.#commit(it, made);
    return it;
  }

  /** Whether all that is made from now on is later than a resource by the origin's clock. */
  isPast({ modified }) {
    return Date.parse(modified) <= Date.now() + this.clock;
  }

  /** Gives a resource a new state. */
  change(id, state, made) {
    const it = this.get(id);
    it.state = state;
    this.#commit(it, made);
    return it;
  }

  /** Removes a resource, and a user from its groups. */
  remove(id, made) {
    const it = this.get(id);
    this.#alive.delete(id);
    this.#gone.push(id);
    this.resources.get(id).versions.push({ at: now(), ...made, state: null });
    if (it.kind === "Group") return;
    for (const group of this.groupsOf(id)) {
      const { state } = this.get(group);
      this.change(group, { ...state, members: state.members.filter((member) => member !== id) }, { ...made, because: id });
    }
  }

  version(id) {
    return this.resources.get(id).versions.length;
  }

  #commit(it, made) {
    const { id, state } = it;
    it.modified = new Date(Date.now() + this.clock).toISOString();
    this.resources.get(id).versions.push({ at: now(), ...made, state: structuredClone(state) });
  }
}
