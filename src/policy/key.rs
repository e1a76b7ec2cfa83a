//! Public keys (RFC 7517, RFC 7518 §6, RFC 8037 §2) and which token each may check.

use crate::algorithm::{Algorithm, KeyType};
use crate::encoding::{decode, encode};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A key's identity: its thumbprint (RFC 7638, SHA-256).
pub type KeyId = [u8; 32];

/// A usable public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    kid: Option<String>,
    key_type: KeyType,
    algorithm: Option<Algorithm>,
    /// Of an RSA key, big-endian.
    modulus: Option<Vec<u8>>,
    jwk: String,
    id: KeyId,
}

impl Key {
    /// Reads a JWK. `None` for whatever cannot check a signature here: another key type or curve,
    /// another use, malformed or weak parameters, a secret key. Its private members are for the caller to refuse,
    /// see [`secret_member`].
    pub fn from_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        // RFC 7517 §4.2, §4.3: where these are present they must allow verification.
        if jwk.contains_key("use") && text("use") != Some("sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops") {
            operations.as_array()?.iter().find(|operation| operation.as_str() == Some("verify"))?;
        }
        let (key_type, canonical) = match (text("kty")?, text("crv")) {
            ("RSA", _) => (KeyType::Rsa, rsa(text("n")?, text("e")?)?),
            ("EC", Some("P-256")) => (KeyType::P256, curve("P-256", 32, text("x")?, text("y")?)?),
            ("EC", Some("P-384")) => (KeyType::P384, curve("P-384", 48, text("x")?, text("y")?)?),
            ("OKP", Some("Ed25519")) => (KeyType::Ed25519, edwards(text("x")?)?),
            _ => return None,
        };
        let algorithm = match jwk.get("alg") {
            None => None,
            Some(name) => {
                let algorithm = Algorithm::from_name(name.as_str()?)?;
                (algorithm.key_type() == key_type).then_some(())?;
                Some(algorithm)
            }
        };
        let kid = match jwk.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str()?.to_owned()),
        };
        let modulus = if key_type == KeyType::Rsa { Some(decode(text("n")?)?) } else { None };
        let id = Sha256::digest(canonical.as_bytes()).into();
        Some(Self { kid, key_type, algorithm, modulus, jwk: canonical, id })
    }

    /// Whether the key may check a token with this `alg` and `kid`: a token that names a key is
    /// checked by that key only; the key decides the algorithm where it names one.
    pub fn may_check(&self, algorithm: Algorithm, kid: Option<&str>) -> bool {
        self.key_type == algorithm.key_type()
            && self.algorithm.is_none_or(|own| own == algorithm)
            && kid.is_none_or(|kid| self.kid.as_deref() == Some(kid))
    }

    /// Whether bytes can be a signature of the key's at all: of RSA, a number below the modulus and as long
    /// as it (RFC 8017 §8.1.2, §8.2.2); of Ed25519, with an R that no honest signer makes by chance
    /// ([`is_odd_point`]). Not every engine looks, nor every version of one.
    pub fn may_have_made(&self, signature: &[u8]) -> bool {
        let below = |modulus: &Vec<u8>| signature.len() == modulus.len() && signature < modulus.as_slice();
        let is_odd = || signature.first_chunk().is_none_or(|r| is_odd_point(*r));
        self.modulus.as_ref().is_none_or(below) && (self.key_type != KeyType::Ed25519 || !is_odd())
    }

    /// Its `kid`.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The only algorithm it is for, where it says so.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// The public JWK in RFC 7638's form: the required members only, for a signature engine.
    pub fn jwk(&self) -> &str {
        &self.jwk
    }

    /// Its identity.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Its kind.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }
}

/// Members of keys that are secrets (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const SECRETS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The first member of a JWK that is a secret: with a key that is published together with one, anybody can sign.
pub fn secret_member(jwk: &Map<String, Value>) -> Option<&'static str> {
    SECRETS.into_iter().find(|member| jwk.contains_key(*member))
}

