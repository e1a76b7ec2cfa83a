//! What holds for a resource as a whole (RFC 7643 §3, §7): its `schemas` are true, what is required is
//! there, what is immutable stays.

use crate::error::{Error, ScimType};
use crate::schema::{Attribute, Mutability};
use crate::validate::{Place, Reader, invalid, is_settable, shown, within};
use serde_json::{Map, Value};

impl<'a> Reader<'a> {
    /// Every attribute of the resource type but those common to all, with its extension.
    fn places(&self) -> impl Iterator<Item = Place<'a>> + use<'a> {
        let core = self.schemas.core(self.kind).attributes.iter().map(|attribute| (None, attribute));
        let extended = self.schemas.extensions(self.kind).flat_map(|schema| {
            schema.attributes.iter().map(move |attribute| (Some(schema.id.as_str()), attribute))
        });
        core.chain(extended).map(|(extension, attribute)| Place { extension, attribute, sub: None })
    }

    /// The URNs that a body declares, against the schemas that there are.
    pub(crate) fn check_schemas(&self, body: &Map<String, Value>) -> Result<(), Error> {
        let given =
            body.iter().find(|(name, _)| name.eq_ignore_ascii_case("schemas")).map(|(_, value)| value);
        let tolerant = self.dialect.is_tolerant();
        let urns: Vec<&str> = match given {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => {
                let texts =
                    items.iter().map(|item| item.as_str().ok_or_else(|| invalid("schemas must hold URNs")));
                texts.collect::<Result<_, _>>()?
            }
            Some(Value::String(_)) if tolerant => Vec::new(),
            Some(_) => return Err(invalid("schemas must be an array of URNs")),
        };
        if tolerant {
            return Ok(());
        }
        let core = &self.schemas.core(self.kind).id;
        if !urns.iter().any(|urn| urn.eq_ignore_ascii_case(core)) {
            return Err(invalid(format!("schemas must contain {core}")));
        }
        let known =
            |urn: &str| urn.eq_ignore_ascii_case(core) || self.schemas.extension(self.kind, urn).is_some();
        for (name, value) in body {
            let has_attributes = value.as_object().is_some_and(|members| !members.is_empty());
            if let (true, Some(extension)) = (has_attributes, self.schemas.extension(self.kind, name))
                && !urns.iter().any(|urn| urn.eq_ignore_ascii_case(&extension.id))
            {
                let sentence =
                    format!("schemas must contain {}: the body has attributes of it", extension.id);
                return Err(invalid(sentence));
            }
        }
        match urns.iter().find(|urn| !known(urn)) {
            Some(urn) => {
                let kind = self.kind.name();
                Err(invalid(format!("schemas names {:?}, which is not a schema of {kind}", shown(urn))))
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

    /// What is required is there: core attributes always, an extension's where there is something of it,
    /// sub-attributes in every value of theirs.
    pub(crate) fn check_required(&self, resource: &Map<String, Value>) -> Result<(), Error> {
        for Place { extension, attribute, .. } in self.places() {
            let missing = |name: &str| Err(invalid(format!("{name} is required")));
            if extension.is_some_and(|urn| !resource.contains_key(urn)) {
                continue;
            }
            let value = get(resource, extension, &attribute.name);
            if is_required(attribute) && !is_there(value) {
                return missing(&attribute.name);
            }
            let Some(value) = value else { continue };
            for sub in attribute.sub_attributes.iter().filter(|sub| is_required(sub)) {
                let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                if !values.iter().all(|value| is_there(value.get(&sub.name))) {
                    return missing(&format!("{}.{}", attribute.name, sub.name));
                }
            }
        }
        Ok(())
    }

    /// Immutable values that are set, one by one: an attribute, or a part of an attribute with one value.
    fn immutable<'v>(
        &self,
        old: &'v Map<String, Value>,
    ) -> impl Iterator<Item = (Place<'a>, &'v Value)> + use<'a, 'v> {
        let immutable = |attribute: &Attribute| attribute.mutability == Mutability::Immutable;
        self.places().flat_map(move |place| {
            let value = get(old, place.extension, &place.attribute.name);
            let whole = value.filter(|_| immutable(place.attribute)).map(|value| (place, value));
            let subs = place.attribute.sub_attributes.iter();
            let parts = subs
                .filter(move |sub| immutable(sub) && !place.attribute.multi_valued)
                .filter_map(move |sub| Some((Place { sub: Some(sub), ..place }, value?.get(&sub.name)?)));
            whole.into_iter().chain(parts)
        })
    }

    /// Gives immutable values back that a PUT does not name (RFC 7644 §3.5.1).
    pub(crate) fn keep_immutable(&self, new: &mut Map<String, Value>, old: &Map<String, Value>) {
        for (Place { extension, attribute, sub }, value) in self.immutable(old) {
            within(new, extension, |parent| match (sub, parent.get_mut(&attribute.name)) {
                (Some(sub), Some(Value::Object(parts))) => {
                    parts.entry(sub.name.clone()).or_insert_with(|| value.clone());
                }
                (None, None) => {
                    parent.insert(attribute.name.clone(), value.clone());
                }
                _ => {}
            });
        }
    }

    /// Immutable values stay as they are (RFC 7643 §7); a part goes with the whole it is of.
    pub(crate) fn check_immutable(
        &self,
        new: &Map<String, Value>,
        old: &Map<String, Value>,
    ) -> Result<(), Error> {
        for (Place { extension, attribute, sub }, before) in self.immutable(old) {
            let whole = get(new, extension, &attribute.name);
            let same = match sub {
                None => whole == Some(before),
                Some(sub) => whole.is_none_or(|whole| whole.get(&sub.name) == Some(before)),
            };
            if !same {
                let part = sub.map(|sub| format!(".{}", sub.name)).unwrap_or_default();
                let sentence = format!("{}{part} cannot be changed once it is set", attribute.name);
                return Err(Error::new(ScimType::Mutability, sentence));
            }
        }
        Ok(())
    }
}

fn get<'v>(resource: &'v Map<String, Value>, extension: Option<&str>, name: &str) -> Option<&'v Value> {
    match extension {
        None => resource.get(name),
        Some(urn) => resource.get(urn)?.get(name),
    }
}

fn is_required(attribute: &Attribute) -> bool {
    attribute.required && is_settable(attribute)
}

fn is_there(value: Option<&Value>) -> bool {
    match value {
        None => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(_) => true,
    }
}
