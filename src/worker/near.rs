//! Copies near callers, as the account's own object sees them: it lends each of them the right to answer for
//! some seconds, and nothing changes while anybody has it.
//!
//! **Why no copy answers with what is too old.** A copy answers by itself under a lease only, which this object
//! lends together with all that its tables have by then, and only while it would itself answer from them. Before
//! a write is made or leaves for the origin, before anything else changes the tables, and before newer settings are
//! gone by, all leases are called back ([`Directory::recall`]): each copy confirms that it answers no more, or its
//! lease has run out. None is lent until that change is done. What a copy has asked for before it was called
//! back it does not take any more.
//!
//! **Clocks** are compared within one object only. A lease runs from before the copy asked, by its clock, and for
//! [`MARGIN_MS`] longer from after it was lent, by this one's. An object that was stopped cannot know what it had
//! lent: it takes every copy that it knows of to have a lease of full length.

use crate::body::read;
use crate::directory::{Configuration, Directory, internal};
use crate::environment::{new_uuid, now_ms};
use crate::http::{BODY_LIMIT, Request, Response, answer};
use futures_util::future::{Either, join_all, select};
use scim_edge_directory::TABLES;
use scim_edge_directory::activity::Happened;
use scim_edge_directory::changes::{ENTRIES, Mark, Page};
use scim_edge_directory::replica::State;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::{Error, Method, RequestInit, Result, console_error};

#[wasm_bindgen(raw_module = "./edge.js")]
extern "C" {
    /// Not `worker::Delay`, see `turn` in `directory.rs`.
    pub(crate) fn pause(ms: u32) -> js_sys::Promise;
}

/// The paths of a copy's question, and of a call back. No client's request has them at an object.
pub(crate) const LEND: &str = "/lend";
pub(crate) const RECALL: &str = "/recall";
pub(crate) const FORGET: &str = "/forget";

/// The private protocol; copy and object may run different deployments for a while.
pub(crate) const PROTOCOL: u32 = 1;

/// How long a lease is, and how much longer it is waited for, in milliseconds.
pub(crate) const LEASE_MS: i64 = 10_000;
const MARGIN_MS: i64 = 1_000;

/// How many changes are made between two looks at how long the log has become.
const BETWEEN_TRIMS: u32 = 256;

/// What a copy asks.
#[derive(Serialize, Deserialize)]
pub(crate) struct Question {
    pub protocol: u32,
    /// The version of its tables.
    pub tables: usize,
    pub account: String,
    pub region: String,
    /// How far it has come.
    pub mark: Option<Mark>,
    /// How many requests it has answered by itself since it was last answered, and with how many errors.
    pub answered: u64,
    pub failed: u64,
}

/// What it gets.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Grant {
    /// What to take over; none while the object does not answer from its own tables.
    pub page: Option<Page>,
    /// The right to answer, where the copy has everything then.
    pub lease: Option<Lease>,
}

/// What to answer by.
#[derive(Serialize, Deserialize)]
pub(crate) struct Lease {
    pub configuration: Configuration,
    /// The version of the newest account document that the account's own object knows.
    #[serde(default)]
    pub authority: u64,
    /// What the tables are a copy of.
    pub replica: Option<State>,
}

/// The name of an account's copy in a region. No account has it: their names have no such character.
pub(crate) fn name(account: &str, region: &str) -> String {
    format!("{account}~{region}")
}

/// What is lent, and who is changing something.
#[derive(Default)]
pub(crate) struct Near {
    /// Until when a copy may answer, by its region, in milliseconds since the epoch.
    leases: RefCell<HashMap<String, i64>>,
    changing: Cell<usize>,
    changes: Cell<u32>,
}

impl Near {
    /// After a start: whatever was lent before may still be out.
    pub(crate) fn assume(&self, regions: Vec<String>) {
        let until = now_ms().saturating_add(LEASE_MS).saturating_add(MARGIN_MS);
        self.leases.borrow_mut().extend(regions.into_iter().map(|region| (region, until)));
    }

    /// Whether any copy may be answering.
    pub(crate) fn has_lent(&self) -> bool {
        !self.leases.borrow().is_empty()
    }

    fn begin(&self) -> Recalled<'_> {
        self.changing.set(self.changing.get().saturating_add(1));
        self.changes.set(self.changes.get().wrapping_add(1));
        Recalled(self)
    }
}

/// Nothing is lent as long as there is one.
pub(crate) struct Recalled<'a>(&'a Near);

impl Drop for Recalled<'_> {
    fn drop(&mut self) {
        self.0.changing.set(self.0.changing.get().saturating_sub(1));
    }
}

