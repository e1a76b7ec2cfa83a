//! A SCIM server and replica over any SQLite, without a host.
//!
//! [`Directory::respond`] maps a SCIM request to a SCIM answer. Who may make the request has been
//! decided before. [`replica`] keeps the same tables as a copy of an origin's.

pub mod activity;
mod answers;
pub mod audit;
pub mod backoff;
mod batch;
pub mod brake;
pub mod bulk;
pub mod capabilities;
pub mod changed_names;
pub mod changes;
mod circles;
pub mod circuit;
pub mod confirm;
mod cursor;
pub mod deleted;
pub mod erasure;
pub mod export;
mod extension;
pub mod forward;
pub mod history;
pub mod import;
pub mod intent;
mod known_groups;
pub mod length;
mod list;
mod members;
pub mod message;
mod mirror;
mod names;
mod page;
mod part;
pub mod pass;
pub mod position;
pub mod refusals;
mod remembered;
mod removal;
mod render;
pub mod replica;
pub mod resource_erasure;
pub mod restore;
pub mod row_text;
pub mod scan;
mod set_aside;
mod set_erasure;
pub mod shadow;
pub mod sql;
mod store;
pub mod switch;
pub mod table_set;
mod tables;
mod time;
mod unique;
mod write;

use answers::Answers;
use brake::Removal;
pub use cursor::is_own_cursor;
use intent::Intent;
use known_groups::KnownGroups;
use message::{Failure, Request, Response};
use remembered::Remembered;
use render::{Relations, Renderer, etag};
use replica::State;
use scan::Scan;
use scim_edge_scim::discovery::{self, Features};
use scim_edge_scim::endpoint::{Endpoint, Kind};
use scim_edge_scim::error::Error;
use scim_edge_scim::limits;
use scim_edge_scim::query::Query;
use scim_edge_scim::schema::Schemas;
use serde_json::Value;
use sql::{Counted, Sql, SqlError};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use store::Store;
use write::{Write, projection};

/// What this server does, as it announces it.
pub const FEATURES: Features = Features {
    patch: true,
    bulk: true,
    filter: true,
    sort: true,
    etag: true,
    cursor: true,
    bulk_operations: bulk::OPERATIONS,
    bulk_bytes: limits::BODY.bytes,
    max_results: list::MAX_COUNT,
    default_page_size: list::DEFAULT_COUNT,
};

/// The version of the tables: copies have the same.
pub const TABLES: usize = tables::VERSION;

/// One account's resources.
pub struct Directory<S> {
    store: Store<S>,
    schemas: RefCell<Rc<Schemas>>,
    answers: Answers,
    replica: Remembered<Option<State>>,
    unknown: Remembered<Vec<Intent>>,
    /// The removal that the last write was found to be.
    noted: Cell<Option<Removal>>,
    alarm: Cell<Option<String>>,
}

impl<S: Sql> Directory<S> {
    /// Opens a database, new or of any earlier version.
    pub fn open(sql: S) -> Result<Self, SqlError> {
        let number = switch::number_in_use(&sql)?;
        Self::open_set(sql, number, true)
    }

    fn open_set(sql: S, number: i64, is_in_use: bool) -> Result<Self, SqlError> {
        let before = tables::migrate(&sql, number, is_in_use)?;
        let store = Store {
            sql: Counted::new(sql),
            groups: KnownGroups::default(),
            long: Remembered::default(),
            unique: RefCell::new(Rc::from([])),
        };
        if (1..tables::FOLDING).contains(&before) {
            store.fold_anew()?;
        }
        let schemas = RefCell::new(Rc::new(extension::load(&store)?));
        store.load_unique()?;
        if (1..tables::UNIQUE).contains(&before) && !store.unique.borrow().is_empty() {
            store.sql.transaction(|| store.rebuild_unique())?;
        }
        let (replica, unknown) = (Remembered::default(), Remembered::default());
        let (answers, noted, alarm) = (Answers::default(), Cell::default(), Cell::default());
        Ok(Self { store, schemas, answers, replica, unknown, noted, alarm })
    }

    /// Answers a request.
    pub fn respond(&self, request: &Request<'_>) -> Response {
        self.respond_in_turns(request, None).unwrap_or_else(|| Failure::Unfinished.into())
    }

