//! `tests/cases/validate.json` and `tests/cases/project.json`: what becomes of a body, and what an answer
//! shows of it. Runs natively and under wasm-pack.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{dialect, expected, keyword, kind, schemas, stored};
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::project::Projection;
use scim_edge_scim::validate::Reader;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn bodies_become_resources() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../../../tests/cases/validate.json")).unwrap();
    let schemas = schemas();
    for case in &cases {
        let reader = Reader { schemas: &schemas, kind: kind(case), dialect: dialect(case) };
        let body = case["body"].as_object().unwrap();
        let found = match case.get("old") {
            Some(old) => reader.replace(body, &stored(kind(case), old)),
            None => reader.create(body),
        };
        assert_eq!(found.map_err(keyword), expected(case), "{}", case["name"]);
    }
}

#[test]
fn what_was_read_is_read_again_unchanged() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../../../tests/cases/validate.json")).unwrap();
    let schemas = schemas();
    for case in &cases {
        let Ok(resource) = expected(case) else { continue };
        let reader = Reader { schemas: &schemas, kind: kind(case), dialect: dialect(case) };
        assert_eq!(reader.create(&resource).map_err(keyword), Ok(resource), "{}", case["name"]);
    }
}

#[test]
fn projections_show_what_is_asked() {
    let table: Value = serde_json::from_str(include_str!("../../../tests/cases/project.json")).unwrap();
    let schemas = schemas();
    let mut resource = stored(Kind::User, &table["resource"]);
    resource.insert("id".into(), json!("1"));
    for case in table["cases"].as_array().unwrap() {
        let names =
            |member: &str| case[member].as_str().unwrap().split(',').map(str::to_owned).collect::<Vec<_>>();
        let (attributes, excluded) = (names("attributes"), names("excluded"));
        let projection = Projection::new(
            attributes.iter().map(String::as_str),
            excluded.iter().map(String::as_str),
            &schemas,
            dialect(case),
        );
        let found = projection
            .map(|projection| projection.apply(resource.clone(), &schemas, Kind::User))
            .map_err(keyword);
        let expected = match case["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => {
                let mut shown = case["shows"].as_object().unwrap().clone();
                shown.insert("schemas".into(), resource["schemas"].clone());
                shown.insert("id".into(), json!("1"));
                Ok(shown)
            }
        };
        assert_eq!(found, expected, "{}", case["name"]);
    }
}
