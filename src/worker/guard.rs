//! What writes are held to beside permissions: the brake on removals and the mode of the caller's service account.
//!
//! With an origin a removal is counted before it leaves, and taken back if the origin refuses it. What a write would
//! remove is found by trying it on the copy: the try is always undone.

use crate::directory::{Directory, Incoming, internal, respond};
use crate::environment::now_ms;
use crate::http::{Response, scim_error};
use crate::metrics;
use crate::origin::Origin;
use crate::replica::read_body;
use scim_edge_account::published::DirectorySettings;
use scim_edge_directory::brake::{Guard, Limits, Removal, Reserved, Stop};
use scim_edge_directory::message::{BRAKE, REFUSED_BY, Response as ScimResponse};
use scim_edge_directory::shadow::Effect;
use scim_edge_policy::mode::Mode;
use scim_edge_scim::budget::Budget;
use scim_edge_scim::endpoint::{Endpoint, Kind};
use scim_edge_scim::error::Error as ScimError;
use serde_json::{Map, Value};
use worker::{Result, console_error};

/// The brake's limits in an account's settings.
pub(crate) fn limits(settings: &DirectorySettings) -> Option<Limits> {
    let brake = settings.brake;
    let (percent, least) = (brake.removals_percent, brake.least_resources);
    brake.removals_per_hour.map(|per_hour| Limits { per_hour, percent, least })
}

/// What a caller's writes are held to.
pub(crate) fn guard(incoming: &Incoming, settings: &DirectorySettings) -> Guard {
    let limits = limits(settings).filter(|_| !incoming.is_confirmed);
    Guard { limits, append_only: incoming.call.mode == Mode::AppendOnly }
}

/// The answer to a removal that was stopped.
pub(crate) fn stopped(stop: &Stop) -> Result<Response> {
    let retry_after = stop.retry_after.to_string();
    scim_error(&stop.error(), &[("retry-after", &retry_after), (REFUSED_BY, BRAKE)])
}

impl Directory {
    /// The limits that hold now; none for a copy whose first fill goes on, since what there is of it says nothing
    /// of a share.
    pub(crate) fn origin_limits(&self) -> Result<Option<Limits>> {
        let store = self.store()?;
        if store.replica().map_err(internal)?.is_none_or(|state| state.filling.is_some()) {
            return Ok(None);
        }
        Ok(self.known_configuration().map_err(internal)?.and_then(|known| limits(&known.settings)))
    }

    /// Answers a write of a caller in the mode shadow, and changes nothing, here or at an origin.
    pub(crate) fn shadowed(&self, incoming: &Incoming, settings: &DirectorySettings) -> Result<Response> {
        if settings.origin_url.is_some() {
            let state = self.store()?.replica().map_err(internal)?;
            if state.is_none_or(|state| state.filling.is_some()) {
                let sentence = "The service account is in the mode shadow, and the gateway's copy of the origin is \
                    not complete: nothing can be said of this write, and nothing was sent";
                return scim_error(&ScimError::status(503, sentence), &[("retry-after", "5")]);
            }
            if incoming.endpoint == Endpoint::Bulk && !self.features(settings)?.bulk {
                return scim_error(&ScimError::status(501, "Bulk requests are turned off"), &[]);
            }
        }
        let mut response = self.tried(incoming, settings)?;
        incoming.changed.replace(std::mem::take(&mut response.changed));
        respond(response, &[("cache-status", "scim-edge; hit")])
    }

    /// The answer to a write on the tables, which stay as they are.
    fn tried(&self, incoming: &Incoming, settings: &DirectorySettings) -> Result<ScimResponse> {
        self.local(incoming, settings, &incoming.method, &Budget::of_request(), |store, request| {
            store.shadow(request)
        })
    }

    /// Holds a write that is about to leave for the origin to what its caller may remove. The removal that was
    /// counted for it, or the answer that refuses it.
    pub(crate) async fn admit_removal(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        kind: Kind,
        id: Option<&str>,
        origin: &Origin,
    ) -> Result<std::result::Result<Option<Reserved>, Response>> {
        let Some(id) = id else { return Ok(Ok(None)) };
        if incoming.call.mode == Mode::AppendOnly
            && let Some(refused) = self.refuse_removal(incoming, settings, kind, id, origin).await?
        {
            return Ok(Err(refused));
        }
        let limits = self.origin_limits()?.filter(|_| !incoming.is_confirmed);
        let Some(removal) = limits.and_then(|_| self.removal(incoming, settings, kind).transpose()) else {
            return Ok(Ok(None));
        };
        let reserved = self.store()?.reserve_removal(limits, kind, removal?, now_ms()).map_err(internal)?;
        self.raise_alarm();
        reserved.map_or_else(|stop| stopped(&stop).map(Err), |reserved| Ok(Ok(reserved)))
    }

