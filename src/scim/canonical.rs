//! Canonical requests: the form that RFC 7644 gives to what a client wrote in its own dialect, for a server that
//! reads the RFC only.
//!
//! A PATCH keeps its operations unless the RFC has no such form: `Remove` becomes `remove`, `"False"` becomes
//! `false`, dotted and URN names of an operation without a path become paths, a list of members to remove becomes
//! a value path for each. What a dialect means sometimes depends on the resource's state (the removal of an
//! e-mail's `value` removes the e-mail if nothing else is said of it): such a PATCH has no canonical form.
//!
//! What no schema here defines is left as it was sent: the other server may know it.

use crate::error::{Error, ScimType};
use crate::evaluate::ElementMatcher;
use crate::filter::{Filter, Literal, Operator};
use crate::limits::OPERATIONS;
use crate::patch::{Operation, Patch, SCHEMA, Verb};
use crate::path::{AttributePath, Path};
use crate::schema::{Attribute, Mutability, Schema, Type};
use crate::validate::{Place, Reader, invalid, is_unassigned, shown, within};
use serde_json::{Map, Value, json};

/// The body of a POST or a PUT in canonical form.
#[derive(Clone, Debug, PartialEq)]
pub struct CanonicalBody {
    /// With what no schema here defines.
    pub body: Map<String, Value>,
    /// Without that, if there is any.
    pub known: Option<Map<String, Value>>,
}

impl Reader<'_> {
    /// The canonical form of a POST's or a PUT's body. Read-only attributes stay: a server ignores them.
    pub fn canonical(&self, body: &Map<String, Value>) -> Result<CanonicalBody, Error> {
        let mut known = self.read(body)?;
        let mut unknown = Vec::new();
        for (name, value) in body.iter().filter(|(_, value)| !is_unassigned(value)) {
            if let Some(extension) = self.schemas.extension(self.kind, name) {
                for (member, value) in self.one(value).as_object().into_iter().flatten() {
                    let place = self.find_in(extension, member);
                    let is_read = place.is_some_and(|place| place.is_settable()) || is_unassigned(value);
                    match place {
                        _ if is_read => {}
                        Some(place) if place.sub.is_none() => {
                            let name = place.attribute.name.clone();
                            within(&mut known, place.extension, |part| part.insert(name, value.clone()));
                        }
                        Some(_) => {}
                        None => unknown.push((Some(extension.id.as_str()), member, value)),
                    }
                }
                continue;
            }
            match self.find(name) {
                _ if name.eq_ignore_ascii_case("schemas") => {}
                Some(place) if !place.is_settable() && place.sub.is_none() && place.extension.is_none() => {
                    known.insert(place.attribute.name.clone(), value.clone());
                }
                Some(_) => {}
                None => unknown.push((None, name, value)),
            }
        }
        self.keep_schemas_true(&mut known);
        if unknown.is_empty() {
            return Ok(CanonicalBody { body: known, known: None });
        }
        let mut whole = known.clone();
        for (extension, name, value) in &unknown {
            within(&mut whole, *extension, |parent| parent.insert((*name).clone(), (*value).clone()));
        }
        self.keep_schemas_true(&mut whole);
        if let Some(Value::Array(schemas)) = whole.get_mut("schemas") {
            let urns =
                unknown.iter().filter(|(extension, name, _)| extension.is_none() && name.contains(':'));
            schemas.extend(urns.map(|(_, name, _)| Value::from(name.as_str())));
        }
        Ok(CanonicalBody { body: whole, known: Some(known) })
    }
}

impl Operation {
    /// The operation as RFC 7644 writes it.
    pub fn to_json(&self) -> Value {
        let op = match self.verb {
            Verb::Add => "add",
            Verb::Replace => "replace",
            Verb::Remove => "remove",
        };
        let mut json = Map::from_iter([("op".to_owned(), Value::from(op))]);
        if let Some(path) = &self.path {
            json.insert("path".into(), path.to_string().into());
        }
        if self.verb != Verb::Remove || !self.value.is_null() {
            json.insert("value".into(), self.value.clone());
        }
        Value::Object(json)
    }
}

impl Patch {
    /// The canonical form; none if it depends on the resource's state, or changes nothing. In the strict dialect
    /// an error for what the RFC does not allow.
    pub fn canonical(&self, reader: &Reader<'_>) -> Result<Option<Self>, Error> {
        let mut canonical = Canonical { reader, operations: Vec::new(), by_state: false };
        for operation in &self.operations {
            canonical.operation(operation)?;
        }
        let Canonical { operations, by_state, .. } = canonical;
        let is_one = !by_state && !operations.is_empty() && operations.len() <= OPERATIONS;
        Ok(is_one.then_some(Self { operations }))
    }

