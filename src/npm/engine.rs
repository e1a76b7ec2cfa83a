//! Where keys come from and who checks signatures, in a JavaScript host.

use js_sys::{Promise, Reflect, Uint8Array};
use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::issuer::{Answer, Network, Source, ask};
use scim_edge_policy::key::{Key, KeyId};
use scim_edge_policy::key_cache::{Fetched, KeyCache, Plan};
use scim_edge_policy::key_set::{KeySet, ReadSets};
use scim_edge_policy::rule::{KeySource, TrustRule};
use scim_edge_policy::verify::{Host, KeysUnavailable};
use scim_edge_webcrypto::{Subtle, WebCrypto};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};

#[wasm_bindgen]
extern "C" {
    /// What the JavaScript around supplies.
    pub type JsHost;

    /// Milliseconds since the epoch.
    #[wasm_bindgen(method, structural)]
    fn now(this: &JsHost) -> f64;

    /// A promise of `{status, cacheControl, body}`, by the rules of [`Network::get`].
    #[wasm_bindgen(method, structural, catch)]
    fn get(this: &JsHost, url: &str, accept: &str) -> Result<Promise, JsValue>;

    /// The caller's loader: the text of a JWK Set, or a promise of it.
    #[wasm_bindgen(method, structural, catch)]
    fn load(
        this: &JsHost,
        url: Option<&str>,
        issuer: Option<&str>,
        kid: Option<&str>,
    ) -> Result<JsValue, JsValue>;

    /// The caller's own WebCrypto.
    #[wasm_bindgen(method, structural, getter)]
    fn subtle(this: &JsHost) -> Option<Subtle>;

    /// The frozen object that a JSON text is.
    #[wasm_bindgen(method, structural)]
    pub fn frozen(this: &JsHost, text: &str) -> JsValue;
}

/// Where the keys are of rules that do not have them themselves.
pub(crate) enum Keys {
    /// Fetched and kept: from where each rule says, or all from one URL.
    Fetched(Option<String>),
    /// Given.
    Given(Result<Rc<KeySet>, KeysUnavailable>),
    /// Asked for each time.
    Loaded,
}

/// Whether a number can be milliseconds since the epoch: seconds are not, nor is what JavaScript has no date for.
fn is_time(now: f64) -> bool {
    (1e11..=8.64e15).contains(&now)
}

/// A policy's keys.
pub(crate) struct Engine {
    pub(crate) host: JsHost,
    pub(crate) keys: Keys,
    pub(crate) development: bool,
    pub(crate) fetched: RefCell<KeyCache>,
    pub(crate) read: RefCell<ReadSets>,
    webcrypto: WebCrypto,
}

impl Engine {
    pub(crate) fn new(host: JsHost, keys: Keys, development: bool) -> Self {
        let webcrypto = host.subtle().map_or_else(WebCrypto::default, |subtle| WebCrypto::new(Some(subtle)));
        Self { host, keys, development, fetched: RefCell::default(), read: RefCell::default(), webcrypto }
    }

    /// Milliseconds since the epoch; the end of time where the host's clock tells none, so that no token is valid.
    // A JavaScript time is a whole number far below 2^53.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn now_ms(&self) -> i64 {
        let now = self.host.now();
        if is_time(now) { now as i64 } else { i64::MAX }
    }

    /// Whether the host's clock can be used.
    pub(crate) fn has_time(&self) -> bool {
        is_time(self.host.now())
    }

    /// Whether a key is still among those of a rule's source; what a loader has only it can tell.
    pub(crate) fn still_has(&self, source: Option<&str>, key: &KeyId, now_ms: i64) -> bool {
        match (source, &self.keys) {
            (None, _) => true,
            (Some(_), Keys::Fetched(Some(url))) => self.fetched.borrow().has(url, key, now_ms),
            (Some(name), Keys::Fetched(None)) => self.fetched.borrow().has(name, key, now_ms),
            (Some(_), Keys::Given(given)) => given.as_ref().is_ok_and(|set| set.has(key)),
            (Some(_), Keys::Loaded) => false,
        }
    }

    fn source(&self, rule: &TrustRule) -> Option<Source> {
        match (&self.keys, rule.key_source()?) {
            (Keys::Fetched(Some(url)), KeySource::Url(_) | KeySource::Issuer(_)) => {
                Source::of(KeySource::Url(url))
            }
            (_, own) => Source::of(own),
        }
    }

    fn read(&self, text: String) -> Result<Rc<KeySet>, KeysUnavailable> {
        self.read.borrow_mut().of(text).map_err(|error| KeysUnavailable(error.to_string()))
    }

    /// What the loader has; a promise where it is one.
    fn load(&self, source: &Source, kid: Option<&str>) -> Result<JsValue, KeysUnavailable> {
        let url = Some(source.url());
        let (url, issuer) = if source.is_issuer() { (None, url) } else { (url, None) };
        self.host.load(url, issuer, kid).map_err(unavailable)
    }

    fn loaded(&self, loaded: &JsValue) -> Result<Rc<KeySet>, KeysUnavailable> {
        let text = loaded.as_string();
        self.read(text.ok_or_else(|| KeysUnavailable("the key loader returned no text".to_owned()))?)
    }

    async fn refresh(&self, source: &Source) -> Result<Rc<KeySet>, KeysUnavailable> {
        let asked = ask(&Fetch(&self.host), source, self.development).await;
        let (set, fresh_ms) =
            asked.inspect_err(|_| self.fetched.borrow_mut().fail(source.name(), self.now_ms()))?;
        let set = Rc::new(set);
        let fetched_at = self.now_ms();
        let fetched =
            Fetched { set: set.clone(), fetched_at, fresh_until: fetched_at.saturating_add(fresh_ms) };
        self.fetched.borrow_mut().keep(source.name(), fetched);
        Ok(set)
    }

    /// Asks the issuer in the background; a failure shows when the set at hand is too old.
    fn refresh_later(self: &Rc<Self>, source: Source) {
        let engine = self.clone();
        spawn_local(async move {
            let _ = engine.refresh(&source).await;
        });
    }
}

