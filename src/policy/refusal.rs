//! Refusals: why a request is not let through, in a code for the operator, and what the caller is
//! told of it, which is less.

use scim_edge_scim::error::Error;
use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $variant:ident = $code:literal => $class:ident),* $(,)?) => {
        /// Why; stable codes for logs and explanations.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[doc = $doc])* $variant),* }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class),* }
            }
        }
    };
}

/// What the caller learns.
enum Class {
    /// There were no credentials (RFC 6750 §3: no error code then).
    Missing,
    /// The request is malformed: 400.
    Request,
    /// The token is no good: 401.
    Token,
    /// The proof of a bound token is no good: 401.
    Proof,
    /// The token is good, but not for this: 403.
    Scope,
    /// Nobody can tell now: 503.
    Unavailable,
}

reasons! {
    /// No `Authorization` header, or one of another scheme.
    NoCredentials = "no_credentials" => Missing,
    /// A header that is not one Bearer credential, or two credentials.
    MalformedCredentials = "malformed_credentials" => Request,
    /// Longer than 16 KB.
    TokenTooLong = "token_too_long" => Token,
    /// Not three non-empty parts of canonical base64url.
    MalformedToken = "malformed_token" => Token,
    /// The header is not a JSON object within the limits.
    MalformedHeader = "malformed_header" => Token,
    /// The payload is not a JSON object within the limits.
    MalformedPayload = "malformed_payload" => Token,
    /// `alg` is none of the accepted ones, or not among the rule's.
    AlgorithmNotAllowed = "algorithm_not_allowed" => Token,
    /// `typ` is of another kind of token.
    TypeNotAllowed = "type_not_allowed" => Token,
    /// `crit`, `b64`, `zip`, `enc` or `cty` is present.
    ExtensionNotSupported = "extension_not_supported" => Token,
    /// The account has no trust rule.
    NoRule = "no_rule" => Token,
    /// No rule trusts the token's issuer.
    IssuerNotTrusted = "issuer_not_trusted" => Token,
    /// No key of the set fits the token.
    KeyNotFound = "key_not_found" => Token,
    /// No fitting key made the signature.
    SignatureMismatch = "signature_mismatch" => Token,
    /// `exp` is missing or no time.
    ExpiryMissing = "expiry_missing" => Token,
    /// `exp` has passed.
    Expired = "expired" => Token,
    /// `nbf` is to come.
    NotYetValid = "not_yet_valid" => Token,
    /// `iat` is to come.
    IssuedInFuture = "issued_in_future" => Token,
    /// The token lives longer than the rule allows, or does not say since when.
    LifetimeTooLong = "lifetime_too_long" => Token,
    /// A registered claim has the wrong type.
    MalformedClaim = "malformed_claim" => Token,
    /// `aud` names none of the rule's audiences.
    AudienceMismatch = "audience_mismatch" => Token,
    /// `events`: a security event token (RFC 8417), such as one that ends a session.
    SecurityEvent = "security_event" => Token,
    /// The token says of itself that it is an ID token.
    IdToken = "identity_token" => Token,
    /// The token says of itself that it is a refresh token.
    RefreshToken = "refresh_token" => Token,
    /// The token says of itself that it ends a session.
    LogoutToken = "logout_token" => Token,
    /// `cnf`: the token is bound to a key that a bearer does not show.
    SenderConstrained = "sender_constrained" => Token,
    /// The DPoP proof is missing, or does not hold, or came before.
    ProofNotValid = "proof_not_valid" => Proof,
    /// A claim of the rule is missing or has another value.
    ClaimMismatch = "claim_mismatch" => Scope,
    /// The rule's service account does not exist.
    ServiceAccountMissing = "service_account_missing" => Scope,
    /// The service account lacks a permission that the call needs.
    PermissionMissing = "permission_missing" => Scope,
    /// The API key is unknown, revoked, expired, or another account's.
    ApiKeyNotValid = "api_key_not_valid" => Token,
    /// The account does not exist.
    UnknownAccount = "unknown_account" => Token,
    /// The issuer's keys cannot be had.
    KeysUnavailable = "keys_unavailable" => Unavailable,
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// For the log and for operators: what was expected and found. Never a token or a signature.
    pub detail: String,
}

