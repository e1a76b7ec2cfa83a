//! The gate: a SCIM call is let through to its account's directory, or refused.
//!
//! The path names the account. The account's published document says whom it trusts; the credentials
//! must be of it; the service account they stand for must have the permission of the very call. Errors
//! never permit: whatever fails on the way is a refusal.

use crate::call::{Call, HEADER, PROTOCOL};
use crate::environment::{Environment, now_ms};
use crate::http::{answer, scim_error};
use crate::keys::Keys;
use crate::{published, tokens};
use scim_edge_account::published::{Holder, Published};
use scim_edge_policy::credentials::{ApiKey, Credentials};
use scim_edge_policy::dpop::{self, Proof, Shown};
use scim_edge_policy::operation::{Operation, allowed};
use scim_edge_policy::permission::Permissions;
use scim_edge_policy::refusal::{Reason, Refusal};
use scim_edge_policy::route::ScimRoute;
use scim_edge_policy::verify::{Verified, verify};
use scim_edge_scim::endpoint::Endpoint;
use scim_edge_scim::error::{Error, ScimType};
use serde_json::json;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use worker::{Context, Request, Response, Result, console_log};

/// The realm of challenges.
const REALM: &str = "scim-edge";

/// Answers a SCIM call.
pub(crate) async fn handle(
    request: &Request,
    environment: &Rc<Environment>,
    context: &Context,
    route: &ScimRoute,
) -> Result<Response> {
    let url = request.url()?;
    let query = url.query().unwrap_or_default();
    let gate = Gate { request, environment, context, route };
    if let Some(error) = gate.contradiction(&url)? {
        return scim_error(&error, &[]);
    }
    let entry = match gate.authenticate(query).await? {
        Ok(entry) => entry,
        Err(refusal) => return refuse(&refusal, route, "none"),
    };
    let Some(endpoint) = &route.endpoint else {
        return scim_error(&Error::not_found("This path"), &[]);
    };
    let method = request.inner().method();
    let Some(operation) = Operation::of(&method, endpoint) else {
        let error = Error::status(405, format!("this path has the methods {}", allowed(endpoint)));
        return scim_error(&error, &[("allow", allowed(endpoint))]);
    };
    if let Err(refusal) = operation.permit(entry.holder.permissions) {
        return refuse(&refusal, route, operation.name);
    }
    if operation.name == "options" {
        return answer(204, &[("allow", allowed(endpoint))], None);
    }
    let call = Call {
        protocol: PROTOCOL,
        account: entry.published.account.clone(),
        version: entry.published.version,
        settings: entry.published.directory.clone(),
        permissions: entry.holder.permissions,
        base: format!("{}{}", url.origin().ascii_serialization(), route.base),
        principal: entry.holder.name,
        once: entry.proof.map(|proof| (proof.id().to_owned(), proof.expires_ms())),
    };
    gate.pass_on(&call).await
}

/// Whom a caller was found to be.
struct Entry {
    published: Rc<Published>,
    holder: Holder,
    proof: Option<Proof>,
}

struct Gate<'a> {
    request: &'a Request,
    environment: &'a Rc<Environment>,
    context: &'a Context,
    route: &'a ScimRoute,
}

