//! PATCH (RFC 7644 §3.5.2): a list of operations, applied to a resource all or not at all.
//!
//! Clients write the same change in many ways; whatever has one sensible meaning is done
//! (see [`Dialect`] for what is not the RFC's). What changes nothing leaves the resource exactly as it
//! was, so that its version and `lastModified` can stay.
//!
//! A request has a budget ([`crate::budget`]): work and copies are charged before they are done.

use crate::budget::{Budget, Copies, weight_of};
use crate::change::{Change, Left};
use crate::dialect::Dialect;
use crate::error::{Error, ScimType};
use crate::limits::{OPERATIONS, check_length, exceeded};
use crate::path::Path;
use crate::schema::Schema;
use crate::validate::{Place, Reader, invalid, is_unassigned, shown, within};
use serde_json::{Map, Value};

/// The message schema of a PATCH body.
pub const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

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
        if operations.is_empty() {
            return Err(Error::new(ScimType::InvalidSyntax, "Operations must have a member"));
        }
        // Before any of them is copied.
        if operations.iter().map(changes).fold(0, usize::saturating_add) > OPERATIONS {
            return Err(exceeded(format!(
                "a PATCH has at most {OPERATIONS} operations; without a path, each attribute counts as one"
            )));
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
        self.apply_within(reader, resource, &Budget::of_request())
    }

    /// The same, with a budget that others share.
    pub fn apply_within(
        &self,
        reader: &Reader<'_>,
        resource: &Map<String, Value>,
        work: &Budget,
    ) -> Result<Map<String, Value>, Error> {
        work.charge(weight_of(resource))?;
        let mut new = resource.clone();
        let copies = Copies::default();
        let left = Left { work, copies: &copies };
        for operation in &self.operations {
            apply(reader, operation, left, &mut new)?;
        }
        reader.check_immutable(&new, resource)?;
        reader.keep_schemas_true(&mut new);
        reader.check_required(&new)?;
        check_length(&new, resource)?;
        Ok(new)
    }
}

/// How many changes an operation makes, as it is counted: without a path, or to a whole extension, one for each
/// attribute in its value.
fn changes(operation: &Value) -> usize {
    let get = |name: &str| {
        let mut members = operation.as_object()?.iter();
        members.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let attributes = |value: &Value| value.as_object().map_or(1, |members| members.len().max(1));
    let is_urn = |name: &str| name.contains(':');
    // The tolerant dialect takes a list of one object for that object.
    let value = get("value").map(|value| match value.as_array().map(Vec::as_slice) {
        Some([one]) => one,
        _ => value,
    });
    match (get("path").and_then(Value::as_str).filter(|path| !path.trim().is_empty()), value) {
        (Some(path), Some(value)) if is_urn(path) => attributes(value),
        (Some(_), _) | (None, None) => 1,
        (None, Some(Value::Object(members))) => {
            let each = members.iter().map(|(name, value)| if is_urn(name) { attributes(value) } else { 1 });
            each.fold(0, usize::saturating_add).max(1)
        }
        (None, Some(_)) => 1,
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

fn apply(
    reader: &Reader<'_>,
    operation: &Operation,
    left: Left<'_>,
    resource: &mut Map<String, Value>,
) -> Result<(), Error> {
    let Some(path) = &operation.path else {
        let Value::Object(members) = reader.one(&operation.value) else {
            return Err(invalid("without a path, value must be an object of attributes"));
        };
        return members.iter().try_for_each(|(name, value)| {
            apply_member(reader, (operation.verb, left), name, value, resource)
        });
    };
    if path.filter.is_none()
        && path.attribute.sub.is_none()
        && let Some(extension) = reader.schemas.extension(reader.kind, &path.attribute.stem())
    {
        return apply_extension(reader, (operation.verb, left), extension, &operation.value, resource);
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
    let change = Change { left, reader, verb: operation.verb, place, value: &operation.value };
    within(resource, place.extension, |parent| match &path.filter {
        None => change.apply(parent),
        Some(filter) => change.apply_selected(filter, parent),
    })
}

/// One attribute of an operation without a path.
fn apply_member(
    reader: &Reader<'_>,
    (verb, left): (Verb, Left<'_>),
    name: &str,
    value: &Value,
    resource: &mut Map<String, Value>,
) -> Result<(), Error> {
    if name.eq_ignore_ascii_case("schemas") {
        return Ok(());
    }
    if let Some(extension) = reader.schemas.extension(reader.kind, name) {
        return apply_extension(reader, (verb, left), extension, value, resource);
    }
    let tolerant = reader.dialect.is_tolerant();
    // `"emails[type eq \"work\"].value": "x"` stands as a name in some clients' objects.
    if tolerant && name.contains('[') {
        let path = Path::parse(name, reader.dialect.filter_options())?;
        return apply(reader, &Operation { verb, path: Some(path), value: value.clone() }, left, resource);
    }
    match reader.find(name) {
        Some(place) if !place.is_settable() => ignore(reader, place),
        Some(place) => change_all(reader, (verb, left), place, value, resource),
        None => reader.unknown(name),
    }
}

/// A whole extension.
fn apply_extension<'a>(
    reader: &Reader<'a>,
    (verb, left): (Verb, Left<'_>),
    extension: &'a Schema,
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
        match reader.find_in(extension, name) {
            Some(place) if !place.is_settable() => ignore(reader, place)?,
            Some(place) => change_all(reader, (verb, left), place, value, resource)?,
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
    (verb, left): (Verb, Left<'_>),
    place: Place<'_>,
    value: &Value,
    resource: &mut Map<String, Value>,
) -> Result<(), Error> {
    within(resource, place.extension, |parent| Change { left, reader, verb, place, value }.apply(parent))
}
