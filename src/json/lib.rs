//! Strict JSON: every text that comes from outside is read here and nowhere else.
//!
//! What RFC 8259 leaves to the reader is decided: UTF-8 without a byte order mark, at most
//! [`Limits::bytes`] long and [`Limits::depth`] deep with [`Limits::values`] values in all, and no object names a
//! member twice (escaped spellings of one name are the same name), so that no two readers of one text can see
//! different values.
//!
//! A value takes some 50 bytes of memory, and 100 as a member of an object, beside its text: the number of values
//! bounds the memory of short ones (`[0,0,0,…]`).

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fmt;

/// How large a text may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Length of the text in bytes.
    pub bytes: usize,
    /// Levels of arrays and objects; a scalar is level 0. At most 100 (the reader beneath stops at 128).
    pub depth: usize,
    /// Values of any type, at every level, the outermost among them.
    pub values: usize,
}

/// At most how many bytes of memory the value of a JSON text takes, found without reading it: each comma, colon and
/// bracket that is not in a string makes room for one more value or member.
pub fn weight(text: &[u8]) -> usize {
    let (mut values, mut members) = (1_usize, 0_usize);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in text {
        match (in_string, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b',' | b'[' | b'{') => values = values.saturating_add(1),
            (false, b':') => members = members.saturating_add(1),
            _ => {}
        }
    }
    let one = values.saturating_mul(VALUE).saturating_add(members.saturating_mul(MEMBER));
    text.len().saturating_add(one)
}

/// What a value takes beside its text, with the room that its array keeps for growing; what a member takes more, with its
/// hash and the allocation of its name.
const VALUE: usize = 2 * size_of::<Value>();
const MEMBER: usize = size_of::<Value>() + 2 * size_of::<String>() + 4 * size_of::<usize>();

/// Why a text was refused. `Display` is one sentence fit for the text's sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Longer than the limit (bytes).
    TooLong(usize),
    /// Deeper than the limit (levels).
    TooDeep(usize),
    /// More values than the limit.
    TooManyValues(usize),
    /// An object names this member twice.
    DuplicateName(String),
    /// Not UTF-8, or begins with a byte order mark.
    Encoding,
    /// Not an object where one is required.
    NotAnObject,
    /// Not JSON; where the reader stopped, counted from 1.
    Syntax {
        /// Line.
        line: usize,
        /// Byte within the line.
        column: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(limit) => write!(f, "the JSON text is longer than {limit} bytes"),
            Self::TooDeep(limit) => write!(f, "the JSON text is nested deeper than {limit} levels"),
            Self::TooManyValues(limit) => write!(f, "the JSON text has more than {limit} values"),
            Self::DuplicateName(name) => write!(f, "the member {name:?} stands twice in one object"),
            Self::Encoding => f.write_str("the JSON text is not UTF-8 without a byte order mark"),
            Self::NotAnObject => f.write_str("the JSON text is not an object"),
            Self::Syntax { line, column } => {
                write!(f, "not JSON: the mistake is at line {line}, column {column}")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Reads one JSON text of any type.
pub fn parse(text: &[u8], limits: Limits) -> Result<Value, Error> {
    if text.len() > limits.bytes {
        return Err(Error::TooLong(limits.bytes));
    }
    let text = std::str::from_utf8(text).map_err(|_| Error::Encoding)?;
    if text.starts_with('\u{feff}') {
        return Err(Error::Encoding);
    }
    let (refusal, values) = (Cell::new(None), Cell::new(limits.values));
    let mut reader = serde_json::Deserializer::from_str(text);
    let level = Level { left: limits.depth, values: &values, limits, refusal: &refusal };
    let read = level.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| {
        refusal.take().unwrap_or_else(|| Error::Syntax { line: error.line(), column: error.column() })
    })
}

/// Reads one JSON object.
pub fn parse_object(text: &[u8], limits: Limits) -> Result<Map<String, Value>, Error> {
    match parse(text, limits)? {
        Value::Object(object) => Ok(object),
        _ => Err(Error::NotAnObject),
    }
}

/// Reads a value with `left` levels to go; why it refused is left in `refusal`, since the reader's
/// own error type keeps only a sentence.
struct Level<'a> {
    left: usize,
    /// How many more values the text may have.
    values: &'a Cell<usize>,
    limits: Limits,
    refusal: &'a Cell<Option<Error>>,
}

