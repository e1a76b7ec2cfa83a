//! A decision about one request: whose it is, what it does, whether it may.
//!
//! Another program carries the request out. INVARIANT: whatever that program may take the request for, the caller has
//! the permissions of it: a target or a method that can be read in two ways is refused, and a bulk request, whose
//! operations are not seen here, needs the permissions of all that it could do.

use crate::engine::Engine;
use scim_edge_account::published::Published;
use scim_edge_policy::credentials::Credentials;
use scim_edge_policy::dpop::{self, Proof, Shown};
use scim_edge_policy::operation::{Operation, needed_for_any};
use scim_edge_policy::permission::Permissions;
use scim_edge_policy::refusal::{Reason, Refusal};
use scim_edge_policy::route::Route;
use scim_edge_policy::target::split;
use scim_edge_policy::token_cache::{Known, Settings, TokenCache};
use scim_edge_policy::verify::Host;
use scim_edge_scim::endpoint::{Endpoint, Kind, segments};
use scim_edge_scim::error::Error as ScimError;
use serde::Serialize;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// The realm of challenges.
const REALM: &str = "scim-edge";

/// What is asked.
pub(crate) enum Request {
    /// An HTTP request, with the values of two of its headers.
    Http {
        method: String,
        url: String,
        authorization: Option<String>,
        dpop: Option<String>,
        overridden: bool,
    },
    /// An operation by name, and a token.
    Operation { name: String, token: String },
}

impl Request {
    /// The token that it carries, and how it is shown.
    fn token(&self) -> Result<(&str, Shown<'_>), Refusal> {
        match self {
            Self::Operation { token, .. } => {
                Ok((token, Shown { bound: false, proof: None, method: "", url: "" }))
            }
            Self::Http { method, url, authorization, dpop, .. } => {
                let shown = |bound| Shown { bound, proof: dpop.as_deref(), method, url };
                let query = url.split_once('?').map_or("", |(_, query)| query);
                match Credentials::of(authorization.as_deref(), query)? {
                    Credentials::Token(token) => Ok((token, shown(false))),
                    Credentials::Bound(token) => Ok((token, shown(true))),
                    Credentials::ApiKey(_) => {
                        Err(Refusal::new(Reason::ApiKeyNotValid, "the gateway's own keys are not known here"))
                    }
                }
            }
        }
    }

    fn operation(&self, account: &Account) -> Result<Operation, ScimError> {
        match self {
            Self::Operation { name, .. } => OPERATIONS
                .with(|all| all.get(name.as_str()).copied())
                .ok_or_else(|| ScimError::not_found("This operation")),
            Self::Http { overridden: true, .. } => {
                Err(ScimError::status(400, "a header of the request names another method"))
            }
            Self::Http { method, url, .. } => {
                let (path, _) = split(url).map_err(|sentence| ScimError::status(400, sentence))?;
                account.operation(method, path)
            }
        }
    }
}

/// A decision that permits: see index.d.ts.
#[derive(Serialize)]
struct Allowed<'a> {
    allow: bool,
    principal: Principal<'a>,
    operation: &'static str,
    claims: &'a Value,
    rule: &'a str,
    proof: Option<Once<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Principal<'a> {
    account: &'a str,
    service_account: &'a str,
    permissions: Permissions,
}

#[derive(Serialize)]
struct Once<'a> {
    id: &'a str,
    expires: i64,
}

thread_local! {
    /// Every operation, by its name.
    static OPERATIONS: HashMap<&'static str, Operation> = operations();
}

/// The decisions about one token that permit: by operation, frozen. Operations of one name can need different
/// permissions.
type Decisions = RefCell<Vec<(Operation, JsValue)>>;

/// An account's policy at work.
pub(crate) struct Account {
    pub(crate) published: Published,
    pub(crate) engine: Rc<Engine>,
    /// The segments of the path that all of SCIM is below, where it is known.
    base: Option<Vec<String>>,
    tokens: TokenCache<Decisions>,
}

impl Account {
    pub(crate) fn new(published: Published, base: Option<Vec<String>>, engine: Engine) -> Self {
        Self { published, engine: Rc::new(engine), base, tokens: TokenCache::default() }
    }

    /// The operation of a SCIM request: below the base; or where none is known below the gateway's paths, of this
    /// account, or below any other path, by the segments that are SCIM's.
    fn operation(&self, method: &str, path: &str) -> Result<Operation, ScimError> {
        let endpoint = match (&self.base, Route::parse(path)?) {
            (Some(base), _) => {
                let all = segments(path)?;
                all.strip_prefix(base.as_slice()).and_then(Endpoint::from_segments)
            }
            (None, Some(Route::Scim(route))) if route.account != self.published.account => None,
            (None, Some(Route::Scim(route))) => route.endpoint,
            (None, _) => below_any_base(&segments(path)?),
        };
        let endpoint = endpoint.ok_or_else(|| ScimError::not_found("This path"))?;
        let operation = Operation::of(method, &endpoint)
            .ok_or_else(|| ScimError::status(405, "This path does not have that method"))?;
        Ok(if endpoint == Endpoint::Bulk { of_unknown_parts(operation) } else { operation })
    }

