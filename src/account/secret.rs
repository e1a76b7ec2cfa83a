//! Secrets at rest: sealed with a key that only the Worker has, bound to their account and place, so
//! that a sealed text copied elsewhere opens nowhere.

use crate::document::Document;
use crate::setting::definition;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use scim_edge_policy::encoding::{decode, encode};
use sha2::{Digest, Sha256};

/// The key that seals, and the one before it for as long as it is being replaced: what that one has
/// sealed can still be opened, and is sealed anew with the next call on its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealKeys {
    /// Seals and opens.
    pub current: [u8; 32],
    /// Opens only.
    pub previous: Option<[u8; 32]>,
}

impl SealKeys {
    /// Opens what either key has sealed.
    pub fn open(&self, account: &str, place: &str, sealed: &str) -> Option<String> {
        let by = |key: &[u8; 32]| open(key, account, place, sealed);
        by(&self.current).or_else(|| self.previous.as_ref().and_then(by))
    }

    /// Seals anew what only the previous key opens; `None` where there is nothing of the kind. Each
    /// secret has a nonce of its own, made of `random` and its place.
    pub fn reseal(&self, document: &Document, random: &[u8; 64]) -> Option<Document> {
        let previous = self.previous.as_ref()?;
        let mut new = document.clone();
        for (place, setting) in &mut new.settings {
            let opened = definition(place)
                .filter(|definition| definition.secret)
                .and_then(|_| open(previous, &document.account, place, &setting.value));
            let nonce: [u8; 32] = Sha256::new().chain_update(random).chain_update(place).finalize().into();
            let sealed = opened
                .zip(nonce.first_chunk())
                .and_then(|(opened, nonce)| seal(&self.current, nonce, &document.account, place, &opened));
            if let Some(sealed) = sealed {
                setting.value = sealed;
            }
        }
        (new != *document).then(|| {
            new.version = document.version.saturating_add(1);
            new
        })
    }
}

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
    use crate::document::SettingValue;
    use crate::setting::ORIGIN_AUTHORIZATION;

    #[test]
    fn a_key_is_replaced_secret_by_secret() {
        let value = |key: u8| seal(&[key; 32], &[2; 24], "acc", ORIGIN_AUTHORIZATION, "Bearer x").unwrap();
        let document = |value: String| {
            let mut document = Document::new("acc", 0);
            document
                .settings
                .insert(ORIGIN_AUTHORIZATION.into(), SettingValue { value, last_modified_at: 7 });
            document
        };
        let keys = SealKeys { current: [5; 32], previous: Some([4; 32]) };
        let resealed = keys.reseal(&document(value(4)), &[3; 64]).unwrap();
        let setting = &resealed.settings[ORIGIN_AUTHORIZATION];
        assert_eq!((resealed.version, setting.last_modified_at), (1, 7));
        let opened = open(&[5; 32], "acc", ORIGIN_AUTHORIZATION, &setting.value);
        assert_eq!(opened.as_deref(), Some("Bearer x"));
        assert_eq!(keys.open("acc", ORIGIN_AUTHORIZATION, &value(4)).as_deref(), Some("Bearer x"));
        assert_eq!(keys.open("acc", ORIGIN_AUTHORIZATION, &value(6)), None);
        // What is sealed with the current key, with one that nobody has, or not at all, stays as it is.
        for same in [value(5), value(6), "passthrough".to_owned()] {
            assert_eq!(keys.reseal(&document(same), &[3; 64]), None);
        }
        let alone = SealKeys { previous: None, ..keys };
        assert_eq!(alone.reseal(&document(value(4)), &[3; 64]), None);
        assert_eq!(alone.open("acc", ORIGIN_AUTHORIZATION, &value(4)), None);
    }

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
