//! Verification: one code path for every host.
//!
//! The host supplies two things that this crate cannot have, the issuers' key sets and a signature
//! engine. Everything else, and every decision, is here. A [`Verified`] exists only when a key of the
//! rule's own set made the signature and every claim of the rule holds: there is no other way to make one.

use crate::algorithm::Algorithm;
use crate::claims;
use crate::key::{Key, KeyId};
use crate::key_set::KeySet;
use crate::refusal::{Reason, Refusal};
use crate::rule::TrustRule;
use crate::token::Unverified;
use serde_json::Value;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The most signature checks for one token, over all rules: a bound on what a stranger can make us do.
const CHECKS: usize = 16;

/// The issuer's keys cannot be had. The text is for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysUnavailable(pub String);

/// What verification needs of its host.
#[allow(async_fn_in_trait)] // Hosts are single-threaded.
pub trait Host {
    /// The rule's key set. Where it lacks `kid`, the host may look once whether the issuer has new keys.
    async fn keys(&self, rule: &TrustRule, kid: Option<&str>) -> Result<Rc<KeySet>, KeysUnavailable>;

    /// Whether `signature` is the key's over `signed`. What the engine cannot do is a no.
    async fn check(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool;
}

/// A token that a rule trusts.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    rule: String,
    service_account: String,
    key: KeyId,
    key_source: Option<String>,
    claims: Value,
    valid_until_ms: i64,
}

impl Verified {
    /// The rule's name.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Whom the request acts as.
    pub fn service_account(&self) -> &str {
        &self.service_account
    }

    /// The key that made the signature.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// What the set that has that key is kept by ([`KeySource::name`](crate::rule::KeySource::name)).
    pub fn key_source(&self) -> Option<&str> {
        self.key_source.as_deref()
    }

    /// The claims.
    pub fn claims(&self) -> &Value {
        &self.claims
    }

    /// The token's subject, where it has one.
    pub fn subject(&self) -> Option<&str> {
        self.claims.get("sub").and_then(Value::as_str)
    }

    /// When the token stops being valid (skew included), in milliseconds since the epoch.
    pub fn valid_until_ms(&self) -> i64 {
        self.valid_until_ms
    }
}

/// One step of a verification, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule that was being tried.
    pub rule: Option<String>,
    /// `Ok` or why not; never a signature, never a whole token.
    pub outcome: Result<&'static str, Refusal>,
}

/// Verifies a token against an account's rules. The first rule that trusts it decides; where none
/// does, the refusal is that of the rule that came furthest.
pub async fn verify<H: Host>(
    host: &H,
    rules: &[TrustRule],
    token: &str,
    now_ms: i64,
    mut record: impl FnMut(Step),
) -> Result<Verified, Refusal> {
    let unverified = Unverified::parse(token).inspect_err(|refusal| {
        record(Step { rule: None, outcome: Err(refusal.clone()) });
    })?;
    record(Step { rule: None, outcome: Ok("parsed") });
    let mut run = Run { host, token: &unverified, now_ms, checked: Vec::new() };
    let mut furthest = (Stage::Rule, no_rule(rules, &unverified));
    let mut trusted = None;
    for rule in rules.iter().filter(|rule| rule.may_trust(unverified.claims().get("iss"))) {
        match run.try_rule(rule).await {
            Ok(key) => {
                record(Step { rule: Some(rule.name.clone()), outcome: Ok("trusted") });
                trusted = Some((rule, key));
                break;
            }
            Err((stage, refusal)) => {
                record(Step { rule: Some(rule.name.clone()), outcome: Err(refusal.clone()) });
                if stage >= furthest.0 {
                    furthest = (stage, refusal);
                }
            }
        }
    }
    let Some((rule, key)) = trusted else {
        record(Step { rule: None, outcome: Err(furthest.1.clone()) });
        return Err(furthest.1);
    };
    let claims = Value::Object(unverified.into_claims());
    let skew_ms = i64::from(rule.clock_skew_seconds).saturating_mul(1000);
    let valid_until_ms = expiry_ms(&claims).saturating_add(skew_ms);
    Ok(Verified {
        rule: rule.name.clone(),
        service_account: rule.service_account.clone(),
        key,
        key_source: rule.key_source().and_then(|source| source.name()),
        claims,
        valid_until_ms,
    })
}

/// `exp` in milliseconds; huge ones saturate.
#[allow(clippy::cast_possible_truncation)]
fn expiry_ms(claims: &Value) -> i64 {
    claims.get("exp").and_then(Value::as_f64).map_or(0, |seconds| (seconds * 1000.0) as i64)
}

fn no_rule(rules: &[TrustRule], token: &Unverified<'_>) -> Refusal {
    if rules.is_empty() {
        return Refusal::new(
            Reason::NoRule,
            "the account trusts no issuer: its JWT settings are not complete",
        );
    }
    let found = token.claims().get("iss").map(ToString::to_string).unwrap_or_default();
    let found: String = found.chars().take(200).collect();
    Refusal::new(Reason::IssuerNotTrusted, format!("no rule trusts the issuer {found}"))
}

/// How far a rule came; the further, the more its refusal says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Rule,
    Signature,
    Keys,
    Claims,
}

struct Run<'a, H> {
    host: &'a H,
    token: &'a Unverified<'a>,
    now_ms: i64,
    checked: Vec<(KeyId, bool)>,
}

impl<H: Host> Run<'_, H> {
    async fn try_rule(&mut self, rule: &TrustRule) -> Result<KeyId, (Stage, Refusal)> {
        let algorithm = self.token.algorithm();
        if !rule.accepts(algorithm) {
            let detail = format!("alg {} is not among the rule's", algorithm.name());
            return Err((Stage::Signature, Refusal::new(Reason::AlgorithmNotAllowed, detail)));
        }
        if !rule.accepts_type(self.token.token_type()) {
            let detail = format!("the rule takes tokens of the types {:?}", rule.token_types);
            return Err((Stage::Signature, Refusal::new(Reason::TypeNotAllowed, detail)));
        }
        let keys = self
            .host
            .keys(rule, self.token.kid())
            .await
            .map_err(|KeysUnavailable(why)| (Stage::Keys, Refusal::new(Reason::KeysUnavailable, why)))?;
        let mut refusal = Refusal::new(
            Reason::KeyNotFound,
            format!("no key of the set is for alg {} and kid {:?}", algorithm.name(), self.token.kid()),
        );
        for key in keys.eligible(algorithm, self.token.kid()) {
            if self.check(key).await {
                let claims = Value::Object(self.token.claims().clone());
                claims::check(rule, &claims, self.now_ms).map_err(|refusal| (Stage::Claims, refusal))?;
                return Ok(key.id());
            }
            refusal = Refusal::new(Reason::SignatureMismatch, "no fitting key made the signature");
        }
        Err((Stage::Signature, refusal))
    }

    /// Each key checks the token once, however many rules share it.
    async fn check(&mut self, key: &Key) -> bool {
        if let Some((_, outcome)) = self.checked.iter().find(|(id, _)| *id == key.id()) {
            return *outcome;
        }
        if self.checked.len() >= CHECKS {
            return false;
        }
        let token = self.token;
        let outcome = self.host.check(key, token.algorithm(), token.signed(), token.signature()).await;
        self.checked.push((key.id(), outcome));
        outcome
    }
}

/// The outcome of a verification by a host whose futures are ready at once; `None` where one is not.
pub fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}
