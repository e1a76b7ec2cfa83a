//! Privileges: trust rules lend no more than their writers have, and the origin's secret stays with its origin.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

mod support;

use scim_edge_account::published::Published;
use scim_edge_account::secret::SealKeys;
use scim_edge_account::setting;
use scim_edge_policy::permission::{Permission, Permissions, built_in_role};
use serde_json::{Value, json};
use support::{Account, SEAL_KEY};

const SETTINGS: &str = "/ng/api/settings";
const RULE: &str = "/ng/api/settings/jwt-rules/okta";

fn update(identifier: &str, value: &str) -> Value {
    json!({ "identifier": identifier, "value": value, "updateType": "UPDATE" })
}

fn restore(identifier: &str) -> Value {
    json!({ "identifier": identifier, "updateType": "RESTORE" })
}

/// An account with a service account that may provision, one that may read users, and one that may do nothing.
fn account() -> Account {
    let mut account = Account::new();
    for (name, role) in
        [("admin", Some("_account_admin")), ("provisioner", Some("_scim_provisioner")), ("idle", None)]
    {
        account.service_account(name);
        if let Some(role) = role {
            let principal = json!({ "identifier": name, "type": "SERVICE_ACCOUNT" });
            let assignment = json!({ "roleIdentifier": role, "principal": principal });
            account.ok("POST", "/authz/api/roleassignments", assignment);
        }
    }
    account
}

fn default_rule(service_account: &str) -> Value {
    json!([
        update(setting::JWKS_URL, "https://idp.example.com/keys"),
        update(setting::KEY_FIELD, "sub"),
        update(setting::VALUE_FIELD, "client"),
        update(setting::SERVICE_ACCOUNT, service_account),
    ])
}

fn named_rule(service_account: &str, client: &str) -> Value {
    json!({ "jwksUrl": "https://idp.example.com/keys", "serviceAccount": service_account,
        "claims": [{ "field": "sub", "value": client }] })
}

#[test]
fn a_trust_rule_names_only_a_service_account_whose_permissions_its_writer_has() {
    let mut account = account();
    account.permissions = Permissions::from_iter([Permission::SettingEdit, Permission::SettingView]);
    account.refused(403, "NG_ACCESS_DENIED", "PUT", RULE, named_rule("provisioner", "x"));
    account.refused(403, "NG_ACCESS_DENIED", "PUT", SETTINGS, default_rule("provisioner"));
    account.ok("PUT", RULE, named_rule("idle", "x"));
    let made = account.ok("PUT", SETTINGS, default_rule("idle"));
    assert!(made.as_array().unwrap().iter().all(|one| one["updateStatus"] == true), "{made}");
    let provisioner = built_in_role("_scim_provisioner").unwrap();
    account.permissions = account.permissions.union(provisioner);
    account.ok("PUT", RULE, named_rule("provisioner", "x"));
    account.refused(403, "NG_ACCESS_DENIED", "PUT", RULE, named_rule("admin", "x"));
}

#[test]
fn a_trust_rule_is_changed_only_by_callers_with_the_permissions_that_it_lends() {
    let mut account = account();
    account.ok("PUT", RULE, named_rule("provisioner", "client"));
    account.ok("PUT", SETTINGS, default_rule("provisioner"));
    account.permissions = Permissions::from_iter([Permission::SettingEdit, Permission::SettingView]);
    // Keys, claims and the service account of an existing rule.
    account.refused(403, "NG_ACCESS_DENIED", "PUT", RULE, named_rule("provisioner", "mine"));
    account.refused(403, "NG_ACCESS_DENIED", "PUT", RULE, named_rule("idle", "mine"));
    let changes = [
        update(setting::JWKS_URL, "https://evil.example/keys"),
        update(setting::KEY_FIELD, "azp"),
        update(setting::VALUE_FIELD, "mine"),
        update(setting::SERVICE_ACCOUNT, "idle"),
        update(setting::ISSUER, "https://evil.example"),
        update(setting::AUDIENCE, "mine"),
        update(setting::ALGORITHMS, "ES256"),
        update(setting::CLOCK_SKEW, "300"),
        update(setting::MAX_LIFETIME, "31536000"),
        restore(setting::ISSUER),
        restore(setting::AUDIENCE),
        restore(setting::MAX_LIFETIME),
    ];
    for change in &changes {
        account.refused(403, "NG_ACCESS_DENIED", "PUT", SETTINGS, json!([change]));
        // Beside a change that is permitted, and beside one that takes the rule away.
        let both = account.ok("PUT", SETTINGS, json!([change, update(setting::DIALECT, "strict")]));
        assert_eq!(
            (&both[0]["updateStatus"], &both[1]["updateStatus"]),
            (&json!(false), &json!(true)),
            "{change}"
        );
        account.refused(
            403,
            "NG_ACCESS_DENIED",
            "PUT",
            SETTINGS,
            json!([restore(setting::KEY_FIELD), change]),
        );
    }
    assert_eq!(Published::of(&account.document).rules.len(), 2);
    // What takes a rule away grants nothing.
    account.ok("DELETE", RULE, Value::Null);
    let gone = account.ok("PUT", SETTINGS, json!([restore(setting::JWKS_URL)]));
    assert_eq!(gone[0]["updateStatus"], true);
    assert!(Published::of(&account.document).rules.is_empty());
    // Completing a rule needs its permissions too.
    account.refused(
        403,
        "NG_ACCESS_DENIED",
        "PUT",
        SETTINGS,
        json!([update(setting::JWKS_URL, "https://evil.example/")]),
    );
}

