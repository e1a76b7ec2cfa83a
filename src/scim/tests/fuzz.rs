//! Damaged input: everything that reads what a client sends refuses it or takes it, and never panics.
//!
//! The tables of cases are damaged at random, alike in every run: `SCIM_EDGE_FUZZ` sets how many times,
//! `SCIM_EDGE_SEED` from where.
#![cfg(not(target_arch = "wasm32"))] // environment variables
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Random, executions, mutate, mutate_json, seed};
use scim_edge_json::{Error, Limits, parse, parse_object};
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::{Endpoint, Kind, segments};
use scim_edge_scim::evaluate::Matcher;
use scim_edge_scim::filter::{Filter, MAX_BYTES};
use scim_edge_scim::limits::{BODY, OPERATIONS};
use scim_edge_scim::parser::Options;
use scim_edge_scim::patch::{Patch, SCHEMA};
use scim_edge_scim::path::{AttributePath, Path};
use scim_edge_scim::project::Projection;
use scim_edge_scim::query::Query;
use scim_edge_scim::schema::Schema;
use scim_edge_scim::sort::{Order, Sorter};
use scim_edge_scim::validate::Reader;
use serde_json::{Value, json};
use std::fmt;

const WORDS: &[&str] = &[
    "(", ")", "[", "]", "{", "}", "\"", "\\", "\\u", "\\ud800", " and ", " or ", "not(", ".", ":", ",", "$",
    "%", "%2B", "+", "&", "=", "filter=", "ä", "\u{0}", " eq ", "null", "true", "1e9", "-", "@", ".value",
    "emails", "urn:", "/", "..",
];

const LIMITS: Limits = BODY;

/// What is damaged, and how to have it again.
#[derive(Clone, Copy)]
struct Round<'a> {
    seed: u64,
    round: usize,
    text: &'a str,
}

impl fmt::Display for Round<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, round {}: {:?}", self.seed, self.round, self.text)
    }
}

