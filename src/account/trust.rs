//! Checks of trust rules: the permissions that writing one needs, and hosts whose tokens need a tenant.
//!
//! A rule lends the permissions of a service account to the bearers of the tokens that it trusts. So only a caller
//! with all of these permissions may write any part of it: issuer, keys and claims select the bearers as much as the
//! name of the service account selects the permissions. Taking a rule away lends nothing.

use crate::api::{Failure, Request};
use crate::batch::{Batch, Problem};
use crate::document::Document;
use crate::published;
use crate::setting::{AUDIENCE, ISSUER, JWKS_URL, KEY_FIELD, SERVICE_ACCOUNT, VALUE_FIELD};
use scim_edge_policy::permission::Permissions;
use scim_edge_policy::route::AdminRoute;
use scim_edge_policy::rule::TrustRule;
use scim_edge_policy::shared_hosts::Conditions;

/// The settings without each of which there is no default rule.
const REQUIRED: [&str; 4] = [JWKS_URL, KEY_FIELD, VALUE_FIELD, SERVICE_ACCOUNT];

/// The prefix of the settings of the default rule.
pub(crate) const PREFIX: &str = "scim_jwt_token_";

const DENIED: &str =
    "The caller lacks permissions of the service account that this rule names, before or after the change";

/// Refuses a rule that names a service account with permissions that the caller lacks.
pub(crate) fn may_write(
    document: &Document,
    request: &Request<'_>,
    old: Option<&TrustRule>,
    new: &TrustRule,
) -> Result<(), Failure> {
    let named = [old, Some(new)].into_iter().flatten().map(|rule| rule.service_account.as_str());
    match lends(request, document, named) {
        true => Ok(()),
        false => Err(Failure::denied(DENIED)),
    }
}

/// Refuses a batch's changes of the default rule if the caller may not write it, or if strangers would get in. Looked at when all changes are in, so that their order does not matter.
pub(crate) fn check(batch: &mut Batch<'_>, request: &Request<'_>) {
    let changed: Vec<&str> = batch.changed().filter(|identifier| identifier.starts_with(PREFIX)).collect();
    if changed.is_empty() {
        return;
    }
    let is_taken_away = changed
        .iter()
        .all(|identifier| REQUIRED.contains(identifier) && !batch.new.settings.contains_key(*identifier));
    let named = [batch.before, &batch.new].map(|document| document.value(SERVICE_ACCOUNT));
    if !is_taken_away && !lends(request, batch.before, named.into_iter().flatten()) {
        batch.undo(|identifier| identifier.starts_with(PREFIX), &Problem::denied(DENIED));
        return;
    }
    if let Some(sentence) = open_to_strangers(&batch.new).filter(|_| !is_taken_away) {
        let decides = [JWKS_URL, ISSUER, AUDIENCE, KEY_FIELD, VALUE_FIELD];
        batch.undo(|identifier| decides.contains(&identifier), &Problem::from(sentence));
    }
}

/// Why the settings let strangers in, also while the rule that they make is not complete.
pub fn open_to_strangers(document: &Document) -> Option<String> {
    let conditions = Conditions {
        jwks_url: Some(document.value(JWKS_URL)?),
        issuer: document.value(ISSUER),
        has_audiences: document.value(AUDIENCE).is_some(),
        claims: document
            .value(KEY_FIELD)
            .map(|field| (field, document.value(VALUE_FIELD)))
            .into_iter()
            .collect(),
    };
    conditions.open_to_strangers()
}

/// Warnings about the rule that a call has written.
pub(crate) fn warnings(route: &AdminRoute, old: &Document, new: &Document) -> Vec<String> {
    let rule = match route {
        AdminRoute::JwtRule(name) => new.jwt_rules.get(name).cloned(),
        AdminRoute::Settings => {
            let (before, after) = (published::default_rule(old), published::default_rule(new));
            after.filter(|after| before.as_ref() != Some(after))
        }
        AdminRoute::Role(_) | AdminRoute::RoleAssignments => return newly_lent(old, new),
        _ => None,
    };
    let compares_audience_only = |rule: &TrustRule| Conditions::of(rule).compares_audience_only();
    let warn = |rule: TrustRule| {
        format!(
            "rule {} compares nothing but aud: every client that its issuer gives a token for this audience acts as {}",
            rule.name, rule.service_account
        )
    };
    rule.filter(compares_audience_only).map(warn).into_iter().collect()
}

/// Permissions that rules lend now, since the roles of the service accounts that they name grant more: a rule may have
/// been written by a caller without them, while it lent nothing.
fn newly_lent(old: &Document, new: &Document) -> Vec<String> {
    let rules = published::default_rule(new).into_iter().chain(new.jwt_rules.values().cloned());
    let grown = rules.filter(|rule| {
        let name = &rule.service_account;
        !old.permissions_of(name).has_all(new.permissions_of(name))
    });
    let warn = |rule: TrustRule| {
        let (name, lender) = (rule.name, rule.service_account);
        format!(
            "rule {name} lends the new permissions of {lender} to the bearers of the tokens that it trusts"
        )
    };
    grown.map(warn).collect()
}

fn lends<'a>(request: &Request<'_>, document: &Document, named: impl Iterator<Item = &'a str>) -> bool {
    let lent = named.map(|name| document.permissions_of(name)).fold(Permissions::NONE, Permissions::union);
    request.permissions.has_all(lent)
}
