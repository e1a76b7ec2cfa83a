//! The service account calls.

use crate::api::{Failure, Handled, Request, identifier, required, text};
use crate::document::{Document, ServiceAccount};
use crate::roles_api::may_grant;
use scim_edge_policy::mode::Mode;
use scim_edge_policy::permission::Permission;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The most service accounts of an account.
const SERVICE_ACCOUNTS: usize = 500;
const TAGS: usize = 50;

pub(crate) fn handle(document: &Document, request: &Request<'_>, which: Option<&str>) -> Handled {
    match (request.method, which) {
        ("GET", None) => {
            request.needs(Permission::ServiceAccountView)?;
            Ok((document.service_accounts.values().map(|one| shown(document, one)).collect(), None))
        }
        ("GET", Some(which)) => {
            request.needs(Permission::ServiceAccountView)?;
            let one = document.service_accounts.get(which).ok_or_else(|| missing(which))?;
            Ok((shown(document, one), None))
        }
        ("POST", None) => create(document, request),
        ("PUT", Some(which)) => replace(document, request, which),
        ("DELETE", Some(which)) => delete(document, request, which),
        _ => Err(Failure::method()),
    }
}

fn create(document: &Document, request: &Request<'_>) -> Handled {
    request.needs(Permission::ServiceAccountEdit)?;
    if document.service_accounts.len() >= SERVICE_ACCOUNTS {
        return Err(Failure::invalid(
            "body",
            format!("an account has at most {SERVICE_ACCOUNTS} service accounts"),
        ));
    }
    let one = read(document, &request.object()?)?;
    if document.service_accounts.contains_key(&one.identifier) {
        let message =
            format!("Service account with identifier [{}] already exists in this account", one.identifier);
        return Err(Failure::new(409, "DUPLICATE_FIELD", message));
    }
    store(document, one)
}

fn replace(document: &Document, request: &Request<'_>, which: &str) -> Handled {
    request.needs(Permission::ServiceAccountEdit)?;
    let old = document.service_accounts.get(which).ok_or_else(|| missing(which))?;
    let body = request.object()?;
    let mut new = read(document, &body)?;
    // Clients that know nothing of modes leave it as it is.
    if body.get("mode").is_none_or(Value::is_null) {
        new.mode = old.mode;
    }
    if new.mode < old.mode {
        // It gets back what the mode took from it.
        may_grant(request, document.permissions_of(which))?;
    }
    if new.identifier != old.identifier {
        return Err(Failure::invalid("identifier", "cannot be changed"));
    }
    if new.email != old.email {
        return Err(Failure::invalid("email", "cannot be changed"));
    }
    store(document, new)
}

fn store(document: &Document, one: ServiceAccount) -> Handled {
    let mut new = document.clone();
    let answer = shown(document, &one);
    new.service_accounts.insert(one.identifier.clone(), one);
    Ok((answer, Some(new)))
}

/// Its assignments and keys go with it. A rule that names it stays and lets nobody in.
fn delete(document: &Document, request: &Request<'_>, which: &str) -> Handled {
    request.needs(Permission::ServiceAccountEdit)?;
    let mut new = document.clone();
    new.service_accounts.remove(which).ok_or_else(|| missing(which))?;
    new.role_assignments.retain(|_, assignment| assignment.service_account != which);
    new.api_keys.retain(|_, key| key.service_account.as_deref() != Some(which));
    Ok((Value::Bool(true), Some(new)))
}

fn read(document: &Document, body: &Map<String, Value>) -> Result<ServiceAccount, Failure> {
    let identifier = identifier(body, "identifier")?;
    let email = text(body, "email", 320)?.filter(|email| !email.is_empty());
    let email = email.unwrap_or_else(|| format!("{identifier}@service.{}.invalid", document.account));
    if !email.contains('@') {
        return Err(Failure::invalid("email", "must be an e-mail address"));
    }
    if let Some(account) = text(body, "accountIdentifier", 128)?
        && account != document.account
    {
        return Err(Failure::invalid("accountIdentifier", "must be the account of the query"));
    }
    let tags = match body.get("tags") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(tags)) if tags.len() <= TAGS => tags
            .keys()
            .map(|name| Ok((name.clone(), text(tags, name, 256)?.unwrap_or_default())))
            .collect::<Result<_, Failure>>()?,
        Some(_) => {
            return Err(Failure::invalid("tags", format!("must be an object of up to {TAGS} strings")));
        }
    };
    Ok(ServiceAccount {
        name: required(body, "name", 256)?,
        description: text(body, "description", 1024)?.unwrap_or_default(),
        identifier,
        email,
        tags,
        mode: mode(body)?,
    })
}

fn mode(body: &Map<String, Value>) -> Result<Mode, Failure> {
    let named = text(body, "mode", 64)?;
    let known = || Mode::ALL.map(Mode::name).join(", ");
    named.map_or(Ok(Mode::Normal), |name| {
        Mode::from_name(&name).ok_or_else(|| Failure::invalid("mode", format!("must be one of {}", known())))
    })
}

fn shown(document: &Document, one: &ServiceAccount) -> Value {
    json!({
        "identifier": one.identifier,
        "name": one.name,
        "email": one.email,
        "description": one.description,
        "tags": one.tags,
        "mode": one.mode,
        "accountIdentifier": document.account,
        "orgIdentifier": null,
        "projectIdentifier": null,
    })
}

fn missing(which: &str) -> Failure {
    Failure::not_found("Service account", which)
}
