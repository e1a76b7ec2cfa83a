//! The claims of a token whose signature holds, against a rule (RFC 7519 §4.1, RFC 8725).

use crate::refusal::{Reason, Refusal};
use crate::rule::TrustRule;
use serde_json::Value;

/// Checks every claim. A claim of the wrong type is refused, never converted.
pub(crate) fn check(rule: &TrustRule, claims: &Value, now_ms: i64) -> Result<(), Refusal> {
    check_times(rule, claims, now_ms)?;
    if claims.get("cnf").is_some() {
        return Err(Refusal::new(Reason::SenderConstrained, "the token has cnf: it is bound to a key"));
    }
    check_issuer(rule, claims)?;
    check_audience(rule, claims)?;
    for name in ["sub", "jti"] {
        text(claims, name)?;
    }
    match rule.claims.iter().find(|wanted| !wanted.holds(claims)) {
        Some(wanted) => {
            let found = if wanted.field.starts_with('/') {
                claims.pointer(&wanted.field)
            } else {
                claims.get(&wanted.field)
            };
            let found = found
                .map_or_else(|| "nothing".to_owned(), |found| found.to_string().chars().take(200).collect());
            let detail = format!("claim {:?} must be {:?}, found {found}", wanted.field, wanted.value);
            Err(Refusal::new(Reason::ClaimMismatch, detail))
        }
        None => Ok(()),
    }
}

// Seconds as f64: exact for every millisecond of the next 200,000 years, and a fraction in a claim
// (RFC 7519 §2 allows one) keeps its meaning.
#[allow(clippy::cast_precision_loss)]
fn check_times(rule: &TrustRule, claims: &Value, now_ms: i64) -> Result<(), Refusal> {
    let now = now_ms as f64 / 1000.0;
    let skew = f64::from(rule.clock_skew_seconds);
    let Some(expiry) = time(claims, "exp").map_err(|_| missing_expiry())? else {
        return Err(missing_expiry());
    };
    if now >= expiry + skew {
        return Err(Refusal::new(Reason::Expired, format!("exp {expiry}, now {now}, skew {skew}")));
    }
    if let Some(not_before) = time(claims, "nbf")?
        && now + skew < not_before
    {
        return Err(Refusal::new(Reason::NotYetValid, format!("nbf {not_before}, now {now}, skew {skew}")));
    }
    let issued = time(claims, "iat")?;
    if let Some(issued) = issued
        && now + skew < issued
    {
        return Err(Refusal::new(Reason::IssuedInFuture, format!("iat {issued}, now {now}, skew {skew}")));
    }
    if let Some(longest) = rule.max_lifetime_seconds
        && issued.is_none_or(|issued| expiry - issued > f64::from(longest))
    {
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
