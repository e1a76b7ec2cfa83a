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

#[path = "../../../tests/cases/tokens.rs"]
mod cases;
mod support;

use cases::table;
use support::decide;

#[test]
fn every_token_of_the_table() {
    let table = table();
    let mut wrong = Vec::new();
    for case in &table.cases {
        let found = decide(&case.keys, &case.rule, &case.token, table.now_ms);
        let found = match &found {
            Ok(verified) => {
                assert_eq!(verified.service_account(), case.rule.service_account);
                "allow"
            }
            Err(refusal) => refusal.reason.code(),
        };
        if case.expect != found {
            wrong.push(format!("{}: {found}, not {}", case.name, case.expect));
        }
    }
    println!("{} tokens", table.cases.len());
    assert!(wrong.is_empty() && table.cases.len() >= 250, "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
