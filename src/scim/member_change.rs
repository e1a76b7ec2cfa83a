//! PATCH of a group's members without a look at the others: for groups too large to be read for each
//! change.

use crate::endpoint::Kind;
use crate::filter::{Filter, Literal, Operator};
use crate::patch::{Operation, Patch, Verb};
use crate::path::AttributePath;
use crate::validate::Reader;
use serde_json::{Map, Value};

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

impl Patch {
    /// The changes, where all of them are of a group's members and need no look at the others: for groups
    /// too large to be read for each change.
    pub fn member_changes(&self, reader: &Reader<'_>) -> Option<Vec<MemberChange>> {
        if reader.kind != Kind::Group {
            return None;
        }
        let mut changes = Vec::new();
        for operation in &self.operations {
            changes.extend(member_change(reader, operation)?);
        }
        Some(changes)
    }
}

/// One operation as changes of members, where it is no more than that.
fn member_change(reader: &Reader<'_>, operation: &Operation) -> Option<Vec<MemberChange>> {
    let members = reader.schemas.core_attribute(Kind::Group, "members")?;
    let converted = |value: &Value| -> Option<Vec<Map<String, Value>>> {
        match reader.convert(members, value, "members").ok()? {
            None => Some(Vec::new()),
            Some(Value::Array(values)) => values
                .into_iter()
                .map(|value| match value {
                    Value::Object(member) if member.get("value").is_some_and(Value::is_string) => {
                        Some(member)
                    }
                    _ => None,
                })
                .collect(),
            Some(_) => None,
        }
    };
    let ids = |members: Vec<Map<String, Value>>| -> Vec<String> {
        members
            .iter()
            .filter_map(|member| member.get("value").and_then(Value::as_str))
            .map(str::to_owned)
            .collect()
    };
    let path = match &operation.path {
        Some(path) => path,
        None => {
            let object = operation.value.as_object()?;
            let mut named = object.iter().filter(|(name, _)| {
                !["schemas", "id"].iter().any(|ignored| name.eq_ignore_ascii_case(ignored))
            });
            let (name, value) = named.next()?;
            if named.next().is_some() || !name.eq_ignore_ascii_case("members") {
                return None;
            }
            return list_change(operation.verb, value, converted, ids);
        }
    };
    let plain = path.attribute.sub.is_none()
        && path.attribute.name.eq_ignore_ascii_case("members")
        && path
            .attribute
            .urn
            .as_deref()
            .is_none_or(|urn| urn.eq_ignore_ascii_case(&reader.schemas.core(Kind::Group).id));
    match &path.filter {
        _ if !plain => None,
        None => list_change(operation.verb, &operation.value, converted, ids),
        Some(Filter::Compare(by, Operator::Eq, Literal::String(id)))
            if operation.verb == Verb::Remove
                && reader.dialect.is_tolerant()
                && *by == AttributePath::name("value") =>
        {
            Some(vec![MemberChange::Remove(vec![id.clone()])])
        }
        Some(_) => None,
    }
}

fn list_change(
    verb: Verb,
    value: &Value,
    converted: impl Fn(&Value) -> Option<Vec<Map<String, Value>>>,
    ids: impl Fn(Vec<Map<String, Value>>) -> Vec<String>,
) -> Option<Vec<MemberChange>> {
    match verb {
        Verb::Add => Some(vec![MemberChange::Add(converted(value)?)]),
        Verb::Replace => Some(vec![MemberChange::Clear, MemberChange::Add(converted(value)?)]),
        Verb::Remove if value.as_array().is_some_and(Vec::is_empty) => Some(Vec::new()),
        Verb::Remove if value.is_null() => Some(vec![MemberChange::Clear]),
        Verb::Remove => Some(vec![MemberChange::Remove(ids(converted(value)?))]),
    }
}
