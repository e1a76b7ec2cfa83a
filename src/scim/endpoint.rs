//! SCIM endpoints (RFC 7644 §3.2, §4): what a path below an account's base names.
//!
//! Clients double slashes, end paths with one, and write `/users`; all of these name what they
//! mean (ids keep their case). Anything else names nothing.

use crate::error::{Error, ScimType};

/// A resource type this server holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `/Users`
    User,
    /// `/Groups`
    Group,
}

impl Kind {
    /// Both of them, in the order in which mixed answers list them.
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// The resource type's name: `User`.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// The endpoint's path segment: `Users`.
    pub fn segment(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group => "Groups",
        }
    }
}

/// What a path below `…/scim/account/{account}` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The base itself: a query over every resource type.
    Root,
    /// `/Users`, `/Groups`
    Collection(Kind),
    /// `/Users/{id}`, `/Groups/{id}`
    Resource(Kind, String),
    /// `/.search`, `/Users/.search`, `/Groups/.search`
    Search(Option<Kind>),
    /// `/Bulk`
    Bulk,
    /// `/Me`
    Me,
    /// `/ServiceProviderConfig`
    ServiceProviderConfig,
    /// `/ResourceTypes`, `/ResourceTypes/{name}`
    ResourceTypes(Option<String>),
    /// `/Schemas`, `/Schemas/{urn}`
    Schemas(Option<String>),
}

/// The path's segments, percent-decoded; empty ones (doubled and trailing slashes) are left out.
pub fn segments(path: &str) -> Result<Vec<String>, Error> {
    path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
}

/// One percent-decoded segment (RFC 3986 §2.1).
fn decode(segment: &str) -> Result<String, Error> {
    let bad = || Error::new(ScimType::InvalidSyntax, "the path is not percent-encoded UTF-8");
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
            let (high, low) = (digit().ok_or_else(bad)?, digit().ok_or_else(bad)?);
            decoded.push(u8::try_from(high << 4 | low).map_err(|_| bad())?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).map_err(|_| bad())
}

/// Text as a path segment or a query value (RFC 3986 §2.1, §3.3).
pub fn encode(text: &str) -> String {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'@');
    if text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let mut encoded = String::with_capacity(text.len().saturating_mul(2));
    for byte in text.bytes() {
        match is_plain(byte) {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

impl Endpoint {
    /// The endpoint that decoded segments below the account's base name.
    pub fn from_segments(segments: &[String]) -> Option<Self> {
        let names: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let last = segments.last().cloned();
        Some(match names.as_slice() {
            [] => Self::Root,
            ["users"] => Self::Collection(Kind::User),
            ["groups"] => Self::Collection(Kind::Group),
            [".search"] => Self::Search(None),
            ["users", ".search"] => Self::Search(Some(Kind::User)),
            ["groups", ".search"] => Self::Search(Some(Kind::Group)),
            ["users", _] => Self::Resource(Kind::User, last?),
            ["groups", _] => Self::Resource(Kind::Group, last?),
            ["bulk"] => Self::Bulk,
            ["me"] => Self::Me,
            ["serviceproviderconfig" | "serviceproviderconfigs"] => Self::ServiceProviderConfig,
            ["resourcetypes"] => Self::ResourceTypes(None),
            ["resourcetypes", _] => Self::ResourceTypes(last),
            ["schemas"] => Self::Schemas(None),
            ["schemas", _] => Self::Schemas(last),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_clients_mean() {
        let cases = [
            ("/Users", Some(Endpoint::Collection(Kind::User))),
            ("//users//", Some(Endpoint::Collection(Kind::User))),
            ("/Users/2819C223", Some(Endpoint::Resource(Kind::User, "2819C223".into()))),
            ("/Users/a%2Fb%20c", Some(Endpoint::Resource(Kind::User, "a/b c".into()))),
            ("/Groups/.search", Some(Endpoint::Search(Some(Kind::Group)))),
            ("/Users/1/2", None),
            ("/Us", None),
            ("", Some(Endpoint::Root)),
            ("/Schemas/urn:A:b", Some(Endpoint::Schemas(Some("urn:A:b".into())))),
        ];
        for (path, endpoint) in cases {
            assert_eq!(Endpoint::from_segments(&segments(path).unwrap()), endpoint, "{path}");
        }
    }

    #[test]
    fn refuses_bad_percent_encoding() {
        for path in ["/Users/%", "/Users/%4", "/Users/%zz", "/Users/%ff", "/Users/%+1"] {
            assert!(segments(path).is_err(), "{path}");
        }
    }
}
