//! The Directory object in front of an origin.
//!
//! **Writes** go to the origin first. Before one leaves, an intent is stored; when it is answered, the
//! tables are brought up to date before the caller gets the answer. Where nobody knows the outcome, the
//! intent stays, and whatever could show the resource is asked of the origin until a re-read has settled it.
//!
//! **Reads** come from the tables once the first fill is complete, and from the origin until then
//! (`synchronise.rs`).

use crate::directory::{Directory, Incoming, internal, respond};
use crate::environment::now_ms;
use crate::http::{SCIM_JSON, answer, scim_error};
use crate::origin::{Answer, FORWARDED, NoAnswer, Origin, Outgoing, path};
use scim_edge_account::published::DirectorySettings;
use scim_edge_account::secret::open;
use scim_edge_account::setting::{ORIGIN_AUTHORIZATION, PASSTHROUGH};
use scim_edge_scim::endpoint::{Endpoint, Kind, segments};
use scim_edge_scim::error::{Error as ScimError, ScimType};
use scim_edge_scim::relocate::{relocate, relocate_url};
use serde_json::{Map, Value};
use worker::{Response, Result};

impl Directory {
    pub(crate) async fn with_origin(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
    ) -> Result<Response> {
        let Some(origin) = self.origin(settings, Some(incoming))? else {
            return scim_error(
                &ScimError::status(500, "The gateway's settings of the origin are not usable"),
                &[],
            );
        };
        self.wake().await?;
        let own = matches!(
            incoming.endpoint,
            Endpoint::ServiceProviderConfig
                | Endpoint::ResourceTypes(_)
                | Endpoint::Schemas(_)
                | Endpoint::Me
        );
        let read = matches!(incoming.method.as_str(), "GET" | "HEAD")
            || matches!(incoming.endpoint, Endpoint::Search(_));
        match &incoming.endpoint {
            _ if own => respond(&self.local(incoming, settings)?, &[("cache-status", "scim-edge; hit")]),
            Endpoint::Bulk => self.bulk(incoming, settings, &origin).await,
            _ if read => self.read(incoming, settings, &origin).await,
            _ => self.write(incoming, settings, &origin).await,
        }
    }

