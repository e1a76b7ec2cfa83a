//! Key sets (RFC 7517 §5): what an issuer publishes, reduced to what can check a signature.

use crate::algorithm::Algorithm;
use crate::key::{Key, KeyId, secret_member};
use scim_edge_json::Limits;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

/// The longest text of a key set, in bytes.
pub const BYTES: usize = 64 << 10;

/// The most JSON values of a set: 100 keys with 100 members each.
pub(crate) const VALUES: usize = 10_000;

/// The most keys in a set.
pub const KEYS: usize = 100;

/// The most keys tried for a token that does not say which.
const TRIED: usize = 4;

/// Why a text is no key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetError {
    /// Not JSON, or beyond a limit.
    Json(scim_edge_json::Error),
    /// No array `keys`.
    NoKeys,
    /// More than [`KEYS`].
    TooMany,
    /// None of the keys can check a signature here.
    NoneUsable,
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "the key set cannot be read: {error}"),
            Self::NoKeys => f.write_str("the key set has no array \"keys\""),
            Self::TooMany => write!(f, "the key set has more than {KEYS} keys"),
            Self::NoneUsable => f.write_str(
                "none of the keys can check a signature (RSA from 2048 bits, P-256, P-384 and Ed25519 can)",
            ),
        }
    }
}

impl std::error::Error for KeySetError {}

/// A key as its set shows it, for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its `kid`.
    pub kid: Option<String>,
    /// Its `kty`.
    pub kty: Option<String>,
    /// Its `alg`.
    pub alg: Option<String>,
    /// Its `use`.
    #[serde(rename = "use")]
    pub purpose: Option<String>,
    /// Whether it can check a signature here.
    pub usable: bool,
    /// Why it must not be trusted, though it could.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Every key of a set, those that cannot be used too.
pub fn listed(text: &[u8]) -> Result<Vec<Listed>, KeySetError> {
    let keys = members(text)?.keys;
    let exposed = exposed(&keys);
    let listed = keys.iter().map(|key| {
        let text = |name: &str| key.get(name).and_then(Value::as_str).map(str::to_owned);
        let read = key.as_object().and_then(Key::from_jwk);
        let problem = match key.as_object().and_then(secret_member) {
            Some(member) => Some(format!("it is published with its private half ({member}): {ANYBODY}")),
            None => read
                .as_ref()
                .filter(|read| exposed.iter().any(|one| one.is_same(read)))
                .map(|_| format!("the private half of this key is published in the same set: {ANYBODY}")),
        };
        let usable = read.is_some() && problem.is_none();
        Listed { kid: text("kid"), kty: text("kty"), alg: text("alg"), purpose: text("use"), usable, problem }
    });
    Ok(listed.collect())
}

const ANYBODY: &str = "anybody can sign with it";

/// A key that was published with its private half.
struct Exposed {
    kid: Option<String>,
    /// Of a key that could check a signature here.
    id: Option<KeyId>,
}

impl Exposed {
    fn is_same(&self, key: &Key) -> bool {
        self.id == Some(key.id())
    }
}

fn exposed(keys: &[Value]) -> Vec<Exposed> {
    let keys = keys.iter().filter_map(Value::as_object).filter(|key| secret_member(key).is_some());
    keys.map(|key| {
        // The same key may stand there once more for another use.
        let material =
            |(name, _): &(&String, &Value)| ["kty", "crv", "n", "e", "x", "y"].contains(&name.as_str());
        let public = key.iter().filter(material).map(|(name, value)| (name.clone(), value.clone())).collect();
        Exposed {
            kid: key.get("kid").and_then(Value::as_str).map(str::to_owned),
            id: Key::from_jwk(&public).map(|key| key.id()),
        }
    })
    .collect()
}

/// The members of a set.
struct Members {
    keys: Vec<Value>,
    /// The ids of keys that were left out of a set that is kept: see [`KeySet::to_json`].
    left_out: Vec<Option<String>>,
}

/// The members of a set's `keys`.
fn members(text: &[u8]) -> Result<Members, KeySetError> {
    let mut set = scim_edge_json::parse_object(text, Limits { bytes: BYTES, depth: 16, values: VALUES })
        .map_err(KeySetError::Json)?;
    match set.remove("keys") {
        Some(Value::Array(keys)) if keys.len() <= KEYS => {
            let kids = set.get(LEFT_OUT).and_then(Value::as_array).into_iter().flatten();
            let left_out = kids.take(KEYS).map(|kid| kid.as_str().map(str::to_owned)).collect();
            Ok(Members { keys, left_out })
        }
        Some(Value::Array(_)) => Err(KeySetError::TooMany),
        _ => Err(KeySetError::NoKeys),
    }
}

