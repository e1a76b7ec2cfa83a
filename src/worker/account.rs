//! The Account object: the authority for one account's document.
//!
//! Calls on one account come here one after another: between reading the document and storing the new
//! one there is no await, so that no two calls can build on the same version. The document is stored
//! together with the mark that it is to be published; the alarm repeats the publication until it
//! succeeds. See `published.rs` for how soon a change is in force.

use crate::aside::Question;
use crate::authority;
use crate::body::read;
use crate::deletion;
use crate::environment::{Environment, now_ms};
use crate::journal::{kept_from, page};
use crate::sealed::sealed;
use crate::sql::ObjectSql;
use scim_edge_account::api::{Failure, Outcome, Request as AdminRequest};
use scim_edge_account::changes::changes;
use scim_edge_account::configuration;
use scim_edge_account::document::Document;
use scim_edge_account::published::{DirectorySettings, Holder, Published};
use scim_edge_account::put_back::{Before, put_back};
use scim_edge_directory::audit::{self, Entry, Kind, Outcome as AuditOutcome, Resource};
use scim_edge_directory::sql::{Bind, Sql, SqlError};
use scim_edge_policy::credentials::ApiKey;
use scim_edge_policy::permission::{Permission, Permissions};
use scim_edge_policy::route::{AdminRoute, Route};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeMap;
use worker::{DurableObject, Env, Error, Request, Response, Result, State, durable_object};

/// How long a directory that could not be told, or sealed, is left alone, in milliseconds.
pub(crate) const RETRY_MS: i64 = 5_000;

/// The private protocol between Worker and object; both may run different deployments for a while.
pub(crate) const PROTOCOL: u32 = 1;

/// The path of the order that tells a directory of a new document. No client's request has it at an object.
pub(crate) const TOLD: &str = "/told";

/// A call as the Worker passes it on.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Call {
    pub protocol: u32,
    pub account: String,
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: String,
    /// Whether the caller showed the root key; the Worker has compared it.
    pub root: bool,
    /// The key the caller showed; compared here, against the authority.
    pub api_key: String,
    pub correlation_id: String,
    /// Where the caller asked: scheme and authority.
    #[serde(default)]
    pub gateway: String,
    /// A part of the audit of this account's settings; nothing else is asked then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Question>,
    /// Configuration that leaves the account or comes into it; nothing else is asked then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer>,
    /// Whether only to tell what the call would change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
    /// Changes of settings that the Worker refuses, each with a sentence.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
    /// Whether the newest document is asked for; nothing else is asked then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub authority: bool,
    /// The origin of before a switch, which is put back for this caller; nothing else is asked then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_back: Option<(Before, String)>,
}

/// The account's part in an export or import.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Transfer {
    /// The lines that somebody with these permissions may see.
    Export(Permissions),
    /// Lines to take over, with the permissions of the caller.
    Import(Vec<Value>),
}

/// What a call would change of the directory.
#[derive(Serialize, Deserialize)]
pub(crate) struct Preview {
    /// The version of the document that `before` is of.
    pub version: u64,
    pub before: DirectorySettings,
    pub after: DirectorySettings,
}

/// The object's answer.
#[derive(Serialize, Deserialize)]
pub(crate) struct Reply {
    pub status: u16,
    pub body: Value,
    /// The new published document, where the call changed it.
    pub published: Option<Published>,
    /// Whom the key stands for.
    #[serde(default)]
    pub principal: Option<String>,
    /// Where a preview was asked for and something would change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
}

impl Reply {
    pub(crate) fn refusal(failure: &Failure, correlation_id: &str) -> Self {
        let body = failure.body(correlation_id);
        Self { status: failure.status, body, published: None, principal: None, preview: None }
    }
}

/// One per account, named by it.
#[durable_object(alarm)]
pub struct Account {
    pub(crate) state: State,
    pub(crate) environment: Environment,
    /// Whether a call or the alarm is at the publication.
    pub(crate) is_publishing: Cell<bool>,
}

impl DurableObject for Account {
    fn new(state: State, env: Env) -> Self {
        Self { state, environment: Environment::new(env), is_publishing: Cell::new(false) }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        match request.path().as_str() {
            deletion::ERASE => return self.erase(&request).await,
            deletion::SEAL => return self.seal(&request).await,
            deletion::UNSEAL => return self.unseal(&request).await,
            _ => {}
        }
        let body = read(request.inner().body(), 4 << 20).await;
        let call = body.ok().and_then(|body| serde_json::from_slice::<Call>(&body).ok());
        let Some(call) = call.filter(|call| call.protocol == PROTOCOL) else {
            return Err(Error::RustError("a call of another protocol".to_owned()));
        };
        if call.authority {
            return self.tell_newest();
        }
        let reply = self.call(&call)?;
        if reply.published.is_some() {
            self.tell_directory().await?;
            self.publish_soon().await?;
            self.rest().await?;
        }
        let text = serde_json::to_string(&reply).map_err(|error| Error::RustError(error.to_string()))?;
        Response::ok(text)
    }

