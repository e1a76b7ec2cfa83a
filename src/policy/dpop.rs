//! DPoP (RFC 9449): a request proves to have the key that its token is bound to.
//!
//! A proof is a JWS with its own public key in the header. It is believed where that key is the one the
//! token names (`cnf.jkt`), made for this very method, URL and token, a moment ago. That it comes once is
//! for whoever remembers: [`Proof::id`] is what to remember, until [`Proof::expires_ms`].

use crate::encoding::encode;
use crate::key::{Key, KeyId, secret_member};
use crate::refusal::{Reason, Refusal};
use crate::token::Compact;
use crate::verify::{Host, Verified, made_by};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;

/// How old a proof may be, and how far its clock ahead, in milliseconds.
const WINDOW_MS: i64 = 60_000;
/// The longest `jti`, in bytes.
const JTI_BYTES: usize = 256;

/// The request that a proof is for.
#[derive(Clone, Copy, Debug)]
pub struct Proven<'a> {
    /// The value of the `DPoP` header; of several, the values are joined by commas.
    pub proof: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// The URL of the request.
    pub url: &'a str,
    /// The access token.
    pub token: &'a str,
    /// The thumbprint that the token names.
    pub thumbprint: &'a str,
}

/// A proof that holds, but for having been used before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    id: String,
    expires_ms: i64,
}

impl Proof {
    /// What is to come once: of its key and its `jti`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it is too old to come again, in milliseconds since the epoch.
    pub fn expires_ms(&self) -> i64 {
        self.expires_ms
    }
}

/// What a request shows beside its token.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Whether the scheme is DPoP, and not Bearer.
    pub bound: bool,
    /// The value of the `DPoP` header.
    pub proof: Option<&'a str>,
    /// The HTTP method.
    pub method: &'a str,
    /// The URL of the request.
    pub url: &'a str,
}

/// Whether a token may be shown as it was: a bound one with a proof, any other one without (RFC 9449
/// §7.1, §7.2).
pub async fn admit<H: Host>(
    host: &H,
    verified: &Verified,
    token: &str,
    shown: &Shown<'_>,
    now_ms: i64,
) -> Result<Option<Proof>, Refusal> {
    let (method, url) = (shown.method, shown.url);
    match (shown.bound, verified.bound_to()) {
        (false, None) => Ok(None),
        (true, None) => Err(Refusal::new(Reason::SenderConstrained, "the token is bound to no key")),
        (false, Some(_)) => {
            Err(Refusal::new(Reason::SenderConstrained, "a bound token was shown as a bearer's"))
        }
        (true, Some(thumbprint)) => {
            let proof =
                shown.proof.ok_or_else(|| Refusal::new(Reason::ProofNotValid, "there is no DPoP header"))?;
            check(host, &Proven { proof, method, url, token, thumbprint }, now_ms).await.map(Some)
        }
    }
}

/// Checks a proof (RFC 9449 §4.3).
pub async fn check<H: Host>(host: &H, request: &Proven<'_>, now_ms: i64) -> Result<Proof, Refusal> {
    let refuse = |why: &str| Refusal::new(Reason::ProofNotValid, why);
    let proof = Compact::parse(request.proof).map_err(|refusal| refuse(&refusal.to_string()))?;
    let typ = proof.header.get("typ").and_then(Value::as_str).unwrap_or_default();
    if !typ.eq_ignore_ascii_case("dpop+jwt") {
        return Err(refuse("typ is not dpop+jwt"));
    }
    let jwk = proof.header.get("jwk").and_then(Value::as_object).ok_or_else(|| refuse("there is no jwk"))?;
    if secret_member(jwk).is_some() {
        return Err(refuse("jwk has a secret in it"));
    }
    let key = Key::from_jwk(jwk).ok_or_else(|| refuse("jwk is no usable key"))?;
    if thumbprint(&key.id()) != request.thumbprint {
        return Err(refuse("the key is not the one that the token is bound to"));
    }
    if !key.may_check(proof.algorithm, None) {
        return Err(refuse("alg is not for the key"));
    }
    let issued_ms = check_claims(&proof.payload, request, now_ms).map_err(|why| refuse(&why))?;
    if !made_by(host, &key, proof.algorithm, proof.signed.as_bytes(), &proof.signature).await {
        return Err(refuse("the key did not make the signature"));
    }
    let jti = proof.payload.get("jti").and_then(Value::as_str).unwrap_or_default();
    let id = Sha256::new().chain_update(key.id()).chain_update(jti.as_bytes()).finalize();
    Ok(Proof { id: encode(&id), expires_ms: issued_ms.saturating_add(WINDOW_MS) })
}

/// Checks what a proof says, and returns when it was made.
#[allow(clippy::cast_possible_truncation)] // Between zero and the year 10,000: checked.
fn check_claims(claims: &Map<String, Value>, request: &Proven<'_>, now_ms: i64) -> Result<i64, String> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).ok_or(format!("{name} is not a string"));
    let jti = text("jti")?;
    if jti.is_empty() || jti.len() > JTI_BYTES {
        return Err(format!("jti does not have 1 to {JTI_BYTES} bytes"));
    }
    if text("htm")? != request.method {
        return Err(format!("htm is not {}", request.method));
    }
    if address(text("htu")?).is_none_or(|own| Some(own) != address(request.url)) {
        return Err(format!("htu is not {}", request.url));
    }
    if text("ath")? != encode(&Sha256::digest(request.token.as_bytes())) {
        return Err("ath is not the token's hash".to_owned());
    }
    let issued = claims
        .get("iat")
        .and_then(Value::as_f64)
        .filter(|seconds| (0.0..253_402_300_800.0).contains(seconds));
    let issued_ms = (issued.ok_or("iat is not a time")? * 1000.0) as i64;
    if issued_ms.abs_diff(now_ms) > WINDOW_MS.unsigned_abs() {
        return Err(format!("iat {issued_ms} is not within {WINDOW_MS} ms of {now_ms}"));
    }
    Ok(issued_ms)
}

/// A URL without its query and fragment, normalised (RFC 9449 §4.3 step 9, RFC 3986 §6.2).
fn address(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url.to_string())
}

/// A key's JWK SHA-256 thumbprint (RFC 7638), as `cnf.jkt` has it.
fn thumbprint(id: &KeyId) -> String {
    encode(id)
}
