// The bundle, broken on purpose: one module in front of it for each rule of the contract. The checker has
// to catch every one. Nothing of it is in the bundle itself.

import { who } from "./who.mjs";

/**
 * Where the object is broken: `before` it is made, around its `fetch`, around its `alarm`. It has no `read`: the
 * Worker then asks by `fetch`, as it does of objects of older deployments.
 */
const object = ({ before = "", fetch = "", alarm = "" }) => `
import { DurableObject } from "cloudflare:workers";
import { Directory as Whole } from "./index.js";
export { Account, default } from "./index.js";

export class Directory extends DurableObject {
  constructor(state, env) {
    super(state, env);
    const self = this;
    const { sql } = state.storage;
    const nothing = () => sql.exec("SELECT 1 WHERE 0");
    ${before}
    this.whole = new Whole(state, env);
  }
  async fetch(request) {
    const answer = await this.whole.fetch(request);
    ${fetch}
    return answer;
  }
  async alarm() {
    ${alarm || "await this.whole.alarm();"}
  }
}`;

/** Leaves statements out, where \`when\` holds. */
const without = (when) => `
  const prototype = Object.getPrototypeOf(sql);
  const exec = (prototype.whole ??= prototype.exec);
  prototype.exec = function (text, ...binds) {
    return ${when} ? exec.call(this, "SELECT 1 WHERE 0") : exec.call(this, text, ...binds);
  };`;

/** Answers requests to the origin in its place. */
const fetching = (body) => `
  const send = (globalThis.whole ??= globalThis.fetch);
  globalThis.fetch = async (request) => {
    ${body}
  };`;

/** By the rule that is broken; `copies` is what cannot be seen without copies near callers. */
export const BROKEN = {
  1: {
    what: "some writes are answered and never sent",
    module: object({
      before: fetching(`
        const isLost = ["PUT", "PATCH"].includes(request.method) && Math.random() < 0.05;
        return isLost ? new Response(null, { status: 204 }) : send(request);`),
    }),
  },
  2: {
    what: "some writes are answered before the copy has them",
    module: object({ before: without(`/^UPDATE resource SET/.test(text.trim()) && Math.random() < 0.3`) }),
  },
  3: {
    what: "what became of a write is taken to be known where it is not",
    module: object({ before: without(`/UPDATE intent SET unknown/.test(text)`) }),
  },
  4: {
    what: "after the first fill nothing is reconciled",
    module: object({
      alarm: `
        const row = this.ctx.storage.sql.exec("SELECT value FROM state WHERE name = 'replica'").toArray()[0];
        if (!row || JSON.parse(row.value).filling) await this.whole.alarm();`,
    }),
  },
  5: {
    what: "old answers say that they are new",
    module: object({
      fetch: `
        if (answer.headers.has("age")) {
          const young = new Response(answer.body, answer);
          young.headers.set("age", "0");
          return young;
        }`,
    }),
  },
  6: {
    what: "writes that were refused or lost are sent again later",
    module: object({
      before: fetching(`
        const again = request.clone();
        const later = () => setTimeout(() => send(again).catch(() => {}), 2000);
        try {
          const answer = await send(request);
          if (request.method !== "GET" && answer.status === 503) later();
          return answer;
        } catch (error) {
          if (request.method !== "GET") later();
          throw error;
        }`),
    }),
  },
  7: {
    what: "an account has two objects, which do not wait for each other",
    module: `
import whole from "./index.js";
export { Account, Directory } from "./index.js";

export default {
  fetch(request, env, context) {
    const namespace = new Proxy(env.DIRECTORY, {
      get(target, key) {
        if (key === "constructor") return target.constructor;
        if (key === "get") return (id) => target.get(Math.random() < 0.4 ? target.idFromName(id.name + "-2") : id);
        const value = target[key];
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    return whole.fetch(request, { ...env, DIRECTORY: namespace }, context);
  },
};`,
  },
  brake: {
    what: "the brake forgets what was removed",
    module: object({ before: without(`/INTO state/.test(text) && binds[0] === "brake"`) }),
  },
  suspicion: {
    what: "a resource is taken to be gone if the origin answers something else in its place",
    module: object({
      before: fetching(`
        const answer = await send(request);
        if (request.method !== "GET" || answer.status !== 200 || !/\\/(Users|Groups)\\/[^/?.]+$/.test(request.url)) return answer;
        const text = await answer.clone().text();
        const headers = { "content-type": "application/scim+json" };
        return text.includes('"id":') ? answer : new Response('{"schemas":[],"status":"404"}', { status: 404, headers });`),
    }),
  },
  exchange: {
    what: "what changes while an origin is read into tables of its own is not read again before they are exchanged",
    module: object({ before: without(`/CREATE TRIGGER changed_/.test(text)`) }),
  },
  tombstone: {
    what: "what is deleted is not kept",
    module: object({ before: without(`/^\\s*INSERT INTO deleted \\(/.test(text)`) }),
  },
  copies: { what: "copies answer on after they were called back", module: who("deaf") },
};

/** What the torture does not do, by what is broken: `tests/e2e/mutations.test.mjs` catches it. */
export const BROKEN_ELSEWHERE = {
  tombstone: BROKEN.tombstone,
  kept: {
    what: "the set that a switch has replaced is forgotten",
    module: object({
      before: `
        const prototype = Object.getPrototypeOf(sql);
        const exec = (prototype.whole ??= prototype.exec);
        prototype.exec = function (text, ...binds) {
          const isSets = /INTO state/.test(text) && binds[0] === "sets";
          return exec.call(this, text, ...(isSets ? ["sets", JSON.stringify({ ...JSON.parse(binds[1]), kept: [] })] : binds));
        };`,
    }),
  },
  erasure: {
    what: "the audit keeps the id of a user who was erased",
    module: object({ before: without(`/^\\s*UPDATE audit SET resource_id/.test(text)`) }),
  },
  import: {
    what: "any signature of an import is taken for right",
    module: object({ before: "Object.getPrototypeOf(crypto.subtle).verify = async () => true;" }),
  },
  sealed: {
    what: "the document of a deleted account is not kept",
    module: object({ before: without(`/INTO sealed/.test(text)`) }),
  },
};
