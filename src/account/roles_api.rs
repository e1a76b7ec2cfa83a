//! The role and role assignment calls. Nobody grants more than he has.

use crate::api::{Failure, Handled, Request, identifier, required, text};
use crate::document::{Document, Role, RoleAssignment};
use scim_edge_policy::encoding::encode;
use scim_edge_policy::permission::{BUILT_IN_ROLES, Permission, Permissions, built_in_role};
use serde_json::{Value, json};

/// The most custom roles of an account.
const ROLES: usize = 100;
/// The most role assignments of an account.
const ASSIGNMENTS: usize = 2000;

pub(crate) fn roles(document: &Document, request: &Request<'_>, which: Option<&str>) -> Handled {
    match (request.method, which) {
        ("GET", None) => {
            request.needs(Permission::RoleView)?;
            let built_in = BUILT_IN_ROLES.iter().map(|identifier| {
                shown(identifier, identifier, built_in_role(identifier).unwrap_or_default(), true)
            });
            let custom = document
                .roles
                .values()
                .map(|role| shown(&role.identifier, &role.name, role.permissions, false));
            Ok((built_in.chain(custom).collect(), None))
        }
        ("GET", Some(which)) => {
            request.needs(Permission::RoleView)?;
            let permissions =
                document.role_permissions(which).ok_or_else(|| Failure::not_found("Role", which))?;
            let name = document.roles.get(which).map_or(which, |role| role.name.as_str());
            Ok((shown(which, name, permissions, built_in_role(which).is_some()), None))
        }
        ("POST", None) => write_role(document, request, None),
        ("PUT", Some(which)) => write_role(document, request, Some(which)),
        ("DELETE", Some(which)) => {
            request.needs(Permission::RoleEdit)?;
            let mut new = document.clone();
            new.roles.remove(which).ok_or_else(|| Failure::not_found("Role", which))?;
            new.role_assignments.retain(|_, assignment| assignment.role_identifier != which);
            Ok((Value::Bool(true), Some(new)))
        }
        _ => Err(Failure::method()),
    }
}

fn write_role(document: &Document, request: &Request<'_>, which: Option<&str>) -> Handled {
    request.needs(Permission::RoleEdit)?;
    let body = request.object()?;
    let identifier = identifier(&body, "identifier")?;
    let exists = document.role_permissions(&identifier).is_some();
    match which {
        None if exists => {
            let message = format!("Role with identifier [{identifier}] already exists in this account");
            return Err(Failure::new(409, "DUPLICATE_FIELD", message));
        }
        None if document.roles.len() >= ROLES => {
            return Err(Failure::invalid("body", format!("an account has at most {ROLES} custom roles")));
        }
        Some(which) if which != identifier => {
            return Err(Failure::invalid("identifier", "cannot be changed"));
        }
        Some(which) if built_in_role(which).is_some() => {
            return Err(Failure::invalid("identifier", "built-in roles cannot be changed"));
        }
        Some(which) if !exists => return Err(Failure::not_found("Role", which)),
        _ => {}
    }
    let names = body.get("permissions").and_then(Value::as_array);
    let names = names.ok_or_else(|| Failure::invalid("permissions", "must be an array of permissions"))?;
    let permissions = names
        .iter()
        .map(|name| {
            let name = name.as_str().unwrap_or_default();
            Permission::from_name(name)
                .ok_or_else(|| Failure::invalid("permissions", format!("{name:?} is no permission")))
        })
        .collect::<Result<Permissions, _>>()?;
    may_grant(request, permissions)?;
    let role = Role { name: required(&body, "name", 256)?, identifier, permissions };
    let answer = shown(&role.identifier, &role.name, permissions, false);
    let mut new = document.clone();
    new.roles.insert(role.identifier.clone(), role);
    Ok((answer, Some(new)))
}

fn shown(identifier: &str, name: &str, permissions: Permissions, built_in: bool) -> Value {
    json!({ "identifier": identifier, "name": name, "permissions": permissions, "managed": built_in })
}

