//! Unicode simple case folding: how two spellings of one name become equal.
//!
//! The mapping is CaseFolding.txt's statuses C and S, one character to one character, so that `DÄVE`
//! equals `däve` and a final sigma equals any other, while `ß` stays apart from `ss` and `İ` from `i`:
//! what two people may each have chosen as a name is never merged by a longer expansion. There is no
//! normalisation: a composed and a decomposed `ä` are different. Index columns, uniqueness and filters
//! all fold with this module, so they agree.

use std::cmp::Ordering;

/// The folded form of one character.
pub fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    unicode_case_mapping::case_folded(c).and_then(|folded| char::from_u32(folded.get())).unwrap_or(c)
}

/// The folded form of a text.
pub fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.chars().map(fold_char).collect() }
}

/// Whether `text`, folded, equals `folded`, which is folded already.
pub fn equals(text: &str, folded: &str) -> bool {
    if text.len() == folded.len() && text.is_ascii() {
        return text.eq_ignore_ascii_case(folded);
    }
    text.chars().map(fold_char).eq(folded.chars())
}

/// Whether `text`, folded, begins with `folded`.
pub fn starts_with(text: &str, folded: &str) -> bool {
    let mut characters = text.chars().map(fold_char);
    folded.chars().all(|c| characters.next() == Some(c))
}

/// Whether `text`, folded, ends with `folded`.
pub fn ends_with(text: &str, folded: &str) -> bool {
    let mut characters = text.chars().rev().map(fold_char);
    folded.chars().rev().all(|c| characters.next() == Some(c))
}

/// Whether `text`, folded, contains `folded`; linear in both.
pub fn contains(text: &str, folded: &str) -> bool {
    fold(text).contains(folded)
}

/// The order of `text`, folded, against `folded`, by code point.
pub fn compare(text: &str, folded: &str) -> Ordering {
    text.chars().map(fold_char).cmp(folded.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_one_to_one() {
        for (text, folded) in [
            ("DÄVE", "däve"),
            ("ΟΔΟΣ", "οδοσ"),
            ("οδος", "οδοσ"),
            ("STRAẞE", "straße"),
            ("Straße", "straße"),
            ("İI", "İi"),
            ("\u{212a}elvin", "kelvin"),
            ("ЖУК", "жук"),
            ("Ⴀ", "ⴀ"),
            ("日本", "日本"),
            ("", ""),
        ] {
            assert_eq!(fold(text), folded, "{text}");
            assert_eq!(fold(folded), folded, "{text}: folding twice changes nothing");
            assert!(equals(text, folded) && starts_with(text, folded) && ends_with(text, folded), "{text}");
            assert!(contains(text, folded), "{text}");
            assert_eq!(compare(text, folded), Ordering::Equal);
        }
    }

    #[test]
    fn keeps_apart_what_is_different() {
        assert!(!equals("strasse", "straße"));
        assert!(!equals("i", "İ"));
        assert!(!equals("a\u{308}", "ä"));
        assert!(!starts_with("ab", "abc") && !ends_with("bc", "abc") && !contains("ab", "abc"));
        assert_eq!(compare("B", "a"), Ordering::Greater);
    }
}
