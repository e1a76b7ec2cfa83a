//! An account: settings, service accounts, roles and API keys, without a host.
//!
//! An admin call maps the account's document to an answer and, where it changes something, a new
//! document. Whoever stores documents decides what "at once" means; nothing here does I/O.

pub mod api;
mod api_keys_api;
pub mod changes;
pub mod document;
mod jwt_rules_api;
pub mod published;
mod roles_api;
pub mod secret;
mod service_accounts_api;
pub mod setting;
mod settings_api;
pub mod supplement;

pub use jwt_rules_api::rule as jwt_rule;

use api::{Failure, Outcome, Request};
use document::Document;
use scim_edge_policy::route::AdminRoute;

/// The longest document, in bytes: one value of KV and one row of SQLite, well within their limits.
pub const DOCUMENT_BYTES: usize = 1 << 20;

/// Handles one admin call on an account. A new document's version is the old one's plus one.
pub fn handle(document: &Document, request: &Request<'_>) -> Outcome {
    let handled = match request.route {
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
    };
    let handled = handled.and_then(|(data, changed)| match changed {
        Some(mut new) => {
            new.version = document.version.saturating_add(1);
            if new.to_json().len() > DOCUMENT_BYTES {
                return Err(Failure::invalid(
                    "body",
                    "the account's configuration would be longer than 1 MiB",
                ));
            }
            Ok((data, Some(new)))
        }
        None => Ok((data, None)),
    });
    match handled {
        Ok((data, changed)) => {
            Outcome { status: 200, body: api::success(data, request.correlation_id), changed }
        }
        Err(failure) => {
            Outcome { status: failure.status, body: failure.body(request.correlation_id), changed: None }
        }
    }
}
