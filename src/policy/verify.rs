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

/// Whether a key made a signature: what no engine may be asked about is a no.
pub(crate) async fn made_by<H: Host>(
    host: &H,
    key: &Key,
    algorithm: Algorithm,
    signed: &[u8],
    signature: &[u8],
) -> bool {
    key.may_have_made(signature) && host.check(key, algorithm, signed, signature).await
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

    /// The thumbprint of the key that the token is bound to (RFC 9449): the request must prove to have it.
    pub fn bound_to(&self) -> Option<&str> {
        claims::thumbprint(&self.claims)
    }

    /// When the token stops being valid (skew included), in milliseconds since the epoch.
    pub fn valid_until_ms(&self) -> i64 {
        self.valid_until_ms
    }
}

/// One check of a verification, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule that was being tried; none for what concerns the token alone.
    pub rule: Option<String>,
    /// What was checked: `form`, `issuer`, `algorithm`, `type`, `keys`, `signature`, a claim's name,
    /// `lifetime` or `claims`.
    pub check: &'static str,
    /// What the rule, or the policy, demands.
    pub expected: String,
    /// What was found, or why it does not hold; never a signature, never a whole token.
    pub outcome: Result<String, Refusal>,
}

/// Verifies a token against an account's rules. The first rule that trusts it decides; where none
/// does, the refusal is that of the rule that came furthest.
pub async fn verify<H: Host>(
    host: &H,
    rules: &[TrustRule],
    token: &str,
    now_ms: i64,
) -> Result<Verified, Refusal> {
    run(host, rules, token, now_ms, None).await
}

/// The same run, with every check of it: also those behind the first that did not hold.
pub async fn explain<H: Host>(
    host: &H,
    rules: &[TrustRule],
    token: &str,
    now_ms: i64,
) -> (Vec<Step>, Result<Verified, Refusal>) {
    let mut steps = Vec::new();
    let outcome = run(host, rules, token, now_ms, Some(&mut steps)).await;
    (steps, outcome)
}

async fn run<H: Host>(
    host: &H,
    rules: &[TrustRule],
    token: &str,
    now_ms: i64,
    mut steps: Option<&mut Vec<Step>>,
) -> Result<Verified, Refusal> {
    let unverified = match Unverified::parse(token) {
        Ok(unverified) => unverified,
        Err(refusal) => {
            if let Some(steps) = &mut steps {
                let (expected, outcome) = (FORM.to_owned(), Err(refusal.clone()));
                steps.push(Step { rule: None, check: "form", expected, outcome });
            }
            return Err(refusal);
        }
    };
    let mut run = Run { host, token: &unverified, now_ms, checked: Vec::new(), rule: None, steps };
    run.record("form", || FORM.to_owned(), || Ok(described(&unverified)));
    let mut furthest = (Stage::Rule, no_rule(rules, &unverified));
    let mut trusted = None;
    for rule in rules {
        run.rule = Some(&rule.name);
        if !rule.may_trust(unverified.claims().get("iss")) {
            let refusal = || Refusal::new(Reason::IssuerNotTrusted, "another issuer's token");
            run.record("issuer", || claims::expected(rule, "iss", now_ms), || Err(refusal()));
            continue;
        }
        let found = || Ok(claims::found(unverified.claims(), "iss"));
        run.record("issuer", || claims::expected(rule, "iss", now_ms), found);
        match run.try_rule(rule).await {
            Ok(key) => {
                trusted = Some((rule, key));
                break;
            }
            Err((stage, refusal)) if stage >= furthest.0 => furthest = (stage, refusal),
            Err(_) => {}
        }
    }
    let Some((rule, key)) = trusted else { return Err(furthest.1) };
    let claims = unverified.into_claims();
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

/// What every token has to be.
const FORM: &str = "three parts of base64url: a JSON header, JSON claims and a signature";

/// What a token says of itself.
fn described(token: &Unverified<'_>) -> String {
    let (algorithm, kind) = (token.algorithm().name(), token.token_type().name());
    format!("alg {algorithm}, typ {kind}, {}", named(token.kid()))
}

/// A key, by its id.
fn named(kid: Option<&str>) -> String {
    kid.map_or_else(|| "no kid".to_owned(), |kid| format!("kid {kid:?}"))
}

/// What a list of a rule's leaves open.
fn one_of<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let Some(first) = names.next() else { return "any that is supported".to_owned() };
    names.fold(first.to_owned(), |all, name| format!("{all}, {name}"))
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
    rule: Option<&'a str>,
    steps: Option<&'a mut Vec<Step>>,
}

