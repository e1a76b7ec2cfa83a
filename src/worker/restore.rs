//! `.restore`: deleted resources come back.
//!
//! In a system of record each is one transaction (`directory::restore`). In front of an origin a restore is a
//! forwarded write like any other, with an intent and an unknown outcome (`writes.rs`): a POST, or a PUT if the
//! origin still has the resource. The tombstone says that a restore was sent until its outcome is known; then it
//! leads to the new id, with the groups that the resource is still to be added to. A restore that was cut off
//! between them goes on if it is asked for again.
//!
//! INVARIANT: nothing is sent for a resource whose name the copy knows to be taken, nor while a create of unknown
//! outcome is being looked for: a restore never makes a second resource of the same name.

use crate::call::Call;
use crate::contact::circuit_open;
use crate::deleted::kind_named;
use crate::directory::{Directory, Incoming, internal, respond};
use crate::environment::now_ms;
use crate::http::{Request, Response, scim_error};
use crate::journal::{Written, deleted_from};
use crate::operate::{body, json_answer};
use crate::origin::{Origin, path};
use crate::replica::{is_scim, unreachable_origin};
use scim_edge_account::published::DirectorySettings;
use scim_edge_directory::deleted::Tombstone;
use scim_edge_directory::pass::modified;
use scim_edge_directory::restore::{Restored, Terms, add_member};
use scim_edge_policy::operation::needed;
use scim_edge_scim::endpoint::{Endpoint, Kind, segments};
use scim_edge_scim::error::{Error as ScimError, ScimType};
use serde_json::{Map, Value, json};
use std::rc::Rc;
use worker::Result;

/// Resources of one call.
const RESOURCES: usize = 100;

/// Groups that one call adds restored resources to at the origin: each is a write of its own, and the platform
/// limits the requests of one call to 1000.
const GROUPS: usize = 200;

/// A resource of a call.
struct Wanted {
    kind: Kind,
    id: String,
}

/// The outcome for one resource: the error is an answer.
type Outcome = std::result::Result<Restored, Response>;

impl Directory {
    pub(crate) async fn restore(
        &self,
        request: &Request,
        call: &Rc<Call>,
        settings: &DirectorySettings,
    ) -> Result<Response> {
        let (wanted, is_one, with_memberships) = match body(request).await.and_then(|body| wanted(&body)) {
            Ok(wanted) => wanted,
            Err(error) => return scim_error(&error, &[]),
        };
        // The account or the credential may have gone while the body was read.
        let call = &match self.judged(request, call.clone())? {
            Ok(call) => call,
            Err(refusal) => return Ok(refusal),
        };
        let mut groups_left = GROUPS;
        let (mut restored, mut failed) = (Vec::new(), Vec::new());
        for one in &wanted {
            let outcome = self.restore_one(call, settings, one, with_memberships, &mut groups_left).await?;
            match outcome {
                Ok(done) if is_one => return json_answer(200, &json!(done)),
                Err(response) if is_one => return Ok(response),
                Ok(done) => restored.push(json!(done)),
                Err(response) => {
                    let said = response.text().and_then(|text| serde_json::from_str::<Value>(text).ok());
                    let said = |name: &str| said.as_ref().and_then(|said| said.get(name)).cloned();
                    failed.push(json!({
                        "type": one.kind.name(),
                        "id": one.id,
                        "status": response.status,
                        "scimType": said("scimType"),
                        "detail": said("detail"),
                    }));
                }
            }
        }
        json_answer(200, &json!({ "restored": restored, "failed": failed }))
    }

    async fn restore_one(
        &self,
        call: &Rc<Call>,
        settings: &DirectorySettings,
        wanted: &Wanted,
        with_memberships: bool,
        groups_left: &mut usize,
    ) -> Result<Outcome> {
        let (kind, id) = (wanted.kind, wanted.id.as_str());
        let mut needs = needed("POST", kind);
        if with_memberships {
            needs = needs.union(needed("POST", Kind::Group));
        }
        if !call.permissions.has_all(needs) {
            let memberships =
                if with_memberships { ", and to change groups unless memberships is false" } else { "" };
            let sentence =
                format!("Restoring a {} needs the permissions to create it{memberships}", kind.name());
            return Ok(Err(scim_error(&ScimError::status(403, sentence), &[])?));
        }
        let _turn = self.memory.restores.acquire((kind, id.to_owned())).await;
        let _recalled = self.recall().await;
        if settings.origin_url.is_some() {
            let Some(origin) = self.origin(settings, None)? else {
                let sentence = "The origin takes its callers' own credentials: restore the resource there";
                return Ok(Err(scim_error(&ScimError::status(409, sentence), &[])?));
            };
            return self.restore_at(call, settings, &origin, wanted, with_memberships, groups_left).await;
        }
        let now_ms = now_ms();
        let terms = Terms {
            memberships: with_memberships,
            unique_group_names: settings.unique_group_names,
            kept_from: deleted_from(settings, now_ms),
            now_ms,
        };
        match self.store()?.restore(kind, id, &terms) {
            Ok(restored) => {
                let of = Written { kind, id: id.to_owned(), former_id: None };
                self.note_operation(call, operation(kind), 200, of)?;
                Ok(Ok(restored))
            }
            Err(refused) => Ok(Err(respond(refused, &[])?)),
        }
    }

