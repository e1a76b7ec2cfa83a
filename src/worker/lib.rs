//! The Cloudflare Worker: verifies, reads, forwards.
//!
//! A request enters in [`fetch`]. SCIM calls pass the [`gate`] to their account's [`directory`] object;
//! admin calls go through [`admin`] to its [`account`] object; what operators ask is answered by [`operators`].

mod account;
mod admin;
mod ask;
mod bulk;
mod call;
mod caller;
mod contact;
mod deletion;
mod directory;
mod environment;
mod gate;
mod http;
mod keys;
mod lock;
mod operate;
mod operators;
mod origin;
mod passes;
mod patched;
mod published;
mod races;
mod reads;
mod replica;
mod sql;
mod synchronise;
mod writes;

use environment::Environment;
use http::{answer, scim_error};
use scim_edge_policy::route::Route;
use scim_edge_scim::error::Error as ScimError;
use std::rc::Rc;
use worker::{Context, Env, Request, Response, Result, console_error, event};

/// Every request enters here.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    let environment = Rc::new(Environment::new(env));
    let answered = match Route::parse(&request.path()) {
        Ok(Some(Route::Health)) => answer(200, &[("content-type", "text/plain")], Some("ok\n".to_owned())),
        Ok(Some(Route::Scim(route))) => gate::handle(&request, &environment, &context, &route).await,
        Ok(Some(Route::Operator(route))) => operators::handle(&request, &environment, &context, &route).await,
        Ok(Some(Route::Account(account))) => deletion::handle(&request, &environment, &account).await,
        Ok(Some(Route::Admin(_))) => admin::handle(&request, &environment).await,
        Ok(None) => scim_error(&ScimError::not_found("This path"), &[]),
        Err(error) => scim_error(&error, &[]),
    };
    answered.or_else(|error| {
        // What went wrong inside is for the log only.
        console_error!("{error}");
        scim_error(&ScimError::status(500, "The gateway could not answer"), &[])
    })
}
