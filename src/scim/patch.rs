//! PATCH (RFC 7644 §3.5.2): a list of operations, applied to a resource all or not at all.
//!
//! Clients write the same change in many ways; whatever has one sensible meaning is done
//! (see [`Dialect`] for what is not the RFC's). What changes nothing leaves the resource exactly as it
//! was, so that its version and `lastModified` can stay.

use crate::change::Change;
use crate::dialect::Dialect;
use crate::error::{Error, ScimType};
use crate::path::Path;
use crate::schema::Schema;
use crate::validate::{Place, Reader, invalid, is_unassigned, shown, within};
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
        reader.check_immutable(&new, resource)?;
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
        let Value::Object(members) = reader.one(&operation.value) else {
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
        let sentence =
            format!("{} is not an attribute of {}", shown(&path.attribute.to_string()), reader.kind.name());
        return Err(Error::new(ScimType::InvalidPath, sentence));
    };
    place.refuse_read_only()?;
    if !place.is_settable() {
        return Ok(());
    }
    let change = Change { reader, verb: operation.verb, place, value: &operation.value };
    within(resource, place.extension, |parent| match &path.filter {
        None => change.apply(parent),
        Some(filter) => change.apply_selected(filter, parent),
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
        Some(place) if !place.is_settable() => ignore(reader, place),
        Some(place) => change_all(reader, verb, place, value, resource),
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
    let Value::Object(members) = reader.one(value) else {
        return Err(invalid(format!("{} must be an object", extension.id)));
    };
    for (name, value) in members {
        match reader.find_in(&extension.id, name) {
            Some(place) if !place.is_settable() => ignore(reader, place)?,
            Some(place) => change_all(reader, verb, place, value, resource)?,
            None => reader.unknown(&format!("{}:{name}", extension.id))?,
        }
    }
    Ok(())
}

/// Passes over an attribute that a client cannot set. Clients send back the `id`, `meta` and `groups` that they
/// read; strictly read, that is an operation on a readOnly attribute.
fn ignore(reader: &Reader<'_>, place: Place<'_>) -> Result<(), Error> {
    if reader.dialect.is_tolerant() { Ok(()) } else { place.refuse_read_only() }
}

fn change_all(
    reader: &Reader<'_>,
    verb: Verb,
    place: Place<'_>,
    value: &Value,
    resource: &mut Map<String, Value>,
) -> Result<(), Error> {
    within(resource, place.extension, |parent| Change { reader, verb, place, value }.apply(parent))
}
