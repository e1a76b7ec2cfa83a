//! Secrets at rest: sealed with a key that only the Worker has, bound to their account and place, so
//! that a sealed text copied elsewhere opens nowhere.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use scim_edge_policy::encoding::{decode, encode};

/// Seals a secret. `place` names where it belongs; `nonce` is 24 fresh random bytes.
pub fn seal(key: &[u8; 32], nonce: &[u8; 24], account: &str, place: &str, secret: &str) -> Option<String> {
    let aad = format!("{account}/{place}");
    let payload = Payload { msg: secret.as_bytes(), aad: aad.as_bytes() };
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt(XNonce::from_slice(nonce), payload).ok()?;
    Some(format!("v1.{}.{}", encode(nonce), encode(&sealed)))
}

/// Opens it again; `None` for another key, account or place, or a damaged text.
pub fn open(key: &[u8; 32], account: &str, place: &str, sealed: &str) -> Option<String> {
    let (nonce, text) = sealed.strip_prefix("v1.")?.split_once('.')?;
    let nonce: [u8; 24] = decode(nonce)?.try_into().ok()?;
    let aad = format!("{account}/{place}");
    let text = decode(text)?;
    let payload = Payload { msg: &text, aad: aad.as_bytes() };
    let secret = XChaCha20Poly1305::new(key.into()).decrypt(XNonce::from_slice(&nonce), payload).ok()?;
    String::from_utf8(secret).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_where_it_was_sealed() {
        let sealed = seal(&[1; 32], &[2; 24], "acc", "origin", "Bearer x").unwrap();
        assert!(!sealed.contains("Bearer"));
        assert_eq!(open(&[1; 32], "acc", "origin", &sealed).as_deref(), Some("Bearer x"));
        assert_eq!(open(&[3; 32], "acc", "origin", &sealed), None);
        assert_eq!(open(&[1; 32], "other", "origin", &sealed), None);
        assert_eq!(open(&[1; 32], "acc", "elsewhere", &sealed), None);
        assert_eq!(open(&[1; 32], "acc", "origin", &sealed.replace("v1.", "v2.")), None);
    }
}
