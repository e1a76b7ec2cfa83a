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

/// One of the ways a text can be damaged.
pub(crate) fn mutate(random: &mut Random, text: &str, other: &str, words: &[&str]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..1 + random.below(3) {
        let at = random.below(characters.len() + 1);
        match random.below(6) {
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
            _ => {
                let part: Vec<char> = characters[at..].iter().copied().take(40).collect();
                characters.splice(at..at, part);
            }
        }
        characters.truncate(9000);
    }
    characters.into_iter().collect()
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
