//! Issuers' key sets: isolate memory, then KV, then the issuer.
//!
//! A set is fresh for as long as the issuer says, between one minute and one hour. Past that it is
//! served while it is refreshed in the background, for up to a day while the issuer cannot be reached;
//! then nobody can be let in. A token with an unknown key id has the issuer asked once, and not again
//! for [`COOLDOWN_MS`], whether that succeeded or not. Only a complete, parsed 200 with a usable key
//! replaces a set. A fetch is never shared between requests: the runtime would cancel it with the first.

use crate::environment::{Environment, now_ms};
use crate::http::read;
use crate::origin::fetch;
use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::encoding::encode;
use scim_edge_policy::key::{Key, KeyId};
use scim_edge_policy::key_set::{BYTES, KeySet, ReadSets};
use scim_edge_policy::rule::{KeySource, TrustRule};
use scim_edge_policy::url::{self, configuration_urls};
use scim_edge_policy::verify::{Host, KeysUnavailable};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use web_sys::{AbortSignal, Headers, Request, RequestInit, RequestRedirect};
use worker::{Context, console_error};

const MINUTE_MS: i64 = 60_000;
/// How long a set is fresh where the issuer does not say.
const FRESH_MS: i64 = 10 * MINUTE_MS;
const FRESH_LEAST_MS: i64 = MINUTE_MS;
const FRESH_MOST_MS: i64 = 60 * MINUTE_MS;
/// How long a set is used while it cannot be refreshed.
const STALE_MS: i64 = 24 * 60 * MINUTE_MS;
/// How long an issuer is left alone after an attempt.
const COOLDOWN_MS: i64 = 30_000;
/// How old KV's copy of an unchanged set may get before it is written again.
const REWRITE_MS: i64 = 6 * 60 * MINUTE_MS;
/// How long an issuer may take.
const TIME_LIMIT_MS: u32 = 5_000;
/// How many sets an isolate keeps.
const KEPT: usize = 256;

#[derive(Clone)]
struct Entry {
    set: Option<Rc<KeySet>>,
    fetched_at: i64,
    fresh_until: i64,
    attempted_at: i64,
}

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
    static SETS: RefCell<HashMap<String, Entry>> = RefCell::new(HashMap::new());
    /// The sets that rules bring along.
    static READ: RefCell<ReadSets> = RefCell::default();
}

/// Where a set is to be had: what it is kept by, and how it is asked for.
#[derive(Clone, Debug)]
struct Source {
    name: String,
    url: String,
    is_issuer: bool,
}

impl Source {
    fn of(source: KeySource<'_>) -> Option<Self> {
        let (KeySource::Url(url) | KeySource::Issuer(url)) = source else { return None };
        let is_issuer = matches!(source, KeySource::Issuer(_));
        Some(Self { name: source.name()?, url: url.to_owned(), is_issuer })
    }
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
        let url = source.name.as_str();
        let now_ms = now_ms();
        let entry = match known(url) {
            Some(entry) => entry,
            None => self.read_kv(url).await,
        };
        let rested = now_ms.saturating_sub(entry.attempted_at) >= COOLDOWN_MS;
        let usable = entry.set.filter(|_| now_ms.saturating_sub(entry.fetched_at) < STALE_MS);
        match usable {
            Some(set) if kid.is_none_or(|kid| set.has_kid(kid)) => {
                if now_ms >= entry.fresh_until && rested {
                    attempted(url, now_ms);
                    let (environment, source) = (self.environment.clone(), source.clone());
                    self.context.wait_until(async move {
                        if let Err(KeysUnavailable(why)) = refresh(&environment, &source).await {
                            console_error!("keys of {} could not be refreshed: {why}", source.name);
                        }
                    });
                }
                Ok(set)
            }
            Some(set) if !rested => Ok(set),
            Some(set) => {
                attempted(url, now_ms);
                Ok(refresh(self.environment, &source).await.unwrap_or(set))
            }
            None if !rested => Err(KeysUnavailable("the issuer could not be reached just now".to_owned())),
            None => {
                attempted(url, now_ms);
                refresh(self.environment, &source).await
            }
        }
    }

    async fn check(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        // What the host cannot tell is a no.
        scim_edge_webcrypto::check(&key.id(), key.jwk(), algorithm.name(), signed, signature).await
            == Some(true)
    }
}

/// Whether a fresh set of this source has the key: what a token that was verified before still needs. The
/// keys of a rule itself change with the settings only.
pub(crate) fn still_has(source: Option<&str>, key: &KeyId, now_ms: i64) -> bool {
    let Some(url) = source else { return true };
    SETS.with_borrow(|sets| {
        sets.get(url).is_some_and(|entry| {
            now_ms < entry.fresh_until && entry.set.as_ref().is_some_and(|set| set.has(key))
        })
    })
}

impl Keys<'_> {
    /// A set that is not in memory; without one in KV, an entry that knows nothing.
    async fn read_kv(&self, url: &str) -> Entry {
        let kept = match self.environment.key_sets() {
            Ok(store) => store.get(&kv_key(url)).text().await.ok().flatten(),
            Err(_) => None,
        };
        let kept =
            kept.and_then(|text| serde_json::from_str::<Kept>(&text).ok()).filter(|kept| kept.url == url);
        let entry = kept.and_then(|kept| {
            Some(Entry {
                set: Some(Rc::new(KeySet::parse(kept.keys.as_bytes()).ok()?)),
                fetched_at: kept.fetched_at,
                fresh_until: kept.fresh_until,
                attempted_at: 0,
            })
        });
        let entry = entry.unwrap_or(Entry { set: None, fetched_at: 0, fresh_until: 0, attempted_at: 0 });
        keep(url, entry.clone());
        entry
    }
}

