//! The admin API in the reference system's shapes, good calls and bad ones.
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

use scim_edge_account::document::Document;
use scim_edge_account::published::{BrakeSettings, Published};
use scim_edge_account::secret::SealKeys;
use scim_edge_account::setting;
use scim_edge_policy::credentials::ApiKey;
use scim_edge_policy::mode::Mode;
use scim_edge_policy::permission::{Permission, Permissions, built_in_role};
use serde_json::{Value, json};
use support::{Account, NOW, SEAL_KEY};

#[test]
fn settings_have_the_references_shape() {
    let mut account = Account::new();
    let list = account.ok(
        "GET",
        "/ng/api/settings?category=SCIM&group=scim_jwt_token_configuration_g1",
        Value::Null,
    );
    assert_eq!(list.as_array().unwrap().len(), 4);
    assert_eq!(
        list[1],
        json!({ "setting": { "identifier": "scim_jwt_token_key_field", "name": "SCIM JWT token Key field",
            "orgIdentifier": null, "projectIdentifier": null, "category": "SCIM",
            "groupIdentifier": "scim_jwt_token_configuration_g1", "valueType": "String", "allowedValues": null,
            "allowOverrides": false, "value": null, "defaultValue": null, "settingSource": "DEFAULT",
            "isSettingEditable": true, "allowedScopes": ["ACCOUNT"] }, "lastModifiedAt": null })
    );
    let body = json!([{ "identifier": "scim_jwt_token_key_field", "value": "sub", "allowOverrides": false, "updateType": "UPDATE" }]);
    let data = account.ok("PUT", "/ng/api/settings", body);
    assert_eq!(
        (&data[0]["updateStatus"], &data[0]["errorMessage"], &data[0]["lastModifiedAt"]),
        (&json!(true), &Value::Null, &json!(NOW))
    );
    assert_eq!(
        (&data[0]["setting"]["value"], &data[0]["setting"]["settingSource"]),
        (&json!("sub"), &json!("ACCOUNT"))
    );
    let one = account.ok("GET", "/ng/api/settings/scim_jwt_token_key_field", Value::Null);
    assert_eq!(one, json!({ "valueType": "String", "value": "sub" }));
    account.refused(404, "ENTITY_NOT_FOUND", "GET", "/ng/api/settings/nothing", Value::Null);
    account.ok(
        "PUT",
        "/ng/api/settings",
        json!([{ "identifier": "scim_jwt_token_key_field", "updateType": "RESTORE" }]),
    );
    assert_eq!(
        account.ok("GET", "/ng/api/settings/scim_jwt_token_key_field", Value::Null)["value"],
        Value::Null
    );
}

#[test]
fn each_change_of_a_batch_stands_alone() {
    let mut account = Account::new();
    let data = account.ok(
        "PUT",
        "/ng/api/settings",
        json!([
            { "identifier": "scim_jwt_token_key_field", "value": "sub", "updateType": "UPDATE" },
            { "identifier": "scim_jwt_token_service_account_id", "value": "ghost", "updateType": "UPDATE" },
            { "identifier": "no_such_setting", "value": "x", "updateType": "UPDATE" },
            { "identifier": "scim_jwt_token_value_field", "value": "V", "updateType": "UPSERT" },
        ]),
    );
    let errors: Vec<Option<&str>> =
        data.as_array().unwrap().iter().map(|one| one["errorMessage"].as_str()).collect();
    assert_eq!(errors[0], None);
    assert_eq!(errors[1], Some("service account \"ghost\" does not exist in this account"));
    assert_eq!(
        errors[2],
        Some("Setting [no_such_setting] is either invalid or is not applicable in scope [ACCOUNT]")
    );
    assert_eq!(errors[3], Some("updateType must be UPDATE or RESTORE"));
    assert_eq!(account.document.settings.len(), 1);
    let body = json!([{ "identifier": "scim_jwt_token_key_field", "value": "x", "updateType": "UPDATE" }]);
    let data = account.ok("PUT", "/ng/api/settings?orgIdentifier=o", body);
    assert_eq!(
        data[0]["errorMessage"],
        "Setting- SCIM JWT token Key field cannot be overridden at the current scope"
    );
}

