//! Operators' calls on an account's directory: how the copy is, and what is to be done about it.

use crate::body::read;
use crate::call::Call;
use crate::directory::{Directory, internal};
use crate::environment::now_ms;
use crate::http::{Request, Response, answer, scim_error};
use crate::origin::{Origin, Side, Trace};
use crate::plan::host;
use crate::replica::Reread;
use crate::switch::held;
use crate::undo::{Confirmation, is_dry};
use futures_util::{StreamExt, stream};
use scim_edge_account::published::DirectorySettings;
use scim_edge_directory::circuit::Position;
use scim_edge_directory::deleted::Source;
use scim_edge_directory::pass::{Purpose, modified};
use scim_edge_directory::switch::{Kept, Reason, Switch};
use scim_edge_policy::operator::{OperatorCall, permit_whole};
use scim_edge_policy::permission::Permissions;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::{Error as ScimError, ScimType};
use scim_edge_scim::identifier::is_path_segment;
use scim_edge_scim::limits::{BODY, read_object};
use serde_json::{Map, Value, json};
use std::rc::Rc;
use worker::Result;

/// Resources in one call, and how many of them are asked of the origin at a time.
const RESOURCES: usize = 1000;
const AT_ONCE: usize = 8;

/// What became of a resource that was said to have changed.
enum Change {
    Refreshed,
    Removed,
    Failed(&'static str),
}

impl Directory {
    pub(crate) async fn operate(
        &self,
        request: &Request,
        call: &Rc<Call>,
        operator: OperatorCall,
        request_id: &str,
    ) -> Result<Response> {
        let settings = self.configure(call).await?;
        let is_write =
            matches!(operator, OperatorCall::Restore | OperatorCall::Erase | OperatorCall::Changes);
        let _writing = match self.memory.switching.begin_write() {
            None if is_write => return held(),
            writing => writing.filter(|_| is_write),
        };
        match operator {
            OperatorCall::Deleted => return self.list_deleted(request, &settings),
            OperatorCall::Restore => return self.restore(request, call, &settings).await,
            OperatorCall::History => return self.history(request, &settings),
            OperatorCall::Erase => return self.erase_resource(request, call, &settings).await,
            OperatorCall::Import => return self.import(request, call, &settings).await,
            OperatorCall::Brake => return self.brake(request, call, &settings, request_id).await,
            _ => {}
        }
        if operator == OperatorCall::Replica {
            return json_answer(200, &self.view(&settings)?);
        }
        let Some(origin) = self.origin(&settings, None)? else {
            let sentence = "This account's directory is no copy of an origin's";
            return scim_error(&ScimError::status(409, sentence), &[]);
        };
        match operator {
            OperatorCall::Resync => self.resync(request, call, &settings, &origin).await,
            OperatorCall::Check => self.want(Purpose::Check, &settings).await,
            OperatorCall::Changes => self.changes(request, call, &origin).await,
            _ => scim_error(&ScimError::not_found("This path"), &[]),
        }
    }

    /// Has a pass made as soon as can be; the copy keeps answering meanwhile.
    async fn want(&self, purpose: Purpose, settings: &DirectorySettings) -> Result<Response> {
        let store = self.store()?;
        if let Some(mut state) = store.replica().map_err(internal)? {
            state.ordered = Some(purpose);
            store.set_replica(&state).map_err(internal)?;
            self.wake_in(0).await?;
        }
        json_answer(202, &self.view(settings)?)
    }

