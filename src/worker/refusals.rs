//! Refused requests on their way to the audit of their account.
//!
//! A stranger must not be able to make objects or rows: an isolate collects what it has refused and, a
//! few seconds later, tells the objects of accounts that exist, refusals that are alike as one. What an
//! isolate has collected is lost when it ends before that.

use crate::aside::{Aside, Refused, ask};
use crate::environment::{Environment, now_ms};
use crate::log::Record;
use crate::published;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use worker::{Context, Delay, console_error};

/// How long refusals are collected, in milliseconds.
const COLLECT_MS: u64 = 2_000;

/// When a batch is given up whose sender was stopped, in milliseconds.
const GIVE_UP_MS: i64 = 15_000;

/// How many accounts are collected for at a time.
const ACCOUNTS: usize = 64;

/// How many kinds of refusals of one account.
const KINDS: usize = 20;

struct Batch {
    since_ms: i64,
    refused: Vec<Refused>,
}

thread_local! {
    static BATCHES: RefCell<HashMap<String, Batch>> = RefCell::new(HashMap::new());
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
    if BATCHES.with_borrow_mut(|batches| add(batches, account, one)) {
        let (environment, account) = (environment.clone(), account.to_owned());
        context.wait_until(async move {
            Delay::from(Duration::from_millis(COLLECT_MS)).await;
            let batch = BATCHES.with_borrow_mut(|batches| batches.remove(&account));
            if let Some(batch) = batch
                && let Err(error) = tell(&environment, &account, batch.refused).await
            {
                console_error!("refusals were not written to the audit: {error}");
            }
        });
    }
}

/// Whether this refusal begins a batch, which is then to be sent.
fn add(batches: &mut HashMap<String, Batch>, account: &str, one: Refused) -> bool {
    let now_ms = one.at;
    batches.retain(|_, batch| now_ms.saturating_sub(batch.since_ms) < GIVE_UP_MS);
    let Some(batch) = batches.get_mut(account) else {
        let has_room = batches.len() < ACCOUNTS;
        if has_room {
            batches.insert(account.to_owned(), Batch { since_ms: now_ms, refused: vec![one] });
        }
        return has_room;
    };
    let same = |known: &&mut Refused| {
        (&known.operation, &known.principal, &known.reason) == (&one.operation, &one.principal, &one.reason)
    };
    let has_room = batch.refused.len() < KINDS;
    match batch.refused.iter_mut().find(same) {
        Some(known) => known.count = known.count.saturating_add(1),
        None if has_room => batch.refused.push(one),
        None => {}
    }
    false
}

async fn tell(environment: &Environment, account: &str, refused: Vec<Refused>) -> worker::Result<()> {
    let Some(published) = published::get(environment, account, now_ms()).await? else { return Ok(()) };
    ask(environment, &published, Aside::Refused(refused)).await?;
    Ok(())
}