    /// The body of a request.
    pub fn to_json(&self) -> Value {
        json!({
            "schemas": [SCHEMA],
            "Operations": self.operations.iter().map(Operation::to_json).collect::<Vec<_>>(),
        })
    }

    /// Adds to a resource what the operations set of attributes that are written and never read, as a password
    /// is: for a server that takes whole resources.
    pub fn add_unreadable(&self, reader: &Reader<'_>, resource: &mut Map<String, Value>) {
        let mut add = |place: Option<Place<'_>>, value: &Value| {
            let place = place.filter(|place| place.sub.is_none() && is_write_only(place.attribute));
            if let Some(place) = place.filter(|_| !is_unassigned(value)) {
                let name = place.attribute.name.clone();
                within(resource, place.extension, |parent| parent.insert(name, value.clone()));
            }
        };
        for operation in &self.operations {
            let Some(path) = &operation.path else {
                for (name, value) in reader.one(&operation.value).as_object().into_iter().flatten() {
                    match reader.schemas.extension(reader.kind, name) {
                        Some(extension) => {
                            value.as_object().into_iter().flatten().for_each(|(member, value)| {
                                add(reader.find_in(extension, member), value);
                            })
                        }
                        None => add(reader.find(name), value),
                    }
                }
                continue;
            };
            add(reader.place(&path.attribute), &operation.value);
        }
    }
}

fn is_write_only(attribute: &Attribute) -> bool {
    attribute.mutability == Mutability::WriteOnly
}

struct Canonical<'a> {
    reader: &'a Reader<'a>,
    operations: Vec<Operation>,
    /// Whether the state of the resource decides.
    by_state: bool,
}

