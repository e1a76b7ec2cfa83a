//! The Directory object in front of an origin.
//!
//! **Writes** go to the origin first. Before one leaves, an intent is stored; when it is answered, the
//! tables are brought up to date before the caller gets the answer. Where nobody knows the outcome, the
//! intent stays, and whatever could show the resource is asked of the origin until a re-read has settled it.
//!
//! **Reads** come from the tables once the first fill is complete, and from the origin until then
//! (`synchronise.rs`).

use crate::border::{admit, content_type};
use crate::contact::circuit_open;
use crate::directory::{Directory, Incoming, Store, internal, respond};
use crate::environment::now_ms;
use crate::gate::looped;
use crate::http::{Response, SCIM_JSON, answer, scim_error};
use crate::log::REQUEST_ID;
use crate::near::Recalled;
use crate::origin::{
    ANSWER_LIMIT, Answer, FORWARDED, NoAnswer, Origin, Outgoing, Side, Trace, path, unroutable,
};
use crate::races::Moment;
use scim_edge_account::published::DirectorySettings;
use scim_edge_account::setting::{ORIGIN_AUTHORIZATION, PASSTHROUGH};
use scim_edge_directory::deleted::{Deletion, Source};
use scim_edge_directory::replica::Comparison;
use scim_edge_policy::hop::{self, is_own_account};
use scim_edge_scim::endpoint::{Endpoint, Kind};
use scim_edge_scim::error::Error as ScimError;
use scim_edge_scim::limits;
use scim_edge_scim::relocate::{relocate, relocate_url};
use serde_json::{Map, Value};
use std::rc::Rc;
use worker::Result;

