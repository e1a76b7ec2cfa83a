//! What Worker and objects of different deployments, and KV, hold of each other: members may be added to it,
//! never taken away or changed. The texts here are those of the first deployment.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use scim_edge_account::document::Document;
use scim_edge_account::published::{DirectorySettings, Published};
use serde_json::{Value, json};

const SETTINGS: &str = r#"{"originUrl":"https://origin.example/scim","originAuthorization":"passthrough",
    "maxStalenessSeconds":900,"forwardWhenStale":false,"strict":false}"#;

const PUBLISHED: &str = r#"{"format":1,"account":"acc","version":7,"rules":[{"name":"default",
    "jwksUrl":"https://idp.example/keys","issuer":"https://idp.example","audiences":["scim"],"algorithms":["RS256"],
    "claims":[{"field":"sub","value":"client"}],"serviceAccount":"okta","clockSkewSeconds":30,
    "maxLifetimeSeconds":3600}],"serviceAccounts":{"okta":["core_user_view"]},
    "apiKeys":{"k":{"hash":"aGFzaA","serviceAccount":"okta","permissions":["core_user_view"],"expiresAt":9}},
    "directory":{"maxStalenessSeconds":900,"forwardWhenStale":false,"strict":false}}"#;

/// That everything in `old` is in `new`, with the same value.
#[track_caller]
fn contains(new: &Value, old: &Value) {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => {
            for (name, value) in old {
                let found = new.get(name);
                assert!(found.is_some(), "{name} is gone");
                contains(found.unwrap(), value);
            }
        }
        (Value::Array(new), Value::Array(old)) => {
            assert_eq!(new.len(), old.len());
            new.iter().zip(old).for_each(|(new, old)| contains(new, old));
        }
        _ => assert_eq!(new, old),
    }
}

#[test]
fn settings_of_an_older_worker_are_read_and_an_older_object_reads_those_of_this_one() {
    let settings: DirectorySettings = serde_json::from_str(SETTINGS).unwrap();
    assert_eq!(settings.origin_url.as_deref(), Some("https://origin.example/scim"));
    assert!(!settings.supplements.is_empty(), "what was not said then is what it was then");
    contains(&serde_json::to_value(&settings).unwrap(), &serde_json::from_str(SETTINGS).unwrap());
}

#[test]
fn a_document_that_an_older_deployment_published_lets_in_whom_it_let_in() {
    let published = Published::parse(PUBLISHED).unwrap();
    assert_eq!((published.version, published.rules.len(), published.deleted), (7, 1, false));
    contains(&serde_json::to_value(&published).unwrap(), &serde_json::from_str(PUBLISHED).unwrap());
}

#[test]
fn a_deployment_that_knows_no_deletion_lets_nobody_in_by_a_tombstone() {
    let text = Published::tombstone("acc", 8).to_json();
    let told: Value = serde_json::from_str(&text).unwrap();
    let empty = json!({ "format": 1, "account": "acc", "version": 8, "rules": [], "serviceAccounts": {}, "apiKeys": {}, "deleted": true });
    contains(&told, &empty);
    assert!(Published::parse(&text).unwrap().deleted);
}

#[test]
fn an_account_that_is_made_anew_has_a_higher_version_than_any_before() {
    let before = Document::new("acc", 1_795_000_000_000);
    assert_eq!(before.version, 1_795_000_000_000);
    assert!(Document::new("acc", 1_795_000_000_001).version > before.version);
}
