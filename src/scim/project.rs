//! Projection (RFC 7644 §3.9): which attributes of a resource an answer has.

use crate::dialect::Dialect;
use crate::endpoint::Kind;
use crate::error::{Error, ScimType};
use crate::path::AttributePath;
use crate::schema::{Attribute, Returned, Schemas};
use serde_json::{Map, Value};

/// The most attributes named in one request.
pub const NAMES: usize = 100;

/// What a client asked to see.
#[derive(Clone, Debug, Default)]
pub struct Projection {
    chosen: Choice,
}

#[derive(Clone, Debug, Default)]
enum Choice {
    /// What is returned by default.
    #[default]
    Default,
    /// These, and what is always returned.
    Only(Vec<Target>),
    /// What is returned by default without these.
    Without(Vec<Target>),
}

/// An attribute in a request, with canonical names; a whole schema has no name, the core has no extension.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    extension: Option<String>,
    name: Option<String>,
    sub: Option<String>,
}

impl Projection {
    /// Reads the parameters `attributes` and `excludedAttributes`; each is a list of paths. Names that no
    /// schema has select nothing; in the strict dialect they are refused.
    pub fn new<'a>(
        attributes: impl IntoIterator<Item = &'a str>,
        excluded: impl IntoIterator<Item = &'a str>,
        schemas: &Schemas,
        dialect: Dialect,
    ) -> Result<Self, Error> {
        let only = targets(attributes, schemas, dialect)?;
        let without = targets(excluded, schemas, dialect)?;
        let chosen = match (only, without) {
            (Some(_), Some(_)) => {
                let sentence = "attributes and excludedAttributes exclude each other";
                return Err(Error::new(ScimType::InvalidValue, sentence));
            }
            (Some(only), None) => Choice::Only(only),
            (None, Some(without)) => Choice::Without(without),
            (None, None) => Choice::Default,
        };
        Ok(Self { chosen })
    }

    /// Whether it is what is returned by default.
    pub fn is_default(&self) -> bool {
        matches!(self.chosen, Choice::Default)
    }

    /// Whether answers may have a top-level attribute of the core schema, so that one that has to be
    /// made up can be left out.
    pub fn wants(&self, name: &str) -> bool {
        let names = |target: &Target| {
            target.extension.is_none() && target.name.as_deref().is_none_or(|own| own == name)
        };
        match &self.chosen {
            Choice::Default => true,
            Choice::Only(targets) => targets.iter().any(names),
            Choice::Without(targets) => !targets.iter().any(|target| names(target) && target.sub.is_none()),
        }
    }

    /// The part of a resource that the answer has.
    pub fn apply(&self, resource: Map<String, Value>, schemas: &Schemas, kind: Kind) -> Map<String, Value> {
        let mut shown = Map::new();
        for (name, value) in resource {
            let value = match schemas.extension(kind, &name) {
                Some(extension) => match value {
                    Value::Object(members) => {
                        let part =
                            self.members(members, Some(&extension.id), |name| extension.attribute(name));
                        (!part.is_empty()).then_some(Value::Object(part))
                    }
                    _ => None,
                },
                None => match schemas.core_attribute(kind, &name) {
                    Some(attribute) => self.value(value, None, attribute),
                    None => None,
                },
            };
            if let Some(value) = value {
                shown.insert(name, value);
            }
        }
        shown
    }

    fn members<'s>(
        &self,
        members: Map<String, Value>,
        extension: Option<&str>,
        find: impl Fn(&str) -> Option<&'s Attribute>,
    ) -> Map<String, Value> {
        let shown = members.into_iter().filter_map(|(name, value)| {
            let attribute = find(&name)?;
            Some((name, self.value(value, extension, attribute)?))
        });
        shown.collect()
    }

    fn value(&self, value: Value, extension: Option<&str>, attribute: &Attribute) -> Option<Value> {
        if attribute.returned == Returned::Never {
            return None;
        }
        let about = |targets: &[Target]| -> Asked {
            let mut asked = Asked::default();
            let own = |target: &&Target| {
                target.extension.as_deref() == extension
                    && target.name.as_deref().is_none_or(|name| name == attribute.name)
            };
            for target in targets.iter().filter(own) {
                match &target.sub {
                    None => asked.whole = true,
                    Some(sub) => asked.subs.push(sub.clone()),
                }
            }
            asked
        };
        let always = attribute.returned == Returned::Always;
        let by_default = always || attribute.returned == Returned::Default;
        match &self.chosen {
            Choice::Default if !by_default => None,
            Choice::Default => keep_subs(value, attribute, |sub| sub.returned != Returned::Request),
            Choice::Only(targets) => {
                let asked = about(targets);
                if !asked.whole && asked.subs.is_empty() && !always {
                    return None;
                }
                let whole = asked.whole || always;
                keep_subs(value, attribute, |sub| {
                    sub.returned == Returned::Always
                        || asked.subs.contains(&sub.name)
                        || (whole && sub.returned == Returned::Default)
                })
            }
            Choice::Without(targets) => {
                let asked = about(targets);
                if !by_default || (asked.whole && !always) {
                    return None;
                }
                keep_subs(value, attribute, |sub| {
                    sub.returned == Returned::Always
                        || (sub.returned == Returned::Default && !asked.subs.contains(&sub.name))
                })
            }
        }
    }
}

