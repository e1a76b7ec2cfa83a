//! Damaged admin calls and documents: refused in the API's own format, or taken; never a panic, and what
//! was taken can be stored, read back and published. `SCIM_EDGE_FUZZ` sets how many.
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

use scim_edge_account::api::Request;
use scim_edge_account::document::Document;
use scim_edge_account::handle;
use scim_edge_account::published::Published;
use scim_edge_policy::permission::Permissions;
use scim_edge_policy::route::Route;

const CALLS: [(&str, &str, &str); 7] = [
    (
        "PUT",
        "/ng/api/settings",
        r#"[{"identifier":"scim_jwt_token_jwks_keys_url","value":"https://idp.example.com/keys","allowOverrides":false,"updateType":"UPDATE"},{"identifier":"scim_jwt_token_key_field","value":"sub","updateType":"RESTORE"}]"#,
    ),
    (
        "PUT",
        "/ng/api/settings/jwt-rules/okta",
        r#"{"jwks":{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"k"}]},"issuer":"https://idp.example.com","audiences":["scim"],"claims":[{"field":"/a/b","value":"x"}],"serviceAccount":"sa","clockSkewSeconds":30,"tokenTypes":["JWT"],"algorithms":["EdDSA"]}"#,
    ),
    ("POST", "/ng/api/serviceaccount", r#"{"identifier":"other","name":"N","email":"a@b","tags":{"a":"b"}}"#),
    ("POST", "/authz/api/roles", r#"{"identifier":"r","name":"R","permissions":["core_user_view"]}"#),
    (
        "POST",
        "/authz/api/roleassignments",
        r#"{"roleIdentifier":"_scim_provisioner","principal":{"identifier":"sa","type":"SERVICE_ACCOUNT"}}"#,
    ),
    (
        "POST",
        "/ng/api/token",
        r#"{"apiKeyType":"SERVICE_ACCOUNT","parentIdentifier":"sa","name":"k","validTo":1900000000000}"#,
    ),
    ("PUT", "/ng/api/serviceaccount/sa", r#"{"identifier":"sa","name":"M"}"#),
];

#[test]
fn damaged_calls() {
    let rounds: usize = std::env::var("SCIM_EDGE_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let mut state = 20_120_210_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % limit.max(1) as u64) as usize
    };
    let mut document = Document::new("ACC", 0);
    let call = |document: &Document, which: usize, body: &[u8]| {
        let (method, path, _) = CALLS[which];
        let Some(Route::Admin(route)) = Route::parse(path).unwrap() else { panic!("{path}") };
        handle(
            document,
            &Request {
                method,
                route: &route,
                query: &[],
                body,
                permissions: Permissions::all(),
                mode: scim_edge_policy::mode::Mode::Normal,
                now_ms: 1_795_000_000_000,
                random: &[7; 64],
                seal_key: &[9; 32],
                development: false,
                gateway: "https://scim.example.com",
                correlation_id: "c",
                refused: &std::collections::BTreeMap::new(),
            },
        )
    };
    document = call(&document, 2, br#"{"identifier":"sa","name":"N"}"#).changed.unwrap();
    let mut taken = 0;
    for round in 0..rounds {
        let which = below(CALLS.len());
        let mut body = CALLS[which].2.as_bytes().to_vec();
        for _ in 0..below(4) {
            let place = below(body.len());
            match below(4) {
                0 => body[place] = b"\"[]{}:,.-e0 \\\x00\xff"[below(15)],
                1 => {
                    body.remove(place);
                }
                2 => {
                    let other = CALLS[below(CALLS.len())].2.as_bytes();
                    let from = below(other.len());
                    body.splice(place..place, other[from..other.len().min(from + 40)].iter().copied());
                }
                _ => body[place] ^= 1 << below(8),
            }
            if body.is_empty() {
                break;
            }
        }
        let outcome = call(&document, which, &body);
        assert!(outcome.body["status"].is_string(), "round {round}: {}", outcome.body);
        if let Some(changed) = outcome.changed {
            taken += 1;
            assert_eq!(Document::parse(&changed.to_json()).as_ref(), Some(&changed), "round {round}");
            let published = Published::of(&changed);
            assert_eq!(Published::parse(&published.to_json()), Some(published), "round {round}");
        }
        // A stored text that was damaged is no document, or one that can be stored again.
        let mut stored = document.to_json().into_bytes();
        let place = below(stored.len());
        stored[place] ^= 1 << below(8);
        if let Some(read) = std::str::from_utf8(&stored).ok().and_then(Document::parse) {
            let _ = Published::of(&read).to_json();
        }
    }
    println!("admin calls: {rounds} executions, {taken} taken");
    assert!(taken > rounds / 100 && taken < rounds);
}
