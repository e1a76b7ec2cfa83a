//! An account's own extension schemas.

use crate::list::read_object;
use crate::message::{Failure, Request, Response};
use crate::sql::{Sql, SqlError};
use crate::store::{Store, number};
use crate::unique::unenforceable;
use scim_edge_scim::definitions::ENTERPRISE_USER;
use scim_edge_scim::discovery::schema_resource;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::{Error, ScimType};
use scim_edge_scim::limits::exceeded;
use scim_edge_scim::query::Query;
use scim_edge_scim::schema::{DEFINITION_BYTES, Extension, Schema, Schemas};
use serde_json::Value;
use std::collections::HashMap;

/// The most extensions of an account.
const EXTENSIONS: usize = 20;

/// The schemas of the account.
pub(crate) fn load<S: Sql>(store: &Store<S>) -> Result<Schemas, SqlError> {
    let rows = store.sql.query("SELECT kind, definition FROM extension ORDER BY urn", &[])?;
    let damaged = || SqlError::new("a stored schema cannot be read");
    let extension = |mut row: crate::sql::Row| {
        let kind = if row.integer()? == 0 { Kind::User } else { Kind::Group };
        let json: Value = serde_json::from_str(&row.text()?).map_err(|_| damaged())?;
        let schema = json.as_object().and_then(|json| Schema::parse(json).ok()).ok_or_else(damaged)?;
        Ok::<_, SqlError>(Extension { kind, schema })
    };
    Ok(Schemas::new(rows.into_iter().map(extension).collect::<Result<Vec<_>, _>>()?))
}

/// Registers an extension, or changes it: `?resourceType=User` (the default) or `Group`.
pub(crate) fn put<S: Sql>(
    store: &Store<S>,
    schemas: &Schemas,
    request: &Request<'_>,
    urn: &str,
) -> Result<Response, Failure> {
    let kind = match Query::parse(request.query)?.get("resourceType") {
        None | Some("User") => Kind::User,
        Some("Group") => Kind::Group,
        Some(_) => {
            return Err(Error::new(ScimType::InvalidValue, "resourceType must be User or Group").into());
        }
    };
    let schema = Schema::parse(&read_object(request)?)
        .map_err(|sentence| Error::new(ScimType::InvalidValue, sentence))?;
    if !schema.id.eq_ignore_ascii_case(urn) {
        return Err(Error::new(ScimType::InvalidValue, "id must be the URN in the path").into());
    }
    let known = store.sql.transaction(|| register(store, schemas, kind, &schema))?;
    Ok(Response::json(if known { 200 } else { 201 }, schema_resource(&schema, request.base).to_string()))
}

/// Stores an extension, within a transaction. Returns whether it was known.
pub(crate) fn register<S: Sql>(
    store: &Store<S>,
    schemas: &Schemas,
    kind: Kind,
    schema: &Schema,
) -> Result<bool, Failure> {
    let urn = schema.id.as_str();
    let definition = schema.to_json().to_string();
    if definition.len() > DEFINITION_BYTES {
        let limit = DEFINITION_BYTES >> 10;
        return Err(exceeded(format!("the definition of a schema is at most {limit} KiB long")).into());
    }
    if let Some(sentence) = unenforceable(schema) {
        return Err(Error::new(ScimType::InvalidValue, sentence).into());
    }
    let core = Kind::ALL.into_iter().any(|kind| schemas.core(kind).id.eq_ignore_ascii_case(urn));
    if core || urn.eq_ignore_ascii_case(ENTERPRISE_USER) {
        return Err(Error::new(ScimType::Mutability, "RFC 7643's own schemas cannot be changed").into());
    }
    let own = store.sql.query("SELECT urn FROM extension WHERE learned = 0", &[])?.len();
    let known = Kind::ALL.into_iter().any(|kind| schemas.extension(kind, urn).is_some());
    if !known && own >= EXTENSIONS {
        let sentence = format!("an account has at most {EXTENSIONS} schemas of its own");
        return Err(Error::new(ScimType::TooMany, sentence).into());
    }
    store.sql.query(
        "INSERT INTO extension (urn, kind, definition) VALUES (?1, ?2, ?3)
            ON CONFLICT (urn) DO UPDATE SET kind = excluded.kind, definition = excluded.definition, learned = 0",
        &[
            schema.id.to_ascii_lowercase().as_str().into(),
            number(kind).into(),
            definition.as_str().into(),
        ],
    )?;
    store.rebuild_unique()?;
    match store.not_unique(&schema.id)? {
        Some(name) => {
            let sentence = format!("{name}: two resources have the same value, so it cannot be unique");
            Err(Error::new(ScimType::Uniqueness, sentence).into())
        }
        None => Ok(known),
    }
}

