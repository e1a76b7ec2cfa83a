//! Permissions × calls: `tests/cases/permissions.json` has every call of SCIM, operators and administrators with what
//! it needs. Here each is judged with every built-in role, every permission alone and all but one. A call that the
//! table does not have fails.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod support;

use scim_edge_account::setting::DEFINITIONS;
use scim_edge_policy::operation::{Operation, allowed};
use scim_edge_policy::operator::OperatorCall;
use scim_edge_policy::permission::{BUILT_IN_ROLES, Permission, Permissions, built_in_role};
use scim_edge_policy::route::AdminRoute;
use scim_edge_scim::endpoint::{Endpoint, Kind};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::Account;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

struct Call {
    api: String,
    /// The method and the path.
    call: String,
    needs: Permissions,
    any: Permissions,
    body: Value,
}

impl Call {
    fn is_permitted(&self, held: Permissions) -> bool {
        held.has_all(self.needs)
            && (self.any == Permissions::NONE || self.any.iter().any(|one| held.has(one)))
    }
}

fn table() -> Vec<Call> {
    let table: Value = serde_json::from_str(include_str!("../../../tests/cases/permissions.json")).unwrap();
    let named = |value: &Value| {
        let names = value.as_array().cloned().unwrap_or_default();
        names.iter().map(|name| Permission::from_name(name.as_str().unwrap()).unwrap()).collect()
    };
    let call = |one: &Value| Call {
        api: one["api"].as_str().unwrap().to_owned(),
        call: one["call"].as_str().unwrap().to_owned(),
        needs: named(&one["needs"]),
        any: named(&one["any"]),
        body: one["body"].clone(),
    };
    table["calls"].as_array().unwrap().iter().map(call).collect()
}

/// Every built-in role, every permission alone, and all but each one.
fn holders() -> Vec<Permissions> {
    let roles = BUILT_IN_ROLES.iter().map(|role| built_in_role(role).unwrap());
    let alone = Permission::ALL.iter().map(|one| Permissions::from_iter([*one]));
    let without = |one: Permission| Permission::ALL.iter().copied().filter(|other| *other != one).collect();
    let all_but_one = Permission::ALL.iter().map(|one| without(*one));
    roles.chain(alone).chain(all_but_one).chain([Permissions::NONE]).collect()
}

/// That the calls of an API are those of the table.
#[track_caller]
fn same(api: &str, found: BTreeSet<String>) {
    let listed = table().into_iter().filter(|call| call.api == api).map(|call| call.call).collect();
    assert_eq!(found, listed, "tests/cases/permissions.json must have exactly the calls that there are");
}

fn path(endpoint: &Endpoint) -> String {
    // No wildcard: a new endpoint must be listed below, too.
    match endpoint {
        Endpoint::Root => "/".to_owned(),
        Endpoint::Collection(kind) => format!("/{}", kind.segment()),
        Endpoint::Resource(kind, id) => format!("/{}/{id}", kind.segment()),
        Endpoint::Search(Some(kind)) => format!("/{}/.search", kind.segment()),
        Endpoint::Search(None) => "/.search".to_owned(),
        Endpoint::Bulk => "/Bulk".to_owned(),
        Endpoint::Me => "/Me".to_owned(),
        Endpoint::ServiceProviderConfig => "/ServiceProviderConfig".to_owned(),
        Endpoint::ResourceTypes(name) => below("/ResourceTypes", name.as_deref()),
        Endpoint::Schemas(urn) => below("/Schemas", urn.as_deref()),
    }
}

fn below(path: &str, name: Option<&str>) -> String {
    name.map_or_else(|| path.to_owned(), |name| format!("{path}/{name}"))
}

fn endpoints() -> Vec<Endpoint> {
    let mut all = vec![Endpoint::Root, Endpoint::Search(None), Endpoint::Bulk, Endpoint::Me];
    for kind in Kind::ALL {
        all.extend([
            Endpoint::Collection(kind),
            Endpoint::Resource(kind, "none".to_owned()),
            Endpoint::Search(Some(kind)),
        ]);
    }
    all.extend([Endpoint::ServiceProviderConfig, Endpoint::ResourceTypes(None), Endpoint::Schemas(None)]);
    all.extend([
        Endpoint::ResourceTypes(Some("User".to_owned())),
        Endpoint::Schemas(Some("urn:none".to_owned())),
    ]);
    all
}

