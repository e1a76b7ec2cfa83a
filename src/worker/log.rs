//! One line for each request: what was asked, what was decided and why, and how long it took.
//!
//! A line is made of names and numbers of the gateway's own (operations, reasons, service accounts), of the
//! account in the path and of the request's id. What a caller or an origin wrote is not in it: no token, no
//! query (filters hold attributes' values), no path below the account, no body. A test plants values
//! everywhere and looks for them.

use crate::environment::{Environment, new_uuid, now_ms};
use crate::http::{Request, Response};
use crate::metrics;
use scim_edge_directory::message::{APPEND_ONLY, BRAKE, REFUSED_BY};
use scim_edge_policy::refusal::Refusal;
use serde::Serialize;
use std::cell::{Cell, RefCell};
use wasm_bindgen::prelude::*;
use worker::{Result, console_log};

/// The header that names a request.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// How long the origin took, in the object's answer (Server Timing, W3C).
pub(crate) const SERVER_TIMING: &str = "server-timing";

/// The longest id that is taken from a caller.
const ID_BYTES: usize = 128;

#[wasm_bindgen(raw_module = "./times.js")]
extern "C" {
    #[wasm_bindgen(js_name = keepTime)]
    fn keep_time(account: &str, took_ms: u32);

    #[wasm_bindgen(js_name = takeTimes)]
    fn tell_times(account: &str) -> String;
}

/// What becomes known of a request while it is answered.
pub(crate) struct Record {
    request_id: String,
    began_ms: i64,
    account: RefCell<Option<String>>,
    operation: Cell<&'static str>,
    principal: RefCell<Option<String>>,
    reason: Cell<Option<&'static str>>,
}

/// The line.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line<'a> {
    event: &'static str,
    /// When the request came in, in milliseconds since the epoch.
    time: i64,
    account: Option<&'a str>,
    operation: &'static str,
    /// Whether the caller was let through; none where nobody is asked who he is.
    decision: Option<&'static str>,
    reason: Option<&'static str>,
    principal: Option<&'a str>,
    /// `hit`, or why the origin was asked (RFC 9211).
    cache: Option<&'a str>,
    origin_ms: Option<u32>,
    total_ms: i64,
    status: u16,
    request_id: &'a str,
}

impl<'a> Line<'a> {
    /// What the lines of one caller's requests have in common, each of which is let through.
    pub(crate) fn of_many(account: &'a str, operation: &'static str, principal: &'a str) -> Self {
        let decision = Some("allow");
        let (account, principal) = (Some(account), Some(principal));
        Self { event: "request", account, operation, decision, principal, ..Self::default() }
    }
}

impl Record {
    /// Begins with a request.
    pub(crate) fn new(request: &Request) -> Self {
        let given = request.headers().get(REQUEST_ID).ok().flatten().filter(|id| is_request_id(id));
        Self {
            request_id: given.or_else(new_uuid).unwrap_or_default(),
            began_ms: now_ms(),
            account: RefCell::new(None),
            operation: Cell::new("unknown"),
            principal: RefCell::new(None),
            reason: Cell::new(None),
        }
    }

    /// The request's id.
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// What is asked.
    pub(crate) fn asked(&self, account: Option<&str>, operation: &'static str) {
        *self.account.borrow_mut() = account.map(str::to_owned);
        self.operation.set(operation);
    }

    /// Which account it is about.
    pub(crate) fn in_account(&self, account: &str) {
        *self.account.borrow_mut() = Some(account.to_owned());
    }

    /// What is asked.
    pub(crate) fn operation(&self) -> &'static str {
        self.operation.get()
    }

    /// Whom the caller was found to be.
    pub(crate) fn admitted(&self, principal: &str) {
        *self.principal.borrow_mut() = Some(principal.to_owned());
    }

    /// Whom the caller was found to be.
    pub(crate) fn principal(&self) -> Option<String> {
        self.principal.borrow().clone()
    }

    /// Why the caller is not let through.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        self.refused_with(refusal.reason.code());
    }

    /// Why the caller is not let through, as a code.
    pub(crate) fn refused_with(&self, reason: &'static str) {
        self.reason.set(Some(reason));
    }

    /// The account, where the path or the query names one.
    pub(crate) fn account(&self) -> Option<String> {
        self.account.borrow().clone()
    }

    /// Why the caller is not let through.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        self.reason.get()
    }

    /// The id in an answer. An object's answers have it already and cannot be changed: one of an older
    /// deployment stays without.
    pub(crate) fn mark(&self, response: &mut Response) {
        if response.header(REQUEST_ID).is_none() {
            drop(response.add(REQUEST_ID, &self.request_id));
        }
    }

    /// Writes the line.
    pub(crate) fn write(&self, environment: &Environment, response: &Response) {
        let (account, principal) = (self.account.borrow(), self.principal.borrow());
        let reason = self.reason.get().or_else(|| response.header(REFUSED_BY).and_then(guard_of));
        let cache = response.header("cache-status").and_then(cache);
        let origin_ms = response.header(SERVER_TIMING).and_then(origin_ms);
        let total_ms = now_ms().saturating_sub(self.began_ms).max(0);
        let line = Line {
            event: "request",
            time: self.began_ms,
            account: account.as_deref(),
            operation: self.operation.get(),
            decision: match (reason, &*principal) {
                (Some(_), _) => Some("refuse"),
                (None, Some(_)) => Some("allow"),
                (None, None) => None,
            },
            reason,
            principal: principal.as_deref(),
            cache,
            origin_ms,
            total_ms,
            status: response.status,
            request_id: &self.request_id,
        };
        if let Ok(text) = serde_json::to_string(&line) {
            console_log!("{text}");
        }
        let took = u32::try_from(total_ms).unwrap_or(u32::MAX);
        let answered = metrics::Answered {
            operation: line.operation,
            status: line.status,
            reason,
            is_hit: cache.map(|cache| cache == "hit"),
            origin_ms,
            took_ms: took,
        };
        metrics::count(&answered);
        metrics::write_point(environment, account.as_deref(), &answered);
        if let (Some(account), Some(_), None) = (&*account, &*principal, reason) {
            keep_time(account, took);
        }
    }
}

/// Whether an id may be repeated to others: what has a dot may be a token.
fn is_request_id(text: &str) -> bool {
    (1..=ID_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Which guard of the directory's refused a request, in a word of the gateway's own.
fn guard_of(said: &str) -> Option<&'static str> {
    [BRAKE, APPEND_ONLY].into_iter().find(|guard| *guard == said)
}

/// What a `Cache-Status` of the gateway's says: `hit`, or why the origin was asked.
fn cache(status: &str) -> Option<&str> {
    let said = status.strip_prefix("scim-edge; ")?;
    let said = said.split(';').next()?;
    Some(said.strip_prefix("fwd=").unwrap_or(said))
}

/// What the object says the origin took.
fn origin_ms(timing: &str) -> Option<u32> {
    timing.strip_prefix("origin;dur=")?.parse().ok()
}

/// Marks an object's answer with what its Worker is to know.
pub(crate) fn mark(response: &mut Response, request_id: &str, origin_ms: Option<u32>) -> Result<()> {
    if !request_id.is_empty() {
        response.add(REQUEST_ID, request_id)?;
    }
    match origin_ms {
        Some(milliseconds) => response.add(SERVER_TIMING, &format!("origin;dur={milliseconds}")),
        None => Ok(()),
    }
}

/// How long the account's last requests took, in milliseconds; each is told once.
pub(crate) fn take_times(account: &str) -> Vec<u32> {
    tell_times(account).split(' ').filter_map(|time| time.parse().ok()).collect()
}