#[test]
fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let mut account = Account::new();
    let before = account.document.clone();
    let changes = json!([
        { "identifier": setting::DIALECT, "value": "strict", "updateType": "UPDATE" },
        { "identifier": setting::CLOCK_SKEW, "value": "301", "updateType": "UPDATE" },
    ]);
    let (status, body) = account.call("PUT", "/ng/api/settings?accountIdentifier=ACC&dryRun=true", changes);
    assert_eq!((status, &body["data"][0]["updateStatus"]), (200, &json!(true)));
    assert_eq!(body["data"][1]["errorMessage"], "the value must be a whole number from 0 to 300");
    assert_eq!(account.document, before);
}

#[test]
fn values_are_checked() {
    let mut account = Account::new();
    account.service_account("sa");
    for (identifier, value, good) in [
        (setting::JWKS_URL, json!("https://idp.example.com/keys"), true),
        (setting::JWKS_URL, json!("http://idp.example.com/keys"), false),
        (setting::JWKS_URL, json!("https://169.254.169.254/"), false),
        (setting::JWKS_URL, json!("http://127.0.0.1/keys"), false),
        (setting::ORIGIN_URL, json!("https://origin.example.com/scim/v2"), true),
        (setting::ORIGIN_URL, json!("https://origin.example.com/scim?x=1"), false),
        (setting::SERVICE_ACCOUNT, json!("sa"), true),
        (setting::SERVICE_ACCOUNT, json!("SA"), false),
        (setting::ALGORITHMS, json!("RS256, ES256"), true),
        (setting::ALGORITHMS, json!("HS256"), false),
        (setting::ALGORITHMS, json!(","), false),
        (setting::CLOCK_SKEW, json!("0"), true),
        (setting::CLOCK_SKEW, json!(300), true),
        (setting::CLOCK_SKEW, json!("301"), false),
        (setting::CLOCK_SKEW, json!("-1"), false),
        (setting::CLOCK_SKEW, json!("1.5"), false),
        (setting::MAX_STALENESS, json!("29"), false),
        (setting::WHEN_STALE, json!("forward"), true),
        (setting::WHEN_STALE, json!("perhaps"), false),
        (setting::DIALECT, json!("strict"), true),
        (setting::KEY_FIELD, json!(""), false),
        (setting::KEY_FIELD, json!("x".repeat(5000)), false),
        (setting::KEY_FIELD, json!({}), false),
        (setting::ORIGIN_AUTHORIZATION, json!("Bearer ümlaut"), false),
    ] {
        let problem = account.set(identifier, value.clone());
        assert_eq!(problem.is_none(), good, "{identifier} = {value}: {problem:?}");
    }
    account.development = true;
    assert_eq!(account.set(setting::JWKS_URL, json!("http://127.0.0.1:9/keys")), None);
}

#[test]
fn a_key_set_of_many_tenants_needs_its_tenant() {
    let mut account = Account::new();
    let shared = json!("https://login.microsoftonline.com/common/discovery/v2.0/keys");
    assert!(account.set(setting::JWKS_URL, shared.clone()).is_some());
    account.set(setting::ISSUER, json!("https://sts.windows.net/t/"));
    assert_eq!(account.set(setting::JWKS_URL, shared.clone()), None);
    let data = account.ok(
        "PUT",
        "/ng/api/settings",
        json!([{ "identifier": setting::ISSUER, "updateType": "RESTORE" }]),
    );
    assert_eq!(data[0]["updateStatus"], false, "the issuer cannot be taken away again");
    // In one call, in any order.
    let mut other = Account::new();
    let data = other.ok(
        "PUT",
        "/ng/api/settings",
        json!([
        { "identifier": setting::JWKS_URL, "value": shared, "updateType": "UPDATE" },
        { "identifier": setting::KEY_FIELD, "value": "tid", "updateType": "UPDATE" } ]),
    );
    assert_eq!((&data[0]["updateStatus"], &data[1]["updateStatus"]), (&json!(true), &json!(true)));
}

#[test]
fn an_origin_is_no_account_of_this_gateway() {
    let mut account = Account::new();
    for own in [
        "https://scim.example.com/ng/api/scim/account/ACC",
        "https://SCIM.example.com:443/gateway/ng/api/scim/account/other",
    ] {
        let refused = account.set(setting::ORIGIN_URL, json!(own)).unwrap();
        assert!(refused.contains("account of this gateway"), "{refused}");
    }
    assert_eq!(account.set(setting::ORIGIN_URL, json!("https://scim.example.com/scim/v2")), None);
}

