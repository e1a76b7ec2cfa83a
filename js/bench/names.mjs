// Names of people who are not there: the same for the same number in every run, and as varied as names are.

const CONSONANTS = "bdfghklmnprstvz";
const VOWELS = "aeiou";

/** A number that looks like chance, from two (the end of MurmurHash3). */
function mixed(n, salt) {
  let state = Math.imul(n + 1, 0x9e3779b1) ^ salt;
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}

/** A word of so many syllables out of a number. */
function word(number, syllables) {
  let [left, text] = [number, ""];
  for (let syllable = 0; syllable < syllables; syllable += 1) {
    text += CONSONANTS[left % CONSONANTS.length];
    left = Math.floor(left / CONSONANTS.length);
    text += VOWELS[left % VOWELS.length];
    left = Math.floor(left / VOWELS.length);
  }
  return text[0].toUpperCase() + text.slice(1);
}

/** The name of person `n`. */
export const nameOf = (n) => ({ givenName: word(mixed(mixed(n, 1) % 97, 3), 3), familyName: word(mixed(n, 2), 4) });

/** How a name is displayed. */
export const displayed = ({ givenName, familyName }) => `${givenName} ${familyName}`;
