//! PATCH (RFC 7644 §3.5.2): a list of operations, applied to a resource all or not at all.
//!
//! Clients write the same change in many ways; whatever has one sensible meaning is done
//! (see [`Dialect`] for what is not the RFC's). What changes nothing leaves the resource exactly as it
//! was, so that its version and `lastModified` can stay.

use crate::dialect::Dialect;
use crate::error::{Error, ScimType};
use crate::evaluate::ElementMatcher;
use crate::filter::Filter;
use crate::path::{AttributePath, Path};
use crate::schema::{Attribute, Mutability, Schema, Type};
use crate::validate::{
    Place, Reader, invalid, is_settable, is_unassigned, keep_one_primary, matching, remove_duplicates, within,
};
use serde_json::{Map, Value};

/// The message schema of a PATCH body.
pub const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The most operations in one request.
pub const OPERATIONS: usize = 1000;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Adds values.
    Add,
    /// Puts values in the place of others.
    Replace,
    /// Takes values away.
    Remove,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What it does.
    pub verb: Verb,
    /// To what; the whole resource where there is none.
    pub path: Option<Path>,
    /// With what.
    pub value: Value,
}

/// The operations of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// In order.
    pub operations: Vec<Operation>,
}

impl Patch {
    /// Reads a body.
    pub fn parse(body: &Map<String, Value>, dialect: Dialect) -> Result<Self, Error> {
        let get = |name: &str| {
            body.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let named = get("schemas").and_then(Value::as_array).is_some_and(|urns| {
            urns.iter().any(|urn| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(SCHEMA)))
        });
        if !named && !dialect.is_tolerant() {
            return Err(Error::new(ScimType::InvalidSyntax, format!("schemas must contain {SCHEMA}")));
        }
        let operations = match get("operations") {
            Some(Value::Array(operations)) => operations,
            _ => return Err(Error::new(ScimType::InvalidSyntax, "Operations must be an array")),
        };
        if operations.is_empty() || operations.len() > OPERATIONS {
            let sentence = format!("Operations must have 1 to {OPERATIONS} members");
            return Err(Error::new(ScimType::InvalidSyntax, sentence));
        }
        let operations = operations.iter().map(|operation| parse_operation(operation, dialect));
        Ok(Self { operations: operations.collect::<Result<_, _>>()? })
    }

