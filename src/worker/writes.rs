//! Writes in front of an origin: one at a time for each resource, known to storage before they leave,
//! and in the copy before the caller gets the answer.

use crate::contact::circuit_open;
use crate::directory::{Directory, Incoming, internal};
use crate::environment::now_ms;
use crate::http::scim_error;
use crate::origin::{Answer, Origin};
use crate::replica::{Sent, read_body};
use scim_edge_account::published::DirectorySettings;
use scim_edge_account::supplement::Supplement;
use scim_edge_scim::endpoint::{Endpoint, Kind, segments};
use scim_edge_scim::error::Error as ScimError;
use serde_json::Value;
use worker::{Response, Result};

impl Directory {
    pub(crate) async fn write(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        origin: &Origin,
    ) -> Result<Response> {
        let (kind, id) = match &incoming.endpoint {
            Endpoint::Collection(kind) => (*kind, None),
            Endpoint::Resource(kind, id) => (*kind, Some(id.clone())),
            _ => return scim_error(&ScimError::status(405, "This path does not have that method"), &[]),
        };
        if !incoming.body.is_empty()
            && let Err(refused) = read_body(incoming)
        {
            return scim_error(&refused, &[]);
        }
        let _turn = match &id {
            Some(id) => Some(self.memory.locks.acquire((kind, id.clone())).await),
            None => None,
        };
        // Nothing is queued for an origin that is down, and no intent stored.
        if let Some(wait) = self.with_circuit(origin, |circuit| circuit.wait(now_ms())) {
            return circuit_open(wait);
        }
        let if_match = match self.precondition(incoming, settings, kind, id.as_deref())? {
            Ok(if_match) => if_match,
            Err(response) => return Ok(response),
        };
        let store = self.store()?;
        let intent = store.begin(kind, id.as_deref(), &incoming.method, now_ms()).map_err(internal)?;
        let key = id.clone().map(|id| (kind, id));
        if let Some(key) = &key {
            self.memory.writing.borrow_mut().insert(key.clone());
        }
        let lacks_patch = self.lacks_patch(incoming, settings)?;
        let outcome = match &id {
            Some(id) if lacks_patch => self.put_patched(incoming, settings, kind, id, origin).await,
            _ => self.send(incoming, origin, if_match).await,
        };
        let result = match outcome {
            Ok(Sent::Answered(answered)) => {
                let settled = self.take_over(incoming, kind, id.as_deref(), origin, &answered).await;
                match settled {
                    Ok(true) => store.settle(intent),
                    _ => store.mark_unknown(intent),
                }
                .map_err(internal)?;
                let status = format!("scim-edge; fwd=method; fwd-status={}", answered.status);
                self.pass(incoming, origin, &answered, &status)
            }
            Ok(Sent::Refused(response)) => {
                store.settle(intent).map_err(internal)?;
                Ok(response)
            }
            Ok(Sent::Unknown(response)) => {
                store.mark_unknown(intent).map_err(internal)?;
                Ok(response)
            }
            Err(error) => {
                store.mark_unknown(intent).map_err(internal)?;
                Err(error)
            }
        };
        if let Some(key) = &key {
            self.memory.writing.borrow_mut().remove(key);
            self.note_write(key);
        }
        result
    }

    pub(crate) fn note_write(&self, key: &(Kind, String)) {
        let count = self.memory.writes.get().saturating_add(1);
        self.memory.writes.set(count);
        self.memory.written.borrow_mut().insert(key.clone(), count);
    }

    /// `If-Match` as the origin understands it; where the origin gives no versions, it is checked here.
    fn precondition(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        kind: Kind,
        id: Option<&str>,
    ) -> Result<std::result::Result<Option<String>, Response>> {
        let Some(if_match) = incoming.headers.get("if-match")? else { return Ok(Ok(None)) };
        let Some(id) = id else { return Ok(Ok(Some(if_match))) };
        if !settings.supplements.contains(&Supplement::Etag) {
            return Ok(Ok(Some(if_match)));
        }
        let store = self.store()?;
        if store.origin_version(kind, id).map_err(internal)?.is_some()
            || !store.has(kind, id).map_err(internal)?
        {
            return Ok(Ok(Some(scim_edge_directory::replica::origin_tags(&if_match))));
        }
        let checked = self.local_as(incoming, settings, "HEAD")?;
        if checked.status == 412 {
            let error = ScimError::status(412, "the resource has changed");
            return Ok(Err(scim_error(&error, &[])?));
        }
        Ok(Ok(None))
    }

    /// Brings the tables up to date with what the origin answered to a write. Whether they are.
    async fn take_over(
        &self,
        incoming: &Incoming,
        kind: Kind,
        id: Option<&str>,
        origin: &Origin,
        answered: &Answer,
    ) -> Result<bool> {
        let store = self.store()?;
        match answered.status {
            200..300 if incoming.method == "DELETE" => {
                if let Some(id) = id {
                    store.forget(kind, id, now_ms()).map_err(internal)?;
                }
                Ok(true)
            }
            200..300 => {
                let shown = serde_json::from_slice::<Value>(&answered.body).ok();
                let whole = !incoming.query.to_ascii_lowercase().contains("attributes=")
                    && shown
                        .as_ref()
                        .is_some_and(|shown| kind == Kind::User || shown.get("members").is_some());
                if let (true, Some(shown)) = (whole, &shown)
                    && let Some(id) = self.absorb(kind, shown, origin)?
                {
                    self.note_write(&(kind, id));
                    return Ok(true);
                }
                let named = shown
                    .as_ref()
                    .and_then(|shown| shown.get("id"))
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                let located = || {
                    let location = answered.headers.iter().find(|(name, _)| *name == "location")?;
                    segments(&location.1).ok()?.pop()
                };
                let id = id.map(str::to_owned).or(named).or_else(located);
                let Some(id) = id else { return Ok(false) };
                let done = self.reread(kind, &id, origin).await?;
                if done && incoming.method == "POST" {
                    self.notice_hidden_members(incoming, kind, &id)?;
                }
                Ok(done)
            }
            // What the origin does not have, or has in another version, the copy must not show.
            404 | 410 | 412 => match id {
                Some(id) => self.reread(kind, id, origin).await,
                None => Ok(true),
            },
            // It may have been done before the error.
            500.. => match id {
                Some(id) => self.reread(kind, id, origin).await,
                None => Ok(false),
            },
            _ => Ok(true),
        }
    }

    /// An origin that was given members and shows none keeps them to itself: what it does not tell is
    /// not answered from the copy.
    fn notice_hidden_members(&self, incoming: &Incoming, kind: Kind, id: &str) -> Result<()> {
        let store = self.store()?;
        let given = serde_json::from_slice::<Value>(&incoming.body).ok();
        let given = given.as_ref().and_then(|body| body.get("members")).and_then(Value::as_array);
        if kind != Kind::Group
            || given.is_none_or(Vec::is_empty)
            || store.member_count(id).map_err(internal)? > 0
        {
            return Ok(());
        }
        if let Some(mut state) = store.replica().map_err(internal)? {
            state.hides_members = true;
            store.set_replica(&state).map_err(internal)?;
        }
        Ok(())
    }
}
