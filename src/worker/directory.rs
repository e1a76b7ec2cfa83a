//! The Directory object: one account's SCIM server, or its copy of the origin's.
//!
//! Without an origin every call is answered from the object's own tables, in one turn. With one, see
//! `replica.rs`.

use crate::account::TOLD;
use crate::aside::Aside;
use crate::ask::lacks;
use crate::body::{Body, read};
use crate::call::{self, Call, HEADER};
use crate::caller::{refused, unknown_account};
use crate::copies::Lent;
use crate::deletion;
use crate::environment::{Environment, new_uuid, now_ms};
use crate::gate::used_before;
use crate::guard::guard;
use crate::http::{Headers, Request, Response, SCIM_JSON, answer, run, scim_error};
use crate::journal::Journal;
use crate::lock::Locks;
use crate::log;
use crate::near::{self, Near};
use crate::races::Races;
use crate::replica::is_read;
use crate::sql::ObjectSql;
use crate::switch::{Switching, held};
use crate::synchronise::{PAGE, Trouble};
use scim_edge_account::authority::Authority;
use scim_edge_account::published::DirectorySettings;
use scim_edge_account::supplement::Supplement;
use scim_edge_directory::FEATURES;
use scim_edge_directory::circuit::Circuit;
use scim_edge_directory::message::{Changed, Request as ScimRequest, Response as ScimResponse};
use scim_edge_directory::scan::Scan;
use scim_edge_directory::sql::SqlError;
use scim_edge_directory::table_set::TableSet;
use scim_edge_policy::mode::Mode;
use scim_edge_policy::operation::needed;
use scim_edge_policy::route::Route;
use scim_edge_scim::budget::Budget;
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::discovery::Features;
use scim_edge_scim::endpoint::{Endpoint, Kind};
use scim_edge_scim::error::Error as ScimError;
use scim_edge_scim::limits::of_body;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::{Env, Error, Result, State, console_error, worker_sys};

#[wasm_bindgen(raw_module = "./edge.js")]
extern "C" {
    /// Resolves after what waits to be done. Not `worker::Delay`, which only wakes who has asked first: [`run`]
    /// asks before there is a promise.
    fn turn() -> js_sys::Promise;
}

/// One per account, named by it: what the host sees of a [`Directory`]. The attribute of the `worker` crate
/// would make a promise of every answer, also where there is nothing to wait for.
#[wasm_bindgen(js_name = Directory)]
pub struct DirectoryObject(Rc<Directory>);

#[wasm_bindgen(js_class = Directory)]
impl DirectoryObject {
    /// The host starts an object.
    #[wasm_bindgen(constructor)]
    pub fn new(state: worker_sys::DurableObjectState, env: Env) -> Self {
        Self(Rc::new(Directory::new(State::from(state), env)))
    }

    /// A request of the Worker's.
    pub fn fetch(&self, request: web_sys::Request) -> std::result::Result<JsValue, JsValue> {
        let directory = self.0.clone();
        run(async move { directory.fetch(Request::of_worker(request)).await?.into_host() })
    }

    /// A request of the Worker's that has no body, as `edge.js` writes it.
    pub fn read(&self, text: String) -> std::result::Result<JsValue, JsValue> {
        let directory = self.0.clone();
        run(async move { directory.fetch(Request::of_text(&text)).await?.into_reply() })
    }

    /// The alarm.
    pub fn alarm(&self) -> std::result::Result<JsValue, JsValue> {
        let directory = self.0.clone();
        run(async move {
            directory.alarm().await?;
            Ok(JsValue::UNDEFINED)
        })
    }
}

/// A set of tables in the object's database.
pub(crate) type Store = scim_edge_directory::Directory<TableSet<Rc<ObjectSql>>>;

/// One account's directory.
pub(crate) struct Directory {
    pub(crate) state: State,
    pub(crate) environment: Environment,
    pub(crate) sql: Rc<ObjectSql>,
    /// The tables in use.
    pub(crate) store: std::result::Result<Rc<Store>, SqlError>,
    pub(crate) memory: Memory,
}

