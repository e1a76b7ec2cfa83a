//! Where keys come from and who checks signatures, in a JavaScript host.

use js_sys::{Function, Promise};
use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::key::Key;
use scim_edge_policy::key_set::{KeySet, ReadSets};
use scim_edge_policy::rule::{KeySource, TrustRule};
use scim_edge_policy::verify::{Host, KeysUnavailable};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

thread_local! {
    static READ: RefCell<ReadSets> = RefCell::default();
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
        let read = READ.with_borrow_mut(|sets| sets.of(text));
        read.map_err(|error| KeysUnavailable(error.to_string()))
    }

    async fn check(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        if !self.waits {
            return scim_edge_signature::check(key, algorithm, signed, signature);
        }
        let told =
            scim_edge_webcrypto::check(&key.id(), key.jwk(), algorithm.name(), signed, signature).await;
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

/// What was thrown, as a sentence for operators.
fn sentence(thrown: &JsValue) -> String {
    let error = thrown.dyn_ref::<js_sys::Error>();
    error.map_or_else(|| "the key loader failed".to_owned(), |error| String::from(error.message()))
}