/// Makes the origin's extension schemas the account's; those that were registered stay as they are.
/// What cannot be read as a schema is left out: its attributes are stored and shown all the same.
pub(crate) fn learn<S: Sql>(
    store: &Store<S>,
    resource_types: &Value,
    schemas: &Value,
) -> Result<(), SqlError> {
    let kinds = extended_kinds(resource_types);
    let learned: Vec<(Kind, Schema)> = listed(schemas)
        .iter()
        .filter_map(|one| Schema::parse(one.as_object()?).ok())
        .filter_map(|schema| {
            let kind = kinds.get(&schema.id.to_ascii_lowercase())?;
            let is_own = schema.id.eq_ignore_ascii_case(ENTERPRISE_USER);
            (!is_own && schema.to_json().to_string().len() <= DEFINITION_BYTES).then_some((*kind, schema))
        })
        .take(EXTENSIONS)
        .collect();
    store.sql.transaction(|| {
        store.sql.query("DELETE FROM extension WHERE learned = 1", &[])?;
        for (kind, schema) in &learned {
            store.sql.query(
                "INSERT INTO extension (urn, kind, definition, learned) VALUES (?1, ?2, ?3, 1)
                    ON CONFLICT (urn) DO NOTHING",
                &[
                    schema.id.to_ascii_lowercase().as_str().into(),
                    number(*kind).into(),
                    schema.to_json().to_string().as_str().into(),
                ],
            )?;
        }
        Ok(())
    })
}

/// The resource types of extensions (RFC 7643 §6), by the extensions' URNs in lower case.
fn extended_kinds(resource_types: &Value) -> HashMap<String, Kind> {
    let mut kinds = HashMap::new();
    for one in listed(resource_types) {
        let name = one.get("name").or_else(|| one.get("id")).and_then(Value::as_str).unwrap_or_default();
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name)) else {
            continue;
        };
        let extensions = one.get("schemaExtensions").and_then(Value::as_array);
        for extension in extensions.map(Vec::as_slice).unwrap_or_default() {
            if let Some(urn) = extension.get("schema").and_then(Value::as_str) {
                kinds.entry(urn.to_ascii_lowercase()).or_insert(kind);
            }
        }
    }
    kinds
}

/// The resources of a list; some servers answer discovery with a bare array.
fn listed(answer: &Value) -> &[Value] {
    let resources = answer.get("Resources").unwrap_or(answer).as_array();
    resources.map(Vec::as_slice).unwrap_or_default()
}

/// Removes an extension that no resource has attributes of.
pub(crate) fn delete<S: Sql>(store: &Store<S>, urn: &str) -> Result<Response, Failure> {
    let urn = urn.to_ascii_lowercase();
    let rows = store
        .sql
        .query("SELECT definition FROM extension WHERE urn = ? AND learned = 0", &[urn.as_str().into()])?;
    let Some(mut row) = rows.into_iter().next() else {
        return Err(Error::not_found(format!("Schema {urn}")).into());
    };
    let definition: Value = serde_json::from_str(&row.text()?).unwrap_or(Value::Null);
    let written = definition.get("id").and_then(Value::as_str).unwrap_or(&urn).to_owned();
    let quoted = format!("{}:", Value::from(written));
    let used = store
        .sql
        .query("SELECT 1 FROM resource WHERE instr(body, ?) > 0 LIMIT 1", &[quoted.as_str().into()])?;
    if !used.is_empty() {
        return Err(Error::status(409, "resources have attributes of this schema").into());
    }
    store.sql.transaction(|| {
        store.sql.query("DELETE FROM extension WHERE urn = ?", &[urn.as_str().into()])?;
        store.rebuild_unique()
    })?;
    Ok(Response::empty(204))
}