    /// Reads the origin into tables of its own. The copy in use answers meanwhile.
    async fn resync(
        &self,
        request: &Request,
        call: &Rc<Call>,
        settings: &DirectorySettings,
        origin: &Origin,
    ) -> Result<Response> {
        let (sent, is_dry) = match (Confirmation::of(request).await, is_dry(request)) {
            (Ok(sent), Ok(is_dry)) => (sent, is_dry),
            (Err(error), _) | (_, Err(error)) => return scim_error(&error, &[]),
        };
        // The account or the credential may have gone while the body was read.
        if let Err(refusal) = self.judged(request, call.clone())? {
            return Ok(refusal);
        }
        let store = self.store()?;
        let reason = store.sets().map_err(internal)?.switch.map(|switch| switch.reason);
        if sent.cancel && !is_dry {
            if reason != Some(Reason::Resync) {
                return scim_error(&ScimError::status(409, "No resync is under way"), &[]);
            }
            store.cancel_switch().map_err(internal)?;
            self.memory.switching.forget();
            return json_answer(200, &self.view(settings)?);
        }
        let is_filling = store.replica().map_err(internal)?.is_none_or(|state| state.filling.is_some());
        match reason {
            // The first fill reads everything.
            None if is_filling => return self.want(Purpose::Whole, settings).await,
            None => {}
            Some(Reason::Resync) if !is_dry => {
                self.hurry_switch()?;
                self.wake_in(0).await?;
                return json_answer(202, &self.view(settings)?);
            }
            Some(Reason::Resync) => return json_answer(202, &self.view(settings)?),
            Some(_) => {
                let sentence = "A switch of the origin is under way: it reads everything";
                return scim_error(&ScimError::status(409, sentence), &[]);
            }
        }
        let plan = self.plan_resync(settings, sent.confirm.as_deref()).await?;
        if is_dry {
            return json_answer(200, &plan.to_json());
        }
        if plan.refused.is_some() {
            return plan.refusal();
        }
        // Something may have begun while the origin was asked.
        if store.sets().map_err(internal)?.switch.is_none() && self.copies(origin)? {
            self.begin_resync(settings, origin).await?;
        }
        json_answer(202, &self.view(settings)?)
    }

    fn view_switch(&self, switch: &Switch) -> Result<Value> {
        let set = self.memory.switching.set(switch.number);
        let state = set.as_ref().map(|set| set.replica()).transpose().map_err(internal)?.flatten();
        let count = |kind| set.as_ref().map_or(Ok(0), |set| set.count(kind)).map_err(internal);
        let copied = count(Kind::User)?.saturating_add(count(Kind::Group)?);
        let seconds = now_ms().saturating_sub(switch.began).max(1000).div_euclid(1000);
        let is_filling = switch.kept.is_none() && state.as_ref().is_none_or(|state| state.filling.is_some());
        Ok(json!({
            "reason": switch.reason,
            "phase": if is_filling { "filling" } else { "exchanging" },
            "host": switch.origin.as_deref().map(host),
            "startedAt": switch.began,
            "copied": copied,
            "total": state.and_then(|state| state.fill_total),
            "perSecond": copied.checked_div(seconds),
            "failures": switch.failures,
            "lastFailure": switch.last_failure,
            "nextAttemptAt": switch.next_attempt,
        }))
    }

    /// Answers the Worker.
    pub(crate) fn answer_view(&self, settings: &DirectorySettings) -> Result<Response> {
        json_answer(200, &self.view(settings)?)
    }

