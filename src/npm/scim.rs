//! Filters, PATCH and validation over plain SCIM objects, for RFC 7643's own schemas.

use crate::failed;
use scim_edge_json::Limits;
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::{Endpoint, Kind};
use scim_edge_scim::error::Error;
use scim_edge_scim::evaluate::Matcher;
use scim_edge_scim::filter::Filter as Parsed;
use scim_edge_scim::limits::of_body;
use scim_edge_scim::patch::Patch;
use scim_edge_scim::schema::Schemas;
use scim_edge_scim::validate::Reader;
use serde_json::{Map, Value, json};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

fn dialect(strict: bool) -> Dialect {
    if strict { Dialect::Strict } else { Dialect::Tolerant }
}

fn kind(name: &str) -> Result<Kind, Value> {
    let found = Kind::ALL.into_iter().find(|one| one.name() == name);
    found.ok_or_else(|| failed("invalid_kind", "kind must be User or Group"))
}

fn object(text: &str, limits: Limits) -> Result<Map<String, Value>, Value> {
    scim_edge_json::parse_object(text.as_bytes(), limits)
        .map_err(|error| failed("invalid_resource", error.to_string()))
}

/// How large a resource of a kind, or a PATCH of one, may be.
fn limits(kind: Kind) -> Limits {
    of_body(&Endpoint::Collection(kind))
}

/// A SCIM error: its keyword is the code; a filter's has the byte it is at.
fn mistake(error: Error) -> Value {
    let code = error.scim_type.map_or("invalid", |scim_type| scim_type.as_str());
    json!({ "error": { "code": code, "message": error.detail, "position": error.position } })
}

/// A filter that was read.
#[wasm_bindgen]
pub struct Filter(Parsed);

#[wasm_bindgen]
impl Filter {
    /// Reads a filter (RFC 7644 §3.4.2.2). Throws an error text.
    #[wasm_bindgen(constructor)]
    pub fn new(text: &str, strict: bool) -> Result<Filter, JsValue> {
        Parsed::parse(text, dialect(strict).filter_options())
            .map(Self)
            .map_err(|error| JsValue::from_str(&mistake(error).to_string()))
    }

    /// The filter in its one canonical spelling.
    #[wasm_bindgen(js_name = canonical)]
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// Whether a resource satisfies it: `{"matches"}`.
    pub fn matches(&self, resource: &str, kind_name: &str) -> String {
        let found = kind(kind_name).and_then(|kind| {
            let resource = object(resource, limits(kind))?;
            let matcher = Matcher::compile(&self.0, &Schemas::default(), kind).map_err(mistake)?;
            Ok(json!({ "matches": matcher.matches(&resource) }))
        });
        found.unwrap_or_else(|error| error).to_string()
    }
}

/// A resource after a PATCH (RFC 7644 §3.5.2): `{"resource"}`.
#[wasm_bindgen(js_name = applyPatch)]
pub fn apply_patch(resource: &str, patch: &str, kind_name: &str, strict: bool) -> String {
    let patched = kind(kind_name).and_then(|kind| {
        let (resource, patch) = (object(resource, limits(kind))?, object(patch, limits(kind))?);
        let schemas = Schemas::default();
        let reader = Reader { schemas: &schemas, kind, dialect: dialect(strict) };
        let patch = Patch::parse(&patch, dialect(strict)).map_err(mistake)?;
        Ok(json!({ "resource": patch.apply(&reader, &resource).map_err(mistake)? }))
    });
    patched.unwrap_or_else(|error| error).to_string()
}

/// A resource as a server would keep it: canonical names and types, without what clients cannot set:
/// `{"resource"}`.
#[wasm_bindgen]
pub fn validate(resource: &str, kind_name: &str, strict: bool) -> String {
    let read = kind(kind_name).and_then(|kind| {
        let schemas = Schemas::default();
        let reader = Reader { schemas: &schemas, kind, dialect: dialect(strict) };
        Ok(json!({ "resource": reader.create(&object(resource, limits(kind))?).map_err(mistake)? }))
    });
    read.unwrap_or_else(|error| error).to_string()
}
