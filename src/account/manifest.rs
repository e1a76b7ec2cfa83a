//! The manifest of an export: how much there is, and a digest of it, signed by the deployment that made it.
//!
//! The digest is a chain: each line's is the SHA-256 of the one before and the line with its end. So it goes on from
//! page to page and from session to session with nothing but 32 bytes, and a line that is missing, added, changed or
//! moved breaks it. The manifest is a JWS (RFC 7515) whose header names its key; which keys are trusted is the
//! importer's to say. `typ` keeps it from being taken for a token.

use scim_edge_json::{Limits, parse_object};
use scim_edge_policy::encoding::{decode, encode};
use scim_edge_policy::key::{Key, KeyId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The format of an export; an import refuses another one.
pub const FORMAT: u32 = 1;

/// The type in the header of the signature.
const TYPE: &str = "scim-edge-export";

/// Limits on the parts of a signed manifest.
const LIMITS: Limits = Limits { bytes: 4 << 10, depth: 4, values: 100 };

/// The digest of lines, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Adds a line, which has no end.
    pub fn add(&mut self, line: &str) {
        let sum = Sha256::new().chain_update(self.0).chain_update(line).chain_update("\n");
        self.0 = sum.finalize().into();
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = decode(&text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("no digest"))
    }
}

/// What an export says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The account that was exported.
    pub account: String,
    /// When it began, in milliseconds since the epoch.
    pub began: i64,
    /// When it ended.
    pub ended: i64,
    /// How many lines there are, without checkpoints and the manifest.
    pub lines: u64,
    /// How many users.
    pub users: u64,
    /// How many groups.
    pub groups: u64,
    /// How many members of groups.
    pub members: u64,
    /// The digest of the lines.
    pub digest: Digest,
    /// How many writes were made while the export was read: with 0 it is right for one moment. None if that is not
    /// known: what a copy takes over from its origin is not counted.
    pub writes_meanwhile: Option<u64>,
}

impl Manifest {
    /// The text to sign with the key whose public part is `x` (RFC 8037, base64url).
    pub fn signing_input(&self, x: &str) -> String {
        let header = json!({ "alg": "EdDSA", "typ": TYPE, "jwk": jwk(x) });
        // Numbers and texts always have a JSON form.
        let payload = serde_json::to_string(self).unwrap_or_default();
        format!("{}.{}", encode(header.to_string().as_bytes()), encode(payload.as_bytes()))
    }
}

fn jwk(x: &str) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
}

/// A manifest that claims to be signed by a key; whether it is has to be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// What is claimed.
    pub manifest: Manifest,
    /// The public part of the key that it names.
    pub x: String,
    /// The key, as a signature engine takes it.
    pub jwk: String,
    /// What identifies the key.
    pub key_id: KeyId,
    /// The text that was signed.
    pub input: String,
    /// Its signature.
    pub signature: Vec<u8>,
}

impl Claimed {
    /// Reads a signed manifest; none for any other text.
    pub fn parse(jws: &str) -> Option<Self> {
        let (input, signature) = jws.rsplit_once('.')?;
        let (header, payload) = input.split_once('.')?;
        let header = parse_object(&decode(header)?, LIMITS).ok()?;
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        if text("alg") != Some("EdDSA") || text("typ") != Some(TYPE) || header.len() != 3 {
            return None;
        }
        let named = header.get("jwk")?.as_object()?;
        let x = named.get("x")?.as_str()?.to_owned();
        let key = Key::from_jwk(named).filter(|_| Value::Object(named.clone()) == jwk(&x))?;
        let payload = Value::Object(parse_object(&decode(payload)?, LIMITS).ok()?);
        let manifest = serde_json::from_value::<Manifest>(payload).ok()?;
        Some(Self {
            manifest,
            x,
            jwk: key.jwk().to_owned(),
            key_id: key.id(),
            input: input.to_owned(),
            signature: decode(signature)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn manifest() -> Manifest {
        let mut digest = Digest::default();
        digest.add("{}");
        Manifest {
            format: FORMAT,
            account: "acme".to_owned(),
            began: 1,
            ended: 2,
            lines: 1,
            users: 0,
            groups: 0,
            members: 0,
            digest,
            writes_meanwhile: Some(0),
        }
    }

    #[test]
    fn the_digest_tells_lines_apart_in_any_way() {
        let of = |lines: &[&str]| {
            let mut digest = Digest::default();
            lines.iter().for_each(|line| digest.add(line));
            digest
        };
        let all = [
            of(&["a", "b"]),
            of(&["b", "a"]),
            of(&["ab"]),
            of(&["a"]),
            of(&["a", "b", ""]),
            of(&[]),
            of(&["a\nb"]),
        ];
        for (place, one) in all.iter().enumerate() {
            assert_eq!(all.iter().position(|other| other == one), Some(place));
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let input = manifest().signing_input(X);
        let claimed = Claimed::parse(&format!("{input}.AAEC")).unwrap();
        assert_eq!((claimed.manifest, claimed.x.as_str()), (manifest(), X));
        assert_eq!((claimed.input, claimed.signature), (input, vec![0, 1, 2]));
    }

    #[test]
    fn a_token_or_another_algorithm_is_no_manifest() {
        let with = |header: Value| {
            let payload = serde_json::to_string(&manifest()).unwrap();
            let (header, payload) = (encode(header.to_string().as_bytes()), encode(payload.as_bytes()));
            Claimed::parse(&format!("{header}.{payload}.AAEC"))
        };
        assert!(with(json!({ "alg": "EdDSA", "typ": TYPE, "jwk": jwk(X) })).is_some());
        for header in [
            json!({ "alg": "EdDSA", "typ": "JWT", "jwk": jwk(X) }),
            json!({ "alg": "none", "typ": TYPE, "jwk": jwk(X) }),
            json!({ "alg": "HS256", "typ": TYPE, "jwk": { "kty": "oct", "k": X } }),
            json!({ "alg": "EdDSA", "typ": TYPE, "jwk": jwk("AAAA") }),
            json!({ "alg": "EdDSA", "typ": TYPE, "jwk": { "kty": "OKP", "crv": "Ed25519", "x": X, "kid": "k" } }),
            json!({ "alg": "EdDSA", "typ": TYPE, "jwk": jwk(X), "crit": ["x"] }),
            json!({ "alg": "EdDSA", "typ": TYPE }),
        ] {
            assert_eq!(with(header.clone()), None, "{header}");
        }
        for text in ["", "a.b", "a.b.c", ".."] {
            assert_eq!(Claimed::parse(text), None, "{text}");
        }
    }
}
