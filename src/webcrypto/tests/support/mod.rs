//! Both signature engines behind the verifier.
#![allow(dead_code, unreachable_pub)]

use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::key::Key;
use scim_edge_policy::key_set::KeySet;
use scim_edge_policy::rule::TrustRule;
use scim_edge_policy::verify::{Host, KeysUnavailable};
use scim_edge_webcrypto::WebCrypto;
use std::rc::Rc;

thread_local! {
    static WEBCRYPTO: Rc<WebCrypto> = Rc::default();
}

pub async fn webcrypto(key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
    let webcrypto = WEBCRYPTO.with(Rc::clone);
    webcrypto.check(&key.id(), key.jwk(), algorithm.name(), signed, signature).await == Some(true)
}

/// Whether it is WebCrypto.
pub const ENGINES: [(&str, bool); 2] = [("WebCrypto", true), ("jwt-simple", false)];

pub struct Engine {
    pub keys: Rc<KeySet>,
    pub webcrypto: bool,
}

impl Host for Engine {
    async fn keys(&self, _: &TrustRule, _: Option<&str>) -> Result<Rc<KeySet>, KeysUnavailable> {
        Ok(self.keys.clone())
    }

    async fn check(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        if self.webcrypto {
            webcrypto(key, algorithm, signed, signature).await
        } else {
            scim_edge_signature::check(key, algorithm, signed, signature)
        }
    }
}