/// The `Authorization` that the gateway would send to its origin.
fn sent(account: &Account) -> Option<String> {
    let directory = Published::of(&account.document).directory;
    let (url, sealed) = (directory.origin_url?, directory.origin_authorization?);
    if sealed == setting::PASSTHROUGH {
        return Some(sealed);
    }
    let keys = SealKeys { current: SEAL_KEY, previous: None };
    keys.open_for("ACC", setting::ORIGIN_AUTHORIZATION, &url, &sealed)
}

#[track_caller]
fn outcomes(account: &mut Account, changes: Value, expected: &[bool]) {
    let answers = account.ok("PUT", SETTINGS, changes);
    let found: Vec<bool> =
        answers.as_array().unwrap().iter().map(|one| one["updateStatus"] == true).collect();
    assert_eq!(found, expected, "{answers}");
    assert!(!answers.to_string().contains("s3cret"));
}

#[test]
fn the_origins_secret_goes_to_its_origin_only() {
    let url = |text: &str| update(setting::ORIGIN_URL, text);
    let secret = |text: &str| update(setting::ORIGIN_AUTHORIZATION, text);
    for value in ["Bearer s3cret", "passthrough"] {
        let mut account = Account::new();
        outcomes(&mut account, json!([secret(value), url("https://a.example.com/scim")]), &[true, true]);
        assert_eq!(sent(&account).as_deref(), Some(value));
        for other in [
            "https://evil.example/scim",
            "https://a.example.com:8443/scim",
            "https://a.example.com.evil.example/",
        ] {
            outcomes(&mut account, json!([url(other)]), &[false]);
            // Not in two steps either.
            outcomes(&mut account, json!([restore(setting::ORIGIN_URL)]), &[true]);
            assert_eq!(sent(&account), None);
            outcomes(&mut account, json!([url(other)]), &[false]);
            outcomes(&mut account, json!([url("https://a.example.com/scim")]), &[true]);
            assert_eq!(sent(&account).as_deref(), Some(value));
        }
        // Another path of the same host, in any spelling of it.
        outcomes(&mut account, json!([url("https://A.example.com:443/v2")]), &[true]);
        assert_eq!(sent(&account).as_deref(), Some(value));
        // With its secret, in either order; without one.
        outcomes(
            &mut account,
            json!([url("https://b.example.com/"), secret("Bearer s3cret2")]),
            &[true, true],
        );
        assert_eq!(sent(&account).as_deref(), Some("Bearer s3cret2"));
        outcomes(&mut account, json!([secret("passthrough"), url("https://c.example.com/")]), &[true, true]);
        assert_eq!(sent(&account).as_deref(), Some("passthrough"));
        let without = json!([url("https://d.example.com/"), restore(setting::ORIGIN_AUTHORIZATION)]);
        outcomes(&mut account, without, &[true, true]);
        assert_eq!(sent(&account), None);
        outcomes(&mut account, json!([url("https://e.example.com/")]), &[true]);
    }
}

#[test]
fn a_secret_is_not_set_for_another_origin_than_the_one_it_came_with() {
    let mut account = Account::new();
    let url = |text: &str| update(setting::ORIGIN_URL, text);
    let secret = |text: &str| update(setting::ORIGIN_AUTHORIZATION, text);
    outcomes(&mut account, json!([secret("Bearer s3cret"), url("https://a.example.com/")]), &[true, true]);
    // A URL that is refused: the secret beside it was not meant for the old origin.
    let slip = json!([secret("Bearer s3cret2"), url("http://b.example.com/")]);
    outcomes(&mut account, slip, &[false, false]);
    assert_eq!(sent(&account).as_deref(), Some("Bearer s3cret"));
    // A secret that is refused: the old one does not go along.
    let slip = json!([url("https://b.example.com/"), secret("Bearer ümlaut")]);
    outcomes(&mut account, slip, &[false, false]);
    assert_eq!(sent(&account).as_deref(), Some("Bearer s3cret"));
    // Set while there was no origin, it is for none.
    let mut early = Account::new();
    outcomes(&mut early, json!([secret("Bearer s3cret")]), &[true]);
    outcomes(&mut early, json!([url("https://evil.example/")]), &[false]);
    assert_eq!(sent(&early), None);
    // A later secret takes the place of the one before it in a batch.
    let twice = json!([
        secret("Bearer s3cret"),
        url("https://a.example.com/"),
        restore(setting::ORIGIN_AUTHORIZATION)
    ]);
    outcomes(&mut early, twice, &[true, true, true]);
    assert_eq!(sent(&early), None);
}

