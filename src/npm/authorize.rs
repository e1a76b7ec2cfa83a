//! A decision about one request: whose it is, what it does, whether it may.

use crate::engine::Engine;
use scim_edge_account::published::Published;
use scim_edge_json::Limits;
use scim_edge_policy::credentials::Credentials;
use scim_edge_policy::dpop::{self, Shown};
use scim_edge_policy::operation::Operation;
use scim_edge_policy::permission::Permission;
use scim_edge_policy::refusal::{Reason, Refusal};
use scim_edge_policy::route::Route;
use scim_edge_policy::verify::verify;
use scim_edge_scim::endpoint::{Endpoint, Kind, segments};
use scim_edge_scim::error::Error as ScimError;
use serde_json::{Map, Value, json};

/// The realm of challenges.
const REALM: &str = "scim-edge";

/// Room for whatever a host lets in: a token that is too long is a bad token, and no mistake of the host's.
const REQUEST: Limits = Limits { bytes: 16 << 20, depth: 4 };

/// What is asked: an HTTP request (`method`, `url`, `authorization`), or an operation by name and a token.
pub(crate) enum Request {
    Http { method: String, url: String, authorization: Option<String>, dpop: Option<String> },
    Operation { name: String, token: String },
}

impl Request {
    /// Reads `{"method", "url", "authorization"?}` or `{"operation", "token"}`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let body =
            scim_edge_json::parse_object(text.as_bytes(), REQUEST).map_err(|error| error.to_string())?;
        let get = |name: &str| text_of(&body, name);
        match get("operation")? {
            Some(name) => Ok(Self::Operation { name, token: get("token")?.ok_or("token must be a string")? }),
            None => Ok(Self::Http {
                method: get("method")?.ok_or("method must be a string")?,
                url: get("url")?.ok_or("url must be a string")?,
                authorization: get("authorization")?,
                dpop: get("dpop")?,
            }),
        }
    }

    /// The token that it carries, and how it is shown.
    fn token(&self) -> Result<(&str, Shown<'_>), Refusal> {
        match self {
            Self::Operation { token, .. } => {
                Ok((token, Shown { bound: false, proof: None, method: "", url: "" }))
            }
            Self::Http { method, url, authorization, dpop } => {
                let shown = |bound| Shown { bound, proof: dpop.as_deref(), method, url };
                match Credentials::of(authorization.as_deref(), target(url).1)? {
                    Credentials::Token(token) => Ok((token, shown(false))),
                    Credentials::Bound(token) => Ok((token, shown(true))),
                    Credentials::ApiKey(_) => {
                        Err(Refusal::new(Reason::ApiKeyNotValid, "the gateway's own keys are not known here"))
                    }
                }
            }
        }
    }

    fn operation(&self, published: &Published) -> Result<Operation, ScimError> {
        match self {
            Self::Operation { name, .. } => named(name).ok_or_else(|| ScimError::not_found("This operation")),
            Self::Http { method, url, .. } => operation(published, method, target(url).0),
        }
    }
}

fn text_of(body: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{name} must be a string")),
    }
}

/// Decides. Whatever fails on the way is a refusal.
pub(crate) async fn answer(engine: &Engine, published: &Published, request: &Request, now_ms: i64) -> Value {
    let (token, shown) = match request.token() {
        Ok(shown) => shown,
        Err(refusal) => return refused(&refusal),
    };
    let verified = match verify(engine, &published.rules, token, now_ms).await {
        Ok(verified) => verified,
        Err(refusal) => return refused(&refusal),
    };
    let proof = match dpop::admit(engine, &verified, token, &shown, now_ms).await {
        Ok(proof) => proof,
        Err(refusal) => return refused(&refusal),
    };
    let operation = match request.operation(published) {
        Ok(operation) => operation,
        Err(error) => return error_answer(&error, "unknown_operation", &error.detail),
    };
    let Some(permissions) = published.service_accounts.get(verified.service_account()) else {
        return refused(&Refusal::new(Reason::ServiceAccountMissing, verified.service_account()));
    };
    if let Err(refusal) = operation.permit(*permissions) {
        return refused(&refusal);
    }
    json!({
        "allow": true,
        "principal": {
            "account": published.account,
            "serviceAccount": verified.service_account(),
            "permissions": permissions.iter().map(Permission::name).collect::<Vec<_>>(),
        },
        "operation": operation.name,
        "claims": verified.claims(),
        "rule": verified.rule(),
        "proof": proof.map(|proof| json!({ "id": proof.id(), "expires": proof.expires_ms() })),
    })
}

/// Path and query of a URL or of a request target.
fn target(url: &str) -> (&str, &str) {
    let url = url.split('#').next().unwrap_or_default();
    let (whole, query) = url.split_once('?').unwrap_or((url, ""));
    let path = match whole.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/"),
        None => whole,
    };
    (path, query)
}

/// The operation of a SCIM request: below the gateway's paths, of this account; below any other path, by
/// the segments that are SCIM's.
fn operation(published: &Published, method: &str, path: &str) -> Result<Operation, ScimError> {
    let endpoint = match Route::parse(path)? {
        Some(Route::Scim(route)) if route.account != published.account => None,
        Some(Route::Scim(route)) => route.endpoint,
        _ => below_any_base(&segments(path)?),
    };
    let endpoint = endpoint.ok_or_else(|| ScimError::not_found("This path"))?;
    Operation::of(method, &endpoint)
        .ok_or_else(|| ScimError::status(405, "This path does not have that method"))
}

/// The endpoint that the end of a path names; the longest end that names one but the root.
fn below_any_base(all: &[String]) -> Option<Endpoint> {
    (0..all.len())
        .filter_map(|start| Endpoint::from_segments(all.get(start..)?))
        .find(|endpoint| *endpoint != Endpoint::Root)
}

/// The operation of that name.
fn named(name: &str) -> Option<Operation> {
    let mut endpoints = vec![Endpoint::Root, Endpoint::Search(None), Endpoint::Bulk, Endpoint::Me];
    endpoints.extend([Endpoint::ServiceProviderConfig, Endpoint::Schemas(Some(String::new()))]);
    for kind in Kind::ALL {
        endpoints.extend([Endpoint::Collection(kind), Endpoint::Resource(kind, String::new())]);
    }
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let mut all = endpoints.iter().flat_map(|endpoint| methods.map(|method| Operation::of(method, endpoint)));
    all.find_map(|operation| operation.filter(|operation| operation.name == name))
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