/// Damages one of the texts with parts of another, `SCIM_EDGE_FUZZ` times, and asks whether each was
/// taken: fuzzing that takes nothing, or everything, looks at one side only.
fn fuzz(what: &str, texts: &[String], mut takes: impl FnMut(&str, Round<'_>) -> bool) {
    let seed = seed();
    let mut random = Random(seed);
    let texts: Vec<_> = texts.iter().map(|text| (text, serde_json::from_str::<Value>(text))).collect();
    let (rounds, mut taken) = (executions(20_000), 0_usize);
    for round in 0..rounds {
        let ((first, value), (second, other)) = (random.pick(&texts), random.pick(&texts));
        let mut text = match (value, other) {
            (Ok(value), Ok(other)) if random.below(2) == 0 => mutate_json(&mut random, value, other, WORDS),
            _ => mutate(&mut random, first, second, WORDS),
        };
        if random.below(4) == 0 {
            text = mutate(&mut random, &text, first, WORDS);
        }
        taken += usize::from(takes(&text, Round { seed, round, text: &text }));
    }
    println!("{what}: {rounds} executions, {taken} taken, seed {seed}");
    assert!(taken > rounds / 1000 && taken < rounds, "{taken} of {rounds} were taken");
}

/// The filters, requests or bodies of a table.
fn table(name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases");
    serde_json::from_str(&std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap()).unwrap()
}

fn written() -> Vec<String> {
    let cases = table("filters");
    Kind::ALL
        .into_iter()
        .flat_map(|kind| cases[kind.name()]["filters"].as_array().unwrap().clone())
        .map(|case| case[0].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn filters() {
    let schemas = common::schemas();
    let person = common::stored(
        Kind::User,
        &json!({ "userName": "a", "active": true, "emails": [{ "value": "a@x.org", "type": "work" }] }),
    );
    fuzz("filters", &written(), |text, round| {
        let mut taken = false;
        for options in [Options::STRICT, Options::TOLERANT] {
            let Ok(filter) = Filter::parse(text, options) else { continue };
            taken = true;
            for kind in Kind::ALL {
                if let Ok(matcher) = Matcher::compile(&filter, &schemas, kind) {
                    matcher.matches(&person);
                    matcher.lookups();
                }
            }
            // Escapes of control characters may make it longer than what is read.
            let printed = filter.to_string();
            assert!(
                printed.len() > MAX_BYTES || Filter::parse(&printed, options) == Ok(filter),
                "{round}: {printed:?}"
            );
        }
        taken
    });
}

#[test]
fn attribute_paths() {
    let mut texts: Vec<String> = [
        "userName",
        "name.givenName",
        "emails[type eq \"work\"].value",
        "members[value eq \"a\" or not (display pr)]",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.$ref",
    ]
    .map(str::to_owned)
    .into();
    for case in table("patch").as_array().unwrap() {
        let paths = case["ops"].as_array().into_iter().flatten().filter_map(|one| one["path"].as_str());
        texts.extend(paths.map(str::to_owned));
    }
    fuzz("attribute paths", &texts, |text, round| {
        let plain = text.parse::<AttributePath>();
        if let Ok(path) = &plain {
            assert_eq!(path.to_string().parse().as_ref(), Ok(path), "{round}");
        }
        let mut taken = plain.is_ok();
        for options in [Options::STRICT, Options::TOLERANT] {
            let Ok(path) = Path::parse(text, options) else { continue };
            taken = true;
            let printed = path.to_string();
            assert!(
                printed.len() > MAX_BYTES || Path::parse(&printed, options) == Ok(path),
                "{round}: {printed:?}"
            );
        }
        taken
    });
}

#[test]
fn query_strings() {
    let schemas = common::schemas();
    let mut texts: Vec<String> =
        written().iter().map(|filter| format!("filter={}&count=1", filter.replace(' ', "+"))).collect();
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
    let more = [r#"[1,-0.5e3,"\u00e4\ud83d\ude00",null,{}]"#, r#"{"a":{"a":1},"\u0061b":2,"":[[]]}"#];
    let texts: Vec<String> = patches().into_iter().chain(bodies()).chain(more.map(str::to_owned)).collect();
    let mut random = Random(seed());
    fuzz("JSON", &texts, |text, round| {
        let mut bytes = text.as_bytes().to_owned();
        // What is not UTF-8 cannot be damaged as text.
        if !bytes.is_empty() && random.below(4) == 0 {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        match parse(&bytes, LIMITS) {
            Ok(value) => {
                assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), value, "{round}: {bytes:?}");
                assert_eq!(parse(value.to_string().as_bytes(), LIMITS), Ok(value), "{round}: {bytes:?}");
                true
            }
            Err(Error::Syntax { .. } | Error::Encoding) => {
                assert!(serde_json::from_slice::<Value>(&bytes).is_err(), "{round}: {bytes:?}");
                false
            }
            Err(_) => false,
        }
    });
}

/// The bodies of the PATCH table.
fn patches() -> Vec<String> {
    let body = |case: &Value| json!({ "schemas": [SCHEMA], "Operations": case["ops"] }).to_string();
    table("patch").as_array().unwrap().iter().map(body).collect()
}

/// The bodies of the table of resources.
fn bodies() -> Vec<String> {
    table("validate").as_array().unwrap().iter().map(|case| case["body"].to_string()).collect()
}

#[test]
fn bodies_of_resources() {
    let schemas = common::schemas();
    let starts =
        Kind::ALL.map(|kind| (kind, common::stored(kind, &json!({ "userName": "a", "displayName": "g" }))));
    fuzz("resource bodies", &bodies(), |text, round| {
        let Ok(body) = parse_object(text.as_bytes(), LIMITS) else { return false };
        let mut taken = false;
        for (kind, start) in &starts {
            for dialect in [Dialect::Tolerant, Dialect::Strict] {
                let reader = Reader { schemas: &schemas, kind: *kind, dialect };
                if let Ok(resource) = reader.create(&body) {
                    // What was taken is taken again, and stays as it is.
                    assert_eq!(reader.create(&resource), Ok(resource), "{round}");
                    taken = true;
                }
                let _ = reader.replace(&body, start);
            }
        }
        taken
    });
}

#[test]
fn bodies_of_patches() {
    let schemas = common::schemas();
    let starts = Kind::ALL.map(|kind| {
        let start = match kind {
            Kind::User => json!({
                "userName": "a",
                "name": { "givenName": "A" },
                "emails": [
                    { "value": "a@x.org", "type": "work", "primary": true },
                    { "value": "b@x.org" },
                    { "value": "b@x.org", "type": "work" },
                    { "value": "b@x.org", "type": "home" },
                ],
            }),
            Kind::Group => json!({ "displayName": "g", "members": ["1", "2"] }),
        };
        (kind, common::stored(kind, &start))
    });
    fuzz("PATCH bodies", &patches(), |text, round| {
        let Ok(body) = parse_object(text.as_bytes(), LIMITS) else { return false };
        let mut taken = false;
        for (kind, start) in &starts {
            for dialect in [Dialect::Tolerant, Dialect::Strict] {
                let reader = Reader { schemas: &schemas, kind: *kind, dialect };
                let Ok(patch) = Patch::parse(&body, dialect) else { continue };
                let _ = patch.member_plan(&reader);
                if let Ok(resource) = patch.apply(&reader, start) {
                    // What comes out is what could have been sent.
                    assert_eq!(reader.create(&resource), Ok(resource), "{round}");
                    taken = true;
                }
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

/// However an input grows, what is read of it is bounded: of each way to grow, twice as often and twice
/// as often again, some are taken up to a limit and none beyond it.
#[test]
fn growth_ends_at_a_limit() {
    let wrapped = |open: &str, inner: &str, close: &str, n: usize| {
        format!("{}{inner}{}", open.repeat(n), close.repeat(n))
    };
    let text = |text: &str| parse(text.as_bytes(), LIMITS).is_ok();
    let patch = |operations: &str| {
        let body = format!("{{\"schemas\":[\"{SCHEMA}\"],\"Operations\":[{operations}]}}");
        parse_object(body.as_bytes(), LIMITS).is_ok_and(|body| Patch::parse(&body, Dialect::Strict).is_ok())
    };
    let filter = |text: &str| Filter::parse(text, Options::TOLERANT).is_ok();
    let path = |text: &str| Path::parse(text, Options::TOLERANT).is_ok();
    let query = |text: &str| Query::parse(text).is_ok();
    type Grown<'a> = (&'a str, usize, Box<dyn Fn(usize) -> bool + 'a>);
    let ways: [Grown<'_>; 13] = [
        ("( in a filter", 32, Box::new(|n| filter(&wrapped("(", "a pr", ")", n)))),
        ("not( in a filter", 32, Box::new(|n| filter(&wrapped("not(", "a pr", ")", n)))),
        ("( in brackets", 31, Box::new(|n| filter(&format!("a[{}]", wrapped("(", "b pr", ")", n))))),
        ("terms of a filter", 50, Box::new(|n| filter(&vec!["a pr"; n].join(" and ")))),
        ("escapes in a filter", 8192, Box::new(|n| filter(&format!("a eq \"{}\"", "\\n".repeat(n))))),
        ("( in a path", 31, Box::new(|n| path(&format!("a[{}]", wrapped("(", "b pr", ")", n))))),
        ("parts of a URN", 8192, Box::new(|n| path(&format!("{}a", "u:".repeat(n))))),
        ("parameters", 50, Box::new(|n| query(&(0..n).map(|n| format!("p{n}&")).collect::<String>()))),
        ("escapes in a query", 32_768, Box::new(|n| query(&format!("a={}", "%41".repeat(n))))),
        ("[ in JSON", LIMITS.depth, Box::new(|n| text(&wrapped("[", "1", "]", n)))),
        ("{ in JSON", LIMITS.depth, Box::new(|n| text(&wrapped("{\"a\":", "1", "}", n)))),
        ("items in JSON", LIMITS.values, Box::new(|n| text(&format!("[{}1]", "1,".repeat(n))))),
        (
            "operations",
            OPERATIONS,
            Box::new(|n| patch(&vec![r#"{"op":"remove","path":"title"}"#; n].join(","))),
        ),
    ];
    for (way, limit, takes) in ways {
        assert!(takes(1), "one of {way}");
        let beyond = std::iter::successors(Some(limit + 1), |n| Some(n * 2)).take_while(|n| *n <= 1 << 20);
        for n in beyond {
            assert!(!takes(n), "{n} of {way}");
        }
    }
}
