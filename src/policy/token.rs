//! A token as it comes in: a JWS in compact form (RFC 7515 §7.1), read strictly, believed in nothing.

use crate::algorithm::Algorithm;
use crate::encoding::decode;
use crate::refusal::{Reason, Refusal};
use crate::rule::TokenType;
use scim_edge_json::{Limits, parse_object};
use serde_json::{Map, Value};

/// The longest token, in bytes.
pub const TOKEN_BYTES: usize = 16 << 10;
const HEADER: Limits = Limits { bytes: 4 << 10, depth: 32, values: 4 << 10 };
const PAYLOAD: Limits = Limits { bytes: 12 << 10, depth: 32, values: 12 << 10 };
const KID_BYTES: usize = 256;

/// The `typ`s that are accepted, in any case; none at all is accepted too.
const TYPES: [(&str, TokenType); 3] = [
    ("jwt", TokenType::Jwt),
    ("at+jwt", TokenType::AccessToken),
    ("application/at+jwt", TokenType::AccessToken),
];

/// Header members that change what the token means; `crit` (RFC 7515 §4.1.11) in whatever form, since
/// no extension is understood here.
const UNSUPPORTED: [&str; 5] = ["crit", "b64", "zip", "enc", "cty"];

/// A token whose signature nobody has checked. `jku`, `x5u`, `jwk` and `x5c` are not even read.
#[derive(Clone, Debug)]
pub struct Unverified<'a> {
    algorithm: Algorithm,
    token_type: TokenType,
    kid: Option<String>,
    /// An object.
    claims: Value,
    signed: &'a str,
    signature: Vec<u8>,
}

/// Any JWS in compact form, read strictly: the front end that access tokens and proofs share.
pub(crate) struct Compact<'a> {
    pub(crate) header: Map<String, Value>,
    pub(crate) algorithm: Algorithm,
    pub(crate) payload: Map<String, Value>,
    pub(crate) signed: &'a str,
    pub(crate) signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > TOKEN_BYTES {
            return Err(Refusal::new(Reason::TokenTooLong, format!("longer than {TOKEN_BYTES} bytes")));
        }
        let malformed = |what| Refusal::new(Reason::MalformedToken, what);
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("not three parts"));
        };
        if [header, payload, signature].contains(&"") {
            return Err(malformed("an empty part"));
        }
        let part = |text| decode(text).ok_or_else(|| malformed("a part is not canonical base64url"));
        let (header_bytes, payload_bytes, signature_bytes) =
            (part(header)?, part(payload)?, part(signature)?);
        let signed = token.get(..header.len().saturating_add(1).saturating_add(payload.len()));
        let header = parse_object(&header_bytes, HEADER)
            .map_err(|error| Refusal::new(Reason::MalformedHeader, error.to_string()))?;
        let algorithm = algorithm(&header)?;
        if let Some(name) = UNSUPPORTED.into_iter().find(|name| header.contains_key(*name)) {
            return Err(Refusal::new(Reason::ExtensionNotSupported, format!("the header has {name:?}")));
        }
        let payload = parse_object(&payload_bytes, PAYLOAD)
            .map_err(|error| Refusal::new(Reason::MalformedPayload, error.to_string()))?;
        let signed = signed.ok_or_else(|| malformed("not three parts"))?;
        Ok(Self { header, algorithm, payload, signed, signature: signature_bytes })
    }
}

impl<'a> Unverified<'a> {
    /// Reads a token.
    pub fn parse(token: &'a str) -> Result<Self, Refusal> {
        let Compact { header, algorithm, payload, signed, signature } = Compact::parse(token)?;
        let token_type = token_type(&header)?;
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= KID_BYTES => Some(kid.clone()),
            Some(_) => {
                return Err(Refusal::new(Reason::MalformedHeader, "kid is not a string of up to 256 bytes"));
            }
        };
        Ok(Self { algorithm, token_type, kid, claims: Value::Object(payload), signed, signature })
    }

    /// Its `alg`.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its `typ`.
    pub fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// Its `kid`.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Its claims: to choose by, not to act on.
    pub fn claims(&self) -> &Value {
        &self.claims
    }

    /// What the signature is over.
    pub fn signed(&self) -> &'a [u8] {
        self.signed.as_bytes()
    }

    /// The signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    pub(crate) fn into_claims(self) -> Value {
        self.claims
    }
}

fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, Refusal> {
    let name = header
        .get("alg")
        .and_then(Value::as_str)
        .ok_or_else(|| Refusal::new(Reason::MalformedHeader, "alg is not a string"))?;
    Algorithm::from_name(name).ok_or_else(|| {
        let name: String = name.chars().take(32).collect();
        Refusal::new(Reason::AlgorithmNotAllowed, format!("alg {name:?} is not accepted"))
    })
}

/// RFC 8725 §3.11: a token of another kind must not pass for an access token.
fn token_type(header: &Map<String, Value>) -> Result<TokenType, Refusal> {
    let refuse = |sentence: String| Err(Refusal::new(Reason::TypeNotAllowed, sentence));
    match header.get("typ") {
        None => Ok(TokenType::Unsaid),
        Some(Value::String(found)) => {
            let known = TYPES.iter().find(|(name, _)| found.eq_ignore_ascii_case(name));
            let shown: String = found.chars().take(32).collect();
            known.map_or_else(|| refuse(format!("typ {shown:?} is not accepted")), |(_, kind)| Ok(*kind))
        }
        Some(_) => refuse("typ is not a string".to_owned()),
    }
}
