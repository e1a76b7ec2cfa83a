//! Issuers' key sets: isolate memory, then KV, then the issuer. What to do when is the policy's to say
//! ([`scim_edge_policy::key_cache`]); here it is done. A fetch is never shared between requests: the runtime
//! would cancel it with the first.

use crate::badge;
use crate::body::read_answer;
use crate::environment::{Environment, now_ms};
use crate::metrics;
use crate::origin::fetch;
use crate::room::Room;
use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::encoding::encode;
use scim_edge_policy::issuer::{Answer, Network, Source, ask};
use scim_edge_policy::key::{Key, KeyId};
use scim_edge_policy::key_cache::{Fetched, KeyCache, Plan};
use scim_edge_policy::key_set::{BYTES, KeySet, Listed, ReadSets};
use scim_edge_policy::rule::{KeySource, TrustRule};
use scim_edge_policy::verify::{Host, KeysUnavailable};
use scim_edge_webcrypto::WebCrypto;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::rc::Rc;
use web_sys::{AbortSignal, Headers, Request, RequestInit, RequestRedirect};
use worker::{Context, console_error};

/// How long an issuer may take.
const TIME_LIMIT_MS: u32 = 5_000;

/// A set in KV.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    url: String,
    fetched_at: i64,
    fresh_until: i64,
    keys: String,
}

thread_local! {
    static SETS: RefCell<KeyCache> = RefCell::default();
    /// The sets that rules bring along.
    static READ: RefCell<ReadSets> = RefCell::default();
    static WEBCRYPTO: Rc<WebCrypto> = Rc::default();
}

/// Verification's host in the Worker.
pub(crate) struct Keys<'a> {
    pub environment: &'a Rc<Environment>,
    pub context: &'a Context,
}

impl Host for Keys<'_> {
    async fn keys(&self, rule: &TrustRule, kid: Option<&str>) -> Result<Rc<KeySet>, KeysUnavailable> {
        if let Some(KeySource::Inline(set)) = rule.key_source() {
            let read = READ.with_borrow_mut(|sets| sets.of(set.to_string()));
            return read.map_err(|error| KeysUnavailable(error.to_string()));
        }
        let source = rule.key_source().and_then(Source::of);
        let source = source.ok_or_else(|| KeysUnavailable("the rule has no keys".to_owned()))?;
        if !SETS.with_borrow(|sets| sets.knows(source.name())) {
            let kept = read_kv(self.environment, source.name()).await;
            SETS.with_borrow_mut(|sets| sets.restore(source.name(), kept));
        }
        match SETS.with_borrow_mut(|sets| sets.plan(source.name(), kid, now_ms())) {
            Plan::Use(set) => Ok(set),
            Plan::UseAndRefresh(set) => {
                let environment = self.environment.clone();
                self.context.wait_until(async move {
                    if let Err(KeysUnavailable(why)) = refresh(&environment, &source).await {
                        let why = why.rsplit(": ").next().unwrap_or_default();
                        console_error!("keys of {} could not be refreshed: {why}", shown(source.name()));
                    }
                });
                Ok(set)
            }
            Plan::Refresh(Some(set)) => Ok(refresh(self.environment, &source).await.unwrap_or(set)),
            Plan::Refresh(None) => refresh(self.environment, &source).await,
            Plan::Unavailable => Err(KeysUnavailable("the issuer could not be reached just now".to_owned())),
        }
    }

    async fn check(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        let webcrypto = WEBCRYPTO.with(Rc::clone);
        // What the host cannot tell is a no.
        webcrypto.check(&key.id(), key.jwk(), algorithm.name(), signed, signature).await == Some(true)
    }
}

/// Whether a fresh set of this source has the key. The keys of a rule itself change with the settings only.
pub(crate) fn still_has(source: Option<&str>, key: &KeyId, now_ms: i64) -> bool {
    source.is_none_or(|name| SETS.with_borrow(|sets| sets.has(name, key, now_ms)))
}

