//! A random number generator whose seed a failing test prints, and random filters.
#![allow(dead_code, clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use scim_edge_scim::definitions::{GROUP, USER};
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::Error;
use scim_edge_scim::schema::{Extension, Schema, Schemas};
use serde_json::{Map, Value, json};

use scim_edge_scim::filter::{Filter, Literal, Operator};
use scim_edge_scim::path::AttributePath;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// How many executions `SCIM_EDGE_FUZZ` asks for.
pub(crate) fn executions(default: usize) -> usize {
    std::env::var("SCIM_EDGE_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// The seed of this run: `SCIM_EDGE_SEED` or always the same.
pub(crate) fn seed() -> u64 {
    std::env::var("SCIM_EDGE_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(20_110_513)
}

const URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const NAMES: &[&str] =
    &["userName", "emails", "name", "meta", "title", "x-1", "a_b", "$ref", "not1", "true", "eq"];
const TEXTS: &[&str] = &[
    "",
    "a",
    "bjensen",
    "a b",
    "\"",
    "\\",
    "and",
    ")",
    "]",
    "é",
    "日本",
    "😀",
    "\n\t\u{1}",
    "'",
    "+",
    "null",
    "\u{7f}",
    "\u{2028}",
];
const NUMBERS: &[&str] = &["0", "-1", "12", "4.5", "1e3", "1E-2", "-0.0", "18446744073709551615"];

/// A random filter in normal form with about `terms` terms.
pub(crate) fn filter(random: &mut Random, terms: usize) -> Filter {
    tree(random, terms, 0, None, true)
}

#[derive(Clone, Copy, PartialEq)]
enum Parent {
    And,
    Or,
}

fn tree(random: &mut Random, terms: usize, depth: usize, parent: Option<Parent>, brackets: bool) -> Filter {
    if terms <= 1 || depth > 8 {
        return leaf(random, brackets);
    }
    let members = |random: &mut Random, kind| {
        let count = 2 + random.below(3);
        (0..count).map(|_| tree(random, terms / count, depth + 1, Some(kind), brackets)).collect()
    };
    match random.below(4) {
        0 => Filter::Not(Box::new(tree(random, terms - 1, depth + 1, None, brackets))),
        1 if brackets => {
            let path = AttributePath { sub: None, ..path(random) };
            Filter::Element(path, Box::new(tree(random, terms / 2, depth + 1, None, false)))
        }
        _ if parent == Some(Parent::And) => Filter::Or(members(random, Parent::Or)),
        _ if parent == Some(Parent::Or) => Filter::And(members(random, Parent::And)),
        2 => Filter::And(members(random, Parent::And)),
        _ => Filter::Or(members(random, Parent::Or)),
    }
}

fn leaf(random: &mut Random, brackets: bool) -> Filter {
    let path = if brackets { path(random) } else { AttributePath::name(*random.pick(NAMES)) };
    if random.below(6) == 0 {
        return Filter::Present(path);
    }
    let literal = match random.below(8) {
        0 => Literal::Null,
        1 => Literal::Bool(random.below(2) == 0),
        2 => Literal::Number((*random.pick(NUMBERS)).to_owned()),
        _ => Literal::String((*random.pick(TEXTS)).to_owned()),
    };
    Filter::Compare(path, *random.pick(&Operator::ALL), literal)
}

fn path(random: &mut Random) -> AttributePath {
    AttributePath {
        urn: (random.below(4) == 0).then(|| URN.to_owned()),
        name: (*random.pick(NAMES)).to_owned(),
        sub: (random.below(3) == 0).then(|| (*random.pick(NAMES)).to_owned()),
    }
}

/// What stands around something in one of the languages.
const PAIRS: &[(&str, &str)] =
    &[("(", ")"), ("not (", ")"), ("a[", "]"), ("[", "]"), ("{\"a\":", "}"), ("\"", "\""), ("\\\"", "\\\"")];

/// Some of the ways a text can be damaged.
pub(crate) fn mutate(random: &mut Random, text: &str, other: &str, words: &[&str]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..1 + random.below(3) {
        let at = random.below(characters.len() + 1);
        match random.below(8) {
            0 if at < characters.len() => {
                characters.remove(at);
            }
            1 => {
                let word: Vec<char> = random.pick(words).chars().collect();
                characters.splice(at..at, word);
            }
            2 => characters.truncate(at),
            3 => {
                let from = random.below(other.chars().count() + 1);
                characters.splice(at.., other.chars().skip(from));
            }
            4 if at < characters.len() => {
                characters[at] = char::from_u32(random.below(0x11_0000) as u32).unwrap_or('\u{fffd}');
            }
            // Something within brackets or quotes, mostly once, sometimes deeper than any limit.
            5 => {
                let (open, close) = *random.pick(PAIRS);
                let deep = if random.below(4) == 0 { random.below(70) } else { 1 };
                let to = at + random.below(characters.len() - at + 1);
                characters.splice(to..to, close.repeat(deep).chars());
                characters.splice(at..at, open.repeat(deep).chars());
            }
            // A word twice, or so often that the text is longer than any limit.
            6 => {
                let end = |c: &char| !c.is_alphanumeric();
                let length = characters[at..].iter().skip(1).position(end).map_or(1, |length| length + 2);
                let times = if random.below(64) == 0 { random.below(2000) } else { 1 };
                let part: String = characters[at..].iter().take(length).collect();
                characters.splice(at..at, part.repeat(times).chars());
            }
            _ => {
                let part: Vec<char> = characters[at..].iter().copied().take(40).collect();
                characters.splice(at..at, part);
            }
        }
        characters.truncate(9000);
    }
    characters.into_iter().collect()
}

/// What stands somewhere in a value: itself, or a value deep within.
fn within<'a>(random: &mut Random, value: &'a mut Value) -> &'a mut Value {
    let size = match value {
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => 0,
    };
    if size == 0 || random.below(4) == 0 {
        return value;
    }
    let at = random.below(size);
    match value {
        Value::Array(items) => within(random, &mut items[at]),
        Value::Object(members) => within(random, members.values_mut().nth(at).unwrap()),
        other => other,
    }
}

/// JSON that is still JSON, but with parts of another text or of another type, more or fewer of them,
/// deeper, or under other names.
pub(crate) fn mutate_json(random: &mut Random, value: &Value, other: &Value, words: &[&str]) -> String {
    let (mut value, mut other) = (value.clone(), other.clone());
    for _ in 0..1 + random.below(3) {
        let part = within(random, &mut value);
        match (random.below(7), &mut *part) {
            (0, Value::String(text)) => *text = mutate(random, text, "", words),
            (1, Value::Array(items)) if !items.is_empty() => {
                let copy = items[random.below(items.len())].clone();
                let times = if random.below(64) == 0 { 1500 } else { 1 };
                items.extend(std::iter::repeat_n(copy, times));
            }
            (1, Value::Object(members)) if !members.is_empty() => {
                let (name, copy) = members.iter().nth(random.below(members.len())).unwrap();
                let name =
                    if random.below(2) == 0 { name.to_uppercase() } else { mutate(random, name, "", words) };
                members.insert(name, copy.clone());
            }
            (2, Value::Array(items)) if !items.is_empty() => {
                items.remove(random.below(items.len()));
            }
            (2, Value::Object(members)) if !members.is_empty() => {
                let name = members.keys().nth(random.below(members.len())).unwrap().clone();
                members.shift_remove(&name);
            }
            (3, _) => *part = Value::Array(vec![part.take()]),
            (4, _) => {
                *part = json!({ *random.pick(&["value", "emails", "name", "type", "$ref"]): part.take() })
            }
            (5, _) => {
                let scalars =
                    [Value::Null, json!(true), json!(""), json!("x"), json!(0), json!(-1.5), json!([])];
                *part = random.pick(&scalars).clone();
            }
            _ => *part = within(random, &mut other).clone(),
        }
    }
    value.to_string()
}

/// The schemas of the tables: the RFC's, and an account's own extension with every kind of attribute.
pub(crate) fn schemas() -> Schemas {
    let json: Value = serde_json::from_str(include_str!("../../../../tests/cases/extension.json")).unwrap();
    let schema = Schema::parse(json.as_object().unwrap()).unwrap();
    Schemas::new([Extension { kind: Kind::User, schema }])
}

/// A resource as stored: with its schemas; members may be written as their ids.
pub(crate) fn stored(kind: Kind, written: &Value) -> Map<String, Value> {
    let written = written.as_object().unwrap();
    let mut urns = vec![json!(if kind == Kind::User { USER } else { GROUP })];
    for extension in schemas().extensions(kind) {
        if written.contains_key(&extension.id) {
            urns.push(json!(extension.id));
        }
    }
    let mut resource = Map::from_iter([("schemas".to_owned(), Value::Array(urns))]);
    for (name, value) in written {
        let value = match (name.as_str(), value) {
            ("members", Value::Array(members)) => members
                .iter()
                .map(|member| if member.is_string() { json!({ "value": member }) } else { member.clone() })
                .collect(),
            (_, value) => value.clone(),
        };
        resource.insert(name.clone(), value);
    }
    resource
}

/// The dialect that a case is of.
pub(crate) fn dialect(case: &Value) -> Dialect {
    if case["strict"] == true { Dialect::Strict } else { Dialect::Tolerant }
}

/// The kind that a case is of.
pub(crate) fn kind(case: &Value) -> Kind {
    if case.get("group").is_some() || case["kind"] == "Group" { Kind::Group } else { Kind::User }
}

/// What a case says comes out: a resource as stored, or the `scimType` of an error.
pub(crate) fn expected(case: &Value) -> Result<Map<String, Value>, String> {
    match case["error"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(stored(kind(case), &case[if kind(case) == Kind::Group { "group" } else { "user" }])),
    }
}

/// The keyword of an error.
pub(crate) fn keyword(error: Error) -> String {
    error.scim_type.map(|scim_type| scim_type.as_str().to_owned()).unwrap_or_default()
}