    fn view(&self, settings: &DirectorySettings) -> Result<Value> {
        let store = self.store()?;
        let now_ms = now_ms();
        let count = |kind| store.count(kind).map_err(internal);
        let (users, groups) = (count(Kind::User)?, count(Kind::Group)?);
        let state = store.replica().map_err(internal)?;
        let synced = state.as_ref().and_then(|state| state.synced_at);
        let age = synced.map(|at| now_ms.saturating_sub(at).max(0).div_euclid(1000));
        let is_old = age.is_none_or(|age| age > i64::from(settings.max_staleness_seconds));
        let copied = users.saturating_add(groups);
        let fill = state.as_ref().filter(|state| state.filling.is_some()).map(|state| {
            let began = state.fill_began.unwrap_or(now_ms);
            let seconds = now_ms.saturating_sub(began).max(1000).div_euclid(1000);
            json!({
                "copied": copied,
                "total": state.fill_total,
                "perSecond": copied.checked_div(seconds),
                "startedAt": began,
            })
        });
        let told = match &state {
            None => "live",
            Some(_) if fill.is_some() => "filling",
            Some(state) if state.suspicion.is_some() => "suspicious",
            Some(_) if is_old => "stale",
            Some(_) => "live",
        };
        let pass = state
            .as_ref()
            .and_then(|state| state.pass.as_ref())
            .map(|pass| json!({ "purpose": pass.purpose, "startedAt": pass.began, "pages": pass.pages }));
        let sets = store.sets().map_err(internal)?;
        let switch = sets.switch.as_ref().map(|switch| self.view_switch(switch)).transpose()?;
        let kept: Vec<Value> = sets.kept.iter().rev().map(|kept| view_kept(kept, users, groups)).collect();
        Ok(json!({
            "switch": switch,
            "kept": kept,
            "mode": if state.is_some() { "copy" } else { "record" },
            "state": told,
            "users": users,
            "groups": groups,
            "syncedAt": synced,
            "ageSeconds": age,
            "maxStalenessSeconds": settings.max_staleness_seconds,
            "fill": fill,
            "pass": pass,
            "origin": state.as_ref().map(|state| self.view_origin(&state.origin)),
            "setAside": {
                "users": store.count_set_aside(Kind::User).map_err(internal)?,
                "groups": store.count_set_aside(Kind::Group).map_err(internal)?,
            },
            "lastError": state.as_ref().and_then(|state| state.last_error.as_ref()),
            "unknownOutcomes": store.unknown().map_err(internal)?.len(),
            "brake": self.view_brake(settings)?,
            "lastCheck": state.as_ref().and_then(|state| state.last_check.as_ref()),
        }))
    }

    fn view_origin(&self, base: &str) -> Value {
        let (hops, trace) = (String::new(), Trace::default());
        let origin = Origin { base: base.to_owned(), authorization: None, hops, trace, side: Side::InUse };
        self.with_circuit(&origin, |circuit| {
            let position = circuit.position(now_ms());
            let health = match position {
                Position::Closed if circuit.failures > 0 => "down",
                Position::Closed if circuit.answered => "up",
                Position::Closed => "unknown",
                Position::Open | Position::HalfOpen => "down",
            };
            json!({
                "host": host(base),
                "health": health,
                "circuit": position,
                "failures": circuit.failures,
                "retryAt": circuit.asked_again_at(now_ms()),
            })
        })
    }

    /// Takes over what is said to have changed at the origin.
    async fn changes(&self, request: &Request, call: &Rc<Call>, origin: &Origin) -> Result<Response> {
        let resources = match resources(request).await {
            Ok(resources) => resources,
            Err(error) => return scim_error(&error, &[]),
        };
        // The account or the credential may have gone while the body was read.
        let call = &match self.judged(request, call.clone())? {
            Ok(call) => call,
            Err(refusal) => return Ok(refusal),
        };
        if let Err(error) = permit_wholes(call.permissions, &resources) {
            return scim_error(&error, &[]);
        }
        let (mut refreshed, mut removed, mut failed) = (0_usize, 0_usize, Vec::new());
        let each = resources.iter().map(|one| async move { (one, self.change(one, origin).await) });
        let mut done = stream::iter(each).buffer_unordered(AT_ONCE);
        while let Some((one, outcome)) = done.next().await {
            match outcome? {
                Change::Refreshed => refreshed = refreshed.saturating_add(1),
                Change::Removed => removed = removed.saturating_add(1),
                Change::Failed(detail) => {
                    failed.push(json!({ "type": one.get("type"), "id": named(one), "detail": detail }));
                }
            }
        }
        json_answer(200, &json!({ "refreshed": refreshed, "removed": removed, "failed": failed }))
    }