#[test]
fn secrets_are_sealed_and_never_shown() {
    let mut account = Account::new();
    assert_eq!(account.set(setting::ORIGIN_URL, json!("https://a.example.com/scim")), None);
    assert_eq!(account.set(setting::ORIGIN_AUTHORIZATION, json!("Bearer s3cret")), None);
    assert_eq!(
        account.ok("GET", "/ng/api/settings/scim_origin_authorization", Value::Null)["value"],
        "******"
    );
    assert!(!account.document.to_json().contains("s3cret"));
    let sealed = Published::of(&account.document).directory.origin_authorization.unwrap();
    let keys = SealKeys { current: SEAL_KEY, previous: None };
    let opened = keys.open_for("ACC", setting::ORIGIN_AUTHORIZATION, "https://a.example.com/scim", &sealed);
    assert_eq!(opened.as_deref(), Some("Bearer s3cret"));
    account.set(setting::ORIGIN_AUTHORIZATION, json!("passthrough"));
    assert_eq!(
        account.ok("GET", "/ng/api/settings/scim_origin_authorization", Value::Null)["value"],
        "passthrough"
    );
}

#[test]
fn service_accounts_roles_and_keys() {
    let mut account = Account::new();
    account.service_account("sa");
    account.refused(
        409,
        "DUPLICATE_FIELD",
        "POST",
        "/ng/api/serviceaccount",
        json!({ "identifier": "sa", "name": "x" }),
    );
    for bad in ["1a", "a-b", "", "a b", &"a".repeat(129)] {
        account.refused(
            400,
            "INVALID_REQUEST",
            "POST",
            "/ng/api/serviceaccount",
            json!({ "identifier": bad, "name": "x" }),
        );
    }
    account.refused(
        400,
        "INVALID_REQUEST",
        "PUT",
        "/ng/api/serviceaccount/sa",
        json!({ "identifier": "sa", "name": "x", "email": "other@x" }),
    );
    let assign = |role: &str| json!({ "roleIdentifier": role, "principal": { "identifier": "sa", "type": "SERVICE_ACCOUNT" } });
    let data = account.ok("POST", "/authz/api/roleassignments", assign("_scim_provisioner"));
    assert_eq!(data["roleAssignment"]["principal"], json!({ "identifier": "sa", "type": "SERVICE_ACCOUNT" }));
    account.refused(400, "INVALID_REQUEST", "POST", "/authz/api/roleassignments", assign("nothing"));
    let key = account.ok(
        "POST",
        "/ng/api/token",
        json!({ "apiKeyType": "SERVICE_ACCOUNT", "parentIdentifier": "sa" }),
    );
    let key = key.as_str().unwrap().to_owned();
    assert!(
        key.starts_with("sat.ACC.") && !account.document.to_json().contains(key.rsplit('.').next().unwrap())
    );
    let published = Published::of(&account.document);
    let holder = published.authenticate(&ApiKey::parse(&key).unwrap(), NOW).unwrap();
    assert_eq!(holder.permissions, built_in_role("_scim_provisioner").unwrap());
    let forged = format!("{}x", key);
    assert_eq!(published.authenticate(&ApiKey::parse(&forged).unwrap(), NOW), None);
    assert_eq!(published.authenticate(&ApiKey::parse(&key.replace("sat.", "pat.")).unwrap(), NOW), None);
    let short = account.ok("POST", "/ng/api/token", json!({ "apiKeyType": "USER", "validTo": NOW + 10 }));
    let short = short.as_str().unwrap().to_owned();
    let published = Published::of(&account.document);
    assert!(published.authenticate(&ApiKey::parse(&short).unwrap(), NOW + 9).is_some());
    assert!(published.authenticate(&ApiKey::parse(&short).unwrap(), NOW + 10).is_none());
    account.refused(
        400,
        "INVALID_REQUEST",
        "POST",
        "/ng/api/token",
        json!({ "apiKeyType": "USER", "validTo": NOW }),
    );
    assert_eq!(account.ok("GET", "/ng/api/token", Value::Null).as_array().unwrap().len(), 2);
    // With the service account go its keys and assignments.
    account.ok("DELETE", "/ng/api/serviceaccount/sa", Value::Null);
    assert!(Published::of(&account.document).authenticate(&ApiKey::parse(&key).unwrap(), NOW).is_none());
    assert!(account.document.role_assignments.is_empty());
}

