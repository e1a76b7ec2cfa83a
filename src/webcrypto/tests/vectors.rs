//! Third-party vectors, where they are at hand, by both signature engines, in Wasm in Node: WebCrypto and
//! jwt-simple decide alike.
#![cfg(target_arch = "wasm32")]
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod support;
#[path = "../../signature/tests/support/vectors.rs"]
mod vectors;

use scim_edge_policy::key_set::KeySet;
use scim_edge_policy::rule::TrustRule;
use scim_edge_policy::verify::{Host, verify};
use serde_json::json;
use std::rc::Rc;
use support::{ENGINES, Engine, webcrypto};
use vectors::{FOLDER, Parts, believed, signatures, tokens};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::{console_log, wasm_bindgen_test};

#[wasm_bindgen(module = "node:fs")]
extern "C" {
    #[wasm_bindgen(catch, js_name = readFileSync)]
    fn read_file(path: &str, encoding: &str) -> Result<String, JsValue>;
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(thread_local_v2, js_namespace = ["process", "env"], js_name = SCIM_EDGE_VECTORS)]
    static VECTORS: Option<String>;
}

fn read(name: &str) -> Option<String> {
    let folder =
        VECTORS.with(Clone::clone).unwrap_or_else(|| format!("{}/{FOLDER}", env!("CARGO_MANIFEST_DIR")));
    let text = read_file(&format!("{folder}/{name}"), "utf8").ok();
    if text.is_none() {
        console_log!("SKIPPED: the vectors {name} were not found (SCIM_EDGE_VECTORS names their folder)");
    }
    text
}

#[wasm_bindgen_test]
async fn both_engines_decide_alike_about_third_party_signatures() {
    let (mut count, mut wrong) = (0, Vec::new());
    for vector in signatures(&read) {
        count += 1;
        let Some(key) = vector.key() else {
            wrong.extend(vector.mistake("the policy", false));
            continue;
        };
        let possible = key.may_have_made(&vector.signature);
        let theirs = possible && webcrypto(&key, vector.algorithm, &vector.signed, &vector.signature).await;
        let own =
            possible && scim_edge_signature::check(&key, vector.algorithm, &vector.signed, &vector.signature);
        wrong.extend(vector.mistake("WebCrypto", theirs));
        wrong.extend(vector.mistake("jwt-simple", own));
        if theirs != own {
            wrong.push(format!("{}: WebCrypto {theirs}, jwt-simple {own}", vector.name));
        }
    }
    console_log!("{count} signatures, by both engines");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[wasm_bindgen_test]
async fn both_engines_decide_alike_about_third_party_tokens() {
    let rules: Vec<TrustRule> = vec![
        serde_json::from_value(json!({
            "name": "default", "jwksUrl": "https://idp.example.com/keys", "serviceAccount": "provisioner",
            "claims": [{ "field": "sub", "value": "x" }], "clockSkewSeconds": 30,
        }))
        .unwrap(),
    ];
    let (mut count, mut wrong) = (0, Vec::new());
    for vector in tokens(&read) {
        count += 1;
        let Ok(keys) = KeySet::parse(vector.keys.as_bytes()).map(Rc::new) else {
            assert_ne!(vector.valid, Some(true), "{}", vector.name);
            continue;
        };
        let mut found = Vec::new();
        for (name, webcrypto) in ENGINES {
            let engine = Engine { keys: keys.clone(), webcrypto };
            let outcome = verify(&engine, &rules, &vector.token, 0).await;
            let mut good = believed(&outcome);
            if let (None, Some(parts)) = (good, Parts::of(&vector.token)) {
                let mut signed = false;
                for key in keys.eligible(parts.algorithm, parts.kid.as_deref()) {
                    signed |= engine.check(key, parts.algorithm, parts.signed, &parts.signature).await;
                }
                good = Some(signed);
            }
            if vector.valid.is_some_and(|valid| good != Some(valid)) {
                wrong.push(format!("{name}: {}: {outcome:?}", vector.name));
            }
            found.push((outcome.map_err(|refusal| refusal.reason), good));
        }
        if found[0] != found[1] {
            wrong.push(format!("{}: {found:?}", vector.name));
        }
    }
    console_log!("{count} tokens, by both engines");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
