//! What a Directory object writes down beside its answers: the audit of its writes and its activity.
//!
//! A write that is answered from the tables alone is written down in the same turn, which storage commits
//! as one. One that takes more turns, since it goes to an origin or has many parts, is written down before, with an outcome that is unknown, and
//! again when it is answered: an object that is stopped in between leaves the entry as it is.

use crate::aside::{Aside, Question, Refused};
use crate::call::Call;
use crate::directory::{Directory, Incoming, dialect, internal};
use crate::environment::now_ms;
use crate::http::{Response, answer};
use crate::replica::read_body;
use scim_edge_account::published::DirectorySettings;
use scim_edge_directory::activity::{Activity, Happened};
use scim_edge_directory::audit::{self, Entry, Kind, Outcome, Resource};
use scim_edge_directory::changed_names::ChangedNames;
use scim_edge_directory::message::Changed;
use scim_edge_directory::message::REFUSED_BY;
use scim_edge_directory::refusals;
use scim_edge_directory::sql::SqlError;
use scim_edge_policy::mode::Mode;
use scim_edge_policy::operation::{Effect, Operation};
use scim_edge_scim::endpoint::{Endpoint, Kind as ResourceKind, segments};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use worker::{Result, console_error};

/// How often old entries are looked for, in milliseconds.
const TRIM_MS: i64 = 3_600_000;

const DAY_MS: i64 = 86_400_000;

/// What the object remembers of it while it runs.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) activity: RefCell<Activity>,
    trimmed_at: Cell<i64>,
}

/// A write that has begun.
pub(crate) struct Begun {
    operation: &'static str,
    at: i64,
    /// Its entry, where it has one before it is answered.
    entry: Option<i64>,
}

impl Directory {
    /// Begins a request: a write that takes more turns than one is written down.
    pub(crate) fn begin(&self, incoming: &Incoming, settings: &DirectorySettings) -> Result<Option<Begun>> {
        let Some(operation) = Operation::of(&incoming.method, &incoming.endpoint) else { return Ok(None) };
        if operation.effect == Effect::Read {
            return Ok(None);
        }
        let mut begun = Begun { operation: operation.name, at: now_ms(), entry: None };
        let has_turns = settings.origin_url.is_some() || incoming.endpoint == Endpoint::Bulk;
        if has_turns && incoming.call.mode != Mode::Shadow {
            let entry = Entry {
                status: 0,
                outcome: Outcome::Unknown,
                attributes: self.names_changed(incoming, settings)?,
                ..entry(incoming, &begun, operation.name, resource(&incoming.endpoint), 0)
            };
            begun.entry = Some(audit::add(self.store()?.sql(), &entry).map_err(internal)?);
        }
        Ok(Some(begun))
    }

    /// Ends a request: what came of it is written down. The answer stands, whatever comes of that.
    pub(crate) fn end(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        begun: Option<Begun>,
        response: &Response,
    ) {
        let written = self.write_down(incoming, settings, begun, response);
        if let Err(error) = written {
            console_error!("the audit or the activity could not be written: {error}");
        }
    }

    fn write_down(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        begun: Option<Begun>,
        response: &Response,
    ) -> Result<()> {
        let sql = self.store()?.sql();
        let status = response.status;
        if let Some(begun) = begun {
            let changed = incoming.changed.take();
            let parts = match (&incoming.endpoint, response.text()) {
                (Endpoint::Bulk, Some(body)) => parts(&incoming.body, body.as_bytes(), &changed),
                _ => Vec::new(),
            };
            let id = response.header("location").filter(|_| status < 400).and_then(last_segment);
            let reason = response.header(REFUSED_BY);
            if let Some(number) = begun.entry {
                audit::settle(sql, number, status, id.as_deref(), reason).map_err(internal)?;
            } else if parts.is_empty() {
                let mut resource = resource(&incoming.endpoint);
                if let Some(resource) = &mut resource
                    && resource.id.is_none()
                {
                    resource.id = id;
                }
                let attributes = changed.into_iter().next().and_then(|changed| changed.names);
                let reason = reason.map(str::to_owned);
                let entry = entry(incoming, &begun, begun.operation, resource, status);
                audit::add(sql, &Entry { attributes, reason, ..entry }).map_err(internal)?;
            }
            for part in parts {
                let entry = entry(incoming, &begun, part.operation, part.resource, part.status);
                audit::add(sql, &Entry { attributes: part.attributes, ..entry }).map_err(internal)?;
            }
            self.trim(settings)?;
        }
        let happened =
            Happened { requests: 1, failed: u64::from(status >= 500), refused: 0, times: &incoming.took_ms };
        self.memory.journal.activity.borrow_mut().add(sql, happened, now_ms()).map_err(internal)
    }