impl Refusal {
    /// A refusal with an explanation.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self.reason.class() {
            Class::Request => 400,
            Class::Missing | Class::Token | Class::Proof => 401,
            Class::Scope => 403,
            Class::Unavailable => 503,
        }
    }

    /// RFC 6750's error code, where it has one for this.
    pub fn error_code(&self) -> Option<&'static str> {
        match self.reason.class() {
            Class::Missing | Class::Unavailable => None,
            Class::Request => Some("invalid_request"),
            Class::Token => Some("invalid_token"),
            Class::Proof => Some("invalid_dpop_proof"),
            Class::Scope => Some("insufficient_scope"),
        }
    }

    /// The one sentence that the caller is told. It is the same for every reason of a status, so that
    /// nobody can probe which check failed, or which accounts and keys exist.
    pub fn sentence(&self) -> &'static str {
        match self.reason.class() {
            Class::Missing => "This call needs an Authorization header with a Bearer token",
            Class::Request => "The request must carry exactly one Bearer token, in the Authorization header",
            Class::Token => "The access token is not valid for this account",
            Class::Proof => "The DPoP proof is not valid for this request",
            Class::Scope => "The access token does not permit this call",
            Class::Unavailable => "The access token cannot be checked at the moment: try again later",
        }
    }

    /// The SCIM error.
    pub fn scim_error(&self) -> Error {
        Error::status(self.status(), self.sentence())
    }

    /// How long to wait, in seconds, where waiting helps.
    pub fn retry_after(&self) -> Option<u32> {
        matches!(self.reason.class(), Class::Unavailable).then_some(30)
    }

    /// The `WWW-Authenticate` value (RFC 6750 §3, RFC 9728 §5.1); none where credentials are not the
    /// matter. `realm` and `resource_metadata` are printable ASCII without quotes and backslashes.
    pub fn challenge(&self, realm: &str, resource_metadata: Option<&str>) -> Option<String> {
        if self.retry_after().is_some() {
            return None;
        }
        let scheme = if matches!(self.reason.class(), Class::Proof) { "DPoP" } else { "Bearer" };
        let mut challenge = format!(r#"{scheme} realm="{realm}""#);
        if let Some(code) = self.error_code() {
            challenge.push_str(&format!(r#", error="{code}", error_description="{}""#, self.sentence()));
        }
        if let Some(url) = resource_metadata {
            challenge.push_str(&format!(r#", resource_metadata="{url}""#));
        }
        Some(challenge)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.code(), self.detail)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_those_of_rfc_6750() {
        let challenge = |reason| Refusal::new(reason, "private").challenge("scim", None);
        assert_eq!(challenge(Reason::NoCredentials).unwrap(), r#"Bearer realm="scim""#);
        assert!(
            challenge(Reason::Expired).unwrap().starts_with(r#"Bearer realm="scim", error="invalid_token""#)
        );
        assert!(challenge(Reason::PermissionMissing).unwrap().contains(r#"error="insufficient_scope""#));
        assert!(challenge(Reason::MalformedCredentials).unwrap().contains(r#"error="invalid_request""#));
        assert_eq!(challenge(Reason::KeysUnavailable), None);
    }

    #[test]
    fn the_caller_learns_no_detail() {
        for reason in Reason::ALL {
            let refusal = Refusal::new(*reason, "private");
            let told = format!(
                "{} {}",
                refusal.scim_error().body(),
                refusal.challenge("scim", None).unwrap_or_default()
            );
            assert!(!told.contains("private") && !told.contains(reason.code()), "{reason:?}");
            assert!(refusal.sentence().bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\'));
        }
    }
}
