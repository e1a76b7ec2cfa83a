//! Writes in front of an origin: one at a time for each resource, known to storage before they leave,
//! and in the copy before the caller gets the answer.

use crate::contact::circuit_open;
use crate::directory::{Directory, Incoming, internal, respond};
use crate::environment::now_ms;
use crate::http::{Response, scim_error};
use crate::origin::{Answer, Origin};
use crate::races::Moment;
use crate::replica::{Sent, is_scim, unknown_outcome};
use scim_edge_account::published::DirectorySettings;
use scim_edge_account::supplement::Supplement;
use scim_edge_directory::deleted::Source;
use scim_edge_scim::endpoint::{Endpoint, Kind, segments};
use scim_edge_scim::error::Error as ScimError;
use serde_json::Value;
use worker::Result;

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
        let forward = match self.forward(incoming, settings, kind)? {
            Ok(forward) => forward,
            Err(refused) => return scim_error(&refused, &[]),
        };
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
        let reserved = match self.admit_removal(incoming, settings, kind, id.as_deref(), origin).await? {
            Ok(reserved) => reserved,
            Err(response) => return Ok(response),
        };
        let store = self.store()?;
        let intent = store.begin(kind, id.as_deref(), &incoming.method, now_ms()).map_err(internal)?;
        let _under_way = self.memory.races.begin(kind, id.as_deref(), &incoming.method);
        let since = self.memory.races.moment();
        let outcome =
            self.send_forward(incoming, settings, origin, kind, id.as_deref(), if_match, &forward).await;
        match outcome {
            Ok(Sent::Answered(answered)) => {
                let is_gone = incoming.method == "DELETE" && matches!(answered.status, 404 | 410);
                if (400..500).contains(&answered.status) && !is_gone {
                    self.take_back(reserved)?;
                }
                let query = forward.query.as_str();
                let is_whole = !query.to_ascii_lowercase().contains("attributes=");
                let taken_over =
                    self.take_over(incoming, kind, id.as_deref(), origin, &answered, &since, is_whole).await;
                match &taken_over {
                    Ok(true) => store.settle(intent).map_err(internal)?,
                    _ => self.mark_unknown(intent, id.as_deref()).await?,
                }
                if is_doubtful(&answered) {
                    return unknown_outcome();
                }
                let status = format!("scim-edge; fwd=method; fwd-status={}", answered.status);
                // RFC 7644 §3.5.2: a PATCH that names attributes is answered with them.
                if answered.status == 204
                    && forward.names_attributes(incoming)
                    && matches!(taken_over, Ok(true))
                {
                    let shown = self.local_as(incoming, settings, "GET")?;
                    if shown.status == 200 {
                        return respond(shown, &[("cache-status", &status)]);
                    }
                }
                self.pass(incoming, origin, &self.shown(incoming, kind, answered, &forward)?, &status)
            }
            Ok(Sent::Refused(response)) => {
                self.take_back(reserved)?;
                store.settle(intent).map_err(internal)?;
                Ok(response)
            }
            Ok(Sent::Unknown(response)) => {
                self.mark_unknown(intent, id.as_deref()).await?;
                Ok(response)
            }
            Err(error) => {
                self.mark_unknown(intent, id.as_deref()).await?;
                Err(error)
            }
        }
    }

    /// Nobody knows what became of a write. What may have been created is looked for soon: a pass finds it.
    async fn mark_unknown(&self, intent: i64, id: Option<&str>) -> Result<()> {
        self.store()?.mark_unknown(intent, now_ms()).map_err(internal)?;
        match id {
            Some(_) => Ok(()),
            None => self.look_soon().await,
        }
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
        if !settings.adds(Supplement::Etag) {
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
    #[expect(clippy::too_many_arguments, reason = "a write, its answer and what it concerns")]
    async fn take_over(
        &self,
        incoming: &Incoming,
        kind: Kind,
        id: Option<&str>,
        origin: &Origin,
        answered: &Answer,
        since: &Moment<'_>,
        is_whole: bool,
    ) -> Result<bool> {
        match answered.status {
            // Whatever answered may not have been the origin.
            _ if is_doubtful(answered) => match id {
                Some(id) => self.reread_written(kind, id, origin).await,
                None => Ok(false),
            },
            200..300 if incoming.method == "DELETE" => {
                if let Some(id) = id {
                    self.forget(kind, id, origin, Source::Gateway, Some(incoming))?;
                }
                Ok(true)
            }
            200..300 => {
                let shown = serde_json::from_slice::<Value>(&answered.body).ok();
                let whole = is_whole
                    && shown
                        .as_ref()
                        .is_some_and(|shown| kind == Kind::User || shown.get("members").is_some());
                let named = shown
                    .as_ref()
                    .and_then(|shown| shown.get("id"))
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                let located = || {
                    let location = answered.headers.iter().find(|(name, _)| *name == "location")?;
                    segments(&location.1).ok()?.pop()
                };
                let Some(named) = id.map(str::to_owned).or(named).or_else(located) else { return Ok(false) };
                // What was created has been there for others while its answer was on the way.
                let _turn = match id {
                    Some(_) => None,
                    None => Some(self.memory.locks.acquire((kind, named.clone())).await),
                };
                if let (true, Some(shown), false) = (whole, &shown, since.is_overtaken(kind, &named))
                    && self.absorb(kind, shown, origin, since)?.as_ref() == Some(&named)
                {
                    self.memory.races.note(kind, &named);
                    return Ok(true);
                }
                let id = named;
                let done = self.reread_written(kind, &id, origin).await?;
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
                Some(id) => self.reread_written(kind, id, origin).await,
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

/// Whether an answer says that something was done, in a form that no SCIM server uses.
fn is_doubtful(answered: &Answer) -> bool {
    (200..300).contains(&answered.status) && !is_scim(answered)
}
