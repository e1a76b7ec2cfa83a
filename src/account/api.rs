//! The admin API's requests and answers, in the reference system's shapes.

use crate::document::Document;
use scim_edge_json::Limits;
use scim_edge_policy::mode::Mode;
use scim_edge_policy::permission::{Permission, Permissions};
use scim_edge_policy::route::AdminRoute;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Limits on request bodies.
pub const BODY: Limits = Limits { bytes: 1 << 20, depth: 16, values: 50_000 };

/// A call by somebody who has been authenticated.
#[derive(Debug)]
pub struct Request<'a> {
    /// The HTTP method, as sent.
    pub method: &'a str,
    /// What the path names.
    pub route: &'a AdminRoute,
    /// The decoded query.
    pub query: &'a [(String, String)],
    /// The body.
    pub body: &'a [u8],
    /// What the caller may do.
    pub permissions: Permissions,
    /// How much of that.
    pub mode: Mode,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
    /// Fresh random bytes, for identifiers, nonces and secrets.
    pub random: &'a [u8; 64],
    /// The key that seals secrets.
    pub seal_key: &'a [u8; 32],
    /// Whether URLs may name loopback addresses.
    pub development: bool,
    /// Where the gateway was asked: scheme and authority.
    pub gateway: &'a str,
    /// Names the request in its answer.
    pub correlation_id: &'a str,
    /// Changes of settings that the host refuses, by identifier, each with a sentence.
    pub refused: &'a BTreeMap<String, String>,
}

impl Request<'_> {
    /// A parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as an object.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, Failure> {
        scim_edge_json::parse_object(self.body, BODY)
            .map_err(|error| Failure::invalid("body", error.to_string()))
    }

    /// Refuses a caller without a permission.
    pub(crate) fn needs(&self, permission: Permission) -> Result<(), Failure> {
        if self.permissions.has(permission) {
            return Ok(());
        }
        Err(Failure::denied(missing(permission)))
    }

    /// Whether the call stores nothing and only says what it would do. Each parameter of that name counts:
    /// a value that the gateway does not know must not become a change.
    pub(crate) fn is_dry_run(&self) -> Result<bool, Failure> {
        let mut is_dry_run = false;
        for (_, value) in self.query.iter().filter(|(name, _)| is_dry_run_parameter(name)) {
            match value.as_str() {
                "true" => is_dry_run = true,
                "false" => {}
                _ => return Err(Failure::invalid(DRY_RUN, "must be true or false")),
            }
        }
        Ok(is_dry_run)
    }
}

/// The query parameter of calls that store nothing.
pub const DRY_RUN: &str = "dryRun";

/// Whether a parameter's name is [`DRY_RUN`]: another case of it must not become a change.
pub fn is_dry_run_parameter(name: &str) -> bool {
    name.eq_ignore_ascii_case(DRY_RUN)
}

/// The sentence for a caller without a permission.
pub(crate) fn missing(permission: Permission) -> String {
    format!("Missing permission {}", permission.name())
}

/// An answer, and the document where the call changed it.
#[derive(Debug)]
pub struct Outcome {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// The new document.
    pub changed: Option<Document>,
}

/// What a handler returns: the `data` of a 200, and the new document.
pub(crate) type Handled = Result<(Value, Option<Document>), Failure>;

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status.
    pub status: u16,
    /// A code of the reference system's.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// The members at fault, for a 400.
    pub fields: Vec<(String, String)>,
}

impl Failure {
    /// A refusal with a sentence.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), fields: Vec::new() }
    }

    /// A bad member of the request.
    pub fn invalid(field: &str, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self {
            status: 400,
            code: "INVALID_REQUEST",
            message: format!("Invalid request: {field}: {sentence}"),
            fields: vec![(field.to_owned(), sentence)],
        }
    }

    /// The caller may not do this (403).
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "NG_ACCESS_DENIED", message)
    }

    /// Nothing of that name (404).
    pub fn not_found(what: &str, identifier: &str) -> Self {
        Self::new(404, "ENTITY_NOT_FOUND", format!("{what} with identifier [{identifier}] not found"))
    }

    /// The path has no such method (405).
    pub fn method() -> Self {
        Self::new(405, "METHOD_NOT_ALLOWED", "This path does not have that method")
    }

    /// Wrong, missing, revoked or expired credentials, or an account that does not exist (401): the
    /// same in every case.
    pub fn unauthenticated() -> Self {
        Self::new(401, "INVALID_TOKEN", "The x-api-key header does not hold a valid key for this account")
    }

    /// The body of the answer.
    pub fn body(&self, correlation_id: &str) -> Value {
        if self.status == 400 {
            let fields: Vec<Value> = self
                .fields
                .iter()
                .map(|(field, error)| json!({ "fieldId": field, "error": error }))
                .collect();
            return json!({
                "status": "FAILURE",
                "code": self.code,
                "message": self.message,
                "correlationId": correlation_id,
                "errors": fields,
            });
        }
        json!({
            "status": "ERROR",
            "code": self.code,
            "message": self.message,
            "correlationId": correlation_id,
            "detailedMessage": null,
            "responseMessages": [],
            "metadata": null,
        })
    }
}

/// The body of a success.
pub fn success(data: Value, correlation_id: &str) -> Value {
    json!({ "status": "SUCCESS", "data": data, "metaData": null, "correlationId": correlation_id })
}

/// The body of a success that the caller should know more of.
pub(crate) fn warned(data: Value, warnings: &[String], correlation_id: &str) -> Value {
    let mut body = success(data, correlation_id);
    if let (Some(members), false) = (body.as_object_mut(), warnings.is_empty()) {
        members.insert("metaData".to_owned(), json!({ "warnings": warnings }));
    }
    body
}

/// A member that must be a string of up to `limit` bytes, where present.
pub(crate) fn text(object: &Map<String, Value>, name: &str, limit: usize) -> Result<Option<String>, Failure> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= limit && !text.chars().any(char::is_control) => {
            Ok(Some(text.trim().to_owned()))
        }
        Some(Value::String(_)) => {
            Err(Failure::invalid(name, format!("at most {limit} bytes, without control characters")))
        }
        Some(_) => Err(Failure::invalid(name, "must be a string")),
    }
}

/// A member that must be there.
pub(crate) fn required(object: &Map<String, Value>, name: &str, limit: usize) -> Result<String, Failure> {
    text(object, name, limit)?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Failure::invalid(name, "is required"))
}

/// The reference system's identifiers: `^[a-zA-Z_][0-9a-zA-Z_$]{0,127}$`.
pub(crate) fn identifier(object: &Map<String, Value>, name: &str) -> Result<String, Failure> {
    let text = required(object, name, 128)?;
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if first && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')) {
        return Ok(text);
    }
    Err(Failure::invalid(name, "must begin with a letter or _, then up to 127 letters, digits, _ and $"))
}
