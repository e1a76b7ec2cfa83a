// What goes wrong at the origin, and how often: faults by name, counted.
//
// `before` faults leave the directory as it was; `after` faults come when a write has been made.

import { setTimeout as sleep } from "node:timers/promises";

const HTML = { "content-type": "text/html" };

/** How likely each is among the faults that strike a request. */
const WEIGHTS = {
  "delay before": 16,
  "delay after": 20,
  "reordered answer": 10,
  "dropped before": 8,
  "dropped after": 12,
  "500 before": 6,
  "500 after": 8,
  "503 before": 6,
  "429 before": 4,
  "garbage after": 6,
  "HTML before": 5,
  "HTML 404 before": 4,
  "truncated after": 6,
  "empty after": 6,
  "redirect before": 4,
};

const ERRORS = {
  "500 before": { status: 500, body: { schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"], status: "500" } },
  "503 before": { status: 503, headers: { "retry-after": "1" }, body: { status: "503" } },
  "429 before": { status: 429, headers: { "retry-after": "1" }, body: { status: "429" } },
  "HTML before": { status: 200, headers: HTML, body: "<html><h1>Be right back</h1></html>" },
  "HTML 404 before": { status: 404, headers: HTML, body: "<html><h1>No such backend</h1></html>" },
  "redirect before": { status: 307, headers: { location: "http://127.0.0.1:9/" }, body: "" },
};

/** The share of pages that are not as they should be. */
const PAGE_SHARE = 0.1;

export class Faults {
  counts = {};
  /** The share of requests that a fault strikes. */
  share = { write: 0, read: 0 };
  #random;
  #held = [];

  constructor(random) {
    this.#random = random;
  }

  count(name) {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  /** The fault that strikes a request, if one does. */
  choose(isWrite) {
    if (!this.#random.chance(isWrite ? this.share.write : this.share.read)) return undefined;
    const name = this.#random.weighted(WEIGHTS);
    this.count(name);
    return name;
  }

  /** What comes before the request is carried out: an answer in its place, where there is one. */
  async before(name) {
    if (name === "delay before") await sleep(this.#random.between(5, 400));
    return name === "dropped before" ? { destroy: true } : ERRORS[name];
  }

  /** What becomes of the answer of a request that has been carried out. */
  async after(name, answer) {
    if (name === "delay after") await sleep(this.#random.between(5, 400));
    if (name === "reordered answer") await this.#hold();
    else this.#held.splice(0).forEach((release) => release());
    if (name === "dropped after") return { destroy: true };
    if (name === "500 after") return ERRORS["500 before"];
    if (name === "garbage after") return { ...answer, body: this.#random.pick(["{\"schemas\":[", "[1,2", "\u0000\u0001"]) };
    if (name === "empty after") return { status: answer.status, headers: {}, body: "" };
    if (name === "truncated after") return { ...answer, truncated: true };
    return answer;
  }

  /**
   * What becomes of a page that the gateway asks for in the background, which has a place and room for more than one:
   * its total is a lie, a filter is refused by something in front of the origin, an index behind the end is an error.
   */
  page(query, answer) {
    const isPage = query.has("startIndex") && Number(query.get("count")) > 1;
    if (this.share.read === 0 || !isPage || !this.#random.chance(PAGE_SHARE)) return answer;
    const { Resources: shown } = answer.body;
    if (query.has("filter")) {
      this.count("filter refused");
      return { status: 403, headers: HTML, body: "<html><h1>Blocked</h1></html>" };
    }
    if (shown.length === 0 && Number(query.get("startIndex")) > 1) {
      this.count("index behind the end refused");
      return { status: 400, body: { schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"], status: "400" } };
    }
    this.count("total that lies");
    return { ...answer, body: { ...answer.body, totalResults: this.#random.pick([0, -1, shown.length, "many", null]) } };
  }

  /** Waits until another request has been answered. */
  #hold() {
    return Promise.race([new Promise((resolve) => this.#held.push(resolve)), sleep(500)]);
  }
}
