//! `tests/cases/patch.json`: PATCH as the RFC has it and as clients write it. Runs natively and under
//! wasm-pack.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{dialect, expected, keyword, kind, schemas, stored};
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::Error;
use scim_edge_scim::member_change::{MemberChange, MemberPlan};
use scim_edge_scim::patch::Patch;
use scim_edge_scim::schema::Schemas;
use scim_edge_scim::validate::Reader;
use serde_json::{Map, Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CASES: &str = include_str!("../../../tests/cases/patch.json");

struct Case {
    name: String,
    once: bool,
    kind: Kind,
    dialect: Dialect,
    start: Map<String, Value>,
    expected: Result<Map<String, Value>, String>,
    body: Map<String, Value>,
}

fn cases() -> Vec<Case> {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let read = |case: &Value| {
        let kind = kind(case);
        let plain = json!(if kind == Kind::Group {
            json!({ "displayName": "g" })
        } else {
            json!({ "userName": "a" })
        });
        let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": case["ops"] });
        Case {
            name: case["name"].as_str().unwrap().to_owned(),
            kind,
            once: case["once"] == true,
            dialect: dialect(case),
            start: stored(kind, case.get("start").unwrap_or(&plain)),
            expected: expected(case),
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
    let schemas = schemas();
    for case in cases() {
        let found = run(&case, &schemas).map_err(keyword);
        assert_eq!(found, case.expected, "{}", case.name);
    }
}

#[test]
fn a_patch_twice_is_a_patch_once() {
    let schemas = schemas();
    for case in cases().into_iter().filter(|case| !case.once) {
        let Ok(once) = run(&case, &schemas) else { continue };
        let again = Case { start: once.clone(), expected: Ok(once.clone()), ..case };
        // A value path finds nothing once it has taken away what it named; all else is as before.
        if let Ok(twice) = run(&again, &schemas) {
            assert_eq!(twice, once, "twice: {}", again.name);
        }
    }
}

#[test]
fn changes_of_members_alone_agree_with_the_whole() {
    let schemas = schemas();
    let mut compared = 0;
    for case in cases().into_iter().filter(|case| case.kind == Kind::Group) {
        let reader = Reader { schemas: &schemas, kind: case.kind, dialect: case.dialect };
        let Ok(patch) = Patch::parse(&case.body, case.dialect) else { continue };
        let Some(plan) = patch.member_plan(&reader) else { continue };
        assert_eq!(by_plan(plan, &reader, &case.start), patch.apply(&reader, &case.start), "{}", case.name);
        compared += 1;
    }
    assert!(compared >= 20, "{compared}");
}

/// What a plan makes of a group, as a directory does it: the members apart from the rest.
fn by_plan(
    plan: MemberPlan,
    reader: &Reader<'_>,
    start: &Map<String, Value>,
) -> Result<Map<String, Value>, Error> {
    let mut group = start.clone();
    let mut members = match group.shift_remove("members") {
        Some(Value::Array(members)) => members,
        _ => Vec::new(),
    };
    for change in plan.changes {
        match change {
            MemberChange::Add(new) => {
                for member in new {
                    match members.iter_mut().find(|known| known["value"] == member["value"]) {
                        Some(known) => known.as_object_mut().unwrap().extend(member),
                        None => members.push(Value::Object(member)),
                    }
                }
            }
            MemberChange::Remove(gone) => {
                members.retain(|known| !gone.contains(&known["value"].as_str().unwrap().to_owned()));
            }
            MemberChange::Clear => members.clear(),
        }
    }
    let mut group = plan.rest.apply(reader, &group)?;
    if !members.is_empty() {
        group.insert("members".into(), Value::Array(members));
    }
    Ok(group)
}
