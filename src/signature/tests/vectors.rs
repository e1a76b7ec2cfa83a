//! Third-party vectors, where they are at hand, by this engine. `src/webcrypto/tests/vectors.rs` asks
//! both engines, in Wasm.
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

use scim_edge_policy::key_set::KeySet;
use std::path::PathBuf;
use support::vectors::{FOLDER, Parts, believed, signatures, tokens};
use support::{decide, rule};

fn folder() -> PathBuf {
    std::env::var_os("SCIM_EDGE_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(FOLDER), PathBuf::from)
}

fn read(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(folder().join(name)).ok();
    if text.is_none() {
        println!("SKIPPED: the vectors {name} were not found (SCIM_EDGE_VECTORS names their folder)");
    }
    text
}

#[test]
fn third_party_signatures() {
    let (mut taken, mut refused, mut unusable, mut wrong) = (0, 0, 0, Vec::new());
    for vector in signatures(&read) {
        let key = vector.key();
        let good = key.as_ref().is_some_and(|key| {
            key.may_have_made(&vector.signature)
                && scim_edge_signature::check(key, vector.algorithm, &vector.signed, &vector.signature)
        });
        wrong.extend(vector.mistake("jwt-simple", good));
        *(if good { &mut taken } else { &mut refused }) += 1;
        unusable += usize::from(key.is_none());
    }
    println!("signatures: {taken} taken, {refused} refused, {unusable} of them for their key");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn third_party_tokens() {
    let (mut taken, mut refused, mut wrong) = (0, 0, Vec::new());
    for vector in tokens(&read) {
        let set = KeySet::parse(vector.keys.as_bytes()).ok();
        let outcome = set.as_ref().map(|_| decide(&vector.keys, &rule(&[("sub", "x")]), &vector.token, 0));
        let signed = |set: &KeySet, parts: Parts<'_>| {
            set.eligible(parts.algorithm, parts.kid.as_deref())
                .any(|key| scim_edge_signature::check(key, parts.algorithm, parts.signed, &parts.signature))
        };
        let good = match (&set, &outcome) {
            (Some(set), Some(outcome)) => believed(outcome)
                .unwrap_or_else(|| Parts::of(&vector.token).is_some_and(|parts| signed(set, parts))),
            _ => false,
        };
        *(if good { &mut taken } else { &mut refused }) += 1;
        if vector.valid.is_some_and(|valid| valid != good) {
            wrong.push(format!("{}: {outcome:?}", vector.name));
        }
    }
    println!("tokens: {taken} believed, {refused} refused");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn json_parsing() {
    let limits = scim_edge_json::Limits { bytes: 1 << 20, depth: 100, values: 1 << 20 };
    let Ok(files) = std::fs::read_dir(folder().join("jsontestsuite/test_parsing")) else {
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
