//! The trust rule calls: whose tokens are accepted beside those of the four settings.
//!
//! `PUT /ng/api/settings/jwt-rules/{name}` takes a whole rule. What it does not know it refuses: a
//! misspelt condition would be none.

use crate::api::{Failure, Handled, Request, required, text};
use crate::document::Document;
use crate::settings_api::may_view;
use crate::trust::may_write;
use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::key_set::KeySet;
use scim_edge_policy::permission::Permission;
use scim_edge_policy::rule::{ClaimMatch, DEFAULT_SKEW_SECONDS, MAX_SKEW_SECONDS, TokenType, TrustRule};
use scim_edge_policy::shared_hosts::Conditions;
use scim_edge_policy::url;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The most named rules of an account.
const RULES: usize = 20;
/// The most audiences, and the most claims, of a rule.
const CONDITIONS: usize = 20;
/// The longest text of a condition, in bytes.
const TEXT: usize = 2048;
/// The longest lifetime that can be set, in seconds: a year.
const LIFETIME: u32 = 31_536_000;

/// The members of a rule.
const MEMBERS: [&str; 12] = [
    "name",
    "jwksUrl",
    "jwks",
    "issuer",
    "audiences",
    "algorithms",
    "claims",
    "serviceAccount",
    "clockSkewSeconds",
    "maxLifetimeSeconds",
    "tokenTypes",
    "dpop",
];

pub(crate) fn handle(document: &Document, request: &Request<'_>, which: Option<&str>) -> Handled {
    match (request.method, which) {
        ("GET", None) => {
            may_view(request)?;
            Ok((document.jwt_rules.values().map(shown).collect(), None))
        }
        ("GET", Some(name)) => {
            may_view(request)?;
            let rule = document.jwt_rules.get(name).ok_or_else(|| missing(name))?;
            Ok((shown(rule), None))
        }
        ("PUT", Some(name)) => {
            request.needs(Permission::SettingEdit)?;
            let rule = rule(document, &request.object()?, name, request.development)?;
            may_write(document, request, document.jwt_rules.get(name), &rule)?;
            let mut new = document.clone();
            new.jwt_rules.insert(name.to_owned(), rule.clone());
            if new.jwt_rules.len() > RULES {
                return Err(Failure::invalid("name", format!("an account has at most {RULES} named rules")));
            }
            Ok((shown(&rule), Some(new)))
        }
        ("DELETE", Some(name)) => {
            request.needs(Permission::SettingEdit)?;
            let mut new = document.clone();
            new.jwt_rules.remove(name).ok_or_else(|| missing(name))?;
            Ok((Value::Bool(true), Some(new)))
        }
        _ => Err(Failure::method()),
    }
}

fn shown(rule: &TrustRule) -> Value {
    // A rule is texts, numbers and lists of them.
    serde_json::to_value(rule).unwrap_or_default()
}

fn missing(name: &str) -> Failure {
    Failure::not_found("JWT rule", name)
}

/// A rule of an account's, as the API takes it. In development its URLs may name loopback addresses.
///
/// # Errors
/// The member that is wrong, and why.
pub fn rule(
    document: &Document,
    body: &Map<String, Value>,
    name: &str,
    development: bool,
) -> Result<TrustRule, Failure> {
    let is_name = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
    if !is_name || name == "default" {
        let sentence =
            "must be 1 to 64 lower-case letters, digits, _ and -; default is the rule of the settings";
        return Err(Failure::invalid("name", sentence));
    }
    if let Some(unknown) = body.keys().find(|member| !MEMBERS.contains(&member.as_str())) {
        return Err(Failure::invalid(unknown, format!("is not one of {}", MEMBERS.join(", "))));
    }
    if text(body, "name", 64)?.is_some_and(|own| own != name) {
        return Err(Failure::invalid("name", "must be the name in the path"));
    }
    let service_account = required(body, "serviceAccount", 128)?;
    if !document.service_accounts.contains_key(&service_account) {
        let sentence = format!("service account {service_account:?} does not exist in this account");
        return Err(Failure::invalid("serviceAccount", sentence));
    }
    let rule = TrustRule {
        name: name.to_owned(),
        jwks_url: key_set_url(body, development)?,
        jwks: inline_keys(body)?,
        issuer: text(body, "issuer", TEXT)?.filter(|issuer| !issuer.is_empty()),
        audiences: list::<String>(body, "audiences", "an array of texts")?
            .iter()
            .map(|audience| trimmed(audience))
            .collect(),
        algorithms: list::<Algorithm>(body, "algorithms", &Algorithm::ALL.map(Algorithm::name).join(", "))?,
        claims: list::<ClaimMatch>(body, "claims", "an array of {\"field\", \"value\"}")?
            .iter()
            .map(|claim| ClaimMatch { field: trimmed(&claim.field), value: trimmed(&claim.value) })
            .collect(),
        service_account,
        clock_skew_seconds: number(body, "clockSkewSeconds", 0, MAX_SKEW_SECONDS)?
            .unwrap_or(DEFAULT_SKEW_SECONDS),
        max_lifetime_seconds: number(body, "maxLifetimeSeconds", 1, LIFETIME)?,
        token_types: list::<TokenType>(body, "tokenTypes", "JWT, at+jwt, none")?,
        dpop: match body.get("dpop") {
            None | Some(Value::Null) => false,
            Some(value) => {
                value.as_bool().ok_or_else(|| Failure::invalid("dpop", "must be true or false"))?
            }
        },
    };
    check(&rule, development)?;
    Ok(rule)
}