    /// Restores a resource at the origin.
    async fn restore_at(
        &self,
        call: &Rc<Call>,
        settings: &DirectorySettings,
        origin: &Origin,
        wanted: &Wanted,
        with_memberships: bool,
        groups_left: &mut usize,
    ) -> Result<Outcome> {
        let (kind, id) = (wanted.kind, wanted.id.as_str());
        let kept_from = deleted_from(settings, now_ms());
        let store = self.store()?;
        self.wake().await?;
        if let Some(begun) = store.begun_restore(kind, id, kept_from).map_err(internal)? {
            let restored = Restored { former_id: former(id, &begun.id), ..Restored::of(kind, &begun.id) };
            return self.rejoin(call, settings, origin, begun.number, restored, groups_left).await.map(Ok);
        }
        if let Some(wait) = self.with_circuit(origin, |circuit| circuit.wait(now_ms())) {
            return Ok(Err(circuit_open(wait)?));
        }
        let is_filling = store.replica().map_err(internal)?.is_none_or(|state| state.filling.is_some());
        if is_filling || store.has_unknown_creations().map_err(internal)? {
            let sentence =
                "The copy of the origin does not know yet which names are taken: restore again shortly";
            return Ok(Err(scim_error(&ScimError::status(503, sentence), &[("retry-after", "5")])?));
        }
        let tombstone = match store.restorable(kind, id, kept_from) {
            Ok(tombstone) => tombstone,
            Err(refused) => return Ok(Err(respond(refused, &[])?)),
        };
        if let Err(refused) = store.check_free(&tombstone, settings.unique_group_names) {
            return Ok(Err(respond(refused, &[])?));
        }
        let has = match self.still_has(origin, &tombstone).await? {
            Ok(has) => has,
            Err(response) => return Ok(Err(response)),
        };
        let links = if with_memberships {
            store.memberships(&tombstone).map_err(internal)?
        } else {
            Default::default()
        };
        let mut sent = store.restore_body(&tombstone, &links, &call.base).map_err(internal)?;
        let write = match &has {
            Some(version) => {
                sent.insert("id".to_owned(), id.into());
                let endpoint = Endpoint::Resource(kind, id.to_owned());
                Incoming::part(call, "PUT", endpoint, version.clone(), text(sent))
            }
            None => Incoming::part(call, "POST", Endpoint::Collection(kind), None, text(sent)),
        };
        store.begin_restore(&tombstone, now_ms()).map_err(internal)?;
        let answered = self.write(&write, settings, origin).await?;
        let new_id = has.map(|_| id.to_owned()).or_else(|| id_of(&answered));
        let new_id = match (answered.status, new_id) {
            (200..300, Some(new_id)) => new_id,
            (status, _) => {
                if (400..500).contains(&status) || status == 501 {
                    store.end_restore(&tombstone).map_err(internal)?;
                }
                return Ok(Err(answered));
            }
        };
        // In the turn of the answer: the tombstone leads to the resource as soon as the copy has it.
        let number = store.mark_restored(&tombstone, &links, &new_id).map_err(internal)?;
        let former_id = former(id, &new_id);
        let of = Written { kind, id: new_id.clone(), former_id: former_id.clone() };
        self.note_operation(call, operation(kind), answered.status, of)?;
        let restored = Restored {
            former_id,
            memberships: links.member_count(),
            waiting: links.waiting(),
            lost: links.lost,
            ..Restored::of(kind, &new_id)
        };
        self.rejoin(call, settings, origin, number, restored, groups_left).await.map(Ok)
    }