impl Canonical<'_> {
    fn operation(&mut self, operation: &Operation) -> Result<(), Error> {
        let reader = self.reader;
        let Operation { verb, path, value } = operation;
        let Some(path) = path else {
            let Value::Object(members) = reader.one(value) else {
                return Err(invalid("without a path, value must be an object of attributes"));
            };
            if value.is_object() && members.iter().all(|(name, value)| self.is_canonical(name, value)) {
                self.operations.push(operation.clone());
                return Ok(());
            }
            return members.iter().try_for_each(|(name, value)| self.member(*verb, name, value));
        };
        let is_whole = path.filter.is_none() && path.attribute.sub.is_none();
        if let (true, Some(extension)) =
            (is_whole, reader.schemas.extension(reader.kind, &path.attribute.stem()))
        {
            return self.extension(*verb, extension, value);
        }
        if path.attribute.name.eq_ignore_ascii_case("schemas") && path.attribute.urn.is_none() {
            return Ok(());
        }
        let Some(place) = reader.place(&path.attribute) else {
            if reader.dialect.is_tolerant() {
                self.operations.push(operation.clone());
                return Ok(());
            }
            let path = path.attribute.to_string();
            let sentence = format!("{} is not an attribute of {}", shown(&path), reader.kind.name());
            return Err(Error::new(ScimType::InvalidPath, sentence));
        };
        place.refuse_read_only()?;
        if !place.is_settable() {
            self.operations.push(operation.clone());
            return Ok(());
        }
        match &path.filter {
            None => self.all(*verb, place, value),
            Some(filter) => self.selected(*verb, place, filter, value),
        }
    }

    /// Whether a member of an operation without a path is as the RFC has it.
    fn is_canonical(&self, name: &str, value: &Value) -> bool {
        let reader = self.reader;
        let settled = |attribute: &Attribute, name: &str, value: &Value| {
            attribute.name == name
                && match attribute.mutability {
                    Mutability::WriteOnly => true,
                    Mutability::ReadOnly => false,
                    _ => reader
                        .convert(attribute, value, name)
                        .is_ok_and(|found| found.as_ref() == Some(value)),
                }
        };
        if let Some(extension) = reader.schemas.extension(reader.kind, name) {
            let member = |(name, value): (&String, &Value)| {
                extension.attribute(name).is_some_and(|attribute| settled(attribute, name, value))
            };
            return extension.id == name
                && value.as_object().is_some_and(|members| members.iter().all(member));
        }
        reader
            .schemas
            .core_attribute(reader.kind, name)
            .is_some_and(|attribute| settled(attribute, name, value))
    }

    /// One attribute of an operation without a path.
    fn member(&mut self, verb: Verb, name: &str, value: &Value) -> Result<(), Error> {
        let reader = self.reader;
        if name.eq_ignore_ascii_case("schemas") {
            return Ok(());
        }
        if let Some(extension) = reader.schemas.extension(reader.kind, name) {
            return self.extension(verb, extension, value);
        }
        if reader.dialect.is_tolerant() && name.contains('[') {
            let path = Path::parse(name, reader.dialect.filter_options())?;
            return self.operation(&Operation { verb, path: Some(path), value: value.clone() });
        }
        match reader.find(name) {
            Some(place) => self.place(verb, place, value),
            None => self.unknown(verb, name, None, value),
        }
    }

    fn extension(&mut self, verb: Verb, extension: &Schema, value: &Value) -> Result<(), Error> {
        if verb == Verb::Remove || is_unassigned(value) {
            if verb != Verb::Add {
                match extension.id.parse() {
                    Ok(attribute) => self.push(Verb::Remove, Path { attribute, filter: None }, Value::Null),
                    // The URN is no path, as those that end in a number are.
                    Err(_) => self.by_state = true,
                }
            }
            return Ok(());
        }
        let Value::Object(members) = self.reader.one(value) else {
            return Err(invalid(format!("{} must be an object", extension.id)));
        };
        for (name, value) in members {
            match self.reader.find_in(extension, name) {
                Some(place) => self.place(verb, place, value)?,
                None => self.unknown(verb, name, Some(&extension.id), value)?,
            }
        }
        Ok(())
    }

    /// An attribute that is named without a path.
    fn place(&mut self, verb: Verb, place: Place<'_>, value: &Value) -> Result<(), Error> {
        if place.is_settable() {
            return self.all(verb, place, value);
        }
        if [Some(place.attribute), place.sub].into_iter().flatten().any(is_write_only) {
            self.push(verb, path_of(place, None), value.clone());
            return Ok(());
        }
        // Clients send back what they read: `id`, `meta`, `groups`.
        if self.reader.dialect.is_tolerant() { Ok(()) } else { place.refuse_read_only() }
    }

    fn unknown(
        &mut self,
        verb: Verb,
        name: &str,
        extension: Option<&str>,
        value: &Value,
    ) -> Result<(), Error> {
        let full = extension.map_or_else(|| name.to_owned(), |urn| format!("{urn}:{name}"));
        self.reader.unknown(&full)?;
        let mut value = json!({ name: value });
        if let Some(urn) = extension {
            value = json!({ urn: value });
        }
        self.operations.push(Operation { verb, path: None, value });
        Ok(())
    }

    fn push(&mut self, verb: Verb, path: Path, value: Value) {
        self.operations.push(Operation { verb, path: Some(path), value });
    }

    /// All values of an attribute, or a part of them.
    fn all(&mut self, verb: Verb, place: Place<'_>, value: &Value) -> Result<(), Error> {
        let (reader, attribute) = (self.reader, place.attribute);
        let path = path_of(place, None);
        let whole = path_of(Place { sub: None, ..place }, None);
        let Some(sub) = place.sub else {
            return if attribute.multi_valued {
                self.list(verb, place, value)
            } else {
                self.single(verb, place, value)
            };
        };
        let is_value = sub.name == "value" && reader.dialect.is_tolerant();
        let new = if verb == Verb::Remove { None } else { reader.convert(sub, value, &sub.name)? };
        match new {
            None if verb == Verb::Add => {}
            None if is_value && attribute.multi_valued => self.by_state = true,
            None if is_value => self.push(Verb::Remove, whole, Value::Null),
            None => self.push(Verb::Remove, path, Value::Null),
            Some(Value::String(text))
                if text.is_empty() && sub.name == "value" && !attribute.multi_valued =>
            {
                self.push(Verb::Remove, whole, Value::Null);
            }
            Some(new) => self.push(verb, path, new),
        }
        Ok(())
    }

    /// An attribute with one value.
    fn single(&mut self, verb: Verb, place: Place<'_>, value: &Value) -> Result<(), Error> {
        let attribute = place.attribute;
        let path = path_of(place, None);
        if verb == Verb::Remove {
            self.push(verb, path, Value::Null);
            return Ok(());
        }
        let value = self.reader.one(value);
        let new = self.reader.convert(attribute, value, &attribute.name)?;
        let text = |value: &Value| value.as_str() == Some("");
        let emptied =
            attribute.kind == Type::Complex && (text(value) || value.get("value").is_some_and(text));
        if emptied || (new.is_none() && is_unassigned(value) && verb == Verb::Replace) {
            self.push(Verb::Remove, path, Value::Null);
            return Ok(());
        }
        for (name, value) in value.as_object().into_iter().flatten() {
            if let (Verb::Replace, true, Some(sub)) = (verb, is_unassigned(value), attribute.sub(name)) {
                self.all(Verb::Remove, Place { sub: Some(sub), ..place }, &Value::Null)?;
            }
        }
        if let Some(new) = new {
            self.push(verb, path, new);
        }
        Ok(())
    }

    /// All of a list.
    fn list(&mut self, verb: Verb, place: Place<'_>, value: &Value) -> Result<(), Error> {
        let attribute = place.attribute;
        let path = path_of(place, None);
        let values = match self.reader.convert(attribute, value, &attribute.name)? {
            Some(Value::Array(values)) => values,
            _ => Vec::new(),
        };
        match verb {
            Verb::Replace if values.is_empty() => self.push(Verb::Remove, path, Value::Null),
            Verb::Add if values.is_empty() => {}
            Verb::Add | Verb::Replace => self.push(verb, path, Value::Array(values)),
            Verb::Remove if value.is_null() => self.push(verb, path, Value::Null),
            Verb::Remove => {
                for value in &values {
                    match naming(attribute, value) {
                        Some(filter) => self.push(verb, path_of(place, Some(filter)), Value::Null),
                        None => self.by_state = true,
                    }
                }
            }
        }
        Ok(())
    }

    /// The values that a filter selects.
    fn selected(
        &mut self,
        verb: Verb,
        place: Place<'_>,
        filter: &Filter,
        value: &Value,
    ) -> Result<(), Error> {
        let (reader, attribute) = (self.reader, place.attribute);
        let name = &attribute.name;
        if !attribute.multi_valued {
            let sentence = format!("{name} has one value: a filter selects among several");
            return Err(Error::new(ScimType::InvalidPath, sentence));
        }
        let matcher = ElementMatcher::compile(filter, attribute)?;
        let path = path_of(place, Some(typed(filter, attribute)));
        let Some(sub) = place.sub else {
            if verb == Verb::Remove {
                self.push(verb, path, Value::Null);
                return Ok(());
            }
            let mut new = reader
                .convert_one(attribute, value, name)?
                .ok_or_else(|| invalid(format!("{name} needs a value")))?;
            if let (Value::Object(new), Some(template), true) =
                (&mut new, matcher.template(), reader.dialect.is_tolerant())
            {
                for (name, value) in template {
                    new.entry(name.clone()).or_insert_with(|| value.clone());
                }
            }
            self.push(verb, path, new);
            return Ok(());
        };
        let new = if verb == Verb::Remove { None } else { reader.convert(sub, value, name)? };
        match new {
            None if verb == Verb::Add => {}
            None if sub.name == "value" && reader.dialect.is_tolerant() => self.by_state = true,
            None => self.push(Verb::Remove, path, Value::Null),
            Some(new) => self.push(verb, path, new),
        }
        Ok(())
    }
}

