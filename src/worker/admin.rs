//! The admin API at the edge: who calls, and on to the account's object.

use crate::account::{Call, PROTOCOL, Reply};
use crate::aside::{self, Aside};
use crate::body::read;
use crate::environment::{Environment, now_ms};
use crate::http::{BODY_LIMIT, Request, Response, answer};
use crate::log::Record;
use crate::plan::{self, Of, Plan, Question};
use crate::published;
use scim_edge_account::api::{Failure, is_dry_run_parameter};
use scim_edge_account::setting::ORIGIN_URL;
use scim_edge_policy::credentials::ApiKey;
use scim_edge_policy::refusal::Reason;
use scim_edge_policy::route::{AdminRoute, Route, is_account_identifier};
use serde_json::Value;
use url::form_urlencoded;
use worker::{Method, RequestInit, Result, console_error};

/// Answers an admin call.
pub(crate) async fn handle(
    request: &Request,
    environment: &Environment,
    record: &Record,
) -> Result<Response> {
    let reply = match call(request, environment, record).await? {
        Ok(reply) => reply,
        Err(failure) => Reply::refusal(&failure, record.request_id()),
    };
    if let Some(principal) = &reply.principal {
        record.admitted(principal);
    }
    match reply.status {
        401 => record.refused_with(Reason::ApiKeyNotValid.code()),
        403 => record.refused_with(Reason::PermissionMissing.code()),
        _ => {}
    }
    respond(reply.status, reply.body.to_string())
}

/// The name of what a call does.
pub(crate) fn operation(route: &AdminRoute, method: &str) -> &'static str {
    let [read, create, change, delete] = match route {
        AdminRoute::Settings | AdminRoute::Setting(_) => {
            ["setting.view", "setting.change", "setting.change", "setting.change"]
        }
        AdminRoute::JwtRules | AdminRoute::JwtRule(_) => {
            ["jwtrule.view", "jwtrule.create", "jwtrule.change", "jwtrule.delete"]
        }
        AdminRoute::ServiceAccounts | AdminRoute::ServiceAccount(_) => {
            ["serviceaccount.view", "serviceaccount.create", "serviceaccount.change", "serviceaccount.delete"]
        }
        AdminRoute::Roles | AdminRoute::Role(_) => ["role.view", "role.create", "role.change", "role.delete"],
        AdminRoute::RoleAssignments | AdminRoute::RoleAssignment(_) => {
            ["roleassignment.view", "roleassignment.create", "roleassignment.change", "roleassignment.delete"]
        }
        AdminRoute::Tokens | AdminRoute::Token(_) => {
            ["token.view", "token.create", "token.change", "token.revoke"]
        }
    };
    match method {
        "POST" => create,
        "PUT" | "PATCH" => change,
        "DELETE" => delete,
        _ => read,
    }
}

fn respond(status: u16, body: String) -> Result<Response> {
    answer(status, &[("content-type", "application/json"), ("cache-control", "no-store")], Some(body))
}