impl Gate<'_> {
    /// A header or parameter that names another account than the path does.
    fn contradiction(&self, url: &worker::Url) -> Result<Option<Error>> {
        let other = |name: &str| name != self.route.account;
        let in_query = url.query_pairs().any(|(name, value)| name == "accountIdentifier" && other(&value));
        let in_header = self.request.headers().get("harness-account")?.is_some_and(|value| other(&value));
        let sentence = "accountIdentifier names another account than the path";
        Ok((in_query || in_header).then(|| Error::new(ScimType::InvalidSyntax, sentence)))
    }

    async fn authenticate(&self, query: &str) -> Result<std::result::Result<Entry, Refusal>> {
        let now_ms = now_ms();
        let account = &self.route.account;
        let headers = self.request.headers();
        let authorization = headers.get("authorization")?;
        // Schemas are registered with an admin key, which is a key like any other.
        let api_key = match (&authorization, &self.route.endpoint) {
            (None, Some(Endpoint::Schemas(Some(_)))) => headers.get("x-api-key")?,
            _ => None,
        };
        if api_key.as_deref().is_some_and(|key| self.environment.is_root_key(key)) {
            let published = published::get(self.environment, account, now_ms).await?;
            let holder = Holder { name: "root".to_owned(), permissions: Permissions::all() };
            return Ok(published
                .map(|published| Entry { published, holder, proof: None })
                .ok_or_else(unknown_account));
        }
        let credentials = match api_key.as_deref().and_then(ApiKey::parse) {
            Some(key) => Credentials::ApiKey(key),
            None => match Credentials::of(authorization.as_deref(), query) {
                Ok(credentials) => credentials,
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        let Some(published) = published::get(self.environment, account, now_ms).await? else {
            return Ok(Err(unknown_account()));
        };
        let holder = match credentials {
            Credentials::ApiKey(key) => published
                .authenticate(&key, now_ms)
                .map(|holder| (holder, None))
                .ok_or_else(|| Refusal::new(Reason::ApiKeyNotValid, "unknown, revoked or expired")),
            Credentials::Token(token) => self.verify(&published, token, false, now_ms).await,
            Credentials::Bound(token) => self.verify(&published, token, true, now_ms).await,
        };
        Ok(holder.map(|(holder, proof)| Entry { published, holder, proof }))
    }

    async fn verify(
        &self,
        published: &Published,
        token: &str,
        bound: bool,
        now_ms: i64,
    ) -> std::result::Result<(Holder, Option<Proof>), Refusal> {
        let host = Keys { environment: self.environment, context: self.context };
        let verified = match tokens::get(token, &published.account, published.version, now_ms) {
            Some(verified) => verified,
            None => {
                let (account, version) = (published.account.as_str(), published.version);
                if tokens::is_refused(token, account, version, now_ms) {
                    let refusal = Refusal::new(Reason::SignatureMismatch, "found so a moment ago");
                    return Err(refusal);
                }
                let verified = verify(&host, &published.rules, token, now_ms).await.inspect_err(|refusal| {
                    if refusal.reason == Reason::SignatureMismatch {
                        tokens::refuse(token, account, version, now_ms);
                    }
                });
                let verified = Rc::new(verified?);
                tokens::keep(token, account, version, verified.clone());
                verified
            }
        };
        let request = self.request.inner();
        let proof = request.headers().get("dpop").ok().flatten();
        let (method, url) = (request.method(), request.url());
        let shown = Shown { bound, proof: proof.as_deref(), method: &method, url: &url };
        let proof = dpop::admit(&host, &verified, token, &shown, now_ms).await?;
        Ok((holder(published, &verified)?, proof))
    }

    /// Hands the request to the account's directory, body and all, with what was decided.
    async fn pass_on(&self, call: &Call) -> Result<Response> {
        let text =
            serde_json::to_string(call).map_err(|error| worker::Error::RustError(error.to_string()))?;
        let original = self.request.inner();
        let copy = web_sys::Request::new_with_str_and_init(&original.url(), original.unchecked_ref())?;
        copy.headers().set(HEADER, &text)?;
        let stub = self.environment.directories()?.id_from_name(&call.account)?.get_stub()?;
        stub.fetch_with_request(copy.into()).await
    }
}

fn holder(published: &Published, verified: &Verified) -> std::result::Result<Holder, Refusal> {
    match published.service_accounts.get(verified.service_account()) {
        Some(permissions) => {
            Ok(Holder { name: verified.service_account().to_owned(), permissions: *permissions })
        }
        None => Err(Refusal::new(Reason::ServiceAccountMissing, verified.service_account())),
    }
}

fn unknown_account() -> Refusal {
    Refusal::new(Reason::UnknownAccount, "no such account")
}

/// The answer to what was used before, by the object that remembers.
pub(crate) fn used_before() -> Result<Response> {
    let refusal = Refusal::new(Reason::ProofNotValid, "the proof was used before");
    let challenge = refusal.challenge(REALM, None).unwrap_or_default();
    scim_error(&refusal.scim_error(), &[("www-authenticate", &challenge)])
}

/// A refusal as an answer; the log learns the reason, the caller does not.
fn refuse(refusal: &Refusal, route: &ScimRoute, operation: &str) -> Result<Response> {
    let line = json!({
        "level": "info",
        "event": "refused",
        "account": route.account,
        "operation": operation,
        "reason": refusal.reason.code(),
        "status": refusal.status(),
    });
    console_log!("{line}");
    let challenge = refusal.challenge(REALM, None);
    let retry_after = refusal.retry_after().map(|seconds| seconds.to_string());
    let mut headers = Vec::new();
    if let Some(challenge) = &challenge {
        headers.push(("www-authenticate", challenge.as_str()));
    }
    if let Some(seconds) = &retry_after {
        headers.push(("retry-after", seconds.as_str()));
    }
    scim_error(&refusal.scim_error(), &headers)
}
