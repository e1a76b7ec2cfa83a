//! An account's own extension schemas.

use crate::list::read_object;
use crate::message::{Failure, Request, Response};
use crate::sql::{Sql, SqlError};
use crate::store::{Store, number};
use scim_edge_scim::definitions::ENTERPRISE_USER;
use scim_edge_scim::discovery::schema_resource;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::{Error, ScimType};
use scim_edge_scim::query::Query;
use scim_edge_scim::schema::{Extension, Schema, Schemas};
use serde_json::Value;

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
    let core = Kind::ALL.into_iter().any(|kind| schemas.core(kind).id.eq_ignore_ascii_case(urn));
    if core || urn.eq_ignore_ascii_case(ENTERPRISE_USER) {
        return Err(Error::new(ScimType::Mutability, "RFC 7643's own schemas cannot be changed").into());
    }
    let own = store.sql.query("SELECT urn FROM extension", &[])?.len();
    let known = Kind::ALL.into_iter().any(|kind| schemas.extension(kind, urn).is_some());
    if !known && own >= EXTENSIONS {
        let sentence = format!("an account has at most {EXTENSIONS} schemas of its own");
        return Err(Error::new(ScimType::TooMany, sentence).into());
    }
    store.sql.query(
        "INSERT INTO extension (urn, kind, definition) VALUES (?1, ?2, ?3)
            ON CONFLICT (urn) DO UPDATE SET kind = excluded.kind, definition = excluded.definition",
        &[
            schema.id.to_ascii_lowercase().as_str().into(),
            number(kind).into(),
            schema.to_json().to_string().as_str().into(),
        ],
    )?;
    Ok(Response::json(if known { 200 } else { 201 }, schema_resource(&schema, request.base).to_string()))
}

/// Removes an extension that no resource has attributes of.
pub(crate) fn delete<S: Sql>(store: &Store<S>, urn: &str) -> Result<Response, Failure> {
    let urn = urn.to_ascii_lowercase();
    let rows = store.sql.query("SELECT definition FROM extension WHERE urn = ?", &[urn.as_str().into()])?;
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
    store.sql.query("DELETE FROM extension WHERE urn = ?", &[urn.as_str().into()])?;
    Ok(Response::empty(204))
}