#[test]
fn nobody_grants_more_than_he_has() {
    let mut account = Account::new();
    account.service_account("sa");
    let own = json!({ "identifier": "keeper", "name": "Keeper", "permissions": ["core_role_edit", "core_user_view"] });
    account.ok("POST", "/authz/api/roles", own);
    account.permissions =
        Permissions::from_iter([Permission::RoleEdit, Permission::UserView, Permission::ApiKeyManage]);
    let admin = json!({ "roleIdentifier": "_account_admin", "principal": { "identifier": "sa", "type": "SERVICE_ACCOUNT" } });
    account.refused(403, "NG_ACCESS_DENIED", "POST", "/authz/api/roleassignments", admin);
    account.refused(403, "NG_ACCESS_DENIED", "POST", "/ng/api/token", json!({ "apiKeyType": "USER" }));
    account.refused(403, "NG_ACCESS_DENIED", "GET", "/ng/api/settings?category=SCIM", Value::Null);
    account.refused(403, "NG_ACCESS_DENIED", "PUT", "/ng/api/settings", json!([]));
    account.refused(
        403,
        "NG_ACCESS_DENIED",
        "POST",
        "/authz/api/roles",
        json!({ "identifier": "all", "name": "A", "permissions": ["core_setting_edit"] }),
    );
    account.refused(405, "METHOD_NOT_ALLOWED", "PATCH", "/ng/api/settings", Value::Null);
}

#[test]
fn the_stored_and_the_published_form_are_pinned() {
    let mut account = Account::new();
    account.service_account("sa");
    for (identifier, value) in [
        (setting::JWKS_URL, "https://idp.example.com/keys"),
        (setting::KEY_FIELD, "sub"),
        (setting::VALUE_FIELD, "V"),
        (setting::SERVICE_ACCOUNT, "sa"),
        (setting::ALGORITHMS, "RS256,ES256"),
        (setting::ORIGIN_URL, "https://origin.example.com/scim/"),
    ] {
        assert_eq!(account.set(identifier, json!(value)), None);
    }
    let published: Value = serde_json::from_str(&Published::of(&account.document).to_json()).unwrap();
    assert_eq!(
        published,
        json!({
            "format": 1, "account": "ACC", "version": 1_795_000_000_007_u64,
            "rules": [{ "name": "default", "jwksUrl": "https://idp.example.com/keys", "algorithms": ["RS256", "ES256"],
                "claims": [{ "field": "sub", "value": "V" }], "serviceAccount": "sa", "clockSkewSeconds": 30 }],
            "serviceAccounts": { "sa": [] }, "apiKeys": {},
            "directory": { "originUrl": "https://origin.example.com/scim", "maxStalenessSeconds": 900, "forwardWhenStale": false, "strict": false,
                "supplements": ["bulk", "patch", "etag", "sort", "filter", "cursor", "projection"],
                "dialectSupplement": true, "uniqueGroupNames": true },
        })
    );
    let mut older = published;
    older["directory"].as_object_mut().unwrap().remove("supplements");
    let read = Published::parse(&older.to_string()).unwrap();
    assert_eq!(read.directory, Published::of(&account.document).directory);
    let stored: Value = serde_json::from_str(&account.document.to_json()).unwrap();
    assert_eq!(stored["format"], 1);
    assert_eq!(
        stored["serviceAccounts"]["sa"],
        json!({ "identifier": "sa", "name": "N", "email": "sa@service.ACC.invalid", "description": "", "tags": {} })
    );
    assert_eq!(Document::parse(&account.document.to_json()), Some(account.document.clone()));
    let newer = account.document.to_json().replace("\"format\":1", "\"format\":2");
    assert_eq!(Document::parse(&newer), None);
}

#[test]
fn random_bodies_are_refused_in_good_order() {
    let mut account = Account::new();
    account.service_account("sa");
    let values = [
        json!(null),
        json!(7),
        json!("x"),
        json!([]),
        json!({}),
        json!([{}]),
        json!([[]]),
        json!({ "identifier": [] }),
        json!({ "principal": 1 }),
        json!([{ "identifier": 1 }]),
    ];
    for path in [
        "/ng/api/settings",
        "/ng/api/serviceaccount",
        "/authz/api/roles",
        "/authz/api/roleassignments",
        "/ng/api/token",
        "/ng/api/serviceaccount/sa",
    ] {
        for method in ["POST", "PUT"] {
            for value in &values {
                let (status, _) = account.call(method, path, value.clone());
                assert!(matches!(status, 200 | 400 | 405), "{method} {path} {value}: {status}");
            }
        }
    }
}