/// The member of a set that is kept which names the keys that were left out for being exposed.
const LEFT_OUT: &str = "exposed";

/// The usable keys of a set, in its order. Empty only where all that it had were exposed: that is an answer, which
/// takes the place of an older set with these keys in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Key>,
    /// The ids of keys that were left out since their private halves are published.
    exposed: Vec<Option<String>>,
}

impl KeySet {
    /// Reads a JWK Set. A key that cannot be used is left out and fails nothing; so is a key whose private half
    /// is in the set, beside it or in another entry.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        let Members { keys, left_out } = members(text)?;
        let known = exposed(&keys);
        let public = keys.iter().filter_map(Value::as_object).filter(|key| secret_member(key).is_none());
        let is_safe = |key: &Key| !known.iter().any(|one| one.is_same(key));
        let keys: Vec<Key> = public.filter_map(Key::from_jwk).filter(is_safe).collect();
        if keys.is_empty() && left_out.is_empty() && known.iter().all(|one| one.id.is_none()) {
            return Err(KeySetError::NoneUsable);
        }
        let exposed = left_out.into_iter().chain(known.into_iter().map(|one| one.kid)).collect();
        Ok(Self { keys, exposed })
    }

    /// The ids of the keys that were left out since their private halves are published.
    pub fn exposed(&self) -> impl Iterator<Item = Option<&str>> {
        self.exposed.iter().map(Option::as_deref)
    }

    /// Whether the key that a token names was left out for that.
    pub fn is_exposed(&self, kid: Option<&str>) -> bool {
        self.exposed().any(|exposed| kid.is_none() || exposed == kid)
    }

    /// The keys to try on a token, in order.
    pub fn eligible(&self, algorithm: Algorithm, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.may_check(algorithm, kid)).take(TRIED)
    }

    /// Whether some key has this `kid`.
    pub fn has_kid(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// Whether a key is still in the set.
    pub fn has(&self, id: &KeyId) -> bool {
        self.keys.iter().any(|key| key.id() == *id)
    }

    /// Its keys.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The set in JSON, public members only, and the ids of keys that were left out: what is kept in KV.
    pub fn to_json(&self) -> String {
        let keys: Vec<Value> = self.keys.iter().filter_map(Key::to_value).collect();
        let mut set = serde_json::json!({ "keys": keys });
        if let (Some(members), false) = (set.as_object_mut(), self.exposed.is_empty()) {
            members.insert(LEFT_OUT.to_owned(), self.exposed().collect());
        }
        set.to_string()
    }
}

impl Key {
    fn to_value(&self) -> Option<Value> {
        let mut value: Value = serde_json::from_str(self.jwk()).ok()?;
        let members = value.as_object_mut()?;
        if let Some(kid) = self.kid() {
            members.insert("kid".into(), kid.into());
        }
        if let Some(algorithm) = self.algorithm() {
            members.insert("alg".into(), algorithm.name().into());
        }
        Some(value)
    }
}

/// How many texts a [`ReadSets`] keeps.
const READ: usize = 64;

/// Key sets by their texts: each text is read once.
#[derive(Debug, Default)]
pub struct ReadSets(HashMap<String, Rc<KeySet>>);

