//! The form in which a write is sent to the origin (`scim_dialect`, the supplements `dialect` and `projection`), and
//! the part of its answer that the caller asked to see.
//!
//! Most writes are sent as they came, in one request. The origin is asked twice only if it refuses a form that
//! the RFC has and the client's dialect does not need: a refused PATCH or body has changed nothing, so it is made
//! as GET and PUT, or sent without the attributes that no schema defines.

use crate::directory::{Directory, Incoming, dialect, internal};
use crate::origin::{Answer, Origin, path};
use crate::replica::{Sent, outgoing_body, read_body, unanswered};
use scim_edge_account::published::DirectorySettings;
use scim_edge_account::supplement::Supplement;
use scim_edge_directory::forward::Form;
use scim_edge_scim::endpoint::{Endpoint, Kind};
use scim_edge_scim::error::Error as ScimError;
use scim_edge_scim::project::Projection;
use scim_edge_scim::query::Query;
use scim_edge_scim::relocate::relocate;
use serde_json::{Map, Value};
use worker::Result;

/// A write on its way.
pub(crate) struct Forward {
    form: Form,
    /// The body as it was read; empty for a group, of which it is long and not needed.
    body: Map<String, Value>,
    /// The query, without what the gateway does itself.
    pub(crate) query: String,
    /// What the answer shows, if the gateway selects it.
    shown: Option<Projection>,
    /// Whether a PATCH can be made as GET and PUT.
    by_state: bool,
    /// Whether the dialect's meaning goes beyond what the origin reads.
    is_tolerant: bool,
}

impl Forward {
    /// Whether the client asks for attributes by name.
    pub(crate) fn names_attributes(&self, incoming: &Incoming) -> bool {
        let query = Query::parse(&incoming.query).ok();
        let names = query.as_ref().and_then(|query| query.get("attributes"));
        self.shown.is_some() && names.is_some_and(|names| !names.trim().is_empty())
    }
}

impl Directory {
    /// Reads a write; an error is what is wrong with it, as without an origin.
    pub(crate) fn forward(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        kind: Kind,
    ) -> Result<std::result::Result<Forward, ScimError>> {
        let store = self.store()?;
        let mut forward = Forward {
            form: Form::AsSent,
            body: Map::new(),
            query: incoming.query.clone(),
            shown: None,
            by_state: false,
            is_tolerant: !settings.strict && settings.adds(Supplement::Dialect),
        };
        let method = incoming.method.as_str();
        if !matches!(method, "POST" | "PUT" | "PATCH") {
            return Ok(Ok(forward));
        }
        if !incoming.body.is_empty() {
            let body = match read_body(incoming) {
                Ok(body) => body,
                Err(error) => return Ok(Err(error)),
            };
            if settings.strict || forward.is_tolerant {
                forward.form = match store.form(method, kind, &body, dialect(settings)) {
                    Ok(form) => form,
                    Err(error) => return Ok(Err(error)),
                };
            }
            if kind == Kind::User {
                forward.body = body;
            }
        }
        if settings.adds(Supplement::Projection) {
            let shown = match store.projection(&incoming.query, dialect(settings)) {
                Ok(shown) => shown,
                Err(error) => return Ok(Err(error)),
            };
            // What the origin shows on request only, it has to be asked for.
            if !shown.is_default() && !store.asks_on_request(kind, &incoming.query) {
                forward.query = without_projection(&incoming.query);
                forward.shown = Some(shown);
            }
        }
        if forward.is_tolerant && method == "PATCH" {
            // A PUT of a group whose members the origin does not show would empty it.
            let hides = settings.hidden_attributes.iter().any(|name| name == "members")
                || store.replica().map_err(internal)?.is_some_and(|state| state.hides_members);
            forward.by_state = !(kind == Kind::Group && hides);
        }
        Ok(Ok(forward))
    }

