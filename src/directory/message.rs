//! Requests and answers.

use scim_edge_scim::budget::Budget;
use scim_edge_scim::dialect::{Dialect, UnknownMembers};
use scim_edge_scim::discovery::Features;
use scim_edge_scim::endpoint::{Endpoint, Kind};
use scim_edge_scim::error::Error;

use crate::brake::{Guard, Stop};
use crate::changed_names::ChangedNames;
use crate::deleted::{Deletion, Source};
use crate::sql::SqlError;

/// The header that says which guard refused a request: [`BRAKE`] or [`APPEND_ONLY`].
pub const REFUSED_BY: &str = "scim-edge-refused-by";
/// The brake stopped it.
pub const BRAKE: &str = "brake";
/// The service account may remove nothing.
pub const APPEND_ONLY: &str = "append-only";

/// A SCIM request by somebody who may make it.
pub struct Request<'a> {
    /// The HTTP method, as sent.
    pub method: &'a str,
    /// What the path names.
    pub endpoint: &'a Endpoint,
    /// The raw query.
    pub query: &'a str,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `If-Match`.
    pub if_match: Option<&'a str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
    /// The URL of the account's SCIM base, without a trailing slash.
    pub base: &'a str,
    /// How strictly to read.
    pub dialect: Dialect,
    /// What this deployment announces.
    pub features: Features,
    /// Whether a PATCH is answered without the resource (RFC 7644 §3.5.2 leaves the choice).
    pub patch_without_body: bool,
    /// Whether only one group may have a `displayName`.
    pub unique_group_names: bool,
    /// What becomes of members that are not in the directory.
    pub unknown_members: UnknownMembers,
    /// What a write is held to.
    pub guard: Guard,
    /// Work that it may take; the operations of a bulk request share theirs.
    pub budget: &'a Budget,
    /// Whether it is an operation of a bulk request: the answer to a write that was done has no resource.
    pub is_part: bool,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
    /// Makes fresh identifiers.
    pub new_id: &'a dyn Fn() -> String,
    /// Whether the caller may use a method on a kind: the parts of a bulk request are asked one by one.
    pub may: &'a dyn Fn(&str, Kind) -> bool,
    /// The service account or key that makes the request.
    pub principal: Option<&'a str>,
    /// Names the request.
    pub request_id: Option<&'a str>,
    /// Whether deleted resources are kept, so that they can be restored.
    pub keep_deleted: bool,
}

impl Request<'_> {
    /// A deletion that this request makes.
    pub(crate) fn deletion(&self) -> Deletion<'_> {
        Deletion {
            at: self.now_ms,
            source: Source::Gateway,
            principal: self.principal,
            request_id: self.request_id,
            keep: self.keep_deleted,
        }
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers other than the content type.
    pub headers: Vec<(&'static str, String)>,
    /// A JSON text.
    pub body: Option<String>,
    /// What went wrong inside, for the log only.
    pub fault: Option<String>,
    /// Names of the attributes that the request changed, for the audit; a bulk request has those of each
    /// operation in its answer, in the order of the answer.
    pub changed: Vec<Changed>,
}

/// Names of the attributes that a request, or one operation of a bulk request, changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The place of the operation in the bulk request: operations that are left undone have no answer.
    pub operation: usize,
    /// The names; none if nothing was changed.
    pub names: Option<ChangedNames>,
}

impl Changed {
    /// What a request changed that is no bulk request.
    pub fn of_request(names: Option<ChangedNames>) -> Vec<Self> {
        vec![Self { operation: 0, names }]
    }
}

impl Response {
    pub(crate) fn json(status: u16, body: String) -> Self {
        Self { status, body: Some(body), ..Self::default() }
    }

    fn fault(fault: String) -> Self {
        let told = Error::status(500, "The directory could not answer; nothing was changed");
        Self { fault: Some(fault), ..Self::json(500, told.body().to_string()) }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// The same answer, to a request that changed these.
    pub(crate) fn changing(mut self, names: ChangedNames) -> Self {
        self.changed = Changed::of_request(Some(names));
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<Failure> for Response {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Scim(error) => Self::json(error.status, error.body().to_string()),
            Failure::Stopped(stop) => Self::json(429, stop.error().body().to_string())
                .with("retry-after", stop.retry_after.to_string())
                .with(REFUSED_BY, BRAKE),
            Failure::AppendOnly(what) => {
                Self::json(403, append_only(&what).body().to_string()).with(REFUSED_BY, APPEND_ONLY)
            }
            Failure::NotModified(etag) => Self::empty(304).with("etag", etag),
            Failure::Sql(error) => Self::fault(error.to_string()),
            Failure::Unfinished => Self::fault("a scan is not finished".to_owned()),
        }
    }
}

/// The error of a request that removes something, by a service account that may not.
fn append_only(what: &str) -> Error {
    let sentence = format!(
        "The service account is in the mode append-only: it may add and change, and remove nothing. \
        This request removes {what}; nothing was changed"
    );
    Error::status(403, sentence)
}

/// Why a request has no ordinary answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The caller's to mend.
    Scim(Error),
    /// The brake stops it.
    Stopped(Stop),
    /// It removes something, which the caller may not. Names what.
    AppendOnly(String),
    /// The caller has the current version.
    NotModified(String),
    /// Ours.
    Sql(SqlError),
    /// There is none yet: the scan goes on in another turn ([`crate::scan`]).
    Unfinished,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Scim(error)
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}