    /// Answers a request, or does a part of the work: where there is no answer yet, the host lets others in and
    /// calls again, with the same scan. Without a scan there always is.
    pub fn respond_in_turns(&self, request: &Request<'_>, scan: Option<&Scan>) -> Option<Response> {
        let head = request.method == "HEAD";
        let method = if head { "GET" } else { request.method };
        let mut response = match self.answer(&Request { method, ..*request }, scan) {
            Ok(response) => response,
            Err(Failure::Unfinished) => return None,
            Err(failure) => {
                if let Failure::Stopped(stop) = &failure
                    && let Err(error) = self.note_stopped(stop, request.now_ms)
                {
                    return Some(Failure::Sql(error).into());
                }
                failure.into()
            }
        };
        if head {
            response.body = None;
        }
        Some(response)
    }

    /// Whether this is the first use of what may be used once, until it expires (milliseconds since the
    /// epoch).
    pub fn first_use(&self, id: &str, expires_ms: i64, now_ms: i64) -> Result<bool, SqlError> {
        let sql = self.sql();
        sql.query("DELETE FROM proof WHERE expires < ?", &[now_ms.into()])?;
        let text = "INSERT INTO proof (id, expires) VALUES (?, ?) ON CONFLICT (id) DO NOTHING RETURNING 1";
        Ok(!sql.query(text, &[id.into(), expires_ms.into()])?.is_empty())
    }

    /// The database, for what is beside the directory: [`audit`] and [`activity`].
    pub fn sql(&self) -> &S {
        &self.store.sql.sql
    }

    /// The account's schemas.
    pub fn schemas(&self) -> Rc<Schemas> {
        self.schemas.borrow().clone()
    }

    fn answer(&self, request: &Request<'_>, scan: Option<&Scan>) -> Result<Response, Failure> {
        // Nothing is left of the budget of a bulk request whose operations have spent it.
        request.budget.charge(1)?;
        let schemas = self.schemas();
        if !request.body.is_empty() {
            check_content_type(request.content_type)?;
        }
        let write = Write { store: &self.store, schemas: &schemas, request, noted: &self.noted };
        match (request.method, request.endpoint) {
            ("GET", Endpoint::Root) => self.list(&schemas, request, &Kind::ALL, scan),
            ("GET", Endpoint::Collection(kind)) => self.list(&schemas, request, &[*kind], scan),
            ("POST", Endpoint::Search(None)) => {
                list::search(&self.store, &schemas, request, &Kind::ALL, scan)
            }
            ("POST", Endpoint::Search(Some(kind))) => {
                list::search(&self.store, &schemas, request, &[*kind], scan)
            }
            ("GET", Endpoint::Resource(kind, id)) => self.get(&write, *kind, id),
            ("POST", Endpoint::Collection(kind)) => write.post(*kind),
            ("PUT", Endpoint::Resource(kind, id)) => write.put(*kind, id),
            ("PATCH", Endpoint::Resource(kind, id)) => write.patch(*kind, id),
            ("DELETE", Endpoint::Resource(kind, id)) => write.delete(*kind, id),
            ("POST", Endpoint::Bulk) => self.bulk(request),
            (_, Endpoint::Me) => {
                Err(Error::status(501, "/Me is not supported: tokens act as service accounts").into())
            }
            ("GET", Endpoint::ServiceProviderConfig) => {
                refuse_filter(request)?;
                Ok(Response::json(
                    200,
                    discovery::service_provider_config(&request.features, request.base).to_string(),
                ))
            }
            ("GET", Endpoint::ResourceTypes(which)) => {
                let all = discovery::resource_types(&schemas, request.base);
                discovered(request, all, which.as_deref(), "ResourceType")
            }
            ("GET", Endpoint::Schemas(which)) => {
                let all = discovery::schemas(&schemas, request.base);
                discovered(request, all, which.as_deref(), "Schema")
            }
            ("PUT" | "DELETE", Endpoint::Schemas(Some(_))) if request.guard.append_only => {
                Err(Failure::AppendOnly("or replaces a schema".to_owned()))
            }
            ("PUT", Endpoint::Schemas(Some(urn))) => {
                let response = extension::put(&self.store, &schemas, request, urn);
                self.reload_schemas()?;
                response
            }
            ("DELETE", Endpoint::Schemas(Some(urn))) => {
                let response = extension::delete(&self.store, urn);
                self.reload_schemas()?;
                response
            }
            _ => Err(Error::status(405, "This path does not have that method").into()),
        }
    }