/// What makes a rule one: keys from one place, and conditions that say whose tokens it means.
fn check(rule: &TrustRule, development: bool) -> Result<(), Failure> {
    match (&rule.jwks_url, &rule.jwks, &rule.issuer) {
        (Some(_), Some(_), _) => return Err(Failure::invalid("jwks", "excludes jwksUrl")),
        (Some(_), None, _) | (None, Some(_), _) => {}
        (None, None, Some(issuer)) => {
            url::check(issuer, development)
                .map_err(|why| Failure::invalid("issuer", format!("without jwksUrl and jwks: {why}")))?;
        }
        (None, None, None) => {
            return Err(Failure::invalid("jwksUrl", "one of jwksUrl, jwks and issuer is required"));
        }
    }
    if let Some(sentence) = Conditions::of(rule).open_to_strangers() {
        return Err(Failure::invalid("claims", sentence));
    }
    if rule.claims.is_empty() && (rule.issuer.is_none() || rule.audiences.is_empty()) {
        let sentence =
            "a rule needs claims, or an issuer and audiences: it would trust every token of the keys";
        return Err(Failure::invalid("claims", sentence));
    }
    let texts = || {
        let claims = rule.claims.iter().flat_map(|claim| [&claim.field, &claim.value]);
        claims.chain(&rule.audiences)
    };
    if texts().any(|text| text.is_empty() || text.len() > TEXT || text.chars().any(char::is_control)) {
        let sentence = format!("each text has 1 to {TEXT} bytes, without control characters");
        return Err(Failure::invalid("claims", sentence));
    }
    Ok(())
}

/// The URL of the key set, as it was parsed.
fn key_set_url(body: &Map<String, Value>, development: bool) -> Result<Option<String>, Failure> {
    let Some(given) = text(body, "jwksUrl", url::LIMIT)? else { return Ok(None) };
    let parsed = url::check(&given, development).map_err(|why| Failure::invalid("jwksUrl", why))?;
    Ok(Some(parsed.into()))
}

/// A text of a rule's. Blanks around it are slips; of a token, nothing is trimmed.
fn trimmed(text: &str) -> String {
    text.trim().to_owned()
}

/// The keys that can check a signature, their public members only.
fn inline_keys(body: &Map<String, Value>) -> Result<Option<Value>, Failure> {
    let Some(keys) = body.get("jwks").filter(|keys| !keys.is_null()) else { return Ok(None) };
    let set = KeySet::parse(keys.to_string().as_bytes())
        .map_err(|error| Failure::invalid("jwks", error.to_string()))?;
    if let Some(kid) = set.exposed().next() {
        let kid = kid.map_or_else(|| "without a kid".to_owned(), |kid| format!("{kid:?}"));
        let sentence = format!(
            "the key {kid} carries its private half: whoever saw it can sign; make another key and send its public half"
        );
        return Err(Failure::invalid("jwks", sentence));
    }
    serde_json::from_str(&set.to_json())
        .map(Some)
        .map_err(|error| Failure::invalid("jwks", error.to_string()))
}

fn list<T: DeserializeOwned>(body: &Map<String, Value>, name: &str, what: &str) -> Result<Vec<T>, Failure> {
    let value = body.get(name).cloned().unwrap_or_default();
    let items: Option<Vec<T>> =
        if value.is_null() { Some(Vec::new()) } else { serde_json::from_value(value).ok() };
    match items {
        Some(items) if items.len() <= CONDITIONS => Ok(items),
        _ => Err(Failure::invalid(name, format!("must be an array of up to {CONDITIONS}: {what}"))),
    }
}

fn number(body: &Map<String, Value>, name: &str, least: u32, most: u32) -> Result<Option<u32>, Failure> {
    let value = match body.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    match value.filter(|number| (least..=most).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(Failure::invalid(name, format!("must be a whole number from {least} to {most}"))),
    }
}
