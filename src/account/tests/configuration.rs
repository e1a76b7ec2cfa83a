//! The configuration of an account, out of one and into another.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use scim_edge_account::api::Request;
use scim_edge_account::configuration::{Refused, export, import};
use scim_edge_account::document::Document;
use scim_edge_policy::permission::{Permission as P, Permissions};
use scim_edge_policy::route::AdminRoute;
use serde_json::{Value, json};

const NOW: i64 = 1_795_000_000_000;

fn brought(document: &Document, lines: &[Value], permissions: Permissions) -> Result<Document, Refused> {
    let request = Request {
        method: "POST",
        route: &AdminRoute::Settings,
        query: &[],
        body: &[],
        permissions,
        mode: scim_edge_policy::mode::Mode::Normal,
        now_ms: NOW,
        random: &[3; 64],
        seal_key: &[9; 32],
        development: false,
        gateway: "https://scim.example.com",
        correlation_id: "c",
        refused: &std::collections::BTreeMap::new(),
    };
    import(document, lines, &request)
}

fn lines() -> Vec<Value> {
    vec![
        json!({ "type": "Setting", "identifier": "scim_jwt_token_service_account_id", "value": "okta" }),
        json!({ "type": "Setting", "identifier": "scim_patch_answer", "value": "empty" }),
        json!({ "type": "Setting", "identifier": "scim_origin_url", "value": "https://origin.example.com/scim" }),
        json!({ "type": "JwtRule", "name": "second", "issuer": "https://idp.example.com", "audiences": ["scim"],
            "serviceAccount": "okta" }),
        json!({ "type": "RoleAssignment", "identifier": "ra_1", "roleIdentifier": "reader", "serviceAccount": "okta" }),
        json!({ "type": "Role", "identifier": "reader", "name": "Reader", "permissions": ["core_user_view"] }),
        json!({ "type": "ServiceAccount", "identifier": "okta", "name": "Okta", "email": "okta@example.com",
            "tags": { "of": "it" } }),
    ]
}

fn new() -> Document {
    Document::new("new", NOW)
}

#[test]
fn a_configuration_is_the_same_after_a_round_trip() {
    // The lines may come in any order: each is brought in after those that it names.
    let first = brought(&new(), &lines(), Permissions::all()).unwrap();
    assert_eq!(first.service_accounts["okta"].tags["of"], "it");
    assert_eq!(first.permissions_of("okta"), Permissions::from_iter([P::UserView]));
    assert_eq!(first.jwt_rules["second"].service_account, "okta");
    assert_eq!(first.role_assignments["ra_1"].role_identifier, "reader");
    assert_eq!(first.settings["scim_patch_answer"].value, "empty");
    let exported = export(&first, Permissions::all());
    assert_eq!(exported.len(), 6);
    let second = brought(&new(), &exported, Permissions::all()).unwrap();
    assert_eq!(second, first);
    // Once more changes nothing but the version.
    let again = brought(&second, &exported, Permissions::all()).unwrap();
    assert_eq!(Document { version: 0, ..again }, Document { version: 0, ..second });
}

#[test]
fn the_origin_stays_behind() {
    let new = brought(&new(), &lines(), Permissions::all()).unwrap();
    assert!(!new.settings.contains_key("scim_origin_url"));
}

#[test]
fn nothing_is_brought_in_that_an_ordinary_call_would_refuse() {
    let with = |line: Value| {
        let mut all = lines();
        all.push(line);
        brought(&new(), &all, Permissions::all()).unwrap_err()
    };
    let refused = with(json!({ "type": "Setting", "identifier": "scim_dialect", "value": "lax" }));
    assert_eq!(refused.status, 400);
    assert!(refused.message.starts_with("Setting \"scim_dialect\": "), "{}", refused.message);
    let rule = json!({ "type": "JwtRule", "name": "open", "issuer": "https://idp.example.com", "serviceAccount": "okta" });
    assert!(with(rule).message.starts_with("JwtRule \"open\": "));
    let unknown = json!({ "type": "RoleAssignment", "identifier": "x", "roleIdentifier": "none", "serviceAccount": "okta" });
    assert_eq!(with(unknown).status, 400);
}

#[test]
fn nobody_brings_in_more_than_he_has() {
    let may = |permissions: &[P]| brought(&new(), &lines(), permissions.iter().copied().collect());
    let refused = may(&[P::ServiceAccountEdit, P::RoleEdit, P::SettingEdit]).unwrap_err();
    assert_eq!(refused.status, 403, "a role with a permission that the caller lacks: {}", refused.message);
    assert_eq!(may(&[P::RoleEdit, P::UserView, P::SettingEdit]).unwrap_err().status, 403);
    assert!(may(&[P::ServiceAccountEdit, P::RoleEdit, P::SettingEdit, P::UserView]).is_ok());
}

#[test]
fn an_export_has_what_its_caller_may_see_and_no_secret() {
    let mut document = brought(&new(), &lines(), Permissions::all()).unwrap();
    let secret = json!({ "value": "v1.sealed", "lastModifiedAt": 1 });
    document.settings.insert("scim_origin_authorization".into(), serde_json::from_value(secret).unwrap());
    let types = |permissions: &[P]| {
        let lines = export(&document, permissions.iter().copied().collect());
        lines.iter().map(|line| line["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(types(&[P::DirectoryExport]), Vec::<String>::new());
    assert_eq!(types(&[P::ServiceAccountView]), ["ServiceAccount"]);
    assert_eq!(types(&[P::RoleView]), ["Role", "RoleAssignment"]);
    assert_eq!(types(&[P::SettingView]), ["Setting", "Setting", "JwtRule"]);
    let all = Value::Array(export(&document, Permissions::all())).to_string();
    assert!(!all.contains("sealed"));
}
