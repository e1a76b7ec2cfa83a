//! Bodies against schemas (RFC 7643 §2, RFC 7644 §3.3, §3.5.1): what a client wrote becomes a resource
//! with canonical names and types, extensions under their URN, and without what a client cannot set.
//!
//! Values are kept as sent: folding and normalising are for comparison only, or the client's next
//! comparison would find a difference and write again. `null` and `[]` mean that there is no value.
//! `password` is accepted and not kept: the gateway stores no passwords.

use crate::dialect::Dialect;
use crate::endpoint::Kind;
use crate::error::{Error, ScimType};
use crate::evaluate::ElementMatcher;
use crate::instant::Instant;
use crate::path::AttributePath;
use crate::schema::{Attribute, Mutability, Schemas, Type};
use serde_json::{Map, Value};

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

pub(crate) fn invalid(sentence: impl Into<String>) -> Error {
    Error::new(ScimType::InvalidValue, sentence)
}

impl<'a> Reader<'a> {
    /// The body of a POST.
    pub fn create(&self, body: &Map<String, Value>) -> Result<Map<String, Value>, Error> {
        let resource = self.read(body)?;
        self.check_required(&resource)?;
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
        self.check_immutable(&mut resource, old)?;
        self.keep_schemas_true(&mut resource);
        self.check_required(&resource)?;
        Ok(resource)
    }

    fn read(&self, body: &Map<String, Value>) -> Result<Map<String, Value>, Error> {
        self.check_schemas(body)?;
        let mut resource = Map::new();
        resource.insert("schemas".into(), Value::Array(Vec::new()));
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in body {
            let folded = name.to_ascii_lowercase();
            if seen.contains(&folded) {
                let sentence = format!("the attribute {name} stands twice, in different cases");
                return Err(Error::new(ScimType::InvalidSyntax, sentence));
            }
            seen.push(folded);
            self.read_member(&mut resource, name, value)?;
        }
        self.keep_schemas_true(&mut resource);
        Ok(resource)
    }