impl Directory {
    /// Calls back all that is lent, and waits until no copy answers by itself. To be held while something changes.
    pub(crate) async fn recall(&self) -> Recalled<'_> {
        let near = &self.memory.near;
        let recalled = near.begin();
        let leases: Vec<(String, i64)> =
            near.leases.borrow().iter().map(|(region, until)| (region.clone(), *until)).collect();
        if !leases.is_empty() {
            join_all(leases.iter().map(|(region, until)| self.call_back(region, *until))).await;
        }
        let is_unwanted = !leases.is_empty() && self.environment.read_copies().is_empty();
        if (is_unwanted || near.changes.get().is_multiple_of(BETWEEN_TRIMS))
            && let Err(error) = self.tidy_log()
        {
            console_error!("the log of changes was not trimmed: {error}");
        }
        recalled
    }

    async fn call_back(&self, region: &str, until: i64) {
        let left = u32::try_from(until.saturating_sub(now_ms())).unwrap_or(0);
        if left > 0 {
            let told = Box::pin(self.tell(region));
            let timeout = JsFuture::from(pause(left));
            if let Either::Left((Err(error), timeout)) = select(told, timeout).await {
                console_error!("a copy does not confirm, its lease is waited for: {error}");
                drop(timeout.await);
            }
        }
        self.memory.near.leases.borrow_mut().remove(region);
    }

    /// Deletes the storage of every copy, for an erasure: the tables that a copy gets later lack the erased resource.
    pub(crate) async fn forget_copies(&self) -> Result<()> {
        for region in self.store()?.copies().map_err(internal)? {
            self.order(&region, FORGET).await?;
        }
        Ok(())
    }

    /// Tells a copy that it is not to answer any more.
    async fn tell(&self, region: &str) -> Result<()> {
        self.order(region, RECALL).await
    }

    async fn order(&self, region: &str, path: &str) -> Result<()> {
        let account = self.known_configuration().map_err(internal)?.map(|known| known.account);
        let name = name(&account.unwrap_or_default(), region);
        let stub = self.environment.directories()?.id_from_name(&name)?.get_stub()?;
        let mut init = RequestInit::new();
        init.with_method(Method::Post);
        let request = worker::Request::new_with_init(&format!("https://object{path}"), &init)?;
        match stub.fetch_with_request(request).await?.status_code() {
            200 => Ok(()),
            status => Err(Error::RustError(format!("it answered {status}"))),
        }
    }

    /// Ends the log where copies are wanted no more, and keeps it short where they do not ask.
    fn tidy_log(&self) -> Result<()> {
        let store = self.store()?;
        let ended =
            if self.environment.read_copies().is_empty() { store.end_log() } else { store.trim_log() };
        ended.map_err(internal)
    }

    /// Answers a copy.
    pub(crate) async fn lend(&self, request: &Request) -> Result<Response> {
        let body = read(request.body(), BODY_LIMIT).await.ok();
        let question = body.and_then(|body| serde_json::from_slice::<Question>(&body).ok());
        let question = question.filter(|question| question.protocol == PROTOCOL);
        let question =
            question.ok_or_else(|| Error::RustError("a question of another protocol".to_owned()))?;
        let grant = self.grant(&question)?;
        let text = serde_json::to_string(&grant).map_err(|error| Error::RustError(error.to_string()))?;
        answer(200, &[("content-type", "application/json")], Some(text))
    }

    /// In one turn: what is lent is what the tables have.
    fn grant(&self, question: &Question) -> Result<Grant> {
        let store = self.store()?;
        let configuration = self.known_configuration().map_err(internal)?;
        let configuration = configuration.filter(|known| known.account == question.account);
        let Some(configuration) = configuration else { return Ok(Grant::default()) };
        if self.is_sealed()? {
            return Ok(Grant::default());
        }
        let happened =
            Happened { requests: question.answered, failed: question.failed, ..Happened::default() };
        if question.answered > 0 {
            let mut activity = self.memory.journal.activity.borrow_mut();
            activity.add(store.sql(), happened, now_ms()).map_err(internal)?;
        }
        let replica = store.replica().map_err(internal)?;
        let is_whole = match (&configuration.settings.origin_url, &replica) {
            (None, None) => true,
            (Some(origin), Some(state)) => state.origin == *origin && state.filling.is_none(),
            _ => false,
        };
        // What may have changed at the origin only this object asks for.
        let is_known = is_whole && store.unknown().map_err(internal)?.is_empty();
        if !is_known || question.tables != TABLES || self.environment.read_copies().is_empty() {
            // To be found where the account is deleted.
            store.note_copy(&question.region, None).map_err(internal)?;
            return Ok(Grant::default());
        }
        if !store.has_log().map_err(internal)? {
            store.begin_log(&new_uuid().unwrap_or_default()).map_err(internal)?;
        }
        let page = store.changes(question.mark.as_ref(), ENTRIES).map_err(internal)?;
        store.note_copy(&question.region, Some(&page.mark)).map_err(internal)?;
        let near = &self.memory.near;
        if page.more || near.changing.get() > 0 {
            return Ok(Grant { page: Some(page), lease: None });
        }
        let until = now_ms().saturating_add(LEASE_MS).saturating_add(MARGIN_MS);
        near.leases.borrow_mut().insert(question.region.clone(), until);
        // Passes and checks are this object's.
        let replica = replica.map(|state| State { pass: None, wanted: None, last_check: None, ..state });
        let authority = self.authority().map_err(internal)?.map_or(0, |known| known.version());
        Ok(Grant { page: Some(page), lease: Some(Lease { configuration, authority, replica }) })
    }
}
