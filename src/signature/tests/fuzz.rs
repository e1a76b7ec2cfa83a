//! Damaged tokens, key sets and rules: nothing panics, and nothing is believed that nobody signed.
//!
//! Alike in every run: `SCIM_EDGE_FUZZ` sets how many, `SCIM_EDGE_SEED` from where.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

mod support;

use scim_edge_policy::encoding::{decode, encode};
use scim_edge_policy::key_set::KeySet;
use scim_edge_policy::rule::TrustRule;
use scim_edge_policy::token::Unverified;
use serde_json::{Value, json};
use std::collections::HashSet;
use support::decide;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }

    /// Damages bytes in one to three places.
    fn damage(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        const MARKS: &[u8] = b"\"[]{}:,.-_e0 \\A=\x00\xff";
        for _ in 0..=self.below(3) {
            let place = self.below(bytes.len() + 1);
            match self.below(5) {
                0 if place < bytes.len() => bytes[place] = MARKS[self.below(MARKS.len())],
                1 if place < bytes.len() => {
                    bytes.remove(place);
                }
                2 => bytes.truncate(place),
                3 => {
                    let from = self.below(other.len() + 1);
                    let to = from + self.below(other.len() - from + 1).min(64);
                    bytes.splice(place..place, other[from..to].iter().copied());
                }
                _ if place < bytes.len() => bytes[place] ^= 1 << self.below(8),
                _ => {}
            }
        }
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn table() -> Value {
    serde_json::from_str(include_str!("../../../tests/cases/tokens.json")).unwrap()
}

#[test]
fn damaged_tokens() {
    let (seed, rounds) = (number("SCIM_EDGE_SEED", 20_150_518), number("SCIM_EDGE_FUZZ", 20_000));
    let mut random = Random(seed as u64);
    let table = table();
    let tokens: Vec<&str> =
        table["cases"].as_array().unwrap().iter().map(|case| case["token"].as_str().unwrap()).collect();
    let signed_part = |token: &str| token.rsplit_once('.').map(|(signed, _)| signed.to_owned());
    let signed: HashSet<String> = tokens.iter().filter_map(|token| signed_part(token)).collect();
    let keys = json!({ "keys": table["sets"]["all"] }).to_string();
    let rule: TrustRule = serde_json::from_value(table["rule"].clone()).unwrap();
    let (mut read, mut believed) = (0, 0);
    for round in 0..rounds {
        let (one, other) = (tokens[random.below(tokens.len())], tokens[random.below(tokens.len())]);
        let token = if random.below(2) == 0 {
            // Within a part: what was encoded is damaged, and encoded again.
            let mut parts: Vec<String> = one.split('.').take(5).map(str::to_owned).collect();
            let place = random.below(parts.len());
            let mut bytes = decode(&parts[place]).unwrap_or_else(|| parts[place].clone().into_bytes());
            random.damage(&mut bytes, &decode(other.split('.').next().unwrap()).unwrap_or_default());
            parts[place] = encode(&bytes);
            parts.join(".")
        } else {
            let mut bytes = one.as_bytes().to_vec();
            random.damage(&mut bytes, other.as_bytes());
            String::from_utf8_lossy(&bytes).into_owned()
        };
        read += usize::from(Unverified::parse(&token).is_ok());
        if decide(&keys, &rule, &token, table["nowMs"].as_i64().unwrap()).is_ok() {
            believed += 1;
            let known = signed_part(&token).is_some_and(|part| signed.contains(&part));
            assert!(known, "seed {seed}, round {round}: nobody signed {token}");
        }
    }
    println!("tokens: {rounds} executions, {read} read, {believed} believed, seed {seed}");
    assert!(read > rounds / 100 && believed < rounds / 4, "{read} read, {believed} believed");
}

#[test]
fn damaged_key_sets_and_rules() {
    let (seed, rounds) = (number("SCIM_EDGE_SEED", 20_150_517), number("SCIM_EDGE_FUZZ", 20_000));
    let mut random = Random(seed as u64);
    let table = table();
    let sets: Vec<String> =
        table["sets"].as_object().unwrap().values().map(|keys| json!({ "keys": keys }).to_string()).collect();
    let rules: Vec<String> = table["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| {
            let mut rule = table["rule"].clone();
            for (name, value) in case["rule"].as_object().into_iter().flatten() {
                rule[name] = value.clone();
            }
            rule.to_string()
        })
        .collect();
    let good = table["cases"][0]["token"].as_str().unwrap();
    let mut usable = 0;
    for round in 0..rounds {
        let mut bytes = sets[random.below(sets.len())].clone().into_bytes();
        let other = sets[random.below(sets.len())].clone();
        random.damage(&mut bytes, other.as_bytes());
        if let Ok(set) = KeySet::parse(&bytes) {
            usable += 1;
            assert_eq!(KeySet::parse(set.to_json().as_bytes()), Ok(set), "seed {seed}, round {round}");
        }
        let mut bytes = rules[random.below(rules.len())].clone().into_bytes();
        random.damage(&mut bytes, b"\"audiences\":[\"x\"],\"tokenTypes\":[\"JWT\"],\"jwks\":{\"keys\":[]}");
        if let Ok(rule) = serde_json::from_slice::<TrustRule>(&bytes) {
            let _ = decide(&sets[0], &rule, good, 1_795_000_000_000);
        }
    }
    println!("key sets: {rounds} executions, {usable} usable, seed {seed}");
    assert!(usable > rounds / 100 && usable < rounds);
}
