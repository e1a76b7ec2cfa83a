//! JWS signatures checked without WebCrypto: natively, and in JavaScript that cannot wait.
//!
//! jwt-simple reads keys of curves, and says what they are made of; it checks whole tokens only, header
//! and claims included, so that the signature itself is checked by crates beneath it. RSA keys it takes
//! up to 4096 bits and keeps to itself: they are read from the JWK, up to the policy's 8192. Ed25519 has
//! two readings of what a signature is; WebCrypto's is taken, the equation without the cofactor.
//! What is decided here is about a key, bytes and a signature, and equals what WebCrypto decides.

use jwt_simple::prelude::{
    ECDSAP256PublicKeyLike, ECDSAP384PublicKeyLike, ES256PublicKey, ES384PublicKey, Ed25519PublicKey,
};
use p256::ecdsa::signature::Verifier as _;
use rsa::sha2::{Digest, Sha256, Sha384, Sha512};
use rsa::signature::Verifier as _;
use rsa::{BigUint, RsaPublicKey, pkcs1v15, pss};
use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::encoding::decode;
use scim_edge_policy::key::Key;
use serde_json::Value;

/// The longest RSA modulus, in bits: the policy's.
const RSA_BITS: usize = 8192;

/// Whether `signature` (RFC 7518 §3.1, RFC 8037 §3.1) is the key's over `signed`. What cannot be checked
/// is a no.
pub fn check(key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
    if algorithm.key_type() != key.key_type() {
        return false;
    }
    let checked = match algorithm {
        Algorithm::RS256 => pkcs1::<Sha256>(key, signed, signature),
        Algorithm::RS384 => pkcs1::<Sha384>(key, signed, signature),
        Algorithm::RS512 => pkcs1::<Sha512>(key, signed, signature),
        Algorithm::PS256 => probabilistic::<Sha256>(key, signed, signature),
        Algorithm::PS384 => probabilistic::<Sha384>(key, signed, signature),
        Algorithm::PS512 => probabilistic::<Sha512>(key, signed, signature),
        Algorithm::ES256 => p256(key, signed, signature),
        Algorithm::ES384 => p384(key, signed, signature),
        Algorithm::EdDSA => edwards(key, signed, signature),
    };
    checked.is_some()
}

fn rsa_key(key: &Key) -> Option<RsaPublicKey> {
    let jwk: Value = serde_json::from_str(key.jwk()).ok()?;
    let number = |name: &str| Some(BigUint::from_bytes_be(&decode(jwk.get(name)?.as_str()?)?));
    RsaPublicKey::new_with_max_size(number("n")?, number("e")?, RSA_BITS).ok()
}

/// RSASSA-PKCS1-v1_5 (RFC 7518 §3.3).
fn pkcs1<D: Digest + rsa::pkcs8::AssociatedOid>(key: &Key, signed: &[u8], signature: &[u8]) -> Option<()> {
    let key = pkcs1v15::VerifyingKey::<D>::new(rsa_key(key)?);
    key.verify(signed, &pkcs1v15::Signature::try_from(signature).ok()?).ok()
}

/// RSASSA-PSS with a salt as long as the digest (RFC 7518 §3.5).
fn probabilistic<D: Digest + rsa::sha2::digest::FixedOutputReset>(
    key: &Key,
    signed: &[u8],
    signature: &[u8],
) -> Option<()> {
    let key = pss::VerifyingKey::<D>::new(rsa_key(key)?);
    key.verify(signed, &pss::Signature::try_from(signature).ok()?).ok()
}

/// ECDSA with P-256 and SHA-256 (RFC 7518 §3.4).
fn p256(key: &Key, signed: &[u8], signature: &[u8]) -> Option<()> {
    let key = ES256PublicKey::from_jwk(key.jwk()).ok()?;
    let signature = p256::ecdsa::Signature::try_from(signature).ok()?;
    ECDSAP256PublicKeyLike::public_key(&key).as_ref().verify(signed, &signature).ok()
}

/// ECDSA with P-384 and SHA-384 (RFC 7518 §3.4).
fn p384(key: &Key, signed: &[u8], signature: &[u8]) -> Option<()> {
    let key = ES384PublicKey::from_jwk(key.jwk()).ok()?;
    let signature = p384::ecdsa::Signature::try_from(signature).ok()?;
    ECDSAP384PublicKeyLike::public_key(&key).as_ref().verify(signed, &signature).ok()
}

/// Ed25519 (RFC 8037 §3.1).
fn edwards(key: &Key, signed: &[u8], signature: &[u8]) -> Option<()> {
    let key = Ed25519PublicKey::from_jwk(key.jwk()).ok()?.to_bytes();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key.try_into().ok()?).ok()?;
    key.verify(signed, &ed25519_dalek::Signature::from_slice(signature).ok()?).ok()
}
