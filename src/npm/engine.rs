//! Where keys come from and who checks signatures, in a JavaScript host.

use js_sys::{Function, Promise};
use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::key::{Key, KeyId};
use scim_edge_policy::key_set::KeySet;
use scim_edge_policy::rule::{KeySource, TrustRule};
use scim_edge_policy::verify::{Host, KeysUnavailable};
use scim_edge_webcrypto::CryptoKey;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// How many key sets, and how many imported keys, are kept.
const KEPT: usize = 64;

thread_local! {
    static SETS: RefCell<HashMap<String, Rc<KeySet>>> = RefCell::new(HashMap::new());
    static IMPORTED: RefCell<HashMap<(KeyId, Algorithm), CryptoKey>> = RefCell::new(HashMap::new());
}

/// The host's engine. `keys` is a JavaScript function: given what a rule's keys are kept by and a key id,
/// it returns the text of a JWK Set, or a promise of it, and throws where it has none.
pub(crate) struct Engine {
    pub(crate) keys: Function,
    /// Whether to wait for WebCrypto and promises; else jwt-simple checks, and keys must be at hand.
    pub(crate) waits: bool,
}

impl Host for Engine {
    async fn keys(&self, rule: &TrustRule, kid: Option<&str>) -> Result<Rc<KeySet>, KeysUnavailable> {
        let source = rule.key_source().ok_or_else(|| KeysUnavailable("the rule has no keys".to_owned()))?;
        let text = match &source {
            KeySource::Inline(set) => set.to_string(),
            _ => self.ask(&source.name().unwrap_or_default(), kid).await?,
        };
        if let Some(known) = SETS.with_borrow(|sets| sets.get(&text).cloned()) {
            return Ok(known);
        }
        let parsed = KeySet::parse(text.as_bytes()).map_err(|error| KeysUnavailable(error.to_string()))?;
        let parsed = Rc::new(parsed);
        SETS.with_borrow_mut(|sets| {
            if sets.len() >= KEPT {
                sets.clear();
            }
            sets.insert(text, parsed.clone());
        });
        Ok(parsed)
    }

    async fn check(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        if !self.waits {
            return scim_edge_signature::check(key, algorithm, signed, signature);
        }
        let told = match imported(key, algorithm).await {
            Some(imported) => {
                scim_edge_webcrypto::verify(&imported, algorithm.name(), signed, signature).await
            }
            None => None,
        };
        // What a host's WebCrypto lacks, Wasm has: Ed25519 came late, and Deno's RSA ends at 4096 bits.
        told.unwrap_or_else(|| scim_edge_signature::check(key, algorithm, signed, signature))
    }
}

impl Engine {
    async fn ask(&self, name: &str, kid: Option<&str>) -> Result<String, KeysUnavailable> {
        let refused = |thrown: JsValue| KeysUnavailable(sentence(&thrown));
        let kid = kid.map_or(JsValue::UNDEFINED, JsValue::from_str);
        let answer = self.keys.call2(&JsValue::NULL, &JsValue::from_str(name), &kid).map_err(refused)?;
        let answer = match answer.dyn_into::<Promise>() {
            Ok(promise) if self.waits => JsFuture::from(promise).await.map_err(refused)?,
            Ok(_) => return Err(KeysUnavailable("the keys are not at hand".to_owned())),
            Err(answer) => answer,
        };
        answer.as_string().ok_or_else(|| KeysUnavailable("the key loader returned no text".to_owned()))
    }
}

async fn imported(key: &Key, algorithm: Algorithm) -> Option<CryptoKey> {
    let name = (key.id(), algorithm);
    if let Some(known) = IMPORTED.with_borrow(|keys| keys.get(&name).cloned()) {
        return Some(known);
    }
    let imported = scim_edge_webcrypto::import(key.jwk(), algorithm.name()).await?;
    IMPORTED.with_borrow_mut(|keys| {
        if keys.len() >= KEPT {
            keys.clear();
        }
        keys.insert(name, imported.clone());
    });
    Some(imported)
}

/// What was thrown, as a sentence for operators.
fn sentence(thrown: &JsValue) -> String {
    let error = thrown.dyn_ref::<js_sys::Error>();
    error.map_or_else(|| "the key loader failed".to_owned(), |error| String::from(error.message()))
}
