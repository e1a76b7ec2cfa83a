//! The SCIM error (RFC 7644 §3.12): what every SCIM caller is told when a request fails.

use serde_json::{Value, json};
use std::fmt;

/// The message schema of an error body.
pub const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// The `scimType` of RFC 7644 table 9, and of RFC 9865 for cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScimType {
    /// The filter cannot be read, or its attribute and comparison do not fit.
    InvalidFilter,
    /// The answer would be larger than the server is willing to compute.
    TooMany,
    /// The value is already in use.
    Uniqueness,
    /// The attribute cannot be changed that way.
    Mutability,
    /// The body's structure is wrong.
    InvalidSyntax,
    /// A PATCH path cannot be read.
    InvalidPath,
    /// A PATCH path selects nothing.
    NoTarget,
    /// A required value is missing, or a value does not fit its attribute.
    InvalidValue,
    /// A version the server does not speak.
    InvalidVers,
    /// The request must not carry such data in its URI.
    Sensitive,
    /// The cursor is not one of ours (RFC 9865).
    InvalidCursor,
    /// The cursor is too old (RFC 9865).
    ExpiredCursor,
    /// The count is larger than the server allows (RFC 9865).
    InvalidCount,
}

impl ScimType {
    /// The keyword on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVers => "invalidVers",
            Self::Sensitive => "sensitive",
            Self::InvalidCursor => "invalidCursor",
            Self::ExpiredCursor => "expiredCursor",
            Self::InvalidCount => "invalidCount",
        }
    }

    /// The HTTP status that goes with it.
    fn status(self) -> u16 {
        match self {
            Self::Uniqueness => 409,
            Self::Sensitive => 403,
            _ => 400,
        }
    }
}

/// A failed request: the HTTP status, the keyword where the RFC defines one, and a sentence that
/// tells the caller what to change. The sentence is public: it names attributes, never values of
/// other resources, and no inner error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The HTTP status.
    pub status: u16,
    /// The keyword.
    pub scim_type: Option<ScimType>,
    /// The sentence.
    pub detail: String,
    /// The byte of a filter or a path where the mistake is.
    pub position: Option<usize>,
}

impl Error {
    /// An error with a keyword; the status follows from it.
    pub fn new(scim_type: ScimType, detail: impl Into<String>) -> Self {
        Self { status: scim_type.status(), scim_type: Some(scim_type), detail: detail.into(), position: None }
    }

    /// An error for which the RFC has no keyword.
    pub fn status(status: u16, detail: impl Into<String>) -> Self {
        Self { status, scim_type: None, detail: detail.into(), position: None }
    }

    /// No such resource (404).
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::status(404, format!("{what} was not found"))
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        let mut body = json!({ "schemas": [SCHEMA], "status": self.status.to_string() });
        if let Some(object) = body.as_object_mut() {
            if let Some(scim_type) = self.scim_type {
                object.insert("scimType".into(), scim_type.as_str().into());
            }
            object.insert("detail".into(), self.detail.as_str().into());
        }
        body
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {}
