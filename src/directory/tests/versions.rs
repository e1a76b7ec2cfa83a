//! Databases as each version of the tables left them, opened by this one. The dumps are never changed: a
//! new version adds one.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use scim_edge_scim::endpoint::Kind;
use serde_json::json;
use support::{Client, native};

const DUMPS: [(i64, &str); 11] = [
    (1, include_str!("versions/1.sql")),
    (2, include_str!("versions/2.sql")),
    (3, include_str!("versions/3.sql")),
    (4, include_str!("versions/4.sql")),
    (5, include_str!("versions/5.sql")),
    (6, include_str!("versions/6.sql")),
    (7, include_str!("versions/7.sql")),
    (8, include_str!("versions/8.sql")),
    (9, include_str!("versions/9.sql")),
    (10, include_str!("versions/10.sql")),
    (11, include_str!("versions/11.sql")),
];

#[test]
fn every_version_has_its_dump_but_this_one() {
    let native = native();
    drop(Client::new(&native));
    let current: i64 = native.0.query_row("SELECT number FROM schema_version", [], |row| row.get(0)).unwrap();
    let before: Vec<i64> = DUMPS.iter().map(|(number, _)| *number).collect();
    assert_eq!(before, (1..current).collect::<Vec<_>>());
}

#[test]
fn a_database_of_any_version_is_carried_forward_whole() {
    for (version, dump) in DUMPS {
        let native = native();
        native.0.execute_batch(dump).unwrap();
        let client = Client::new(&native);
        let found = |filter: &str| {
            let listed = client.expect(200, "GET", &format!("/Users?filter={filter}"), None);
            assert_eq!(listed["totalResults"], 1, "version {version}: {filter}");
            listed["Resources"][0]["id"].as_str().unwrap().to_owned()
        };
        assert_eq!(found("userName%20eq%20%22ANN@example.com%22"), "u1");
        assert_eq!(found("emails.value%20eq%20%22ann@work.example%22"), "u1");
        assert_eq!(found("externalId%20eq%20%22x-u2%22"), "u2");
        // By the rules of this version, however the name was folded then.
        assert_eq!(found("userName%20eq%20%22D%C3%84VE%22"), "u2");
        let ann = client.expect(200, "GET", "/Users/u1", None);
        assert_eq!(ann["userName"], "Ann@Example.com");
        assert_eq!(ann["groups"][0]["display"], "Staff");
        assert_eq!(ann["meta"]["created"], "2026-11-18T11:06:40.000Z");
        // What a list shows is what a read shows, groups and versions included.
        let listed = client.expect(200, "GET", "/Users", None);
        assert_eq!(listed["Resources"][0], ann, "version {version}");
        let staff = client.expect(200, "GET", "/Groups/g1", None);
        assert_eq!(staff["members"].as_array().map(Vec::len), Some(2), "version {version}");
        assert_eq!(staff["members"][0]["display"], "Ann");
        // What the copy is of, and the write of unknown outcome.
        let state = client.directory.replica().unwrap().unwrap();
        assert_eq!(
            (state.origin.as_str(), state.synced_at),
            ("https://origin.example/scim", Some(1_795_000_000_000))
        );
        assert_eq!((state.filling, state.pass, state.hides_members), (None, None, version >= 3));
        let unknown = client.directory.unknown().unwrap();
        assert_eq!((unknown.len(), unknown[0].id.as_deref()), (1, Some("u2")));
        // It takes writes as any other.
        client.refused(
            409,
            Some("uniqueness"),
            "POST",
            "/Users",
            Some(json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "däve",
            })),
        );
        client.expect(204, "DELETE", "/Users/u2", None);
        assert_eq!(client.directory.count(Kind::User).unwrap(), 1);
        let staff = client.expect(200, "GET", "/Groups/g1", None);
        assert_eq!(staff["members"].as_array().map(Vec::len), Some(1));
        client.directory.begin_pass().unwrap();
        assert!(client.directory.first_use("proof", 2, 1).unwrap());
    }
}