    /// The origin and what is sent to it as `Authorization`. Without an incoming call there is no
    /// caller whose own could be passed through.
    pub(crate) fn origin(
        &self,
        settings: &DirectorySettings,
        incoming: Option<&Incoming>,
    ) -> Result<Option<Origin>> {
        let Some(base) = settings.origin_url.clone() else { return Ok(None) };
        let authorization = match (settings.origin_authorization.as_deref(), incoming) {
            (None, _) => None,
            (Some(PASSTHROUGH), Some(incoming)) => incoming.headers.get("authorization")?,
            (Some(PASSTHROUGH), None) => return Ok(None),
            (Some(sealed), _) => {
                let account = self.account();
                match open(&self.environment.seal_key()?, &account, ORIGIN_AUTHORIZATION, sealed) {
                    Some(value) => Some(value),
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(Origin { base, authorization }))
    }

    fn account(&self) -> String {
        self.memory.configuration.borrow().as_ref().map(|known| known.account.clone()).unwrap_or_default()
    }

    // Reads -----------------------------------------------------------------------------------

    async fn read(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        origin: &Origin,
    ) -> Result<Response> {
        if let Some(why) = self.why_forward(incoming, settings, origin).await? {
            return self.forward_read(incoming, origin, why).await;
        }
        let synced_at =
            self.store()?.replica().map_err(internal)?.and_then(|state| state.synced_at).unwrap_or(0);
        let age = now_ms().saturating_sub(synced_at).max(0) / 1000;
        let ttl = i64::from(settings.max_staleness_seconds).saturating_sub(age);
        let status = format!("scim-edge; hit; ttl={ttl}");
        let age = age.to_string();
        respond(&self.local(incoming, settings)?, &[("cache-status", &status), ("age", &age)])
    }

    /// Why a read has to go to the origin (RFC 9211 §2.2), if it has to.
    async fn why_forward(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        origin: &Origin,
    ) -> Result<Option<&'static str>> {
        let Some(state) = self.store()?.replica().map_err(internal)? else { return Ok(Some("miss")) };
        if state.filling.is_some() {
            return Ok(Some("miss"));
        }
        if !self.settle_for(&incoming.endpoint, origin).await? {
            return Ok(Some("stale"));
        }
        let age_ms = now_ms().saturating_sub(state.synced_at.unwrap_or(0));
        let stale = age_ms > i64::from(settings.max_staleness_seconds).saturating_mul(1000);
        Ok((stale && settings.forward_when_stale).then_some("stale"))
    }

    /// Settles the writes of unknown outcome that a read could show; whether that succeeded.
    async fn settle_for(&self, endpoint: &Endpoint, origin: &Origin) -> Result<bool> {
        let store = self.store()?;
        let mut settled = true;
        for intent in store.unknown().map_err(internal)? {
            let concerns = match endpoint {
                // A user's groups are other resources.
                Endpoint::Resource(Kind::User, id) => {
                    intent.kind == Kind::Group || intent.id.as_ref() == Some(id)
                }
                Endpoint::Resource(kind, id) => {
                    intent.kind == *kind && intent.id.as_ref().is_none_or(|own| own == id)
                }
                Endpoint::Collection(Kind::Group) => intent.kind == Kind::Group,
                _ => true,
            };
            if !concerns {
                continue;
            }
            let Some(id) = &intent.id else {
                // Something may have been created: only a whole reconciliation finds it.
                settled = false;
                continue;
            };
            let _turn = self.memory.locks.acquire((intent.kind, id.clone())).await;
            if self.reread(intent.kind, id, origin).await? {
                store.settle(intent.number).map_err(internal)?;
            } else {
                settled = false;
            }
        }
        Ok(settled)
    }

    async fn forward_read(&self, incoming: &Incoming, origin: &Origin, why: &str) -> Result<Response> {
        let (answered, _) = match self.send(incoming, origin, None).await? {
            Ok(answered) => answered,
            Err(response) => return Ok(response),
        };
        let status = format!("scim-edge; fwd={why}; fwd-status={}", answered.status);
        self.pass(incoming, origin, &answered, &status)
    }

    // Writes ----------------------------------------------------------------------------------

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
        let outcome = self.send(incoming, origin, if_match).await;
        let result = match outcome {
            Ok(Ok((answered, _))) => {
                let settled = self.take_over(incoming, kind, id.as_deref(), origin, &answered).await;
                match settled {
                    Ok(true) => store.settle(intent),
                    _ => store.mark_unknown(intent),
                }
                .map_err(internal)?;
                let status = format!("scim-edge; fwd=method; fwd-status={}", answered.status);
                self.pass(incoming, origin, &answered, &status)
            }
            Ok(Err(response)) => {
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

    fn note_write(&self, key: &(Kind, String)) {
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
                match id {
                    Some(id) => self.reread(kind, &id, origin).await,
                    None => Ok(false),
                }
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

    /// Whether the tables are still a copy of this origin: settings can change while it is awaited.
    pub(crate) fn copies(&self, origin: &Origin) -> Result<bool> {
        let state = self.store()?.replica().map_err(internal)?;
        Ok(state.is_some_and(|state| state.origin == origin.base))
    }

    /// Takes over what the origin showed. Returns its id; none where it is no resource of this copy.
    pub(crate) fn absorb(&self, kind: Kind, shown: &Value, origin: &Origin) -> Result<Option<String>> {
        if !self.copies(origin)? {
            return Ok(None);
        }
        self.store()?.absorb(kind, shown, &origin.base, now_ms()).map_err(internal)
    }

    /// Reads one resource from the origin into the tables. Whether the tables are right now.
    pub(crate) async fn reread(&self, kind: Kind, id: &str, origin: &Origin) -> Result<bool> {
        let store = self.store()?;
        let Some(path) = path(&Endpoint::Resource(kind, id.to_owned()), "") else { return Ok(true) };
        let Ok(answered) = origin.get(path).await else { return Ok(false) };
        let done = match answered.status {
            200 => match serde_json::from_slice::<Value>(&answered.body) {
                Ok(shown) => self.absorb(kind, &shown, origin)?.is_some(),
                Err(_) => false,
            },
            404 | 410 => {
                store.forget(kind, id, now_ms()).map_err(internal)?;
                true
            }
            _ => false,
        };
        if done {
            self.note_write(&(kind, id.to_owned()));
        }
        Ok(done)
    }

    // Both ------------------------------------------------------------------------------------

    /// Sends a client's request on. What goes wrong on the way is an answer of the gateway's own.
    async fn send(
        &self,
        incoming: &Incoming,
        origin: &Origin,
        if_match: Option<String>,
    ) -> Result<std::result::Result<(Answer, ()), Response>> {
        let Some(path) = path(&incoming.endpoint, &incoming.query) else {
            return Ok(Err(scim_error(&ScimError::not_found("This path"), &[])?));
        };
        let mut headers = Vec::new();
        for name in FORWARDED {
            let value = if name == "if-match" { if_match.clone() } else { incoming.headers.get(name)? };
            if let Some(value) = value {
                headers.push((name, value));
            }
        }
        let body = (!incoming.body.is_empty()).then(|| outgoing_body(incoming, origin));
        let outgoing = Outgoing { method: &incoming.method, path, headers, body };
        let read = matches!(incoming.method.as_str(), "GET" | "HEAD")
            || matches!(incoming.endpoint, Endpoint::Search(_));
        match origin.send(outgoing).await {
            Ok(answered) => Ok(Ok((answered, ()))),
            Err(NoAnswer::Redirect) => {
                let error =
                    ScimError::status(502, "The origin answered with a redirect, which is not followed");
                Ok(Err(scim_error(&error, &[])?))
            }
            Err(_) if read => {
                let error = ScimError::status(502, "The origin could not be reached");
                Ok(Err(scim_error(&error, &[("retry-after", "5")])?))
            }
            Err(_) => {
                let sentence = "The origin did not answer: whether the change was made is unknown. \
                    Read the resource to find out; the gateway asks the origin until it is known";
                Ok(Err(scim_error(&ScimError::status(504, sentence), &[])?))
            }
        }
    }

    /// The origin's answer for the caller: its status and body, with the gateway's URLs in it.
    fn pass(
        &self,
        incoming: &Incoming,
        origin: &Origin,
        answered: &Answer,
        status: &str,
    ) -> Result<Response> {
        let base = incoming.call.base.as_str();
        let body = match serde_json::from_slice::<Value>(&answered.body) {
            Ok(mut message) => {
                relocate(&mut message, &origin.base, base);
                Some(message.to_string())
            }
            Err(_) if answered.body.is_empty() => None,
            Err(_) => Some(String::from_utf8_lossy(&answered.body).into_owned()),
        };
        let mut headers: Vec<(&str, String)> = vec![("cache-status", status.to_owned())];
        for (name, value) in &answered.headers {
            let value = match *name {
                "location" => relocate_url(value, &origin.base, base).unwrap_or_else(|| value.clone()),
                _ => value.clone(),
            };
            headers.push((*name, value));
        }
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let bodiless = matches!(answered.status, 204 | 304) || incoming.method == "HEAD";
        answer(answered.status, &headers, body.filter(|_| !bodiless))
    }
}

/// A body that is JSON, before it is forwarded: the origin decides the rest.
pub(crate) fn read_body(incoming: &Incoming) -> std::result::Result<Map<String, Value>, ScimError> {
    let content_type = incoming.headers.get("content-type").ok().flatten().unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(media_type.as_str(), "" | SCIM_JSON | "application/json") {
        return Err(ScimError::status(415, "the body must be application/scim+json"));
    }
    let limits = scim_edge_json::Limits { bytes: crate::http::BODY_LIMIT, depth: 32 };
    scim_edge_json::parse_object(&incoming.body, limits)
        .map_err(|error| ScimError::new(ScimType::InvalidSyntax, error.to_string()))
}

/// The body with the origin's URLs in the place of the gateway's; untouched where it has none.
fn outgoing_body(incoming: &Incoming, origin: &Origin) -> Vec<u8> {
    let base = incoming.call.base.as_str();
    let text = String::from_utf8_lossy(&incoming.body);
    if !text.contains(base) {
        return incoming.body.clone();
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(mut message) => {
            relocate(&mut message, base, &origin.base);
            message.to_string().into_bytes()
        }
        Err(_) => incoming.body.clone(),
    }
}
