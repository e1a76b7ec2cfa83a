//! `tests/cases/tokens.json` by both signature engines, in Wasm, in Node and in a browser: WebCrypto and
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

#[path = "../../../tests/cases/tokens.rs"]
mod cases;
mod support;

use cases::table;
use scim_edge_policy::key_set::KeySet;
use scim_edge_policy::verify::verify;
use std::rc::Rc;
use support::{ENGINES, Engine};
use wasm_bindgen_test::{console_log, wasm_bindgen_test};

#[wasm_bindgen_test]
async fn both_engines_decide_as_the_table_says() {
    let table = table();
    let mut wrong = Vec::new();
    for case in &table.cases {
        let keys = Rc::new(KeySet::parse(case.keys.as_bytes()).unwrap());
        for (name, webcrypto) in ENGINES {
            let engine = Engine { keys: keys.clone(), webcrypto };
            let found = verify(&engine, std::slice::from_ref(&case.rule), &case.token, table.now_ms).await;
            let found = found.map_or_else(|refusal| refusal.reason.code(), |_| "allow");
            if case.expect != found {
                wrong.push(format!("{name}: {}: {found}, not {}", case.name, case.expect));
            }
        }
    }
    console_log!("{} tokens of the table, by both engines", table.cases.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
