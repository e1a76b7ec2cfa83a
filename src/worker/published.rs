//! Published account documents at the edge: from the isolate's memory, else from KV.
//!
//! **How soon a change is in force**: at the directory at once (`authority.rs`). At the edge within 120 s of a KV that
//! works: the Account object publishes at once, or, within KV's limit of one write a second and key, from an alarm a
//! second later (`publication.rs`); KV shows a write everywhere
//! within 60 s; KV's own cache at the edge keeps it for [`KV_CACHE_SECONDS`]; an isolate keeps what it
//! read for [`FRESH_MS`]. The isolate that handled the change has it at once.

use crate::badge;
use crate::environment::Environment;
use scim_edge_account::published::Published;
use scim_edge_policy::freshness::is_within;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use worker::Result;

/// How long an isolate keeps a document, in milliseconds.
const FRESH_MS: i64 = 25_000;

/// How long KV may answer from its cache at the edge, in seconds: its least.
const KV_CACHE_SECONDS: u64 = 30;

/// How old what an isolate knows has to be for KV's having nothing to mean that the account is gone. What was
/// just made may not be in KV yet; what was deleted is marked there for a day ([`crate::deletion`]).
const OUTDATED_MS: i64 = 600_000;

/// How many documents an isolate keeps.
const KEPT: usize = 256;

struct Entry {
    document: Option<Rc<Published>>,
    read_at: i64,
}

thread_local! {
    static CACHE: RefCell<HashMap<String, Entry>> = RefCell::new(HashMap::new());
}

/// The KV key of an account's document.
pub(crate) fn key(account: &str) -> String {
    format!("account:{account}")
}

/// What KV has of an account.
pub(crate) async fn read(environment: &Environment, account: &str) -> Result<Option<String>> {
    Ok(environment.settings()?.get(&key(account)).cache_ttl(KV_CACHE_SECONDS).text().await?)
}

/// Whether [`get`] does not ask KV.
pub(crate) fn is_at_hand(account: &str, now_ms: i64) -> bool {
    CACHE.with_borrow(|cache| {
        cache.get(account).is_some_and(|entry| is_within(entry.read_at, now_ms, FRESH_MS))
    })
}

/// An account's document; none where there is no such account.
pub(crate) async fn get(
    environment: &Environment,
    account: &str,
    now_ms: i64,
) -> Result<Option<Rc<Published>>> {
    let fresh = CACHE.with_borrow(|cache| {
        let entry = cache.get(account)?;
        is_within(entry.read_at, now_ms, FRESH_MS).then(|| entry.document.clone())
    });
    if let Some(document) = fresh {
        return Ok(living(document));
    }
    let text = read(environment, account).await?;
    let document = text.and_then(|text| Published::parse(&text)).map(Rc::new);
    Ok(living(keep(account, document, now_ms)))
}

/// Until when this version of an account's document is known to be the newest, in milliseconds since the epoch: it
/// was in the past where it is not.
pub(crate) fn fresh_until(document: &Published) -> i64 {
    CACHE.with_borrow(|cache| {
        let entry = cache.get(&document.account);
        let is_newest =
            |entry: &&Entry| entry.document.as_ref().is_some_and(|newest| newest.version == document.version);
        entry.filter(is_newest).map_or(0, |entry| entry.read_at.saturating_add(FRESH_MS))
    })
}

fn living(document: Option<Rc<Published>>) -> Option<Rc<Published>> {
    document.filter(|document| !document.deleted)
}

/// Takes over a document that has just been made: the isolate that made a change must not show the old
/// state until its copy is due.
pub(crate) fn learn(document: Published, now_ms: i64) {
    let account = document.account.clone();
    keep(&account, Some(Rc::new(document)), now_ms);
}

/// Keeps a document, unless a newer one is known: KV may still show an older one.
fn keep(account: &str, document: Option<Rc<Published>>, now_ms: i64) -> Option<Rc<Published>> {
    CACHE.with_borrow_mut(|cache| {
        let is_outdated =
            |entry: &&Entry| document.is_none() && !is_within(entry.read_at, now_ms, OUTDATED_MS);
        let known = cache.get(account).filter(|entry| !is_outdated(entry));
        let known = known.and_then(|entry| entry.document.clone());
        let version =
            |document: &Option<Rc<Published>>| document.as_ref().map_or(0, |document| document.version);
        if version(&known) != version(&document) {
            badge::forget();
        }
        let document = if version(&known) > version(&document) { known } else { document };
        if cache.len() >= KEPT && !cache.contains_key(account) {
            let oldest =
                cache.iter().min_by_key(|(_, entry)| entry.read_at).map(|(account, _)| account.clone());
            oldest.and_then(|account| cache.remove(&account));
        }
        cache.insert(account.to_owned(), Entry { document: document.clone(), read_at: now_ms });
        document
    })
}
