//! The operators' API: what is asked of the gateway about an account, beside SCIM. The gateway's own keys open
//! it, as `x-api-key` or as a bearer's; an issuer's token never does.

use crate::admin::names_dry_run;
use crate::audit;
use crate::authority;
use crate::body::read;
use crate::caller::{Caller, by_key, refuse};
use crate::environment::{Environment, now_ms};
use crate::export;
use crate::http::{Request, Response, answer, scim_error};
use crate::keys::{self, Keys};
use crate::log::Record;
use crate::undo;
use scim_edge_account::api::DRY_RUN;
use scim_edge_json::{Limits, parse_object};
use scim_edge_policy::credentials::Credentials;
use scim_edge_policy::explanation::Explanation;
use scim_edge_policy::operator::OperatorCall;
use scim_edge_policy::permission::Permission;
use scim_edge_policy::refusal::{Reason, Refusal};
use scim_edge_policy::route::OperatorRoute;
use scim_edge_policy::verify::KeysUnavailable;
use scim_edge_scim::error::{Error as ScimError, ScimType};
use serde_json::{Map, Value, json};
use std::rc::Rc;
use worker::{Context, Result};

/// The longest body of a call that the Worker answers itself: a token and room around it.
const BODY: Limits = Limits { bytes: 32 << 10, depth: 4, values: 1_000 };

/// The code of a call that the mode of its service account does not let through.
const MODE: &str = "mode";

/// Answers an operator's call.
pub(crate) async fn handle(
    request: &Request,
    environment: &Rc<Environment>,
    context: &Context,
    record: &Record,
    route: &OperatorRoute,
) -> Result<Response> {
    let call = route.call;
    let caller = match authenticate(request, environment, &route.account).await? {
        Ok(caller) => caller,
        Err(refusal) => return refuse(record, request, &route.base, &refusal),
    };
    record.admitted(&caller.holder.name);
    let method = request.method();
    if !call.has(method) {
        let error = ScimError::status(405, format!("this path has the methods {}", call.methods()));
        return scim_error(&error, &[("allow", call.methods())]);
    }
    if let Err(refusal) = call.permit(method, caller.holder.permissions) {
        return refuse(record, request, &route.base, &refusal);
    }
    if !caller.holder.mode.is_normal() && !call.is_read(method) {
        record.refused_with(MODE);
        return scim_error(&ScimError::status(403, caller.holder.mode.refusal()), &[]);
    }
    if method != "GET" && !call.has_dry_run() && names_dry_run(request) {
        let sentence = format!("{DRY_RUN}: this call has no dry run, and was not made");
        return scim_error(&ScimError::new(ScimType::InvalidValue, sentence), &[]);
    }
    // These are answered here, not by an object that knows the newest document.
    let is_answered_here =
        matches!(call, OperatorCall::Audit | OperatorCall::Activity | OperatorCall::Export);
    if is_answered_here && !authority::still_holds(environment, &caller).await? {
        return refuse(record, request, &route.base, &revoked());
    }
    let answered = match call {
        OperatorCall::Audit => return audit::list(request, environment, &caller.published).await,
        OperatorCall::Activity => return audit::activity(environment, &caller.published).await,
        OperatorCall::Export => return export::handle(request, environment, record, &caller).await,
        OperatorCall::Replica
        | OperatorCall::Resync
        | OperatorCall::Check
        | OperatorCall::Changes
        | OperatorCall::Deleted
        | OperatorCall::Restore
        | OperatorCall::History
        | OperatorCall::Erase
        | OperatorCall::Import
        | OperatorCall::Brake => {
            return directory(request, environment, record, route, caller).await;
        }
        OperatorCall::Undo => return undo::handle(request, environment, record, &caller).await,
        OperatorCall::Explain => match body(request).await {
            Ok(_) if !authority::still_holds(environment, &caller).await? => {
                return refuse(record, request, &route.base, &revoked());
            }
            Ok(body) => explain(&body, environment, context, &caller).await?,
            Err(error) => Err(error),
        },
        OperatorCall::KeySet => key_set(request, environment).await,
    };
    match answered {
        Ok(body) => respond(200, &body),
        Err(error) => scim_error(&error, &[]),
    }
}