#[test]
fn named_rules() {
    let mut account = Account::new();
    account.service_account("sa");
    let path = |name: &str| format!("/ng/api/settings/jwt-rules/{name}");
    let rule = |more: Value| {
        let mut rule = json!({ "jwksUrl": "https://idp.example.com/keys", "serviceAccount": "sa",
            "claims": [{ "field": "sub", "value": "x" }] });
        for (name, value) in more.as_object().unwrap() {
            rule[name] = value.clone();
        }
        rule
    };
    let made =
        account.ok("PUT", &path("okta"), rule(json!({ "tokenTypes": ["at+jwt"], "clockSkewSeconds": 0 })));
    assert_eq!((&made["name"], &made["clockSkewSeconds"]), (&json!("okta"), &json!(0)));
    assert_eq!(account.ok("GET", &path("okta"), Value::Null), made);
    assert_eq!(account.ok("GET", "/ng/api/settings/jwt-rules", Value::Null), json!([made]));
    // What was shown can be put back.
    assert_eq!(account.ok("PUT", &path("okta"), made.clone()), made);
    // Keys within the rule: only what checks a signature is kept.
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "k" });
    let inline = json!({ "jwks": { "keys": [key, { "kty": "oct" }] }, "serviceAccount": "sa",
        "issuer": "https://idp.example.com", "audiences": ["scim"] });
    let shown = account.ok("PUT", &path("inline"), inline);
    assert_eq!(shown["jwks"]["keys"].as_array().unwrap().len(), 1);
    for (member, value) in [("d", "c2VjcmV0"), ("k", "c2VjcmV0")] {
        let mut exposed = key.clone();
        exposed[member] = json!(value);
        let body = json!({ "jwks": { "keys": [key, exposed] }, "serviceAccount": "sa",
            "claims": [{ "field": "sub", "value": "x" }] });
        let answer = account.refused(400, "INVALID_REQUEST", "PUT", &path("exposed"), body);
        assert!(answer["message"].as_str().unwrap().contains("private half"), "{answer}");
        assert!(!answer.to_string().contains(value));
    }
    // The issuer alone says where the keys are.
    let discovered =
        json!({ "issuer": "https://idp.example.com", "audiences": ["scim"], "serviceAccount": "sa" });
    account.ok("PUT", &path("discovered"), discovered);
    let published: Value = serde_json::from_str(&Published::of(&account.document).to_json()).unwrap();
    let names: Vec<&str> =
        published["rules"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["discovered", "inline", "okta"]);
    for (field, more) in [
        ("jwksUrl", json!({ "jwksUrl": "http://idp.example.com/keys" })),
        ("jwksUrl", json!({ "jwksUrl": "https://10.0.0.1/keys" })),
        ("jwksUrl", json!({ "jwksUrl": null })),
        ("claims", json!({ "jwksUrl": "https://login.microsoftonline.com/common/discovery/v2.0/keys" })),
        ("jwks", json!({ "jwks": { "keys": [key] } })),
        ("jwks", json!({ "jwksUrl": null, "jwks": { "keys": [] } })),
        ("issuer", json!({ "jwksUrl": null, "issuer": "idp" })),
        ("serviceAccount", json!({ "serviceAccount": "nobody" })),
        ("claims", json!({ "claims": [] })),
        ("claims", json!({ "claims": [{ "field": "sub" }] })),
        ("claims", json!({ "claims": [{ "field": "", "value": "x" }] })),
        ("algorithms", json!({ "algorithms": ["HS256"] })),
        ("tokenTypes", json!({ "tokenTypes": ["dpop+jwt"] })),
        ("clockSkewSeconds", json!({ "clockSkewSeconds": 301 })),
        ("maxLifetimeSeconds", json!({ "maxLifetimeSeconds": "600" })),
        ("isuer", json!({ "isuer": "https://idp.example.com" })),
        ("name", json!({ "name": "other" })),
    ] {
        let answer = account.refused(400, "INVALID_REQUEST", "PUT", &path("bad"), rule(more.clone()));
        assert_eq!(answer["errors"][0]["fieldId"], field, "{more}: {answer}");
    }
    for name in ["default", "Okta", "a.b"] {
        account.refused(400, "INVALID_REQUEST", "PUT", &path(name), rule(json!({})));
    }
    account.refused(404, "ENTITY_NOT_FOUND", "GET", &path("none"), Value::Null);
    account.refused(405, "METHOD_NOT_ALLOWED", "POST", &path("okta"), rule(json!({})));
    account.ok("DELETE", &path("okta"), Value::Null);
    account.refused(404, "ENTITY_NOT_FOUND", "DELETE", &path("okta"), Value::Null);
    for n in 0..18 {
        account.ok("PUT", &path(&format!("rule{n}")), rule(json!({})));
    }
    account.refused(400, "INVALID_REQUEST", "PUT", &path("one-more"), rule(json!({})));
    account.permissions = built_in_role("_scim_provisioner").unwrap();
    account.refused(403, "NG_ACCESS_DENIED", "PUT", &path("rule1"), rule(json!({})));
}

