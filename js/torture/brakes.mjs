// What the checker holds the brake to (rule 10), and how far an origin that lies excuses a read.
//
// A removal that was stopped never reaches the origin. Between two calls of the operator there are no more deletions
// than the limit and what was let through. While the origin lies, the copy loses no more than that, and where only its
// lists lie, or nothing can be asked for, it loses nothing at all.

/** How long after a lie an answer of the origin may still be under way, in milliseconds. */
const UNDER_WAY_MS = 1_000;

/** An account's `lies`: what reads may not show because of them. */
export class Lies {
  #lies;

  constructor(lies = []) {
    this.#lies = lies.map((lie) => ({ ...lie, hidden: new Set(lie.hidden), lost: { User: new Set(), Group: new Set() } }));
  }

  /** The lies that a read may have met. A copy's answer met those that are not over for its age. */
  #of({ start, end, age }) {
    const asOf = age === undefined || age === null ? start : start - (age + 1) * 1000;
    return this.#lies.filter((lie) => lie.start < end && asOf < lie.end + UNDER_WAY_MS);
  }

  /** Whether what a read shows is the origin's own, and it lies. */
  isTold(operation) {
    const isCopy = operation.age !== undefined && operation.age !== null;
    return !isCopy && this.#of(operation).length > 0;
  }

  /** Whether an origin has hidden a resource from what a read shows. */
  hides(operation, id) {
    return this.#of(operation).some(({ hidden }) => hidden.has(id));
  }

  /** Takes note of a resource that the copy does not have, although the origin has it. */
  note(operation, id, kind) {
    for (const lie of this.#of(operation)) if (lie.hidden.has(id)) lie.lost[kind].add(id);
  }

  /** Whether the copy has lost more than the brake lets go. */
  check({ perHour, letThrough }, report) {
    for (const { way, lost } of this.#lies) {
      for (const [kind, ids] of Object.entries(lost)) {
        if (ids.size > perHour + letThrough) report(10, `the copy lost ${ids.size} resources (${kind}) while the origin showed ${way}`);
      }
    }
  }
}

/** Holds the deletions of an account to its brake. `limits`: `{ perHour, letThrough }`. */
export function checkBrake({ resources, limits }, operations, report) {
  const sent = new Map(operations.map((operation) => [`t-${operation.n}`, operation]));
  const stopped = operations.filter(({ isStopped }) => isStopped);
  const deletions = [];
  for (const [id, { kind, versions }] of Object.entries(resources)) {
    for (const { at, state, request, because } of versions) {
      const operation = sent.get(request);
      if (operation && stopped.includes(operation)) report(10, `operation ${operation.n} was stopped by the brake, and sent to the origin (${id})`);
      if (operation && state === null && !because) deletions.push({ kind, at, start: operation.start });
    }
  }
  for (const { from, until, allowed } of periods(operations, limits)) {
    for (const kind of ["User", "Group"]) {
      const { length } = deletions.filter((one) => one.kind === kind && one.start >= from && one.at < until);
      if (length > allowed) report(10, `${length} deletions (${kind}) where the brake allows ${allowed}, from ${Math.round(from)} ms on`);
    }
  }
}

/** The times between an operator's calls, and how many deletions of a kind there may be in them. */
function periods(operations, { perHour }) {
  const calls = operations.filter(({ what }) => what === "let through").sort((a, b) => a.start - b.start);
  // The first fill has no brake.
  const filled = operations.find(({ what, age, end }) => what === "read" && end !== null && age !== undefined);
  const known = [{ from: filled?.end ?? Infinity, allowed: perHour }];
  for (const { end, status, removals, until } of calls) {
    // A call that nobody answered may take effect late.
    const isKnown = end !== null && status === 200;
    known.push({ from: isKnown ? Math.max(end, until ?? 0) : Infinity, allowed: perHour + (removals ?? 0) });
  }
  return known.map((period, place) => ({ ...period, until: calls[place]?.start ?? Infinity }));
}
