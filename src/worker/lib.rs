//! The Cloudflare Worker: verifies, reads, forwards.
//!
//! A request enters in [`fetch`]. SCIM calls pass the [`gate`] to their account's [`directory`] object;
//! admin calls go through [`admin`] to its [`account`] object; what operators ask is answered by [`operators`].

mod account;
mod admin;
mod aside;
mod ask;
mod audit;
mod authority;
mod badge;
mod body;
mod border;
mod brake;
mod bulk;
mod call;
mod caller;
mod contact;
mod copies;
mod deleted;
mod deletion;
mod directory;
mod ended;
mod environment;
mod erase;
mod export;
mod exported;
mod failures;
mod forward;
mod gate;
mod guard;
mod http;
mod import;
mod journal;
mod keys;
mod lock;
mod log;
mod metrics;
mod near;
mod operate;
mod operators;
mod origin;
mod passes;
mod patched;
mod plan;
mod probe;
mod publication;
mod published;
mod races;
mod reads;
mod refusals;
mod replica;
mod restore;
mod room;
mod schemas;
mod sealed;
mod service;
mod signing;
mod sql;
mod suspicion;
mod switch;
mod synchronise;
mod undo;
mod writes;

use environment::Environment;
use http::{Request, Response, run, scim_error};
use log::Record;
use scim_edge_policy::operation::Operation;
use scim_edge_policy::route::Route;
use scim_edge_scim::error::Error as ScimError;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use worker::{Context, Env, Result, console_error, worker_sys};

/// Every request enters here.
#[wasm_bindgen]
pub fn fetch(
    request: web_sys::Request,
    env: Env,
    context: worker_sys::Context,
) -> std::result::Result<JsValue, JsValue> {
    run(async move {
        let response = logged(&Request::of_client(request), env, &Context::new(context)).await?;
        response.into_host()
    })
}

#[wasm_bindgen(raw_module = "./memory.js")]
extern "C" {
    fn aborted();
}

/// Tells the host of aborts of this instance. In the place of the handler of the `worker` crate, which has the bindings
/// replace the memory at their next call: that may be a callback of the old one (`memory.js`).
#[wasm_bindgen(js_name = watchAborts)]
pub fn watch_aborts() {
    wasm_bindgen::handler::set_on_abort(aborted);
}

/// Counts a request that a badge let through.
#[wasm_bindgen(js_name = countRead)]
pub fn count_read(
    operation: usize,
    is_token: bool,
    status: u16,
    is_hit: Option<bool>,
    origin_ms: Option<u32>,
    took_ms: u32,
) {
    metrics::count(&badge::answered(operation, status, is_hit, origin_ms, took_ms));
    metrics::count_badge(is_token);
}

/// Writes such a request's point to Analytics Engine.
#[wasm_bindgen(js_name = writePoint)]
pub fn write_point(
    env: Env,
    account: &str,
    operation: usize,
    status: u16,
    is_hit: Option<bool>,
    origin_ms: Option<u32>,
    took_ms: u32,
) {
    let answered = badge::answered(operation, status, is_hit, origin_ms, took_ms);
    metrics::write_point(&Environment::new(env), Some(account), &answered);
}

async fn logged(request: &Request, env: Env, context: &Context) -> Result<Response> {
    let environment = Rc::new(Environment::new(env));
    let record = Record::new(request);
    let response = match answered(request, &environment, context, &record).await {
        Ok(response) => response,
        Err(error) => {
            // What went wrong inside is for the log only.
            console_error!("{error}");
            let mut response = scim_error(&ScimError::status(500, "The gateway could not answer"), &[])?;
            record.mark(&mut response);
            response
        }
    };
    record.write(&environment, &response);
    Ok(response)
}

async fn answered(
    request: &Request,
    environment: &Rc<Environment>,
    context: &Context,
    record: &Record,
) -> Result<Response> {
    let method = request.method();
    let (account, mut response) = match Route::parse(request.path()) {
        Ok(Some(Route::Scim(route))) => {
            let operation = route.endpoint.as_ref().and_then(|endpoint| Operation::of(method, endpoint));
            record.asked(Some(&route.account), operation.map_or("unknown", |operation| operation.name));
            let response = gate::handle(request, environment, context, record, &route).await?;
            (Some(route.account), response)
        }
        Ok(Some(Route::Operator(route))) => {
            record.asked(Some(&route.account), route.call.name());
            let response = operators::handle(request, environment, context, record, &route).await?;
            (Some(route.account), response)
        }
        Ok(Some(Route::Account(account))) => {
            record.asked(Some(&account), "account.delete");
            let response = deletion::handle(request, environment, record, &account).await?;
            (Some(account), response)
        }
        Ok(Some(Route::Undelete(account))) => {
            record.asked(Some(&account), "account.undelete");
            let response = deletion::undelete(request, environment, record, &account).await?;
            (Some(account), response)
        }
        Ok(Some(Route::Admin(route))) => {
            record.asked(None, admin::operation(&route, method));
            let response = admin::handle(request, environment, record).await?;
            (record.account(), response)
        }
        Ok(Some(Route::Service(route))) => {
            record.asked(None, route.name());
            (None, service::handle(request, environment, &route).await?)
        }
        Ok(None) => (None, scim_error(&ScimError::not_found("This path"), &[])?),
        Err(error) => (None, scim_error(&error, &[])?),
    };
    if let (Some(account), Some(reason)) = (&account, record.reason()) {
        if failures::are_too_many(request, environment, account, reason, response.status).await {
            record.refused_with("too_many_failures");
            response = scim_error(&ScimError::status(429, failures::SENTENCE), &failures::RETRY_AFTER)?;
        }
        refusals::collect(environment, context, account, record, reason, response.status);
    }
    record.mark(&mut response);
    Ok(response)
}
