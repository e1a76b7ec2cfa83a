//! The query string of a SCIM request, decoded once and within limits.
//!
//! `+` is a space, as in forms. Inside a quoted value of `filter` that is an address once its pluses
//! are taken as written (`userName eq "ann+test@example.com"`), they are: clients forget to encode
//! them there, and no address has a space. A parameter that stands twice has two meanings and is
//! refused. Names compare without regard to case; empty parts (`?`, `&&`, a trailing `&`) say nothing.

use crate::error::{Error, ScimType};
use crate::parser::shorten;

/// Length of a query string as sent, in bytes: a filter of the greatest length, every byte encoded.
pub const MAX_BYTES: usize = 32_768;
/// Parameters in one query string.
pub const MAX_PARAMETERS: usize = 50;

/// Decoded parameters in the order sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    parameters: Vec<(String, String)>,
}

impl Query {
    /// Decodes what stands behind the `?`, or `invalidSyntax`.
    pub fn parse(raw: &str) -> Result<Self, Error> {
        let refuse = |sentence: String| Err(Error::new(ScimType::InvalidSyntax, sentence));
        if raw.len() > MAX_BYTES {
            return refuse(format!("the query string is longer than {MAX_BYTES} bytes"));
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        for part in raw.trim_start_matches('?').split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let undecoded = || format!("the parameter {} is not percent-encoded UTF-8", shorten(name));
            let Some(name) = decode(name).map(|marked| marked.with_pluses_as(' ')) else {
                return refuse(undecoded());
            };
            let Some(value) = decode(value) else { return refuse(undecoded()) };
            if parameters.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
                return refuse(format!("the parameter {} stands twice", shorten(&name)));
            }
            if parameters.len() >= MAX_PARAMETERS {
                return refuse(format!("there are more than {MAX_PARAMETERS} parameters"));
            }
            let value = if name.eq_ignore_ascii_case("filter") {
                value.with_pluses_of_addresses()
            } else {
                value.with_pluses_as(' ')
            };
            parameters.push((name, value));
        }
        Ok(Self { parameters })
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that is a whole number, `invalidValue` if it is something else. An empty
    /// one is none. What exceeds 64 bits is the largest or smallest that does not.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(value) = self.get(name).map(str::trim).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let (negative, digits) = match value.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, value),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::new(ScimType::InvalidValue, format!("{name} must be a whole number")));
        }
        let largest = if negative { i64::MIN } else { i64::MAX };
        Ok(Some(value.parse().unwrap_or(largest)))
    }

    /// Every parameter, in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Decoded text that remembers which of its pluses were not encoded.
struct Marked {
    text: String,
    /// Byte positions of unencoded pluses, ascending; `text` has a `+` there.
    pluses: Vec<usize>,
}

/// Undoes percent-encoding (RFC 3986 §2.1).
fn decode(raw: &str) -> Option<Marked> {
    let mut bytes = raw.bytes();
    let mut decoded = Vec::with_capacity(raw.len());
    let mut pluses = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit()?, digit()?);
                decoded.push(u8::try_from(high << 4 | low).ok()?);
            }
            b'+' => {
                pluses.push(decoded.len());
                decoded.push(b'+');
            }
            byte => decoded.push(byte),
        }
    }
    Some(Marked { text: String::from_utf8(decoded).ok()?, pluses })
}

impl Marked {
    fn with_pluses_as(self, replacement: char) -> String {
        self.rewritten(|_| replacement)
    }

    /// Unencoded pluses as spaces, but as pluses inside quoted addresses.
    fn with_pluses_of_addresses(self) -> String {
        if self.pluses.is_empty() {
            return self.text;
        }
        let addresses = addresses(&self.text, &self.pluses);
        let mut ahead = addresses.iter().peekable();
        self.rewritten(|at| {
            while ahead.next_if(|(_, end)| *end <= at).is_some() {}
            if ahead.peek().is_some_and(|(start, _)| *start <= at) { '+' } else { ' ' }
        })
    }

    /// The text with each unencoded plus, in turn, replaced.
    fn rewritten(self, mut replacement: impl FnMut(usize) -> char) -> String {
        if self.pluses.is_empty() {
            return self.text;
        }
        let mut pluses = self.pluses.iter().copied().peekable();
        self.text
            .char_indices()
            .map(|(at, c)| if pluses.next_if_eq(&at).is_some() { replacement(at) } else { c })
            .collect()
    }
}