#[test]
fn a_dry_run_of_any_call_stores_nothing_and_of_a_key_is_refused() {
    let mut account = Account::new();
    account.service_account("sa");
    let assignment = json!({ "roleIdentifier": "_scim_provisioner", "principal": { "identifier": "sa", "type": "SERVICE_ACCOUNT" } });
    let made = account.ok("POST", "/authz/api/roleassignments", assignment.clone());
    let assigned =
        format!("/authz/api/roleassignments/{}", made["roleAssignment"]["identifier"].as_str().unwrap());
    let rule = json!({ "jwksUrl": "https://idp.example.com/keys", "serviceAccount": "sa",
        "claims": [{ "field": "sub", "value": "x" }] });
    account.ok("PUT", "/ng/api/settings/jwt-rules/kept", rule.clone());
    let role = json!({ "identifier": "r", "name": "R", "permissions": [] });
    account.ok("POST", "/authz/api/roles", role.clone());
    let before = account.document.clone();
    let setting = json!([{ "identifier": setting::DIALECT, "value": "strict", "updateType": "UPDATE" }]);
    for (method, path, body) in [
        ("PUT", "/ng/api/settings", setting),
        ("PUT", "/ng/api/settings/jwt-rules/new", rule.clone()),
        ("PUT", "/ng/api/settings/jwt-rules/kept", rule),
        ("DELETE", "/ng/api/settings/jwt-rules/kept", Value::Null),
        ("POST", "/ng/api/serviceaccount", json!({ "identifier": "new", "name": "N" })),
        ("PUT", "/ng/api/serviceaccount/sa", json!({ "identifier": "sa", "name": "M" })),
        ("DELETE", "/ng/api/serviceaccount/sa", Value::Null),
        ("POST", "/authz/api/roles", json!({ "identifier": "new", "name": "R", "permissions": [] })),
        ("PUT", "/authz/api/roles/r", role),
        ("DELETE", "/authz/api/roles/r", Value::Null),
        ("POST", "/authz/api/roleassignments", assignment),
        ("DELETE", &assigned, Value::Null),
    ] {
        for query in ["dryRun=true", "dryrun=true", "dryRun=false&dryRun=true"] {
            account.ok(method, &format!("{path}?{query}"), body.clone());
            assert_eq!(account.document, before, "{method} {path}?{query}");
        }
        for query in ["dryRun=1", "dryRun=", "dryRun=True"] {
            let target = format!("{path}?{query}");
            let answer = account.refused(400, "INVALID_REQUEST", method, &target, body.clone());
            assert_eq!(answer["errors"][0]["fieldId"], "dryRun", "{target}");
        }
    }
    let minted = json!({ "apiKeyType": "SERVICE_ACCOUNT", "parentIdentifier": "sa" });
    account.refused(400, "INVALID_REQUEST", "POST", "/ng/api/token?dryRun=true", minted.clone());
    account.ok("POST", "/ng/api/token?dryRun=false", minted);
}

