// What other servers were found to answer a second, on another machine: to see the order of things, not to be held
// against one run's figures to the percent.

import { CONTAINS, EARLY, ID, LATE, THREE, TYPED } from "./questions.mjs";

const COLUMNS = [ID, "userName eq", EARLY, LATE, TYPED, CONTAINS, THREE];

const PUBLISHED = {
  "elimity-com/scim (Go)": [29_900, 64, 789, 782, 31, 57, 49],
  "scim-server (Rust)": [35_500, 795, 6, 7],
  "scimgateway (Bun)": [2_380, 1_380, 16, 16, 16, 788],
  "SCIMServer (NestJS)": [1_300, 376, 10, 10, 2_000, 343, 8],
  "scimmy (Node)": [1_600, 1_520, 32, 33, 5, 19, 10],
  "better-auth (Node)": [904, 217, 60, 13],
  "scim2-server (Python)": [740, 501, 8, 9, 3, 13, 8],
};

/** The one that holds its pages in memory as they are sent. */
export const GO = "elimity-com/scim (Go)";

/** What is published of a column, by the server's name, the fastest first. */
export function anchors(column) {
  const place = COLUMNS.indexOf(column);
  const found = Object.entries(PUBLISHED).map(([name, figures]) => ({ name, perSecond: figures[place] }));
  return found.filter(({ perSecond }) => perSecond !== undefined).sort((a, b) => b.perSecond - a.perSecond);
}