    /// Takes away what is older than the account keeps.
    fn trim(&self, settings: &DirectorySettings) -> Result<()> {
        let now_ms = now_ms();
        let journal = &self.memory.journal;
        if now_ms.saturating_sub(journal.trimmed_at.get()) < TRIM_MS {
            return Ok(());
        }
        journal.trimmed_at.set(now_ms);
        let store = self.store()?;
        store.trim_deleted(deleted_from(settings, now_ms)).map_err(internal)?;
        audit::trim(store.sql(), kept_from(settings, now_ms)).map_err(internal)
    }

    /// Adds an operator's write.
    pub(crate) fn note_operation(
        &self,
        call: &Call,
        operation: &str,
        status: u16,
        of: Written,
    ) -> Result<()> {
        let entry = Entry {
            id: 0,
            at: now_ms(),
            kind: Kind::Write,
            principal: Some(call.principal.clone()),
            subject: call.subject.clone(),
            operation: operation.to_owned(),
            resource: Some(Resource { of: of.kind.name().to_owned(), id: Some(of.id) }),
            status,
            outcome: Outcome::of_write(status),
            reason: None,
            request_id: (!call.request_id.is_empty()).then(|| call.request_id.clone()),
            count: 1,
            attributes: None,
            former_id: of.former_id,
        };
        audit::add(self.store()?.sql(), &entry).map_err(internal).map(|_| ())
    }

    /// Names of the attributes that a write to the origin changes, as far as the copy tells.
    pub(crate) fn names_changed(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
    ) -> Result<Option<ChangedNames>> {
        let (kind, id) = match &incoming.endpoint {
            Endpoint::Collection(kind) => (*kind, None),
            Endpoint::Resource(kind, id) => (*kind, Some(id.as_str())),
            _ => return Ok(None),
        };
        let Ok(body) = read_body(incoming) else { return Ok(None) };
        Ok(self.store()?.names_changed(&incoming.method, kind, id, &body, dialect(settings)))
    }

    /// Answers the Worker.
    pub(crate) fn aside(&self, aside: &Aside, settings: &DirectorySettings) -> Result<Response> {
        let sql = self.store()?.sql();
        let body = match aside {
            Aside::Refused(refused) => {
                self.trim(settings)?;
                self.note_refused(refused).map_err(internal)?;
                return answer(204, &[], None);
            }
            Aside::Audit(question) => {
                self.trim(settings)?;
                let page = page(sql, question, kept_from(settings, now_ms())).map_err(internal)?;
                serde_json::to_string(&page).unwrap_or_default()
            }
            Aside::Activity => {
                let activity = self.memory.journal.activity.borrow();
                activity.shown(sql, now_ms()).map_err(internal)?.to_string()
            }
            Aside::Export(exporting) => self.export(exporting)?,
            // The directory answers these itself.
            Aside::Plan(_) | Aside::View => return answer(204, &[], None),
        };
        answer(200, &[("content-type", "application/json")], Some(body))
    }

    fn note_refused(&self, refused: &[Refused]) -> std::result::Result<(), SqlError> {
        let sql = self.store.as_ref().map_err(Clone::clone)?.sql();
        let now_ms = now_ms();
        let entries: Vec<Entry> = refused.iter().map(refusal).collect();
        refusals::note(sql, &entries, now_ms)?;
        let count = refused.iter().fold(0_u64, |sum, one| sum.saturating_add(u64::from(one.count)));
        let happened = Happened { requests: count, refused: count, ..Happened::default() };
        self.memory.journal.activity.borrow_mut().add(sql, happened, now_ms)
    }
}