    /// The resource as it is after all operations. `resource` is as validation leaves it, a group's
    /// `members` included.
    pub fn apply(
        &self,
        reader: &Reader<'_>,
        resource: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Error> {
        let mut new = resource.clone();
        for operation in &self.operations {
            apply(reader, operation, &mut new)?;
        }
        reader.check_immutable(&mut new, resource)?;
        reader.keep_schemas_true(&mut new);
        reader.check_required(&new)?;
        Ok(new)
    }
}

fn parse_operation(operation: &Value, dialect: Dialect) -> Result<Operation, Error> {
    let syntax = |sentence: &str| Error::new(ScimType::InvalidSyntax, sentence);
    let members = operation.as_object().ok_or_else(|| syntax("an operation must be an object"))?;
    let get = |name: &str| {
        members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let verb = get("op").and_then(Value::as_str).map(str::to_ascii_lowercase);
    let verb = match verb.as_deref() {
        Some("add") => Verb::Add,
        Some("replace") => Verb::Replace,
        Some("remove") => Verb::Remove,
        _ => return Err(syntax("op must be add, replace or remove")),
    };
    let path = match get("path") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.trim().is_empty() && dialect.is_tolerant() => None,
        Some(Value::String(text)) => Some(Path::parse(text, dialect.filter_options())?),
        Some(_) => return Err(Error::new(ScimType::InvalidPath, "path must be a string")),
    };
    let value = get("value").cloned().unwrap_or(Value::Null);
    if verb == Verb::Remove && path.is_none() {
        return Err(Error::new(ScimType::NoTarget, "remove needs a path"));
    }
    if verb != Verb::Remove && get("value").is_none() {
        return Err(invalid("add and replace need a value"));
    }
    Ok(Operation { verb, path, value })
}

fn apply(reader: &Reader<'_>, operation: &Operation, resource: &mut Map<String, Value>) -> Result<(), Error> {
    let Some(path) = &operation.path else {
        let Value::Object(members) = &operation.value else {
            return Err(invalid("without a path, value must be an object of attributes"));
        };
        return members
            .iter()
            .try_for_each(|(name, value)| apply_member(reader, operation.verb, name, value, resource));
    };
    if path.filter.is_none()
        && path.attribute.sub.is_none()
        && let Some(extension) = reader.schemas.extension(reader.kind, &path.attribute.stem())
    {
        return apply_extension(reader, operation.verb, extension, &operation.value, resource);
    }
    if path.attribute.name.eq_ignore_ascii_case("schemas") && path.attribute.urn.is_none() {
        return Ok(());
    }
    let Some(place) = reader.place(&path.attribute) else {
        let sentence = format!("{} is not an attribute of {}", path.attribute, reader.kind.name());
        return Err(Error::new(ScimType::InvalidPath, sentence));
    };
    for attribute in [Some(place.attribute), place.sub].into_iter().flatten() {
        if attribute.mutability == Mutability::ReadOnly {
            let sentence = format!("{} cannot be changed", attribute.name);
            return Err(Error::new(ScimType::Mutability, sentence));
        }
    }
    if !is_settable(place.attribute) {
        return Ok(());
    }
    within(resource, place.extension, |parent| match &path.filter {
        None => change(reader, operation.verb, place, &operation.value, parent),
        Some(filter) => change_selected(reader, operation.verb, place, filter, &operation.value, parent),
    })
}

/// One attribute of an operation without a path.
fn apply_member(
    reader: &Reader<'_>,
    verb: Verb,
    name: &str,
    value: &Value,
    resource: &mut Map<String, Value>,
) -> Result<(), Error> {
    if name.eq_ignore_ascii_case("schemas") {
        return Ok(());
    }
    if let Some(extension) = reader.schemas.extension(reader.kind, name) {
        return apply_extension(reader, verb, extension, value, resource);
    }
    let tolerant = reader.dialect.is_tolerant();
    // `"emails[type eq \"work\"].value": "x"` stands as a name in some clients' objects.
    if tolerant && name.contains('[') {
        let path = Path::parse(name, reader.dialect.filter_options())?;
        return apply(reader, &Operation { verb, path: Some(path), value: value.clone() }, resource);
    }
    match reader.find(name) {
        // Clients send back what they read: `id`, `meta`, `groups`.
        Some(place) if !is_settable(place.attribute) || place.sub.is_some_and(|sub| !is_settable(sub)) => {
            Ok(())
        }
        Some(place) => within(resource, place.extension, |parent| change(reader, verb, place, value, parent)),
        None => reader.unknown(name),
    }
}

/// A whole extension.
fn apply_extension(
    reader: &Reader<'_>,
    verb: Verb,
    extension: &Schema,
    value: &Value,
    resource: &mut Map<String, Value>,
) -> Result<(), Error> {
    if verb == Verb::Remove || is_unassigned(value) {
        if verb != Verb::Add {
            resource.shift_remove(&extension.id);
        }
        return Ok(());
    }
    let Value::Object(members) = value else {
        return Err(invalid(format!("{} must be an object", extension.id)));
    };
    for (name, value) in members {
        let path = AttributePath { urn: Some(extension.id.clone()), ..AttributePath::name(name.as_str()) };
        let path = match name.split_once('.') {
            Some((name, sub)) => AttributePath { name: name.into(), sub: Some(sub.into()), ..path },
            None => path,
        };
        match reader.place(&path) {
            Some(place) if !is_settable(place.attribute) => {}
            Some(place) => {
                within(resource, place.extension, |parent| change(reader, verb, place, value, parent))?
            }
            None => reader.unknown(&path.to_string())?,
        }
    }
    Ok(())
}

/// An attribute, or a sub-attribute of it, without a filter.
fn change(
    reader: &Reader<'_>,
    verb: Verb,
    place: Place<'_>,
    value: &Value,
    parent: &mut Map<String, Value>,
) -> Result<(), Error> {
    let attribute = place.attribute;
    let name = &attribute.name;
    match (place.sub, attribute.multi_valued) {
        (None, false) => match verb {
            Verb::Remove => {
                remove_required(attribute)?;
                parent.shift_remove(name);
                Ok(())
            }
            Verb::Add | Verb::Replace => set_single(reader, verb, attribute, value, parent),
        },
        (None, true) => change_list(reader, verb, attribute, value, parent),
        (Some(sub), false) => {
            let mut object = match parent.get(name) {
                Some(Value::Object(object)) => object.clone(),
                _ => Map::new(),
            };
            set_sub(reader, verb, attribute, sub, value, &mut object)?;
            store(parent, name, object);
            Ok(())
        }
        (Some(sub), true) => {
            let mut values = list(parent, name);
            if values.is_empty() && verb != Verb::Remove {
                if !reader.dialect.is_tolerant() {
                    return Err(no_target(name));
                }
                values.push(Value::Object(Map::new()));
            }
            let all: Vec<usize> = (0..values.len()).collect();
            change_elements(reader, verb, place.attribute, Some(sub), &all, value, &mut values)?;
            put_list(parent, name, values)
        }
    }
}

/// A single value: sub-attributes that are not named stay, those that are named without a value go.
fn set_single(
    reader: &Reader<'_>,
    verb: Verb,
    attribute: &Attribute,
    value: &Value,
    parent: &mut Map<String, Value>,
) -> Result<(), Error> {
    let name = &attribute.name;
    let new = reader.convert(attribute, value, name)?;
    let complex = attribute.kind == Type::Complex;
    // "" and {"value": ""} are how a manager is taken away; `add` of nothing else adds nothing.
    let emptied =
        complex && (value.as_str() == Some("") || value.get("value").and_then(Value::as_str) == Some(""));
    if emptied || new.is_none() && is_unassigned(value) && verb == Verb::Replace {
        remove_required(attribute)?;
        parent.shift_remove(name);
        return Ok(());
    }
    match (parent.get_mut(name), value) {
        (Some(Value::Object(old)), Value::Object(sent)) if complex => {
            for sub in sent
                .iter()
                .filter(|(_, value)| is_unassigned(value))
                .filter_map(|(sub, _)| attribute.sub(sub))
            {
                old.shift_remove(&sub.name);
            }
            if let Some(Value::Object(new)) = new {
                // A new `value` is another thing: what described the old one, its $ref and names, goes with it.
                if new.contains_key("value") && new.get("value") != old.get("value") {
                    *old = new;
                } else {
                    old.extend(new);
                }
            }
            if old.is_empty() {
                parent.shift_remove(name);
            }
        }
        (Some(Value::Object(old)), _) if complex => {
            if let Some(Value::Object(new)) = new
                && old.get("value") != new.get("value")
            {
                *old = new;
            }
        }
        _ => {
            if let Some(new) = new {
                parent.insert(name.clone(), new);
            }
        }
    }
    Ok(())
}

/// All values of a list.
fn change_list(
    reader: &Reader<'_>,
    verb: Verb,
    attribute: &Attribute,
    value: &Value,
    parent: &mut Map<String, Value>,
) -> Result<(), Error> {
    let name = &attribute.name;
    let before = list(parent, name);
    let sent = match reader.convert(attribute, value, name)? {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    };
    let values = match verb {
        Verb::Replace => sent,
        Verb::Add => {
            let mut values = before.clone();
            add_values(&mut values, sent);
            keep_one_primary(&mut values, &before);
            values
        }
        // Entra ID lists the members to remove in the value; without one, all go.
        Verb::Remove if is_unassigned(value) => {
            if value.as_array().is_some_and(Vec::is_empty) {
                return Ok(());
            }
            remove_required(attribute)?;
            Vec::new()
        }
        Verb::Remove => {
            let identity = |value: &Value| value.get("value").unwrap_or(value).to_string();
            let gone: std::collections::HashSet<String> = sent.iter().map(identity).collect();
            before.into_iter().filter(|value| !gone.contains(&identity(value))).collect()
        }
    };
    put_list(parent, name, values)
}

/// Adds values that are not there: two values are the same where they are equal, or where one says no
/// more than the other about the same `value` and `type`.
fn add_values(values: &mut Vec<Value>, sent: Vec<Value>) {
    let identity = |value: &Value| {
        let part = |name: &str| value.get(name).map(Value::to_string);
        match value {
            Value::Object(_) if value.get("value").is_some() => {
                format!("{:?} {:?}", part("value"), part("type"))
            }
            other => other.to_string(),
        }
    };
    let mut places: std::collections::HashMap<String, usize> =
        values.iter().enumerate().map(|(index, value)| (identity(value), index)).collect();
    for value in sent {
        match places.get(&identity(&value)).and_then(|index| values.get_mut(*index)) {
            Some(Value::Object(old)) => {
                if let Value::Object(new) = value {
                    old.extend(new);
                }
            }
            Some(_) => {}
            None => {
                places.insert(identity(&value), values.len());
                values.push(value);
            }
        }
    }
    remove_duplicates(values);
}

/// The values of a list that a filter selects.
fn change_selected(
    reader: &Reader<'_>,
    verb: Verb,
    place: Place<'_>,
    filter: &Filter,
    value: &Value,
    parent: &mut Map<String, Value>,
) -> Result<(), Error> {
    let attribute = place.attribute;
    if !attribute.multi_valued {
        let sentence = format!("{} has one value: a filter selects among several", attribute.name);
        return Err(Error::new(ScimType::InvalidPath, sentence));
    }
    let matcher = ElementMatcher::compile(filter, attribute)?;
    let mut values = list(parent, &attribute.name);
    let before = values.clone();
    let mut selected = matching(&values, &matcher);
    if selected.is_empty() {
        let tolerant = reader.dialect.is_tolerant();
        match (verb, matcher.template()) {
            (Verb::Remove, _) if tolerant => return Ok(()),
            (Verb::Add | Verb::Replace, Some(template)) if tolerant => {
                selected.push(values.len());
                values.push(Value::Object(template.clone()));
            }
            _ => return Err(no_target(&attribute.name)),
        }
    }
    change_elements(reader, verb, attribute, place.sub, &selected, value, &mut values)?;
    keep_one_primary(&mut values, &before);
    put_list(parent, &attribute.name, values)
}

/// Some values of a list, or a sub-attribute of each.
fn change_elements(
    reader: &Reader<'_>,
    verb: Verb,
    attribute: &Attribute,
    sub: Option<&Attribute>,
    selected: &[usize],
    value: &Value,
    values: &mut Vec<Value>,
) -> Result<(), Error> {
    if verb == Verb::Remove && sub.is_none() {
        let mut index = 0_usize;
        values.retain(|_| {
            let keep = !selected.contains(&index);
            index = index.saturating_add(1);
            keep
        });
        return Ok(());
    }
    for index in selected {
        let Some(element) = values.get_mut(*index) else { continue };
        match (sub, element) {
            (Some(sub), Value::Object(members)) => set_sub(reader, verb, attribute, sub, value, members)?,
            (Some(sub), _) => return Err(no_target(&sub.name)),
            (None, element) => {
                let Some(new) = reader.convert_one(attribute, value, &attribute.name)? else {
                    return Err(invalid(format!("{} needs a value", attribute.name)));
                };
                match (verb, element, new) {
                    (Verb::Add, Value::Object(old), Value::Object(new)) => old.extend(new),
                    (_, element, new) => *element = new,
                }
            }
        }
    }
    Ok(())
}

/// A sub-attribute of one value.
fn set_sub(
    reader: &Reader<'_>,
    verb: Verb,
    attribute: &Attribute,
    sub: &Attribute,
    value: &Value,
    members: &mut Map<String, Value>,
) -> Result<(), Error> {
    let path = format!("{}.{}", attribute.name, sub.name);
    let new = if verb == Verb::Remove { None } else { reader.convert(sub, value, &path)? };
    // A manager whose id is "" is none.
    let cleared = !attribute.multi_valued && sub.name == "value" && value.as_str() == Some("");
    match new {
        Some(new) if !cleared => {
            if sub.mutability == Mutability::Immutable
                && members.get(&sub.name).is_some_and(|old| *old != new)
            {
                let sentence = format!("{path} cannot be changed once it is set");
                return Err(Error::new(ScimType::Mutability, sentence));
            }
            members.insert(sub.name.clone(), new);
        }
        _ if verb == Verb::Add && !cleared => {}
        _ if cleared => members.clear(),
        _ => {
            members.shift_remove(&sub.name);
        }
    }
    Ok(())
}

fn list(parent: &Map<String, Value>, name: &str) -> Vec<Value> {
    match parent.get(name) {
        Some(Value::Array(values)) => values.clone(),
        _ => Vec::new(),
    }
}

fn put_list(parent: &mut Map<String, Value>, name: &str, mut values: Vec<Value>) -> Result<(), Error> {
    values.retain(|value| !value.as_object().is_some_and(Map::is_empty));
    if values.is_empty() {
        parent.shift_remove(name);
    } else {
        parent.insert(name.to_owned(), Value::Array(values));
    }
    Ok(())
}

fn store(parent: &mut Map<String, Value>, name: &str, object: Map<String, Value>) {
    if object.is_empty() {
        parent.shift_remove(name);
    } else {
        parent.insert(name.to_owned(), Value::Object(object));
    }
}

fn remove_required(attribute: &Attribute) -> Result<(), Error> {
    if attribute.required {
        let sentence = format!("{} is required and cannot be removed", attribute.name);
        return Err(Error::new(ScimType::Mutability, sentence));
    }
    Ok(())
}

fn no_target(name: &str) -> Error {
    Error::new(ScimType::NoTarget, format!("the path selects no value of {name}"))
}