#[test]
fn permissions_of_scim_calls() {
    let mut found = BTreeSet::new();
    for endpoint in endpoints() {
        let methods = allowed(&endpoint).split(", ").filter(|method| !["HEAD", "OPTIONS"].contains(method));
        for method in methods {
            let name = format!("{method} {}", path(&endpoint));
            let operation = Operation::of(method, &endpoint).unwrap();
            for call in table().iter().filter(|call| call.api == "scim" && call.call == name) {
                for held in holders() {
                    assert_eq!(operation.permit(held).is_ok(), call.is_permitted(held), "{name} {held:?}");
                }
            }
            found.insert(name);
        }
    }
    same("scim", found);
}

#[test]
fn permissions_of_operators_calls() {
    let mut found = BTreeSet::new();
    for operator in OperatorCall::ALL {
        for method in operator.methods().split(", ") {
            let name = format!("{method} {}", operator.segment());
            for call in table().iter().filter(|call| call.api == "operator" && call.call == name) {
                for held in holders() {
                    let permitted = operator.permit(method, held).is_ok();
                    assert_eq!(permitted, call.is_permitted(held), "{name} {held:?}");
                }
            }
            found.insert(name);
        }
    }
    same("operator", found);
}

fn routes() -> Vec<(AdminRoute, &'static str)> {
    let none = || "none".to_owned();
    let all = vec![
        AdminRoute::Settings,
        AdminRoute::Setting("scim_dialect".to_owned()),
        AdminRoute::JwtRules,
        AdminRoute::JwtRule(none()),
        AdminRoute::ServiceAccounts,
        AdminRoute::ServiceAccount(none()),
        AdminRoute::Roles,
        AdminRoute::Role(none()),
        AdminRoute::RoleAssignments,
        AdminRoute::RoleAssignment(none()),
        AdminRoute::Tokens,
        AdminRoute::Token(none()),
    ];
    // No wildcard: a new route must be listed above, too.
    let path = |route: &AdminRoute| match route {
        AdminRoute::Settings => "/ng/api/settings",
        AdminRoute::Setting(_) => "/ng/api/settings/scim_dialect",
        AdminRoute::JwtRules => "/ng/api/settings/jwt-rules",
        AdminRoute::JwtRule(_) => "/ng/api/settings/jwt-rules/none",
        AdminRoute::ServiceAccounts => "/ng/api/serviceaccount",
        AdminRoute::ServiceAccount(_) => "/ng/api/serviceaccount/none",
        AdminRoute::Roles => "/authz/api/roles",
        AdminRoute::Role(_) => "/authz/api/roles/none",
        AdminRoute::RoleAssignments => "/authz/api/roleassignments",
        AdminRoute::RoleAssignment(_) => "/authz/api/roleassignments/none",
        AdminRoute::Tokens => "/ng/api/token",
        AdminRoute::Token(_) => "/ng/api/token/none",
    };
    all.into_iter().map(|route| (route.clone(), path(&route))).collect()
}

#[test]
fn permissions_of_admin_calls() {
    let mut found = BTreeSet::new();
    let mut account = Account::new();
    account.service_account("idle");
    for (_, path) in routes() {
        for method in METHODS {
            let name = format!("{method} {path}");
            let calls = table();
            let call = calls.iter().find(|call| call.api == "admin" && call.call == name);
            let body = call.map(|call| call.body.clone()).unwrap_or_default();
            let target =
                format!("{path}?category=SCIM{}", if path.contains("token") { "" } else { "&dryRun=true" });
            account.permissions = Permissions::all();
            if account.call(method, &target, body.clone()).0 == 405 {
                continue;
            }
            found.insert(name.clone());
            let Some(call) = call else { continue };
            for held in holders() {
                account.permissions = held;
                let (status, answer) = account.call(method, &target, body.clone());
                assert_eq!(status != 403, call.is_permitted(held), "{name} {held:?}: {answer}");
            }
        }
    }
    same("admin", found);
}

#[test]
fn permissions_of_each_setting() {
    let mut account = Account::new();
    for definition in DEFINITIONS.iter() {
        let change = json!([{ "identifier": definition.identifier, "updateType": "RESTORE" }]);
        for held in holders() {
            account.permissions = held;
            let (status, answer) = account.call("PUT", "/ng/api/settings?dryRun=true", change.clone());
            assert_eq!(
                status != 403,
                held.has(definition.edit),
                "{} {held:?}: {answer}",
                definition.identifier
            );
        }
    }
}