    async fn alarm(&self) -> Result<Response> {
        if !self.end_in_time().await? {
            self.tell_directory().await?;
            self.publish_soon().await?;
            self.give_back().await?;
        }
        Response::empty()
    }
}

impl Account {
    fn call(&self, call: &Call) -> Result<Reply> {
        let now_ms = now_ms();
        let refuse = |failure: Failure| Ok(Reply::refusal(&failure, &call.correlation_id));
        let sql = ObjectSql::new(&self.state);
        let stored = load(&sql).map_err(internal)?;
        let holder = match (&stored, call.root) {
            (_, true) => Holder::root(),
            (None, false) => return refuse(Failure::unauthenticated()),
            (Some((document, _)), false) => match authenticate(document, &call.api_key, now_ms) {
                Some(holder) => holder,
                None => return refuse(Failure::unauthenticated()),
            },
        };
        if stored.is_none() && sealed(&sql).map_err(internal)?.is_some() {
            let sentence = "The account was deleted and can still be put back: undelete it, or delete it with undoable: false";
            return refuse(Failure::new(409, "ACCOUNT_DELETED", sentence));
        }
        let document = stored.map_or_else(|| Document::new(&call.account, now_ms), |(document, _)| document);
        if let Some(question) = &call.audit {
            return audit_page(&sql, &document, question, &holder, now_ms);
        }
        if let Some((before, principal)) = &call.put_back {
            let new = put_back(&document, before, now_ms);
            let holder = Holder { name: principal.clone(), ..holder };
            self.change(&sql, &document, &new, call, &holder, now_ms)?;
            let published = Some(Published::of(&new));
            return Ok(Reply { status: 200, body: Value::Null, published, principal: None, preview: None });
        }
        if let Some(Transfer::Export(permissions)) = &call.transfer {
            let lines = Value::Array(configuration::export(&document, *permissions));
            return Ok(Reply { status: 200, body: lines, published: None, principal: None, preview: None });
        }
        let resealed = self.environment.seal_keys()?.reseal(&document, &crate::environment::random()?);
        let before = resealed.as_ref().unwrap_or(&document);
        let outcome = if let Some(Transfer::Import(lines)) = &call.transfer {
            self.import(before, call, lines, &holder, now_ms)?
        } else {
            let Ok(Some(Route::Admin(route))) = Route::parse(&call.path) else {
                return refuse(Failure::new(404, "ENTITY_NOT_FOUND", "There is no such path"));
            };
            self.handle(before, call, &route, &holder, now_ms)?
        };
        if call.preview {
            let preview = outcome.changed.map(|new| Preview {
                version: document.version,
                before: Published::of(&document).directory,
                after: Published::of(&new).directory,
            });
            let (status, body) = (outcome.status, outcome.body);
            return Ok(Reply { status, body, published: None, principal: Some(holder.name), preview });
        }
        let published = match outcome.changed.or_else(|| resealed.clone()) {
            Some(new) => {
                self.change(&sql, before, &new, call, &holder, now_ms)?;
                Some(Published::of(&new))
            }
            None => None,
        };
        let (status, body) = (outcome.status, outcome.body);
        Ok(Reply { status, body, published, principal: Some(holder.name), preview: None })
    }

    /// Stores a new document. No change is stored without its entries in the audit.
    fn change(
        &self,
        sql: &ObjectSql,
        before: &Document,
        new: &Document,
        call: &Call,
        holder: &Holder,
        now_ms: i64,
    ) -> Result<()> {
        let stored = sql.transaction(|| {
            store(sql, new)?;
            write_down(sql, before, new, call, holder, now_ms)
        });
        stored.map_err(internal)
    }

    fn handle(
        &self,
        document: &Document,
        call: &Call,
        route: &AdminRoute,
        holder: &Holder,
        now_ms: i64,
    ) -> Result<Outcome> {
        self.with_request(call, route, holder, now_ms, |request| scim_edge_account::handle(document, request))
    }

