//! PATCH of a group's members without a look at the others: for groups too large to be read for each
//! change, even where the client renames the group in the same request, as Okta does with every change.

use crate::endpoint::Kind;
use crate::error::Error;
use crate::filter::{Filter, Literal, Operator};
use crate::limits::{MEMBERS, exceeded};
use crate::patch::{Operation, Patch, Verb};
use crate::path::{AttributePath, Path};
use crate::validate::{Place, Reader};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// A change of a group's members that needs no look at the others.
#[derive(Clone, Debug, PartialEq)]
pub enum MemberChange {
    /// These are members now, each with the members of a `members` value.
    Add(Vec<Map<String, Value>>),
    /// The members with these ids are no longer.
    Remove(Vec<String>),
    /// Nobody is a member any longer.
    Clear,
}

/// A PATCH of a group in two parts that do not depend on each other.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberPlan {
    /// What it does to the members, in order.
    pub changes: Vec<MemberChange>,
    /// What it does to all else; to be applied to the group without its members.
    pub rest: Patch,
}

impl MemberPlan {
    /// Refuses more members than one request may name.
    pub fn check(&self) -> Result<(), Error> {
        let named = |change: &MemberChange| match change {
            MemberChange::Add(members) => members.len(),
            MemberChange::Remove(ids) => ids.len(),
            MemberChange::Clear => 0,
        };
        if self.changes.iter().map(named).fold(0, usize::saturating_add) > MEMBERS {
            return Err(exceeded(format!("one request names at most {MEMBERS} members")));
        }
        Ok(())
    }

    /// A group's members after the changes; linear in both.
    pub fn change(&self, members: Vec<Value>) -> Vec<Value> {
        let id = |member: &Value| member.get("value").unwrap_or(member).as_str().map(str::to_owned);
        let mut places: HashMap<String, usize> = HashMap::new();
        for (place, member) in members.iter().enumerate() {
            places.extend(id(member).map(|id| (id, place)));
        }
        let mut members: Vec<Option<Value>> = members.into_iter().map(Some).collect();
        let at = |members: &mut Vec<Option<Value>>, place: Option<usize>| {
            place.and_then(|place| members.get_mut(place)).and_then(Option::take)
        };
        for change in &self.changes {
            match change {
                MemberChange::Clear => {
                    members.clear();
                    places.clear();
                }
                MemberChange::Remove(ids) => {
                    for id in ids {
                        let place = places.remove(id);
                        at(&mut members, place);
                    }
                }
                MemberChange::Add(new) => {
                    for member in new {
                        let Some(id) = member.get("value").and_then(Value::as_str) else { continue };
                        match places.get(id).and_then(|place| members.get_mut(*place)) {
                            Some(Some(Value::Object(old))) => old.extend(member.clone()),
                            _ => {
                                places.insert(id.to_owned(), members.len());
                                members.push(Some(Value::Object(member.clone())));
                            }
                        }
                    }
                }
            }
        }
        members.into_iter().flatten().collect()
    }
}

impl Patch {
    /// The plan, where what is done to the members needs no look at the others.
    pub fn member_plan(&self, reader: &Reader<'_>) -> Option<MemberPlan> {
        if reader.kind != Kind::Group {
            return None;
        }
        let mut changes = Vec::new();
        let mut operations = Vec::new();
        for operation in &self.operations {
            let rest = match &operation.path {
                Some(path) => split_path(reader, operation, path, &mut changes)?,
                None => split_object(reader, operation, &mut changes)?,
            };
            operations.extend(rest);
        }
        Some(MemberPlan { changes, rest: Patch { operations } })
    }
}

/// An operation with a path: a change of members, or itself.
fn split_path(
    reader: &Reader<'_>,
    operation: &Operation,
    path: &Path,
    changes: &mut Vec<MemberChange>,
) -> Option<Option<Operation>> {
    let place = reader.place(&path.attribute);
    if !place.is_some_and(|place| is_members(&place)) {
        return Some(Some(operation.clone()));
    }
    if path.attribute.sub.is_some() {
        return None;
    }
    match &path.filter {
        None => changes.extend(list_changes(reader, operation.verb, &operation.value)?),
        Some(filter) if operation.verb == Verb::Remove && reader.dialect.is_tolerant() => {
            changes.push(MemberChange::Remove(named_ids(filter)?));
        }
        Some(_) => return None,
    }
    Some(None)
}

/// An operation without a path: what it does to `members`, and itself without that.
fn split_object(
    reader: &Reader<'_>,
    operation: &Operation,
    changes: &mut Vec<MemberChange>,
) -> Option<Option<Operation>> {
    let mut rest = Map::new();
    for (name, value) in reader.one(&operation.value).as_object()? {
        match reader.find(name) {
            Some(place) if is_members(&place) => {
                if place.sub.is_some() {
                    return None;
                }
                changes.extend(list_changes(reader, operation.verb, value)?);
            }
            // A path with a filter, maybe one of members.
            None if name.contains('[') => return None,
            _ => {
                rest.insert(name.clone(), value.clone());
            }
        }
    }
    let rest = Operation { value: Value::Object(rest), ..operation.clone() };
    Some(rest.value.as_object().is_some_and(|rest| !rest.is_empty()).then_some(rest))
}

fn is_members(place: &Place<'_>) -> bool {
    place.extension.is_none() && place.attribute.name == "members"
}

/// The ids that a filter names, where it does nothing else: `value eq "a" or value eq "b"`.
fn named_ids(filter: &Filter) -> Option<Vec<String>> {
    let id = |filter: &Filter| match filter {
        Filter::Compare(by, Operator::Eq, Literal::String(id)) if *by == AttributePath::name("value") => {
            Some(id.clone())
        }
        _ => None,
    };
    match filter {
        Filter::Or(filters) => filters.iter().map(id).collect(),
        one => Some(vec![id(one)?]),
    }
}

fn list_changes(reader: &Reader<'_>, verb: Verb, value: &Value) -> Option<Vec<MemberChange>> {
    let attribute = reader.schemas.core_attribute(Kind::Group, "members")?;
    let members = match reader.convert(attribute, value, "members").ok()? {
        Some(Value::Array(values)) => values
            .into_iter()
            .map(|value| match value {
                Value::Object(member) if member.get("value").is_some_and(Value::is_string) => Some(member),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()?,
        _ => Vec::new(),
    };
    Some(match verb {
        Verb::Add => vec![MemberChange::Add(members)],
        Verb::Replace => vec![MemberChange::Clear, MemberChange::Add(members)],
        Verb::Remove if value.is_null() => vec![MemberChange::Clear],
        Verb::Remove => {
            let id = |member: &Map<String, Value>| member.get("value")?.as_str().map(str::to_owned);
            vec![MemberChange::Remove(members.iter().filter_map(id).collect())]
        }
    })
}
