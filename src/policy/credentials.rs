//! Credentials in a request (RFC 6750 §2.1): one Bearer token in the `Authorization` header.

use crate::refusal::{Reason, Refusal};
use std::fmt;

/// What a caller shows.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// A token of somebody else's making, to be verified.
    Token(&'a str),
    /// One that is shown with a proof (RFC 9449 §7.1).
    Bound(&'a str),
    /// One of the gateway's own keys.
    ApiKey(ApiKey<'a>),
}

/// A `pat.` or `sat.` key: `kind.account.identifier.secret`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ApiKey<'a> {
    /// Whose key it is.
    pub kind: ApiKeyKind,
    /// The account it is of.
    pub account: &'a str,
    /// Which key it is.
    pub identifier: &'a str,
    /// The whole key, which is what is hashed.
    pub text: &'a str,
}

/// Whose key an API key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyKind {
    /// `pat.`: a person's.
    Personal,
    /// `sat.`: a service account's, which is also a SCIM bearer.
    ServiceAccount,
}

/// Secrets are never printed.
impl fmt::Debug for ApiKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}.{})", self.account, self.identifier)
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token"),
            Self::Bound(_) => f.write_str("Bound"),
            Self::ApiKey(key) => key.fmt(f),
        }
    }
}

impl<'a> ApiKey<'a> {
    /// Reads a key; `None` for any other text.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > 512 {
            return None;
        }
        let mut parts = text.split('.');
        let kind = match parts.next()? {
            "pat" => ApiKeyKind::Personal,
            "sat" => ApiKeyKind::ServiceAccount,
            _ => return None,
        };
        let (account, identifier, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let whole = parts.next().is_none() && ![account, identifier, secret].contains(&"");
        whole.then_some(Self { kind, account, identifier, text })
    }
}

impl<'a> Credentials<'a> {
    /// The credentials of a request: the value of `Authorization` (several are joined by commas) and
    /// the raw query, in which no token may stand.
    pub fn of(authorization: Option<&'a str>, query: &str) -> Result<Self, Refusal> {
        let in_query = query.split('&').any(|pair| pair.starts_with("access_token="));
        let Some(value) = authorization.map(str::trim).filter(|value| !value.is_empty()) else {
            return Err(if in_query {
                Refusal::new(Reason::MalformedCredentials, "the token is in the query")
            } else {
                Refusal::new(Reason::NoCredentials, "no Authorization header")
            });
        };
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        let bound = scheme.eq_ignore_ascii_case("dpop");
        if !bound && !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refusal::new(Reason::NoCredentials, "the Authorization scheme is not Bearer"));
        }
        let token = token.trim_start_matches(' ');
        let b64token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if in_query || token.is_empty() || !token.bytes().all(b64token) {
            return Err(Refusal::new(Reason::MalformedCredentials, "not exactly one Bearer token"));
        }
        if bound {
            return Ok(Self::Bound(token));
        }
        Ok(ApiKey::parse(token).map_or(Self::Token(token), Self::ApiKey))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(value: Option<&str>, query: &str, reason: Reason) {
        assert_eq!(Credentials::of(value, query).unwrap_err().reason, reason, "{value:?} {query}");
    }

    #[test]
    fn a_bound_token_says_so() {
        assert_eq!(Credentials::of(Some("DPoP a.b.c"), "").unwrap(), Credentials::Bound("a.b.c"));
        refused(Some("DPoP "), "", Reason::MalformedCredentials);
        refused(Some("DPoP a.b.c, Bearer d.e.f"), "", Reason::MalformedCredentials);
    }

    #[test]
    fn one_bearer_token() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c", " Bearer a.b.c "] {
            assert_eq!(Credentials::of(Some(value), "a=b").unwrap(), Credentials::Token("a.b.c"), "{value}");
        }
        let key = Credentials::of(Some("Bearer sat.acc.id.s3cret"), "").unwrap();
        let Credentials::ApiKey(key) = key else { panic!("not a key") };
        assert_eq!((key.kind, key.account, key.identifier), (ApiKeyKind::ServiceAccount, "acc", "id"));
        assert_eq!(format!("{key:?}"), "ApiKey(acc.id)");
    }

    #[test]
    fn nothing_else() {
        refused(None, "", Reason::NoCredentials);
        refused(Some(""), "", Reason::NoCredentials);
        refused(Some("Basic dTpw"), "", Reason::NoCredentials);
        refused(Some("Bearer"), "", Reason::MalformedCredentials);
        refused(Some("Bearer a.b.c, Bearer d.e.f"), "", Reason::MalformedCredentials);
        refused(Some("Bearer a b"), "", Reason::MalformedCredentials);
        refused(Some("Bearer a.b.c"), "x=1&access_token=a.b.c", Reason::MalformedCredentials);
        refused(None, "access_token=a.b.c", Reason::MalformedCredentials);
    }

    #[test]
    fn keys_have_four_parts() {
        for text in ["sat.a.b", "sat.a.b.c.d", "sat..b.c", "tat.a.b.c", "sat.a.b."] {
            assert_eq!(ApiKey::parse(text), None, "{text}");
        }
    }
}