#[test]
fn a_setting_is_changed_with_the_permission_that_it_names() {
    let change = |identifier: &str, value: Value| json!({ "identifier": identifier, "value": value, "updateType": "UPDATE" });
    let retention = || change(setting::AUDIT_RETENTION, json!("1"));
    let dialect = || change(setting::DIALECT, json!("strict"));
    let mut account = Account::new();
    account.permissions = Permissions::from_iter([Permission::SettingEdit]);
    let answer = account.refused(403, "NG_ACCESS_DENIED", "PUT", "/ng/api/settings", json!([retention()]));
    assert_eq!(answer["message"], "Missing permission scim_audit_manage");
    let restore = json!([{ "identifier": setting::AUDIT_RETENTION, "updateType": "RESTORE" }]);
    account.refused(403, "NG_ACCESS_DENIED", "PUT", "/ng/api/settings", restore);
    let both = account.ok("PUT", "/ng/api/settings", json!([retention(), dialect()]));
    assert_eq!(both[0]["errorMessage"], "Missing permission scim_audit_manage");
    assert_eq!(both[1]["updateStatus"], true);
    account.permissions = Permissions::from_iter([Permission::AuditManage]);
    account.refused(403, "NG_ACCESS_DENIED", "PUT", "/ng/api/settings", json!([dialect()]));
    let done = account.ok("PUT", "/ng/api/settings", json!([retention()]));
    assert_eq!((&done[0]["updateStatus"], &done[0]["setting"]["value"]), (&json!(true), &json!("1")));
    account.permissions = Permissions::all().iter().filter(|one| *one != Permission::SettingEdit).collect();
    account.refused(403, "NG_ACCESS_DENIED", "PUT", "/ng/api/settings", json!([dialect()]));
}

#[test]
fn defaults_of_an_account_are_those_it_was_made_with() {
    let mut account = Account::new();
    account.service_account("sa");
    let names = setting::definition(setting::GROUP_NAMES).unwrap();
    assert_eq!(account.document.effective(names), Some("unique"));
    assert!(Published::of(&account.document).directory.unique_group_names);
    // A document of an earlier version says nothing of its defaults.
    let mut older: Value = serde_json::from_str(&account.document.to_json()).unwrap();
    assert_eq!(older.as_object_mut().unwrap().remove("defaults"), Some(json!(1)));
    account.document = scim_edge_account::document::Document::parse(&older.to_string()).unwrap();
    assert_eq!(account.document.effective(names), Some("any"));
    assert!(!Published::of(&account.document).directory.unique_group_names);
    assert_eq!(account.set(setting::GROUP_NAMES, json!("unique")), None);
    assert!(Published::of(&account.document).directory.unique_group_names);
    assert_eq!(account.set(setting::UNKNOWN_MEMBERS, json!("ignore")), None);
    assert!(account.set(setting::UNKNOWN_MEMBERS, json!("drop")).is_some());
    let published = Published::of(&account.document);
    assert_eq!(Published::parse(&published.to_json()).unwrap(), published);
    assert_eq!(published.directory.unknown_members, scim_edge_scim::dialect::UnknownMembers::Ignore);
}

#[test]
fn the_dialect_is_a_supplement_that_earlier_documents_do_not_name() {
    use scim_edge_account::supplement::Supplement;
    let mut account = Account::new();
    let adds = |account: &Account| Published::of(&account.document).directory.adds(Supplement::Dialect);
    assert!(adds(&account));
    account.set(setting::SUPPLEMENTS, json!("etag, projection"));
    assert!(!adds(&account));
    account.set(setting::SUPPLEMENTS, json!("dialect"));
    assert!(adds(&account));
    // Earlier readers know no such supplement, and would not read a document that has it.
    let mut told: Value = serde_json::from_str(&Published::of(&account.document).to_json()).unwrap();
    assert_eq!(told["directory"]["supplements"], json!([]));
    told["directory"].as_object_mut().unwrap().remove("dialectSupplement");
    assert!(!Published::parse(&told.to_string()).unwrap().directory.adds(Supplement::Dialect));
    told["directory"]["supplements"] = json!(["patch"]);
    assert!(Published::parse(&told.to_string()).unwrap().directory.adds(Supplement::Dialect));
}

