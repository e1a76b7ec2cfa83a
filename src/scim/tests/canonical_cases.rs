//! Canonical requests: for every case of `tests/cases/patch.json` and `validate.json`, a server that reads the
//! RFC only makes of the canonical form the same that the tolerant dialect makes of what the client sent.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{dialect, kind, schemas, stored};
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::ScimType;
use scim_edge_scim::patch::Patch;
use scim_edge_scim::schema::Schemas;
use scim_edge_scim::validate::Reader;
use serde_json::{Map, Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

fn cases(text: &str) -> Vec<Value> {
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    cases.into_iter().filter(|case| dialect(case) == Dialect::Tolerant).collect()
}

fn patch_body(ops: &Value) -> Map<String, Value> {
    json!({ "schemas": [SCHEMA], "Operations": ops }).as_object().unwrap().clone()
}

fn reader(schemas: &Schemas, kind: Kind, dialect: Dialect) -> Reader<'_> {
    Reader { schemas, kind, dialect }
}

#[test]
fn a_canonical_patch_does_what_was_meant() {
    let schemas = schemas();
    let (mut same, mut none_selected, mut by_state) = (0, 0, 0);
    for case in cases(include_str!("../../../tests/cases/patch.json")) {
        let name = &case["name"];
        let kind = kind(&case);
        let tolerant = reader(&schemas, kind, Dialect::Tolerant);
        let plain =
            if kind == Kind::Group { json!({ "displayName": "g" }) } else { json!({ "userName": "a" }) };
        let start = stored(kind, case.get("start").unwrap_or(&plain));
        let Ok(patch) = Patch::parse(&patch_body(&case["ops"]), Dialect::Tolerant) else { continue };
        let Ok(meant) = patch.apply(&tolerant, &start) else { continue };
        let Some(canonical) = patch.canonical(&tolerant).unwrap() else {
            by_state += 1;
            continue;
        };
        let body = canonical.to_json();
        let strict = reader(&schemas, kind, Dialect::Strict);
        let done = Patch::parse(body.as_object().unwrap(), Dialect::Strict)
            .and_then(|patch| patch.apply(&strict, &start));
        match done {
            Ok(done) => {
                assert_eq!(done, meant, "{name}: {body}");
                same += 1;
            }
            // A path that selects nothing is refused, and the gateway goes by the state of the resource.
            Err(error) if error.scim_type == Some(ScimType::NoTarget) => none_selected += 1,
            // What no schema has is left to the server.
            Err(error) => assert!(
                name.as_str().unwrap().contains("unknown")
                    || name.as_str().unwrap().contains("user's attribute"),
                "{name}: {error} for {body}"
            ),
        }
    }
    assert!(same > 100 && none_selected > 5 && by_state > 5, "{same} {none_selected} {by_state}");
}

#[test]
fn a_canonical_patch_is_its_own_canonical_form() {
    let schemas = schemas();
    for case in cases(include_str!("../../../tests/cases/patch.json")) {
        let tolerant = reader(&schemas, kind(&case), Dialect::Tolerant);
        let Ok(patch) = Patch::parse(&patch_body(&case["ops"]), Dialect::Tolerant) else { continue };
        let Ok(Some(canonical)) = patch.canonical(&tolerant) else { continue };
        let body = canonical.to_json();
        let again = Patch::parse(body.as_object().unwrap(), Dialect::Tolerant).unwrap();
        assert_eq!(again.canonical(&tolerant).unwrap().unwrap().to_json(), body, "{}", case["name"]);
    }
}

#[test]
fn a_canonical_body_is_what_was_meant() {
    let schemas = schemas();
    let mut compared = 0;
    for case in cases(include_str!("../../../tests/cases/validate.json")) {
        let body = case["body"].as_object().unwrap();
        let kind = kind(&case);
        let tolerant = reader(&schemas, kind, Dialect::Tolerant);
        let Ok(meant) = tolerant.create(body) else { continue };
        let canonical = tolerant.canonical(body).unwrap();
        let known = canonical.known.unwrap_or(canonical.body);
        let strict = reader(&schemas, kind, Dialect::Strict);
        assert_eq!(strict.create(&known), Ok(meant), "{}: {known:?}", case["name"]);
        compared += 1;
    }
    assert!(compared > 50, "{compared}");
}

#[test]
fn a_canonical_body_keeps_what_the_other_server_may_know() {
    let schemas = schemas();
    let tolerant = reader(&schemas, Kind::User, Dialect::Tolerant);
    let body = json!({ "userName": "a", "password": "p", "id": "1", "groups": [], "active": "False",
        "urn:x:y": { "b": 1 }, "nothing": null, "urn:example:badge:2.0:User": { "level": "3", "other": 1 } });
    let canonical = tolerant.canonical(body.as_object().unwrap()).unwrap();
    let (user, badge) = ("urn:ietf:params:scim:schemas:core:2.0:User", "urn:example:badge:2.0:User");
    let expected = json!({ "schemas": [user, badge, "urn:x:y"], "userName": "a", "password": "p", "id": "1",
        "active": false, "urn:x:y": { "b": 1 }, badge: { "level": 3, "other": 1 } });
    assert_eq!(Value::Object(canonical.body), expected);
    let known = json!({ "schemas": [user, badge], "userName": "a", "password": "p", "id": "1", "active": false,
        badge: { "level": 3 } });
    assert_eq!(Value::Object(canonical.known.unwrap()), known);
}
