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
