//! `tests/cases/tokens.json`, by this engine: tokens of every attack class, and the reason each has to
//! be refused with. `src/webcrypto/tests/engines.rs` asks both engines, in Wasm.
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

use scim_edge_policy::rule::TrustRule;
use serde_json::{Value, json};
use support::decide;

#[test]
fn every_token_of_the_table() {
    let table: Value = serde_json::from_str(include_str!("../../../tests/cases/tokens.json")).unwrap();
    let now_ms = table["nowMs"].as_i64().unwrap();
    let cases = table["cases"].as_array().unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let mut rule = table["rule"].clone();
        for (name, value) in case["rule"].as_object().into_iter().flatten() {
            rule[name] = value.clone();
        }
        let rule: TrustRule = serde_json::from_value(rule).unwrap();
        let keys = match &case["keys"] {
            Value::Null => &table["sets"]["all"],
            Value::String(name) => &table["sets"][name],
            keys => keys,
        };
        let found =
            decide(&json!({ "keys": keys }).to_string(), &rule, case["token"].as_str().unwrap(), now_ms);
        let found = match &found {
            Ok(verified) => {
                assert_eq!(verified.service_account(), rule.service_account);
                "allow"
            }
            Err(refusal) => refusal.reason.code(),
        };
        if case["expect"] != found {
            wrong.push(format!("{}: {found}, not {}", case["name"], case["expect"]));
        }
    }
    println!("{} tokens", cases.len());
    assert!(wrong.is_empty() && cases.len() >= 250, "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
