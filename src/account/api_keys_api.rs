//! The API key calls: minted here, shown once, kept as a hash.

use crate::api::{Failure, Handled, Request, required, text};
use crate::document::{ApiKeyRecord, Document};
use crate::published::hash;
use crate::roles_api::{may_grant, random_name};
use scim_edge_policy::encoding::encode;
use scim_edge_policy::permission::Permission;
use serde_json::{Value, json};

/// The most API keys of an account.
const API_KEYS: usize = 1000;

pub(crate) fn handle(document: &Document, request: &Request<'_>, which: Option<&str>) -> Handled {
    match (request.method, which) {
        ("GET", None) => {
            request.needs(Permission::ServiceAccountView)?;
            Ok((document.api_keys.values().map(shown).collect(), None))
        }
        ("POST", None) => mint(document, request),
        ("DELETE", Some(which)) => {
            request.needs(Permission::ApiKeyManage)?;
            let mut new = document.clone();
            new.api_keys.remove(which).ok_or_else(|| Failure::not_found("Token", which))?;
            Ok((Value::Bool(true), Some(new)))
        }
        _ => Err(Failure::method()),
    }
}

fn mint(document: &Document, request: &Request<'_>) -> Handled {
    request.needs(Permission::ApiKeyManage)?;
    if document.api_keys.len() >= API_KEYS {
        return Err(Failure::invalid("body", format!("an account has at most {API_KEYS} API keys")));
    }
    let body = request.object()?;
    let (prefix, owner, role) = match required(&body, "apiKeyType", 64)?.as_str() {
        "SERVICE_ACCOUNT" => {
            let owner = required(&body, "parentIdentifier", 128)?;
            if !document.service_accounts.contains_key(&owner) {
                let sentence = format!("service account {owner:?} does not exist in this account");
                return Err(Failure::invalid("parentIdentifier", sentence));
            }
            may_grant(request, document.permissions_of(&owner))?;
            ("sat", Some(owner), None)
        }
        "USER" => {
            let role = text(&body, "roleIdentifier", 128)?.unwrap_or_else(|| "_account_admin".to_owned());
            let Some(permissions) = document.role_permissions(&role) else {
                return Err(Failure::invalid(
                    "roleIdentifier",
                    format!("role {role:?} does not exist in this account"),
                ));
            };
            may_grant(request, permissions)?;
            ("pat", None, Some(role))
        }
        _ => return Err(Failure::invalid("apiKeyType", "must be SERVICE_ACCOUNT or USER")),
    };
    let expires_at = match body.get("validTo") {
        None | Some(Value::Null) => None,
        Some(value) => match value.as_i64() {
            Some(expiry) if expiry > request.now_ms => Some(expiry),
            _ => {
                return Err(Failure::invalid(
                    "validTo",
                    "must be a time to come, in milliseconds since 1970",
                ));
            }
        },
    };
    let identifier = random_name(request);
    let secret = request.random.first_chunk::<32>().map(|bytes| encode(bytes)).unwrap_or_default();
    let key = format!("{prefix}.{}.{identifier}.{secret}", document.account);
    let record = ApiKeyRecord {
        identifier: identifier.clone(),
        name: text(&body, "name", 256)?.unwrap_or_default(),
        service_account: owner,
        role,
        hash: hash(&key),
        created_at: request.now_ms,
        expires_at,
    };
    let mut new = document.clone();
    new.api_keys.insert(identifier, record);
    Ok((Value::String(key), Some(new)))
}

fn shown(record: &ApiKeyRecord) -> Value {
    let (kind, parent) = match &record.service_account {
        Some(owner) => ("SERVICE_ACCOUNT", Some(owner)),
        None => ("USER", None),
    };
    json!({
        "identifier": record.identifier,
        "name": record.name,
        "apiKeyType": kind,
        "parentIdentifier": parent,
        "roleIdentifier": record.role,
        "createdAt": record.created_at,
        "validTo": record.expires_at,
    })
}