impl<'a> Level<'a> {
    fn deeper<E: serde::de::Error>(&self) -> Result<Level<'a>, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Level { left, ..*self }),
            None => Err(self.refuse(Error::TooDeep(self.limits.depth))),
        }
    }

    fn refuse<E: serde::de::Error>(&self, error: Error) -> E {
        self.refusal.set(Some(error));
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.values.get().checked_sub(1) {
            Some(values) => self.values.set(values),
            None => return Err(self.refuse(Error::TooManyValues(self.limits.values))),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper::<A::Error>()?)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        let inner = self.deeper::<A::Error>()?;
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(self.refuse(Error::DuplicateName(name)));
            }
            let value = members.next_value_seed(Level { ..inner })?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes: 200, depth: 3, values: 50 };

    #[track_caller]
    fn refused(text: &[u8], error: Error) {
        assert_eq!(parse(text, LIMITS), Err(error), "{}", String::from_utf8_lossy(text));
    }

    #[test]
    fn reads_what_is_plain() {
        let text = r#" {"a":[1,-2,0.5,{"b":null}],"c":"\u00e4\ud83d\ude00","d":true} "#;
        let plain: Value = serde_json::from_str(text).unwrap();
        assert_eq!(parse(text.as_bytes(), LIMITS), Ok(plain));
    }

    #[test]
    fn keeps_the_order_of_members() {
        let object = parse_object(br#"{"z":1,"a":2,"m":3}"#, LIMITS).unwrap();
        assert_eq!(object.keys().collect::<Vec<_>>(), ["z", "a", "m"]);
    }

    #[test]
    fn refuses_what_readers_disagree_on() {
        refused(br#"{"a":1,"\u0061":2}"#, Error::DuplicateName("a".into()));
        refused(br#"[{"b":{"a":1,"a":1}}]"#, Error::DuplicateName("a".into()));
        refused(b"\xef\xbb\xbf{}", Error::Encoding);
        refused(b"\"\xc0\xaf\"", Error::Encoding);
        refused(br#""\ud800""#, Error::Syntax { line: 1, column: 8 });
        refused(b"1e999", Error::Syntax { line: 1, column: 5 });
        refused(b"{} {}", Error::Syntax { line: 1, column: 4 });
        refused(b"[NaN]", Error::Syntax { line: 1, column: 2 });
        refused(b"", Error::Syntax { line: 1, column: 0 });
        assert_eq!(parse_object(b"[]", LIMITS), Err(Error::NotAnObject));
    }

    #[test]
    fn weights_grow_with_values_and_not_with_their_texts() {
        let plain = weight(br#"{"a":"x"}"#);
        assert!(plain >= 9 + VALUE + MEMBER);
        let text = br#"{"a":"[[[[,,,,::::\"[[[["}"#;
        assert_eq!(weight(text) - text.len(), plain - 9);
        let many = format!("[{}]", vec!["[]"; 1000].join(","));
        assert!(weight(many.as_bytes()) > 2000 * VALUE);
    }

    #[test]
    fn limits_hold_at_their_edges() {
        assert!(parse(b"[[[1]]]", LIMITS).is_ok());
        refused(b"[[[[1]]]]", Error::TooDeep(3));
        refused(&b"[".repeat(150), Error::TooDeep(3));
        assert!(parse(&[b' '; 199].iter().chain(b"1").copied().collect::<Vec<_>>(), LIMITS).is_ok());
        refused(&[b' '; 201], Error::TooLong(200));
        let items = |count: usize| format!("[{}1]", "1,".repeat(count - 1)).into_bytes();
        assert!(parse(&items(49), LIMITS).is_ok());
        refused(&items(50), Error::TooManyValues(50));
        refused(br#"{"a":[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}],"b":[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]}"#, Error::TooManyValues(50));
    }
}
