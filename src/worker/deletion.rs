//! The deletion of an account, with the root key: its document, its directory, their alarms.
//!
//! First nobody is let in any more: the document goes, and KV and this isolate learn of it by a **tombstone**
//! with a higher version, which takes the place of what other isolates know (`published.rs`). Then the
//! directory is emptied, its copies near callers first; it refuses calls of isolates that do not know yet. The tombstone goes by itself
//! after a day, the directory's mark by an alarm. Deleting again finishes what was interrupted.

use crate::account::Account;
use crate::admin::names_dry_run;
use crate::directory::{Directory, internal};
use crate::environment::{Environment, now_ms};
use crate::http::{Request, Response, answer, read};
use crate::log::Record;
use crate::near::name;
use crate::published;
use scim_edge_account::api::{DRY_RUN, Failure, success};
use scim_edge_account::published::Published;
use scim_edge_policy::refusal::Reason;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use worker::{Delay, Error, Method, ObjectNamespace, RequestInit, Result};

/// The path that an order has at an object. No client's request has it there: theirs keep their own.
pub(crate) const PATH: &str = "/delete";

/// The private protocol; Worker and object may run different deployments for a while.
const PROTOCOL: u32 = 1;

/// How long the tombstone stays in KV, in seconds: longer than any isolate goes by what it knows.
const TOMBSTONE_SECONDS: u64 = 86_400;

/// How long the directory remembers that it was deleted, in milliseconds: longer than a change takes to be in
/// force everywhere.
const MARK_MS: i64 = 300_000;

/// How often, and at which distance, a publication under way is waited for.
const WAITS: u32 = 100;
const WAIT: Duration = Duration::from_millis(50);

/// KV takes one write a second and key.
const BETWEEN_WRITES: Duration = Duration::from_millis(1_100);

/// An order to delete.
#[derive(Serialize, Deserialize)]
struct Order {
    protocol: u32,
    account: String,
    /// The version of the tombstone, for the directory.
    version: u64,
}

/// Answers `DELETE /ng/api/accounts/{account}`.
pub(crate) async fn handle(
    request: &Request,
    environment: &Environment,
    record: &Record,
    account: &str,
) -> Result<Response> {
    let correlation_id = record.request_id();
    let api_key = request.headers().get("x-api-key")?.unwrap_or_default();
    let refusal = if !environment.is_root_key(&api_key) {
        record.refused_with(Reason::ApiKeyNotValid.code());
        Some(Failure::unauthenticated())
    } else if request.method() != "DELETE" {
        Some(Failure::method())
    } else if names_dry_run(request) {
        Some(Failure::invalid(DRY_RUN, "this call has no dry run, and was not made"))
    } else {
        None
    };
    let (status, body) = match refusal {
        Some(failure) => (failure.status, failure.body(correlation_id)),
        None => {
            record.admitted("root");
            delete(environment, account).await?;
            (200, success(true.into(), correlation_id))
        }
    };
    let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
    answer(status, &headers, Some(body.to_string()))
}

async fn delete(environment: &Environment, account: &str) -> Result<()> {
    let mut order = Order { protocol: PROTOCOL, account: account.to_owned(), version: 0 };
    let tombstone = send(environment.accounts()?, account, &order).await?.json::<Published>().await?;
    order.version = tombstone.version;
    published::learn(tombstone, now_ms());
    send(environment.directories()?, account, &order).await.map(|_| ())
}

async fn send(objects: ObjectNamespace, name: &str, order: &Order) -> Result<worker::Response> {
    let text = serde_json::to_string(order).map_err(|error| Error::RustError(error.to_string()))?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(text.into()));
    let request = worker::Request::new_with_init(&format!("https://object{PATH}"), &init)?;
    let answered = objects.id_from_name(name)?.get_stub()?.fetch_with_request(request).await?;
    match answered.status_code() {
        200 => Ok(answered),
        status => Err(Error::RustError(format!("an object did not delete its account: {status}"))),
    }
}

async fn order(body: Option<web_sys::ReadableStream>) -> Result<Order> {
    let body = read(body, 4 << 10).await;
    let order = body.ok().and_then(|body| serde_json::from_slice::<Order>(&body).ok());
    let order = order.filter(|order| order.protocol == PROTOCOL);
    order.ok_or_else(|| Error::RustError("an order of another protocol".to_owned()))
}

impl Account {
    pub(crate) async fn delete(&self, request: &worker::Request) -> Result<worker::Response> {
        let order = order(request.inner().body()).await?;
        let version = self.forget()?.saturating_add(1).max(u64::try_from(now_ms()).unwrap_or(0));
        // From here on there is nothing to publish; what is on its way to KV must not come later.
        for _ in 0..WAITS {
            if !self.publishing.get() {
                break;
            }
            Delay::from(WAIT).await;
        }
        Delay::from(BETWEEN_WRITES).await;
        let tombstone = Published::tombstone(&order.account, version);
        let put = self.environment.settings()?.put(&published::key(&order.account), tombstone.to_json())?;
        put.expiration_ttl(TOMBSTONE_SECONDS).execute().await?;
        // Unless it has been made anew meanwhile.
        if self.is_empty()? {
            let storage = self.state.storage();
            storage.delete_alarm().await?;
            storage.delete_all().await?;
        }
        worker::Response::ok(tombstone.to_json())
    }
}

impl Directory {
    pub(crate) async fn delete(&self, request: &Request) -> Result<Response> {
        let order = order(request.body()).await?;
        if self.memory.is_erased.take() {
            self.store()?.reopen().map_err(internal)?;
        }
        self.memory.lent.end();
        let _recalled = self.recall().await;
        // Before the list of them is gone: what fails here is done when the account is deleted again.
        let mut told: Vec<String> = Vec::new();
        let is_new = |told: &[String], region: &String| !told.contains(region);
        while let Some(region) =
            self.store()?.copies().map_err(internal)?.into_iter().find(|region| is_new(&told, region))
        {
            send(self.environment.directories()?, &name(&order.account, &region), &order).await?;
            told.push(region);
        }
        self.store()?.erase(order.version).map_err(internal)?;
        *self.memory.configuration.borrow_mut() = None;
        *self.memory.circuit.borrow_mut() = None;
        self.wake_in(MARK_MS).await?;
        answer(200, &[], None)
    }

    /// Whether a call is of an account that was deleted.
    pub(crate) async fn is_deleted(&self, version: u64) -> Result<bool> {
        if self.memory.configuration.borrow().is_some() {
            return Ok(false);
        }
        let store = self.store()?;
        if self.memory.is_erased.take() {
            store.reopen().map_err(internal)?;
        }
        match store.deleted().map_err(internal)? {
            Some(deleted) if version <= deleted => Ok(true),
            Some(_) => {
                // It was made anew; what was to be given back is wanted again.
                store.revive().map_err(internal)?;
                self.state.storage().delete_alarm().await?;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    /// Gives back what is left of a deleted account's storage; whether there was one.
    pub(crate) async fn give_back(&self) -> Result<bool> {
        let store = self.store()?;
        if self.memory.is_erased.get() {
            return Ok(true);
        }
        let is_deleted = store.deleted().map_err(internal)?.is_some();
        if !is_deleted || store.configuration().map_err(internal)?.is_some() {
            return Ok(false);
        }
        self.memory.is_erased.set(true);
        self.state.storage().delete_all().await?;
        Ok(true)
    }
}