/// What the object remembers while it runs; nothing that must survive.
pub(crate) struct Memory {
    pub(crate) configuration: RefCell<Option<Configuration>>,
    /// The newest document of the account that is known.
    pub(crate) authority: RefCell<Option<Rc<Authority>>>,
    pub(crate) locks: Locks<(Kind, String)>,
    /// Deleted resources that are being restored: an origin may give one the id that it had.
    pub(crate) restores: Locks<(Kind, String)>,
    pub(crate) races: Races,
    /// What is known of the origin's health, with the request that finds out about it.
    pub(crate) circuit: RefCell<Option<Circuit>>,
    /// Whether the storage was given back, tables and all.
    pub(crate) is_erased: Cell<bool>,
    /// Whether the alarm is known to be set.
    pub(crate) is_awake: Cell<bool>,
    /// When a request last looked whether the alarm is set, in milliseconds since the epoch.
    pub(crate) looked_at: Cell<i64>,
    /// The earliest time for which an alarm was asked since it last rang, in milliseconds since the epoch.
    pub(crate) asked_alarm: Cell<Option<i64>>,
    /// How often the work of the alarm has failed.
    pub(crate) faults: Cell<u32>,
    /// What went wrong with the last request to the origin in the background.
    pub(crate) trouble: RefCell<Option<Trouble>>,
    pub(crate) journal: Journal,
    /// The account, and what it is called among the hops of its requests.
    pub(crate) hop: RefCell<Option<(String, Rc<str>)>>,
    /// How many resources are asked of the origin at once: fewer where a page was too long.
    pub(crate) page: Cell<i64>,
    /// What it lends to its copies.
    pub(crate) near: Near,
    /// What it was lent, where it is a copy itself.
    pub(crate) lent: Lent,
    pub(crate) switching: Switching,
}

/// The settings the object works by: the newest it has been told of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Configuration {
    pub(crate) account: String,
    pub(crate) version: u64,
    pub(crate) settings: Rc<DirectorySettings>,
}

/// A call with its body, ready to be answered.
pub(crate) struct Incoming {
    pub(crate) call: Rc<Call>,
    pub(crate) method: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) query: String,
    pub(crate) headers: Headers,
    pub(crate) body: Body,
    /// Names the request, here and at the origin.
    pub(crate) request_id: String,
    /// How long the account's last requests took, in milliseconds.
    pub(crate) took_ms: Vec<u32>,
    /// How long the origin has been waited for, in milliseconds; none where it was not asked.
    pub(crate) origin_ms: Rc<Cell<Option<u32>>>,
    /// Whether the brake does not concern it: each of these was confirmed by itself.
    pub(crate) is_confirmed: bool,
    /// Names of the attributes that the request changed; one list for each operation of a bulk request.
    pub(crate) changed: Rc<RefCell<Vec<Changed>>>,
}

impl Incoming {
    /// A write that is a part of this object's work for a caller: an operation of a bulk request, or a step of a
    /// restore.
    pub(crate) fn part(
        call: &Rc<Call>,
        method: &str,
        endpoint: Endpoint,
        if_match: Option<String>,
        body: Vec<u8>,
    ) -> Self {
        Self {
            call: call.clone(),
            method: method.to_owned(),
            endpoint,
            query: String::new(),
            headers: Headers::of(vec![("content-type", Some(SCIM_JSON.to_owned())), ("if-match", if_match)]),
            body: body.into(),
            request_id: call.request_id.clone(),
            took_ms: Vec::new(),
            origin_ms: Rc::default(),
            is_confirmed: false,
            changed: Rc::default(),
        }
    }
}

impl Directory {
    fn new(state: State, env: Env) -> Self {
        let sql = Rc::new(ObjectSql::new(&state));
        let store = Store::open(TableSet::in_use(sql.clone())).and_then(|store| {
            store.mark_interrupted(now_ms())?;
            Ok(Rc::new(store))
        });
        let memory = Memory {
            configuration: RefCell::new(None),
            authority: RefCell::new(None),
            locks: Locks::new(),
            restores: Locks::new(),
            races: Races::default(),
            circuit: RefCell::new(None),
            is_erased: Cell::new(false),
            is_awake: Cell::new(false),
            looked_at: Cell::new(0),
            asked_alarm: Cell::new(None),
            faults: Cell::new(0),
            trouble: RefCell::new(None),
            journal: Journal::default(),
            hop: RefCell::new(None),
            page: Cell::new(PAGE),
            near: Near::default(),
            lent: Lent::default(),
            switching: Switching::default(),
        };
        if let Ok(store) = &store
            && store.has_log().unwrap_or(true)
        {
            memory.near.assume(store.copies().unwrap_or_default());
        }
        Self { state, environment: Environment::new(env), sql, store, memory }
    }

