//! Answers questions about filters and PATCH, a line of JSON each, so that another implementation can be
//! compared: `{"kind", "resource", "filter"}` is answered `{"match"}`, `{"kind", "resource", "patch"}` is
//! answered `{"resource"}`, and both may be answered `{"error": scimType}`.

use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::Error;
use scim_edge_scim::evaluate::Matcher;
use scim_edge_scim::filter::Filter;
use scim_edge_scim::patch::Patch;
use scim_edge_scim::schema::Schemas;
use scim_edge_scim::validate::Reader;
use serde_json::{Map, Value, json};
use std::io::{self, BufRead, Write};

fn answer(schemas: &Schemas, question: &Value) -> Result<Value, Error> {
    let kind =
        if question.get("kind").and_then(Value::as_str) == Some("Group") { Kind::Group } else { Kind::User };
    let object = |name: &str| question.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let resource: Map<String, Value> = object("resource");
    let dialect = Dialect::Strict;
    if let Some(text) = question.get("filter").and_then(Value::as_str) {
        let filter = Filter::parse(text, dialect.filter_options())?;
        return Ok(json!({ "match": Matcher::compile(&filter, schemas, kind)?.matches(&resource) }));
    }
    let reader = Reader { schemas, kind, dialect };
    let patched = Patch::parse(&object("patch"), dialect)?.apply(&reader, &resource)?;
    Ok(json!({ "resource": patched }))
}

fn main() -> io::Result<()> {
    let schemas = Schemas::default();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let question: Value = serde_json::from_str(&line?)?;
        let answered = answer(&schemas, &question).unwrap_or_else(|error| {
            json!({ "error": error.scim_type.map(|keyword| keyword.as_str()), "detail": error.detail })
        });
        writeln!(out, "{answered}")?;
    }
    Ok(())
}
