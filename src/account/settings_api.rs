//! The settings calls.
//!
//! A PUT carries a list of changes. As in the reference system each stands alone: a good one takes
//! effect, a bad one is answered with its reason and changes nothing. All of them are checked before
//! any is stored, and what takes effect does so at once. With `dryRun=true` nothing does: a form asks
//! what is wrong with what is being typed. Each setting names the permission that changing it needs; a
//! call that is permitted none of its changes is refused as a whole.

use crate::api::{BODY, Failure, Handled, Request, missing};
use crate::batch::{Batch, Problem};
use crate::document::{Document, SettingValue};
use crate::setting::{DEFINITIONS, Definition, ORIGIN_URL, PASSTHROUGH, definition};
use crate::{origin_binding, trust};
use scim_edge_policy::hop::is_own_account;
use scim_edge_policy::permission::Permission;
use serde_json::{Value, json};

/// The most changes in one call.
const CHANGES: usize = 100;

/// What a secret is shown as.
const MASK: &str = "******";

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
    let mut batch = Batch::new(document);
    for item in &items {
        let identifier = item.get("identifier").and_then(Value::as_str).unwrap_or_default().to_owned();
        let outcome = apply(&mut batch, request, &identifier, item);
        batch.outcomes.push((identifier, outcome));
    }
    trust::check(&mut batch, request);
    origin_binding::bind(&mut batch, request);
    if let Some(sentence) = batch.denial() {
        return Err(Failure::denied(sentence));
    }
    let Batch { mut new, outcomes, .. } = batch;
    let origin = |document: &Document| document.settings.get(ORIGIN_URL).map(|setting| setting.value.clone());
    if origin(&new) != origin(document) {
        new.put_back = None;
    }
    let answers =
        outcomes.iter().map(|(identifier, outcome)| answer(&new, request, identifier, outcome)).collect();
    Ok((Value::Array(answers), (new.settings != document.settings).then_some(new)))
}

fn apply(
    batch: &mut Batch<'_>,
    request: &Request<'_>,
    identifier: &str,
    item: &Value,
) -> Result<(), Problem> {
    if let Some(sentence) = request.refused.get(identifier) {
        return Err(sentence.as_str().into());
    }
    let known = definition(identifier);
    if let Some(scope) = narrower_scope(request) {
        let sentence = match known {
            Some(definition) => {
                format!("Setting- {} cannot be overridden at the current scope", definition.name)
            }
            None => not_applicable(identifier, scope),
        };
        return Err(sentence.into());
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
            if definition.secret {
                batch.secret = None;
            }
            batch.new.settings.remove(identifier);
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
    let value = definition.stored(&value, &batch.new, request.development)?;
    if identifier == ORIGIN_URL && is_own_account(request.gateway, &value) {
        return Err("the URL is an account of this gateway: an origin is another SCIM server".into());
    }
    if definition.secret {
        batch.secret = Some(value);
    } else {
        batch.new.settings.insert(identifier.to_owned(), SettingValue::plain(value, request.now_ms));
    }
    Ok(())
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
        "defaultValue": document.default_of(definition),
        "settingSource": if set { "ACCOUNT" } else { "DEFAULT" },
        "isSettingEditable": true,
        "allowedScopes": ["ACCOUNT"],
    })
}

fn shown<'a>(document: &'a Document, definition: &'a Definition) -> Option<&'a str> {
    document.effective(definition).map(
        |value| {
            if definition.secret && value != PASSTHROUGH { MASK } else { value }
        },
    )
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