/// Until when a source's set is fresh, in milliseconds since the epoch.
pub(crate) fn fresh_until(source: Option<&str>) -> i64 {
    source.map_or(i64::MAX, |name| SETS.with_borrow(|sets| sets.fresh_until(name)))
}

/// What a URL has to offer, by the rules by which an issuer is asked; nothing of it is kept.
pub(crate) async fn show(
    environment: &Environment,
    url: &str,
) -> Result<(Vec<Listed>, i64), KeysUnavailable> {
    scim_edge_policy::issuer::show(&Fetch, url, environment.is_development()).await
}

/// Asks the issuer, and keeps what it answers.
async fn refresh(environment: &Environment, source: &Source) -> Result<Rc<KeySet>, KeysUnavailable> {
    let asked = ask(&Fetch, source, environment.is_development()).await;
    metrics::count_key_fetch(asked.is_ok());
    let (set, fresh_ms) =
        asked.inspect_err(|_| SETS.with_borrow_mut(|sets| sets.fail(source.name(), now_ms())))?;
    if let Some(kid) = set.exposed().next() {
        console_error!("{} publishes the private half of a key: kid {kid:?}", shown(source.name()));
    }
    let set = Rc::new(set);
    let fetched_at = now_ms();
    let fetched = Fetched { set: set.clone(), fetched_at, fresh_until: fetched_at.saturating_add(fresh_ms) };
    // Its keys may be others now.
    badge::forget();
    if SETS.with_borrow_mut(|sets| sets.keep(source.name(), fetched.clone()))
        && write_kv(environment, source.name(), &fetched).await.is_none()
    {
        console_error!("the keys of {} could not be written to KV", shown(source.name()));
    }
    Ok(set)
}

/// A set's name for the log: a query may hold a secret.
fn shown(name: &str) -> &str {
    name.split('?').next().unwrap_or_default()
}

async fn read_kv(environment: &Environment, name: &str) -> Option<Fetched> {
    let text = environment.key_sets().ok()?.get(&kv_key(name)).text().await.ok()??;
    let kept = serde_json::from_str::<Kept>(&text).ok().filter(|kept| kept.url == name)?;
    let set = Rc::new(KeySet::parse(kept.keys.as_bytes()).ok()?);
    Some(Fetched { set, fetched_at: kept.fetched_at, fresh_until: kept.fresh_until })
}

async fn write_kv(environment: &Environment, name: &str, fetched: &Fetched) -> Option<()> {
    let kept = Kept {
        url: name.to_owned(),
        fetched_at: fetched.fetched_at,
        fresh_until: fetched.fresh_until,
        keys: fetched.set.to_json(),
    };
    let text = serde_json::to_string(&kept).ok()?;
    environment.key_sets().ok()?.put(&kv_key(name), text).ok()?.execute().await.ok()
}

fn kv_key(name: &str) -> String {
    format!("jwks:{}", encode(&Sha256::digest(name.as_bytes())))
}

/// The platform's network.
struct Fetch;

impl Network for Fetch {
    async fn get(&self, url: &str, accept: &'static str) -> Result<Answer, String> {
        let request = request(url, accept).map_err(|_| "no request can be made of it".to_owned())?;
        let answer = fetch(&request).await.map_err(|_| "could not be reached".to_owned())?;
        let cache_control = answer.headers().get("cache-control").ok().flatten();
        let body = read_answer(answer.body(), BYTES, Room::none()).await;
        let body = body.map_err(|_| "the answer is too long or broke off".to_owned())?;
        Ok(Answer { status: answer.status(), cache_control, body: body.to_vec() })
    }
}

fn request(url: &str, accept: &str) -> Result<Request, wasm_bindgen::JsValue> {
    let headers = Headers::new()?;
    headers.set("accept", accept)?;
    let init = RequestInit::new();
    init.set_headers(&headers);
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&AbortSignal::timeout_with_u32(TIME_LIMIT_MS)));
    Request::new_with_str_and_init(url, &init)
}
