//! The operators' call `.brake`: how the brake is, and what it lets through.

use crate::body::read;
use crate::call::Call;
use crate::directory::{Directory, internal};
use crate::environment::now_ms;
use crate::guard::limits;
use crate::http::{Request, Response, answer, scim_error};
use crate::metrics;
use scim_edge_account::published::DirectorySettings;
use scim_edge_directory::audit::Outcome;
use scim_edge_json::{Limits as JsonLimits, parse_object};
use scim_edge_scim::error::{Error as ScimError, ScimType};
use serde_json::{Value, json};
use std::rc::Rc;
use worker::Result;

const BODY: JsonLimits = JsonLimits { bytes: 4096, depth: 4, values: 100 };

/// The most removals that are let through by their number.
const MOST: i64 = 1_000_000;

/// What an operator wants.
enum Wanted {
    /// So many removals, within an hour; none: as many as were stopped.
    Once(Option<i64>),
    /// All removals until a time.
    Until(i64),
    /// What was let through is taken back.
    None,
}

impl Directory {
    /// How the brake is.
    pub(crate) fn view_brake(&self, settings: &DirectorySettings) -> Result<Value> {
        let store = self.store()?;
        let mut view = store.view_brake(limits(settings), now_ms()).map_err(internal)?;
        let suspicion = store.replica().map_err(internal)?.and_then(|state| state.suspicion);
        if let Some(view) = view.as_object_mut() {
            view.insert("suspicion".into(), json!(suspicion));
        }
        Ok(view)
    }

    /// Answers `.brake`.
    pub(crate) async fn brake(
        &self,
        request: &Request,
        call: &Rc<Call>,
        settings: &DirectorySettings,
        request_id: &str,
    ) -> Result<Response> {
        if request.method() == "POST" {
            let wanted = match wanted(request, now_ms()).await {
                Ok(wanted) => wanted,
                Err(error) => return scim_error(&error, &[]),
            };
            // The account or the credential may have gone while the body was read.
            let call = &match self.judged(request, call.clone())? {
                Ok(call) => call,
                Err(refusal) => return Ok(refusal),
            };
            if let Err(error) = self.let_through(&wanted, call, settings, request_id).await? {
                return scim_error(&error, &[]);
            }
        }
        let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
        answer(200, &headers, Some(self.view_brake(settings)?.to_string()))
    }

    async fn let_through(
        &self,
        wanted: &Wanted,
        call: &Call,
        settings: &DirectorySettings,
        request_id: &str,
    ) -> Result<std::result::Result<(), ScimError>> {
        let (store, now_ms) = (self.store()?, now_ms());
        if limits(settings).is_none() {
            return Ok(Err(ScimError::status(409, "The brake is off: it stops nothing")));
        }
        let mut state = store.replica().map_err(internal)?;
        let suspicion = state.as_mut().and_then(|state| state.suspicion.as_mut());
        let missing = suspicion.as_ref().map_or(0, |suspicion| suspicion.would_remove());
        let operation = match wanted {
            Wanted::None => {
                store.end_letting_through(now_ms).map_err(internal)?;
                "brake.takeBack"
            }
            Wanted::Once(removals) => {
                let stopped = store.stopped_requests(now_ms).map_err(internal)?;
                let removals = removals.unwrap_or_else(|| stopped.max(missing));
                if removals == 0 {
                    let sentence = "Nothing was stopped: name the number of removals, or a time";
                    return Ok(Err(ScimError::status(409, sentence)));
                }
                store.let_through(Some(removals), None, &call.principal, now_ms).map_err(internal)?;
                "brake.letThrough"
            }
            Wanted::Until(until) => {
                store.let_through(None, Some(*until), &call.principal, now_ms).map_err(internal)?;
                "brake.letThrough"
            }
        };
        metrics::count_brake(operation.trim_start_matches("brake."));
        self.note_in_audit(operation, Some((&call.principal, request_id)), Outcome::Ok)?;
        if let (Some(suspicion), false) = (suspicion, matches!(wanted, Wanted::None)) {
            // The origin is asked once more, and believed.
            suspicion.again_at = now_ms;
            if let Some(state) = &state {
                store.set_replica(state).map_err(internal)?;
            }
            self.wake_in(0).await?;
        }
        Ok(Ok(()))
    }
}

async fn wanted(request: &Request, now_ms: i64) -> std::result::Result<Wanted, ScimError> {
    let text = read(request.body(), BODY.bytes).await.map_err(|error| error.scim_error(BODY.bytes))?;
    let body = parse_object(&text, BODY)
        .map_err(|error| ScimError::new(ScimType::InvalidSyntax, error.to_string()))?;
    let invalid = |sentence: String| ScimError::new(ScimType::InvalidValue, sentence);
    let removals = match body.get("removals") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let count = value.as_i64().filter(|count| (1..=MOST).contains(count));
            Some(count.ok_or_else(|| invalid(format!("removals must be a number from 1 to {MOST}")))?)
        }
    };
    match body.get("letThrough").and_then(Value::as_str) {
        Some("once") => Ok(Wanted::Once(removals)),
        Some("until") => {
            let until = body.get("until").and_then(Value::as_i64).filter(|until| *until > now_ms);
            let sentence =
                "until must be a time to come, in milliseconds since 1970; at most a day is let through";
            until.map(Wanted::Until).ok_or_else(|| invalid(sentence.to_owned()))
        }
        Some("none") => Ok(Wanted::None),
        _ => Err(invalid("letThrough must be once, until or none".to_owned())),
    }
}
