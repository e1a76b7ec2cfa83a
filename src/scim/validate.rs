//! Bodies against schemas (RFC 7643 §2, RFC 7644 §3.3, §3.5.1): what a client wrote becomes a resource
//! with canonical names and types, extensions under their URN, and without what a client cannot set.
//!
//! Values are kept as sent: folding and normalising are for comparison only, or the client's next
//! comparison would find a difference and write again. `null` and `[]` mean that there is no value.
//! `password` is accepted and not kept: the gateway stores no passwords.

use crate::dialect::Dialect;
use crate::endpoint::Kind;
use crate::error::{Error, ScimType};
use crate::limits::check_length;
use crate::path::AttributePath;
use crate::schema::{Attribute, Mutability, Schema, Schemas};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Reads bodies for one kind of resource.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The account's schemas.
    pub schemas: &'a Schemas,
    /// The resource type.
    pub kind: Kind,
    /// How strictly to read.
    pub dialect: Dialect,
}

/// Where an attribute lies, and what it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) extension: Option<&'a str>,
    pub(crate) attribute: &'a Attribute,
    pub(crate) sub: Option<&'a Attribute>,
}

impl Place<'_> {
    /// Whether a client can set it and the gateway keeps it.
    pub(crate) fn is_settable(&self) -> bool {
        is_settable(self.attribute) && self.sub.is_none_or(is_settable)
    }

    /// RFC 7644 §3.5.2: an operation on a readOnly attribute is refused.
    pub(crate) fn refuse_read_only(&self) -> Result<(), Error> {
        for attribute in [Some(self.attribute), self.sub].into_iter().flatten() {
            if attribute.mutability == Mutability::ReadOnly {
                let sentence = format!("{} cannot be changed", attribute.name);
                return Err(Error::new(ScimType::Mutability, sentence));
            }
        }
        Ok(())
    }

    /// The one path that this place has, however it was written.
    fn path(&self) -> String {
        let path = AttributePath {
            urn: self.extension.map(str::to_owned),
            name: self.attribute.name.clone(),
            sub: self.sub.map(|sub| sub.name.clone()),
        };
        path.to_string()
    }
}

pub(crate) fn invalid(sentence: impl Into<String>) -> Error {
    Error::new(ScimType::InvalidValue, sentence)
}

impl<'a> Reader<'a> {
    /// The body of a POST.
    pub fn create(&self, body: &Map<String, Value>) -> Result<Map<String, Value>, Error> {
        let resource = self.read(body)?;
        self.check_required(&resource)?;
        check_length(&resource, &Map::new())?;
        Ok(resource)
    }

    /// The body of a PUT, over the resource it replaces. What it omits is removed, but for `active`
    /// (a client that does not send it does not mean to let somebody in again) and immutable values.
    pub fn replace(
        &self,
        body: &Map<String, Value>,
        old: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Error> {
        let mut resource = self.read(body)?;
        if let (None, Some(active)) = (resource.get("active"), old.get("active")) {
            resource.insert("active".into(), active.clone());
        }
        self.keep_immutable(&mut resource, old);
        self.check_immutable(&resource, old)?;
        self.keep_schemas_true(&mut resource);
        self.check_required(&resource)?;
        check_length(&resource, old)?;
        Ok(resource)
    }

    pub(crate) fn read(&self, body: &Map<String, Value>) -> Result<Map<String, Value>, Error> {
        self.check_schemas(body)?;
        let mut resource = Map::new();
        resource.insert("schemas".into(), Value::Array(Vec::new()));
        let mut seen = HashSet::new();
        for (name, value) in body {
            self.read_member(&mut resource, &mut seen, name, value)?;
        }
        self.keep_schemas_true(&mut resource);
        Ok(resource)
    }

    fn read_member(
        &self,
        resource: &mut Map<String, Value>,
        seen: &mut HashSet<String>,
        name: &str,
        value: &Value,
    ) -> Result<(), Error> {
        let mut once = |path: String| {
            if seen.contains(&path) {
                let sentence = format!("the attribute {} stands twice, in different spellings", shown(&path));
                return Err(Error::new(ScimType::InvalidSyntax, sentence));
            }
            seen.insert(path);
            Ok(())
        };
        if name.eq_ignore_ascii_case("schemas") {
            return once("schemas".to_owned());
        }
        if let Some(extension) = self.schemas.extension(self.kind, name) {
            let Value::Object(members) = self.one(value) else {
                return if is_unassigned(value) {
                    Ok(())
                } else {
                    Err(invalid(format!("{name} must be an object")))
                };
            };
            for (member, value) in members {
                match self.find_in(extension, member) {
                    Some(place) => {
                        once(place.path())?;
                        self.put(resource, place, value)?;
                    }
                    None => self.unknown(&format!("{name}:{member}"))?,
                }
            }
            return Ok(());
        }
        match self.find(name) {
            Some(place) => {
                once(place.path())?;
                self.put(resource, place, value)
            }
            None => {
                once(name.to_ascii_lowercase())?;
                self.unknown(name)
            }
        }
    }

    /// The attribute that a member's name means.
    pub(crate) fn find(&self, name: &str) -> Option<Place<'a>> {
        if let Some(attribute) = self.schemas.core_attribute(self.kind, name) {
            return Some(Place { extension: None, attribute, sub: None });
        }
        if !self.dialect.is_tolerant() {
            return None;
        }
        let path: AttributePath = name.parse().ok()?;
        self.place(&path)
    }

