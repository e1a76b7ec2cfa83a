//! A copy near its callers: it answers reads as the account's own object would, while that one has lent it the
//! right to (`near.rs` says why that is never too old), and passes on what it cannot answer.
//!
//! It is an object of the same class, of an account and a region. Its calls are of a protocol of their own,
//! which an object that knows nothing of copies refuses. Whatever goes wrong here, the Worker asks the
//! account's own object.

use crate::call::Call;
use crate::directory::{Directory, Incoming, internal, let_others_in, respond};
use crate::environment::now_ms;
use crate::http::{Request, Response, answer};
use crate::log;
use crate::near::{Grant, LEASE_MS, LEND, Lease, PROTOCOL, Question};
use scim_edge_account::published::DirectorySettings;
use scim_edge_directory::TABLES;
use scim_edge_directory::replica::State;
use scim_edge_directory::scan::Scan;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;
use worker::{Error, Method, RequestInit, Result, console_error};

/// How long before its end a lease is renewed, and how long after a refusal, or after no answer, it is asked for
/// again, in milliseconds.
const RENEW_MS: i64 = LEASE_MS / 2;
const RETRY_MS: i64 = 100;
const RETRY_FAILED_MS: i64 = 1_000;

/// What a copy remembers while it runs.
#[derive(Default)]
pub(crate) struct Lent {
    lease: RefCell<Option<Held>>,
    /// How often the lease was called back.
    recalls: Cell<u64>,
    is_asking: Cell<bool>,
    ask_from: Cell<i64>,
    /// What it has answered by itself, for the account's activity.
    answered: Cell<u64>,
    failed: Cell<u64>,
}

struct Held {
    lease: Rc<Lease>,
    /// In milliseconds since the epoch.
    until: i64,
}

/// What became of a read in one turn.
enum Part {
    Done(Response),
    More,
    /// The account's own object would ask the origin.
    NotHere,
}

impl Lent {
    /// It is not to answer any more.
    pub(crate) fn end(&self) {
        self.recalls.set(self.recalls.get().wrapping_add(1));
        *self.lease.borrow_mut() = None;
    }

    fn lease(&self) -> Option<Rc<Lease>> {
        let held = self.lease.borrow();
        held.as_ref().filter(|held| now_ms() < held.until).map(|held| held.lease.clone())
    }

    fn is_to_ask(&self) -> bool {
        let now_ms = now_ms();
        let runs = |held: &Held| held.until.saturating_sub(now_ms) > RENEW_MS;
        !self.is_asking.get()
            && now_ms >= self.ask_from.get()
            && !self.lease.borrow().as_ref().is_some_and(runs)
    }
}

impl Directory {
    /// Answers a read as the copy in a region.
    pub(crate) async fn answer_near(
        self: &Rc<Self>,
        request: &Request,
        incoming: &Incoming,
        region: &str,
    ) -> Result<Response> {
        let lent = &self.memory.lent;
        if lent.is_to_ask() {
            lent.is_asking.set(true);
            let (directory, account, region) =
                (self.clone(), incoming.call.account.clone(), region.to_owned());
            spawn_local(async move { directory.renew(&account, &region).await });
        }
        let scan = Scan::default();
        // Before each turn anew: the lease may be over.
        while let Some(lease) = self.lease_for(&incoming.call) {
            match self.lent_answer(incoming, &lease.configuration.settings, &scan)? {
                Part::Done(mut response) => {
                    lent.answered.set(lent.answered.get().saturating_add(1));
                    let failed = u64::from(response.status >= 500);
                    lent.failed.set(lent.failed.get().saturating_add(failed));
                    log::mark(&mut response, &incoming.request_id, None)?;
                    return Ok(response);
                }
                Part::More => let_others_in().await?,
                Part::NotHere => break,
            }
        }
        incoming.call.hand_back(request, &self.environment).await
    }

    /// A lease that goes by settings which are at least as new as the caller's; the account's own object judges callers
    /// that were admitted by an older document.
    fn lease_for(&self, call: &Call) -> Option<Rc<Lease>> {
        self.memory.lent.lease().filter(|lease| {
            let known = &lease.configuration;
            known.account == call.account && known.version >= call.version && lease.authority <= call.version
        })
    }