    /// What a write removes, if it may remove anything: most need no more than a look at their body.
    fn removal(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        kind: Kind,
    ) -> Result<Option<Removal>> {
        if incoming.method == "DELETE" {
            return Ok(Some(Removal::Deleted));
        }
        if !read_body(incoming).is_ok_and(|body| may_disable(&incoming.method, kind, &body)) {
            return Ok(None);
        }
        let effect =
            self.local(incoming, settings, &incoming.method, &Budget::of_request(), |store, request| {
                store.effect(request)
            })?;
        Ok(match effect {
            Effect::Removes(removal) => Some(removal),
            Effect::RemovesNothing => None,
            // The origin may know more than the copy, or accept more than the gateway.
            Effect::Unknown => Some(Removal::Disabled),
        })
    }

    /// Refuses a write that removes something, of a caller who may not. What the origin has now decides.
    async fn refuse_removal(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        kind: Kind,
        id: &str,
        origin: &Origin,
    ) -> Result<Option<Response>> {
        let is_known = incoming.method == "DELETE" || self.reread(kind, id, origin).await?;
        let state = self.store()?.replica().map_err(internal)?;
        let hides_members = kind == Kind::Group
            && (state.is_none_or(|state| state.hides_members)
                || settings.hidden_attributes.iter().any(|hidden| hidden == "members"));
        if !is_known || hides_members {
            let sentence = "The service account is in the mode append-only, and the origin does not show what this \
                request would remove; nothing was changed";
            return scim_error(&ScimError::status(403, sentence), &[]).map(Some);
        }
        let response = self.tried(incoming, settings)?;
        if response.status < 400 {
            return Ok(None);
        }
        respond(response, &[]).map(Some)
    }

    /// A removal that was counted has not happened.
    pub(crate) fn take_back(&self, reserved: Option<Reserved>) -> Result<()> {
        match reserved {
            Some(reserved) => self.store()?.take_back_removal(reserved, now_ms()).map_err(internal),
            None => Ok(()),
        }
    }

    /// Tells the log what the brake has stopped.
    pub(crate) fn raise_alarm(&self) {
        let Ok(store) = self.store() else { return };
        if let Some(alarm) = store.take_alarm() {
            metrics::count_brake("stopped");
            console_error!("account {}: {alarm}", self.account());
        }
    }
}

/// Whether a body may deactivate a user or empty a group. Errs on the side of yes.
fn may_disable(method: &str, kind: Kind, body: &Map<String, Value>) -> bool {
    let member = |object: &Map<String, Value>, name: &str| {
        object.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    };
    let is_on = |value: &Value| match value {
        Value::Bool(is_on) => *is_on,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    };
    let is_empty = |value: &Value| value.as_array().is_none_or(Vec::is_empty);
    if method == "PUT" {
        return match kind {
            Kind::User => member(body, "active").is_some_and(|active| !is_on(&active)),
            Kind::Group => member(body, "members").is_none_or(|members| is_empty(&members)),
        };
    }
    let Some(Value::Array(operations)) = member(body, "operations") else { return false };
    let attribute = if kind == Kind::User { "active" } else { "members" };
    operations.iter().filter_map(Value::as_object).any(|operation| {
        let text = |name: &str| {
            let value = member(operation, name);
            value.as_ref().and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase()
        };
        let value = member(operation, "value").unwrap_or_default();
        let takes = |value: &Value| if kind == Kind::User { !is_on(value) } else { is_empty(value) };
        match (text("op").as_str(), text("path").as_str()) {
            ("add", _) if kind == Kind::Group => false,
            ("remove", path) => path.is_empty() || path.contains(attribute),
            (_, "") => value.as_object().is_some_and(|object| {
                object
                    .iter()
                    .any(|(name, value)| name.to_ascii_lowercase().contains(attribute) && takes(value))
            }),
            (_, path) => path.contains(attribute) && takes(&value),
        }
    })
}