    /// Calls `handle` with a call as a request of its holder.
    fn with_request<T>(
        &self,
        call: &Call,
        route: &AdminRoute,
        holder: &Holder,
        now_ms: i64,
        handle: impl FnOnce(&AdminRequest<'_>) -> T,
    ) -> Result<T> {
        let request = AdminRequest {
            method: &call.method,
            route,
            query: &call.query,
            body: call.body.as_bytes(),
            permissions: holder.permissions,
            mode: holder.mode,
            now_ms,
            random: &crate::environment::random()?,
            seal_key: &self.environment.seal_keys()?.current,
            development: self.environment.is_development(),
            gateway: &call.gateway,
            correlation_id: &call.correlation_id,
            refused: &call.refused,
        };
        Ok(handle(&request))
    }

    fn import(
        &self,
        document: &Document,
        call: &Call,
        lines: &[Value],
        holder: &Holder,
        now_ms: i64,
    ) -> Result<Outcome> {
        // Each line has a route of its own.
        let imported = self.with_request(call, &AdminRoute::Settings, holder, now_ms, |request| {
            let request = AdminRequest { method: "POST", query: &[], body: &[], ..*request };
            configuration::import(document, lines, &request)
        })?;
        Ok(match imported {
            Ok(new) => Outcome { status: 200, body: Value::Null, changed: (new != *document).then_some(new) },
            Err(refused) => Outcome { status: refused.status, body: refused.message.into(), changed: None },
        })
    }

    /// Answers a directory that was told nothing.
    fn tell_newest(&self) -> Result<Response> {
        let stored = load(&ObjectSql::new(&self.state)).map_err(internal)?;
        let published = stored.map(|(document, _)| Published::of(&document));
        Response::from_json(&Reply {
            status: 200,
            body: Value::Null,
            published,
            principal: None,
            preview: None,
        })
    }

    /// Tells the directory of the newest document now, or leaves it to the alarm.
    pub(crate) async fn tell_directory(&self) -> Result<()> {
        let sql = ObjectSql::new(&self.state);
        let Some((document, _)) = load(&sql).map_err(internal)? else { return Ok(()) };
        if document.version <= told(&sql).map_err(internal)? {
            return Ok(());
        }
        // Set before the attempt: an object that is stopped meanwhile is woken again.
        self.state.storage().set_alarm(RETRY_MS).await?;
        if let Err(error) = authority::tell(&self.environment, Published::of(&document)).await {
            worker::console_error!("the directory was not told of a document, to be repeated: {error}");
            return Ok(());
        }
        let text = "INSERT INTO told (one, version) VALUES (1, ?)
            ON CONFLICT (one) DO UPDATE SET version = max(version, excluded.version)";
        sql.query(text, &[version(document.version)]).map_err(internal)?;
        Ok(())
    }
}

fn internal(error: SqlError) -> Error {
    Error::RustError(error.to_string())
}

pub(crate) fn version(number: u64) -> Bind<'static> {
    Bind::from(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The version that the directory was told of last.
pub(crate) fn told(sql: &ObjectSql) -> std::result::Result<u64, SqlError> {
    let table = "CREATE TABLE IF NOT EXISTS told (one INTEGER PRIMARY KEY, version INTEGER NOT NULL) STRICT";
    sql.query(table, &[])?;
    let Some(mut row) = sql.query("SELECT version FROM told", &[])?.into_iter().next() else { return Ok(0) };
    Ok(u64::try_from(row.integer()?).unwrap_or(0))
}

/// The document and the version that was published last.
pub(crate) fn load(sql: &ObjectSql) -> std::result::Result<Option<(Document, u64)>, SqlError> {
    sql.query("CREATE TABLE IF NOT EXISTS account (one INTEGER PRIMARY KEY, document TEXT NOT NULL, published INTEGER NOT NULL) STRICT", &[])?;
    let rows = sql.query("SELECT document, published FROM account", &[])?;
    let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
    let document = Document::parse(&row.text()?);
    let document = document.ok_or_else(|| SqlError::new("the account document is of a newer format"))?;
    Ok(Some((document, u64::try_from(row.integer()?).unwrap_or(0))))
}

pub(crate) fn store(sql: &ObjectSql, document: &Document) -> std::result::Result<(), SqlError> {
    let text = "INSERT INTO account (one, document, published) VALUES (1, ?, 0)
        ON CONFLICT (one) DO UPDATE SET document = excluded.document";
    sql.query(text, &[document.to_json().as_str().into()])?;
    Ok(())
}

fn authenticate(document: &Document, text: &str, now_ms: i64) -> Option<Holder> {
    let key = ApiKey::parse(text)?;
    Published::of(document).authenticate(&key, now_ms)
}

/// The audit of what has changed, in the object that changes it: no entry can be lost on the way.
fn write_down(
    sql: &ObjectSql,
    old: &Document,
    new: &Document,
    call: &Call,
    holder: &Holder,
    now_ms: i64,
) -> std::result::Result<(), SqlError> {
    audit::open(sql)?;
    audit::trim(sql, kept_from(&Published::of(new).directory, now_ms))?;
    for change in changes(old, new) {
        let entry = Entry {
            id: 0,
            at: now_ms,
            kind: Kind::Settings,
            principal: Some(holder.name.clone()),
            subject: None,
            operation: change.operation.to_owned(),
            resource: Some(Resource { of: change.of.to_owned(), id: Some(change.identifier) }),
            status: 200,
            outcome: AuditOutcome::Ok,
            reason: None,
            request_id: Some(call.correlation_id.clone()),
            count: 1,
            attributes: None,
            former_id: None,
        };
        audit::add(sql, &entry)?;
    }
    Ok(())
}

fn audit_page(
    sql: &ObjectSql,
    document: &Document,
    question: &Question,
    holder: &Holder,
    now_ms: i64,
) -> Result<Reply> {
    if !holder.permissions.has(Permission::AuditView) {
        return Ok(Reply::refusal(&Failure::unauthenticated(), ""));
    }
    audit::open(sql).map_err(internal)?;
    let kept_from = kept_from(&Published::of(document).directory, now_ms);
    let page = page(sql, question, kept_from).map_err(internal)?;
    let body = serde_json::to_value(&page).map_err(|error| Error::RustError(error.to_string()))?;
    Ok(Reply { status: 200, body, published: None, principal: None, preview: None })
}
