//! The claims of a token whose signature holds, against a rule (RFC 7519 §4.1, RFC 8725).

use crate::refusal::{Reason, Refusal};
use crate::rule::TrustRule;
use serde_json::Value;

/// A check of a token's claims by a rule, at a time in milliseconds. A claim of the wrong type is refused,
/// never converted.
type Check = fn(&TrustRule, &Value, i64) -> Result<(), Refusal>;

/// The checks, in order, by the claim they look at.
pub(crate) const CHECKS: [(&str, Check); 11] = [
    ("exp", check_expiry),
    ("nbf", |rule, claims, now_ms| check_begun(rule, claims, now_ms, ("nbf", Reason::NotYetValid))),
    ("iat", |rule, claims, now_ms| check_begun(rule, claims, now_ms, ("iat", Reason::IssuedInFuture))),
    ("lifetime", check_lifetime),
    ("use", |_, claims, _| check_use(claims)),
    ("cnf", check_binding),
    ("iss", |rule, claims, _| check_issuer(rule, claims)),
    ("aud", |rule, claims, _| check_audience(rule, claims)),
    ("sub", |_, claims, _| text(claims, "sub").map(|_| ())),
    ("jti", |_, claims, _| text(claims, "jti").map(|_| ())),
    ("claims", check_matches),
];

/// Checks every claim, up to the first that does not hold.
pub(crate) fn check(rule: &TrustRule, claims: &Value, now_ms: i64) -> Result<(), Refusal> {
    CHECKS.iter().try_for_each(|(_, check)| check(rule, claims, now_ms))
}

/// What a claim is, in JSON, at most 200 characters of it.
pub(crate) fn found(claims: &Value, field: &str) -> String {
    let found = if field.starts_with('/') { claims.pointer(field) } else { claims.get(field) };
    found.map_or_else(|| "nothing".to_owned(), |found| found.to_string().chars().take(200).collect())
}

/// What a check found where it holds.
pub(crate) fn shown(rule: &TrustRule, claims: &Value, check: &str) -> String {
    match check {
        "lifetime" => match (expiry(claims), time(claims, "iat")) {
            (Ok(expiry), Ok(Some(issued))) => format!("{} s", expiry - issued),
            _ => "iat does not say since when".to_owned(),
        },
        "use" => format!("typ {}, token_use {}", found(claims, "typ"), found(claims, "token_use")),
        "claims" => {
            let all = rule.claims.iter().map(|one| format!("{} {}", one.field, found(claims, &one.field)));
            all.reduce(|all, one| format!("{all}, {one}")).unwrap_or_else(|| "nothing to compare".to_owned())
        }
        _ => found(claims, check),
    }
}

/// What a check demands.
pub(crate) fn expected(rule: &TrustRule, check: &str, now_ms: i64) -> String {
    let (now, skew) = (seconds(now_ms), rule.clock_skew_seconds);
    let any_of = |values: &[String]| match values {
        [] => "any".to_owned(),
        values => values.join(" or "),
    };
    match check {
        "exp" => format!("a time after {now}, give or take {skew} s"),
        "nbf" | "iat" => format!("nothing, or a time up to {now}, give or take {skew} s"),
        "lifetime" => match rule.max_lifetime_seconds {
            Some(longest) => format!("at most {longest} s from iat to exp"),
            None => "any".to_owned(),
        },
        "use" => "an access token: no events, and neither typ nor token_use of another kind".to_owned(),
        "cnf" if rule.dpop => "the thumbprint of a key (jkt)".to_owned(),
        "cnf" => "nothing: no token that is bound to a key".to_owned(),
        "iss" => rule.issuer.clone().unwrap_or_else(|| "any".to_owned()),
        "aud" => any_of(&rule.audiences),
        "claims" => {
            let all = rule.claims.iter().map(|one| format!("{} {:?}", one.field, one.value));
            all.reduce(|all, one| format!("{all}, {one}")).unwrap_or_else(|| "nothing".to_owned())
        }
        _ => "nothing, or a string".to_owned(),
    }
}

fn check_matches(rule: &TrustRule, claims: &Value, _: i64) -> Result<(), Refusal> {
    match rule.claims.iter().find(|wanted| !wanted.holds(claims)) {
        Some(wanted) => {
            let found = found(claims, &wanted.field);
            let detail = format!("claim {:?} must be {:?}, found {found}", wanted.field, wanted.value);
            Err(Refusal::new(Reason::ClaimMismatch, detail))
        }
        None => Ok(()),
    }
}

/// What a token says it is for: what the same keys sign for another purpose must not pass for an access token
/// (RFC 8725 §2.8). Keycloak says so in the claim `typ`, Cognito in `token_use`.
fn check_use(claims: &Value) -> Result<(), Refusal> {
    if claims.get("events").is_some() {
        return Err(Refusal::new(Reason::SecurityEvent, "the token has events (RFC 8417)"));
    }
    for claim in ["typ", "token_use"] {
        let Some(used) = claims.get(claim).and_then(Value::as_str) else { continue };
        let reason = match used.trim().to_ascii_lowercase().as_str() {
            "id" => Reason::IdToken,
            "refresh" | "offline" => Reason::RefreshToken,
            "logout" => Reason::LogoutToken,
            _ => continue,
        };
        return Err(Refusal::new(reason, format!("{claim} is {}", found(claims, claim))));
    }
    Ok(())
}

