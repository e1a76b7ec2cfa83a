//! Secrets at rest: sealed with a key that only the Worker has, bound to their account and place, and to the
//! origin that they are sent to, so that a sealed text copied elsewhere opens nowhere.

use crate::document::Document;
use crate::setting::{PASSTHROUGH, definition};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use scim_edge_policy::encoding::{decode, encode};
use scim_edge_policy::url;
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
    /// Opens what either key has sealed for sending to `origin_url`. What was sealed before secrets were bound to
    /// an origin is opened too: it becomes bound with the next call on its account, before anything can change.
    pub fn open_for(
        &self,
        account: &str,
        identifier: &str,
        origin_url: &str,
        sealed: &str,
    ) -> Option<String> {
        let bound = place(identifier, url::origin(origin_url).as_deref());
        self.open(account, &bound, sealed).or_else(|| self.open(account, identifier, sealed))
    }

    /// Opens what either key has sealed in a place. A secret that is sent to an origin has another place for each
    /// origin: see [`SealKeys::open_for`].
    pub fn open(&self, account: &str, place: &str, sealed: &str) -> Option<String> {
        let by = |key: &[u8; 32]| open(key, account, place, sealed);
        by(&self.current).or_else(|| self.previous.as_ref().and_then(by))
    }

    /// Seals anew what only the previous key opens, and binds to the origin what is not bound yet; `None` where
    /// there is nothing of the kind. Each secret has a nonce of its own, made of `random` and its place.
    pub fn reseal(&self, document: &Document, random: &[u8; 64]) -> Option<Document> {
        let mut new = document.clone();
        let origin = document.origin();
        let secrets = new.settings.iter_mut();
        for (identifier, setting) in
            secrets.filter(|(name, _)| definition(name).is_some_and(|definition| definition.secret))
        {
            let before = place(identifier, setting.bound_to.as_deref());
            let bound_to = setting.bound_to.clone().or_else(|| origin.clone());
            if setting.value == PASSTHROUGH {
                setting.bound_to = bound_to;
                continue;
            }
            let after = place(identifier, bound_to.as_deref());
            if before == after && open(&self.current, &document.account, &after, &setting.value).is_some() {
                continue;
            }
            let nonce: [u8; 32] = Sha256::new().chain_update(random).chain_update(&after).finalize().into();
            let sealed = self
                .open(&document.account, &before, &setting.value)
                .zip(nonce.first_chunk())
                .and_then(|(opened, nonce)| seal(&self.current, nonce, &document.account, &after, &opened));
            if let Some(sealed) = sealed {
                (setting.value, setting.bound_to) = (sealed, bound_to);
            }
        }
        (new != *document).then(|| {
            new.version = document.version.saturating_add(1);
            new
        })
    }
}

/// The place of a secret: its setting, and the origin that it is for.
pub(crate) fn place(identifier: &str, origin: Option<&str>) -> String {
    match origin {
        Some(origin) => format!("{identifier}/{origin}"),
        None => identifier.to_owned(),
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
    use crate::setting::{ORIGIN_AUTHORIZATION, ORIGIN_URL};

    const URL: &str = "https://origin.example.com/scim";
    const ORIGIN: &str = "https://origin.example.com";

    fn sealed(key: u8, origin: Option<&str>) -> SettingValue {
        let place = place(ORIGIN_AUTHORIZATION, origin);
        let value = seal(&[key; 32], &[2; 24], "acc", &place, "Bearer x").unwrap();
        SettingValue { value, last_modified_at: 7, bound_to: origin.map(str::to_owned) }
    }

    fn document(secret: SettingValue) -> Document {
        let mut document = Document::new("acc", 0);
        document.settings.insert(ORIGIN_URL.into(), SettingValue::plain(URL.into(), 7));
        document.settings.insert(ORIGIN_AUTHORIZATION.into(), secret);
        document
    }

    #[test]
    fn a_key_is_replaced_secret_by_secret() {
        let keys = SealKeys { current: [5; 32], previous: Some([4; 32]) };
        let opened =
            |keys: &SealKeys, one: &SettingValue| keys.open_for("acc", ORIGIN_AUTHORIZATION, URL, &one.value);
        let alone = SealKeys { previous: None, ..keys.clone() };
        let resealed = keys.reseal(&document(sealed(4, Some(ORIGIN))), &[3; 64]).unwrap();
        let setting = &resealed.settings[ORIGIN_AUTHORIZATION];
        assert_eq!((resealed.version, setting.last_modified_at), (1, 7));
        assert_eq!(opened(&alone, setting).as_deref(), Some("Bearer x"));
        assert_eq!(opened(&keys, &sealed(4, Some(ORIGIN))).as_deref(), Some("Bearer x"));
        assert_eq!(opened(&keys, &sealed(6, Some(ORIGIN))), None);
        // What is sealed with the current key, or with one that nobody has, stays as it is.
        for same in [sealed(5, Some(ORIGIN)), sealed(6, Some(ORIGIN))] {
            assert_eq!(keys.reseal(&document(same), &[3; 64]), None);
        }
        assert_eq!(alone.reseal(&document(sealed(4, Some(ORIGIN))), &[3; 64]), None);
        assert_eq!(opened(&alone, &sealed(4, Some(ORIGIN))), None);
    }

    #[test]
    fn a_secret_of_an_older_deployment_becomes_bound_to_the_origin_that_it_is_sent_to() {
        let keys = SealKeys { current: [5; 32], previous: Some([4; 32]) };
        for key in [4, 5] {
            let older = document(sealed(key, None));
            let before = &older.settings[ORIGIN_AUTHORIZATION].value;
            assert!(keys.open_for("acc", ORIGIN_AUTHORIZATION, URL, before).is_some());
            let bound = keys.reseal(&older, &[3; 64]).unwrap();
            let setting = &bound.settings[ORIGIN_AUTHORIZATION];
            assert_eq!(setting.bound_to.as_deref(), Some(ORIGIN));
            let opened = |url: &str| keys.open_for("acc", ORIGIN_AUTHORIZATION, url, &setting.value);
            assert_eq!(opened("https://ORIGIN.example.com:443/other").as_deref(), Some("Bearer x"));
            for other in
                ["https://evil.example", "http://origin.example.com", "https://origin.example.com:8443"]
            {
                assert_eq!(opened(other), None, "{other}");
            }
            assert_eq!(keys.reseal(&bound, &[3; 64]), None);
        }
        let own = document(SettingValue::plain(PASSTHROUGH.into(), 7));
        let bound = keys.reseal(&own, &[3; 64]).unwrap();
        assert_eq!(bound.settings[ORIGIN_AUTHORIZATION].bound_to.as_deref(), Some(ORIGIN));
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