    /// Whether the origin still has a deleted resource, and in which version. It is asked only if the resource was
    /// at this origin: at another one the id may be somebody else's.
    async fn still_has(
        &self,
        origin: &Origin,
        tombstone: &Tombstone,
    ) -> Result<std::result::Result<Option<Option<String>>, Response>> {
        let (kind, id) = (tombstone.kind, tombstone.id.clone());
        let Some(path) = path(&Endpoint::Resource(kind, id.clone()), "") else { return Ok(Ok(None)) };
        if tombstone.origin.as_deref() != Some(origin.base.as_str()) {
            return Ok(Ok(None));
        }
        let Ok(answered) = self.get(origin, path).await else { return Ok(Err(unreachable_origin()?)) };
        match answered.status {
            404 | 410 if is_scim(&answered) => Ok(Ok(None)),
            200 => {
                let shown = serde_json::from_slice::<Value>(&answered.body).unwrap_or_default();
                if modified(&shown).is_some_and(|at| at > tombstone.deleted_at) {
                    let _turn = self.memory.locks.acquire((kind, id.clone())).await;
                    self.reread(kind, &id, origin).await?;
                    let sentence = "The origin has this resource, and it was changed there after its deletion \
                        was seen: the copy shows it as the origin does, nothing was restored";
                    return Ok(Err(scim_error(&ScimError::status(409, sentence), &[])?));
                }
                let etag = answered.headers.iter().find(|(name, _)| *name == "etag");
                Ok(Ok(Some(etag.map(|(_, value)| value.clone()))))
            }
            _ => {
                let sentence = "The origin did not say whether it has the resource: nothing was restored";
                Ok(Err(scim_error(&ScimError::status(502, sentence), &[("retry-after", "5")])?))
            }
        }
    }

    /// Adds a restored resource to its groups at the origin, one after another.
    async fn rejoin(
        &self,
        call: &Rc<Call>,
        settings: &DirectorySettings,
        origin: &Origin,
        tombstone: i64,
        mut restored: Restored,
        groups_left: &mut usize,
    ) -> Result<Restored> {
        let store = self.store()?;
        let kind = kind_named(&restored.kind).unwrap_or(Kind::User);
        let pending = store.pending_groups(tombstone).map_err(internal)?;
        let mut left = pending.len();
        for (group, display) in &pending {
            if *groups_left == 0 {
                break;
            }
            *groups_left = groups_left.saturating_sub(1);
            let patch = add_member(&restored.id, kind, display.as_deref());
            let endpoint = Endpoint::Resource(Kind::Group, group.clone());
            let write = Incoming::part(call, "PATCH", endpoint, None, patch.to_string().into_bytes());
            match self.write(&write, settings, origin).await?.status {
                ..300 => restored.memberships = restored.memberships.saturating_add(1),
                // The group is gone, or does not take the member.
                300..=499 | 501 => restored.lost = restored.lost.saturating_add(1),
                _ => continue,
            }
            left = left.saturating_sub(1);
            store.settle_group(tombstone, group).map_err(internal)?;
        }
        restored.pending = left;
        if left == 0 {
            store.finish_restore(tombstone).map_err(internal)?;
        }
        Ok(restored)
    }
}

/// The resources that a body names, whether it is the form for one, and whether memberships are wanted.
fn wanted(body: &Map<String, Value>) -> std::result::Result<(Vec<Wanted>, bool, bool), ScimError> {
    let wrong = |sentence: &str| ScimError::new(ScimType::InvalidValue, sentence);
    let with_memberships = match body.get("memberships") {
        None => true,
        Some(Value::Bool(wanted)) => *wanted,
        Some(_) => return Err(wrong("memberships must be true or false")),
    };
    let one = |value: &Map<String, Value>| {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let kind = text("type").and_then(kind_named);
        match (kind, text("id").filter(|id| !id.is_empty())) {
            (Some(kind), Some(id)) => Ok(Wanted { kind, id: id.to_owned() }),
            _ => Err(wrong("type must be User or Group, and id a string")),
        }
    };
    match body.get("resources") {
        None => Ok((vec![one(body)?], true, with_memberships)),
        Some(Value::Array(list)) if (1..=RESOURCES).contains(&list.len()) => {
            let each = list.iter().map(|value| {
                let value = value.as_object().ok_or_else(|| wrong("each of resources must be an object"))?;
                one(value)
            });
            Ok((each.collect::<std::result::Result<_, _>>()?, false, with_memberships))
        }
        Some(_) => Err(wrong(&format!("resources must be a list of 1 to {RESOURCES} resources"))),
    }
}

/// The name of a restore in the audit.
fn operation(kind: Kind) -> &'static str {
    if kind == Kind::User { "user.restore" } else { "group.restore" }
}

fn former(old: &str, new: &str) -> Option<String> {
    (old != new).then(|| old.to_owned())
}

fn text(body: Map<String, Value>) -> Vec<u8> {
    Value::Object(body).to_string().into_bytes()
}

/// The id of a resource that was created.
fn id_of(answered: &Response) -> Option<String> {
    let shown = answered.text().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let shown = shown.as_ref().and_then(|shown| shown.get("id")).and_then(Value::as_str);
    let located = || {
        let location = answered.header("location")?;
        let path = location.split_once("://").map_or(location, |(_, rest)| rest);
        segments(path).ok()?.pop()
    };
    shown.filter(|id| !id.is_empty()).map(str::to_owned).or_else(located)
}
