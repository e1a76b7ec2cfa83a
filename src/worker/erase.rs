//! `.erase`: one resource goes for good, with its history.
//!
//! The resource is deleted as a client would, at the origin too; copies near callers give their storage back; the
//! audit follows in turns, and the tombstone last. Whatever fails on the way is answered with an error, and the
//! same call goes on where it ended: only the last step removes the name that confirms it.

use crate::call::Call;
use crate::deleted::kind_named;
use crate::directory::{Directory, Incoming, internal, let_others_in, respond};
use crate::environment::now_ms;
use crate::http::{Request, Response, scim_error};
use crate::journal::Written;
use crate::operate::{body, json_answer};
use scim_edge_account::published::DirectorySettings;
use scim_edge_directory::audit::ERASED;
use scim_edge_directory::resource_erasure::{Erasable, SCRUB_TURNS};
use scim_edge_policy::operation::needed;
use scim_edge_scim::endpoint::{Endpoint, Kind};
use scim_edge_scim::error::{Error as ScimError, ScimType};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::rc::Rc;
use worker::Result;

/// Every answer says it.
const REMAINS: [&str; 4] = [
    "free space within pages of the database that are in use, until SQLite uses it again",
    "the platform's point-in-time recovery, for 30 days",
    "data that the origin, identity providers and exports keep themselves",
    "attributes of other resources, listed as references",
];

impl Directory {
    pub(crate) async fn erase_resource(
        &self,
        request: &Request,
        call: &Rc<Call>,
        settings: &DirectorySettings,
    ) -> Result<Response> {
        let asked = body(request).await.and_then(|body| {
            let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            match (text("type").and_then(kind_named), text("id")) {
                (Some(kind), Some(id)) => {
                    Ok((kind, id.to_owned(), text("confirm").unwrap_or_default().to_owned()))
                }
                _ => {
                    Err(ScimError::new(ScimType::InvalidValue, "type must be User or Group, and id a string"))
                }
            }
        });
        let (kind, id, confirm) = match asked {
            Ok(asked) => asked,
            Err(error) => return scim_error(&error, &[]),
        };
        // The account or the credential may have gone while the body was read.
        let call = &match self.judged(request, call.clone())? {
            Ok(call) => call,
            Err(refusal) => return Ok(refusal),
        };
        if !call.permissions.has_all(needed("DELETE", kind)) {
            let sentence = format!("Erasing a {} needs the permission to delete it", kind.name());
            return scim_error(&ScimError::status(403, sentence), &[]);
        }
        let store = self.store()?;
        if store.sets().map_err(internal)?.switch.is_some() {
            let sentence = "A switch of the origin is under way, which could bring the resource back: end it first, or wait";
            return scim_error(&ScimError::status(409, sentence), &[]);
        }
        let Some(erasable) = store.erasable(kind, &id).map_err(internal)? else {
            let sentence = format!("A {} with this id, or a trace of one,", kind.name());
            return scim_error(&ScimError::not_found(sentence), &[]);
        };
        if let Err(error) = confirmed(&erasable, kind, &id, &confirm) {
            return scim_error(&error, &[]);
        }
        // In one order, so that two erasures do not wait for each other.
        let mut turns = Vec::new();
        for id in erasable.ids.iter().collect::<BTreeSet<_>>() {
            turns.push(self.memory.restores.acquire((kind, id.clone())).await);
        }
        let _recalled = self.recall().await;
        let deleted_at_origin = match self.delete_for_erasure(call, settings, kind, &erasable).await? {
            Ok(deleted) => deleted,
            Err(response) => return Ok(response),
        };
        if let Err(error) = self.forget_copies().await {
            worker::console_error!("a copy did not forget: {error}");
            let sentence =
                "A copy near callers could not be reached: it may still hold the resource; erase again";
            return scim_error(&ScimError::status(503, sentence), &[("retry-after", "5")]);
        }
        let mut after = 0;
        while let Some(next) = store.erase_audit(kind, &erasable, after).map_err(internal)? {
            after = next;
            let_others_in().await?;
        }
        if store.erasable(kind, &id).map_err(internal)?.is_some_and(|now| now.live.is_some()) {
            let sentence = "The resource came back while it was erased: erase again";
            return scim_error(&ScimError::status(409, sentence), &[]);
        }
        store.erase_tables(kind, &erasable, now_ms()).map_err(internal)?;
        let of = Written { kind, id: ERASED.to_owned(), former_id: None };
        self.note_operation(call, if kind == Kind::User { "user.erase" } else { "group.erase" }, 200, of)?;
        for turn in 0..SCRUB_TURNS {
            store.scrub(turn).map_err(internal)?;
            let_others_in().await?;
        }
        let references = store.references(&erasable).map_err(internal)?;
        let references: Vec<Value> =
            references.iter().map(|one| json!({ "type": one.kind.name(), "id": one.id })).collect();
        json_answer(
            200,
            &json!({
                "erased": true,
                "ids": erasable.ids.len(),
                "deletedAtOrigin": deleted_at_origin,
                "references": references,
                "remains": REMAINS,
            }),
        )
    }

