//! Damaged input: everything that reads what a client sends refuses it or takes it, and never panics.
//!
//! The tables of cases are damaged at random, alike in every run: `SCIM_EDGE_FUZZ` sets how many times,
//! `SCIM_EDGE_SEED` from where.
#![cfg(not(target_arch = "wasm32"))] // environment variables
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Random, executions, mutate, seed};
use scim_edge_json::{Limits, parse, parse_object};
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::{Endpoint, Kind, segments};
use scim_edge_scim::evaluate::Matcher;
use scim_edge_scim::filter::Filter;
use scim_edge_scim::parser::Options;
use scim_edge_scim::patch::Patch;
use scim_edge_scim::path::Path;
use scim_edge_scim::project::Projection;
use scim_edge_scim::query::Query;
use scim_edge_scim::schema::Schema;
use scim_edge_scim::sort::{Order, Sorter};
use scim_edge_scim::validate::Reader;
use serde_json::{Value, json};

const WORDS: &[&str] = &[
    "(", ")", "[", "]", "{", "}", "\"", "\\", "\\u", "\\ud800", " and ", " or ", "not(", ".", ":", ",", "$",
    "%", "%2B", "+", "&", "=", "filter=", "ä", "\u{0}", " eq ", "null", "true", "1e9", "-", "@", ".value",
    "emails", "urn:", "/", "..",
];

const LIMITS: Limits = Limits { bytes: 1 << 20, depth: 32 };

/// Damages one of the texts with parts of another, `SCIM_EDGE_FUZZ` times, and asks whether each was
/// taken: fuzzing that takes nothing, or everything, looks at one side only.
fn fuzz(what: &str, texts: &[String], mut takes: impl FnMut(&str, &str) -> bool) {
    let seed = seed();
    let mut random = Random(seed);
    let (rounds, mut taken) = (executions(20_000), 0_usize);
    for round in 0..rounds {
        let (first, second) = (random.pick(texts), random.pick(texts));
        let mut text = mutate(&mut random, first, second, WORDS);
        if random.below(3) == 0 {
            text = mutate(&mut random, &text, first, WORDS);
        }
        taken += usize::from(takes(&text, &format!("seed {seed}, round {round}: {text:?}")));
    }
    println!("{what}: {rounds} executions, {taken} taken, seed {seed}");
    assert!(taken > rounds / 1000 && taken < rounds, "{taken} of {rounds} were taken");
}

/// The filters, requests or bodies of a table.
fn table(name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases");
    serde_json::from_str(&std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap()).unwrap()
}

fn filters() -> Vec<String> {
    let cases = table("filters");
    Kind::ALL
        .into_iter()
        .flat_map(|kind| cases[kind.name()]["filters"].as_array().unwrap().clone())
        .map(|case| case[0].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn filters_and_paths() {
    let schemas = common::schemas();
    let person = common::stored(
        Kind::User,
        &json!({ "userName": "a", "active": true, "emails": [{ "value": "a@x.org", "type": "work" }] }),
    );
    fuzz("filters and paths", &filters(), |text, round| {
        let mut taken = false;
        for options in [Options::STRICT, Options::TOLERANT] {
            if let Ok(path) = Path::parse(text, options) {
                assert_eq!(Path::parse(&path.to_string(), options), Ok(path), "{round}");
            }
            let Ok(filter) = Filter::parse(text, options) else { continue };
            taken = true;
            for kind in Kind::ALL {
                if let Ok(matcher) = Matcher::compile(&filter, &schemas, kind) {
                    matcher.matches(&person);
                    matcher.lookups();
                }
            }
            assert_eq!(Filter::parse(&filter.to_string(), options), Ok(filter), "{round}");
        }
        taken
    });
}

#[test]
fn query_strings() {
    let schemas = common::schemas();
    let mut texts: Vec<String> =
        filters().iter().map(|filter| format!("filter={}&count=1", filter.replace(' ', "+"))).collect();
    texts.push(
        "attributes=userName,name.givenName&excludedAttributes=&sortBy=emails.value&sortOrder=descending"
            .into(),
    );
    texts.push("?startIndex=-1&count=99999999999999999999&cursor=&x=%C3%A4&&".into());
    fuzz("query strings", &texts, |text, _| {
        let Ok(query) = Query::parse(text) else { return false };
        let _ = (query.integer("count"), query.integer("startIndex"));
        let list = |name| query.get(name).unwrap_or_default().split(',');
        for dialect in [Dialect::Tolerant, Dialect::Strict] {
            let _ = Projection::new(list("attributes"), list("excludedAttributes"), &schemas, dialect);
        }
        if let Some(Ok(by)) = query.get("sortBy").map(str::parse) {
            let _ = Sorter::new(&by, Order::Ascending, &schemas, Kind::User);
        }
        true
    });
}

#[test]
fn paths_of_urls() {
    let ids =
        ["/Users/2819c223", "//users//", "/Users/a%2Fb%20c", "/Groups/.search", "/Schemas/urn:a:b", "/Bulk"];
    fuzz("URL paths", &ids.map(str::to_owned), |text, _| {
        segments(text).is_ok_and(|segments| Endpoint::from_segments(&segments).is_some())
    });
}

#[test]
fn json_texts() {
    let texts: Vec<String> =
        bodies().into_iter().chain([r#"[1,-0.5e3,"\u00e4\ud83d\ude00",null,{}]"#.into()]).collect();
    fuzz("JSON", &texts, |text, round| {
        let Ok(value) = parse(text.as_bytes(), LIMITS) else { return false };
        assert_eq!(parse(value.to_string().as_bytes(), LIMITS), Ok(value), "{round}");
        true
    });
}

fn bodies() -> Vec<String> {
    let patches = table("patch");
    let patches = patches.as_array().unwrap().iter().map(|case| {
        json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": case["ops"] })
            .to_string()
    });
    let resources = table("validate");
    let resources = resources.as_array().unwrap().iter().map(|case| case["body"].to_string());
    patches.chain(resources).collect()
}

#[test]
fn bodies_of_requests() {
    let schemas = common::schemas();
    fuzz("bodies", &bodies(), |text, round| {
        let Ok(body) = parse_object(text.as_bytes(), LIMITS) else { return false };
        let mut taken = false;
        for kind in Kind::ALL {
            let start = common::stored(kind, &json!({ "userName": "a", "displayName": "g" }));
            for dialect in [Dialect::Tolerant, Dialect::Strict] {
                let reader = Reader { schemas: &schemas, kind, dialect };
                if let Ok(resource) = reader.create(&body) {
                    // What was taken is taken again, and stays as it is.
                    assert_eq!(reader.create(&resource), Ok(resource), "{round}");
                    taken = true;
                }
                let _ = reader.replace(&body, &start);
                let Ok(patch) = Patch::parse(&body, dialect) else { continue };
                let _ = patch.member_plan(&reader);
                taken |= patch.apply(&reader, &start).is_ok();
            }
        }
        taken
    });
}

#[test]
fn schemas() {
    fuzz("schemas", &[table("extension").to_string()], |text, round| {
        let Ok(json) = parse_object(text.as_bytes(), LIMITS) else { return false };
        let Ok(schema) = Schema::parse(&json) else { return false };
        assert_eq!(Schema::parse(schema.to_json().as_object().unwrap()), Ok(schema), "{round}");
        true
    });
}