pub(crate) fn assignments(document: &Document, request: &Request<'_>, which: Option<&str>) -> Handled {
    match (request.method, which) {
        ("GET", None) => {
            request.needs(Permission::RoleView)?;
            Ok((document.role_assignments.values().map(assignment).collect(), None))
        }
        ("GET", Some(which)) => {
            request.needs(Permission::RoleView)?;
            let one = document.role_assignments.get(which);
            Ok((assignment(one.ok_or_else(|| Failure::not_found("Role assignment", which))?), None))
        }
        ("POST", None) => assign(document, request),
        ("DELETE", Some(which)) => {
            request.needs(Permission::RoleEdit)?;
            let mut new = document.clone();
            let one = new.role_assignments.remove(which);
            let one = one.ok_or_else(|| Failure::not_found("Role assignment", which))?;
            Ok((assignment(&one), Some(new)))
        }
        _ => Err(Failure::method()),
    }
}

fn assign(document: &Document, request: &Request<'_>) -> Handled {
    request.needs(Permission::RoleEdit)?;
    if document.role_assignments.len() >= ASSIGNMENTS {
        return Err(Failure::invalid(
            "body",
            format!("an account has at most {ASSIGNMENTS} role assignments"),
        ));
    }
    let body = request.object()?;
    let role = required(&body, "roleIdentifier", 128)?;
    let Some(permissions) = document.role_permissions(&role) else {
        return Err(Failure::invalid(
            "roleIdentifier",
            format!("role {role:?} does not exist in this account"),
        ));
    };
    may_grant(request, permissions)?;
    let principal = body.get("principal").and_then(Value::as_object);
    let principal = principal.ok_or_else(|| Failure::invalid("principal", "must be an object"))?;
    if text(principal, "type", 64)?.as_deref() != Some("SERVICE_ACCOUNT") {
        return Err(Failure::invalid("principal.type", "must be SERVICE_ACCOUNT"));
    }
    let owner = required(principal, "identifier", 128)?;
    if !document.service_accounts.contains_key(&owner) {
        let sentence = format!("service account {owner:?} does not exist in this account");
        return Err(Failure::invalid("principal.identifier", sentence));
    }
    let same = |one: &&RoleAssignment| one.role_identifier == role && one.service_account == owner;
    if let Some(existing) = document.role_assignments.values().find(same) {
        return Ok((assignment(existing), None));
    }
    let identifier = match text(&body, "identifier", 128)?.filter(|text| !text.is_empty()) {
        Some(_) => crate::api::identifier(&body, "identifier")?,
        None => format!("ra_{}", random_name(request)),
    };
    if document.role_assignments.contains_key(&identifier) {
        let message =
            format!("Role assignment with identifier [{identifier}] already exists in this account");
        return Err(Failure::new(409, "DUPLICATE_FIELD", message));
    }
    let one = RoleAssignment {
        identifier: identifier.clone(),
        role_identifier: role,
        service_account: owner,
        created_at: request.now_ms,
    };
    let answer = assignment(&one);
    let mut new = document.clone();
    new.role_assignments.insert(identifier, one);
    Ok((answer, Some(new)))
}

fn assignment(one: &RoleAssignment) -> Value {
    json!({
        "roleAssignment": {
            "identifier": one.identifier,
            "resourceGroupIdentifier": "_all_account_level_resources",
            "roleIdentifier": one.role_identifier,
            "principal": { "identifier": one.service_account, "type": "SERVICE_ACCOUNT" },
            "disabled": false,
            "managed": false,
        },
        "createdAt": one.created_at,
    })
}

/// Refuses to grant what the caller does not have.
pub(crate) fn may_grant(request: &Request<'_>, permissions: Permissions) -> Result<(), Failure> {
    if request.permissions.has_all(permissions) {
        return Ok(());
    }
    Err(Failure::denied("The caller can grant only permissions that the caller has"))
}

/// A random name in the characters of identifiers.
pub(crate) fn random_name(request: &Request<'_>) -> String {
    let bytes = request.random.last_chunk::<12>().map_or(&[][..], |bytes| &bytes[..]);
    encode(bytes).replace('-', "_")
}
