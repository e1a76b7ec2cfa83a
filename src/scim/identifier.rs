//! Identifiers of resources, as far as they travel in the path of a URL.

use std::borrow::Cow;

/// How often a server and the proxies before it may decode a path.
const DECODINGS: usize = 8;

/// Whether an id is one segment of a path for every server on the way, however often each of them decodes it and whatever
/// it takes for a slash: neither a separator, a control character nor a dot segment in any encoding.
///
/// Servers decode twice (`%252e`), read `%u002e` and overlong UTF-8 (`%c0%ae`), map full-width characters to ASCII, and cut
/// path parameters off (`..;x`) before they resolve dot segments.
pub fn is_path_segment(id: &str) -> bool {
    let mut text = Cow::Borrowed(id);
    for _ in 0..DECODINGS {
        if !is_plain(&text) {
            return false;
        }
        match decoded(&text) {
            Decoded::Same => return true,
            Decoded::Text(next) => text = Cow::Owned(next),
            Decoded::Broken => return false,
        }
    }
    false
}

fn is_plain(text: &str) -> bool {
    let separates = |c: char| {
        c.is_control()
            || matches!(
                c,
                '/' | '\\'
                    | '\u{2028}'
                    | '\u{2029}'
                    | '\u{2044}'
                    | '\u{2215}'
                    | '\u{2216}'
                    | '\u{ff0f}'
                    | '\u{ff3c}'
            )
    };
    let is_dot = |c: char| matches!(c, '.' | '\u{2024}'..='\u{2026}' | '\u{ff0e}' | '\u{ff61}');
    let name = text.split(';').next().unwrap_or_default().trim();
    !name.is_empty() && !text.contains(separates) && !name.chars().all(is_dot)
}

enum Decoded {
    /// There was nothing to decode.
    Same,
    Text(String),
    /// It is no UTF-8, and readers differ about it.
    Broken,
}

/// A text with one level of percent-encoding less. What only looks like an encoding stays.
fn decoded(text: &str) -> Decoded {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut is_same = true;
    while let Some(at) = rest.find('%') {
        let (before, behind) = (rest.get(..at).unwrap_or_default(), rest.get(at.saturating_add(1)..));
        let behind = behind.unwrap_or_default();
        bytes.extend_from_slice(before.as_bytes());
        let (digits, prefix) = match behind.strip_prefix(['u', 'U']) {
            Some(digits) => (digits.get(..4), 1),
            None => (behind.get(..2), 0),
        };
        let code = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(code) = code.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            bytes.push(b'%');
            rest = behind;
            continue;
        };
        is_same = false;
        match (prefix, u8::try_from(code)) {
            (0, Ok(byte)) => bytes.push(byte),
            _ => {
                let Some(c) = char::from_u32(code) else { return Decoded::Broken };
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        let length = digits.map_or(0, str::len).saturating_add(prefix);
        rest = behind.get(length..).unwrap_or_default();
    }
    if is_same {
        return Decoded::Same;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_or(Decoded::Broken, Decoded::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_real_servers_are_segments() {
        for id in [
            "2819c223-7f76-453a-919d-413861904646",
            "00u1a2b3c4",
            "ann@example.com",
            "uid=ann,ou=people",
            "a b",
            "100%",
            "50%off",
            "a..b",
            "..a",
            "v1.2",
            "caf\u{e9}",
            "a%20b",
            "a;b",
            "%zz",
        ] {
            assert!(is_path_segment(id), "{id}");
        }
    }

    #[test]
    fn identifiers_that_would_leave_their_segment_are_none() {
        for id in [
            "",
            " ",
            ".",
            "..",
            "...",
            ".. ",
            "..;x=1",
            ";x",
            "a/b",
            "../Groups",
            "a\\b",
            "a\nb",
            "a\u{0}",
            "a\u{7f}",
            "a\u{85}b",
            "%2e%2e",
            "%2E.",
            ".%2e",
            "%252e%252e",
            "%25252e%25252e",
            "a%2fb",
            "a%252Fb",
            "a%5cb",
            "a%0d%0ab",
            "a%00",
            "%u002e%u002e",
            "a%u2215b",
            "%c0%ae%c0%ae",
            "a%c0%afb",
            "%ff",
            "\u{ff0e}\u{ff0e}",
            "a\u{ff0f}b",
            "%ef%bc%8e%ef%bc%8e",
            "%ud800",
        ] {
            assert!(!is_path_segment(id), "{id:?}");
        }
        let deep = format!("a%{}2fb", "25".repeat(40));
        assert!(!is_path_segment(&deep));
    }
}
