//! `tests/cases/tokens.json`, by both signature engines, in Wasm: WebCrypto and jwt-simple decide alike.
#![cfg(target_arch = "wasm32")]
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::key::Key;
use scim_edge_policy::key_set::KeySet;
use scim_edge_policy::rule::TrustRule;
use scim_edge_policy::verify::{Host, KeysUnavailable, verify};
use serde_json::{Value, json};
use std::rc::Rc;
use wasm_bindgen_test::wasm_bindgen_test;

struct Engine {
    keys: Rc<KeySet>,
    webcrypto: bool,
}

impl Host for Engine {
    async fn keys(&self, _: &TrustRule, _: Option<&str>) -> Result<Rc<KeySet>, KeysUnavailable> {
        Ok(self.keys.clone())
    }

    async fn check(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        if !self.webcrypto {
            return scim_edge_signature::check(key, algorithm, signed, signature);
        }
        match scim_edge_webcrypto::import(key.jwk(), algorithm.name()).await {
            Some(key) => {
                scim_edge_webcrypto::verify(&key, algorithm.name(), signed, signature).await == Some(true)
            }
            None => false,
        }
    }
}

#[wasm_bindgen_test]
async fn both_engines_decide_as_the_table_says() {
    let table: Value = serde_json::from_str(include_str!("../../../tests/cases/tokens.json")).unwrap();
    let now_ms = table["nowMs"].as_i64().unwrap();
    let mut wrong = Vec::new();
    for case in table["cases"].as_array().unwrap() {
        let mut rule = table["rule"].clone();
        for (name, value) in case["rule"].as_object().into_iter().flatten() {
            rule[name] = value.clone();
        }
        let rules: Vec<TrustRule> = vec![serde_json::from_value(rule).unwrap()];
        let keys = match &case["keys"] {
            Value::Null => &table["sets"]["all"],
            Value::String(name) => &table["sets"][name],
            keys => keys,
        };
        let keys = Rc::new(KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap());
        for webcrypto in [true, false] {
            let engine = Engine { keys: keys.clone(), webcrypto };
            let found = verify(&engine, &rules, case["token"].as_str().unwrap(), now_ms).await;
            let found = found.map_or_else(|refusal| refusal.reason.code(), |_| "allow");
            if case["expect"] != found {
                let engine = if webcrypto { "WebCrypto" } else { "jwt-simple" };
                wrong.push(format!("{engine}: {}: {found}, not {}", case["name"], case["expect"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
