// A module in front of the bundle that says which object has answered: in the header `x-by`, the region of a copy
// or `own`. And it breaks objects: `/broken?lend`, `?recall` and `?copies` name what fails from then on, `?deaf` has
// copies confirm that they answer no more, and answer on; `?forget` has an account's own object lose
// its memory once. The bundle itself knows nothing of it.

/** The module; what is `broken` is so from the beginning. */
export const who = (broken = "") => `
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import Inner, { Directory as Whole } from "./index.js";
export { Account } from "./index.js";

globalThis.broken = "${broken}";

export default class extends WorkerEntrypoint {
  fetch(request) {
    const { pathname, search } = new URL(request.url);
    if (pathname !== "/broken") return new Inner(this.ctx, this.env).fetch(request);
    globalThis.broken = search.slice(1);
    return new Response(null);
  }
}

export class Directory extends DurableObject {
  constructor(state, env) {
    super(state, env);
    this.whole = new Whole(state, env);
  }
  async fetch(request) {
    const call = request.headers.get("x-scim-edge-call");
    const near = call && JSON.parse(call).near;
    const path = new URL(request.url).pathname;
    if (globalThis.broken === (near ? "copies" : path.slice(1))) throw new Error("broken on purpose");
    if (globalThis.broken === "deaf" && path === "/recall") return new Response(null);
    if (globalThis.broken === "forget" && call && !near) {
      globalThis.broken = "";
      this.whole = new Whole(this.ctx, this.env);
    }
    const answer = await this.whole.fetch(request);
    if (!call || answer.headers.has("x-by")) return answer;
    const marked = new Response(answer.body, answer);
    marked.headers.set("x-by", near ?? "own");
    return marked;
  }
  alarm() {
    return this.whole.alarm();
  }
}`;