#[test]
fn modes_take_away_and_are_given_back_by_whoever_has_as_much() {
    let mut account = Account::new();
    let body = |mode: &str| json!({ "identifier": "new_idp", "name": "N", "mode": mode });
    assert_eq!(account.ok("POST", "/ng/api/serviceaccount", body("shadow"))["mode"], "shadow");
    let role = json!({ "roleIdentifier": "_scim_provisioner", "principal": { "identifier": "new_idp", "type": "SERVICE_ACCOUNT" } });
    account.ok("POST", "/authz/api/roleassignments", role);
    let key = account.ok(
        "POST",
        "/ng/api/token",
        json!({ "apiKeyType": "SERVICE_ACCOUNT", "parentIdentifier": "new_idp" }),
    );
    let key = key.as_str().unwrap().to_owned();
    let provisioner = built_in_role("_scim_provisioner").unwrap();
    let path = "/ng/api/serviceaccount/new_idp";
    account.refused(400, "INVALID_REQUEST", "PUT", path, body("quiet"));
    // An edge that knows nothing of modes finds no such account, and no permission of its key.
    let published = Published::of(&account.document);
    assert!(published.service_accounts.is_empty());
    assert!(published.api_keys.values().all(|key| key.permissions == Permissions::NONE));
    let published = Published::parse(&published.to_json()).unwrap();
    let holder = published.authenticate(&ApiKey::parse(&key).unwrap(), NOW).unwrap();
    assert_eq!((holder.permissions, holder.mode), (provisioner, Mode::Shadow));
    // What says nothing of the mode leaves it.
    let kept = account.ok("PUT", path, json!({ "identifier": "new_idp", "name": "Other" }));
    assert_eq!(kept["mode"], "shadow");
    // Editing service accounts is enough to restrict, and not to lift what one does not have oneself.
    account.permissions = Permissions::from_iter([Permission::ServiceAccountEdit]);
    for mode in ["normal", "append-only"] {
        account.refused(403, "NG_ACCESS_DENIED", "PUT", path, body(mode));
    }
    account.permissions = account.permissions.union(provisioner);
    assert_eq!(account.ok("PUT", path, body("append-only"))["mode"], "append-only");
    assert_eq!(account.ok("PUT", path, body("normal"))["mode"], "normal");
    account.permissions = Permissions::from_iter([Permission::ServiceAccountEdit]);
    assert_eq!(account.ok("PUT", path, body("append-only"))["mode"], "append-only");
    account.permissions = Permissions::all();
    account.ok("PUT", path, body("normal"));
    let published = Published::of(&account.document);
    assert_eq!(published.service_account("new_idp"), Some((provisioner, Mode::Normal)));
    // Whoever is in a mode himself changes nothing here, and reads.
    for mode in [Mode::AppendOnly, Mode::Shadow] {
        account.mode = mode;
        let refused = account.refused(403, "NG_ACCESS_DENIED", "PUT", path, body("normal"));
        assert!(refused["message"].as_str().unwrap().contains(mode.name()));
        account.refused(403, "NG_ACCESS_DENIED", "DELETE", path, Value::Null);
        account.ok("GET", path, Value::Null);
    }
    assert!(published.restricted.is_empty());
}

#[test]
fn the_brake_has_a_permission_of_its_own() {
    let mut account = Account::new();
    let brake = |account: &Account| Published::of(&account.document).directory.brake;
    assert_eq!(brake(&account), BrakeSettings::default());
    account.permissions = Permissions::from_iter([Permission::SettingEdit, Permission::SettingView]);
    for identifier in [setting::BRAKE_PER_HOUR, setting::BRAKE_PERCENT, setting::BRAKE_LEAST] {
        for change in [json!({ "updateType": "UPDATE", "value": "100" }), json!({ "updateType": "RESTORE" })]
        {
            let mut change = change;
            change["identifier"] = json!(identifier);
            account.refused(403, "NG_ACCESS_DENIED", "PUT", "/ng/api/settings", json!([change]));
        }
    }
    account.permissions = Permissions::all();
    for (identifier, bad) in
        [(setting::BRAKE_PER_HOUR, "none"), (setting::BRAKE_PERCENT, "101"), (setting::BRAKE_LEAST, "-1")]
    {
        assert!(account.set(identifier, json!(bad)).is_some(), "{identifier} {bad}");
    }
    assert_eq!(account.set(setting::BRAKE_PERCENT, json!(25)), None);
    assert_eq!(account.set(setting::BRAKE_PER_HOUR, json!("off")), None);
    let off = BrakeSettings { removals_per_hour: None, removals_percent: 25, least_resources: 50 };
    assert_eq!(brake(&account), off);
}
