//! Limits of SCIM requests, one place for all of them; `docs/limits.md` lists them for clients.
//!
//! Past a limit the answer is 413 (RFC 7644 §3.7.4, RFC 9110 §15.5.14) with a sentence that names the limit. Each is
//! checked before the work that it bounds.

use crate::endpoint::{Endpoint, Kind};
use crate::error::{Error, ScimType};
use scim_edge_json::{Limits, parse_object};
use serde_json::{Map, Value};

/// A request's body: 1 MiB, and some 16 MB of memory once it is read.
pub const BODY: Limits = Limits { bytes: 1 << 20, depth: 32, values: 100_000 };

/// The body of a request about groups: a group of 20,000 members can be written back as it was read. It takes some
/// 32 MB of memory once it is read.
pub const GROUP_BODY: Limits = Limits { bytes: 8 << 20, depth: 32, values: 200_000 };

/// Members named in one request.
pub const MEMBERS: usize = 25_000;

/// The longest member of a group, in bytes of its id and its display name.
pub const MEMBER_BYTES: usize = 16 << 10;

/// Values of one multi-valued attribute, but for members.
pub const VALUES: usize = 5_000;

/// The longest resource, in bytes of its JSON without members, groups and `meta`.
pub const RESOURCE_BYTES: usize = 1 << 20;

/// Attributes that are not stored with the resource.
const ELSEWHERE: [&str; 3] = ["members", "groups", "meta"];

/// Operations of one PATCH; each attribute that an operation without a path names counts as one.
pub const OPERATIONS: usize = 1_000;

/// The limits of a request's body by its endpoint.
pub fn of_body(endpoint: &Endpoint) -> Limits {
    match endpoint {
        Endpoint::Collection(Kind::Group) | Endpoint::Resource(Kind::Group, _) => GROUP_BODY,
        _ => BODY,
    }
}

/// Past a limit (413); the sentence names the limit.
pub fn exceeded(sentence: impl Into<String>) -> Error {
    Error::status(413, sentence)
}

/// The refusal of a body that is too long, before it is read to its end.
pub fn too_long(limits: Limits) -> Error {
    exceeded(format!("the body is longer than {} MiB", limits.bytes >> 20))
}

/// Refuses a resource that is too long, unless it was as long before: what an origin keeps may be.
pub(crate) fn check_length(new: &Map<String, Value>, old: &Map<String, Value>) -> Result<(), Error> {
    let length = length(new);
    if length > RESOURCE_BYTES && length > self::length(old) {
        let limit = RESOURCE_BYTES >> 20;
        return Err(exceeded(format!("the resource would be longer than {limit} MiB without its members")));
    }
    Ok(())
}

/// Bytes of a resource's JSON, about, without what has tables of its own.
fn length(resource: &Map<String, Value>) -> usize {
    struct Counted(usize);
    impl std::io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counted = Counted(0);
    for (name, value) in resource.iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())) {
        // Counting does not fail.
        let _ = serde_json::to_writer(&mut counted, value);
        counted.0 = counted.0.saturating_add(name.len()).saturating_add(4);
    }
    counted.0
}

/// A body as a JSON object.
pub fn read_object(body: &[u8], limits: Limits) -> Result<Map<String, Value>, Error> {
    use scim_edge_json::Error as Json;
    parse_object(body, limits).map_err(|error| match error {
        Json::TooLong(_) => too_long(limits),
        Json::TooManyValues(_) => exceeded(error.to_string()),
        error => Error::new(ScimType::InvalidSyntax, error.to_string()),
    })
}
