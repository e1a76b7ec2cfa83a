//! A host of verification with a fixed key set and jwt-simple.
// Each test file uses a part of it.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

pub mod vectors;

use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::key::Key;
use scim_edge_policy::key_set::KeySet;
use scim_edge_policy::refusal::Refusal;
use scim_edge_policy::rule::{ClaimMatch, TrustRule};
use scim_edge_policy::verify::{Host, KeysUnavailable, Verified, at_once, verify};
use std::rc::Rc;

pub struct Fixed(pub Rc<KeySet>);

impl Host for Fixed {
    async fn keys(&self, _: &TrustRule, _: Option<&str>) -> Result<Rc<KeySet>, KeysUnavailable> {
        Ok(self.0.clone())
    }

    async fn check(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        scim_edge_signature::check(key, algorithm, signed, signature)
    }
}

pub fn rule(claims: &[(&str, &str)]) -> TrustRule {
    TrustRule {
        name: "default".into(),
        jwks_url: Some("https://idp.example.com/keys".into()),
        jwks: None,
        issuer: None,
        audiences: Vec::new(),
        algorithms: Vec::new(),
        claims: claims
            .iter()
            .map(|(field, value)| ClaimMatch { field: (*field).into(), value: (*value).into() })
            .collect(),
        service_account: "provisioner".into(),
        clock_skew_seconds: 30,
        max_lifetime_seconds: None,
        token_types: Vec::new(),
        dpop: false,
    }
}

pub fn decide(keys: &str, rule: &TrustRule, token: &str, now_ms: i64) -> Result<Verified, Refusal> {
    let keys = Rc::new(KeySet::parse(keys.as_bytes()).expect("a key set"));
    at_once(verify(&Fixed(keys), std::slice::from_ref(rule), token, now_ms)).expect("ready at once")
}
