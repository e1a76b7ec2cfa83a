//! Trust rules: whose tokens an account accepts, and whom they act as.

use crate::algorithm::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The skew allowed where a rule says nothing, in seconds.
pub const DEFAULT_SKEW_SECONDS: u32 = 30;

/// The longest skew, in seconds.
pub const MAX_SKEW_SECONDS: u32 = 300;

/// Whose tokens are accepted, and whom they act as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustRule {
    /// Its name; `default` is made of the account's four settings.
    pub name: String,
    /// Where the issuer's public keys are (a JWK Set).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// The issuer's public keys themselves (a JWK Set), where they are not to be asked for. Without
    /// either, they are where the issuer's own configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// What `iss` must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// One of these must be in `aud`; any where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// The accepted algorithms; every supported one where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<Algorithm>,
    /// Claims that must all hold.
    pub claims: Vec<ClaimMatch>,
    /// The service account that the request acts as.
    pub service_account: String,
    /// How far the issuer's clock may be off, in seconds.
    pub clock_skew_seconds: u32,
    /// The longest time from `iat` to `exp`, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lifetime_seconds: Option<u32>,
    /// The accepted types of token; every supported one where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_types: Vec<TokenType>,
    /// Whether tokens must be bound to a key that the request proves to have (RFC 9449).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dpop: bool,
}

/// What a token says it is (RFC 7519 §5.1, RFC 9068 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenType {
    /// `typ` JWT.
    #[serde(rename = "JWT")]
    Jwt,
    /// `typ` at+jwt or application/at+jwt.
    #[serde(rename = "at+jwt")]
    AccessToken,
    /// No `typ`.
    #[serde(rename = "none")]
    Unsaid,
}

impl TokenType {
    /// How rules and headers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jwt => "JWT",
            Self::AccessToken => "at+jwt",
            Self::Unsaid => "none",
        }
    }
}

/// Where a rule's keys come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource<'a> {
    /// The URL of a JWK Set.
    Url(&'a str),
    /// A JWK Set within the rule.
    Inline(&'a Value),
    /// The `jwks_uri` of the issuer's configuration (OpenID Connect Discovery, RFC 8414).
    Issuer(&'a str),
}

/// A claim and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimMatch {
    /// A JSON Pointer (RFC 6901) where it begins with `/`, else the name of a top-level claim, dots
    /// and colons included.
    pub field: String,
    /// The value: blanks around it are not meant, those of a token are; an array matches when one of its strings
    /// does, a number or boolean when its JSON text does.
    pub value: String,
}

impl KeySource<'_> {
    /// What a fetched set is kept by; none where nothing is fetched. A URL of keys and an issuer never
    /// have the same name, even where they are the same text.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Url(url) => Some((*url).to_owned()),
            Self::Issuer(issuer) => Some(format!("issuer {issuer}")),
            Self::Inline(_) => None,
        }
    }
}

impl TrustRule {
    /// Whether tokens with this unverified `iss` can be this rule's.
    pub fn may_trust(&self, issuer: Option<&Value>) -> bool {
        self.issuer.as_deref().is_none_or(|own| issuer.and_then(Value::as_str) == Some(own))
    }

    /// Where its keys come from; none where it says nothing about them.
    pub fn key_source(&self) -> Option<KeySource<'_>> {
        match (&self.jwks_url, &self.jwks, &self.issuer) {
            (Some(url), _, _) => Some(KeySource::Url(url)),
            (None, Some(set), _) => Some(KeySource::Inline(set)),
            (None, None, Some(issuer)) => Some(KeySource::Issuer(issuer)),
            (None, None, None) => None,
        }
    }

    /// Whether the rule accepts a type of token.
    pub fn accepts_type(&self, token_type: TokenType) -> bool {
        self.token_types.is_empty() || self.token_types.contains(&token_type)
    }

    /// Whether the rule accepts an algorithm.
    pub fn accepts(&self, algorithm: Algorithm) -> bool {
        self.algorithms.is_empty() || self.algorithms.contains(&algorithm)
    }
}

impl ClaimMatch {
    /// Whether the claims satisfy it.
    pub fn holds(&self, claims: &Value) -> bool {
        let found =
            if self.field.starts_with('/') { claims.pointer(&self.field) } else { claims.get(&self.field) };
        found.is_some_and(|found| match found {
            Value::Array(items) => items.iter().any(|item| item.as_str().is_some_and(|item| self.is(item))),
            Value::String(text) => self.is(text),
            Value::Number(number) => self.is(&number.to_string()),
            Value::Bool(flag) => self.is(if *flag { "true" } else { "false" }),
            Value::Null | Value::Object(_) => false,
        })
    }

    fn is(&self, found: &str) -> bool {
        found == self.value.trim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn claims_match_exactly_and_nothing_less() {
        let claims = json!({
            "sub": "TEST098H0000", "blank": " x ", "a.b": "dotted", "https://x/y": "url", "n": 7, "t": true, "z": null,
            "roles": ["a", "b", 3], "deep": { "er": ["x"], "a/b": "slash" },
        });
        let cases = [
            ("sub", "TEST098H0000", true),
            ("sub", " TEST098H0000\t", true),
            ("blank", "x", false),
            ("blank", " x ", false),
            ("sub", "test098h0000", false),
            ("sub", "TEST098", false),
            ("a.b", "dotted", true),
            ("https://x/y", "url", true),
            ("n", "7", true),
            ("n", "7.0", false),
            ("t", "true", true),
            ("z", "null", false),
            ("roles", "b", true),
            ("roles", "3", false),
            ("roles", "a,b", false),
            ("/roles/0", "a", true),
            ("/deep/er", "x", true),
            ("/deep/a~1b", "slash", true),
            ("deep", "x", false),
            ("deep.er", "x", false),
            ("/deep/missing", "", false),
            ("missing", "", false),
        ];
        for (field, value, holds) in cases {
            let rule = ClaimMatch { field: field.into(), value: value.into() };
            assert_eq!(rule.holds(&claims), holds, "{field} = {value}");
        }
    }
}