#[test]
fn a_rule_that_compares_nothing_but_the_audience_is_answered_with_a_warning() {
    let mut account = account();
    let mut rule = named_rule("idle", "x");
    rule["claims"] = json!([{ "field": "aud", "value": "scim" }]);
    let (status, answer) = account.call("PUT", RULE, rule.clone());
    assert_eq!(status, 200);
    assert!(answer["metaData"]["warnings"][0].as_str().unwrap().contains("aud"), "{answer}");
    rule["issuer"] = json!("https://idp.example.com");
    let (_, answer) = account.call("PUT", RULE, rule);
    assert_eq!(answer["metaData"], Value::Null);
    let mut settings = default_rule("idle");
    settings[1] = update(setting::KEY_FIELD, "aud");
    let (_, answer) = account.call("PUT", SETTINGS, settings);
    assert_eq!(answer["metaData"]["warnings"].as_array().unwrap().len(), 1);
    let (_, answer) = account.call("PUT", SETTINGS, json!([update(setting::DIALECT, "strict")]));
    assert_eq!(answer["metaData"], Value::Null, "the rule is not this call's");
}

#[test]
fn hosts_where_anybody_gets_a_token_need_a_tenant_in_settings_and_rules() {
    let mut account = account();
    let github = "https://token.actions.githubusercontent.com/.well-known/jwks";
    let mut settings = default_rule("provisioner");
    settings[0] = update(setting::JWKS_URL, github);
    settings[1] = update(setting::KEY_FIELD, "job_workflow_ref");
    let answers = account.ok("PUT", SETTINGS, settings.clone());
    assert!(answers[0]["errorMessage"].as_str().unwrap().contains("repository_owner"), "{answers}");
    settings[1] = update(setting::KEY_FIELD, "repository");
    let answers = account.ok("PUT", SETTINGS, settings);
    assert!(answers.as_array().unwrap().iter().all(|one| one["updateStatus"] == true), "{answers}");
    // By discovery.
    let discovered = |claims: Value| {
        json!({ "issuer": "https://token.actions.githubusercontent.com", "audiences": ["scim"],
            "serviceAccount": "provisioner", "claims": claims })
    };
    let answer = account.refused(400, "INVALID_REQUEST", "PUT", RULE, discovered(json!([])));
    assert!(answer["message"].as_str().unwrap().contains("anybody can get a token"), "{answer}");
    account.ok("PUT", RULE, discovered(json!([{ "field": "repository_owner_id", "value": "1" }])));
}

#[test]
fn urls_are_stored_and_shown_as_they_were_parsed_and_blanks_of_settings_are_trimmed() {
    let mut account = account();
    let messy = " HTTPS://IDP.Example.com:443/a/../keys?x=y ";
    assert_eq!(account.set(setting::JWKS_URL, json!(messy)), None);
    let shown = account.ok("GET", "/ng/api/settings/scim_jwt_token_jwks_keys_url", Value::Null);
    assert_eq!(shown["value"], "https://idp.example.com/keys?x=y");
    assert_eq!(account.set(setting::ORIGIN_URL, json!("https://ORIGIN.example.com/scim/%7Ev2")), None);
    let origin = Published::of(&account.document).directory.origin_url.unwrap();
    assert_eq!(origin, "https://origin.example.com/scim/%7Ev2");
    let mut rule = named_rule("idle", " client ");
    rule["jwksUrl"] = json!(messy);
    rule["audiences"] = json!([" scim "]);
    let shown = account.ok("PUT", RULE, rule);
    assert_eq!(shown["jwksUrl"], "https://idp.example.com/keys?x=y");
    assert_eq!(shown["claims"], json!([{ "field": "sub", "value": "client" }]));
    assert_eq!(shown["audiences"], json!(["scim"]));
}

#[test]
fn granting_a_role_to_a_service_account_warns_of_the_rules_that_lend_it() {
    let mut account = account();
    // Written by a caller who may lend nothing, and does not yet.
    account.permissions = Permissions::from_iter([Permission::SettingEdit]);
    account.ok("PUT", RULE, named_rule("idle", "mine"));
    account.permissions = Permissions::all();
    let assignment = json!({ "roleIdentifier": "_scim_provisioner", "principal": { "identifier": "idle", "type": "SERVICE_ACCOUNT" } });
    let (status, answer) = account.call("POST", "/authz/api/roleassignments", assignment);
    assert_eq!(status, 200);
    assert!(answer["metaData"]["warnings"][0].as_str().unwrap().contains("rule okta lends"), "{answer}");
    let role = |permissions: Value| json!({ "identifier": "r", "name": "R", "permissions": permissions });
    account.ok("POST", "/authz/api/roles", role(json!([])));
    let none =
        json!({ "roleIdentifier": "r", "principal": { "identifier": "idle", "type": "SERVICE_ACCOUNT" } });
    let (_, answer) = account.call("POST", "/authz/api/roleassignments", none);
    assert_eq!(answer["metaData"], Value::Null);
    let (_, answer) = account.call("PUT", "/authz/api/roles/r", role(json!(["core_setting_edit"])));
    assert_eq!(answer["metaData"]["warnings"].as_array().unwrap().len(), 1);
}