impl<H: Host> Run<'_, H> {
    /// Makes and keeps a step, where somebody wants them.
    fn record(
        &mut self,
        check: &'static str,
        expected: impl FnOnce() -> String,
        outcome: impl FnOnce() -> Result<String, Refusal>,
    ) {
        if let Some(steps) = &mut self.steps {
            let rule = self.rule.map(str::to_owned);
            steps.push(Step { rule, check, expected: expected(), outcome: outcome() });
        }
    }

    /// A check that does not hold.
    fn fail(
        &mut self,
        stage: Stage,
        check: &'static str,
        expected: impl FnOnce() -> String,
        refusal: Refusal,
    ) -> (Stage, Refusal) {
        self.record(check, expected, || Err(refusal.clone()));
        (stage, refusal)
    }

    async fn try_rule(&mut self, rule: &TrustRule) -> Result<KeyId, (Stage, Refusal)> {
        let (token, algorithm) = (self.token, self.token.algorithm());
        let algorithms = || one_of(rule.algorithms.iter().map(|one| one.name()));
        if !rule.accepts(algorithm) {
            let detail = format!("alg {} is not among the rule's: {}", algorithm.name(), algorithms());
            let refusal = Refusal::new(Reason::AlgorithmNotAllowed, detail);
            return Err(self.fail(Stage::Signature, "algorithm", algorithms, refusal));
        }
        self.record("algorithm", algorithms, || Ok(algorithm.name().to_owned()));
        let types = || one_of(rule.token_types.iter().map(|one| one.name()));
        if !rule.accepts_type(token.token_type()) {
            let detail = format!("typ {} is not among the rule's: {}", token.token_type().name(), types());
            let refusal = Refusal::new(Reason::TypeNotAllowed, detail);
            return Err(self.fail(Stage::Signature, "type", types, refusal));
        }
        self.record("type", types, || Ok(token.token_type().name().to_owned()));
        let wanted = || format!("a key for {}, {}", algorithm.name(), named(token.kid()));
        let keys = match self.host.keys(rule, token.kid()).await {
            Ok(keys) => keys,
            Err(KeysUnavailable(why)) => {
                let refusal = Refusal::new(Reason::KeysUnavailable, why);
                return Err(self.fail(Stage::Keys, "keys", wanted, refusal));
            }
        };
        let fitting: Vec<&Key> = keys.eligible(algorithm, token.kid()).collect();
        if fitting.is_empty() {
            let detail = if keys.is_exposed(token.kid()) {
                format!("{}: the set publishes its private half, so that anybody can sign with it", wanted())
            } else {
                format!("the set does not have {}", wanted())
            };
            let refusal = Refusal::new(Reason::KeyNotFound, detail);
            return Err(self.fail(Stage::Signature, "keys", wanted, refusal));
        }
        self.record("keys", wanted, || Ok(format!("{} of the set", fitting.len())));
        let made = || "made by one of these keys".to_owned();
        let mut signer = None;
        for key in fitting {
            if self.check(key).await {
                signer = Some(key);
                break;
            }
        }
        let Some(key) = signer else {
            let refusal = Refusal::new(Reason::SignatureMismatch, "no fitting key made the signature");
            return Err(self.fail(Stage::Signature, "signature", made, refusal));
        };
        self.record("signature", made, || Ok(format!("the key's with {}", named(key.kid()))));
        let (claims, now_ms) = (token.claims(), self.now_ms);
        if self.steps.is_some() {
            for (name, check) in claims::CHECKS {
                let outcome = check(rule, claims, now_ms).map(|()| claims::shown(rule, claims, name));
                self.record(name, || claims::expected(rule, name, now_ms), || outcome);
            }
        }
        claims::check(rule, claims, now_ms).map_err(|refusal| (Stage::Claims, refusal))?;
        Ok(key.id())
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
        let outcome = made_by(self.host, key, token.algorithm(), token.signed(), token.signature()).await;
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
