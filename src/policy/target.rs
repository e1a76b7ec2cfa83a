//! Request targets that have one meaning: where a decision is made by one program and the request is carried out by
//! another, both must read the same path.
//!
//! Servers differ in how often they decode, in whether a backslash is a slash, in what they do with dot segments and
//! path parameters (`..;`). A path in which any of this could matter is refused, however deep it is encoded; no id
//! needs it.

/// How often a path is decoded before it is refused for being encoded again and again.
const LEVELS: usize = 8;

/// The path and the query of a request target or of an `http` or `https` URL, or why it could mean two things.
pub fn split(target: &str) -> Result<(&str, &str), &'static str> {
    let (whole, query) = target.split_once('?').unwrap_or((target, ""));
    if target.contains('#') {
        return Err("a request target has no fragment");
    }
    if whole.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return Err("the path has a backslash, a control character, or one that must be encoded");
    }
    let path = match whole.split_once("://") {
        None => whole,
        Some((scheme, rest)) if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/")
        }
        Some(_) => return Err("the path has a scheme in it"),
    };
    check(path)?;
    Ok((path, query))
}

fn check(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') || path.starts_with("//") {
        return Err("the path must begin with one slash");
    }
    let mut text = path.to_owned();
    for level in 0..LEVELS {
        if text.contains("://") {
            return Err("the path has a scheme in it");
        }
        if level > 0 && text.chars().any(is_syntax) {
            return Err(
                "the path has an encoded slash, backslash, question mark, number sign or control character",
            );
        }
        if text.split('/').any(is_dots) {
            return Err("the path has a dot segment");
        }
        let decoded = decode(&text)?;
        if decoded == text {
            return Ok(());
        }
        if slashes(&decoded) != slashes(&text) {
            return Err(
                "the path has an encoded slash, backslash, question mark, number sign or control character",
            );
        }
        text = decoded;
    }
    Err("the path is encoded too often")
}

fn slashes(text: &str) -> usize {
    text.matches('/').count()
}

/// What separates parts of a URL for some server, or looks like it to one that maps characters; but for the slash
/// itself.
fn is_syntax(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\\' | '?' | '#' | '\u{ff0f}' | '\u{2044}' | '\u{2215}' | '\u{ff3c}' | '\u{fe68}' | '\u{2216}'
        )
}

/// A segment of nothing but dots, before its parameters.
fn is_dots(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default();
    let is_dot = |c: char| {
        c == '.'
            || c.is_whitespace()
            || matches!(c, '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{2024}' | '\u{2025}' | '\u{fe52}')
    };
    !name.is_empty() && name.chars().all(is_dot)
}

/// One level of percent-encoding undone; what is none is left as it is, as lenient servers do.
fn decode(text: &str) -> Result<String, &'static str> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high << 4 | low).unwrap_or_default());
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(decoded).map_err(|_| "the path is not percent-encoded UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_with_one_meaning_are_taken_apart() {
        for (target, path, query) in [
            ("/scim/v2/Users", "/scim/v2/Users", ""),
            ("/Users/2819c223?attributes=a/../b\\c", "/Users/2819c223", "attributes=a/../b\\c"),
            ("https://a.example:8443/scim/Users/.search", "/scim/Users/.search", ""),
            ("http://a.example?x", "/", "x"),
            ("/Users//a%20b/", "/Users//a%20b/", ""),
            ("/Users/100%25", "/Users/100%25", ""),
            ("/Users/a..b", "/Users/a..b", ""),
            ("/Schemas/urn:a:b;c", "/Schemas/urn:a:b;c", ""),
            ("/Users/%C3%A4", "/Users/%C3%A4", ""),
        ] {
            assert_eq!(split(target), Ok((path, query)), "{target}");
        }
    }

    #[test]
    fn targets_with_two_meanings_are_refused() {
        for target in [
            "",
            "*",
            "Users",
            "//evil/Users",
            "http:/\\evil/Users",
            "ftp://a/Users",
            "/a/http://b/Users",
            "/Users/..",
            "/Users/../Groups/1",
            "/Users/./1",
            "/Users/%2e%2e/Groups",
            "/Users/%2E./Groups",
            "/Users/%252e%252e/Groups",
            "/Users/%25252e%25252e/Groups",
            "/Users/..;/Groups/1",
            "/Users/..;x=1/Groups",
            "/Users/%2e%2e%3b/Groups",
            "/Users/..%2fGroups",
            "/Users/1%2f..%2f2",
            "/Users/1%5c..%5c2",
            "/Users/a\\b",
            "/Users/1%00",
            "/Users/1%0a",
            "/Users/1%250d",
            "/Users/\u{7f}",
            "/Users/1 2",
            "/Users/1%3f",
            "/Users/1%23",
            "/Users#/../Groups/1",
            "/Users/ä",
            "/Users/%c0%ae%c0%ae/1",
            "/Users/%ef%bc%8e%ef%bc%8e/Groups",
            "/Users/1%ef%bc%8f2",
            "/Users/%20/..",
            "/Users/http:%2f%2fevil",
            "/Users/%252525252525252525252e",
        ] {
            assert!(split(target).is_err(), "{target}");
        }
    }
}
