//! Failed authentications, counted for each account and source, where the rate limit is bound
//! (`AUTH_FAILURES`). Past the limit whoever fails is told to wait; whoever shows a good credential is let in as
//! before, so that nobody can lock out an account or those who share an address.

use crate::environment::Environment;
use crate::http::Request;
use js_sys::{Function, Object, Promise, Reflect};
use scim_edge_policy::refusal::Reason;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The binding.
const BINDING: &str = "AUTH_FAILURES";

/// How long to wait: as long as the binding counts.
pub(crate) const RETRY_AFTER: [(&str, &str); 1] = [("retry-after", "60")];

/// What the caller is told.
pub(crate) const SENTENCE: &str = "Too many failed authentications from here: try again later";

/// Counts a failure; whether there were too many. Requests without credentials are no failures.
pub(crate) async fn are_too_many(
    request: &Request,
    environment: &Environment,
    account: &str,
    reason: &str,
    status: u16,
) -> bool {
    if status != 401 || reason == Reason::NoCredentials.code() {
        return false;
    }
    let Some(binding) = environment.binding(BINDING) else { return false };
    let source = request.headers().get("cf-connecting-ip").ok().flatten().unwrap_or_default();
    // Where the platform cannot count, nobody is kept waiting: the failure stays a failure.
    is_within(&binding, &format!("{account} {source}")).await == Some(false)
}

async fn is_within(binding: &JsValue, key: &str) -> Option<bool> {
    let limit: Function = Reflect::get(binding, &"limit".into()).ok()?.dyn_into().ok()?;
    let options = Object::new();
    Reflect::set(&options, &"key".into(), &key.into()).ok()?;
    let promise: Promise = limit.call1(binding, &options).ok()?.dyn_into().ok()?;
    let outcome = JsFuture::from(promise).await.ok()?;
    Reflect::get(&outcome, &"success".into()).ok()?.as_bool()
}