impl ReadSets {
    /// The set that a text is. When there are too many, all go: the ones in use are read once more.
    pub fn of(&mut self, text: String) -> Result<Rc<KeySet>, KeySetError> {
        if let Some(known) = self.0.get(&text) {
            return Ok(known.clone());
        }
        let set = Rc::new(KeySet::parse(text.as_bytes())?);
        if self.0.len() >= READ {
            self.0.clear();
        }
        self.0.insert(text, set.clone());
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC: &str = r#"{"kty":"EC","crv":"P-256","kid":"KID","alg":"ES256","use":"sig","x5c":["MII"],
        "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#;

    fn set(keys: &[&str]) -> Result<KeySet, KeySetError> {
        KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
    }

    #[test]
    fn unusable_keys_are_left_out() {
        let set = set(&["7", r#"{"kty":"oct","k":"AAAA"}"#, EC, "{}"]).unwrap();
        assert_eq!(set.keys().len(), 1);
        assert!(set.has_kid("KID") && !set.has_kid("kid"));
    }

    #[test]
    fn a_set_without_a_usable_key_is_none() {
        assert_eq!(set(&[]), Err(KeySetError::NoneUsable));
        assert_eq!(KeySet::parse(br#"{"keys":{}}"#), Err(KeySetError::NoKeys));
        assert_eq!(
            KeySet::parse(b"<html>"),
            Err(KeySetError::Json(scim_edge_json::Error::Syntax { line: 1, column: 1 }))
        );
        assert_eq!(set(&["1"; 101]), Err(KeySetError::TooMany));
    }

    #[test]
    fn operators_see_the_unusable_ones_too() {
        let text = format!(r#"{{"keys":[{EC},{{"kty":"oct","kid":7,"alg":"HS256"}},7]}}"#);
        let keys = listed(text.as_bytes()).unwrap();
        assert_eq!(keys.iter().map(|key| key.usable).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!((keys[1].kid.as_deref(), keys[1].alg.as_deref()), (None, Some("HS256")));
        assert_eq!(keys[0].purpose.as_deref(), Some("sig"));
        assert_eq!(listed(br#"{"keys":[]}"#), Ok(Vec::new()));
        assert_eq!(listed(b"{}"), Err(KeySetError::NoKeys));
    }

    #[test]
    fn a_key_that_is_published_with_its_private_half_is_left_out_wherever_else_it_is() {
        let exposed = EC.replace("\"kid\"", "\"d\":\"AA\",\"kid\"");
        let twin = EC.replace("KID", "twin");
        let other =
            r#"{"kty":"OKP","crv":"Ed25519","kid":"o","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let safe = set(&[&exposed, &twin, other]).unwrap();
        assert_eq!(safe.keys().iter().map(Key::kid).collect::<Vec<_>>(), [Some("o")]);
        assert_eq!(safe.exposed().collect::<Vec<_>>(), [Some("KID")]);
        assert!(safe.is_exposed(Some("KID")) && safe.is_exposed(None) && !safe.is_exposed(Some("o")));
        let elsewhere = exposed.replace("\"sig\"", "\"enc\"").replace("ES256", "ECDH-ES");
        assert_eq!(set(&[EC, &elsewhere, other]).unwrap().keys().len(), 1, "for another use");
        // Alone it is an answer: a set from before that has the key must not be used on.
        let alone = set(&[&exposed]).unwrap();
        assert!(alone.keys().is_empty());
        for set in [safe, alone] {
            let read = KeySet::parse(set.to_json().as_bytes()).unwrap();
            assert_eq!((read.keys(), read.is_exposed(Some("KID"))), (set.keys(), true), "as it is kept");
            assert!(!set.to_json().contains("\"d\""));
        }
        let text = format!(r#"{{"keys":[{exposed},{twin},{other}]}}"#);
        let keys = listed(text.as_bytes()).unwrap();
        assert_eq!(keys.iter().map(|key| key.usable).collect::<Vec<_>>(), [false, false, true]);
        assert!(
            keys[0].problem.as_deref().unwrap().contains("private half (d)") && keys[1].problem.is_some()
        );
        assert_eq!(keys[2].problem, None);
        for member in ["p", "q", "dp", "dq", "qi", "oth", "k"] {
            let exposed = EC.replace("\"kid\"", &format!("\"{member}\":null,\"kid\""));
            assert!(set(&[&exposed]).unwrap().keys().is_empty(), "{member}");
        }
    }

    #[test]
    fn at_most_four_are_tried() {
        let set = set(&[&EC.replace("\"KID\"", "\"a\""), EC, EC, EC, EC, EC]).unwrap();
        assert_eq!(set.eligible(Algorithm::ES256, None).count(), 4);
        assert_eq!(set.eligible(Algorithm::ES256, Some("a")).count(), 1);
        assert_eq!(set.eligible(Algorithm::ES256, Some("b")).count(), 0);
    }

    #[test]
    fn survives_its_own_json() {
        let set = set(&[EC]).unwrap();
        assert_eq!(KeySet::parse(set.to_json().as_bytes()), Ok(set));
    }
}
