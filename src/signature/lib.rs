//! JWS signatures checked by jwt-simple, for hosts without WebCrypto: native programs, and JavaScript
//! that cannot wait.
//!
//! jwt-simple checks whole tokens only. It is given the token as it came, is asked to look at no time and
//! no claim, and its yes or no is about the signature; what a token says is decided by the policy alone.
//! It reads the claims all the same and says no where a registered one has the wrong type, which the
//! policy refuses as well. RSA keys beyond 4096 bits are beyond it: they are a no.

use jwt_simple::prelude::{
    Duration, ECDSAP256PublicKeyLike, ECDSAP384PublicKeyLike, ES256PublicKey, ES384PublicKey,
    Ed25519PublicKey, EdDSAPublicKeyLike, NoCustomClaims, PS256PublicKey, PS384PublicKey, PS512PublicKey,
    RS256PublicKey, RS384PublicKey, RS512PublicKey, RSAPublicKeyLike, VerificationOptions,
};
use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::encoding::encode;
use scim_edge_policy::key::Key;
use scim_edge_policy::token::TOKEN_BYTES;

/// Whether `signature` is the key's over `signed`, the first two parts of a token.
pub fn check(key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
    let Ok(signed) = std::str::from_utf8(signed) else { return false };
    let token = format!("{signed}.{}", encode(signature));
    let options = || {
        Some(VerificationOptions {
            accept_future: true,
            artificial_time: Some(Duration::from_secs(0)),
            time_tolerance: None,
            max_validity: None,
            max_token_length: Some(TOKEN_BYTES),
            ..VerificationOptions::default()
        })
    };
    macro_rules! by {
        ($key:ty) => {
            <$key>::from_jwk(key.jwk())
                .is_ok_and(|key| key.verify_token::<NoCustomClaims>(&token, options()).is_ok())
        };
    }
    match algorithm {
        Algorithm::RS256 => by!(RS256PublicKey),
        Algorithm::RS384 => by!(RS384PublicKey),
        Algorithm::RS512 => by!(RS512PublicKey),
        Algorithm::PS256 => by!(PS256PublicKey),
        Algorithm::PS384 => by!(PS384PublicKey),
        Algorithm::PS512 => by!(PS512PublicKey),
        Algorithm::ES256 => by!(ES256PublicKey),
        Algorithm::ES384 => by!(ES384PublicKey),
        Algorithm::EdDSA => by!(Ed25519PublicKey),
    }
}
