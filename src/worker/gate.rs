//! The gate: a SCIM call is let through to its account's directory, or refused.
//!
//! The path names the account. The account's published document says whom it trusts; the credentials
//! must be of it; the service account they stand for must have the permission of the very call. Errors
//! never permit: whatever fails on the way is a refusal.

use crate::caller::{Caller, REALM, by_key, refuse, unknown_account};
use crate::environment::{Environment, now_ms};
use crate::http::{Request, Response, answer, scim_error};
use crate::keys::{Keys, fresh_until, still_has};
use crate::log::{Record, take_times};
use crate::service::metadata_url;
use crate::{badge, metrics, published};
use scim_edge_account::authority::Credential;
use scim_edge_account::published::{Holder, Published};
use scim_edge_policy::credentials::Credentials;
use scim_edge_policy::dpop::{self, Shown};
use scim_edge_policy::hop;
use scim_edge_policy::operation::{Operation, allowed};
use scim_edge_policy::refusal::{Reason, Refusal};
use scim_edge_policy::region::near;
use scim_edge_policy::route::ScimRoute;
use scim_edge_policy::token_cache::{Settings, TokenCache};
use scim_edge_policy::verify::Verified;
use scim_edge_scim::endpoint::Endpoint;
use scim_edge_scim::error::{Error, ScimType};
use std::rc::Rc;
use url::form_urlencoded;
use worker::{Context, Result};

/// How much of a token's subject the audit is told, in characters.
const SUBJECT: usize = 256;

thread_local! {
    static TOKENS: Rc<TokenCache> = Rc::default();
}

/// Answers a SCIM call.
pub(crate) async fn handle(
    request: &Request,
    environment: &Rc<Environment>,
    context: &Context,
    record: &Record,
    route: &ScimRoute,
) -> Result<Response> {
    let gate = Gate { request, environment, context, route };
    if let Some(error) = gate.contradiction()? {
        return scim_error(&error, &[]);
    }
    if let Some(error) = gate.looped()? {
        return scim_error(&error, &[]);
    }
    let caller = match gate.authenticate().await? {
        Ok(caller) => caller,
        Err(refusal) => return refuse(record, request, &route.base, &refusal),
    };
    record.admitted(&caller.holder.name);
    let Some(endpoint) = &route.endpoint else {
        return scim_error(&Error::not_found("This path"), &[]);
    };
    let Some(operation) = Operation::of(request.method(), endpoint) else {
        let error = Error::status(405, format!("this path has the methods {}", allowed(endpoint)));
        return scim_error(&error, &[("allow", allowed(endpoint))]);
    };
    if let Err(refusal) = operation.permit(caller.holder.permissions) {
        return refuse(record, request, &route.base, &refusal);
    }
    if operation.name == "options" {
        return answer(204, &[("allow", allowed(endpoint))], None);
    }
    let call = caller.call(request, &route.base, record, take_times(&route.account));
    let region = region(request, environment, endpoint).filter(|_| call.once.is_none());
    // Where there are copies, which one to ask differs from request to request.
    if environment.read_copies().is_empty() {
        badge::offer(request, &caller, endpoint, &operation, &call)?;
    }
    call.pass_on(request, environment, region).await
}

/// The region whose copy can answer a request: reads of resources, where there are copies. What may be used once
/// only the account's own object remembers.
fn region(request: &Request, environment: &Environment, endpoint: &Endpoint) -> Option<&'static str> {
    let listed = environment.read_copies();
    let is_read = request.is_bare()
        && matches!(endpoint, Endpoint::Root | Endpoint::Collection(_) | Endpoint::Resource(..));
    if listed.is_empty() || !is_read {
        return None;
    }
    let (continent, longitude) = request.place();
    near(&continent, longitude, listed)
}

struct Gate<'a> {
    request: &'a Request,
    environment: &'a Rc<Environment>,
    context: &'a Context,
    route: &'a ScimRoute,
}

