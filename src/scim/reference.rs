//! References in bodies (RFC 7643 §2.3.7): texts that name another resource, by its id or its URL.
//!
//! A reference is a `$ref`, an attribute of the type reference, or the `value` of a complex attribute that has a
//! `$ref` beside it (`members`, `manager`). Everything else is text, whatever it looks like.

use crate::dialect::Dialect;
use crate::endpoint::Kind;
use crate::path::Path;
use crate::schema::{Attribute, Schema, Schemas, Type};
use crate::validate::{Place, Reader};
use serde_json::{Map, Value};

/// What names a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Its id.
    Id,
    /// Its URL.
    Url,
}

/// What becomes of a reference: whether it is kept. A value that loses its reference goes with it.
pub type Visit<'a, E> = &'a mut dyn FnMut(&mut String, Form) -> Result<bool, E>;

/// References in bodies about one kind of resource.
#[derive(Clone, Copy)]
pub struct References<'a> {
    reader: Reader<'a>,
}

impl<'a> References<'a> {
    /// Those of a kind.
    pub fn new(schemas: &'a Schemas, kind: Kind) -> Self {
        // The strict dialect refuses later what only the tolerant one reads.
        Self { reader: Reader { schemas, kind, dialect: Dialect::Tolerant } }
    }

    /// Visits the references of a whole resource.
    pub fn of_resource<E>(self, body: &mut Value, visit: Visit<'_, E>) -> Result<(), E> {
        match body {
            Value::Object(members) => self.resource(members, visit),
            _ => Ok(()),
        }
    }

