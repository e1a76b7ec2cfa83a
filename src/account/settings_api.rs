//! The settings calls.
//!
//! A PUT carries a list of changes. As in the reference system each stands alone: a good one takes
//! effect, a bad one is answered with its reason and changes nothing. All of them are checked before
//! any is stored, and what takes effect does so at once. With `dryRun=true` nothing does: a form asks
//! what is wrong with what is being typed. Each setting names the permission that changing it needs; a
//! call that is permitted none of its changes is refused as a whole.

use crate::api::{BODY, Failure, Handled, Request, missing};
use crate::document::{Document, SettingValue};
use crate::secret;
use crate::setting::{
    DEFINITIONS, Definition, ISSUER, JWKS_URL, KEY_FIELD, ORIGIN_AUTHORIZATION, PASSTHROUGH, VALUE_FIELD,
    definition,
};
use scim_edge_policy::permission::Permission;
use scim_edge_policy::url::is_shared_key_set;
use serde_json::{Value, json};

/// The most changes in one call.
const CHANGES: usize = 100;

/// What a secret is shown as.
const MASK: &str = "******";

/// Why a change has no effect.
struct Problem {
    sentence: String,
    /// Whether the caller may not make it, however it is put.
    is_denied: bool,
}

impl From<String> for Problem {
    fn from(sentence: String) -> Self {
        Self { sentence, is_denied: false }
    }
}

impl From<&str> for Problem {
    fn from(sentence: &str) -> Self {
        Self::from(sentence.to_owned())
    }
}

impl Problem {
    fn denied(sentence: String) -> Self {
        Self { sentence, is_denied: true }
    }
}

/// What became of each change, by the identifier of its setting.
type Outcomes = Vec<(String, Result<(), Problem>)>;

pub(crate) fn handle(document: &Document, request: &Request<'_>) -> Handled {
    match request.method {
        "GET" => list(document, request),
        "PUT" => change(document, request),
        _ => Err(Failure::method()),
    }
}

pub(crate) fn get(document: &Document, request: &Request<'_>, identifier: &str) -> Handled {
    if request.method != "GET" {
        return Err(Failure::method());
    }
    may_view(request)?;
    let Some(definition) = definition(identifier) else {
        return Err(Failure::not_found("Setting", identifier));
    };
    if let Some(scope) = narrower_scope(request) {
        return Err(Failure::invalid("identifier", not_applicable(identifier, scope)));
    }
    Ok((json!({ "valueType": "String", "value": shown(document, definition) }), None))
}

fn list(document: &Document, request: &Request<'_>) -> Handled {
    may_view(request)?;
    if request.parameter("category") != Some("SCIM") {
        return Err(Failure::invalid("category", "must be SCIM"));
    }
    let group = request.parameter("group").filter(|group| !group.is_empty());
    let settings: Vec<Value> = DEFINITIONS
        .iter()
        .filter(|definition| group.is_none_or(|group| definition.group == group))
        // Settings of an account are not applicable further down, unless the caller asks for parents.
        .filter(|_| narrower_scope(request).is_none() || request.parameter("includeParentScopes") == Some("true"))
        .map(|definition| {
            json!({
                "setting": setting(document, definition),
                "lastModifiedAt": document.settings.get(definition.identifier).map(|value| value.last_modified_at),
            })
        })
        .collect();
    Ok((Value::Array(settings), None))
}

pub(crate) fn may_view(request: &Request<'_>) -> Result<(), Failure> {
    request
        .needs(Permission::SettingView)
        .or_else(|failure| request.needs(Permission::AccountView).map_err(|_| failure))
}

fn change(document: &Document, request: &Request<'_>) -> Handled {
    if !DEFINITIONS.iter().any(|definition| request.permissions.has(definition.edit)) {
        request.needs(Permission::SettingEdit)?;
    }
    let body = scim_edge_json::parse(request.body, BODY)
        .map_err(|error| Failure::invalid("body", error.to_string()))?;
    let Value::Array(items) = body else {
        return Err(Failure::invalid("body", "must be an array of settings"));
    };
    if items.is_empty() || items.len() > CHANGES {
        return Err(Failure::invalid("body", format!("must have 1 to {CHANGES} settings")));
    }
    let mut new = document.clone();
    let mut outcomes = Outcomes::new();
    for item in &items {
        let identifier = item.get("identifier").and_then(Value::as_str).unwrap_or_default().to_owned();
        let outcome = apply(&mut new, request, &identifier, item);
        outcomes.push((identifier, outcome));
    }
    refuse_shared_keys(document, &mut new, &mut outcomes);
    let denied = outcomes.iter().map(|(_, outcome)| outcome.as_ref().err().filter(|why| why.is_denied));
    if let Some(all) = denied.collect::<Option<Vec<_>>>()
        && let Some(why) = all.first()
    {
        return Err(Failure::denied(why.sentence.clone()));
    }
    let changed = new.settings != document.settings;
    let answers =
        outcomes.iter().map(|(identifier, outcome)| answer(&new, request, identifier, outcome)).collect();
    Ok((Value::Array(answers), changed.then_some(new)))
}

