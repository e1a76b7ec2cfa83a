//! Index planning: which indexed values can lead to everything a filter accepts.
//!
//! A plan's answers are a superset of the filter's: the caller asks the whole filter of every candidate.
//! `and` takes the side that leads to fewer, `or` needs both, `not` and ordering comparisons have none.
//! So an index may be incomplete in what it narrows, never wrong in what it finds.

use crate::compare::{Comparison, Constant};
use crate::endpoint::Kind;
use crate::evaluate::{Node, Target};
use crate::fold::fold;

/// One question an index answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// The resource with this `id`.
    Id(String),
    /// Users with this `userName`, groups with this `displayName`; folded (`fold::fold`).
    Name(String),
    /// Resources with this `externalId`, as written.
    ExternalId(String),
    /// Users with this e-mail address; folded.
    Email(String),
    /// Groups with the member of this `id`.
    Member(String),
    /// Users in the group of this `id`.
    Group(String),
}

impl Lookup {
    /// How many resources it may lead to, roughly.
    fn cost(&self) -> u32 {
        match self {
            Self::Id(_) => 1,
            Self::Name(_) | Self::ExternalId(_) => 2,
            Self::Email(_) => 4,
            Self::Member(_) => 50,
            Self::Group(_) => 1000,
        }
    }
}

/// Lookups that together lead to every resource of this kind the filter accepts.
pub(crate) fn plan(node: &Node, kind: Kind) -> Option<Vec<Lookup>> {
    match node {
        Node::And(members) => narrowest(members.iter().map(|member| plan(member, kind))),
        Node::Or(members) => union(members.iter().map(|member| plan(member, kind))),
        Node::Related(lookup, _) => Some(vec![lookup.clone()]),
        Node::Compare(target, comparison) => {
            Some(vec![indexed(target, target.sub.as_deref(), comparison, kind)?])
        }
        Node::Element(target, inner) => within(target, inner, kind),
        Node::Not(_) | Node::Present(_) => None,
    }
}

/// The plan of what stands in the brackets behind `target`: one value must satisfy all of it, so each
/// part of an `and` narrows by itself.
fn within(target: &Target, inner: &Node, kind: Kind) -> Option<Vec<Lookup>> {
    match inner {
        Node::And(members) => narrowest(members.iter().map(|member| within(target, member, kind))),
        Node::Or(members) => union(members.iter().map(|member| within(target, member, kind))),
        Node::Compare(element, comparison) => {
            Some(vec![indexed(target, Some(&element.name), comparison, kind)?])
        }
        _ => None,
    }
}

fn narrowest(plans: impl Iterator<Item = Option<Vec<Lookup>>>) -> Option<Vec<Lookup>> {
    plans.flatten().min_by_key(|plan| plan.iter().fold(0, |sum: u32, l| sum.saturating_add(l.cost())))
}

fn union(plans: impl Iterator<Item = Option<Vec<Lookup>>>) -> Option<Vec<Lookup>> {
    let mut union = Vec::new();
    for plan in plans {
        for lookup in plan? {
            if !union.contains(&lookup) {
                union.push(lookup);
            }
        }
    }
    Some(union)
}

/// The index that serves an equality, if there is one.
fn indexed(target: &Target, sub: Option<&str>, comparison: &Comparison, kind: Kind) -> Option<Lookup> {
    let (text, exact) = match comparison.equality()? {
        Constant::Exact(text) => (text, true),
        Constant::Folded(text) => (text, false),
        _ => return None,
    };
    if target.extension.is_some() {
        return None;
    }
    match (kind, target.name.as_str(), sub) {
        (_, "id", None) if exact => Some(Lookup::Id(text.clone())),
        (_, "externalId", None) if exact => Some(Lookup::ExternalId(text.clone())),
        // A folded index leads to what an exact comparison accepts, and to more.
        (Kind::User, "userName", None) | (Kind::Group, "displayName", None) => Some(Lookup::Name(fold(text))),
        (Kind::User, "emails", Some("value")) => Some(Lookup::Email(fold(text))),
        (Kind::Group, "members", Some("value")) if exact => Some(Lookup::Member(text.clone())),
        (Kind::User, "groups", Some("value")) if exact => Some(Lookup::Group(text.clone())),
        _ => None,
    }
}

/// Marks a test that asks nothing but whether a group has a member, or a user a group.
pub(crate) fn relate(node: Node, kind: Kind) -> Node {
    let lookup = match &node {
        Node::Compare(target, comparison) => indexed(target, target.sub.as_deref(), comparison, kind),
        Node::Element(target, inner) => match inner.as_ref() {
            Node::Compare(element, comparison) => indexed(target, Some(&element.name), comparison, kind),
            _ => None,
        },
        _ => None,
    };
    match lookup {
        Some(lookup @ (Lookup::Member(_) | Lookup::Group(_))) => Node::Related(lookup, Box::new(node)),
        _ => node,
    }
}