    /// Visits the references in the values of a PATCH.
    pub fn of_patch<E>(self, body: &mut Value, visit: Visit<'_, E>) -> Result<(), E> {
        let named = |wanted: &'static str| move |name: &str| name.eq_ignore_ascii_case(wanted);
        let Value::Object(members) = body else { return Ok(()) };
        for (_, operations) in members.iter_mut().filter(|(name, _)| named("operations")(name)) {
            for operation in operations.as_array_mut().into_iter().flatten() {
                let Value::Object(operation) = operation else { continue };
                let path = operation.iter().find(|(name, _)| named("path")(name));
                let path = path.and_then(|(_, path)| path.as_str()).unwrap_or_default().trim().to_owned();
                let value = operation.iter_mut().find(|(name, _)| named("value")(name));
                match (value, path.as_str()) {
                    (Some((_, Value::Object(members))), "") => self.resource(members, visit)?,
                    (Some((_, value)), path) if !path.is_empty() => {
                        self.member(path, value, visit)?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn resource<E>(self, members: &mut Map<String, Value>, visit: Visit<'_, E>) -> Result<(), E> {
        retain(members, |name, value| self.member(name, value, visit))
    }

    /// One member of a resource, by its name or by a path.
    fn member<E>(self, name: &str, value: &mut Value, visit: Visit<'_, E>) -> Result<bool, E> {
        if let (Some(extension), Value::Object(members)) =
            (self.reader.schemas.extension(self.reader.kind, name), &mut *value)
        {
            self.extension(extension, members, visit)?;
            return Ok(true);
        }
        let by_path = || {
            let path = Path::parse(name, Dialect::Tolerant.filter_options()).ok()?;
            self.reader.place(&path.attribute)
        };
        match self.reader.find(name).or_else(by_path) {
            Some(place) => in_place(place, value, visit),
            None => unknown(value, visit),
        }
    }

    fn extension<E>(
        self,
        extension: &'a Schema,
        members: &mut Map<String, Value>,
        visit: Visit<'_, E>,
    ) -> Result<(), E> {
        retain(members, |name, value| match self.reader.find_in(extension, name) {
            Some(place) => in_place(place, value, visit),
            None => unknown(value, visit),
        })
    }
}

/// Keeps the members that are kept.
fn retain<E>(
    members: &mut Map<String, Value>,
    mut keep: impl FnMut(&str, &mut Value) -> Result<bool, E>,
) -> Result<(), E> {
    let mut failed = None;
    members.retain(|name, value| match failed {
        None => keep(name, value).unwrap_or_else(|error| {
            failed = Some(error);
            true
        }),
        Some(_) => true,
    });
    failed.map_or(Ok(()), Err)
}

fn refers(attribute: &Attribute) -> bool {
    attribute.kind == Type::Complex && attribute.sub("$ref").is_some()
}

fn in_place<E>(place: Place<'_>, value: &mut Value, visit: Visit<'_, E>) -> Result<bool, E> {
    match place.sub {
        Some(sub) if sub.name == "value" && refers(place.attribute) => texts(value, Form::Id, visit),
        Some(sub) => attribute(sub, value, visit),
        None => attribute(place.attribute, value, visit),
    }
}

/// The value of an attribute, or all of its values.
fn attribute<E>(attribute: &Attribute, value: &mut Value, visit: Visit<'_, E>) -> Result<bool, E> {
    match value {
        _ if attribute.kind == Type::Reference => texts(value, Form::Url, visit),
        Value::Array(items) => {
            let mut kept = Vec::with_capacity(items.len());
            for mut item in std::mem::take(items) {
                if one(attribute, &mut item, visit)? {
                    kept.push(item);
                }
            }
            *items = kept;
            Ok(true)
        }
        one_value => one(attribute, one_value, visit),
    }
}

fn one<E>(attribute: &Attribute, value: &mut Value, visit: Visit<'_, E>) -> Result<bool, E> {
    match value {
        Value::String(text) if refers(attribute) => visit(text, Form::Id),
        Value::Object(parts) => {
            for (name, part) in parts.iter_mut() {
                let kept = match attribute.sub(name) {
                    Some(sub) if sub.kind == Type::Reference => texts(part, Form::Url, visit)?,
                    Some(sub) if sub.name == "value" && refers(attribute) => texts(part, Form::Id, visit)?,
                    _ => true,
                };
                if !kept {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(true),
    }
}

fn texts<E>(value: &mut Value, form: Form, visit: Visit<'_, E>) -> Result<bool, E> {
    match value {
        Value::String(text) => visit(text, form),
        Value::Array(items) => {
            let mut kept = Vec::with_capacity(items.len());
            for mut item in std::mem::take(items) {
                let keep = match &mut item {
                    Value::String(text) => visit(text, form)?,
                    _ => true,
                };
                if keep {
                    kept.push(item);
                }
            }
            *items = kept;
            Ok(true)
        }
        _ => Ok(true),
    }
}

/// An attribute that no schema here has, of an origin's: a `$ref` is a reference all the same.
fn unknown<E>(value: &mut Value, visit: Visit<'_, E>) -> Result<bool, E> {
    match value {
        Value::Object(parts) => {
            for (name, part) in parts.iter_mut() {
                let kept =
                    if name == "$ref" { texts(part, Form::Url, visit)? } else { unknown(part, visit)? };
                if !kept {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Value::Array(items) => {
            let mut kept = Vec::with_capacity(items.len());
            for mut item in std::mem::take(items) {
                if unknown(&mut item, visit)? {
                    kept.push(item);
                }
            }
            *items = kept;
            Ok(true)
        }
        _ => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(kind: Kind, is_patch: bool, mut body: Value) -> Vec<(String, Form)> {
        let schemas = Schemas::default();
        let mut found = Vec::new();
        let references = References::new(&schemas, kind);
        let mut visit = |text: &mut String, form| {
            found.push((text.clone(), form));
            Ok::<bool, ()>(true)
        };
        match is_patch {
            true => references.of_patch(&mut body, &mut visit).unwrap(),
            false => references.of_resource(&mut body, &mut visit).unwrap(),
        }
        found
    }

    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    #[test]
    fn references_are_members_managers_and_refs_and_no_other_text() {
        let group = json!({ "displayName": "a", "externalId": "b", "Members": [
            { "value": "c", "display": "d", "$ref": "e" }, "f" ] });
        let (id, url) = (Form::Id, Form::Url);
        let named = |list: &[(&str, Form)]| {
            list.iter().map(|(text, form)| ((*text).to_owned(), *form)).collect::<Vec<_>>()
        };
        assert_eq!(found(Kind::Group, false, group), named(&[("c", id), ("e", url), ("f", id)]));
        let user = json!({
            "userName": "a", "profileUrl": "b", "emails": [{ "value": "c" }], "roles": [{ "value": "d" }],
            ENTERPRISE: { "manager": { "value": "e", "displayName": "f" }, "department": "g" },
            format!("{ENTERPRISE}:manager"): "h", "unknown": [{ "value": "i", "x": { "$ref": "j" } }],
        });
        let expected = [("b", url), ("e", id), ("h", id), ("j", url)];
        assert_eq!(found(Kind::User, false, user), named(&expected));
    }

    #[test]
    fn references_of_a_patch_are_in_its_values() {
        let body = json!({ "Operations": [
            { "op": "add", "path": "members", "value": [{ "value": "a" }] },
            { "op": "replace", "path": "displayName", "value": "b" },
            { "op": "replace", "path": "members[display eq \"x\"].value", "value": "c" },
            { "op": "add", "value": { "displayName": "d", "members": "e" } },
        ] });
        let texts: Vec<String> = found(Kind::Group, true, body).into_iter().map(|(text, _)| text).collect();
        assert_eq!(texts, ["a", "c", "e"]);
        let body = json!({ "Operations": [
            { "op": "add", "path": format!("{ENTERPRISE}:manager.value"), "value": "a" },
            { "op": "add", "path": ENTERPRISE, "value": { "manager": "b", "costCenter": "c" } },
            { "op": "add", "path": "title", "value": "d" },
        ] });
        let texts: Vec<String> = found(Kind::User, true, body).into_iter().map(|(text, _)| text).collect();
        assert_eq!(texts, ["a", "b"]);
    }

    #[test]
    fn a_value_goes_with_its_reference() {
        let schemas = Schemas::default();
        let mut body = json!({ "displayName": "g", "members": [{ "value": "x" }, { "value": "y" }] });
        let mut visit = |text: &mut String, _| Ok::<bool, ()>(text != "x");
        References::new(&schemas, Kind::Group).of_resource(&mut body, &mut visit).unwrap();
        assert_eq!(body, json!({ "displayName": "g", "members": [{ "value": "y" }] }));
        let mut body =
            json!({ "userName": "u", ENTERPRISE: { "manager": { "value": "x" }, "division": "d" } });
        References::new(&schemas, Kind::User).of_resource(&mut body, &mut visit).unwrap();
        assert_eq!(body, json!({ "userName": "u", ENTERPRISE: { "division": "d" } }));
    }
}
