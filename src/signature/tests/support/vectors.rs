//! Third-party signatures and tokens (`SCIM_EDGE_VECTORS` names their folder), read alike by the native
//! and the Wasm tests. They are not part of the project.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use scim_edge_policy::algorithm::{Algorithm, KeyType};
use scim_edge_policy::encoding::{decode, encode};
use scim_edge_policy::key::Key;
use scim_edge_policy::refusal::{Reason, Refusal};
use serde_json::{Value, json};

/// Where they are, seen from a crate, where nothing names their folder.
pub const FOLDER: &str = "../../../shared/vectors";

/// Reads a file of the folder; none where it is not at hand.
pub type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A signature by a key over bytes.
pub struct Signature {
    pub name: String,
    pub jwk: Value,
    pub algorithm: Algorithm,
    pub signed: Vec<u8>,
    pub signature: Vec<u8>,
    /// Whether it has to be taken; none where the source leaves it open.
    pub valid: Option<bool>,
}

impl Signature {
    /// The key, where the policy takes it.
    pub fn key(&self) -> Option<Key> {
        Key::from_jwk(self.jwk.as_object()?)
    }

    /// What is wrong with an engine's answer.
    pub fn mistake(&self, engine: &str, taken: bool) -> Option<String> {
        let wrong = self.valid.is_some_and(|valid| valid != taken);
        wrong.then(|| format!("{engine}: {}: {}", self.name, if taken { "taken" } else { "refused" }))
    }
}

/// A token, and a set of the keys that were meant to check it.
pub struct Token {
    pub name: String,
    pub keys: String,
    pub token: String,
    /// Whether its signature is to be believed; none where the policy is stricter than the label.
    pub valid: Option<bool>,
}

const SIGNATURES: [(&str, Algorithm, usize); 6] = [
    ("ecdsa_secp256r1_sha256_p1363", Algorithm::ES256, 262),
    ("ecdsa_secp384r1_sha384_p1363", Algorithm::ES384, 280),
    ("ed25519", Algorithm::EdDSA, 151),
    ("rsa_pss_2048_sha256_mgf1_32", Algorithm::PS256, 108),
    ("rsa_signature_2048_sha256", Algorithm::RS256, 259),
    ("rsa_signature_3072_sha384", Algorithm::RS384, 259),
];

/// Every signature that is at hand.
pub fn signatures(read: Read<'_>) -> Vec<Signature> {
    let mut all = Vec::new();
    for (file, algorithm, count) in SIGNATURES {
        let Some(text) = read(&format!("wycheproof/{file}_test.json")) else { continue };
        let before = all.len();
        for group in parsed(&text)["testGroups"].as_array().unwrap() {
            let jwk = jwk(algorithm, &group["publicKey"]);
            let weak = jwk["kty"] == "RSA" && jwk["e"] != "AQAB";
            for test in group["tests"].as_array().unwrap() {
                all.push(Signature {
                    name: format!("Wycheproof {file} {}: {}", test["tcId"], test["comment"]),
                    jwk: jwk.clone(),
                    algorithm,
                    signed: bytes(&test["msg"]),
                    signature: bytes(&test["sig"]),
                    valid: match test["result"].as_str() {
                        Some("valid") => Some(!weak),
                        Some("invalid") => Some(false),
                        _ => None,
                    },
                });
            }
        }
        assert_eq!(all.len() - before, count, "{file} has other tests than expected");
    }
    if let Some(text) = read("cctv/ed25519vectors.json") {
        all.extend(parsed(&text).as_array().unwrap().iter().map(edwards));
    }
    all.extend(tokens_of_rfcs(read).iter().filter_map(signature_of));
    all
}

/// CCTV's signatures hold in one reading of RFC 8032 or another. Here, as in WebCrypto (Secure Curves
/// §27.1, FIPS 186-5): the equation without the cofactor, R by its bytes; and no weak key, nor an R of
/// small order.
fn edwards(vector: &Value) -> Signature {
    let has =
        |flag: &str| vector["flags"].as_array().is_some_and(|flags| flags.iter().any(|own| own == flag));
    let refused = [
        "low_order_A",
        "non_canonical_A",
        "low_order_R",
        "low_order_residue",
        "non_canonical_R",
        "reencoded_k",
    ];
    Signature {
        name: format!("CCTV {} {}", vector["number"], vector["flags"]),
        jwk: json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&bytes(&vector["key"])) }),
        algorithm: Algorithm::EdDSA,
        signed: vector["msg"].as_str().unwrap().as_bytes().to_vec(),
        signature: bytes(&vector["sig"]),
        valid: Some(!refused.into_iter().any(has)),
    }
}

/// Labels of Wycheproof's tokens that are laxer than the policy.
const LAX: [u64; 8] = [346, 347, 350, 351, 367, 370, 372, 373];

/// Labels of Wycheproof's key sets that the policy does not share: keys with one kid are both tried, and
/// a modulus is not searched for the mark of a broken generator (CVE-2017-15361).
const OTHER: [u64; 2] = [4, 7];

