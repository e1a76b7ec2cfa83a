//! Writes on their way to an origin: read by the account's dialect, and put into RFC 7644's form for an origin that
//! reads nothing else.

use crate::Directory;
use crate::sql::Sql;
use crate::write::wants_no_body;
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::Error;
use scim_edge_scim::patch::Patch;
use scim_edge_scim::project::Projection;
use scim_edge_scim::query::Query;
use scim_edge_scim::schema::{Returned, Schema, Schemas};
use scim_edge_scim::validate::Reader;
use serde_json::{Map, Value};

/// The form in which a body is forwarded.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// As the client sent it.
    AsSent,
    /// In RFC 7644's form.
    Canonical {
        /// The body.
        body: Map<String, Value>,
        /// The body without what no schema here defines, for an origin that refuses the first.
        known: Option<Map<String, Value>>,
    },
    /// A PATCH that depends on the resource's state: GET and PUT.
    ByState,
}

impl<S: Sql> Directory<S> {
    /// Reads the body of a POST, PUT or PATCH, and says how it is forwarded. In the strict dialect it is judged,
    /// and forwarded as it was sent.
    ///
    /// # Errors
    /// What is wrong with the body, as without an origin.
    pub fn form(
        &self,
        method: &str,
        kind: Kind,
        body: &Map<String, Value>,
        dialect: Dialect,
    ) -> Result<Form, Error> {
        let schemas = self.schemas();
        let reader = Reader { schemas: &schemas, kind, dialect };
        let is_tolerant = dialect.is_tolerant();
        if method == "PATCH" {
            let canonical = Patch::parse(body, dialect)?.canonical(&reader)?;
            return Ok(match canonical.map(|patch| patch.to_json()) {
                _ if !is_tolerant => Form::AsSent,
                Some(Value::Object(canonical)) if canonical == *body => Form::AsSent,
                Some(Value::Object(body)) => Form::Canonical { body, known: None },
                _ => Form::ByState,
            });
        }
        if !is_tolerant {
            reader.create(body)?;
            return Ok(Form::AsSent);
        }
        let canonical = reader.canonical(body)?;
        if canonical.body == *body && canonical.known.is_none() {
            return Ok(Form::AsSent);
        }
        Ok(Form::Canonical { body: canonical.body, known: canonical.known })
    }

    /// What the answer to a query (its raw text) shows.
    ///
    /// # Errors
    /// What is wrong with `attributes` and `excludedAttributes`.
    pub fn projection(&self, query: &str, dialect: Dialect) -> Result<Projection, Error> {
        let query = Query::parse(query)?;
        let list = |name: &str| query.get(name).unwrap_or_default().to_owned();
        let (only, without) = (list("attributes"), list("excludedAttributes"));
        Projection::new(only.split(','), without.split(','), &self.schemas(), dialect)
    }

    /// Whether a PATCH with this query (its raw text) is answered without the resource.
    pub fn wants_no_body(&self, kind: Kind, query: &str, shown: &Projection) -> bool {
        Query::parse(query).is_ok_and(|query| wants_no_body(kind, &query, shown))
    }

    /// The part of a resource that a projection shows.
    pub fn project(
        &self,
        kind: Kind,
        resource: Map<String, Value>,
        shown: &Projection,
    ) -> Map<String, Value> {
        shown.apply(resource, &self.schemas(), kind)
    }

    /// The attributes that an origin shows only if they are asked for (`returned: request`), as a value of
    /// `attributes`; none if there are none. A copy of the origin does not have them.
    pub fn on_request(&self, kind: Kind) -> Option<String> {
        let names = on_request(&self.schemas(), kind);
        (!names.is_empty()).then(|| names.join(","))
    }

    /// Whether a text (a query's `attributes`, `filter` or `sortBy`) may name such an attribute.
    pub fn asks_on_request(&self, kind: Kind, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        on_request(&self.schemas(), kind).iter().any(|path| {
            let urn = path.rsplit_once(':').map_or("", |(urn, _)| urn).to_ascii_lowercase();
            text.contains(&urn)
        })
    }
}

/// The paths of the attributes that are returned on request.
fn on_request(schemas: &Schemas, kind: Kind) -> Vec<String> {
    if schemas.shows_all(kind) {
        return Vec::new();
    }
    let of = |schema: &Schema| {
        let mut paths = Vec::new();
        for attribute in &schema.attributes {
            let path = format!("{}:{}", schema.id, attribute.name);
            let subs = attribute.sub_attributes.iter().filter(|sub| sub.returned == Returned::Request);
            paths.extend(subs.map(|sub| format!("{path}.{}", sub.name)));
            if attribute.returned == Returned::Request {
                paths.push(path);
            }
        }
        paths
    };
    schemas.extensions(kind).flat_map(of).collect()
}

/// Adds to a resource what it does not show by default, as the origin shows it on request.
pub fn add_requested(resource: &mut Map<String, Value>, requested: &Map<String, Value>) {
    for (name, value) in requested.iter().filter(|(name, _)| name.contains(':')) {
        match (resource.get_mut(name), value) {
            (Some(Value::Object(known)), Value::Object(more)) => {
                for (name, value) in more {
                    match (known.get_mut(name), value) {
                        (Some(Value::Object(parts)), Value::Object(more)) => {
                            parts.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
                        }
                        _ => {
                            known.insert(name.clone(), value.clone());
                        }
                    }
                }
            }
            (_, value) => {
                resource.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Whether an origin's answer at `/Schemas` says that it has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Announced {
    Yes,
    No,
    Unsaid,
}

/// Whether an origin has a schema, by its answer at `/Schemas` or at the schema itself.
pub fn announces(answer: &Value, urn: &str) -> Announced {
    let is_it =
        |one: &Value| one.get("id").and_then(Value::as_str).is_some_and(|id| id.eq_ignore_ascii_case(urn));
    if is_it(answer) {
        return Announced::Yes;
    }
    match answer.get("Resources").unwrap_or(answer).as_array() {
        Some(listed) if listed.iter().any(is_it) => Announced::Yes,
        Some(listed) if !listed.is_empty() => Announced::No,
        _ => Announced::Unsaid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn which_schemas_an_origin_announces() {
        let urn = "urn:x:y";
        for (answer, expected) in [
            (json!({ "id": "URN:x:Y" }), Announced::Yes),
            (json!({ "Resources": [{ "id": "urn:a:b" }, { "id": "urn:x:y" }] }), Announced::Yes),
            (json!([{ "id": "urn:x:y" }]), Announced::Yes),
            (json!({ "Resources": [{ "id": "urn:a:b" }] }), Announced::No),
            (json!({ "Resources": [] }), Announced::Unsaid),
            (json!({ "detail": "none" }), Announced::Unsaid),
        ] {
            assert_eq!(announces(&answer, urn), expected, "{answer}");
        }
    }

    #[test]
    fn what_is_shown_on_request_is_added() {
        let mut resource = json!({ "id": "1", "urn:x:y": { "a": { "p": 1 }, "b": 2 } });
        let requested = json!({ "id": "2", "urn:x:y": { "a": { "q": 3 }, "c": 4 }, "urn:x:z": { "d": 5 } });
        let resource = resource.as_object_mut().unwrap();
        add_requested(resource, requested.as_object().unwrap());
        let expected = json!({ "id": "1", "urn:x:y": { "a": { "p": 1, "q": 3 }, "b": 2, "c": 4 }, "urn:x:z": { "d": 5 } });
        assert_eq!(Value::Object(resource.clone()), expected);
    }
}
