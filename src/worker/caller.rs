//! Callers: whom the gateway's own keys stand for, and what is said to whoever is not let in.

use crate::call::{Call, MODE_PROTOCOL, PROTOCOL};
use crate::environment::Environment;
use crate::http::{Request, Response, scim_error};
use crate::log::Record;
use crate::published;
use crate::service::metadata_url;
use scim_edge_account::authority::Credential;
use scim_edge_account::published::{Holder, Published};
use scim_edge_policy::credentials::ApiKey;
use scim_edge_policy::dpop::Proof;
use scim_edge_policy::mode::Mode;
use scim_edge_policy::refusal::{Reason, Refusal};
use std::rc::Rc;
use worker::Result;

/// The realm of challenges.
pub(crate) const REALM: &str = "scim-edge";

/// Whom a caller was found to be.
pub(crate) struct Caller {
    pub published: Rc<Published>,
    pub holder: Holder,
    pub credential: Credential,
    pub proof: Option<Proof>,
    /// The subject of the token.
    pub subject: Option<String>,
    /// Whether it was a token, and not a key.
    pub is_token: bool,
    /// Until when the credentials are known to hold, but for changes of what they were held against; none where
    /// they are for this request only.
    pub until_ms: Option<i64>,
}

impl Caller {
    /// What the account's directory is told of a request of the caller's. `took_ms` is how long the account's
    /// last requests took.
    pub(crate) fn call(&self, request: &Request, base: &str, record: &Record, took_ms: Vec<u32>) -> Call {
        let mode = effective(request, self.holder.mode);
        Call {
            protocol: if mode.is_normal() { PROTOCOL } else { MODE_PROTOCOL },
            mode,
            account: self.published.account.clone(),
            version: self.published.version,
            settings: self.published.directory.clone(),
            permissions: self.holder.permissions,
            base: format!("{}{base}", request.origin()),
            principal: self.holder.name.clone(),
            credential: Some(self.credential.clone()),
            once: self.proof.as_ref().map(|proof| (proof.id().to_owned(), proof.expires_ms())),
            subject: self.subject.clone(),
            request_id: record.request_id().to_owned(),
            took_ms,
            aside: None,
            near: None,
        }
    }
}

/// The mode that a request is answered in. Reads are the same in every mode: an object that knows none may answer them.
pub(crate) fn effective(request: &Request, mode: Mode) -> Mode {
    if matches!(request.method(), "GET" | "HEAD") { Mode::Normal } else { mode }
}

/// The caller that an API key stands for: the root key's may do all, in every account.
pub(crate) async fn by_key(
    environment: &Environment,
    account: &str,
    key: &str,
    now_ms: i64,
) -> Result<std::result::Result<Caller, Refusal>> {
    let is_root = environment.is_root_key(key);
    let parsed = ApiKey::parse(key);
    if !is_root && parsed.is_none() {
        return Ok(Err(Refusal::new(Reason::ApiKeyNotValid, "not an API key")));
    }
    let Some(published) = published::get(environment, account, now_ms).await? else {
        return Ok(Err(unknown_account()));
    };
    // The root key may be changed at any time: it is looked at each time.
    let until_ms = parsed.as_ref().filter(|_| !is_root).map(|key| published.valid_until_ms(key));
    let credential = match &parsed {
        Some(key) if !is_root => Credential::Key(key.identifier.to_owned()),
        _ => Credential::Root,
    };
    let holder = match parsed {
        _ if is_root => Some(Holder::root()),
        Some(key) => published.authenticate(&key, now_ms),
        None => None,
    };
    let holder = holder.ok_or_else(|| Refusal::new(Reason::ApiKeyNotValid, "unknown, revoked or expired"));
    let caller = |holder| Caller {
        published,
        holder,
        credential,
        proof: None,
        subject: None,
        is_token: false,
        until_ms,
    };
    Ok(holder.map(caller))
}

pub(crate) fn unknown_account() -> Refusal {
    Refusal::new(Reason::UnknownAccount, "no such account")
}

/// A refusal as an answer; the log learns the reason, the caller does not. `base` is the path of the account's
/// SCIM base.
pub(crate) fn refuse(record: &Record, request: &Request, base: &str, refusal: &Refusal) -> Result<Response> {
    record.refused(refusal);
    refused(refusal, &format!("{}{base}", request.origin()))
}

/// What the caller is told of a refusal. `base` is the URL of the account's SCIM base.
pub(crate) fn refused(refusal: &Refusal, base: &str) -> Result<Response> {
    let challenge = refusal.challenge(REALM, metadata_url(base).as_deref());
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