/// `cnf` (RFC 7800): a token that is bound is no bearer's, and where the rule demands it, it is bound.
fn check_binding(rule: &TrustRule, claims: &Value, _: i64) -> Result<(), Refusal> {
    let refuse = |why| Err(Refusal::new(Reason::SenderConstrained, why));
    match (rule.dpop, claims.get("cnf")) {
        (false, None) => Ok(()),
        (false, Some(_)) => refuse("the token has cnf: it is bound to a key"),
        (true, _) if thumbprint(claims).is_some() => Ok(()),
        (true, _) => refuse("the rule demands DPoP: cnf must be an object with nothing but jkt"),
    }
}

/// The thumbprint of the key that a token is bound to (RFC 9449 §6.1).
pub(crate) fn thumbprint(claims: &Value) -> Option<&str> {
    let binding = claims.get("cnf")?.as_object().filter(|binding| binding.len() == 1)?;
    binding.get("jkt")?.as_str()
}

/// Seconds as f64: exact for every millisecond of the next 200,000 years, and a fraction in a claim
/// (RFC 7519 §2 allows one) keeps its meaning.
#[allow(clippy::cast_precision_loss)]
fn seconds(now_ms: i64) -> f64 {
    now_ms as f64 / 1000.0
}

fn skew(rule: &TrustRule) -> f64 {
    f64::from(rule.clock_skew_seconds)
}

fn expiry(claims: &Value) -> Result<f64, Refusal> {
    time(claims, "exp").ok().flatten().ok_or_else(missing_expiry)
}

fn check_expiry(rule: &TrustRule, claims: &Value, now_ms: i64) -> Result<(), Refusal> {
    let (now, skew, expiry) = (seconds(now_ms), skew(rule), expiry(claims)?);
    if now >= expiry + skew {
        return Err(Refusal::new(Reason::Expired, format!("exp {expiry}, now {now}, skew {skew}")));
    }
    Ok(())
}

/// A time that must not be to come.
fn check_begun(
    rule: &TrustRule,
    claims: &Value,
    now_ms: i64,
    (name, reason): (&str, Reason),
) -> Result<(), Refusal> {
    let (now, skew) = (seconds(now_ms), skew(rule));
    match time(claims, name)? {
        Some(from) if now + skew < from => {
            Err(Refusal::new(reason, format!("{name} {from}, now {now}, skew {skew}")))
        }
        _ => Ok(()),
    }
}

fn check_lifetime(rule: &TrustRule, claims: &Value, _: i64) -> Result<(), Refusal> {
    let Some(longest) = rule.max_lifetime_seconds else { return Ok(()) };
    let (expiry, issued) = (expiry(claims)?, time(claims, "iat")?);
    if issued.is_none_or(|issued| expiry - issued > f64::from(longest)) {
        return Err(Refusal::new(Reason::LifetimeTooLong, format!("at most {longest} s from iat to exp")));
    }
    Ok(())
}

fn missing_expiry() -> Refusal {
    Refusal::new(Reason::ExpiryMissing, "exp is not a time")
}

/// A NumericDate (RFC 7519 §2), where present.
fn time(claims: &Value, name: &str) -> Result<Option<f64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(Some(seconds)),
            _ => Err(Refusal::new(Reason::MalformedClaim, format!("{name} is not a time"))),
        },
    }
}

/// A string, where present.
fn text<'a>(claims: &'a Value, name: &str) -> Result<Option<&'a str>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::new(Reason::MalformedClaim, format!("{name} is not a string"))),
    }
}

fn check_issuer(rule: &TrustRule, claims: &Value) -> Result<(), Refusal> {
    let found = text(claims, "iss")?;
    match &rule.issuer {
        Some(wanted) if found != Some(wanted) => {
            Err(Refusal::new(Reason::IssuerNotTrusted, format!("iss must be {wanted:?}, found {found:?}")))
        }
        _ => Ok(()),
    }
}

fn check_audience(rule: &TrustRule, claims: &Value) -> Result<(), Refusal> {
    let wrong_type =
        || Refusal::new(Reason::MalformedClaim, "aud is neither a string nor an array of strings");
    let found: Vec<&str> = match claims.get("aud") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().ok_or_else(wrong_type)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(wrong_type()),
    };
    let named =
        rule.audiences.is_empty() || rule.audiences.iter().any(|wanted| found.contains(&wanted.as_str()));
    if named {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::AudienceMismatch,
        format!("aud must name one of {:?}, found {found:?}", rule.audiences),
    ))
}