/// How often a resource is read anew that others bring at the same time.
const REREADS: u32 = 4;

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
        if is_own_account(&incoming.call.base, &origin.base) {
            return scim_error(&looped(), &[]);
        }
        if let Some(error) = unroutable(&incoming.endpoint) {
            return scim_error(&error, &[]);
        }
        self.wake().await?;
        let own = matches!(
            incoming.endpoint,
            Endpoint::ServiceProviderConfig
                | Endpoint::ResourceTypes(_)
                | Endpoint::Schemas(_)
                | Endpoint::Me
        );
        if let ("PUT", Endpoint::Schemas(Some(urn))) = (incoming.method.as_str(), &incoming.endpoint)
            && let Some(refused) = self.refuse_unknown_schema(&origin, urn).await?
        {
            return Ok(refused);
        }
        match &incoming.endpoint {
            _ if own => respond(
                self.local_as(incoming, settings, &incoming.method)?,
                &[("cache-status", "scim-edge; hit")],
            ),
            Endpoint::Bulk if !self.features(settings)?.bulk => {
                scim_error(&ScimError::status(501, "Bulk requests are turned off"), &[])
            }
            Endpoint::Bulk => self.bulk(incoming, settings, Some(&origin)).await,
            _ if is_read(incoming) => self.read(incoming, settings, &origin).await,
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
                match self.environment.seal_keys()?.open_for(&account, ORIGIN_AUTHORIZATION, &base, sealed) {
                    Some(value) => Some(value),
                    None => return Ok(None),
                }
            }
        };
        let passed = incoming.map(|incoming| incoming.headers.get(hop::HEADER)).transpose()?.flatten();
        let hops = hop::next(passed.as_deref(), &self.hop()?);
        let trace = incoming.map(trace).unwrap_or_default();
        Ok(Some(Origin { base, authorization, hops, trace, side: Side::InUse }))
    }

    /// What this account is called among hops; found once, since it takes the deployment's secret.
    fn hop(&self) -> Result<Rc<str>> {
        let account = self.account();
        if let Some((of, hop)) = &*self.memory.hop.borrow()
            && *of == account
        {
            return Ok(hop.clone());
        }
        let hop: Rc<str> = self.environment.hop(&account)?.into();
        *self.memory.hop.borrow_mut() = Some((account, hop.clone()));
        Ok(hop)
    }

    pub(crate) fn account(&self) -> String {
        self.memory.configuration.borrow().as_ref().map(|known| known.account.clone()).unwrap_or_default()
    }

    /// The tables that are the copy of an origin; none where they are no more.
    pub(crate) fn tables(&self, origin: &Origin) -> Option<Rc<Store>> {
        match origin.side {
            Side::InUse => self.store.as_ref().ok().cloned(),
            Side::Beside(number) => self.memory.switching.set(number),
        }
    }

    /// The copy of a resource was made right.
    pub(crate) fn note(&self, origin: &Origin, kind: Kind, id: &str) {
        if origin.side == Side::InUse {
            self.memory.races.note(kind, id);
        }
    }

    /// Whether the tables are still a copy of this origin: settings can change, and the account can be deleted, while
    /// it is awaited.
    pub(crate) fn copies(&self, origin: &Origin) -> Result<bool> {
        if self.is_sealed()? {
            return Ok(false);
        }
        let Some(store) = self.tables(origin) else { return Ok(false) };
        let state = store.replica().map_err(internal)?;
        Ok(state.is_some_and(|state| state.origin == origin.base))
    }

    /// Takes over what the origin showed when it was asked at `since`. Returns its id; none where it is no
    /// resource of this copy.
    pub(crate) fn absorb(
        &self,
        kind: Kind,
        shown: &Value,
        origin: &Origin,
        since: &Moment<'_>,
    ) -> Result<Option<String>> {
        let Some(store) = self.tables(origin).filter(|_| self.copies(origin).unwrap_or(false)) else {
            return Ok(None);
        };
        // What is gone in the tables in use says nothing about another origin.
        let is_overtaken = kind == Kind::Group && origin.side == Side::InUse && since.any_gone();
        let without_gone = is_overtaken.then(|| without_gone(shown, since));
        let shown = without_gone.as_ref().unwrap_or(shown);
        store.absorb(kind, shown, &origin.base, now_ms()).map_err(internal)
    }

    /// Before something that the origin showed is taken over: calls back what is lent, unless nothing changes by it.
    pub(crate) async fn recall_unless_same(
        &self,
        kind: Kind,
        shown: Option<&Value>,
        origin: &Origin,
        since: &Moment<'_>,
    ) -> Result<Option<Recalled<'_>>> {
        // No copy near callers answers from the tables of a switch.
        if origin.side != Side::InUse {
            return Ok(None);
        }
        if self.memory.near.has_lent()
            && !since.any_gone()
            && let Some(shown) = shown
            && self.store()?.compare(kind, shown, &origin.base).map_err(internal)? == Some(Comparison::Same)
        {
            return Ok(None);
        }
        Ok(Some(self.recall().await))
    }

    /// The origin has a resource no longer.
    pub(crate) fn forget(
        &self,
        kind: Kind,
        id: &str,
        origin: &Origin,
        source: Source,
        by: Option<&Incoming>,
    ) -> Result<()> {
        let store = self.tables(origin).filter(|_| self.copies(origin).unwrap_or(false));
        if let Some(store) = store {
            store.forget(kind, id, &self.deletion(origin, source, by)?).map_err(internal)?;
        }
        if origin.side == Side::InUse {
            self.memory.races.note_gone(kind, id);
        }
        Ok(())
    }

    /// A deletion that happens now.
    pub(crate) fn deletion<'a>(
        &self,
        origin: &Origin,
        source: Source,
        by: Option<&'a Incoming>,
    ) -> Result<Deletion<'a>> {
        let known = self.known_configuration().map_err(internal)?;
        Ok(Deletion {
            at: now_ms(),
            source,
            principal: by.map(|incoming| incoming.call.principal.as_str()),
            request_id: by.map(|incoming| incoming.request_id.as_str()).filter(|id| !id.is_empty()),
            // In the tables of a switch nothing was ever shown to anybody.
            keep: origin.side == Side::InUse
                && known.is_none_or(|known| known.settings.deleted_retention_days > 0),
        })
    }

    /// Reads one resource from the origin into the tables, under its lock. Whether the tables are as they are to be
    /// now: as the origin has it, or with a resource that the origin says it has not, and that the brake keeps.
    pub(crate) async fn reread(&self, kind: Kind, id: &str, origin: &Origin) -> Result<bool> {
        Ok(!matches!(self.read_anew(kind, id, origin, Source::Origin).await?, Reread::Failed))
    }

    /// The same after a write that was made, or may have been: whether the tables show what became of it. If the
    /// origin says that it does not have the resource and the brake keeps it, they do not.
    pub(crate) async fn reread_written(&self, kind: Kind, id: &str, origin: &Origin) -> Result<bool> {
        Ok(matches!(self.read_anew(kind, id, origin, Source::Origin).await?, Reread::Right))
    }

    /// Reads one resource from the origin into the tables, under its lock.
    pub(crate) async fn read_anew(
        &self,
        kind: Kind,
        id: &str,
        origin: &Origin,
        source: Source,
    ) -> Result<Reread> {
        let Some(path) = path(&Endpoint::Resource(kind, id.to_owned()), "") else {
            // Kept by an older version.
            let _recalled = self.recall().await;
            self.forget(kind, id, origin, source, None)?;
            return Ok(Reread::Right);
        };
        for _ in 0..REREADS {
            let since = self.memory.races.moment();
            let Ok(answered) = self.get(origin, path.clone()).await else { return Ok(Reread::Failed) };
            let shown =
                serde_json::from_slice::<Value>(&answered.body).ok().filter(|_| answered.status == 200);
            let _recalled = self.recall_unless_same(kind, shown.as_ref(), origin, &since).await?;
            // A page that was asked for later may have come before.
            if since.is_overtaken(kind, id) {
                continue;
            }
            let done = match answered.status {
                200 => match &shown {
                    Some(shown) if shown.get("id").and_then(Value::as_str) == Some(id) => {
                        self.absorb(kind, shown, origin, &since)?.is_some()
                    }
                    _ => false,
                },
                // What stands in front of an origin that is away says so too, in words of its own.
                404 | 410 if is_scim(&answered) => {
                    if !self.forget_found(kind, id, origin, source).await? {
                        return Ok(Reread::Kept);
                    }
                    true
                }
                _ => false,
            };
            if done {
                self.note(origin, kind, id);
            }
            return Ok(if done { Reread::Right } else { Reread::Failed });
        }
        Ok(Reread::Failed)
    }

    /// Sends a client's request on. What goes wrong on the way is an answer of the gateway's own.
    pub(crate) async fn send(
        &self,
        incoming: &Incoming,
        origin: &Origin,
        if_match: Option<String>,
    ) -> Result<Sent> {
        let body = (!incoming.body.is_empty()).then(|| outgoing_body(incoming, origin));
        self.send_as(incoming, origin, if_match, &incoming.query, body).await
    }

    /// The same with another query and body.
    pub(crate) async fn send_as(
        &self,
        incoming: &Incoming,
        origin: &Origin,
        if_match: Option<String>,
        query: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Sent> {
        let Some(path) = path(&incoming.endpoint, query) else {
            return Ok(Sent::Refused(scim_error(&ScimError::not_found("This path"), &[])?));
        };
        let mut headers = Vec::new();
        for name in FORWARDED {
            let value = if name == "if-match" { if_match.clone() } else { incoming.headers.get(name)? };
            if let Some(value) = value {
                headers.push((name, value));
            }
        }
        let outgoing = Outgoing { method: &incoming.method, path, headers, body };
        match self.ask(origin, outgoing).await {
            Ok(answered) => Ok(Sent::Answered(answered)),
            Err(why) => unanswered(why, is_read(incoming)),
        }
    }

    /// The origin's answer for the caller (`border.rs`), with the gateway's URLs in it.
    pub(crate) fn pass(
        &self,
        incoming: &Incoming,
        origin: &Origin,
        answered: &Answer,
        status: &str,
    ) -> Result<Response> {
        let base = incoming.call.base.as_str();
        let retry_after = answered.headers.iter().filter(|(name, _)| *name == "retry-after");
        let body = match admit(answered) {
            Ok(message) => message.map(|mut message| {
                relocate(&mut message, &origin.base, base);
                message.to_string()
            }),
            Err(error) => {
                let mut headers: Vec<(&str, &str)> = vec![("cache-status", status)];
                headers.extend(retry_after.map(|(name, value)| (*name, value.as_str())));
                return scim_error(&error, &headers);
            }
        };
        let mut headers: Vec<(&str, String)> = vec![("cache-status", status.to_owned())];
        if body.is_some() {
            headers.push(("content-type", content_type(answered).to_owned()));
        }
        for (name, value) in answered.headers.iter().filter(|(name, _)| *name != "content-type") {
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

/// What the origin is told of a request.
fn trace(incoming: &Incoming) -> Trace {
    let mut headers = vec![(REQUEST_ID, incoming.request_id.clone())];
    headers.retain(|(_, id)| !id.is_empty());
    headers.extend(incoming.headers.get("traceparent").ok().flatten().map(|value| ("traceparent", value)));
    Trace { headers, spent_ms: incoming.origin_ms.clone() }
}

/// A group without the members that were found to be gone after it was asked for.
fn without_gone(shown: &Value, since: &Moment<'_>) -> Value {
    let mut shown = shown.clone();
    if let Some(members) = shown.get_mut("members").and_then(Value::as_array_mut) {
        let id =
            |member: &Value| member.get("value").or(Some(member)).and_then(Value::as_str).map(str::to_owned);
        members.retain(|member| !id(member).is_some_and(|id| since.is_gone(&id)));
    }
    shown
}

/// Whether an answer can be a SCIM server's: nothing, or a JSON object.
pub(crate) fn is_scim(answered: &Answer) -> bool {
    answered.body.is_empty() || serde_json::from_slice::<Map<String, Value>>(&answered.body).is_ok()
}

/// What became of a resource that was read anew.
pub(crate) enum Reread {
    /// The tables have it as the origin does, or not any more.
    Right,
    /// The origin does not have it; the brake keeps it.
    Kept,
    /// The origin could not be read.
    Failed,
}

/// What became of a request that was to be sent on.
pub(crate) enum Sent {
    /// The origin answered.
    Answered(Answer),
    /// Nothing was changed; this is why.
    Refused(Response),
    /// Nobody knows whether something was changed.
    Unknown(Response),
}

/// Whether a request changes nothing.
pub(crate) fn is_read(incoming: &Incoming) -> bool {
    matches!(incoming.method.as_str(), "GET" | "HEAD") || matches!(incoming.endpoint, Endpoint::Search(_))
}

/// What a request came to that has no answer of the origin's.
pub(crate) fn unanswered(why: NoAnswer, is_read: bool) -> Result<Sent> {
    let (response, is_known) = match why {
        NoAnswer::Waiting(ms) => (circuit_open(ms)?, true),
        NoAnswer::Redirect => {
            let sentence = "The origin answered with a redirect, which is not followed";
            (scim_error(&ScimError::status(502, sentence), &[])?, is_read)
        }
        NoAnswer::TooLong => (too_long(is_read)?, is_read),
        NoAnswer::Full => {
            let sentence = "Too many long requests are under way here, and nothing was sent to the origin: \
                try again in a moment";
            (scim_error(&ScimError::status(503, sentence), &[("retry-after", "1")])?, true)
        }
        NoAnswer::Busy if is_read => {
            let sentence = "Too many long answers are under way here: try again in a moment";
            (scim_error(&ScimError::status(503, sentence), &[("retry-after", "1")])?, true)
        }
        NoAnswer::Unreachable | NoAnswer::Busy if is_read => (unreachable_origin()?, true),
        NoAnswer::Unreachable | NoAnswer::Busy => (unknown_outcome()?, false),
    };
    Ok(if is_known { Sent::Refused(response) } else { Sent::Unknown(response) })
}

/// The answer in the place of an origin's that is too long.
fn too_long(is_read: bool) -> Result<Response> {
    let limit = ANSWER_LIMIT >> 20;
    let then = if is_read {
        "ask for fewer resources (count) or attributes"
    } else {
        "whether the change was made is unknown: read the resource with fewer attributes to find out"
    };
    let sentence =
        format!("The origin's answer is longer than {limit} MiB, or too intricate, and was not read: {then}");
    scim_error(&ScimError::status(502, sentence), &[])
}

/// The answer where nothing was changed because the origin was not there.
pub(crate) fn unreachable_origin() -> Result<Response> {
    let error = ScimError::status(502, "The origin could not be reached");
    scim_error(&error, &[("retry-after", "5")])
}

/// The answer to a write that left and was not answered.
pub(crate) fn unknown_outcome() -> Result<Response> {
    let sentence = "The origin did not answer: whether the change was made is unknown. \
        Read the resource to find out; the gateway asks the origin until it is known";
    scim_error(&ScimError::status(504, sentence), &[])
}

/// A body that is JSON, before it is forwarded: the origin decides the rest.
pub(crate) fn read_body(incoming: &Incoming) -> std::result::Result<Map<String, Value>, ScimError> {
    let content_type = incoming.headers.get("content-type").ok().flatten().unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(media_type.as_str(), "" | SCIM_JSON | "application/json") {
        return Err(ScimError::status(415, "the body must be application/scim+json"));
    }
    limits::read_object(&incoming.body, limits::of_body(&incoming.endpoint))
}

/// The body with the origin's URLs in the place of the gateway's; untouched where it has none.
pub(crate) fn outgoing_body(incoming: &Incoming, origin: &Origin) -> Vec<u8> {
    let base = incoming.call.base.as_str();
    let text = String::from_utf8_lossy(&incoming.body);
    if !text.contains(base) {
        return incoming.body.to_vec();
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(mut message) => {
            relocate(&mut message, base, &origin.base);
            message.to_string().into_bytes()
        }
        Err(_) => incoming.body.to_vec(),
    }
}
