// What is asked of a directory: for each column many questions of one kind, none like another, since what is
// asked again may be answered from what was kept.

import { displayed, nameOf } from "./names.mjs";

export const ID = "GET by id";
export const [EARLY, LATE] = ["early page of 100", "late page of 100"];
export const EQUALITIES = ["userName eq", "externalId eq", "emails.value eq"];
export const TYPED = "emails[type and value]";
export const [CONTAINS, THREE] = ["displayName co", "and of three"];

/** How many questions a column has, where the directory is large enough. */
const QUESTIONS = 1000;

/** With fewer users, pages of 100 cannot differ. */
export const FEWEST_USERS = 200;

/** A fragment of a name is found in so many names at most, and is as long as that takes. */
const HITS = 10;
const [SHORTEST, LONGEST] = [3, 6];

const filtered = (text) => `/Users?filter=${encodeURIComponent(text)}&count=100`;
const page = (start) => `/Users?startIndex=${start}&count=100`;

/** The paths of each column, for users by their `ids`. */
export function questions(ids) {
  const users = ids.length;
  const asked = chosen(users);
  const starts = Array.from({ length: Math.min(QUESTIONS, Math.floor((users - 100) / 2)) }, (_, place) => place);
  const parts = fragments(users, asked);
  return {
    [ID]: asked.map((n) => `/Users/${ids[n]}`),
    "userName eq": asked.map((n) => filtered(`userName eq "user${n}@example.com"`)),
    "externalId eq": asked.map((n) => filtered(`externalId eq "e-${n}"`)),
    "emails.value eq": asked.map((n) => filtered(`emails.value eq "u${n}@home.example"`)),
    [TYPED]: asked.map((n) => filtered(`emails[type eq "work" and value eq "user${n}@example.com"]`)),
    [EARLY]: starts.map((place) => page(1 + place)),
    [LATE]: starts.map((place) => page(users - 99 - place)),
    [CONTAINS]: parts.map((part) => filtered(`displayName co "${part}"`)),
    [THREE]: parts.map((part) => filtered(`title eq "Engineer" and active eq true and displayName co "${part}"`)),
  };
}

/** Users all over the directory, none twice: the step has no divisor in common with a round number. */
const chosen = (users) => Array.from({ length: Math.min(QUESTIONS, users) }, (_, place) => (place * 7919) % users);

/** Letters from within the family names of `asked`, each found in few of all names, none twice. */
function fragments(users, asked) {
  const all = Array.from({ length: users }, (_, n) => displayed(nameOf(n)).toLowerCase()).join("\n");
  const found = asked.map((n, place) => {
    const letters = nameOf(n).familyName.slice(1);
    let length = SHORTEST + (place % (LONGEST - SHORTEST + 1));
    while (length < LONGEST && occurrences(all, letters.slice(0, length)) > HITS) length += 1;
    return letters.slice(0, length);
  });
  return [...new Set(found)];
}

/** How often a text is in another, up to one more than is allowed. */
function occurrences(all, part) {
  let count = 0;
  for (let at = all.indexOf(part); at >= 0 && count <= HITS; at = all.indexOf(part, at + 1)) count += 1;
  return count;
}
