// One server, one column, once: requests per second and the CPU time of each.

import { answered, load } from "./load.mjs";

/** A server that takes so long for each answer is asked over one connection, which it is busy with. */
export const SLOW_MS = 100;

/** A server has so long for an answer, and so long to come to rest. */
const ANSWER_MS = 5_000;
const REST_MS = 30_000;

/**
 * Asks a server `paths`, once nothing is left in its queue of what it was asked before.
 *
 * @returns `{ perSecond, requests, cpu }` (microseconds of CPU for a request, where the system tells), with `alone`
 *   where it was over one connection; or of a peer `{ unanswered }`, why there is nothing.
 */
export async function measure(server, { paths, seconds }) {
  try {
    await rested(server);
    return (await oneByOne(server, { paths, seconds })) ?? (await together(server, { paths, seconds }));
  } catch (error) {
    if (!server.peer) throw error;
    return { unanswered: error.name === "TimeoutError" ? `no answer within ${ANSWER_MS / 1000} s` : error.message };
  }
}

const now = (server) => ({ time: performance.now(), cpu: server.cpu() });

/** Microseconds of CPU for each of so many requests. */
function perRequest(server, begun, requests) {
  if (begun.cpu === undefined) return undefined;
  return ((server.cpu() - begun.cpu) / Math.max(requests, 1)) * 1e6;
}

async function together(server, { paths, seconds }) {
  const begun = now(server);
  const { perSecond, requests, failures } = await load({ base: server.base, headers: server.headers, paths, seconds });
  if (failures > 0) throw new Error(`${failures} failures of ${requests}`);
  return { perSecond, requests, cpu: perRequest(server, begun, requests) };
}

/** To the last answer, where all take long: few are enough to tell the rate, and nothing is left in the queue. */
async function oneByOne(server, { paths, seconds }) {
  const begun = now(server);
  const passed = () => (performance.now() - begun.time) / 1000;
  let requests = 0;
  while (passed() < seconds) {
    const url = `${server.base}${paths[requests % paths.length]}`;
    if ((await answered({ url, headers: server.headers, bound: ANSWER_MS })) < SLOW_MS) return undefined;
    requests += 1;
  }
  return { perSecond: requests / passed(), requests, cpu: perRequest(server, begun, requests), alone: true };
}

/** Waits until a read by id is answered as by a server that does nothing else. */
async function rested({ base, headers, still }) {
  for (const end = performance.now() + REST_MS; performance.now() < end; ) {
    if ((await answered({ url: `${base}${still}`, headers, bound: REST_MS })) < SLOW_MS) return;
  }
  throw new Error(`still busy after ${REST_MS / 1000} s`);
}

/** Adds what `measure` found to what there is of other rounds; nothing is asked again that was not answered. */
export async function again(found, server, asked) {
  if (found.unanswered) return;
  const { perSecond, requests, cpu, alone, unanswered } = await measure(server, asked);
  found.unanswered = unanswered;
  if (unanswered) return;
  found.alone ||= alone;
  found.perSecond.push(perSecond);
  found.requests += requests;
  if (cpu !== undefined) found.cpu.push(cpu);
}

/** What there is before the first round. */
export const nothing = () => ({ perSecond: [], cpu: [], requests: 0 });