    fn list(
        &self,
        schemas: &Schemas,
        request: &Request<'_>,
        kinds: &[Kind],
        scan: Option<&Scan>,
    ) -> Result<Response, Failure> {
        let writes = self.store.sql.writes();
        if let Some(known) = self.answers.get(request, writes) {
            return Ok(known);
        }
        let response = list::get(&self.store, schemas, request, kinds, scan)?;
        self.answers.keep(request, writes, &response);
        Ok(response)
    }

    /// Takes over the schemas that the origin announces (its answers at `/ResourceTypes` and `/Schemas`).
    pub fn learn_schemas(&self, resource_types: &Value, schemas: &Value) -> Result<(), SqlError> {
        extension::learn(&self.store, resource_types, schemas)?;
        self.reload_schemas()
    }

    fn reload_schemas(&self) -> Result<(), SqlError> {
        *self.schemas.borrow_mut() = Rc::new(extension::load(&self.store)?);
        self.store.load_unique()
    }

    fn get(&self, write: &Write<'_, S>, kind: Kind, id: &str) -> Result<Response, Failure> {
        let request = write.request;
        let shown = projection(write.schemas, request)?;
        let found = self.store.get_with_groups(kind, id)?;
        let stored = found.ok_or_else(|| Error::not_found(format!("{} {id}", kind.name())))?;
        if shown.wants("members") && self.store.is_too_large(kind, stored.seq)? {
            return Err(length::too_large(id).into());
        }
        let one = std::slice::from_ref(&stored);
        let relations = Relations::of(&self.store, one, shown.wants("members"))?;
        let tag = etag(&stored, &relations);
        let matches = |header: &str| {
            header.trim() == "*" || header.split(',').any(|one| render::opaque(one) == render::opaque(&tag))
        };
        if request.if_none_match.is_some_and(matches) {
            return Err(Failure::NotModified(tag));
        }
        if request.if_match.is_some_and(|header| !matches(header)) {
            return Err(Error::status(412, format!("the resource has changed: its version is {tag}")).into());
        }
        let renderer = Renderer { base: request.base, schemas: write.schemas };
        let response = Response::json(200, renderer.text(&stored, &relations, &shown)?);
        // RFC 7643 §3.1: meta.location is the Content-Location.
        let location = renderer.location(kind, id);
        Ok(response.with("etag", tag).with("content-location", location.clone()).with("location", location))
    }
}

/// One item of discovery, or all of them.
fn discovered(
    request: &Request<'_>,
    all: Vec<Value>,
    which: Option<&str>,
    what: &str,
) -> Result<Response, Failure> {
    refuse_filter(request)?;
    let Some(which) = which else { return Ok(Response::json(200, discovery::list(all).to_string())) };
    let named =
        |one: &Value| one.get("id").and_then(Value::as_str).is_some_and(|id| id.eq_ignore_ascii_case(which));
    match all.iter().find(|one| named(one)) {
        Some(one) => Ok(Response::json(200, one.to_string())),
        None => Err(Error::not_found(format!("{what} {which}")).into()),
    }
}

/// RFC 7644 §4: a filter on a discovery endpoint is forbidden.
fn refuse_filter(request: &Request<'_>) -> Result<(), Error> {
    match Query::parse(request.query)?.get("filter") {
        Some(_) => Err(Error::status(403, "filters are not permitted here (RFC 7644, section 4)")),
        None => Ok(()),
    }
}

/// `application/scim+json`, or `application/json`, which clients send as well.
fn check_content_type(content_type: Option<&str>) -> Result<(), Error> {
    let media_type =
        content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "" | "application/scim+json" | "application/json" => Ok(()),
        _ => Err(Error::status(415, "the body must be application/scim+json")),
    }
}