fn known(url: &str) -> Option<Entry> {
    SETS.with_borrow(|sets| sets.get(url).cloned())
}

fn keep(url: &str, entry: Entry) {
    SETS.with_borrow_mut(|sets| {
        if sets.len() >= KEPT && !sets.contains_key(url) {
            let oldest = sets.iter().min_by_key(|(_, entry)| entry.attempted_at).map(|(url, _)| url.clone());
            oldest.and_then(|url| sets.remove(&url));
        }
        sets.insert(url.to_owned(), entry);
    });
}

fn attempted(url: &str, now_ms: i64) {
    SETS.with_borrow_mut(|sets| {
        if let Some(entry) = sets.get_mut(url) {
            entry.attempted_at = now_ms;
        }
    });
}

fn kv_key(url: &str) -> String {
    format!("jwks:{}", encode(&Sha256::digest(url.as_bytes())))
}

/// Asks the issuer, and keeps what it answers.
async fn refresh(environment: &Environment, source: &Source) -> Result<Rc<KeySet>, KeysUnavailable> {
    let (set, fresh_ms) = if source.is_issuer {
        ask(environment, &discover(environment, &source.url).await?).await?
    } else {
        ask(environment, &source.url).await?
    };
    let url = source.name.as_str();
    let set = Rc::new(set);
    let now_ms = now_ms();
    let (fetched_at, fresh_until) = (now_ms, now_ms.saturating_add(fresh_ms));
    let before = known(url);
    keep(url, Entry { set: Some(set.clone()), fetched_at, fresh_until, attempted_at: now_ms });
    let unchanged = before.as_ref().is_some_and(|entry| {
        entry.set.as_deref() == Some(&*set) && now_ms.saturating_sub(entry.fetched_at) < REWRITE_MS
    });
    if !unchanged {
        let kept = Kept { url: url.to_owned(), fetched_at, fresh_until, keys: set.to_json() };
        let stored = match (environment.key_sets(), serde_json::to_string(&kept)) {
            (Ok(store), Ok(text)) => match store.put(&kv_key(url), text) {
                Ok(put) => put.execute().await.is_ok(),
                Err(_) => false,
            },
            _ => false,
        };
        if !stored {
            console_error!("the keys of {url} could not be written to KV");
        }
    }
    Ok(set)
}

/// The set at a URL, and for how long it is fresh.
async fn ask(environment: &Environment, url: &str) -> Result<(KeySet, i64), KeysUnavailable> {
    let answer = get(environment, url, "application/jwk-set+json, application/json").await?;
    let set = KeySet::parse(&answer.body).map_err(|error| unavailable(url, &error.to_string()))?;
    Ok((set, fresh_ms(answer.cache_control.as_deref())))
}

/// Where an issuer says that its keys are (OpenID Connect Discovery §4, RFC 8414 §3). What it says of
/// itself must be the issuer, to the letter: another's configuration could lie here.
async fn discover(environment: &Environment, issuer: &str) -> Result<String, KeysUnavailable> {
    let mut why = unavailable(issuer, "the issuer is no URL");
    for url in configuration_urls(issuer) {
        match get(environment, &url, "application/json").await {
            Ok(answer) => {
                let limits = scim_edge_json::Limits { bytes: BYTES, depth: 16 };
                let configuration = scim_edge_json::parse_object(&answer.body, limits)
                    .map_err(|error| unavailable(&url, &error.to_string()))?;
                let text = |name: &str| configuration.get(name).and_then(|value| value.as_str());
                if text("issuer") != Some(issuer) {
                    return Err(unavailable(&url, "names another issuer"));
                }
                let keys = text("jwks_uri").ok_or_else(|| unavailable(&url, "has no jwks_uri"))?;
                return Ok(keys.to_owned());
            }
            Err(error) => why = error,
        }
    }
    Err(why)
}

struct Got {
    body: Vec<u8>,
    cache_control: Option<String>,
}

async fn get(environment: &Environment, url: &str, accept: &str) -> Result<Got, KeysUnavailable> {
    url::check(url, environment.is_development()).map_err(|why| unavailable(url, why))?;
    let request = request(url, accept).map_err(|_| unavailable(url, "no request can be made of it"))?;
    let answer = fetch(&request).await.map_err(|_| unavailable(url, "could not be reached"))?;
    if answer.status() != 200 {
        return Err(unavailable(url, &format!("answered {}", answer.status())));
    }
    let cache_control = answer.headers().get("cache-control").ok().flatten();
    let body = read(answer.body(), BYTES)
        .await
        .map_err(|_| unavailable(url, "the answer is too long or broke off"))?;
    Ok(Got { body, cache_control })
}

fn unavailable(url: &str, why: &str) -> KeysUnavailable {
    KeysUnavailable(format!("{url}: {why}"))
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

/// `max-age` (RFC 9111 §5.2.2.1) within bounds.
fn fresh_ms(cache_control: Option<&str>) -> i64 {
    let directives = cache_control.unwrap_or_default().split(',').map(str::trim);
    let max_age = directives
        .filter_map(|directive| directive.strip_prefix("max-age="))
        .find_map(|seconds| seconds.trim_matches('"').parse::<i64>().ok());
    max_age.map_or(FRESH_MS, |seconds| seconds.saturating_mul(1000).clamp(FRESH_LEAST_MS, FRESH_MOST_MS))
}
