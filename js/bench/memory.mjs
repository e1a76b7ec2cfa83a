// What many tokens leave behind in memory.

import { say } from "../log.mjs";
import { gateway } from "./gateway.mjs";
import { heap } from "./heap.mjs";
import { load } from "./load.mjs";
import { shown } from "./statistics.mjs";

export const TOKENS = 10_000;

/** Tokens are made and sent so many at a time. */
const TOGETHER = 100;

/** What is known of a token is kept on its first use, what is decided by it on the second. */
const USES = 3;

/** The process's memory, and its isolate's, before any of the tokens and after each quarter of them. */
export async function memory({ seconds }) {
  say("\nMemory");
  const ours = await gateway({ users: 10, watched: true, say });
  try {
    const paths = ours.ids.map((id) => `/Users/${id}`);
    const found = [];
    let requests = 0;
    for (let quarter = 0; quarter <= 4; quarter += 1) {
      for (let sent = 0; quarter > 0 && sent < TOKENS / 4; sent += TOGETHER) {
        await fresh(ours, `${quarter}-${sent}`);
        requests += TOGETHER * USES;
      }
      requests += (await load({ base: ours.base, headers: ours.headers, paths, seconds })).requests;
      found.push({ tokens: (quarter * TOKENS) / 4, requests, resident: ours.memory(), wasm: await wasm(ours), heap: await heap(ours.inspector) });
    }
    for (const { tokens, requests, resident, wasm, heap } of found) {
      say(`${tokens} tokens, ${requests} requests: ${megabytes(resident)} MB resident, ${megabytes(heap)} MB of heap, ${megabytes(wasm)} MB of Wasm's memory`);
    }
    return found;
  } finally {
    await ours.stop();
  }
}

/** Reads with each of many tokens that were not there before. */
async function fresh({ idp, ids, request }, name) {
  const tokens = await Promise.all(Array.from({ length: TOGETHER }, (_, n) => idp.mint({ sub: "bench", jti: `${name}-${n}` })));
  const { url } = request(`/Users/${ids[0]}`);
  await Promise.all(
    tokens.map(async (token) => {
      for (let use = 0; use < USES; use += 1) {
        const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
        await answer.text();
        if (answer.status !== 200) throw new Error(`a fresh token: ${answer.status}`);
      }
    }),
  );
}

const wasm = async (ours) => Number((await ours.client().get("/Users?count=0")).headers.get("x-wasm-bytes"));

export const megabytes = (bytes) => shown(bytes / 1e6);