/// Where the quoted values stand that are addresses with their pluses as written: their byte ranges.
fn addresses(filter: &str, pluses: &[usize]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut pluses = pluses.iter().copied().peekable();
    let mut quoted: Option<Quoted> = None;
    let mut escaped = false;
    for (at, c) in filter.char_indices() {
        let raw_plus = pluses.next_if_eq(&at).is_some();
        match &mut quoted {
            None if c == '"' => quoted = Some(Quoted { start: at, at_sign: false, possible: true }),
            None => {}
            Some(value) if c == '"' && !escaped => {
                if value.at_sign && value.possible {
                    found.push((value.start, at));
                }
                quoted = None;
            }
            Some(value) => match c {
                '@' => value.at_sign = true,
                ' ' => value.possible = false,
                _ if raw_plus && value.at_sign => value.possible = false,
                _ => {}
            },
        }
        escaped = quoted.is_some() && c == '\\' && !escaped;
    }
    found
}

/// A quoted value as far as it is read.
struct Quoted {
    start: usize,
    at_sign: bool,
    /// No space, and no unencoded plus behind the `@`.
    possible: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn filter(raw: &str, decoded: &str) {
        assert_eq!(Query::parse(&format!("filter={raw}")).unwrap().get("filter"), Some(decoded), "{raw}");
    }

    #[test]
    fn decodes_filters() {
        filter("userName+eq+%22bjensen%22", "userName eq \"bjensen\"");
        filter("userName%20eq%20\"bjensen\"", "userName eq \"bjensen\"");
        filter("userName+eq+\"ann%2Btest@example.com\"", "userName eq \"ann+test@example.com\"");
        filter("displayName+eq+\"testGroup%2Btest\"", "displayName eq \"testGroup+test\"");
        filter("userName%20eq%20%22D%C3%84VE%22", "userName eq \"DÄVE\"");
        filter("a+eq+\"x=y\"", "a eq \"x=y\"");
        filter("", "");
    }

    #[test]
    fn keeps_the_plus_of_an_address() {
        filter("userName+eq+\"ann+test@example.com\"", "userName eq \"ann+test@example.com\"");
        filter("userName+eq+%22a+b+c@x.org%22+and+b+pr", "userName eq \"a+b+c@x.org\" and b pr");
        filter(
            "a+eq+\"x+y\"+or+b+eq+\"x+y@z\"+or+c+eq+\"x+y\"",
            "a eq \"x y\" or b eq \"x+y@z\" or c eq \"x y\"",
        );
        filter("displayName+eq+\"Ann+Lee\"", "displayName eq \"Ann Lee\"");
        filter("displayName+eq+\"Lunch+@+noon\"", "displayName eq \"Lunch @ noon\"");
        filter("displayName+eq+\"Ann+Lee%20@x\"", "displayName eq \"Ann Lee @x\"");
        filter("a+eq+\"x\\\"+y\"+and+b+eq+\"c+d@e\"", "a eq \"x\\\" y\" and b eq \"c+d@e\"");
        filter("a+eq+\"x\\\\\"+and+b+eq+\"c+d@e\"", "a eq \"x\\\\\" and b eq \"c+d@e\"");
        let other = Query::parse("sortBy=a+b@c").unwrap();
        assert_eq!(other.get("sortBy"), Some("a b@c"));
    }

    #[test]
    fn reads_what_clients_send() {
        let query = Query::parse("?startindex=1&&count=100&attributes=userName%2Cid&x&").unwrap();
        assert_eq!(query.integer("startIndex"), Ok(Some(1)));
        assert_eq!(query.integer("count"), Ok(Some(100)));
        assert_eq!(query.get("attributes"), Some("userName,id"));
        assert_eq!(query.get("x"), Some(""));
        assert_eq!(query.integer("cursor"), Ok(None));
        assert_eq!(Query::parse(""), Ok(Query::default()));
        assert_eq!(query.iter().count(), 4);
    }

    #[test]
    fn reads_whole_numbers() {
        let count = |value: &str| Query::parse(&format!("count={value}")).unwrap().integer("count");
        assert_eq!(count("-5"), Ok(Some(-5)));
        assert_eq!(count("99999999999999999999"), Ok(Some(i64::MAX)));
        assert_eq!(count("-99999999999999999999"), Ok(Some(i64::MIN)));
        assert_eq!(count(""), Ok(None));
        for bad in ["1.5", "ten", "-", "0x10", "1e3", "%2B1"] {
            assert_eq!(count(bad).unwrap_err().scim_type, Some(ScimType::InvalidValue), "{bad}");
        }
    }

    #[test]
    fn refuses_what_has_no_one_meaning() {
        for raw in ["count=1&count=2", "count=1&Count=1", "a=%", "a=%4", "a=%zz", "a=%ff", "%c3=1", "a=%2"] {
            assert_eq!(Query::parse(raw).unwrap_err().scim_type, Some(ScimType::InvalidSyntax), "{raw}");
        }
        assert!(Query::parse(&"a".repeat(MAX_BYTES + 1)).is_err());
        let many: String = (0..51).map(|n| format!("p{n}=&")).collect();
        assert!(Query::parse(&many).is_err());
    }
}
