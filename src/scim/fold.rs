//! How two spellings of one name become equal.
//!
//! Width, case and normal form do not count (RFC 7644 §5, which points to PRECIS, RFC 8265 §3.3): full-
//! and halfwidth forms are the ordinary ones, letters are folded by CaseFolding.txt's statuses C and S,
//! and what is composed equals what is decomposed (NFC). `DÄVE` equals `däve` and a final sigma equals
//! any other, while `ß` stays apart from `ss` and `İ` from `i`: what two people may each have chosen as a
//! name is never merged by a longer expansion. What PRECIS forbids in names, a space above all, is not
//! refused: directories are full of it. Index columns, uniqueness and filters all fold with this module,
//! so they agree.

use icu_normalizer::ComposingNormalizerBorrowed;
use std::borrow::Cow;
use std::cmp::Ordering;

/// The folded form of one character.
fn fold_char(c: char) -> char {
    unicode_case_mapping::case_folded(c).and_then(|folded| char::from_u32(folded.get())).unwrap_or(c)
}

/// Full- and halfwidth forms, and the wide space, as ordinary characters.
fn ordinary_width(text: &str) -> Cow<'_, str> {
    let is_wide = |c: char| matches!(c, '\u{3000}' | '\u{ff00}'..='\u{ffef}');
    if !text.contains(is_wide) {
        return Cow::Borrowed(text);
    }
    let compatible = ComposingNormalizerBorrowed::new_nfkc();
    let mut ordinary = String::with_capacity(text.len());
    for c in text.chars() {
        match is_wide(c) {
            true => ordinary.push_str(&compatible.normalize(c.encode_utf8(&mut [0; 4]))),
            false => ordinary.push(c),
        }
    }
    Cow::Owned(ordinary)
}

/// The folded form of a text.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let composed = ComposingNormalizerBorrowed::new_nfc();
    let text = ordinary_width(text);
    let folded: String = composed.normalize(&text).chars().map(fold_char).collect();
    composed.normalize(&folded).into_owned()
}

/// Whether `text`, folded, equals `folded`, which is folded already.
pub fn equals(text: &str, folded: &str) -> bool {
    if text.is_ascii() { text.eq_ignore_ascii_case(folded) } else { fold(text) == folded }
}

/// Whether `text`, folded, begins with `folded`.
pub fn starts_with(text: &str, folded: &str) -> bool {
    fold(text).starts_with(folded)
}

/// Whether `text`, folded, ends with `folded`.
pub fn ends_with(text: &str, folded: &str) -> bool {
    fold(text).ends_with(folded)
}

/// Whether `text`, folded, contains `folded`; linear in both.
pub fn contains(text: &str, folded: &str) -> bool {
    fold(text).contains(folded)
}

/// The order of `text`, folded, against `folded`, by code point.
pub fn compare(text: &str, folded: &str) -> Ordering {
    fold(text).as_str().cmp(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_become_equal() {
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
            ("DA\u{308}VE", "däve"),
            ("ＡＮＮ＠ｘ．ｏｒｇ", "ann@x.org"),
            ("ｶﾞ", "ガ"),
            ("\u{1fb3}", "\u{1fb3}"),
            ("\u{3b1}\u{345}", "\u{1fb3}"),
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
        assert!(!starts_with("ab", "abc") && !ends_with("bc", "abc") && !contains("ab", "abc"));
        assert_eq!(compare("B", "a"), Ordering::Greater);
    }
}