/// Every token that is at hand.
pub fn tokens(read: Read<'_>) -> Vec<Token> {
    let mut all = Vec::new();
    for (file, departures, count) in
        [("json_web_signature", LAX.as_slice(), 401), ("json_web_key", OTHER.as_slice(), 26)]
    {
        let Some(text) = read(&format!("wycheproof/{file}_test.json")) else { continue };
        let before = all.len();
        for group in parsed(&text)["testGroups"].as_array().unwrap() {
            let key = if group["public"].is_object() { &group["public"] } else { &group["private"] };
            let keys = if key["keys"].is_array() { key.clone() } else { json!({ "keys": [key] }) };
            for test in group["tests"].as_array().unwrap() {
                let token = test["jws"].as_str().unwrap_or_default();
                // HMAC keys have no place here, and a token without claims is none.
                let stricter = hmac(token) || test["comment"] == "emptyPayload";
                let valid = test["result"] == "valid";
                let open = departures.contains(&test["tcId"].as_u64().unwrap());
                all.push(Token {
                    name: format!("Wycheproof {file} {}: {}", test["tcId"], test["comment"]),
                    keys: keys.to_string(),
                    token: token.to_owned(),
                    valid: (!open).then_some(valid && !stricter),
                });
            }
        }
        assert_eq!(all.len() - before, count, "{file} has other tests than expected");
    }
    all.extend(tokens_of_rfcs(read));
    all
}

/// The examples of RFC 7515, RFC 8037 and RFC 7520 in compact form.
fn tokens_of_rfcs(read: Read<'_>) -> Vec<Token> {
    let mut all = Vec::new();
    let mut add = |name: &str, key: &Value, token: &Value, algorithm: &Value| {
        let supported = algorithm.as_str().and_then(Algorithm::from_name).is_some();
        // The examples show whole keys; an issuer that published one would not be believed.
        let mut key = key.clone();
        if let Some(members) = key.as_object_mut() {
            members.retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
        }
        all.push(Token {
            name: name.to_owned(),
            keys: json!({ "keys": [key] }).to_string(),
            token: token.as_str().unwrap().to_owned(),
            valid: Some(supported),
        });
    };
    if let Some(text) = read("rfc7515/rfc7515_rfc8037.json") {
        for example in parsed(&text).as_array().unwrap() {
            add(example["ref"].as_str().unwrap(), &example["jwk"], &example["jws"], &example["alg"]);
        }
    }
    for file in ["4_1.rsa_v15_signature", "4_2.rsa-pss_signature", "4_3.ecdsa_signature"] {
        let Some(text) = read(&format!("rfc7520/jws/{file}.json")) else { continue };
        let example = parsed(&text);
        let input = &example["input"];
        add(&format!("RFC 7520 {file}"), &input["key"], &example["output"]["compact"], &input["alg"]);
    }
    all
}

/// A token's signature by itself, by the first key.
fn signature_of(token: &Token) -> Option<Signature> {
    let parts = Parts::of(&token.token)?;
    Some(Signature {
        name: format!("{}, the signature", token.name),
        jwk: parsed(&token.keys)["keys"][0].clone(),
        algorithm: parts.algorithm,
        signed: parts.signed.to_vec(),
        signature: parts.signature,
        valid: token.valid,
    })
}

/// What a check of a token's signature needs, without its claims.
pub struct Parts<'a> {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
    pub signed: &'a [u8],
    pub signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    /// A token's, where its header is good.
    pub fn of(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let header: Value = serde_json::from_slice(&decode(signed.split('.').next()?)?).ok()?;
        Some(Self {
            algorithm: Algorithm::from_name(header["alg"].as_str()?)?,
            kid: header["kid"].as_str().map(str::to_owned),
            signed: signed.as_bytes(),
            signature: decode(signature)?,
        })
    }
}

/// Whether a decision means that the signature holds. Many of these tokens have no claims; then nobody
/// has looked at the signature yet, and `None` says so.
pub fn believed<T>(outcome: &Result<T, Refusal>) -> Option<bool> {
    match outcome.as_ref().map_err(|refusal| refusal.reason) {
        Ok(_)
        | Err(Reason::ExpiryMissing | Reason::Expired | Reason::ClaimMismatch | Reason::MalformedClaim) => {
            Some(true)
        }
        Err(Reason::MalformedPayload) => None,
        Err(_) => Some(false),
    }
}

fn hmac(token: &str) -> bool {
    let header = token.split('.').next().and_then(decode).unwrap_or_default();
    serde_json::from_slice::<Value>(&header)
        .is_ok_and(|header| header["alg"].as_str().is_some_and(|name| name.starts_with("HS")))
}

/// A key of Wycheproof's as a JWK.
fn jwk(algorithm: Algorithm, key: &Value) -> Value {
    let number = |name: &str| {
        let bytes = bytes(&key[name]);
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        encode(&bytes[zeros..])
    };
    let curve = |name: &str, length: usize| {
        // 04, x, y.
        let point = bytes(&key["uncompressed"]);
        json!({ "kty": "EC", "crv": name, "x": encode(&point[1..=length]), "y": encode(&point[1 + length..]) })
    };
    match algorithm.key_type() {
        KeyType::Rsa => json!({ "kty": "RSA", "n": number("modulus"), "e": number("publicExponent") }),
        KeyType::P256 => curve("P-256", 32),
        KeyType::P384 => curve("P-384", 48),
        KeyType::Ed25519 => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&bytes(&key["pk"])) }),
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .as_str()
        .unwrap()
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
