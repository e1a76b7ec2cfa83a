//! Third-party vectors, where they are at hand: they are not part of the project.
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

use scim_edge_policy::refusal::Reason;
use serde_json::{Value, json};
use std::path::PathBuf;
use support::{decide, rule};

fn vectors(name: &str) -> Option<String> {
    let folder = std::env::var_os("SCIM_EDGE_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
        PathBuf::from,
    );
    let text = std::fs::read_to_string(folder.join(name)).ok();
    if text.is_none() {
        println!("SKIPPED: the vectors {name} were not found (SCIM_EDGE_VECTORS names their folder)");
    }
    text
}

/// Labels that are laxer than the policy.
const LAX: [u64; 8] = [346, 347, 350, 351, 367, 370, 372, 373];

/// The signature of these tokens is over no claims: what is decided is whether it is believed so far.
fn believed(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::MalformedPayload
            | Reason::ExpiryMissing
            | Reason::Expired
            | Reason::ClaimMismatch
            | Reason::MalformedClaim
    )
}

#[test]
fn wycheproof_jws() {
    let Some(text) = vectors("wycheproof/json_web_signature_test.json") else { return };
    let file: Value = serde_json::from_str(&text).unwrap();
    let (mut refused, mut accepted, mut skipped, mut wrong) = (0, 0, 0, Vec::new());
    for group in file["testGroups"].as_array().unwrap() {
        let key = if group["public"].is_object() { &group["public"] } else { &group["private"] };
        let keys = json!({ "keys": [key] }).to_string();
        let usable = scim_edge_policy::key_set::KeySet::parse(keys.as_bytes()).is_ok();
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let valid = test["result"] == "valid";
            let token = test["jws"].as_str().unwrap_or_default();
            let outcome = usable.then(|| decide(&keys, &rule(&[("sub", "x")]), token, 0));
            let signed = match &outcome {
                Some(Err(refusal)) => believed(refusal.reason),
                Some(Ok(_)) => true,
                None => false,
            };
            if LAX.contains(&id) {
                skipped += 1;
            } else if !valid
                && signed
                && !matches!(&outcome, Some(Err(refusal)) if refusal.reason == Reason::MalformedPayload)
            {
                wrong.push(format!("{id}: accepted: {} {outcome:?}", test["comment"]));
            } else if valid && signed {
                accepted += 1;
            } else {
                // HMAC keys have no place here, and a token without claims is none.
                let stricter = key["kty"] == "oct" || test["comment"] == "emptyPayload";
                if valid && !stricter {
                    wrong.push(format!("{id}: refused: {} {outcome:?}", test["comment"]));
                }
                refused += 1;
            }
        }
    }
    println!(
        "Wycheproof JWS: {accepted} believed, {refused} refused, {skipped} labels laxer than the policy"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(accepted + refused + skipped == 401, "the file has other tests than expected");
}

#[test]
fn json_parsing() {
    let limits = scim_edge_json::Limits { bytes: 1 << 20, depth: 100 };
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/jsontestsuite/test_parsing");
    let folder = std::env::var_os("SCIM_EDGE_VECTORS")
        .map_or(folder, |root| PathBuf::from(root).join("jsontestsuite/test_parsing"));
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("SKIPPED: the JSON parsing vectors were not found");
        return;
    };
    // Names that stand twice are JSON, and are refused here all the same.
    let stricter = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];
    let mut count = 0;
    for file in files {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let accepted = scim_edge_json::parse(&std::fs::read(&path).unwrap(), limits).is_ok();
        match name.as_bytes()[0] {
            b'y' => assert_eq!(accepted, !stricter.contains(&name.as_str()), "{name}"),
            b'n' => assert!(!accepted, "{name}"),
            _ => {}
        }
        count += 1;
    }
    println!("JSON parsing: {count} texts");
    assert!(count >= 300, "{count}");
}