/// The entry of refusals that are alike.
fn refusal(refused: &Refused) -> Entry {
    Entry {
        id: 0,
        at: refused.at,
        kind: Kind::Refused,
        principal: refused.principal.clone(),
        subject: None,
        operation: refused.operation.clone(),
        resource: None,
        status: refused.status,
        outcome: Outcome::Refused,
        reason: Some(refused.reason.clone()),
        request_id: Some(refused.request_id.clone()),
        count: refused.count,
        attributes: None,
        former_id: None,
    }
}

/// A page of an audit, without what is older than is kept.
pub(crate) fn page<S: scim_edge_directory::sql::Sql>(
    sql: &S,
    question: &Question,
    kept_from: i64,
) -> std::result::Result<audit::Page, SqlError> {
    let mut filter = question.filter.clone();
    filter.from = Some(filter.from.unwrap_or(0).max(kept_from));
    audit::page(sql, &filter, question.before, question.count)
}

/// The resource of an operator's write.
pub(crate) struct Written {
    pub kind: ResourceKind,
    pub id: String,
    pub former_id: Option<String>,
}

/// From when on deleted resources are kept.
pub(crate) fn deleted_from(settings: &DirectorySettings, now_ms: i64) -> i64 {
    now_ms.saturating_sub(i64::from(settings.deleted_retention_days).saturating_mul(DAY_MS))
}

/// From when on entries are kept.
pub(crate) fn kept_from(settings: &DirectorySettings, now_ms: i64) -> i64 {
    now_ms.saturating_sub(i64::from(settings.audit_retention_days).saturating_mul(DAY_MS))
}

fn entry(
    incoming: &Incoming,
    begun: &Begun,
    operation: &str,
    resource: Option<Resource>,
    status: u16,
) -> Entry {
    let call = &incoming.call;
    Entry {
        id: 0,
        at: begun.at,
        kind: Kind::Write,
        principal: Some(call.principal.clone()),
        subject: call.subject.clone(),
        operation: operation.to_owned(),
        resource,
        status,
        outcome: if call.mode == Mode::Shadow { Outcome::Shadow } else { Outcome::of_write(status) },
        reason: None,
        request_id: (!incoming.request_id.is_empty()).then(|| incoming.request_id.clone()),
        count: 1,
        attributes: None,
        former_id: None,
    }
}

fn resource(endpoint: &Endpoint) -> Option<Resource> {
    let (of, id) = match endpoint {
        Endpoint::Collection(kind) => (kind.name(), None),
        Endpoint::Resource(kind, id) => (kind.name(), Some(id.clone())),
        Endpoint::Schemas(Some(urn)) => ("Schema", Some(urn.clone())),
        _ => return None,
    };
    Some(Resource { of: of.to_owned(), id })
}

fn last_segment(location: &str) -> Option<String> {
    let path = location.split_once("://").map_or(location, |(_, rest)| rest);
    segments(path).ok()?.pop()
}

/// One operation of a bulk request.
struct Part {
    operation: &'static str,
    resource: Option<Resource>,
    status: u16,
    attributes: Option<ChangedNames>,
}

/// The operations of a bulk request that were answered, but for those that name no operation. `changed` says which
/// operation each answer is to: some may have been left undone before it.
fn parts(asked: &[u8], answered: &[u8], changed: &[Changed]) -> Vec<Part> {
    let operations = |text: &[u8]| {
        let message = serde_json::from_slice::<Value>(text).ok()?;
        let members = message.as_object()?;
        let named = members.iter().find(|(name, _)| name.eq_ignore_ascii_case("operations"));
        named.and_then(|(_, list)| list.as_array().cloned())
    };
    let (Some(asked), Some(answered)) = (operations(asked), operations(answered)) else { return Vec::new() };
    let part = |(answered, changed): (&Value, &Changed)| {
        let asked = asked.get(changed.operation)?;
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let endpoint = Endpoint::from_segments(&segments(&text(asked, "path")?).ok()?)?;
        let method = text(asked, "method")?.to_ascii_uppercase();
        let mut resource = resource(&endpoint)?;
        if resource.id.is_none() {
            resource.id = text(answered, "location").as_deref().and_then(last_segment);
        }
        let status = text(answered, "status").and_then(|status| status.parse().ok());
        Some(Part {
            operation: Operation::of(&method, &endpoint)?.name,
            resource: Some(resource),
            status: status.unwrap_or(0),
            attributes: changed.names.clone(),
        })
    };
    answered.iter().zip(changed).filter_map(part).collect()
}
