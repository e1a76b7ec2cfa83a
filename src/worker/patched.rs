//! PATCH for an origin that only takes whole resources: read from the origin, never from the copy;
//! changed; put back on the condition that nobody changed it meanwhile, where the origin has versions.

use crate::ask::lacks;
use crate::directory::{Directory, Incoming, dialect, internal};
use crate::http::{SCIM_JSON, scim_error};
use crate::origin::{Answer, Origin, Outgoing, path};
use crate::replica::{Sent, read_body, unanswered};
use scim_edge_account::published::DirectorySettings;
use scim_edge_account::supplement::Supplement;
use scim_edge_directory::forward::add_requested;
use scim_edge_directory::replica::{names_version, without_read_only};
use scim_edge_scim::endpoint::{Endpoint, Kind, encode};
use scim_edge_scim::error::Error as ScimError;
use scim_edge_scim::relocate::relocate;
use serde_json::{Map, Value};
use worker::Result;

/// How often a change that somebody else's came before is made anew.
const ATTEMPTS: u32 = 5;

impl Directory {
    /// Whether a request is a PATCH that the gateway has to make for the origin.
    pub(crate) fn lacks_patch(&self, incoming: &Incoming, settings: &DirectorySettings) -> Result<bool> {
        if incoming.method != "PATCH" || !settings.adds(Supplement::Patch) {
            return Ok(false);
        }
        let state = self.store()?.replica().map_err(internal)?;
        Ok(lacks(state.and_then(|state| state.capabilities).as_ref(), Supplement::Patch))
    }

    /// Makes the change. The origin's answer to the PUT is the answer.
    pub(crate) async fn put_patched(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        kind: Kind,
        id: &str,
        origin: &Origin,
        query: &str,
    ) -> Result<Sent> {
        let resource = Endpoint::Resource(kind, id.to_owned());
        let (Some(get), Some(put)) = (path(&resource, ""), path(&resource, query)) else {
            return refused(&ScimError::not_found("This path"));
        };
        let if_match = incoming.headers.get("if-match")?;
        for _ in 0..ATTEMPTS {
            let answered = match self.get(origin, get.clone()).await {
                Ok(answered) => answered,
                // Nothing was changed by reading.
                Err(why) => return unanswered(why, true),
            };
            if answered.status != 200 {
                return Ok(Sent::Answered(answered));
            }
            let Ok(Value::Object(mut shown)) = serde_json::from_slice(&answered.body) else {
                return refused(&ScimError::status(502, "The origin did not answer with a resource"));
            };
            // A PUT without them would take them away.
            if let Some(names) = self.store()?.on_request(kind) {
                let Some(get) = path(&resource, &format!("attributes={}", encode(&names))) else {
                    return refused(&ScimError::not_found("This path"));
                };
                let requested = match self.get(origin, get).await {
                    Ok(requested) => requested,
                    Err(why) => return unanswered(why, true),
                };
                let Ok(Value::Object(requested)) = serde_json::from_slice(&requested.body) else {
                    return refused(&ScimError::status(502, "The origin did not answer with a resource"));
                };
                add_requested(&mut shown, &requested);
            }
            let version = version(&answered, &shown);
            if let (Some(wanted), Some(version)) = (&if_match, &version)
                && !names_version(wanted, version)
            {
                return refused(&ScimError::status(412, "the resource has changed"));
            }
            // Read again for each attempt, and not kept while the origin is asked: parsed it takes some times its length.
            let body = match read_body(incoming) {
                Ok(body) => relocated(body, &incoming.call.base, &origin.base),
                Err(error) => return refused(&error),
            };
            let new = match self.store()?.patched(kind, &shown, &body, dialect(settings)) {
                Ok(new) => new,
                Err(error) => return refused(&error),
            };
            drop(body);
            if new == without_read_only(shown) {
                return Ok(Sent::Answered(answered));
            }
            drop(answered);
            let mut headers = vec![("content-type", SCIM_JSON.to_owned()), ("accept", SCIM_JSON.to_owned())];
            headers.extend(version.map(|version| ("if-match", version)));
            let body = Some(Value::Object(new).to_string().into_bytes());
            let outgoing = Outgoing { method: "PUT", path: put.clone(), headers, body };
            match self.ask(origin, outgoing).await {
                Ok(answered) if answered.status == 412 && if_match.is_none() => {}
                Ok(answered) => return Ok(Sent::Answered(answered)),
                Err(why) => return unanswered(why, false),
            }
        }
        let sentence = "Others kept changing the resource at the origin; nothing was changed";
        refused(&ScimError::status(409, sentence))
    }
}

fn refused(error: &ScimError) -> Result<Sent> {
    Ok(Sent::Refused(scim_error(error, &[])?))
}

fn relocated(body: Map<String, Value>, from: &str, to: &str) -> Map<String, Value> {
    let mut message = Value::Object(body);
    relocate(&mut message, from, to);
    match message {
        Value::Object(body) => body,
        _ => Map::new(),
    }
}

/// The version of a resource that the origin shows: its ETag, or else `meta.version`.
fn version(answered: &Answer, shown: &Map<String, Value>) -> Option<String> {
    let header = answered.headers.iter().find(|(name, _)| *name == "etag").map(|(_, value)| value.clone());
    let meta = || shown.get("meta")?.get("version")?.as_str().map(str::to_owned);
    header.or_else(meta)
}