    /// The attribute that a name means within an extension's object.
    pub(crate) fn find_in(&self, extension: &'a Schema, name: &str) -> Option<Place<'a>> {
        let (name, sub) = match name.split_once('.') {
            Some((name, sub)) if self.dialect.is_tolerant() => (name, Some(sub)),
            _ => (name, None),
        };
        let attribute = extension.attribute(name)?;
        let sub = match sub {
            Some(sub) => Some(attribute.sub(sub)?),
            None => None,
        };
        Some(Place { extension: Some(&extension.id), attribute, sub })
    }

    /// The attribute that a path means.
    pub(crate) fn place(&self, path: &AttributePath) -> Option<Place<'a>> {
        let (extension, attribute) = self.schemas.find(self.kind, path.urn.as_deref(), &path.name)?;
        let sub = match &path.sub {
            Some(sub) => Some(attribute.sub(sub)?),
            None => None,
        };
        Some(Place { extension, attribute, sub })
    }

    /// A single value that a client sent as a list of one.
    pub(crate) fn one<'v>(&self, value: &'v Value) -> &'v Value {
        match value {
            Value::Array(items) if self.dialect.is_tolerant() => match items.as_slice() {
                [one] => one,
                _ => value,
            },
            _ => value,
        }
    }

    /// Whether an attribute holds a group's members, which are many.
    pub(crate) fn is_members(&self, attribute: &Attribute) -> bool {
        self.kind == Kind::Group && attribute.name == "members"
    }

    pub(crate) fn unknown(&self, name: &str) -> Result<(), Error> {
        if self.dialect.is_tolerant() {
            return Ok(());
        }
        Err(invalid(format!("{} is not an attribute of {}", shown(name), self.kind.name())))
    }

    /// Puts a value where it belongs; what a client cannot set is left out.
    fn put(&self, resource: &mut Map<String, Value>, place: Place<'_>, value: &Value) -> Result<(), Error> {
        if !place.is_settable() {
            return Ok(());
        }
        let name = &place.attribute.name;
        if place.sub.is_some() && place.attribute.multi_valued {
            return Err(invalid(format!("{name} has several values: it must be an array")));
        }
        let Some(value) = self.convert(place.sub.unwrap_or(place.attribute), value, name)? else {
            return Ok(());
        };
        // A manager whose id is "" is none, in whatever form it was sent.
        if place.sub.is_some_and(|sub| sub.name == "value") && value.as_str() == Some("") {
            return Ok(());
        }
        within(resource, place.extension, |parent| match (place.sub, parent.get_mut(name), value) {
            (None, Some(Value::Object(parts)), Value::Object(others)) => parts.extend(others),
            (None, _, value) => {
                parent.insert(name.clone(), value);
            }
            (Some(sub), Some(Value::Object(parts)), value) => {
                parts.insert(sub.name.clone(), value);
            }
            (Some(sub), _, value) => {
                parent.insert(name.clone(), Value::Object(Map::from_iter([(sub.name.clone(), value)])));
            }
        });
        Ok(())
    }
}

/// Whether a client can set it and the gateway keeps it.
pub(crate) fn is_settable(attribute: &Attribute) -> bool {
    !matches!(attribute.mutability, Mutability::ReadOnly | Mutability::WriteOnly)
}

/// Whether a value says that there is none (RFC 7643 §2.5).
pub(crate) fn is_unassigned(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A client's own word in an error, not longer than one reads.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(200).collect()
}

/// Does something to the object that holds an attribute: the resource, or an extension's part of it.
pub(crate) fn within<T>(
    resource: &mut Map<String, Value>,
    extension: Option<&str>,
    body: impl FnOnce(&mut Map<String, Value>) -> T,
) -> T {
    let Some(urn) = extension else { return body(resource) };
    let mut part = match resource.get_mut(urn).map(Value::take) {
        Some(Value::Object(part)) => part,
        _ => Map::new(),
    };
    let outcome = body(&mut part);
    resource.insert(urn.to_owned(), Value::Object(part));
    outcome
}