async fn call(
    request: &Request,
    environment: &Environment,
    record: &Record,
) -> Result<std::result::Result<Reply, Failure>> {
    let query: Vec<(String, String)> =
        form_urlencoded::parse(request.query().as_bytes()).into_owned().collect();
    let Some(account) =
        query.iter().find(|(name, _)| name == "accountIdentifier").map(|(_, value)| value.clone())
    else {
        return Ok(Err(Failure::invalid("accountIdentifier", "must be in the query")));
    };
    if !is_account_identifier(&account) {
        return Ok(Err(Failure::invalid("accountIdentifier", "must be 1 to 64 letters, digits, _ and -")));
    }
    record.in_account(&account);
    let api_key = request.headers().get("x-api-key")?.unwrap_or_default();
    let root = environment.is_root_key(&api_key);
    let now_ms = now_ms();
    if !root && !is_key(environment, &account, &api_key, now_ms).await? {
        return Ok(Err(Failure::unauthenticated()));
    }
    let method = request.method().to_owned();
    let body = match read(request.body(), BODY_LIMIT).await {
        Ok(body) => body,
        Err(error) => return Ok(Err(error.failure(BODY_LIMIT))),
    };
    if !body.is_empty() && !is_json(request)? {
        return Ok(Err(Failure::new(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json")));
    }
    let Ok(body) = body.into_text() else {
        return Ok(Err(Failure::invalid("body", "is not UTF-8")));
    };
    // A read by root does not make an account.
    if root && method == "GET" && published::get(environment, &account, now_ms).await?.is_none() {
        return Ok(Err(Failure::not_found("Account", &account)));
    }
    let call = Call {
        protocol: PROTOCOL,
        account: account.clone(),
        method,
        path: request.path().to_owned(),
        query,
        body,
        root,
        api_key: if root { String::new() } else { api_key },
        correlation_id: record.request_id().to_owned(),
        gateway: request.origin().to_owned(),
        ..Call::default()
    };
    let (call, plan) = planned(environment, call).await?;
    let mut reply = send(environment, &call).await?;
    let is_of_origin = plan.is_some();
    if let Some(plan) = plan {
        tell(&mut reply.body, &plan);
    }
    if let Some(document) = &reply.published {
        published::learn(document.clone(), now_ms);
        // The directory begins with another origin when it learns of it: now.
        if is_of_origin && let Err(error) = aside::ask(environment, document, Aside::View).await {
            console_error!("the directory was not told of its origin: {error}");
        }
    }
    Ok(Ok(reply))
}

/// Whether a text is a key of the account, by its published document: before a body is read, and before any object
/// is asked. A refusal does not tell whether the account exists: it takes one read of KV in either case, also if
/// this isolate has the document in memory, as it has those of accounts in use.
async fn is_key(environment: &Environment, account: &str, text: &str, now_ms: i64) -> Result<bool> {
    let Some(key) = ApiKey::parse(text).filter(|key| key.account == account) else { return Ok(false) };
    let is_at_hand = published::is_at_hand(account, now_ms);
    let published = published::get(environment, account, now_ms).await?;
    if published.is_some_and(|published| published.authenticate(&key, now_ms).is_some()) {
        return Ok(true);
    }
    if is_at_hand {
        published::read(environment, account).await?;
    }
    Ok(false)
}

/// Whether a request asks for a dry run. A call that has none refuses it: its caller expects that nothing is
/// stored.
pub(crate) fn names_dry_run(request: &Request) -> bool {
    form_urlencoded::parse(request.query().as_bytes()).any(|(name, _)| is_dry_run_parameter(&name))
}

/// A change of the origin is looked at by the directory before the account's object makes it: what the directory
/// refuses is refused there, and with it the credentials for that origin.
async fn planned(environment: &Environment, call: Call) -> Result<(Call, Option<Plan>)> {
    let Some(confirm) = origin_change(&call) else { return Ok((call, None)) };
    let query = call.query.iter().filter(|(name, _)| !is_dry_run_parameter(name)).cloned().collect();
    let asked = Call { preview: true, query, ..call.clone() };
    let Some(preview) = send(environment, &asked).await?.preview else { return Ok((call, None)) };
    if preview.before.origin_url == preview.after.origin_url {
        return Ok((call, None));
    }
    let question = Question { of: Of::Settings(Box::new(preview.after)), confirm };
    let plan = plan::ask(environment, &call.account, preview.version, &preview.before, question).await?;
    let refused = plan.refused.iter().map(|sentence| (ORIGIN_URL.to_owned(), sentence.clone())).collect();
    Ok((Call { refused, ..call }, Some(plan)))
}

/// The words that confirm a change of the origin, if it has any; none for any other call, and for a form that only
/// checks what is being typed.
fn origin_change(call: &Call) -> Option<Option<String>> {
    let asks_nobody = call.query.iter().any(|(name, value)| name == "ask" && value == "false");
    let is_dry = call.query.iter().any(|(name, value)| name == "dryRun" && value == "true");
    let Ok(Some(Route::Admin(AdminRoute::Settings))) = Route::parse(&call.path) else { return None };
    if call.method != "PUT" || (asks_nobody && is_dry) {
        return None;
    }
    let Ok(Value::Array(items)) = serde_json::from_str::<Value>(&call.body) else { return None };
    let change =
        items.iter().rfind(|item| item.get("identifier").is_some_and(|found| found == ORIGIN_URL))?;
    Some(change.get("confirm").and_then(Value::as_str).map(str::to_owned))
}

/// Tells of a plan where the change of the origin is answered.
fn tell(body: &mut Value, plan: &Plan) {
    let Some(answers) = body.get_mut("data").and_then(Value::as_array_mut) else { return };
    for answer in answers.iter_mut().filter_map(Value::as_object_mut) {
        if answer.get("identifier").is_some_and(|identifier| identifier == ORIGIN_URL) {
            answer.insert("switch".into(), plan.to_json());
        }
    }
}

/// Asks the account's object. One that was aborted meanwhile has answered in the host's words (`memory.js`).
pub(crate) async fn send(environment: &Environment, call: &Call) -> Result<Reply> {
    let text = serde_json::to_string(call).map_err(|error| worker::Error::RustError(error.to_string()))?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(text.into()));
    let request = worker::Request::new_with_init("https://account/", &init)?;
    let stub = environment.accounts()?.id_from_name(&call.account)?.get_stub()?;
    let mut answered = stub.fetch_with_request(request).await?;
    if answered.status_code() == 503 {
        let sentence =
            "The account's object had to start again: read what you changed before sending it again";
        let failure = Failure::new(503, "SERVICE_UNAVAILABLE", sentence);
        return Ok(Reply::refusal(&failure, &call.correlation_id));
    }
    answered.json::<Reply>().await
}

fn is_json(request: &Request) -> Result<bool> {
    let content_type = request.headers().get("content-type")?.unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Ok(matches!(media_type.as_str(), "" | "application/json") || media_type.ends_with("+json"))
}
