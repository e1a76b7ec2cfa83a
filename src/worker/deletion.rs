//! Deletion of an account and its undoing, with the root key.
//!
//! First nobody gets in: the account's document goes, and KV and this isolate learn of it by a **tombstone** with a
//! higher version, which takes the place of older documents in other isolates (`published.rs`). A deletion that can
//! be undone **seals**: the Account object keeps the document out of reach (`sealed.rs`), the directory keeps its
//! tables and answers nobody (`ended.rs`), and neither asks the origin for anything. The Account object's alarm makes
//! it final. A final deletion empties both. Deleting again finishes an interrupted deletion.
//!
//! The Account object decides: it alone orders the directory. INVARIANT: a sealed account's name cannot be used for
//! a new account, so that undoing never meets one.

use crate::admin::names_dry_run;
use crate::body::read;
use crate::environment::{Environment, now_ms};
use crate::http::{Request, Response, answer};
use crate::log::Record;
use crate::published;
use scim_edge_account::api::{DRY_RUN, Failure, success};
use scim_edge_account::deletion::{BODY, Deletion};
use scim_edge_account::published::Published;
use scim_edge_policy::refusal::Reason;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::form_urlencoded;
use worker::{Error, Method, ObjectNamespace, RequestInit, Result};

/// The paths of the orders at objects. No client's request has them there: it keeps its own. An object of an older
/// deployment refuses those that it does not know.
pub(crate) const ERASE: &str = "/delete";
pub(crate) const SEAL: &str = "/seal";
pub(crate) const UNSEAL: &str = "/unseal";

/// The private protocol; Worker and object may run different deployments for a while.
const PROTOCOL: u32 = 1;

/// An order to an object.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    protocol: u32,
    pub account: String,
    /// The version of the tombstone, for the directory.
    pub version: u64,
    /// How long a sealed account can be unsealed, in milliseconds.
    #[serde(default)]
    pub undoable_ms: i64,
    /// Names the request, for the audit.
    #[serde(default)]
    pub correlation_id: String,
}

/// What an Account object answers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ended {
    /// What is published from now on.
    pub published: Published,
    /// Until when the deletion can be undone, in milliseconds since the epoch; none: it is final.
    pub until: Option<i64>,
}

impl Order {
    pub(crate) fn of(account: &str, version: u64) -> Self {
        Self {
            protocol: PROTOCOL,
            account: account.to_owned(),
            version,
            undoable_ms: 0,
            correlation_id: String::new(),
        }
    }

    /// Reads an order, and that it is one.
    pub(crate) async fn read(body: Option<web_sys::ReadableStream>) -> Result<Self> {
        let body = read(body, 4 << 10).await;
        let order = body.ok().and_then(|body| serde_json::from_slice::<Self>(&body).ok());
        let order = order.filter(|order| order.protocol == PROTOCOL);
        order.ok_or_else(|| Error::RustError("an order of another protocol".to_owned()))
    }

    /// Gives the order to an object. Returns its answer, which is a success, or none for 404.
    pub(crate) async fn send(
        &self,
        objects: ObjectNamespace,
        name: &str,
        path: &str,
    ) -> Result<Option<worker::Response>> {
        let text = serde_json::to_string(self).map_err(|error| Error::RustError(error.to_string()))?;
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_body(Some(text.into()));
        let request = worker::Request::new_with_init(&format!("https://object{path}"), &init)?;
        let answered = objects.id_from_name(name)?.get_stub()?.fetch_with_request(request).await?;
        match answered.status_code() {
            200 => Ok(Some(answered)),
            404 => Ok(None),
            status => Err(Error::RustError(format!("an object answered {path} with {status}"))),
        }
    }
}

/// Answers `DELETE /ng/api/accounts/{account}`.
pub(crate) async fn handle(
    request: &Request,
    environment: &Environment,
    record: &Record,
    account: &str,
) -> Result<Response> {
    let outcome = match admit(request, environment, record, "DELETE")? {
        Ok(()) => delete(request, environment, record, account).await?,
        Err(failure) => Err(failure),
    };
    respond(record, outcome)
}

/// Answers `POST /ng/api/accounts/{account}/.undelete`.
pub(crate) async fn undelete(
    request: &Request,
    environment: &Environment,
    record: &Record,
    account: &str,
) -> Result<Response> {
    let outcome = match admit(request, environment, record, "POST")? {
        Ok(()) => restore(environment, record, account).await?,
        Err(failure) => Err(failure),
    };
    respond(record, outcome)
}

/// Only the root key, and the one method.
fn admit(
    request: &Request,
    environment: &Environment,
    record: &Record,
    method: &str,
) -> Result<std::result::Result<(), Failure>> {
    let api_key = request.headers().get("x-api-key")?.unwrap_or_default();
    if !environment.is_root_key(&api_key) {
        record.refused_with(Reason::ApiKeyNotValid.code());
        return Ok(Err(Failure::unauthenticated()));
    }
    if request.method() != method {
        return Ok(Err(Failure::method()));
    }
    if names_dry_run(request) {
        return Ok(Err(Failure::invalid(DRY_RUN, "this call has no dry run, and was not made")));
    }
    record.admitted("root");
    Ok(Ok(()))
}

fn respond(record: &Record, outcome: std::result::Result<Value, Failure>) -> Result<Response> {
    let correlation_id = record.request_id();
    let (status, body) = match outcome {
        Ok(data) => (200, success(data, correlation_id)),
        Err(failure) => (failure.status, failure.body(correlation_id)),
    };
    let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
    answer(status, &headers, Some(body.to_string()))
}

async fn delete(
    request: &Request,
    environment: &Environment,
    record: &Record,
    account: &str,
) -> Result<std::result::Result<Value, Failure>> {
    let body = match read(request.body(), BODY.bytes).await {
        Ok(body) => body,
        Err(error) => return Ok(Err(error.failure(BODY.bytes))),
    };
    let mut query = form_urlencoded::parse(request.query().as_bytes());
    let confirm = query.find(|(name, _)| name == "confirm").map(|(_, value)| value.into_owned());
    let deletion = match Deletion::parse(account, confirm.as_deref(), &body) {
        Ok(deletion) => deletion,
        Err(failure) => return Ok(Err(failure)),
    };
    let order = Order {
        undoable_ms: deletion.undoable_ms,
        correlation_id: record.request_id().to_owned(),
        ..Order::of(account, 0)
    };
    let path = if deletion.undoable_ms > 0 { SEAL } else { ERASE };
    let answered = order.send(environment.accounts()?, account, path).await?;
    let mut answered = answered.ok_or_else(|| Error::RustError("an object has no such order".to_owned()))?;
    let ended = answered.json::<Ended>().await?;
    published::learn(ended.published, now_ms());
    Ok(Ok(json!({ "account": account, "undoableUntil": ended.until })))
}

async fn restore(
    environment: &Environment,
    record: &Record,
    account: &str,
) -> Result<std::result::Result<Value, Failure>> {
    let order = Order { correlation_id: record.request_id().to_owned(), ..Order::of(account, 0) };
    let Some(mut answered) = order.send(environment.accounts()?, account, UNSEAL).await? else {
        return Ok(Err(Failure::not_found("Deleted account", account)));
    };
    let ended = answered.json::<Ended>().await?;
    published::learn(ended.published, now_ms());
    Ok(Ok(json!({ "account": account })))
}