    /// Deletes a resource if it is there, at the origin too. Whether the origin was asked to.
    async fn delete_for_erasure(
        &self,
        call: &Rc<Call>,
        settings: &DirectorySettings,
        kind: Kind,
        erasable: &Erasable,
    ) -> Result<std::result::Result<bool, Response>> {
        let delete = |id: &str| {
            let endpoint = Endpoint::Resource(kind, id.to_owned());
            Incoming { is_confirmed: true, ..Incoming::part(call, "DELETE", endpoint, None, Vec::new()) }
        };
        let store = self.store()?;
        if settings.origin_url.is_none() {
            let Some(id) = &erasable.live else { return Ok(Ok(false)) };
            let answered = self.local_as(&delete(id), settings, "DELETE")?;
            return match answered.status {
                ..300 | 404 => Ok(Ok(false)),
                _ => Ok(Err(respond(answered, &[])?)),
            };
        }
        let Some(origin) = self.origin(settings, None)? else {
            let sentence = "The origin takes its callers' own credentials: delete the resource there first";
            return Ok(Err(scim_error(&ScimError::status(409, sentence), &[])?));
        };
        self.wake().await?;
        let mut was_there = false;
        for id in &erasable.ids {
            // The copy may not know yet that the origin has it.
            let is_known = {
                let _turn = self.memory.locks.acquire((kind, id.clone())).await;
                self.reread(kind, id, &origin).await?
            };
            if !is_known {
                let sentence =
                    "The origin could not be asked whether it has the resource: nothing was erased";
                return Ok(Err(scim_error(&ScimError::status(502, sentence), &[("retry-after", "5")])?));
            }
            if !store.has(kind, id).map_err(internal)? {
                continue;
            }
            was_there = true;
            let answered = self.write(&delete(id), settings, &origin).await?;
            if !matches!(answered.status, ..300 | 404 | 410) {
                return Ok(Err(answered));
            }
        }
        Ok(Ok(was_there))
    }
}

/// Checks the confirmation: the resource's name, or its id if no name is known.
fn confirmed(erasable: &Erasable, kind: Kind, id: &str, confirm: &str) -> std::result::Result<(), ScimError> {
    let name = erasable.name.as_deref().unwrap_or(id);
    if confirm.strip_prefix("erase ") == Some(name) {
        return Ok(());
    }
    let of = match (&erasable.name, kind) {
        (None, _) => "id",
        (Some(_), Kind::User) => "userName",
        (Some(_), Kind::Group) => "displayName",
    };
    let sentence = format!("confirm must be the word erase, a blank, and the {}'s {of}", kind.name());
    Err(ScimError::new(ScimType::InvalidValue, sentence))
}