/// The engine of hosts that wait: WebCrypto, and keys that may have to be fetched.
pub(crate) struct Waiting<'a>(pub(crate) &'a Rc<Engine>);

impl Host for Waiting<'_> {
    async fn keys(&self, rule: &TrustRule, kid: Option<&str>) -> Result<Rc<KeySet>, KeysUnavailable> {
        let engine = self.0;
        let Some(source) = engine.source(rule) else { return engine.read(own(rule)?) };
        match &engine.keys {
            Keys::Given(given) => given.clone(),
            Keys::Loaded => match engine.load(&source, kid)?.dyn_into::<Promise>() {
                Ok(promise) => engine.loaded(&JsFuture::from(promise).await.map_err(unavailable)?),
                Err(loaded) => engine.loaded(&loaded),
            },
            Keys::Fetched(_) => {
                let plan = engine.fetched.borrow_mut().plan(source.name(), kid, engine.now_ms());
                match plan {
                    Plan::Use(set) => Ok(set),
                    Plan::UseAndRefresh(set) => {
                        engine.refresh_later(source);
                        Ok(set)
                    }
                    Plan::Refresh(Some(set)) => Ok(engine.refresh(&source).await.unwrap_or(set)),
                    Plan::Refresh(None) => engine.refresh(&source).await,
                    Plan::Unavailable => {
                        Err(KeysUnavailable(format!("{}: could not be reached just now", source.name())))
                    }
                }
            }
        }
    }

    async fn check(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        let webcrypto = &self.0.webcrypto;
        let told = webcrypto.check(&key.id(), key.jwk(), algorithm.name(), signed, signature).await;
        // What a host's WebCrypto lacks, Wasm has: Ed25519 came late, and Deno's RSA ends at 4096 bits.
        told.unwrap_or_else(|| scim_edge_signature::check(key, algorithm, signed, signature))
    }
}

/// The engine of hosts that cannot wait: jwt-simple, and keys that are at hand.
pub(crate) struct AtOnce<'a>(pub(crate) &'a Rc<Engine>);

impl Host for AtOnce<'_> {
    async fn keys(&self, rule: &TrustRule, kid: Option<&str>) -> Result<Rc<KeySet>, KeysUnavailable> {
        let engine = self.0;
        let Some(source) = engine.source(rule) else { return engine.read(own(rule)?) };
        match &engine.keys {
            Keys::Given(given) => given.clone(),
            Keys::Loaded => {
                let loaded = engine.load(&source, kid)?;
                if loaded.has_type::<Promise>() {
                    let why = "the key loader returns a promise: use authorize()";
                    return Err(KeysUnavailable(why.to_owned()));
                }
                engine.loaded(&loaded)
            }
            Keys::Fetched(_) => {
                let now_ms = engine.now_ms();
                let at_hand = engine.fetched.borrow().at_hand(source.name(), now_ms);
                let set = at_hand.ok_or_else(|| {
                    KeysUnavailable(format!("{}: not loaded yet: await policy.load() first", source.name()))
                })?;
                let plan = engine.fetched.borrow_mut().plan(source.name(), kid, now_ms);
                if matches!(plan, Plan::UseAndRefresh(_) | Plan::Refresh(_)) {
                    engine.refresh_later(source);
                }
                Ok(set)
            }
        }
    }

    async fn check(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        scim_edge_signature::check(key, algorithm, signed, signature)
    }
}

/// The keys that a rule has itself.
fn own(rule: &TrustRule) -> Result<String, KeysUnavailable> {
    match rule.key_source() {
        Some(KeySource::Inline(set)) => Ok(set.to_string()),
        _ => Err(KeysUnavailable("the rule has no keys".to_owned())),
    }
}

/// The host's `fetch`.
struct Fetch<'a>(&'a JsHost);

impl Network for Fetch<'_> {
    async fn get(&self, url: &str, accept: &'static str) -> Result<Answer, String> {
        let got = self.0.get(url, accept).map_err(|thrown| sentence(&thrown))?;
        let got = JsFuture::from(got).await.map_err(|thrown| sentence(&thrown))?;
        let member = |name: &str| Reflect::get(&got, &name.into()).unwrap_or_default();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // An HTTP status.
        let status = member("status").as_f64().unwrap_or(0.0) as u16;
        let body = member("body").dyn_ref::<Uint8Array>().map(Uint8Array::to_vec).unwrap_or_default();
        Ok(Answer { status, cache_control: member("cacheControl").as_string(), body })
    }
}

// For `map_err`.
#[allow(clippy::needless_pass_by_value)]
fn unavailable(thrown: JsValue) -> KeysUnavailable {
    KeysUnavailable(sentence(&thrown))
}

/// What was thrown, as a sentence for operators.
fn sentence(thrown: &JsValue) -> String {
    let error = thrown.dyn_ref::<js_sys::Error>();
    error.map_or_else(|| "the keys could not be loaded".to_owned(), |error| String::from(error.message()))
}
