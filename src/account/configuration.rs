//! The configuration of an account as lines of an export, and back.
//!
//! An export has what its caller may see, and no secret: neither the origin's authorization nor API keys. An import is a
//! series of ordinary calls ([`crate::handle`]), with their checks and permissions, of which all take effect or none.
//! The origin of the exported account is left out: the account that it is imported into is a system of record.

use crate::api::Request;
use crate::document::Document;
use crate::setting::{ORIGIN_AUTHORIZATION, ORIGIN_URL, definition};
use scim_edge_policy::permission::{Permission, Permissions};
use scim_edge_policy::route::AdminRoute;
use serde_json::{Map, Value, json};

/// The types of lines, in the order in which they are exported and imported: each may name earlier ones.
const TYPES: [&str; 5] = ["ServiceAccount", "Role", "RoleAssignment", "Setting", "JwtRule"];

/// Settings that an import leaves out.
const LEFT_OUT: [&str; 2] = [ORIGIN_URL, ORIGIN_AUTHORIZATION];

/// Whether a line of this type is about an account's configuration.
pub fn is_configuration(of: &str) -> bool {
    TYPES.contains(&of)
}

/// The lines of a document that somebody with these permissions may see.
pub fn export(document: &Document, permissions: Permissions) -> Vec<Value> {
    let mut lines = Vec::new();
    if permissions.has(Permission::ServiceAccountView) {
        lines.extend(document.service_accounts.values().map(|one| typed("ServiceAccount", &json!(one))));
    }
    if permissions.has(Permission::RoleView) {
        lines.extend(document.roles.values().map(|one| typed("Role", &json!(one))));
        lines.extend(document.role_assignments.values().map(|one| {
            let (role, owner) = (&one.role_identifier, &one.service_account);
            let line =
                json!({ "identifier": one.identifier, "roleIdentifier": role, "serviceAccount": owner });
            typed("RoleAssignment", &line)
        }));
    }
    if permissions.has(Permission::SettingView) || permissions.has(Permission::AccountView) {
        let shown = document
            .settings
            .iter()
            .filter(|(identifier, _)| definition(identifier).is_some_and(|definition| !definition.secret));
        lines.extend(shown.map(|(identifier, setting)| {
            typed("Setting", &json!({ "identifier": identifier, "value": setting.value }))
        }));
        lines.extend(document.jwt_rules.values().map(|one| typed("JwtRule", &json!(one))));
    }
    lines
}

fn typed(of: &str, members: &Value) -> Value {
    let mut line = Map::from_iter([("type".to_owned(), Value::from(of))]);
    line.extend(members.as_object().cloned().unwrap_or_default());
    Value::Object(line)
}

/// Why a configuration was not imported; nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status of the call that was refused.
    pub status: u16,
    /// Which line, and why.
    pub message: String,
}

/// The document with the lines of an export. Things that are there already are changed to what the lines say; nothing
/// is removed. `request` says who imports, and when.
///
/// # Errors
/// The first call that was refused.
pub fn import(document: &Document, lines: &[Value], request: &Request<'_>) -> Result<Document, Refused> {
    let mut new = document.clone();
    for of in TYPES {
        let own = lines.iter().filter(|line| line.get("type").and_then(Value::as_str) == Some(of));
        let own = own.map(|line| {
            let mut members = line.as_object().cloned().unwrap_or_default();
            members.shift_remove("type");
            members
        });
        if of == "Setting" {
            new = settings(&new, own, request)?.unwrap_or(new);
            continue;
        }
        for members in own {
            if let Some(changed) = step(&new, of, members, request)? {
                new = changed;
            }
        }
    }
    Ok(new)
}

/// Changes the settings in one call: what one of them may be depends on others.
fn settings(
    document: &Document,
    lines: impl Iterator<Item = Map<String, Value>>,
    request: &Request<'_>,
) -> Result<Option<Document>, Refused> {
    let mut changes = Vec::new();
    for mut members in lines {
        let name = members.get("identifier").and_then(Value::as_str).unwrap_or_default();
        if !LEFT_OUT.contains(&name) {
            members.insert("updateType".into(), "UPDATE".into());
            changes.push(Value::Object(members));
        }
    }
    if changes.is_empty() {
        return Ok(None);
    }
    call(document, "Setting", "", ("PUT", AdminRoute::Settings, Value::Array(changes)), request)
}

/// Makes one call. None if it changes nothing.
fn step(
    document: &Document,
    of: &str,
    mut members: Map<String, Value>,
    request: &Request<'_>,
) -> Result<Option<Document>, Refused> {
    let named = if of == "JwtRule" { "name" } else { "identifier" };
    let name = members.get(named).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (method, route, body) = match of {
        "ServiceAccount" => match document.service_accounts.get(&name) {
            // Its address is fixed once it is created.
            Some(known) => {
                members.insert("email".into(), known.email.as_str().into());
                ("PUT", AdminRoute::ServiceAccount(name.clone()), Value::Object(members))
            }
            None => ("POST", AdminRoute::ServiceAccounts, Value::Object(members)),
        },
        "Role" if document.roles.contains_key(&name) => {
            ("PUT", AdminRoute::Role(name.clone()), Value::Object(members))
        }
        "Role" => ("POST", AdminRoute::Roles, Value::Object(members)),
        "RoleAssignment" => {
            let owner = members.shift_remove("serviceAccount").unwrap_or_default();
            members.insert("principal".into(), json!({ "identifier": owner, "type": "SERVICE_ACCOUNT" }));
            ("POST", AdminRoute::RoleAssignments, Value::Object(members))
        }
        _ => ("PUT", AdminRoute::JwtRule(name.clone()), Value::Object(members)),
    };
    call(document, of, &name, (method, route, body), request)
}

fn call(
    document: &Document,
    of: &str,
    name: &str,
    (method, route, body): (&str, AdminRoute, Value),
    request: &Request<'_>,
) -> Result<Option<Document>, Refused> {
    let body = body.to_string();
    let call = Request { method, route: &route, query: &[], body: body.as_bytes(), ..*request };
    let outcome = crate::handle(document, &call);
    let refused =
        |status, name: &str, why: &str| Err(Refused { status, message: format!("{of} {name:?}: {why}") });
    if outcome.status >= 400 {
        let message = outcome.body.get("message").and_then(Value::as_str).unwrap_or_default();
        return refused(outcome.status, name, message);
    }
    // Of settings each stands alone: a bad one is answered within a success.
    let answers = outcome.body.get("data").and_then(Value::as_array).filter(|_| of == "Setting");
    for answer in answers.into_iter().flatten() {
        if let Some(sentence) = answer.get("errorMessage").and_then(Value::as_str) {
            let name = answer.get("identifier").and_then(Value::as_str).unwrap_or_default();
            return refused(400, name, sentence);
        }
    }
    Ok(outcome.changed)
}
