//! An account: settings, service accounts, roles and API keys, without a host.
//!
//! An admin call maps the account's document to an answer and, where it changes something, a new
//! document. Whoever stores documents decides what "at once" means; nothing here does I/O.

pub mod api;
mod api_keys_api;
pub mod authority;
mod batch;
pub mod changes;
pub mod configuration;
pub mod deletion;
pub mod document;
mod jwt_rules_api;
pub mod manifest;
mod origin_binding;
pub mod publication;
pub mod published;
pub mod put_back;
mod roles_api;
pub mod secret;
mod service_accounts_api;
pub mod setting;
mod settings_api;
pub mod supplement;
pub mod trust;

pub use jwt_rules_api::rule as jwt_rule;

use api::{DRY_RUN, Failure, Handled, Outcome, Request};
use document::Document;
use scim_edge_policy::route::AdminRoute;

/// The longest document, in bytes: one value of KV and one row of SQLite, well within their limits.
pub const DOCUMENT_BYTES: usize = 1 << 20;

/// Handles one admin call on an account. A new document's version is the old one's plus one. With
/// `dryRun=true` there is none, and the answer is the one that the call would have.
pub fn handle(document: &Document, request: &Request<'_>) -> Outcome {
    let handled = request.is_dry_run().and_then(|is_dry_run| {
        if is_dry_run && matches!(request.route, AdminRoute::Tokens | AdminRoute::Token(_)) {
            let sentence = "this call has no dry run: a key that is not stored opens nothing";
            return Err(Failure::invalid(DRY_RUN, sentence));
        }
        let (data, changed) = answer(document, request)?;
        let warnings =
            changed.as_ref().map(|new| trust::warnings(request.route, document, new)).unwrap_or_default();
        Ok((api::warned(data, &warnings, request.correlation_id), changed.filter(|_| !is_dry_run)))
    });
    match handled {
        Ok((body, changed)) => Outcome { status: 200, body, changed },
        Err(failure) => {
            Outcome { status: failure.status, body: failure.body(request.correlation_id), changed: None }
        }
    }
}

fn answer(document: &Document, request: &Request<'_>) -> Handled {
    // A caller in a mode could otherwise lift it, or act as another.
    if !request.mode.is_normal() && request.method != "GET" {
        return Err(Failure::denied(request.mode.refusal()));
    }
    let (data, changed) = match request.route {
        AdminRoute::Settings => settings_api::handle(document, request),
        AdminRoute::Setting(which) => settings_api::get(document, request, which),
        AdminRoute::JwtRules => jwt_rules_api::handle(document, request, None),
        AdminRoute::JwtRule(which) => jwt_rules_api::handle(document, request, Some(which)),
        AdminRoute::ServiceAccounts => service_accounts_api::handle(document, request, None),
        AdminRoute::ServiceAccount(which) => service_accounts_api::handle(document, request, Some(which)),
        AdminRoute::Roles => roles_api::roles(document, request, None),
        AdminRoute::Role(which) => roles_api::roles(document, request, Some(which)),
        AdminRoute::RoleAssignments => roles_api::assignments(document, request, None),
        AdminRoute::RoleAssignment(which) => roles_api::assignments(document, request, Some(which)),
        AdminRoute::Tokens => api_keys_api::handle(document, request, None),
        AdminRoute::Token(which) => api_keys_api::handle(document, request, Some(which)),
    }?;
    let Some(mut new) = changed else { return Ok((data, None)) };
    new.version = document.version.saturating_add(1);
    if new.to_json().len() > DOCUMENT_BYTES {
        return Err(Failure::invalid("body", "the account's configuration would be longer than 1 MiB"));
    }
    Ok((data, Some(new)))
}