    fn settings(&self) -> Settings<'_> {
        Settings { account: &self.published.account, version: 0, rules: &self.published.rules }
    }

    /// Decides about a bearer's token that was verified before, and about no other request.
    pub(crate) fn known(&self, request: &Request) -> Option<JsValue> {
        let (token, shown) = request.token().ok()?;
        let known = self.verified(token)?;
        if !self.engine.has_time() {
            return None;
        }
        let is_bearers = !shown.bound && known.verified.bound_to().is_none();
        is_bearers.then(|| self.permit(&known, request, None))
    }

    fn verified(&self, token: &str) -> Option<Rc<Known<Decisions>>> {
        let now_ms = self.engine.now_ms();
        let has = |source: Option<&str>, key: &_| self.engine.still_has(source, key, now_ms);
        self.tokens.get(token, self.settings(), now_ms, has)
    }

    /// Decides. Whatever fails on the way is a refusal.
    pub(crate) async fn decide<H: Host>(&self, host: &H, request: &Request) -> JsValue {
        if !self.engine.has_time() {
            let error =
                ScimError::status(503, "The access token cannot be checked at the moment: try again later");
            let detail = "now() must return milliseconds since the epoch";
            return text(&error_answer(&error, "clock_not_usable", detail));
        }
        match self.believe(host, request).await {
            Ok((known, proof)) => self.permit(&known, request, proof.as_ref()),
            Err(refusal) => text(&refused(&refusal)),
        }
    }

    async fn believe<H: Host>(
        &self,
        host: &H,
        request: &Request,
    ) -> Result<(Rc<Known<Decisions>>, Option<Proof>), Refusal> {
        let (token, shown) = request.token()?;
        let now_ms = self.engine.now_ms();
        let known = match self.verified(token) {
            Some(known) => known,
            None => self.tokens.verify(host, token, self.settings(), now_ms).await?,
        };
        let proof = dpop::admit(host, &known.verified, token, &shown, now_ms).await?;
        Ok((known, proof))
    }

    /// Whether the caller that a token stands for may do what is asked.
    fn permit(&self, known: &Known<Decisions>, request: &Request, proof: Option<&Proof>) -> JsValue {
        let operation = match request.operation(self) {
            Ok(operation) => operation,
            Err(error) => {
                let reason = if error.status == 400 { "ambiguous_request" } else { "unknown_operation" };
                return text(&error_answer(&error, reason, &error.detail));
            }
        };
        let before = || {
            let decisions = known.beside.borrow();
            decisions.iter().find(|(known, _)| *known == operation).map(|(_, decision)| decision.clone())
        };
        if let (None, Some(decision)) = (proof, before()) {
            return decision;
        }
        let verified = &known.verified;
        let Some(permissions) = self.published.service_accounts.get(verified.service_account()) else {
            return text(&refused(&Refusal::new(Reason::ServiceAccountMissing, verified.service_account())));
        };
        if let Err(refusal) = operation.permit(*permissions) {
            return text(&refused(&refusal));
        }
        let decision = Allowed {
            allow: true,
            principal: Principal {
                account: &self.published.account,
                service_account: verified.service_account(),
                permissions: *permissions,
            },
            operation: operation.name,
            claims: verified.claims(),
            rule: verified.rule(),
            proof: proof.map(|proof| Once { id: proof.id(), expires: proof.expires_ms() }),
        };
        // Maps with string keys, numbers and strings always have a JSON form.
        let decision = serde_json::to_string(&decision).unwrap_or_default();
        let decision = self.engine.host.frozen(&decision);
        if proof.is_none() {
            known.beside.borrow_mut().push((operation, decision.clone()));
        }
        decision
    }
}

fn text(value: &Value) -> JsValue {
    JsValue::from_str(&value.to_string())
}

/// A bulk request, of whose operations only their number is bounded.
fn of_unknown_parts(bulk: Operation) -> Operation {
    Operation { needs: bulk.needs.union(needed_for_any()), ..bulk }
}

/// The endpoint that the end of a path names; the longest end that names one but the root.
fn below_any_base(all: &[String]) -> Option<Endpoint> {
    (0..all.len())
        .filter_map(|start| Endpoint::from_segments(all.get(start..)?))
        .find(|endpoint| *endpoint != Endpoint::Root)
}

fn operations() -> HashMap<&'static str, Operation> {
    let mut endpoints = vec![Endpoint::Root, Endpoint::Search(None), Endpoint::Bulk, Endpoint::Me];
    endpoints.extend([Endpoint::ServiceProviderConfig, Endpoint::Schemas(Some(String::new()))]);
    for kind in Kind::ALL {
        endpoints.extend([Endpoint::Collection(kind), Endpoint::Resource(kind, String::new())]);
    }
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let all = endpoints.iter().flat_map(|endpoint| methods.map(|method| Operation::of(method, endpoint)));
    let mut named = HashMap::new();
    for operation in all.flatten() {
        // Of several with a name, all that any of them needs: `me` may be a write.
        let entry = named.entry(operation.name).or_insert(operation);
        entry.needs = entry.needs.union(operation.needs);
    }
    named.entry("bulk").and_modify(|bulk| *bulk = of_unknown_parts(*bulk));
    named
}

fn refused(refusal: &Refusal) -> Value {
    let mut answer = error_answer(&refusal.scim_error(), refusal.reason.code(), &refusal.detail);
    if let Some(members) = answer.as_object_mut() {
        members.insert("wwwAuthenticate".into(), refusal.challenge(REALM, None).into());
        members.insert("retryAfter".into(), refusal.retry_after().into());
    }
    answer
}

fn error_answer(error: &ScimError, reason: &str, detail: &str) -> Value {
    json!({
        "allow": false,
        "status": error.status,
        "reason": reason,
        "detail": detail,
        "scimError": error.body(),
        "wwwAuthenticate": null,
        "retryAfter": null,
    })
}