/// What a request says of one attribute.
#[derive(Default)]
struct Asked {
    whole: bool,
    subs: Vec<String>,
}

/// A value with those of its parts that are kept, and none that is never returned; nothing where none is
/// left.
fn keep_subs(value: Value, attribute: &Attribute, keep: impl Fn(&Attribute) -> bool) -> Option<Value> {
    let gone = |sub: &Attribute| sub.returned == Returned::Never || !keep(sub);
    if !attribute.sub_attributes.iter().any(gone) {
        return Some(value);
    }
    let part = |value: Value| match value {
        Value::Object(members) => {
            let kept = |name: &str| attribute.sub(name).is_some_and(|sub| !gone(sub));
            let part: Map<String, Value> = members.into_iter().filter(|(name, _)| kept(name)).collect();
            (!part.is_empty()).then_some(Value::Object(part))
        }
        plain => Some(plain),
    };
    match value {
        Value::Array(items) => {
            let parts: Vec<Value> = items.into_iter().filter_map(part).collect();
            (!parts.is_empty()).then_some(Value::Array(parts))
        }
        one => part(one),
    }
}

/// The attributes that a parameter names; none where it is absent or empty.
fn targets<'a>(
    names: impl IntoIterator<Item = &'a str>,
    schemas: &Schemas,
    dialect: Dialect,
) -> Result<Option<Vec<Target>>, Error> {
    let mut targets = None;
    for (place, name) in names.into_iter().map(str::trim).filter(|name| !name.is_empty()).enumerate() {
        let targets = targets.get_or_insert_with(Vec::new);
        if place >= NAMES {
            let sentence = format!("at most {NAMES} attributes can be named");
            return Err(Error::new(ScimType::InvalidValue, sentence));
        }
        let found = Kind::ALL.into_iter().find_map(|kind| target(name, schemas, kind));
        match found {
            Some(target) if targets.contains(&target) => {}
            Some(target) => targets.push(target),
            None if dialect.is_tolerant() => {}
            None => {
                let shown: String = name.chars().take(100).collect();
                let sentence = format!("{shown:?} is not an attribute of any schema here");
                return Err(Error::new(ScimType::InvalidValue, sentence));
            }
        }
    }
    Ok(targets)
}

fn target(name: &str, schemas: &Schemas, kind: Kind) -> Option<Target> {
    if let Some(extension) = schemas.extension(kind, name) {
        return Some(Target { extension: Some(extension.id.clone()), name: None, sub: None });
    }
    if name.eq_ignore_ascii_case(&schemas.core(kind).id) {
        return Some(Target { extension: None, name: None, sub: None });
    }
    let path: AttributePath = name.parse().ok()?;
    let (extension, attribute) = schemas.find(kind, path.urn.as_deref(), &path.name)?;
    let sub = match &path.sub {
        Some(sub) => Some(attribute.sub(sub)?.name.clone()),
        None => None,
    };
    Some(Target { extension: extension.map(str::to_owned), name: Some(attribute.name.clone()), sub })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn shows(attributes: &str, excluded: &str, expected: Value) {
        let schemas = Schemas::default();
        let resource = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "userName": "ann",
            "name": { "givenName": "Ann", "familyName": "Lee" },
            "emails": [{ "value": "a@x", "type": "work" }, { "value": "b@x" }],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "R", "division": "D" },
            "meta": { "resourceType": "User" },
        });
        let projection =
            Projection::new(attributes.split(','), excluded.split(','), &schemas, Dialect::Tolerant).unwrap();
        let shown = projection.apply(resource.as_object().unwrap().clone(), &schemas, Kind::User);
        let mut expected = expected.as_object().unwrap().clone();
        expected.insert("schemas".into(), json!(["urn:ietf:params:scim:schemas:core:2.0:User"]));
        expected.insert("id".into(), json!("1"));
        assert_eq!(shown, expected, "{attributes} {excluded}");
    }

    #[test]
    fn shows_what_is_named_and_what_is_always_shown() {
        shows("USERNAME", "", json!({ "userName": "ann" }));
        shows("name.givenName", "", json!({ "name": { "givenName": "Ann" } }));
        shows("emails.type", "", json!({ "emails": [{ "type": "work" }] }));
        shows("nonsense", "", json!({}));
        let extension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        shows(extension, "", json!({ extension: { "department": "R", "division": "D" } }));
        shows(&format!("{extension}:department"), "", json!({ extension: { "department": "R" } }));
        shows(
            "",
            &format!("meta,emails,id,name.givenName,{extension}:division"),
            json!({ "userName": "ann", "name": { "familyName": "Lee" }, extension: { "department": "R" } }),
        );
    }

    #[test]
    fn both_at_once_are_refused() {
        let schemas = Schemas::default();
        assert!(Projection::new(["userName"], ["name"], &schemas, Dialect::Tolerant).is_err());
        assert!(Projection::new(["nonsense"], [], &schemas, Dialect::Strict).is_err());
    }
}