    fn read_member(&self, resource: &mut Map<String, Value>, name: &str, value: &Value) -> Result<(), Error> {
        if name.eq_ignore_ascii_case("schemas") {
            return Ok(());
        }
        if let Some(extension) = self.schemas.extension(self.kind, name) {
            let Value::Object(members) = value else {
                return if is_unassigned(value) {
                    Ok(())
                } else {
                    Err(invalid(format!("{name} must be an object")))
                };
            };
            for (member, value) in members {
                match extension.attribute(member) {
                    Some(attribute) => {
                        let place = Place { extension: Some(&extension.id), attribute, sub: None };
                        self.put(resource, place, value)?;
                    }
                    None => self.unknown(&format!("{name}:{member}"))?,
                }
            }
            return Ok(());
        }
        match self.find(name) {
            Some(place) => self.put(resource, place, value),
            None => self.unknown(name),
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

    /// The attribute that a path means.
    pub(crate) fn place(&self, path: &AttributePath) -> Option<Place<'a>> {
        let (extension, attribute) = self.schemas.find(self.kind, path.urn.as_deref(), &path.name)?;
        let sub = match &path.sub {
            Some(sub) => Some(attribute.sub(sub)?),
            None => None,
        };
        Some(Place { extension, attribute, sub })
    }

    pub(crate) fn unknown(&self, name: &str) -> Result<(), Error> {
        if self.dialect.is_tolerant() {
            return Ok(());
        }
        Err(invalid(format!("{name} is not an attribute of {}", self.kind.name())))
    }

    /// Puts a value where it belongs; what a client cannot set is left out.
    fn put(&self, resource: &mut Map<String, Value>, place: Place<'_>, value: &Value) -> Result<(), Error> {
        if !is_settable(place.attribute) || place.sub.is_some_and(|sub| !is_settable(sub)) {
            return Ok(());
        }
        let target = place.sub.unwrap_or(place.attribute);
        let Some(value) = self.convert(target, value, &place.attribute.name)? else { return Ok(()) };
        let name = place.attribute.name.clone();
        within(resource, place.extension, |parent| {
            let Some(sub) = place.sub else {
                parent.insert(name, value);
                return Ok(());
            };
            match parent.entry(name).or_insert_with(|| Value::Object(Map::new())) {
                Value::Object(members) => members.insert(sub.name.clone(), value),
                _ => return Err(invalid(format!("{} has several values", place.attribute.name))),
            };
            Ok(())
        })
    }

    /// A value in its attribute's type; `None` where it says that there is no value.
    pub(crate) fn convert(
        &self,
        attribute: &Attribute,
        value: &Value,
        path: &str,
    ) -> Result<Option<Value>, Error> {
        if is_unassigned(value) {
            return Ok(None);
        }
        if !attribute.multi_valued {
            return match value {
                Value::Array(items) => match items.as_slice() {
                    [one] if self.dialect.is_tolerant() => self.convert_one(attribute, one, path),
                    _ => Err(invalid(format!("{path} has one value, not a list"))),
                },
                one => self.convert_one(attribute, one, path),
            };
        }
        let items = match value {
            Value::Array(items) => items.as_slice(),
            one if self.dialect.is_tolerant() => std::slice::from_ref(one),
            _ => return Err(invalid(format!("{path} must be an array"))),
        };
        let mut values: Vec<Value> = Vec::with_capacity(items.len());
        for item in items {
            if let Some(item) = self.convert_one(attribute, item, path)? {
                values.push(item);
            }
        }
        remove_duplicates(&mut values);
        keep_one_primary(&mut values, &[]);
        Ok((!values.is_empty()).then_some(Value::Array(values)))
    }

    pub(crate) fn convert_one(
        &self,
        attribute: &Attribute,
        value: &Value,
        path: &str,
    ) -> Result<Option<Value>, Error> {
        if is_unassigned(value) {
            return Ok(None);
        }
        let tolerant = self.dialect.is_tolerant();
        let wrong = || Err(invalid(format!("{path} must be a {}", attribute.kind)));
        let converted = match (attribute.kind, value) {
            (Type::Complex, Value::Object(members)) => return self.convert_complex(attribute, members, path),
            (Type::Complex, Value::String(text)) if tolerant => {
                return self.convert_complex_text(attribute, text, path);
            }
            (Type::Boolean, Value::Bool(_)) => value.clone(),
            (Type::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("true") => Value::Bool(true),
            (Type::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("false") => Value::Bool(false),
            (Type::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => value.clone(),
            (Type::Decimal, Value::Number(_)) => value.clone(),
            (Type::Integer | Type::Decimal, Value::String(text)) if tolerant => {
                match serde_json::from_str::<serde_json::Number>(text.trim()) {
                    Ok(number) if attribute.kind == Type::Decimal || number.is_i64() || number.is_u64() => {
                        Value::Number(number)
                    }
                    _ => return wrong(),
                }
            }
            (Type::DateTime, Value::String(text)) if Instant::parse(text).is_some() => value.clone(),
            (Type::String | Type::Reference | Type::Binary, Value::String(_)) => value.clone(),
            (Type::String, Value::Number(number)) if tolerant => Value::String(number.to_string()),
            (Type::String, Value::Bool(flag)) if tolerant => Value::String(flag.to_string()),
            _ => return wrong(),
        };
        Ok(Some(converted))
    }

    fn convert_complex(
        &self,
        attribute: &Attribute,
        members: &Map<String, Value>,
        path: &str,
    ) -> Result<Option<Value>, Error> {
        let mut object = Map::new();
        for (name, value) in members {
            match attribute.sub(name) {
                Some(sub) if is_settable(sub) => {
                    if let Some(value) = self.convert(sub, value, &format!("{path}.{}", sub.name))? {
                        object.insert(sub.name.clone(), value);
                    }
                }
                Some(_) => {}
                None => self.unknown(&format!("{path}.{name}"))?,
            }
        }
        // {"value": ""} is how a manager is taken away.
        let empty_value =
            !attribute.multi_valued && object.get("value") == Some(&Value::String(String::new()));
        Ok((!object.is_empty() && !empty_value).then_some(Value::Object(object)))
    }

    /// A complex value sent as text: its `value`, or the whole of it as JSON within a string.
    fn convert_complex_text(
        &self,
        attribute: &Attribute,
        text: &str,
        path: &str,
    ) -> Result<Option<Value>, Error> {
        if text.trim_start().starts_with('{') {
            let limits = scim_edge_json::Limits { bytes: text.len(), depth: 4 };
            if let Ok(members) = scim_edge_json::parse_object(text.as_bytes(), limits) {
                return self.convert_complex(attribute, &members, path);
            }
        }
        if attribute.sub("value").is_none() {
            return Err(invalid(format!("{path} must be an object")));
        }
        let mut members = Map::new();
        members.insert("value".into(), Value::String(text.to_owned()));
        self.convert_complex(attribute, &members, path)
    }

    fn check_schemas(&self, body: &Map<String, Value>) -> Result<(), Error> {
        let given =
            body.iter().find(|(name, _)| name.eq_ignore_ascii_case("schemas")).map(|(_, value)| value);
        let urns: Vec<&str> = match given {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => {
                let texts =
                    items.iter().map(|item| item.as_str().ok_or_else(|| invalid("schemas must hold URNs")));
                texts.collect::<Result<_, _>>()?
            }
            Some(_) => return Err(invalid("schemas must be an array of URNs")),
        };
        if self.dialect.is_tolerant() {
            return Ok(());
        }
        let core = &self.schemas.core(self.kind).id;
        if !urns.iter().any(|urn| urn.eq_ignore_ascii_case(core)) {
            return Err(invalid(format!("schemas must contain {core}")));
        }
        let known =
            |urn: &str| urn.eq_ignore_ascii_case(core) || self.schemas.extension(self.kind, urn).is_some();
        match urns.iter().find(|urn| !known(urn)) {
            Some(urn) => {
                Err(invalid(format!("schemas names {urn:?}, which is not a schema of {}", self.kind.name())))
            }
            None => Ok(()),
        }
    }

    /// `schemas` names the core schema and every extension that the resource has attributes of.
    pub(crate) fn keep_schemas_true(&self, resource: &mut Map<String, Value>) {
        let mut urns = vec![Value::from(self.schemas.core(self.kind).id.as_str())];
        for extension in self.schemas.extensions(self.kind) {
            match resource.get(&extension.id) {
                Some(Value::Object(members)) if !members.is_empty() => {
                    urns.push(extension.id.as_str().into())
                }
                Some(_) => {
                    resource.shift_remove(&extension.id);
                }
                None => {}
            }
        }
        resource.insert("schemas".into(), Value::Array(urns));
    }

    pub(crate) fn check_required(&self, resource: &Map<String, Value>) -> Result<(), Error> {
        let core =
            self.schemas.core(self.kind).attributes.iter().map(|attribute| (attribute, Some(resource)));
        let extended = self.schemas.extensions(self.kind).flat_map(|schema| {
            let members = resource.get(&schema.id).and_then(Value::as_object);
            schema
                .attributes
                .iter()
                .filter(move |_| members.is_some())
                .map(move |attribute| (attribute, members))
        });
        for (attribute, members) in core.chain(extended) {
            let value = members.and_then(|members| members.get(&attribute.name));
            let present = match value {
                None => false,
                Some(Value::String(text)) => !text.trim().is_empty(),
                Some(_) => true,
            };
            if attribute.required && is_settable(attribute) && !present {
                return Err(invalid(format!("{} is required", attribute.name)));
            }
        }
        Ok(())
    }

    /// Immutable values stay as they are (RFC 7643 §7).
    pub(crate) fn check_immutable(
        &self,
        new: &mut Map<String, Value>,
        old: &Map<String, Value>,
    ) -> Result<(), Error> {
        let places = self.schemas.core(self.kind).attributes.iter().map(|attribute| (None, attribute)).chain(
            self.schemas.extensions(self.kind).flat_map(|schema| {
                schema.attributes.iter().map(move |attribute| (Some(schema.id.as_str()), attribute))
            }),
        );
        for (extension, attribute) in
            places.filter(|(_, attribute)| attribute.mutability == Mutability::Immutable)
        {
            let before = match extension {
                None => old.get(&attribute.name),
                Some(urn) => old.get(urn).and_then(|members| members.get(&attribute.name)),
            };
            let Some(before) = before else { continue };
            within(new, extension, |members| match members.get(&attribute.name) {
                None => {
                    members.insert(attribute.name.clone(), before.clone());
                    Ok(())
                }
                Some(after) if after == before => Ok(()),
                Some(_) => {
                    let sentence = format!("{} cannot be changed once it is set", attribute.name);
                    Err(Error::new(ScimType::Mutability, sentence))
                }
            })?;
        }
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

/// Takes away values that stand in the list already. Texts and members are compared by hash, so that
/// long lists take linear time.
pub(crate) fn remove_duplicates(values: &mut Vec<Value>) {
    let mut seen = std::collections::HashSet::new();
    values.retain(|value| seen.insert(value.to_string()));
}

fn is_primary(value: &Value) -> bool {
    value.get("primary") == Some(&Value::Bool(true))
}

/// At most one value is primary (RFC 7643 §2.4): the last one that was not primary `before`, else the first.
pub(crate) fn keep_one_primary(values: &mut [Value], before: &[Value]) {
    if values.iter().filter(|value| is_primary(value)).count() < 2 {
        return;
    }
    let new = values.iter().rposition(|value| is_primary(value) && !before.contains(value));
    let kept = match new {
        Some(new) if !before.is_empty() => Some(new),
        _ => values.iter().position(is_primary),
    };
    for (index, value) in values.iter_mut().enumerate() {
        if Some(index) != kept
            && is_primary(value)
            && let Value::Object(members) = value
        {
            members.insert("primary".into(), Value::Bool(false));
        }
    }
}

/// The values of a list that a filter accepts, by position.
pub(crate) fn matching(values: &[Value], matcher: &ElementMatcher) -> Vec<usize> {
    values.iter().enumerate().filter(|(_, value)| matcher.matches(value)).map(|(index, _)| index).collect()
}