fn apply(new: &mut Document, request: &Request<'_>, identifier: &str, item: &Value) -> Result<(), Problem> {
    let known = definition(identifier);
    if let Some(scope) = narrower_scope(request) {
        return Err(match known {
            Some(definition) => {
                format!("Setting- {} cannot be overridden at the current scope", definition.name)
            }
            None => not_applicable(identifier, scope),
        }
        .into());
    }
    let definition = known.ok_or_else(|| not_applicable(identifier, "ACCOUNT"))?;
    if !request.permissions.has(definition.edit) {
        return Err(Problem::denied(missing(definition.edit)));
    }
    match item.get("allowOverrides") {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(_) => return Err("allowOverrides must be false: the setting exists in accounts only".into()),
    }
    let value = match item.get("updateType").and_then(Value::as_str) {
        Some("RESTORE") => {
            new.settings.remove(identifier);
            return Ok(());
        }
        Some("UPDATE") => item.get("value"),
        _ => return Err("updateType must be UPDATE or RESTORE".into()),
    };
    let value = match value {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err("value must be a string".into()),
    };
    definition.check(&value, new, request.development)?;
    let value = if definition.secret && value != PASSTHROUGH {
        seal(new, request, identifier, &value)?
    } else {
        value
    };
    new.settings.insert(identifier.to_owned(), SettingValue { value, last_modified_at: request.now_ms });
    Ok(())
}

fn seal(document: &Document, request: &Request<'_>, identifier: &str, value: &str) -> Result<String, String> {
    let nonce = request.random.first_chunk::<24>().ok_or("no randomness")?;
    secret::seal(request.seal_key, nonce, &document.account, identifier, value)
        .ok_or_else(|| "the value could not be sealed".to_owned())
}

/// Key sets that sign for many tenants say nothing about whose token it is: the rule must. Looked at
/// when all changes are in, so that their order does not matter; the change of the URL, or else of
/// whatever took the tenant out of the rule, is undone.
fn refuse_shared_keys(old: &Document, new: &mut Document, outcomes: &mut Outcomes) {
    let open = |document: &Document| {
        let value =
            |identifier: &str| document.settings.get(identifier).map(|setting| setting.value.as_str());
        let shared = value(JWKS_URL).is_some_and(|text| {
            scim_edge_policy::url::check(text, true).is_ok_and(|url| is_shared_key_set(&url))
        });
        shared && value(ISSUER).is_none() && !matches!(value(KEY_FIELD), Some("iss" | "tid"))
    };
    if !open(new) {
        return;
    }
    let sentence =
        "this key set signs tokens of many tenants: set scim_jwt_token_issuer, or match on iss or tid";
    for (identifier, outcome) in outcomes.iter_mut() {
        if matches!(identifier.as_str(), JWKS_URL | ISSUER | KEY_FIELD | VALUE_FIELD) && outcome.is_ok() {
            match old.settings.get(identifier.as_str()) {
                Some(value) => new.settings.insert(identifier.clone(), value.clone()),
                None => new.settings.remove(identifier.as_str()),
            };
            *outcome = Err(sentence.into());
        }
    }
}

fn answer(new: &Document, request: &Request<'_>, identifier: &str, outcome: &Result<(), Problem>) -> Value {
    match (outcome, definition(identifier)) {
        (Ok(()), Some(definition)) => json!({
            "identifier": identifier,
            "setting": setting(new, definition),
            "lastModifiedAt": request.now_ms,
            "updateStatus": true,
            "errorMessage": null,
        }),
        (Ok(()), None) => Value::Null,
        (Err(problem), _) => {
            json!({ "identifier": identifier, "updateStatus": false, "errorMessage": problem.sentence })
        }
    }
}

/// A setting in the reference system's shape.
fn setting(document: &Document, definition: &Definition) -> Value {
    let set = document.settings.contains_key(definition.identifier);
    json!({
        "identifier": definition.identifier,
        "name": definition.name,
        "orgIdentifier": null,
        "projectIdentifier": null,
        "category": "SCIM",
        "groupIdentifier": definition.group,
        "valueType": "String",
        "allowedValues": (!definition.allowed.is_empty()).then_some(definition.allowed),
        "allowOverrides": false,
        "value": shown(document, definition),
        "defaultValue": definition.default,
        "settingSource": if set { "ACCOUNT" } else { "DEFAULT" },
        "isSettingEditable": true,
        "allowedScopes": ["ACCOUNT"],
    })
}

fn shown<'a>(document: &'a Document, definition: &'a Definition) -> Option<&'a str> {
    document.effective(definition).map(|value| {
        if definition.identifier == ORIGIN_AUTHORIZATION && value != PASSTHROUGH { MASK } else { value }
    })
}

fn narrower_scope(request: &Request<'_>) -> Option<&'static str> {
    let given = |name: &str| request.parameter(name).is_some_and(|value| !value.is_empty());
    if given("projectIdentifier") {
        Some("PROJECT")
    } else if given("orgIdentifier") {
        Some("ORG")
    } else {
        None
    }
}

fn not_applicable(identifier: &str, scope: &str) -> String {
    format!("Setting [{identifier}] is either invalid or is not applicable in scope [{scope}]")
}
