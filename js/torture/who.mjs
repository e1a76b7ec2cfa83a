// A module in front of the bundle that says which object has answered: in the header `x-by`, the region of a copy
// or `own`. And it breaks objects: `/broken?lend`, `?recall` and `?copies` name what fails from then on, `?deaf` has
// copies confirm that they answer no more, and answer on; `?forget` has an account's own object lose
// its memory once. `/tables?NAME` shows all rows that an object of that name has in its tables. The bundle itself knows
// nothing of it.

/** The module; what is `broken` is so from the beginning. */
export const who = (broken = "") => `
import { DurableObject } from "cloudflare:workers";
import inner, { Directory as Whole } from "./index.js";
export { Account } from "./index.js";

globalThis.broken = "${broken}";

export default {
  fetch(request, env, context) {
    const { pathname, search } = new URL(request.url);
    if (pathname === "/tables") {
      const objects = env.DIRECTORY;
      return objects.get(objects.idFromName(decodeURIComponent(search.slice(1)))).fetch("https://object/tables");
    }
    if (pathname !== "/broken") return inner.fetch(request, env, context);
    globalThis.broken = search.slice(1);
    return new Response(null);
  },
};

export class Directory extends DurableObject {
  constructor(state, env) {
    super(state, env);
    this.whole = new Whole(state, env);
  }
  /** The region that a call is to, or that it is to the account's own object. */
  before(call) {
    const near = JSON.parse(call).near;
    if (near && globalThis.broken === "copies") throw new Error("broken on purpose");
    if (!near && globalThis.broken === "forget") {
      globalThis.broken = "";
      this.whole = new Whole(this.ctx, this.env);
    }
    return near ?? "own";
  }
  async fetch(request) {
    const path = new URL(request.url).pathname.slice(1);
    if (path === "tables") return Response.json(this.tables());
    if (globalThis.broken === path) throw new Error("broken on purpose");
    if (globalThis.broken === "deaf" && path === "recall") return new Response(null);
    const call = request.headers.get("x-scim-edge-call");
    const by = call && this.before(call);
    const answer = await this.whole.fetch(request);
    if (!call || answer.headers.has("x-by")) return answer;
    const marked = new Response(answer.body, answer);
    marked.headers.set("x-by", by);
    return marked;
  }
  tables() {
    const rows = (text) => this.ctx.storage.sql.exec(text).toArray();
    const names = rows("SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 4) NOT IN ('_cf_', 'sqli')");
    return Object.fromEntries(names.map(({ name }) => [name, rows('SELECT * FROM "' + name + '"')]));
  }
  async read(text) {
    const by = this.before(text.split("\\n")[5].slice(1));
    const { status, headers, body } = await this.whole.read(text);
    return { status, headers: headers.includes("x-by\\n") ? headers : headers + "x-by\\n" + by + "\\n", body };
  }
  alarm() {
    return this.whole.alarm();
  }
}`;