    async fn fetch(self: &Rc<Self>, request: Request) -> Result<Response> {
        match request.path() {
            deletion::ERASE => return self.erase(&request).await,
            deletion::SEAL => return self.seal(&request).await,
            deletion::UNSEAL => return self.unseal(&request).await,
            TOLD => return self.be_told(&request).await,
            near::LEND => return self.lend(&request).await,
            near::RECALL => return self.give_up(),
            near::FORGET => return self.forget_everything().await,
            _ => {}
        }
        let call = request.headers().known(HEADER).and_then(Call::parse);
        let call = call.ok_or_else(|| Error::RustError("a call of another protocol".to_owned()))?;
        let (request_id, took_ms) = call.own(request.headers().known(call::OWN_HEADER));
        // A read replica judges by its lease.
        let call = if call.near.is_some() { Ok(call) } else { self.admitted(&request, call).await? };
        let call = match call {
            Ok(call) => call,
            Err(mut response) => {
                log::mark(&mut response, &request_id, None)?;
                return Ok(response);
            }
        };
        if self.is_deleted(call.version).await? {
            let mut response = refused(&unknown_account(), &call.base)?;
            log::mark(&mut response, &request_id, None)?;
            return Ok(response);
        }
        let endpoint = match Route::parse(request.path()) {
            Ok(Some(Route::Operator(route))) if route.account == call.account => {
                let mut response = self.operate(&request, &call, route.call, &request_id).await?;
                log::mark(&mut response, &request_id, None)?;
                return Ok(response);
            }
            Ok(Some(Route::Scim(route))) if route.account == call.account => route.endpoint,
            _ => None,
        };
        let mut incoming = match incoming(&request, endpoint, call, request_id.clone(), took_ms).await? {
            Ok(incoming) => incoming,
            Err(error) => {
                let wait: &[_] = if error.status == 503 { &[("retry-after", "1")] } else { &[] };
                let mut response = scim_error(&error, wait)?;
                log::mark(&mut response, &request_id, None)?;
                return Ok(response);
            }
        };
        if let Some(region) = &incoming.call.near {
            return self.answer_near(&request, &incoming, region).await;
        }
        // The account or the credential may have gone while the body was read.
        incoming.call = match self.judged(&request, incoming.call.clone())? {
            Ok(call) => call,
            Err(mut response) => {
                log::mark(&mut response, &request_id, None)?;
                return Ok(response);
            }
        };
        let settings = self.configure(&incoming.call).await?;
        if let Some(aside) = &incoming.call.aside {
            return match aside {
                Aside::Plan(question) => self.answer_plan(question, &settings).await,
                Aside::View => self.answer_view(&settings),
                aside => self.aside(aside, &settings),
            };
        }
        let mut response = self.answered(&incoming, &settings).await?;
        log::mark(&mut response, &request_id, incoming.origin_ms.get())?;
        Ok(response)
    }

    async fn alarm(&self) -> Result<()> {
        self.memory.is_awake.set(false);
        if !self.give_back().await? && !self.is_sealed()? {
            self.ring().await?;
        }
        Ok(())
    }

    pub(crate) fn store(&self) -> Result<&Store> {
        self.store.as_deref().map_err(|error| Error::RustError(error.to_string()))
    }

    /// Answers a client's call, and writes down what there is to write down.
    async fn answered(&self, incoming: &Incoming, settings: &DirectorySettings) -> Result<Response> {
        let Some(_writing) = self.admit_write(incoming) else { return held() };
        if let Some((id, expires_ms)) = &incoming.call.once
            && !self.store()?.first_use(id, *expires_ms, now_ms()).map_err(internal)?
        {
            return used_before(&incoming.call.base);
        }
        let is_tried = incoming.call.mode == Mode::Shadow && !is_read(incoming);
        // Held until the write is in the tables, or known to be unknown.
        let _recalled = if is_read(incoming) || is_tried { None } else { Some(self.recall().await) };
        let begun = self.begin(incoming, settings)?;
        let response = match &settings.origin_url {
            _ if is_tried => self.shadowed(incoming, settings),
            None if incoming.endpoint == Endpoint::Bulk => self.bulk(incoming, settings, None).await,
            None => {
                let scan = Scan::default();
                let response = loop {
                    match self.local_in_turns(incoming, settings, &scan)? {
                        Some(mut response) => {
                            incoming.changed.replace(std::mem::take(&mut response.changed));
                            break response;
                        }
                        None => let_others_in().await?,
                    }
                };
                self.raise_alarm();
                respond(response, &[("cache-status", "scim-edge; hit")])
            }
            Some(_) => self.with_origin(incoming, settings).await,
        }?;
        self.end(incoming, settings, begun, &response);
        Ok(response)
    }

