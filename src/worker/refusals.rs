//! Refused requests on their way to the audit of their account.
//!
//! A stranger must not be able to make objects or rows: an isolate collects what it has refused and, a
//! few seconds later, tells the objects of accounts that exist, refusals that are alike as one. What an
//! isolate has collected is lost when it ends before that. Callers who showed credentials of the account have
//! batches of their own: strangers who name many accounts, or ask for many things, take no room of theirs.

use crate::aside::{Aside, Refused, ask};
use crate::environment::{Environment, now_ms};
use crate::log::Record;
use crate::published;
use scim_edge_policy::freshness::is_within;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use worker::{Context, Delay, console_error};

/// How long refusals are collected, in milliseconds.
const COLLECT_MS: u64 = 2_000;

/// When a batch is given up whose sender was stopped, in milliseconds.
const GIVE_UP_MS: i64 = 15_000;

/// How many batches there are at a time, of strangers' and of callers' with credentials.
const BATCHES_OF_EACH: usize = 64;

/// How many kinds of refusals a batch has; one more is for all others.
const KINDS: usize = 20;

/// The operation and the reason of that one.
const OTHER: &str = "other";

/// An account, and whether its callers showed credentials of it.
type Key = (String, bool);

struct Batch {
    since_ms: i64,
    refused: Vec<Refused>,
}

thread_local! {
    static BATCHES: RefCell<HashMap<Key, Batch>> = RefCell::new(HashMap::new());
}

/// Collects a refusal.
pub(crate) fn collect(
    environment: &Rc<Environment>,
    context: &Context,
    account: &str,
    record: &Record,
    reason: &'static str,
    status: u16,
) {
    let one = Refused {
        at: now_ms(),
        operation: record.operation().to_owned(),
        principal: record.principal(),
        reason: reason.to_owned(),
        status,
        request_id: record.request_id().to_owned(),
        count: 1,
    };
    let key = (account.to_owned(), one.principal.is_some());
    if BATCHES.with_borrow_mut(|batches| add(batches, &key, one)) {
        let environment = environment.clone();
        context.wait_until(async move {
            Delay::from(Duration::from_millis(COLLECT_MS)).await;
            let batch = BATCHES.with_borrow_mut(|batches| batches.remove(&key));
            if let Some(batch) = batch
                && let Err(error) = tell(&environment, &key.0, batch.refused).await
            {
                console_error!("refusals were not written to the audit: {error}");
            }
        });
    }
}

/// Whether this refusal begins a batch, which is then to be sent.
fn add(batches: &mut HashMap<Key, Batch>, key: &Key, one: Refused) -> bool {
    let now_ms = one.at;
    batches.retain(|_, batch| is_within(batch.since_ms, now_ms, GIVE_UP_MS));
    let Some(batch) = batches.get_mut(key) else {
        let has_room = batches.keys().filter(|(_, of)| *of == key.1).count() < BATCHES_OF_EACH;
        if has_room {
            batches.insert(key.clone(), Batch { since_ms: now_ms, refused: vec![one] });
        }
        return has_room;
    };
    let is_full = batch.refused.len() >= KINDS;
    match batch.refused.iter_mut().find(|known| is_alike(known, &one)) {
        Some(known) => known.count = known.count.saturating_add(1),
        None if !is_full => batch.refused.push(one),
        None => {
            let other = Refused { operation: OTHER.to_owned(), reason: OTHER.to_owned(), status: 0, ..one };
            match batch.refused.iter_mut().find(|known| is_alike(known, &other)) {
                Some(known) => known.count = known.count.saturating_add(1),
                None => batch.refused.push(other),
            }
        }
    }
    false
}

fn is_alike(one: &Refused, other: &Refused) -> bool {
    (&one.operation, &one.principal, &one.reason, one.status)
        == (&other.operation, &other.principal, &other.reason, other.status)
}

async fn tell(environment: &Environment, account: &str, refused: Vec<Refused>) -> worker::Result<()> {
    let Some(published) = published::get(environment, account, now_ms()).await? else { return Ok(()) };
    ask(environment, &published, Aside::Refused(refused)).await?;
    Ok(())
}
