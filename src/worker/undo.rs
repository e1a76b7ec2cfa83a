//! The undo of a switch. The directory says what it kept, the account's document gets the origin of before and the
//! order to put the tables back, and the directory follows the order when it learns of it.

use crate::account::{Call, PROTOCOL};
use crate::admin;
use crate::aside::{self, Aside};
use crate::authority;
use crate::body::read;
use crate::caller::{Caller, refused};
use crate::environment::{Environment, now_ms};
use crate::http::{Request, Response, answer, scim_error};
use crate::log::Record;
use crate::plan::{self, Of, Question};
use crate::published;
use scim_edge_account::api::{DRY_RUN, is_dry_run_parameter};
use scim_edge_policy::refusal::{Reason, Refusal};
use scim_edge_scim::error::{Error as ScimError, ScimType};
use serde::Deserialize;
use url::form_urlencoded;
use worker::{Error, Result};

/// The longest body of a call that takes a confirmation, in bytes.
const BODY: usize = 4 << 10;

/// What a call that takes a confirmation may send.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Confirmation {
    pub confirm: Option<String>,
    /// The number of the set that is put back.
    pub number: Option<i64>,
    /// Whether a resync is to end.
    pub cancel: bool,
}

impl Confirmation {
    /// Reads it; no body sends none.
    pub(crate) async fn of(request: &Request) -> std::result::Result<Self, ScimError> {
        let wrong = || {
            let sentence = "the body must be a JSON object with confirm, the words that the gateway asks for";
            ScimError::new(ScimType::InvalidValue, sentence)
        };
        let body = read(request.body(), BODY).await.map_err(|error| error.scim_error(BODY))?;
        if body.is_empty() { Ok(Self::default()) } else { serde_json::from_slice(&body).map_err(|_| wrong()) }
    }
}

/// Whether a call is only to tell what it would do.
pub(crate) fn is_dry(request: &Request) -> std::result::Result<bool, ScimError> {
    let mut is_dry = false;
    for (name, value) in form_urlencoded::parse(request.query().as_bytes()) {
        if is_dry_run_parameter(&name) {
            is_dry |= match value.as_ref() {
                "true" => true,
                "false" => false,
                _ => {
                    let sentence = format!("{DRY_RUN} must be true or false");
                    return Err(ScimError::new(ScimType::InvalidValue, sentence));
                }
            };
        }
    }
    Ok(is_dry)
}

/// Answers `POST …/.undo`.
pub(crate) async fn handle(
    request: &Request,
    environment: &Environment,
    record: &Record,
    caller: &Caller,
) -> Result<Response> {
    let (sent, is_dry) = match (Confirmation::of(request).await, is_dry(request)) {
        (Ok(sent), Ok(is_dry)) => (sent, is_dry),
        (Err(error), _) | (_, Err(error)) => return scim_error(&error, &[]),
    };
    // The key may have been revoked while the body was read.
    if !authority::still_holds(environment, caller).await? {
        let refusal = Refusal::new(Reason::ApiKeyNotValid, "revoked");
        return refused(
            &refusal,
            &format!("{}/ng/api/scim/account/{}", request.origin(), caller.published.account),
        );
    }
    let known = caller.published.clone();
    let question = Question { of: Of::Undo(sent.number), confirm: sent.confirm };
    let plan = plan::ask(environment, &known.account, known.version, &known.directory, question).await?;
    if is_dry {
        let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
        return answer(200, &headers, Some(plan.to_json().to_string()));
    }
    let Some(before) = plan.before.clone().filter(|_| plan.refused.is_none()) else { return plan.refusal() };
    let call = Call {
        protocol: PROTOCOL,
        account: known.account.clone(),
        method: "POST".to_owned(),
        // The caller's permission has been looked at.
        root: true,
        correlation_id: record.request_id().to_owned(),
        put_back: Some((before, caller.holder.name.clone())),
        ..Call::default()
    };
    let reply = admin::send(environment, &call).await?;
    let published =
        reply.published.ok_or_else(|| Error::RustError("the account was not changed".to_owned()))?;
    published::learn(published.clone(), now_ms());
    // The directory follows the order when it learns of it: now.
    let body = aside::ask(environment, &published, Aside::View).await?.text().await?;
    let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
    answer(202, &headers, Some(body))
}