    /// Answers from the tables, as if the method were another.
    pub(crate) fn local_as(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        method: &str,
    ) -> Result<ScimResponse> {
        self.local(incoming, settings, method, &Budget::of_request(), |store, request| store.respond(request))
    }

    /// Answers an operation of a bulk request, which share a budget. What the request itself has created need not
    /// be kept when it is deleted again.
    pub(crate) fn local_part(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        budget: &Budget,
        keep_deleted: bool,
    ) -> Result<ScimResponse> {
        self.local(incoming, settings, &incoming.method, budget, |store, request| {
            let keep_deleted = request.keep_deleted && keep_deleted;
            store.respond(&ScimRequest { is_part: true, keep_deleted, ..*request })
        })
    }

    /// Answers from the tables, or does a part of the work of a scan: others are to be let in then.
    pub(crate) fn local_in_turns(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        scan: &Scan,
    ) -> Result<Option<ScimResponse>> {
        let method = &incoming.method;
        let budget = Budget::of_request();
        self.local(incoming, settings, method, &budget, |store, request| {
            store.respond_in_turns(request, Some(scan))
        })
    }

    pub(crate) fn local<T>(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        method: &str,
        budget: &Budget,
        ask: impl FnOnce(&Store, &ScimRequest<'_>) -> T,
    ) -> Result<T> {
        let header = |name: &str| incoming.headers.get(name).ok().flatten();
        let features = self.features(settings)?;
        let precondition = |name: &str| header(name).filter(|_| features.etag);
        let (content_type, if_match, if_none_match) =
            (header("content-type"), precondition("if-match"), precondition("if-none-match"));
        let permissions = incoming.call.permissions;
        let request = ScimRequest {
            method,
            endpoint: &incoming.endpoint,
            query: &incoming.query,
            content_type: content_type.as_deref(),
            if_match: if_match.as_deref(),
            if_none_match: if_none_match.as_deref(),
            body: &incoming.body,
            base: &incoming.call.base,
            dialect: dialect(settings),
            features,
            patch_without_body: settings.patch_without_body,
            unique_group_names: settings.unique_group_names,
            unknown_members: settings.unknown_members,
            guard: guard(incoming, settings),
            budget,
            is_part: false,
            now_ms: now_ms(),
            // Without randomness no identifier is unique; an empty one is refused by the unique index.
            new_id: &|| new_uuid().unwrap_or_default(),
            may: &|method, kind| permissions.has_all(needed(method, kind)),
            principal: Some(&incoming.call.principal),
            request_id: Some(incoming.request_id.as_str()).filter(|id| !id.is_empty()),
            keep_deleted: settings.deleted_retention_days > 0,
        };
        Ok(ask(self.store()?, &request))
    }

    /// What this account's directory announces: with an origin, what that can do itself and what the
    /// gateway adds.
    pub(crate) fn features(&self, settings: &DirectorySettings) -> Result<Features> {
        if settings.origin_url.is_none() {
            return Ok(FEATURES);
        }
        let capabilities = self.store()?.replica().map_err(internal)?.and_then(|state| state.capabilities);
        let adds = |feature| settings.adds(feature);
        let offers = |feature| adds(feature) || !lacks(capabilities.as_ref(), feature);
        Ok(Features {
            patch: offers(Supplement::Patch),
            bulk: adds(Supplement::Bulk),
            filter: offers(Supplement::Filter),
            sort: offers(Supplement::Sort),
            etag: offers(Supplement::Etag),
            cursor: offers(Supplement::Cursor),
            ..FEATURES
        })
    }

    /// The settings that the object works by, none before its first call.
    pub(crate) fn known_configuration(&self) -> std::result::Result<Option<Configuration>, SqlError> {
        if let Some(known) = &*self.memory.configuration.borrow() {
            return Ok(Some(known.clone()));
        }
        let store = self.store.as_ref().map_err(Clone::clone)?;
        let told = store.configuration()?.and_then(|text| serde_json::from_str::<Configuration>(&text).ok());
        told.map(|told| self.in_force(told)).transpose()
    }

    /// The settings to work by. Before newer ones than are known are gone by, no copy goes by the old ones.
    pub(crate) async fn configure(&self, call: &Call) -> Result<Rc<DirectorySettings>> {
        if let Some(known) = &*self.memory.configuration.borrow()
            && known.version >= call.version
        {
            return Ok(known.settings.clone());
        }
        let known = self.known_configuration().map_err(internal)?;
        let is_new = known.as_ref().is_none_or(|known| known.version < call.version);
        let _recalled = if is_new { Some(self.recall().await) } else { None };
        let settings = self.configure_now(call).map_err(internal)?;
        self.wake_for_sets().await?;
        if known.is_none_or(|known| known.settings != settings) {
            self.try_again().await?;
        }
        Ok(settings)
    }

    /// A call may come from an isolate that does not know the newest settings yet: the object never goes back to
    /// older ones, and what it copies changes only with newer ones.
    fn configure_now(&self, call: &Call) -> std::result::Result<Rc<DirectorySettings>, SqlError> {
        let store = self.store.as_ref().map_err(Clone::clone)?;
        // Deleted while the copies were called back: its settings are not taken over.
        if self.authority()?.is_some_and(|known| known.is_deleted(call.version)) {
            return Err(SqlError::new("the account was deleted meanwhile"));
        }
        if let Some(known) = &*self.memory.configuration.borrow()
            && known.version >= call.version
        {
            return Ok(known.settings.clone());
        }
        let before = self.known_configuration()?;
        let stored =
            store.configuration()?.and_then(|text| serde_json::from_str::<Configuration>(&text).ok());
        let newest = match stored {
            Some(stored) if stored.version >= call.version => stored,
            _ => {
                let told = Configuration {
                    account: call.account.clone(),
                    version: call.version,
                    settings: call.settings.clone().into(),
                };
                let text = serde_json::to_string(&told).map_err(|error| SqlError::new(error.to_string()))?;
                store.set_configuration(&text)?;
                told
            }
        };
        self.adopt(&newest, before.as_ref())?;
        let in_force = self.in_force(newest)?;
        let settings = in_force.settings.clone();
        *self.memory.configuration.borrow_mut() = Some(in_force);
        self.memory.is_awake.set(false);
        Ok(settings)
    }
}

/// Reads a call; what is wrong with the client's part of it is a SCIM error.
async fn incoming(
    request: &Request,
    endpoint: Option<Endpoint>,
    call: Rc<Call>,
    request_id: String,
    took_ms: Vec<u32>,
) -> Result<std::result::Result<Incoming, ScimError>> {
    let Some(endpoint) = endpoint else { return Ok(Err(ScimError::not_found("This path"))) };
    let limit = of_body(&endpoint).bytes;
    let body = match read(request.body(), limit).await {
        Ok(body) => body,
        Err(error) => return Ok(Err(error.scim_error(limit))),
    };
    Ok(Ok(Incoming {
        call,
        method: request.method().to_owned(),
        endpoint,
        query: request.query().to_owned(),
        headers: request.headers().clone(),
        body,
        request_id,
        took_ms,
        origin_ms: Rc::default(),
        is_confirmed: false,
        changed: Rc::default(),
    }))
}

/// Lets other requests in, and whatever else there is to do.
pub(crate) async fn let_others_in() -> Result<()> {
    JsFuture::from(turn()).await?;
    Ok(())
}

pub(crate) fn dialect(settings: &DirectorySettings) -> Dialect {
    if settings.strict { Dialect::Strict } else { Dialect::Tolerant }
}

/// An answer of the directory's as HTTP.
pub(crate) fn respond(response: ScimResponse, headers: &[(&str, &str)]) -> Result<Response> {
    if let Some(fault) = &response.fault {
        console_error!("directory: {fault}");
    }
    let mut all: Vec<(&str, &str)> = Vec::new();
    if response.body.is_some() {
        all.push(("content-type", SCIM_JSON));
    }
    if response.headers.iter().any(|(name, _)| *name == "etag") {
        // The caller's own cache may keep it, and must ask whether it is still so.
        all.push(("cache-control", "private, no-cache"));
    }
    all.extend(response.headers.iter().map(|(name, value)| (*name, value.as_str())));
    all.extend_from_slice(headers);
    answer(response.status, &all, response.body)
}

pub(crate) fn internal(error: SqlError) -> Error {
    Error::RustError(error.to_string())
}
