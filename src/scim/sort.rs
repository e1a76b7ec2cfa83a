//! Sorting (RFC 7644 §3.4.2.3): the key a resource sorts by, and the order of keys.
//!
//! The attribute's type decides: texts by code point, folded unless the attribute is caseExact,
//! dateTimes as instants, numbers as numbers, false before true. A multi-valued attribute sorts by its
//! primary value, or by its first. A resource without a value stands last in ascending order and first
//! in descending order. Equal keys are the caller's to order, by `id`, so that pages are stable.

use crate::compare::{Number, boolean, text};
use crate::endpoint::Kind;
use crate::error::{Error, ScimType};
use crate::evaluate::{self, Target};
use crate::fold::fold;
use crate::instant::Instant;
use crate::path::AttributePath;
use crate::schema::{Schemas, Type};
use serde_json::{Map, Value};
use std::cmp::Ordering;

/// The direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

impl Order {
    /// Reads `sortOrder`, in any case.
    pub fn parse(word: &str) -> Result<Self, Error> {
        if word.is_empty() || word.eq_ignore_ascii_case("ascending") {
            Ok(Self::Ascending)
        } else if word.eq_ignore_ascii_case("descending") {
            Ok(Self::Descending)
        } else {
            Err(Error::new(ScimType::InvalidValue, "sortOrder must be ascending or descending"))
        }
    }
}

/// What one resource sorts by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Kept);

/// Variants in the order in which they sort; one sorter makes one of them, and `Missing`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kept {
    Bool(bool),
    Number(Number),
    Instant(Instant),
    Text(String),
    Missing,
}

impl Key {
    /// The key in a bounded length, for cursors.
    pub fn bound(&self) -> Bound {
        match &self.0 {
            Kept::Text(text) if text.len() > BOUND_BYTES => {
                let end = text.floor_char_boundary(BOUND_BYTES);
                let prefix = text.get(..end).unwrap_or_default().to_owned();
                Bound(Short::Prefix { prefix, digest: digest(text) })
            }
            _ => Bound(Short::Whole(self.0.clone())),
        }
    }
}

/// The longest text that a bound holds whole, in bytes.
const BOUND_BYTES: usize = 64;

/// A key in a bounded length. A long text is kept as a prefix and a digest, which order every key but other
/// texts with the same prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound(Short);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Short {
    Whole(Kept),
    Prefix { prefix: String, digest: u128 },
}

impl Bound {
    /// A text of letters, digits and `-`.
    pub fn to_text(&self) -> String {
        match &self.0 {
            Short::Whole(Kept::Bool(flag)) => format!("b{}", u8::from(*flag)),
            Short::Whole(Kept::Number(Number::Whole(whole))) => format!("n{whole}"),
            Short::Whole(Kept::Number(Number::Fraction(value))) => format!("f{:x}", value.to_bits()),
            Short::Whole(Kept::Instant(instant)) => {
                let (seconds, attoseconds) = instant.parts();
                format!("i{seconds}a{attoseconds}")
            }
            Short::Whole(Kept::Text(text)) => format!("t{}", hex(text)),
            Short::Whole(Kept::Missing) => "m".to_owned(),
            Short::Prefix { prefix, digest } => format!("p{digest:x}s{}", hex(prefix)),
        }
    }

    /// Reads such a text.
    pub fn parse(text: &str) -> Option<Self> {
        let (mark, rest) = text.split_at_checked(1)?;
        let whole = |kept| Some(Self(Short::Whole(kept)));
        match mark {
            "b" => whole(Kept::Bool(rest == "1")),
            "n" => whole(Kept::Number(Number::Whole(rest.parse().ok()?))),
            "f" => whole(Kept::Number(Number::Fraction(f64::from_bits(u64::from_str_radix(rest, 16).ok()?)))),
            "i" => {
                let (seconds, attoseconds) = rest.split_once('a')?;
                let instant = Instant::from_parts(seconds.parse().ok()?, attoseconds.parse().ok()?);
                whole(Kept::Instant(instant))
            }
            "t" => whole(Kept::Text(unhex(rest)?)),
            "m" => whole(Kept::Missing),
            "p" => {
                let (digest, prefix) = rest.split_once('s')?;
                let digest = u128::from_str_radix(digest, 16).ok()?;
                Some(Self(Short::Prefix { prefix: unhex(prefix)?, digest }))
            }
            _ => None,
        }
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<String> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at.checked_add(2)?)?, 16).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}

