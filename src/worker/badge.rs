//! Badges: what was decided of a caller's reads, given to the host. By them it lets the next ones through to the
//! account's object (`badges.js`) without asking Wasm again: verified once, a token costs what a look-up costs.
//!
//! A badge holds for one `Authorization` header and one kind of read, and no longer than all that it was given
//! for: the account's document, the credentials, the issuer's keys. Whatever changes those has all of them
//! forgotten.

use crate::call::Call;
use crate::caller::Caller;
use crate::environment::now_ms;
use crate::http::Request;
use crate::log::Line;
use crate::metrics::Answered;
use crate::published;
use scim_edge_policy::freshness::MOST_MS;
use scim_edge_policy::operation::Operation;
use scim_edge_scim::endpoint::Endpoint;
use serde::Serialize;
use wasm_bindgen::prelude::*;
use worker::Result;

#[wasm_bindgen(raw_module = "./badges.js")]
extern "C" {
    fn give(authorization: &str, scope: &str, badge: &str);

    /// Forgets all badges: something that they were given for has changed.
    pub(crate) fn forget();
}

/// The reads that there are badges for.
const OPERATIONS: [&str; 4] = ["user.get", "user.list", "group.get", "group.list"];

/// What `badges.js` reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Badge<'a> {
    /// Milliseconds since the epoch.
    until: i64,
    /// Scheme and authority.
    origin: &'a str,
    account: &'a str,
    /// What the object is told of each read.
    call: &'a str,
    /// The place in [`OPERATIONS`].
    operation: usize,
    is_token: bool,
    /// What does not change in the line of the log.
    line: Line<'a>,
}

/// Gives a caller a badge for reads like this one, which he may make; `call` is what the object is told of it.
pub(crate) fn offer(
    request: &Request,
    caller: &Caller,
    endpoint: &Endpoint,
    operation: &Operation,
    call: &Call,
) -> Result<()> {
    let number = OPERATIONS.iter().position(|name| *name == operation.name);
    let authorization = request.headers().known("authorization");
    let (Some(number), Some(authorization), Some(until)) = (number, authorization, caller.until_ms) else {
        return Ok(());
    };
    // What ends in a slash is seldom asked for, and would be told from a resource by a look at more than its end.
    if request.path().ends_with('/') {
        return Ok(());
    }
    let Some(call) = call.of_many()? else { return Ok(()) };
    let scope = match (endpoint, request.path().rsplit_once('/')) {
        (Endpoint::Resource(..), Some((above, _))) => format!("{}{above}/*", request.origin()),
        _ => format!("{}{}", request.origin(), request.path()),
    };
    let account = &caller.published.account;
    let badge = Badge {
        until: until.min(published::fresh_until(&caller.published)).min(now_ms().saturating_add(MOST_MS)),
        origin: request.origin(),
        account,
        call: &call,
        operation: number,
        is_token: caller.is_token,
        line: Line::of_many(account, operation.name, &caller.holder.name),
    };
    if let Ok(text) = serde_json::to_string(&badge) {
        give(authorization, &scope, &text);
    }
    Ok(())
}

/// A request that a badge let through, for the counters.
pub(crate) fn answered(
    operation: usize,
    status: u16,
    is_hit: Option<bool>,
    origin_ms: Option<u32>,
    took_ms: u32,
) -> Answered {
    let operation = OPERATIONS.get(operation).copied().unwrap_or("unknown");
    Answered { operation, status, reason: None, is_hit, origin_ms, took_ms }
}
