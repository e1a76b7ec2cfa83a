//! What the directory knows of its account's newest document, and its judgment of each request by it.
//!
//! An isolate may admit a request by an old document: KV can be slow, lose a write or show what was there before. The
//! Account object tells the directory of each new version before it publishes to KV, and repeats that until it succeeds;
//! a directory that was told nothing asks the Account object before it answers. A revocation or deletion is
//! therefore in force here without KV. INVARIANT: nothing is stored or forwarded for a request whose credential is not
//! in the newest document that the directory knows.

use crate::account::{self, TOLD};
use crate::admin;
use crate::body::read;
use crate::call::Call;
use crate::caller::{Caller, effective, refused, unknown_account};
use crate::directory::{Directory, internal};
use crate::environment::{Environment, now_ms};
use crate::http::{Request, Response, answer, scim_error};
use crate::near::pause;
use crate::published;
use futures_util::future::{Either, select};
use scim_edge_account::authority::{Authority, Grounds, Judgment};
use scim_edge_account::published::Published;
use scim_edge_directory::sql::{Sql, SqlError};
use scim_edge_policy::operation::Operation;
use scim_edge_policy::permission::Permissions;
use scim_edge_policy::refusal::{Reason, Refusal};
use scim_edge_policy::route::Route;
use scim_edge_scim::error::Error as ScimError;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use wasm_bindgen_futures::JsFuture;
use worker::{Error, Method, RequestInit, Result, console_error};

/// The private protocol; Worker and object may run different deployments for a while.
const PROTOCOL: u32 = 1;

/// The longest published document with room around it, in bytes.
const LIMIT: usize = 2 << 20;

/// How long an object is waited for, in milliseconds.
const PATIENCE_MS: u32 = 3_000;

/// When a request that cannot be judged is worth sending again, in seconds.
const RETRY_SECONDS: &str = "5";

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS authority (one INTEGER PRIMARY KEY, authority TEXT NOT NULL) STRICT";

/// A document that a directory is told.
#[derive(Serialize, Deserialize)]
struct Told {
    protocol: u32,
    published: Published,
}

/// Tells an account's directory of a new document.
pub(crate) async fn tell(environment: &Environment, published: Published) -> Result<()> {
    let account = published.account.clone();
    let told = Told { protocol: PROTOCOL, published };
    let text = serde_json::to_string(&told).map_err(|error| Error::RustError(error.to_string()))?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(text.into()));
    let request = worker::Request::new_with_init(&format!("https://object{TOLD}"), &init)?;
    let stub = environment.directories()?.id_from_name(&account)?.get_stub()?;
    let answered = in_time(stub.fetch_with_request(request)).await?;
    match answered.status_code() {
        200 => Ok(()),
        status => Err(Error::RustError(format!("the directory answered {status}"))),
    }
}

/// What a promise gives within [`PATIENCE_MS`].
async fn in_time<T>(promise: impl Future<Output = Result<T>>) -> Result<T> {
    match select(Box::pin(promise), JsFuture::from(pause(PATIENCE_MS))).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(Error::RustError("an object does not answer in time".to_owned())),
    }
}

impl Directory {
    /// Takes over a document that the Account object tells.
    pub(crate) async fn be_told(&self, request: &Request) -> Result<Response> {
        let body = read(request.body(), LIMIT).await.ok();
        let told = body.and_then(|body| serde_json::from_slice::<Told>(&body).ok());
        let told = told.filter(|told| told.protocol == PROTOCOL);
        let told = told.ok_or_else(|| Error::RustError("an order of another protocol".to_owned()))?;
        // A read replica judges by the version of its lease.
        let _recalled = self.recall().await;
        self.adopt_authority(told.published).map_err(internal)?;
        answer(200, &[], None)
    }

    /// Keeps a document if it is newer than what is known.
    pub(crate) fn adopt_authority(&self, document: Published) -> std::result::Result<(), SqlError> {
        let next = match self.authority()? {
            None => Some(Authority::first(document)),
            Some(known) => known.with(document),
        };
        let Some(next) = next else { return Ok(()) };
        *self.memory.authority.borrow_mut() = Some(Rc::new(next));
        self.keep_authority()
    }

    /// Stores what is known; once more after the tables were emptied.
    pub(crate) fn keep_authority(&self) -> std::result::Result<(), SqlError> {
        let Some(known) = self.memory.authority.borrow().clone() else { return Ok(()) };
        let text = serde_json::to_string(&*known).map_err(|error| SqlError::new(error.to_string()))?;
        self.sql.query(TABLE, &[])?;
        self.sql.query(
            "INSERT OR REPLACE INTO authority (one, authority) VALUES (1, ?)",
            &[text.as_str().into()],
        )?;
        Ok(())
    }

    /// What is known; none before the Account object told or was asked.
    pub(crate) fn authority(&self) -> std::result::Result<Option<Rc<Authority>>, SqlError> {
        if let Some(known) = &*self.memory.authority.borrow() {
            return Ok(Some(known.clone()));
        }
        self.sql.query(TABLE, &[])?;
        let rows = self.sql.query("SELECT authority FROM authority", &[])?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        let known = serde_json::from_str::<Authority>(&row.text()?);
        // One of a later deployment is asked for.
        let known = known.ok().map(Rc::new);
        self.memory.authority.borrow_mut().clone_from(&known);
        Ok(known)
    }