/// FNV-1a in 128 bits: no two texts of a directory collide by accident.
fn digest(text: &str) -> u128 {
    text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |digest, byte| {
        (digest ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

/// `sortBy`, resolved.
#[derive(Clone, Debug)]
pub struct Sorter {
    target: Option<Target>,
    kind: Type,
    case_exact: bool,
    order: Order,
}

impl Sorter {
    /// Resolves `sortBy` for one kind. A complex attribute sorts by its `value`; one that has none, or
    /// one that no filter can ask for, is `invalidValue`.
    pub fn new(by: &AttributePath, order: Order, schemas: &Schemas, kind: Kind) -> Result<Self, Error> {
        let refuse = |why| Err(Error::new(ScimType::InvalidValue, format!("sortBy {by}: {why}")));
        match evaluate::resolve(by, schemas, kind) {
            Some((target, leaf)) if leaf.kind != Type::Complex => {
                Ok(Self { target: Some(target), kind: leaf.kind, case_exact: leaf.case_exact, order })
            }
            Some(_) => refuse("a complex attribute: name one of its sub-attributes"),
            None => refuse("not an attribute that can be asked for here"),
        }
    }

    /// The same for a query over every kind: an attribute that only another kind has is missing here.
    pub fn across(by: &AttributePath, order: Order, schemas: &Schemas, kind: Kind) -> Result<Self, Error> {
        let own = Self::new(by, order, schemas, kind);
        if own.is_err() {
            let elsewhere = Kind::ALL.iter().find_map(|kind| Self::new(by, order, schemas, *kind).ok());
            return elsewhere.map(|sorter| Self { target: None, ..sorter }).ok_or(()).or(own);
        }
        own
    }

    /// What a resource sorts by.
    pub fn key(&self, resource: &Map<String, Value>) -> Key {
        let value = self.target.as_ref().and_then(|target| target.preferred(resource));
        Key(value.and_then(|value| self.kept(value)).unwrap_or(Kept::Missing))
    }

    fn kept(&self, value: &Value) -> Option<Kept> {
        match self.kind {
            Type::Boolean => boolean(value).map(Kept::Bool),
            Type::Integer | Type::Decimal => Number::from_value(value).map(Kept::Number),
            Type::DateTime => value.as_str().and_then(Instant::parse).map(Kept::Instant),
            Type::String | Type::Reference if !self.case_exact => text(value).map(|t| Kept::Text(fold(&t))),
            Type::String | Type::Reference | Type::Binary => {
                text(value).map(|text| Kept::Text(text.into_owned()))
            }
            Type::Complex => None,
        }
    }

    /// The order of two resources by their keys.
    pub fn compare(&self, a: &Key, b: &Key) -> Ordering {
        match self.order {
            Order::Ascending => a.cmp(b),
            Order::Descending => b.cmp(a),
        }
    }

    /// Whether a bound has the type of this sorter's keys: an attribute's definition can change.
    pub fn fits(&self, bound: &Bound) -> bool {
        match &bound.0 {
            Short::Prefix { .. } | Short::Whole(Kept::Text(_)) => {
                matches!(self.kind, Type::String | Type::Reference | Type::Binary)
            }
            Short::Whole(Kept::Bool(_)) => self.kind == Type::Boolean,
            Short::Whole(Kept::Number(_)) => matches!(self.kind, Type::Integer | Type::Decimal),
            Short::Whole(Kept::Instant(_)) => self.kind == Type::DateTime,
            Short::Whole(Kept::Missing) => true,
        }
    }

    /// Compares a key with a bound. `None` for a text that shares the prefix of a long one and differs from it.
    pub fn compare_with(&self, key: &Key, bound: &Bound) -> Option<Ordering> {
        let ordering = match (&bound.0, &key.0) {
            (Short::Whole(whole), key) => key.cmp(whole),
            (Short::Prefix { prefix, digest: known }, Kept::Text(text)) => {
                match text.strip_prefix(prefix.as_str()) {
                    // The whole text is longer than its prefix.
                    Some("") => Ordering::Less,
                    Some(_) if digest(text) == *known => Ordering::Equal,
                    Some(_) => return None,
                    None => text.as_str().cmp(prefix),
                }
            }
            // A missing value sorts after every text.
            (Short::Prefix { .. }, _) => Ordering::Greater,
        };
        Some(match self.order {
            Order::Ascending => ordering,
            Order::Descending => ordering.reverse(),
        })
    }

    /// Whether a sort looks at what stands under this name at the top of a resource.
    pub fn looks_at(&self, name: &str) -> bool {
        self.target.as_ref().is_some_and(|target| target.extension.as_deref().unwrap_or(&target.name) == name)
    }

    /// Whether a sort looks at a sub-attribute of a top-level attribute, or at all of that.
    pub fn looks_at_part(&self, name: &str, sub: &str) -> bool {
        let all_or_this = |known: &Option<String>| known.as_deref().is_none_or(|known| known == sub);
        self.target.as_ref().is_some_and(|target| {
            target.extension.is_none() && target.name == name && all_or_this(&target.sub)
        })
    }

    /// Whether a sort looks at a top-level attribute, so that a caller who makes it up can leave it out.
    pub fn reads(&self, attribute: &str) -> bool {
        self.target.as_ref().is_some_and(|target| target.extension.is_none() && target.name == attribute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(by: &str, value: &Value) -> (Sorter, Key) {
        let sorter =
            Sorter::new(&by.parse().unwrap(), Order::Ascending, &Schemas::default(), Kind::User).unwrap();
        let resource = json!({ by: value, "meta": { "lastModified": value } });
        let key = sorter.key(resource.as_object().unwrap());
        (sorter, key)
    }

    #[test]
    fn a_bound_orders_as_its_key_does() {
        let long = "ä".repeat(40);
        let texts =
            ["", "a", "Ä", "z", &long, &format!("{long}x"), &format!("{long}y"), &"ä".repeat(32), "ö"];
        let mut unknown = 0;
        for one in texts {
            for other in texts {
                let ((sorter, one), (_, other)) =
                    (key("userName", &json!(one)), key("userName", &json!(other)));
                let bound = Bound::parse(&other.bound().to_text()).unwrap();
                assert_eq!(bound, other.bound());
                assert!(sorter.fits(&bound) && bound.to_text().len() < 200);
                match sorter.compare_with(&one, &bound) {
                    Some(ordering) => assert_eq!(ordering, sorter.compare(&one, &other), "{one:?} {other:?}"),
                    None => unknown += 1,
                }
            }
        }
        // Only three texts begin alike and are longer than a bound holds.
        assert_eq!(unknown, 6);
    }

    #[test]
    fn bounds_of_every_type_are_read_back() {
        for (by, value) in [
            ("active", json!(true)),
            ("active", json!(false)),
            ("meta.lastModified", json!("2026-01-01T00:00:00.123Z")),
            ("meta.lastModified", json!("1901-01-01T00:00:00.5+02:00")),
            ("userName", Value::Null),
        ] {
            let (sorter, key) = key(by, &value);
            let bound = Bound::parse(&key.bound().to_text()).unwrap();
            assert!(sorter.fits(&bound), "{by}");
            assert_eq!(sorter.compare_with(&key, &bound), Some(Ordering::Equal), "{by} {value}");
        }
        for number in [Number::Whole(-7), Number::Whole(i128::MAX), Number::Fraction(-2.5)] {
            let bound = Key(Kept::Number(number)).bound();
            assert_eq!(Bound::parse(&bound.to_text()), Some(bound));
        }
        for text in ["", "x", "t0", "tfg", "tff", "i1", "p", "pxs00", "n", "ä"] {
            assert_eq!(Bound::parse(text), None, "{text}");
        }
        let (sorter, _) = key("active", &json!(true));
        assert!(!sorter.fits(&Bound::parse("t61").unwrap()));
    }
}
