//! `tokens.json`, read for the tests of every crate that decides about tokens.
// Each test uses a part of it.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use scim_edge_policy::rule::TrustRule;
use serde_json::{Value, json};

pub struct Case {
    pub name: String,
    /// `allow`, or the code of a reason.
    pub expect: String,
    pub token: String,
    pub rule: TrustRule,
    /// The text of a JWK Set.
    pub keys: String,
}

pub struct Table {
    pub now_ms: i64,
    pub cases: Vec<Case>,
}

pub fn table() -> Table {
    let table: Value = serde_json::from_str(include_str!("tokens.json")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let case = |case: &Value| {
        let mut rule = table["rule"].clone();
        for (name, value) in case["rule"].as_object().into_iter().flatten() {
            rule[name] = value.clone();
        }
        let keys = match &case["keys"] {
            Value::Null => &table["sets"]["all"],
            Value::String(name) => &table["sets"][name],
            keys => keys,
        };
        Case {
            name: text(&case["name"]),
            expect: text(&case["expect"]),
            token: text(&case["token"]),
            rule: serde_json::from_value(rule).unwrap(),
            keys: json!({ "keys": keys }).to_string(),
        }
    };
    Table {
        now_ms: table["nowMs"].as_i64().unwrap(),
        cases: table["cases"].as_array().unwrap().iter().map(case).collect(),
    }
}
