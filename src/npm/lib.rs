//! The npm package's Wasm: the policy core for any JavaScript host. JSON texts in, JSON texts out; the
//! JavaScript around it (`js/npm/`) gives them types.

use scim_edge_json::Limits;
use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::key::Key;
use scim_edge_policy::key_set::KeySet;
use scim_edge_policy::rule::TrustRule;
use scim_edge_policy::verify::{Host, KeysUnavailable, at_once, verify};
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::evaluate::Matcher;
use scim_edge_scim::filter::Filter;
use scim_edge_scim::parser::Options;
use scim_edge_scim::schema::Schemas;
use serde_json::{Value, json};
use std::rc::Rc;
use wasm_bindgen::prelude::wasm_bindgen;

/// How large a resource may be.
const RESOURCE: Limits = Limits { bytes: 1 << 20, depth: 32 };

/// One key set for every rule, and jwt-simple for signatures.
struct Fixed(Rc<KeySet>);

impl Host for Fixed {
    async fn keys(&self, _: &TrustRule, _: Option<&str>) -> Result<Rc<KeySet>, KeysUnavailable> {
        Ok(self.0.clone())
    }

    async fn check(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        scim_edge_signature::check(key, algorithm, signed, signature)
    }
}

/// Verifies a token: `{"allow":true,…}` or `{"allow":false,"status","reason","detail","wwwAuthenticate"}`.
/// `rules` is a JSON array of trust rules, `keys` a JWK Set, `now_ms` milliseconds since the epoch.
#[wasm_bindgen(js_name = verifyToken)]
#[allow(clippy::cast_possible_truncation)] // A JavaScript time is a whole number far below 2^53.
pub fn verify_token(token: &str, rules: &str, keys: &str, now_ms: f64) -> String {
    let failed = |code: &str, sentence: String| json!({ "error": { "code": code, "message": sentence } });
    let outcome = match (serde_json::from_str::<Vec<TrustRule>>(rules), KeySet::parse(keys.as_bytes())) {
        (Err(error), _) => failed("invalid_rules", error.to_string()),
        (_, Err(error)) => failed("invalid_keys", error.to_string()),
        (Ok(rules), Ok(keys)) => {
            match at_once(verify(&Fixed(Rc::new(keys)), &rules, token, now_ms as i64, |_| {})) {
                Some(Ok(verified)) => json!({
                    "allow": true,
                    "rule": verified.rule(),
                    "serviceAccount": verified.service_account(),
                    "claims": verified.claims(),
                }),
                Some(Err(refusal)) => json!({
                    "allow": false,
                    "status": refusal.status(),
                    "reason": refusal.reason.code(),
                    "detail": refusal.detail,
                    "wwwAuthenticate": refusal.challenge("scim", None),
                }),
                None => failed("not_ready", "a future was not ready at once".to_owned()),
            }
        }
    };
    outcome.to_string()
}

/// Whether a resource satisfies a SCIM filter: `{"matches":true}`, or `{"error":{"code","message"}}`.
/// `kind` is `User` or `Group`.
#[wasm_bindgen(js_name = matchFilter)]
pub fn match_filter(filter: &str, resource: &str, kind: &str) -> String {
    let failed =
        |code: &str, sentence: String| json!({ "error": { "code": code, "message": sentence } }).to_string();
    let Some(kind) = Kind::ALL.into_iter().find(|one| one.name() == kind) else {
        return failed("invalid_kind", "kind must be User or Group".to_owned());
    };
    let resource = match scim_edge_json::parse_object(resource.as_bytes(), RESOURCE) {
        Ok(resource) => resource,
        Err(error) => return failed("invalid_resource", error.to_string()),
    };
    let matcher = Filter::parse(filter, Options::TOLERANT)
        .and_then(|filter| Matcher::compile(&filter, &Schemas::default(), kind));
    match matcher {
        Ok(matcher) => {
            Value::from_iter([("matches".to_owned(), Value::from(matcher.matches(&resource)))]).to_string()
        }
        Err(error) => failed("invalid_filter", error.detail),
    }
}