    async fn change(&self, one: &Value, origin: &Origin) -> Result<Change> {
        let (Some(kind), Some(id)) = (kind(one), named(one)) else {
            return Ok(Change::Failed("type must be User or Group, and id (or resource.id) a string"));
        };
        if !is_path_segment(id) {
            return Ok(Change::Failed("No path to the origin can carry this id"));
        }
        let store = self.store()?;
        let _turn = self.memory.locks.acquire((kind, id.to_owned())).await;
        // What is sent may be of any time before: what is gone by now must not come back with it.
        let since = self.memory.races.moment();
        let _recalled = self.recall().await;
        if let Some(shown) = one.get("resource")
            && self.is_newer(kind, id, shown)?
            && self.absorb(kind, shown, origin, &since)?.is_some()
        {
            self.memory.races.note(kind, id);
            return Ok(Change::Refreshed);
        }
        match self.read_anew(kind, id, origin, Source::Origin).await? {
            Reread::Right => {}
            Reread::Kept => {
                return Ok(Change::Failed("The origin does not have it; the brake keeps it in the copy"));
            }
            Reread::Failed => return Ok(Change::Failed("The origin could not be read")),
        }
        let is_there = store.has(kind, id).map_err(internal)?;
        Ok(if is_there { Change::Refreshed } else { Change::Removed })
    }

    /// Whether a resource that was sent is certainly newer than the copy's. What is not in the copy may have
    /// been deleted since it was sent; what says nothing of its time, or the same, may be older.
    fn is_newer(&self, kind: Kind, id: &str, shown: &Value) -> Result<bool> {
        let store = self.store()?;
        let is_whole = kind == Kind::User || shown.get("members").is_some();
        let unknown = store.unknown().map_err(internal)?;
        let is_known = unknown.iter().all(|intent| intent.kind != kind || intent.id.as_deref() != Some(id));
        let stored = store.origin_modified(kind, id).map_err(internal)?;
        Ok(is_whole && is_known && stored.zip(modified(shown)).is_some_and(|(stored, sent)| stored < sent))
    }
}

/// The kind of a resource that was said to have changed.
fn kind(one: &Value) -> Option<Kind> {
    let name = one.get("type").and_then(Value::as_str);
    Kind::ALL.into_iter().find(|known| name == Some(known.name()))
}

/// Refuses all of them if one is whole and the caller may not manage its kind.
fn permit_wholes(held: Permissions, resources: &[Value]) -> std::result::Result<(), ScimError> {
    let mut whole = resources.iter().filter(|one| one.get("resource").is_some()).filter_map(kind);
    let refusal = whole.find_map(|kind| permit_whole(held, kind).err());
    match refusal {
        Some(refusal) => {
            let sentence = format!(
                "A whole resource is taken from callers with {}; send its type and id, and the origin is asked",
                refusal.detail
            );
            Err(ScimError::status(403, sentence))
        }
        None => Ok(()),
    }
}

/// What was in use before a switch, with the words that put it back.
fn view_kept(kept: &Kept, users: i64, groups: i64) -> Value {
    json!({
        "number": kept.number,
        "mode": if kept.origin.is_some() { "copy" } else { "record" },
        "host": kept.origin.as_deref().map(host),
        "users": kept.users,
        "groups": kept.groups,
        "since": kept.since,
        "until": kept.until,
        "confirm": kept.confirmation(users, groups),
    })
}

/// The id of a resource that was said to have changed.
fn named(one: &Value) -> Option<&str> {
    one.get("resource").unwrap_or(one).get("id").and_then(Value::as_str).filter(|id| !id.is_empty())
}

/// A call's body: a JSON object within limits.
pub(crate) async fn body(request: &Request) -> std::result::Result<Map<String, Value>, ScimError> {
    let text = read(request.body(), BODY.bytes).await.map_err(|error| error.scim_error(BODY.bytes))?;
    read_object(&text, BODY)
}

async fn resources(request: &Request) -> std::result::Result<Vec<Value>, ScimError> {
    let mut body = body(request).await?;
    match body.remove("resources") {
        Some(Value::Array(resources)) if resources.len() <= RESOURCES => Ok(resources),
        _ => Err(ScimError::new(
            ScimType::InvalidValue,
            format!("resources must be a list of at most {RESOURCES} resources, each with type and id"),
        )),
    }
}

pub(crate) fn json_answer(status: u16, body: &Value) -> Result<Response> {
    let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
    answer(status, &headers, Some(body.to_string()))
}