/// 2048 to 8192 bits, odd, no leading zero; e = 65537.
fn rsa(n: &str, e: &str) -> Option<String> {
    let modulus = decode(n)?;
    let significant = modulus.first().map(|first| 8_u32.saturating_sub(first.leading_zeros()))?;
    let bits =
        u32::try_from(modulus.len()).ok()?.saturating_sub(1).saturating_mul(8).saturating_add(significant);
    let odd = modulus.last().is_some_and(|last| last & 1 == 1);
    let sound = significant > 0 && odd && (2048..=8192).contains(&bits) && decode(e)? == [1, 0, 1];
    sound.then(|| format!(r#"{{"e":"AQAB","kty":"RSA","n":"{n}"}}"#))
}

/// Both coordinates full length. That the point is on the curve is the engine's to check.
fn curve(name: &str, length: usize, x: &str, y: &str) -> Option<String> {
    let sound = decode(x)?.len() == length && decode(y)?.len() == length;
    sound.then(|| format!(r#"{{"crv":"{name}","kty":"EC","x":"{x}","y":"{y}"}}"#))
}

/// 32 bytes that are no odd point.
fn edwards(x: &str) -> Option<String> {
    let point: [u8; 32] = decode(x)?.try_into().ok()?;
    (!is_odd_point(point)).then(|| format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#))
}

/// Whether a point's y is not below the field's prime (RFC 8032 §5.1.3), or the point of small order: for
/// these signature engines disagree, and with such a key any signature could be made to fit.
fn is_odd_point(mut point: [u8; 32]) -> bool {
    if let Some(last) = point.last_mut() {
        // The sign of x.
        *last &= 0x7f;
    }
    // Little-endian; the prime is 2^255 - 19.
    let beyond = matches!(point, [0xed..=0xff, middle @ .., 0x7f] if middle.iter().all(|byte| *byte == 0xff));
    beyond || SMALL_ORDER.iter().any(|y| encode(&point) == *y)
}

/// The y coordinates of the points of order 1, 2, 4 and 8 on Ed25519, base64url.
const SMALL_ORDER: [&str; 5] = [
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
    "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
    "7P_______________________________________38",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(jwk: &Value) -> Option<Key> {
        Key::from_jwk(jwk.as_object().unwrap())
    }

    fn ec() -> Value {
        // RFC 7517 appendix A.1.
        json!({
            "kty": "EC", "crv": "P-256", "kid": "1",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut jwk = ec();
        jwk[name] = value;
        jwk
    }

    #[test]
    fn a_key_checks_what_it_is_for() {
        let key = key(&ec()).unwrap();
        assert!(key.may_check(Algorithm::ES256, Some("1")));
        assert!(key.may_check(Algorithm::ES256, None));
        assert!(!key.may_check(Algorithm::ES256, Some("2")));
        assert!(!key.may_check(Algorithm::ES384, Some("1")));
        assert!(!key.may_check(Algorithm::RS256, None));
    }

    #[test]
    fn members_that_forbid_verification_are_heeded() {
        assert!(key(&with("use", json!("sig"))).is_some());
        assert!(key(&with("use", json!("enc"))).is_none());
        assert!(key(&with("use", json!(null))).is_none());
        assert!(key(&with("key_ops", json!(["sign", "verify"]))).is_some());
        assert!(key(&with("key_ops", json!(["encrypt"]))).is_none());
        assert!(key(&with("key_ops", json!("verify"))).is_none());
        assert!(key(&with("alg", json!("ES256"))).is_some());
        assert!(key(&with("alg", json!("ES384"))).is_none());
        assert!(key(&with("alg", json!("HS256"))).is_none());
        assert!(key(&with("kid", json!(7))).is_none());
    }

    #[test]
    fn weak_and_foreign_keys_are_refused() {
        assert!(key(&json!({ "kty": "oct", "k": "AAAA" })).is_none());
        assert!(key(&with("crv", json!("secp256k1"))).is_none());
        assert!(key(&with("x", json!("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7A"))).is_none());
        let rsa = |bytes: Vec<u8>, e: &str| key(&json!({ "kty": "RSA", "n": encode(&bytes), "e": e }));
        assert!(rsa([vec![0x80; 255], vec![1]].concat(), "AQAB").is_some());
        assert!(rsa([vec![0x7f], vec![0x80; 254], vec![1]].concat(), "AQAB").is_none());
        assert!(rsa([vec![0x80; 255], vec![2]].concat(), "AQAB").is_none());
        assert!(rsa([vec![0x80; 255], vec![1]].concat(), "Aw").is_none());
        assert!(rsa([vec![0x80; 1024], vec![1]].concat(), "AQAB").is_none());
    }

    #[test]
    fn a_signature_whose_commitment_engines_disagree_on_is_refused() {
        let key = key(&json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&[0x11; 32]) })).unwrap();
        let signature = |r: &[u8]| [r, &[7; 32]].concat();
        assert!(key.may_have_made(&signature(&[0x22; 32])));
        for y in SMALL_ORDER {
            assert!(!key.may_have_made(&signature(&decode(y).unwrap())), "{y}");
        }
        assert!(!key.may_have_made(&signature(&[0xff; 32])) && !key.may_have_made(&[7; 31]));
    }

    #[test]
    fn points_that_engines_disagree_on_are_refused() {
        let edwards = |x: [u8; 32]| key(&json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&x) }));
        let ends = |first: u8, middle: u8, last: u8| {
            let mut x = [middle; 32];
            (x[0], x[31]) = (first, last);
            x
        };
        // Of order 4, 1 and 2, with either sign.
        for (first, middle, last) in [(0, 0, 0), (1, 0, 0), (0xec, 0xff, 0x7f)] {
            assert!(edwards(ends(first, middle, last)).is_none());
            assert!(edwards(ends(first, middle, last | 0x80)).is_none());
        }
        for y in SMALL_ORDER {
            assert!(key(&json!({ "kty": "OKP", "crv": "Ed25519", "x": y })).is_none(), "{y}");
        }
        // From the prime on.
        for first in 0xed..=0xff {
            assert!(edwards(ends(first, 0xff, 0x7f)).is_none());
            assert!(edwards(ends(first, 0xff, 0xff)).is_none());
        }
        assert!(edwards(ends(0xeb, 0xff, 0x7f)).is_some());
        assert!(edwards(ends(0xff, 0xfe, 0x7f)).is_some());
        assert!(edwards([0x11; 32]).is_some());
    }
}