impl Gate<'_> {
    /// A header or parameter that names another account than the path does.
    fn contradiction(&self) -> Result<Option<Error>> {
        let other = |name: &str| name != self.route.account;
        let in_query = form_urlencoded::parse(self.request.query().as_bytes())
            .any(|(name, value)| name == "accountIdentifier" && other(&value));
        let in_header = self.request.headers().get("harness-account")?.is_some_and(|value| other(&value));
        let sentence = "accountIdentifier names another account than the path";
        Ok((in_query || in_header).then(|| Error::new(ScimType::InvalidSyntax, sentence)))
    }

    /// A request that this very account has sent to its origin.
    fn looped(&self) -> Result<Option<Error>> {
        let Some(hops) = self.request.headers().known(hop::HEADER).filter(|hops| hop::has_gateway(hops))
        else {
            return Ok(None);
        };
        let is_loop = hop::is_loop(hops, &self.environment.hop(&self.route.account)?);
        Ok(is_loop.then(looped))
    }

    async fn authenticate(&self) -> Result<std::result::Result<Caller, Refusal>> {
        let now_ms = now_ms();
        let account = &self.route.account;
        let headers = self.request.headers();
        let authorization = headers.get("authorization")?;
        // Schemas are registered with an admin key, which is a key like any other.
        if let (None, Some(Endpoint::Schemas(Some(_)))) = (&authorization, &self.route.endpoint)
            && let Some(key) = headers.get("x-api-key")?
        {
            return by_key(self.environment, account, &key, now_ms).await;
        }
        let (token, bound) = match Credentials::of(authorization.as_deref(), self.request.query()) {
            Ok(Credentials::Token(token)) => (token, false),
            Ok(Credentials::Bound(token)) => (token, true),
            Ok(Credentials::ApiKey(key)) => return by_key(self.environment, account, key.text, now_ms).await,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(published) = published::get(self.environment, account, now_ms).await? else {
            return Ok(Err(unknown_account()));
        };
        Ok(self.verify(published, token, bound, now_ms).await)
    }

    async fn verify(
        &self,
        published: Rc<Published>,
        token: &str,
        bound: bool,
        now_ms: i64,
    ) -> std::result::Result<Caller, Refusal> {
        let host = Keys { environment: self.environment, context: self.context };
        let settings =
            Settings { account: &published.account, version: published.version, rules: &published.rules };
        let tokens = TOKENS.with(Rc::clone);
        let known = tokens.get(token, settings, now_ms, |source, key| still_has(source, key, now_ms));
        metrics::count_token(known.is_some());
        let is_known = known.is_some();
        let known = match known {
            Some(known) => known,
            None => tokens.verify(&host, token, settings, now_ms).await?,
        };
        let verified = &known.verified;
        let proof = self.request.headers().get("dpop").ok().flatten();
        let (method, url) = (self.request.method(), self.request.url());
        let shown = Shown { bound, proof: proof.as_deref(), method, url };
        let proof = dpop::admit(&host, verified, token, &shown, now_ms).await?;
        let subject = verified.subject().map(|subject| subject.chars().take(SUBJECT).collect());
        let holder = holder(&published, verified)?;
        // A token that comes once needs no badge.
        let until_ms = is_known.then(|| verified.valid_until_ms().min(fresh_until(verified.key_source())));
        let credential = Credential::Rule(verified.rule().to_owned());
        Ok(Caller { published, holder, credential, proof, subject, is_token: true, until_ms })
    }
}

fn holder(published: &Published, verified: &Verified) -> std::result::Result<Holder, Refusal> {
    match published.service_account(verified.service_account()) {
        Some((permissions, mode)) => {
            Ok(Holder { name: verified.service_account().to_owned(), permissions, mode })
        }
        None => Err(Refusal::new(Reason::ServiceAccountMissing, verified.service_account())),
    }
}

/// The error of an account whose origin leads back to it (RFC 5842 §7.2).
pub(crate) fn looped() -> Error {
    Error::status(508, "The origin of this account leads back to this gateway: nothing was sent to it")
}

/// The answer to what was used before, by the object that remembers.
pub(crate) fn used_before(base: &str) -> Result<Response> {
    let refusal = Refusal::new(Reason::ProofNotValid, "the proof was used before");
    let challenge = refusal.challenge(REALM, metadata_url(base).as_deref()).unwrap_or_default();
    scim_error(&refusal.scim_error(), &[("www-authenticate", &challenge)])
}