fn revoked() -> Refusal {
    Refusal::new(Reason::ApiKeyNotValid, "revoked")
}

/// The holder of a key: `x-api-key`, or the one bearer.
async fn authenticate(
    request: &Request,
    environment: &Environment,
    account: &str,
) -> Result<std::result::Result<Caller, Refusal>> {
    let headers = request.headers();
    let authorization = headers.get("authorization")?;
    match (headers.get("x-api-key")?, authorization.as_deref()) {
        (Some(key), None) => by_key(environment, account, &key, now_ms()).await,
        (Some(_), Some(_)) => Ok(Err(Refusal::new(Reason::MalformedCredentials, "two credentials"))),
        (None, authorization) => match Credentials::of(authorization, "") {
            Ok(Credentials::ApiKey(key)) => by_key(environment, account, key.text, now_ms()).await,
            Ok(_) => Ok(Err(Refusal::new(Reason::ApiKeyNotValid, "an issuer's token opens SCIM calls only"))),
            Err(refusal) => Ok(Err(refusal)),
        },
    }
}

/// What the account's directory answers.
async fn directory(
    request: &Request,
    environment: &Environment,
    record: &Record,
    route: &OperatorRoute,
    caller: Caller,
) -> Result<Response> {
    let call = caller.call(request, &route.base, record, Vec::new());
    let answered = call.pass_on(request, environment, None).await?;
    if answered.status == 403 {
        record.refused_with(Reason::PermissionMissing.code());
    }
    Ok(answered)
}

/// Every check of a token, and what its bearer may do. Neither the token nor its signature is in the answer.
async fn explain(
    body: &Map<String, Value>,
    environment: &Rc<Environment>,
    context: &Context,
    caller: &Caller,
) -> Result<std::result::Result<Value, ScimError>> {
    let Some(token) = body.get("token").and_then(Value::as_str) else {
        return Ok(Err(ScimError::new(ScimType::InvalidValue, "token must be a string")));
    };
    let host = Keys { environment, context };
    let explanation = Explanation::of(&host, &caller.published.rules, token.trim(), now_ms()).await;
    let mut told = explanation.to_json();
    if let (Ok(verified), Some(told)) = (&explanation.outcome, told.as_object_mut()) {
        let held = caller.published.service_account(verified.service_account());
        let names = held.map(|(held, _)| held.iter().map(Permission::name).collect::<Vec<_>>());
        told.insert("permissions".into(), names.unwrap_or_default().into());
        let mode = held.map(|(_, mode)| mode).filter(|mode| !mode.is_normal());
        told.extend(mode.map(|mode| ("mode".to_owned(), mode.name().into())));
    }
    Ok(Ok(told))
}

/// The keys that a URL shows, before it is set.
async fn key_set(request: &Request, environment: &Environment) -> std::result::Result<Value, ScimError> {
    let body = body(request).await?;
    let Some(url) = body.get("url").and_then(Value::as_str) else {
        return Err(ScimError::new(ScimType::InvalidValue, "url must be a string"));
    };
    match keys::show(environment, url.trim()).await {
        Ok((keys, fresh_ms)) => Ok(json!({ "keys": keys, "freshSeconds": fresh_ms / 1000 })),
        Err(KeysUnavailable(why)) => Err(ScimError::new(ScimType::InvalidValue, why)),
    }
}

/// A call's body: a JSON object within limits.
async fn body(request: &Request) -> std::result::Result<Map<String, Value>, ScimError> {
    let text = read(request.body(), BODY.bytes).await.map_err(|error| error.scim_error(BODY.bytes))?;
    parse_object(&text, BODY).map_err(|error| ScimError::new(ScimType::InvalidSyntax, error.to_string()))
}

fn respond(status: u16, body: &Value) -> Result<Response> {
    let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
    answer(status, &headers, Some(body.to_string()))
}
