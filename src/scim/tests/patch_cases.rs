//! `tests/cases/patch.json`: PATCH as the RFC has it and as clients write it. Runs natively and under
//! wasm-pack.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing)]

use scim_edge_scim::definitions::{GROUP, USER};
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::Error;
use scim_edge_scim::member_change::MemberChange;
use scim_edge_scim::patch::Patch;
use scim_edge_scim::schema::Schemas;
use scim_edge_scim::validate::Reader;
use serde_json::{Map, Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CASES: &str = include_str!("../../../tests/cases/patch.json");

/// A resource as stored: with its schemas, its members as objects.
fn stored(kind: Kind, written: &Value) -> Map<String, Value> {
    let mut resource = Map::new();
    let mut schemas = vec![json!(if kind == Kind::User { USER } else { GROUP })];
    schemas.extend(
        written.as_object().unwrap().keys().filter(|name| name.starts_with("urn:")).map(|name| json!(name)),
    );
    resource.insert("schemas".into(), Value::Array(schemas));
    for (name, value) in written.as_object().unwrap() {
        let value = match (name.as_str(), value) {
            ("members", Value::Array(ids)) => ids.iter().map(|id| json!({ "value": id })).collect(),
            (_, value) => value.clone(),
        };
        resource.insert(name.clone(), value);
    }
    resource
}

struct Case {
    name: String,
    kind: Kind,
    dialect: Dialect,
    start: Map<String, Value>,
    expected: Result<Map<String, Value>, String>,
    body: Map<String, Value>,
}

fn cases() -> Vec<Case> {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let read = |case: &Value| {
        let group = case.get("group").is_some() || case["kind"] == "Group";
        let (kind, plain) = if group {
            (Kind::Group, json!({ "displayName": "g" }))
        } else {
            (Kind::User, json!({ "userName": "a" }))
        };
        let expected = match case["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(stored(kind, &case[if group { "group" } else { "user" }])),
        };
        let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": case["ops"] });
        Case {
            name: case["name"].as_str().unwrap().to_owned(),
            kind,
            dialect: if case["strict"] == true { Dialect::Strict } else { Dialect::Tolerant },
            start: stored(kind, case.get("start").unwrap_or(&plain)),
            expected,
            body: body.as_object().unwrap().clone(),
        }
    };
    cases.iter().map(read).collect()
}

fn run(case: &Case, schemas: &Schemas) -> Result<Map<String, Value>, Error> {
    let reader = Reader { schemas, kind: case.kind, dialect: case.dialect };
    Patch::parse(&case.body, case.dialect)?.apply(&reader, &case.start)
}

#[test]
fn patches_do_what_they_say() {
    let schemas = Schemas::default();
    for case in cases() {
        let found = run(&case, &schemas)
            .map_err(|error| error.scim_type.map(|t| t.as_str().to_owned()).unwrap_or_default());
        assert_eq!(found, case.expected, "{}", case.name);
    }
}

#[test]
fn a_patch_twice_is_a_patch_once() {
    let schemas = Schemas::default();
    for case in cases() {
        let Ok(once) = run(&case, &schemas) else { continue };
        let again = Case { start: once.clone(), expected: Ok(once.clone()), ..case };
        // A value path finds nothing once it has taken away what it named; all else is as before.
        if let Ok(twice) = run(&again, &schemas) {
            assert_eq!(twice, once, "{}", again.name);
        }
    }
}

#[test]
fn changes_of_members_alone_agree_with_the_whole() {
    let schemas = Schemas::default();
    let mut compared = 0;
    for case in cases().into_iter().filter(|case| case.kind == Kind::Group) {
        let reader = Reader { schemas: &schemas, kind: case.kind, dialect: case.dialect };
        let Ok(patch) = Patch::parse(&case.body, case.dialect) else { continue };
        let (Some(changes), Ok(whole)) = (patch.member_changes(&reader), &case.expected) else { continue };
        let ids = |resource: &Map<String, Value>| -> Vec<String> {
            let members = resource.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
            members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
        };
        let mut members = ids(&case.start);
        for change in changes {
            match change {
                MemberChange::Add(new) => {
                    for member in new {
                        let id = member["value"].as_str().unwrap().to_owned();
                        if !members.contains(&id) {
                            members.push(id);
                        }
                    }
                }
                MemberChange::Remove(gone) => members.retain(|id| !gone.contains(id)),
                MemberChange::Clear => members.clear(),
            }
        }
        assert_eq!(members, ids(whole), "{}", case.name);
        compared += 1;
    }
    assert!(compared >= 8, "{compared}");
}

/// Damaged bodies: refused or applied, never a panic. `SCIM_EDGE_FUZZ` sets how many.
#[test]
fn damaged_bodies_do_no_harm() {
    let rounds: usize = std::env::var("SCIM_EDGE_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000);
    let schemas = Schemas::default();
    let texts: Vec<String> =
        cases().iter().map(|case| Value::Object(case.body.clone()).to_string()).collect();
    let mut state = 0x5c1a_5eed_u64;
    let mut random = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % limit.max(1) as u64).unwrap()
    };
    for _ in 0..rounds {
        let mut text = texts[random(texts.len())].clone().into_bytes();
        for _ in 0..1 + random(4) {
            let place = random(text.len());
            match random(3) {
                0 => text[place] = b"\"[]{}:,.e0 \\"[random(12)],
                1 => {
                    text.remove(place);
                }
                _ => {
                    let other = texts[random(texts.len())].as_bytes();
                    text.splice(place..place, other[..random(other.len())].iter().copied());
                }
            }
        }
        let limits = scim_edge_json::Limits { bytes: 1 << 20, depth: 32 };
        let Ok(body) = scim_edge_json::parse_object(&text, limits) else { continue };
        for kind in Kind::ALL {
            for dialect in [Dialect::Tolerant, Dialect::Strict] {
                let reader = Reader { schemas: &schemas, kind, dialect };
                let start = stored(kind, &json!({ "userName": "a", "displayName": "g" }));
                let _ = reader.create(&body);
                let _ = reader.replace(&body, &start);
                if let Ok(patch) = Patch::parse(&body, dialect) {
                    let _ = patch.member_changes(&reader);
                    let _ = patch.apply(&reader, &start);
                }
            }
        }
    }
}