    /// A request as the newest document permits it, or its refusal. Asks the Account object if nothing is known here.
    pub(crate) async fn admitted(
        &self,
        request: &Request,
        call: Rc<Call>,
    ) -> Result<std::result::Result<Rc<Call>, Response>> {
        // The Worker may ask about an account that is not there yet.
        if call.aside.is_some() {
            return self.judged(request, call);
        }
        let known = self.authority().map_err(internal)?;
        // A deleted account may have been made again.
        let is_known = known.is_some_and(|known| !known.document().deleted || known.is_deleted(call.version));
        if !is_known && let Err(error) = self.ask_authority(&call).await {
            console_error!("the account's object could not be asked: {error}");
            return Ok(Err(unproven("The account cannot be checked at the moment: send the request again")?));
        }
        self.judged(request, call)
    }

    /// The same by what is known, in one turn.
    pub(crate) fn judged(
        &self,
        request: &Request,
        call: Rc<Call>,
    ) -> Result<std::result::Result<Rc<Call>, Response>> {
        let Some(known) = self.authority().map_err(internal)? else { return Ok(Ok(call)) };
        let grounds = Grounds {
            version: call.version,
            credential: call.credential.as_ref(),
            principal: &call.principal,
        };
        // What the Worker itself asks stands for no credential.
        let judgment = match known.judge(grounds, now_ms()) {
            Judgment::Unproven if call.aside.is_some() && call.credential.is_none() => Judgment::Current,
            judgment => judgment,
        };
        match judgment {
            Judgment::Current => Ok(Ok(call)),
            Judgment::Admitted(held, mode) => {
                if let Err(refusal) = permit(request, held) {
                    return Ok(Err(refused(&refusal, &call.base)?));
                }
                let document = known.document();
                Ok(Ok(Rc::new(Call {
                    version: document.version,
                    settings: document.directory.clone(),
                    permissions: held,
                    mode: effective(request, mode),
                    ..(*call).clone()
                })))
            }
            Judgment::Deleted => Ok(Err(refused(&unknown_account(), &call.base)?)),
            Judgment::Revoked => {
                let reason = match call.is_by_key() {
                    true => Reason::ApiKeyNotValid,
                    false => Reason::ServiceAccountMissing,
                };
                Ok(Err(refused(&Refusal::new(reason, "revoked"), &call.base)?))
            }
            Judgment::Unproven => {
                let sentence = "The account's trust rules have just changed: send the request again";
                Ok(Err(unproven(sentence)?))
            }
        }
    }

    async fn ask_authority(&self, call: &Call) -> Result<()> {
        match newest(&self.environment, &call.account).await? {
            Newest::Unasked => Ok(()),
            Newest::Document(document) => self.adopt_authority(document).map_err(internal),
            Newest::Missing => {
                // There is no such account. Only the memory keeps that: no row is stored for it.
                let tombstone = Published::tombstone(&call.account, call.version);
                let next = match self.authority().map_err(internal)? {
                    None => Some(Authority::first(tombstone)),
                    Some(known) => known.with(tombstone),
                };
                if let Some(next) = next {
                    *self.memory.authority.borrow_mut() = Some(Rc::new(next));
                }
                Ok(())
            }
        }
    }
}

/// The answer of an Account object to the question for its newest document.
enum Newest {
    Document(Published),
    Missing,
    /// It runs an earlier deployment, which does not know the question.
    Unasked,
}

async fn newest(environment: &Environment, account: &str) -> Result<Newest> {
    let question = account::Call {
        protocol: account::PROTOCOL,
        account: account.to_owned(),
        root: true,
        method: "GET".to_owned(),
        authority: true,
        ..account::Call::default()
    };
    let reply = in_time(admin::send(environment, &question)).await?;
    match (reply.status, reply.published) {
        (200, Some(document)) => Ok(Newest::Document(document)),
        (200, None) => Ok(Newest::Missing),
        (404, _) => Ok(Newest::Unasked),
        (status, _) => Err(Error::RustError(format!("the account's object answered {status}"))),
    }
}

/// Whether the holder of a key still is one, by the Account object: for calls that the Worker answers itself.
pub(crate) async fn still_holds(environment: &Environment, caller: &Caller) -> Result<bool> {
    match newest(environment, &caller.published.account).await? {
        Newest::Unasked => Ok(true),
        Newest::Missing => Ok(false),
        Newest::Document(document) => {
            let grounds = Grounds {
                version: caller.published.version,
                credential: Some(&caller.credential),
                principal: &caller.holder.name,
            };
            let judgment = Authority::first(document.clone()).judge(grounds, now_ms());
            published::learn(document, now_ms());
            Ok(match judgment {
                Judgment::Current => true,
                Judgment::Admitted(held, _) => held.has_all(caller.holder.permissions),
                _ => false,
            })
        }
    }
}

/// Whether permissions suffice for a request.
fn permit(request: &Request, held: Permissions) -> std::result::Result<(), Refusal> {
    match Route::parse(request.path()) {
        Ok(Some(Route::Operator(route))) => route.call.permit(request.method(), held),
        Ok(Some(Route::Scim(route))) => {
            let operation =
                route.endpoint.as_ref().and_then(|endpoint| Operation::of(request.method(), endpoint));
            operation.map_or(Ok(()), |operation| operation.permit(held))
        }
        _ => Ok(()),
    }
}

fn unproven(sentence: &str) -> Result<Response> {
    scim_error(&ScimError::status(503, sentence), &[("retry-after", RETRY_SECONDS)])
}