fn path_of(place: Place<'_>, filter: Option<Filter>) -> Path {
    let attribute = AttributePath {
        urn: place.extension.map(str::to_owned),
        name: place.attribute.name.clone(),
        sub: place.sub.map(|sub| sub.name.clone()),
    };
    Path { attribute, filter }
}

/// The filter that selects a value of a list: by its `value`, and its `type` but for members, whose ids are
/// enough.
fn naming(attribute: &Attribute, value: &Value) -> Option<Filter> {
    let equal = |name: &str, text: &Value| {
        let literal = Literal::String(text.as_str()?.to_owned());
        Some(Filter::Compare(AttributePath::name(name), Operator::Eq, literal))
    };
    let Some(members) = value.as_object() else {
        return equal("value", value);
    };
    let by_value = equal("value", members.get("value")?)?;
    match members.get("type").filter(|_| attribute.name != "members") {
        Some(kind) => Some(Filter::And(vec![by_value, equal("type", kind)?])),
        None => Some(by_value),
    }
}

/// A filter whose booleans are booleans.
fn typed(filter: &Filter, attribute: &Attribute) -> Filter {
    let all = |members: &[Filter]| members.iter().map(|member| typed(member, attribute)).collect();
    match filter {
        Filter::Compare(path, operator, Literal::String(text))
            if attribute.sub(&path.name).is_some_and(|sub| sub.kind == Type::Boolean) =>
        {
            let literal = match text.to_ascii_lowercase().as_str() {
                "true" => Literal::Bool(true),
                "false" => Literal::Bool(false),
                _ => Literal::String(text.clone()),
            };
            Filter::Compare(path.clone(), *operator, literal)
        }
        Filter::Not(inner) => Filter::Not(Box::new(typed(inner, attribute))),
        Filter::And(members) => Filter::And(all(members)),
        Filter::Or(members) => Filter::Or(all(members)),
        other => other.clone(),
    }
}