    /// Sends a write in its form, and in another one if the origin refuses the first.
    #[expect(clippy::too_many_arguments, reason = "a write and where it goes")]
    pub(crate) async fn send_forward(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        origin: &Origin,
        kind: Kind,
        id: Option<&str>,
        if_match: Option<String>,
        forward: &Forward,
    ) -> Result<Sent> {
        let query = forward.query.as_str();
        if let Some(id) = id
            && (self.lacks_patch(incoming, settings)? || (forward.form == Form::ByState && forward.by_state))
        {
            return self.put_patched(incoming, settings, kind, id, origin, query).await;
        }
        let active = match id {
            Some(id) if kind == Kind::User && incoming.method == "PUT" && forward.is_tolerant => {
                match self.active(id, origin, forward).await? {
                    Ok(active) => active,
                    Err(sent) => return Ok(sent),
                }
            }
            _ => None,
        };
        let (first, second) = match &forward.form {
            Form::Canonical { body, known } => (Some(body), known.as_ref()),
            _ => (active.is_some().then_some(&forward.body), None),
        };
        let text = |body: &Map<String, Value>| {
            let mut body = body.clone();
            if let Some(active) = &active {
                body.insert("active".into(), active.clone());
            }
            let mut message = Value::Object(body);
            relocate(&mut message, &incoming.call.base, &origin.base);
            message.to_string().into_bytes()
        };
        let body = match first {
            Some(body) => Some(text(body)),
            None => (!incoming.body.is_empty()).then(|| outgoing_body(incoming, origin)),
        };
        let sent = self.send_as(incoming, origin, if_match.clone(), query, body).await?;
        // An origin without PATCH (RFC 7644 §3.5.2) of which the configuration is not known yet.
        let lacks_patch = |answered: &Answer| {
            answered.status == 501 && incoming.method == "PATCH" && settings.adds(Supplement::Patch)
        };
        let is_refused = |answered: &Answer| refuses_form(answered) || lacks_patch(answered);
        if !matches!(&sent, Sent::Answered(answered) if is_refused(answered)) {
            return Ok(sent);
        }
        match (id, second) {
            (Some(id), _) if forward.by_state => {
                self.put_patched(incoming, settings, kind, id, origin, query).await
            }
            (_, Some(known)) => self.send_as(incoming, origin, if_match, query, Some(text(known))).await,
            _ => Ok(sent),
        }
    }

    /// The `active` that a user keeps through a PUT that does not send it, as the origin has it: a client that
    /// does not send it does not mean to let somebody in again.
    async fn active(
        &self,
        id: &str,
        origin: &Origin,
        forward: &Forward,
    ) -> Result<std::result::Result<Option<Value>, Sent>> {
        let body = match &forward.form {
            Form::Canonical { body, .. } => body,
            _ => &forward.body,
        };
        let resource = path(&Endpoint::Resource(Kind::User, id.to_owned()), "");
        let (false, Some(get)) = (body.contains_key("active"), resource) else { return Ok(Ok(None)) };
        match self.get(origin, get).await {
            Ok(answered) if answered.status == 200 => {
                let shown = serde_json::from_slice::<Value>(&answered.body).unwrap_or_default();
                Ok(Ok(shown.get("active").cloned()))
            }
            // The PUT is answered by what the origin makes of it.
            Ok(_) => Ok(Ok(None)),
            Err(why) => Ok(Err(unanswered(why, true)?)),
        }
    }

    /// The origin's answer with the attributes that the client asked for.
    pub(crate) fn shown(
        &self,
        incoming: &Incoming,
        kind: Kind,
        answered: Answer,
        forward: &Forward,
    ) -> Result<Answer> {
        let Some(shown) = &forward.shown else { return Ok(answered) };
        if !(200..300).contains(&answered.status) {
            return Ok(answered);
        }
        let Ok(Value::Object(resource)) = serde_json::from_slice(&answered.body) else { return Ok(answered) };
        let store = self.store()?;
        if incoming.method == "PATCH" && store.wants_no_body(kind, &incoming.query, shown) {
            return Ok(Answer { status: 204, body: Vec::new().into(), ..answered });
        }
        let part = store.project(kind, resource, shown);
        Ok(Answer { body: Value::Object(part).to_string().into_bytes().into(), ..answered })
    }
}

/// Whether an origin refuses the form of a request, and not what it does.
fn refuses_form(answered: &Answer) -> bool {
    let error = serde_json::from_slice::<Value>(&answered.body).unwrap_or_default();
    answered.status == 400
        && match error.get("scimType").and_then(Value::as_str) {
            Some(scim_type) => {
                let forms = ["noTarget", "invalidPath", "invalidFilter", "invalidSyntax", "invalidValue"];
                forms.iter().any(|form| form.eq_ignore_ascii_case(scim_type))
            }
            None => true,
        }
}

/// A raw query without `attributes` and `excludedAttributes`.
fn without_projection(query: &str) -> String {
    let is_other = |part: &&str| {
        let name = part.split('=').next().unwrap_or_default();
        !["attributes", "excludedAttributes"].iter().any(|own| own.eq_ignore_ascii_case(name))
    };
    query.split('&').filter(is_other).collect::<Vec<_>>().join("&")
}