    /// The answer to a read, or a part of the work.
    fn lent_answer(&self, incoming: &Incoming, settings: &DirectorySettings, scan: &Scan) -> Result<Part> {
        let done = if settings.origin_url.is_none() {
            let response = self.local_in_turns(incoming, settings, scan)?;
            response.map(|response| respond(response, &[("cache-status", "scim-edge; hit")])).transpose()?
        } else {
            let Some(state) = self.store()?.replica().map_err(internal)? else { return Ok(Part::NotHere) };
            if self.is_for_origin(incoming, settings, &state)? || is_too_old(settings, &state) {
                return Ok(Part::NotHere);
            }
            self.shown_from_copy(incoming, settings, &state, scan)?
        };
        Ok(done.map_or(Part::More, Part::Done))
    }

    /// Takes over what has changed, and borrows the right to answer.
    async fn renew(&self, account: &str, region: &str) {
        let lent = &self.memory.lent;
        let wait = match self.catch_up(account, region).await {
            Ok(()) => RETRY_MS,
            Err(error) => {
                console_error!("a copy could not be renewed: {error}");
                RETRY_FAILED_MS
            }
        };
        lent.ask_from.set(now_ms().saturating_add(wait));
        lent.is_asking.set(false);
    }

    async fn catch_up(&self, account: &str, region: &str) -> Result<()> {
        let (store, lent) = (self.store()?, &self.memory.lent);
        loop {
            let (asked_at, recalls) = (now_ms(), lent.recalls.get());
            let mark = store.mirrored().map_err(internal)?;
            let (answered, failed) = (lent.answered.get(), lent.failed.get());
            let question = Question {
                protocol: PROTOCOL,
                tables: TABLES,
                account: account.to_owned(),
                region: region.to_owned(),
                mark: mark.clone(),
                answered,
                failed,
            };
            let grant = self.ask_to_lend(&question).await?;
            lent.answered.set(lent.answered.get().saturating_sub(answered));
            lent.failed.set(lent.failed.get().saturating_sub(failed));
            // What was called back, or deleted, meanwhile was asked for before.
            if recalls != lent.recalls.get() {
                return Ok(());
            }
            let Some(page) = grant.page else { return Ok(()) };
            if mark.as_ref() != Some(&page.mark) {
                *lent.lease.borrow_mut() = None;
            }
            if let Err(error) = store.mirror(&page) {
                store.forget_mirrored().map_err(internal)?;
                return Err(internal(error));
            }
            if let Some(lease) = grant.lease {
                store.mirror_replica(lease.replica.as_ref()).map_err(internal)?;
                let until = asked_at.saturating_add(LEASE_MS);
                *lent.lease.borrow_mut() = Some(Held { lease: Rc::new(lease), until });
                return Ok(());
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn ask_to_lend(&self, question: &Question) -> Result<Grant> {
        let text = serde_json::to_string(question).map_err(|error| Error::RustError(error.to_string()))?;
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_body(Some(text.into()));
        let request = worker::Request::new_with_init(&format!("https://object{LEND}"), &init)?;
        let stub = self.environment.directories()?.id_from_name(&question.account)?.get_stub()?;
        stub.fetch_with_request(request).await?.json::<Grant>().await
    }

    /// Deletes the storage, so that no page of it is left, and starts over with empty tables.
    pub(crate) async fn forget_everything(&self) -> Result<Response> {
        self.memory.lent.end();
        self.state.storage().delete_all().await?;
        self.store()?.reopen().map_err(internal)?;
        answer(200, &[], None)
    }

    /// Called back by the account's own object.
    pub(crate) fn give_up(&self) -> Result<Response> {
        self.memory.lent.end();
        answer(200, &[], None)
    }
}

/// Whether a copy of an origin is older than it may be shown.
pub(crate) fn is_too_old(settings: &DirectorySettings, state: &State) -> bool {
    let age_ms = now_ms().saturating_sub(state.synced_at.unwrap_or(0));
    // An origin that is not believed answers nothing in the copy's place.
    settings.forward_when_stale
        && state.suspicion.is_none()
        && age_ms > i64::from(settings.max_staleness_seconds).saturating_mul(1000)
}
