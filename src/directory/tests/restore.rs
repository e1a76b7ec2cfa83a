//! Deleted resources: listed, restored with their memberships, trimmed, and erased.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod support;

use scim_edge_directory::audit::{self, Entry, Outcome, Resource};
use scim_edge_directory::deleted::{Deletion, Search, Source};
use scim_edge_directory::restore::Terms;
use scim_edge_scim::endpoint::Kind;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::{Client, Native, native};

const NOW: i64 = 1_796_000_000_000;
const TERMS: Terms = Terms { memberships: true, unique_group_names: false, kept_from: 0, now_ms: NOW };

fn user(client: &Client<'_>, name: &str) -> String {
    let made = client.expect(201, "POST", "/Users", Some(json!({ "userName": name })));
    made["id"].as_str().unwrap().to_owned()
}

fn group(client: &Client<'_>, name: &str, members: &[&str]) -> String {
    let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    let made =
        client.expect(201, "POST", "/Groups", Some(json!({ "displayName": name, "members": members })));
    made["id"].as_str().unwrap().to_owned()
}

/// All memberships: group and member.
fn memberships(client: &Client<'_>) -> BTreeSet<(String, String)> {
    let listed = client.expect(200, "GET", "/Groups?count=1000", None);
    let groups = listed["Resources"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    groups
        .iter()
        .flat_map(|group| {
            let members = group["members"].as_array().cloned().unwrap_or_default();
            members.into_iter().map(|member| (text(&group["id"]), text(&member["value"])))
        })
        .collect()
}

fn restore(client: &Client<'_>, kind: Kind, id: &str) -> scim_edge_directory::restore::Restored {
    client.directory.restore(kind, id, &TERMS).unwrap()
}

fn listed(client: &Client<'_>, search: Search<'_>) -> Vec<String> {
    let page = client.directory.deleted_resources(&search, None, 100).unwrap();
    page.resources.into_iter().map(|one| one.id).collect()
}

#[test]
fn restore_brings_a_user_back_with_its_id_a_higher_version_and_its_groups() {
    let native = native();
    let client = Client::new(&native);
    let ann = user(&client, "ann");
    let staff = group(&client, "staff", &[&ann]);
    let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "title", "value": "x" }] });
    let before = client.expect(200, "PATCH", &format!("/Users/{ann}"), Some(patch));
    client.expect(204, "DELETE", &format!("/Users/{ann}"), None);
    assert_eq!(memberships(&client), BTreeSet::new());
    let left = client.expect(200, "GET", &format!("/Groups/{staff}"), None);
    let restored = restore(&client, Kind::User, &ann);
    assert_eq!((restored.memberships, restored.waiting, restored.lost), (1, 0, 0));
    let after = client.expect(200, "GET", &format!("/Users/{ann}"), None);
    for same in ["id", "userName", "title", "groups"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!(after["meta"]["created"], before["meta"]["created"]);
    assert!(after["meta"]["lastModified"].as_str() > before["meta"]["lastModified"].as_str());
    let version = |shown: &Value| -> i64 {
        let tag = shown["meta"]["version"].as_str().unwrap();
        tag.trim_start_matches("W/\"").split(['~', '"']).next().unwrap().parse().unwrap()
    };
    assert!(version(&after) > version(&before));
    let now = client.expect(200, "GET", &format!("/Groups/{staff}"), None);
    assert!(version(&now) > version(&left));
    // It is found by everything that finds others, and no longer among the deleted ones.
    let found = client.expect(200, "GET", "/Users?filter=userName%20eq%20%22ANN%22", None);
    assert_eq!(found["totalResults"], 1);
    assert_eq!(client.directory.count(Kind::User).unwrap(), 1);
    assert_eq!(listed(&client, Search::default()), Vec::<String>::new());
    let again = client.directory.restore(Kind::User, &ann, &TERMS).unwrap_err();
    assert_eq!(again.status, 409);
}

#[test]
fn restore_is_refused_if_another_user_has_the_name_and_changes_nothing() {
    let native = native();
    let client = Client::new(&native);
    let ann = user(&client, "ann");
    let staff = group(&client, "staff", &[&ann]);
    client.expect(204, "DELETE", &format!("/Users/{ann}"), None);
    let other = user(&client, "ANN");
    let before = client.expect(200, "GET", &format!("/Groups/{staff}"), None);
    let refused = client.directory.restore(Kind::User, &ann, &TERMS).unwrap_err();
    let error: Value = serde_json::from_str(refused.body.as_deref().unwrap()).unwrap();
    assert_eq!((refused.status, error["scimType"].as_str()), (409, Some("uniqueness")));
    assert!(error["detail"].as_str().unwrap().contains("another User has this name by now"), "{error}");
    assert_eq!(client.expect(200, "GET", &format!("/Groups/{staff}"), None), before);
    client.expect(404, "GET", &format!("/Users/{ann}"), None);
    client.expect(204, "DELETE", &format!("/Users/{other}"), None);
    restore(&client, Kind::User, &ann);
}

#[test]
fn restoring_everything_in_any_order_restores_every_membership_and_none_more() {
    let mut seed = 7_u64;
    let mut below = |end: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % end
    };
    for _ in 0..60 {
        let native = native();
        let client = Client::new(&native);
        let mut all: Vec<(Kind, String)> =
            (0..5).map(|n| (Kind::User, user(&client, &format!("u{n}")))).collect();
        for n in 0..4 {
            let members: Vec<String> =
                all.iter().filter(|_| below(2) == 0).map(|(_, id)| id.clone()).collect();
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            all.push((Kind::Group, group(&client, &format!("g{n}"), &members)));
        }
        let before = memberships(&client);
        let mut there = all.clone();
        let mut gone: Vec<(Kind, String)> = Vec::new();
        // Deletions, with restores among them, until everything has been deleted; then all are restored.
        while !there.is_empty() {
            if !gone.is_empty() && below(4) == 0 {
                let (kind, id) = gone.swap_remove(below(gone.len()));
                restore(&client, kind, &id);
                there.push((kind, id));
            }
            let (kind, id) = there.swap_remove(below(there.len()));
            client.expect(204, "DELETE", &format!("/{}/{id}", kind.segment()), None);
            assert!(memberships(&client).is_subset(&before));
            gone.push((kind, id));
        }
        while !gone.is_empty() {
            let (kind, id) = gone.swap_remove(below(gone.len()));
            restore(&client, kind, &id);
            assert!(memberships(&client).is_subset(&before));
        }
        assert_eq!(memberships(&client), before);
    }
}

#[test]
fn restore_leaves_out_members_that_left_and_ids_that_are_others_now() {
    let native = native();
    let client = Client::new(&native);
    let (ann, bob) = (user(&client, "ann"), user(&client, "bob"));
    let staff = group(&client, "staff", &[&ann, &bob]);
    client.expect(204, "DELETE", &format!("/Users/{ann}"), None);
    client.expect(204, "DELETE", &format!("/Groups/{staff}"), None);
    // Gone for good: nothing is restored of it.
    client.directory.trim_deleted(NOW).unwrap();
    assert_eq!(listed(&client, Search::default()), Vec::<String>::new());
    assert_eq!(client.directory.restore(Kind::Group, &staff, &TERMS).unwrap_err().status, 404);
    let staff = group(&client, "staff", &[&bob]);
    client.expect(204, "DELETE", &format!("/Groups/{staff}"), None);
    let restored =
        client.directory.restore(Kind::Group, &staff, &Terms { memberships: false, ..TERMS }).unwrap();
    assert_eq!(restored.memberships, 0);
    assert_eq!(memberships(&client), BTreeSet::new());
}

#[test]
fn deleted_resources_are_paged_and_found_by_type_name_and_text() {
    let native = native();
    let client = Client::new(&native);
    let people: Vec<String> = (0..7).map(|n| user(&client, &format!("Person{n}@Example.com"))).collect();
    let staff = group(&client, "Staff", &[&people[0]]);
    for id in &people {
        client.expect(204, "DELETE", &format!("/Users/{id}"), None);
    }
    client.expect(204, "DELETE", &format!("/Groups/{staff}"), None);
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = client.directory.deleted_resources(&Search::default(), before, 3).unwrap();
        assert!(page.resources.len() <= 3);
        seen.extend(page.resources.iter().map(|one| one.id.clone()));
        before = page.before;
        if before.is_none() {
            break;
        }
    }
    let expected: Vec<String> = people.iter().cloned().chain([staff.clone()]).rev().collect();
    assert_eq!(seen, expected);
    let groups = Search { kind: Some(Kind::Group), ..Search::default() };
    assert_eq!(listed(&client, groups), std::slice::from_ref(&staff));
    let named = Search { name: Some("PERSON3@example.com"), ..Search::default() };
    assert_eq!(listed(&client, named), [people[3].clone()]);
    assert_eq!(listed(&client, Search { text: Some("staFF"), ..Search::default() }), [staff]);
    assert_eq!(listed(&client, Search { text: Some(&people[2]), ..Search::default() }), [people[2].clone()]);
    assert_eq!(listed(&client, Search { kept_from: i64::MAX >> 11, ..Search::default() }).len(), 0);
    let page = client.directory.deleted_resources(&Search::default(), None, 1).unwrap();
    let one = &page.resources[0];
    assert_eq!((one.source.as_str(), one.principal.as_deref()), ("gateway", Some("client")));
    assert_eq!(one.request_id.as_deref(), Some("request"));
}

#[test]
fn a_deletion_that_is_kept_writes_one_row_more() {
    let rows = |keep: bool| {
        let native = native();
        let client = Client::new(&native);
        let ann = user(&client, "ann");
        group(&client, "staff", &[&ann]);
        let before = native.0.total_changes();
        let deletion = Deletion { at: 1, source: Source::Origin, principal: None, request_id: None, keep };
        client.directory.forget(Kind::User, &ann, &deletion).unwrap();
        assert_eq!(listed(&client, Search::default()).len(), usize::from(keep));
        native.0.total_changes() - before
    };
    assert_eq!(rows(true), rows(false) + 1);
}

#[test]
fn a_group_of_thousands_of_members_with_long_displays_is_restored_whole() {
    let native = native();
    let client = Client::new(&native);
    let people: Vec<Value> = (0..4000)
        .map(|n| json!({ "value": user(&client, &format!("u{n}")), "display": "d".repeat(200) }))
        .collect();
    let staff = client.expect(201, "POST", "/Groups", Some(json!({ "displayName": "g", "members": people })));
    let staff = staff["id"].as_str().unwrap();
    let before = client.expect(200, "GET", &format!("/Groups/{staff}"), None);
    client.expect(204, "DELETE", &format!("/Groups/{staff}"), None);
    let longest: i64 = native
        .0
        .query_row("SELECT max(length(links)) FROM (SELECT links FROM deleted UNION ALL SELECT links FROM deleted_links)", [], |row| row.get(0))
        .unwrap();
    assert!(longest <= 1 << 18, "{longest}");
    assert_eq!(restore(&client, Kind::Group, staff).memberships, 4000);
    let after = client.expect(200, "GET", &format!("/Groups/{staff}"), None);
    assert_eq!(after["members"], before["members"]);
}

#[test]
fn a_row_of_a_deleted_resource_stays_below_the_limit_of_the_platform() {
    let native = native();
    let client = Client::new(&native);
    let directory = &client.directory;
    let base = "https://origin.example/scim";
    directory.begin_replica(base).unwrap();
    let deletion = Deletion { at: 6, source: Source::Origin, principal: None, request_id: None, keep: true };
    for (id, length) in [("long", 1_900_000), ("longest", 2_000_000)] {
        let user = json!({ "id": id, "userName": id, "title": "t".repeat(length) });
        directory.absorb(Kind::User, &user, base, 5).unwrap();
    }
    for n in 0..2_000 {
        let members = json!([{ "value": "long", "display": "d".repeat(200) }]);
        let group = json!({ "id": format!("g{n}"), "displayName": "g", "members": members });
        directory.absorb(Kind::Group, &group, base, 5).unwrap();
    }
    for id in ["long", "longest"] {
        directory.forget(Kind::User, id, &deletion).unwrap();
    }
    let longest: i64 = native
        .0
        .query_row("SELECT max(length(body) + length(links)) FROM deleted", [], |row| row.get(0))
        .unwrap();
    assert!(longest < 2_000_000, "{longest}");
    let tombstone = directory.restorable(Kind::User, "long", 0).unwrap();
    assert_eq!(directory.memberships(&tombstone).unwrap().groups.len(), 2_000);
    assert_eq!(directory.restorable(Kind::User, "longest", 0).unwrap_err().status, 404);
}

#[test]
fn restore_at_an_origin_follows_the_ids_that_it_gives() {
    let native = native();
    let client = Client::new(&native);
    let directory = &client.directory;
    directory.begin_replica("https://origin.example/scim").unwrap();
    let base = "https://origin.example/scim";
    let absorb = |kind, shown: Value| directory.absorb(kind, &shown, base, 5).unwrap();
    absorb(
        Kind::User,
        json!({ "id": "u1", "userName": "ann",
        "manager": { "$ref": format!("{base}/Users/u2") } }),
    );
    absorb(Kind::Group, json!({ "id": "g1", "displayName": "staff", "members": [{ "value": "u1" }] }));
    let deletion =
        Deletion { at: 6, source: Source::Reconciliation, principal: None, request_id: None, keep: true };
    directory.forget(Kind::Group, "g1", &deletion).unwrap();
    directory.forget(Kind::User, "u1", &deletion).unwrap();
    let ann = directory.restorable(Kind::User, "u1", 0).unwrap();
    assert_eq!(ann.origin.as_deref(), Some(base));
    let links = directory.memberships(&ann).unwrap();
    let body = directory.restore_body(&ann, &links, "https://edge.example").unwrap();
    assert_eq!(body["manager"]["$ref"], "https://edge.example/Users/u2");
    assert!(body.get("id").is_none());
    absorb(Kind::User, json!({ "id": "u9", "userName": "ann" }));
    directory.mark_restored(&ann, &links, "u9").unwrap();
    assert_eq!(listed(&client, Search::default()), ["g1"]);
    assert_eq!(directory.restorable(Kind::User, "u1", 0).unwrap_err().status, 404);
    let staff = directory.restorable(Kind::Group, "g1", 0).unwrap();
    let links = directory.memberships(&staff).unwrap();
    let body = directory.restore_body(&staff, &links, "https://edge.example").unwrap();
    assert_eq!(body["members"], json!([{ "value": "u9", "type": "User" }]));
    assert_eq!(directory.ids_of(Kind::User, "u9").unwrap(), ["u9", "u1"]);
    assert_eq!(directory.ids_of(Kind::User, "u1").unwrap(), ["u1", "u9"]);
}

#[test]
fn a_restore_that_may_have_been_made_before_is_not_made_twice() {
    let native = native();
    let client = Client::new(&native);
    let directory = &client.directory;
    let staff = group(&client, "staff", &[]);
    client.expect(204, "DELETE", &format!("/Groups/{staff}"), None);
    let tombstone = directory.restorable(Kind::Group, &staff, 0).unwrap();
    directory.begin_restore(&tombstone, NOW).unwrap();
    group(&client, "staff", &[]);
    let tombstone = directory.restorable(Kind::Group, &staff, 0).unwrap();
    assert_eq!(directory.check_free(&tombstone, false).unwrap_err().status, 409);
    directory.end_restore(&tombstone).unwrap();
    // Groups may have the same name.
    let tombstone = directory.restorable(Kind::Group, &staff, 0).unwrap();
    directory.check_free(&tombstone, false).unwrap();
    let unique = Terms { unique_group_names: true, ..TERMS };
    let refused = directory.restore(Kind::Group, &staff, &unique).unwrap_err();
    assert!(refused.body.unwrap().contains("displayName: another Group has this name by now"));
    directory.restore(Kind::Group, &staff, &TERMS).unwrap();
}

fn written(client: &Client<'_>, operation: &str, id: &str, former_id: Option<&str>) {
    let entry = Entry {
        id: 0,
        at: 1,
        kind: audit::Kind::Write,
        principal: Some("okta".to_owned()),
        subject: Some("planted-subject@example.com".to_owned()),
        operation: operation.to_owned(),
        resource: Some(Resource { of: "User".to_owned(), id: Some(id.to_owned()) }),
        status: 200,
        outcome: Outcome::Ok,
        reason: None,
        request_id: None,
        count: 1,
        attributes: None,
        former_id: former_id.map(str::to_owned),
    };
    audit::add(client.directory.sql(), &entry).unwrap();
}

/// Each table as text, in which a planted value would show.
fn dump(native: &Native) -> String {
    let mut names = native.0.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all = String::new();
    for name in names {
        let mut rows = native.0.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.raw_query();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                let value: rusqlite::types::Value = row.get(column).unwrap();
                all.push_str(&format!("{name}: {value:?}\n").replace('\\', ""));
            }
        }
    }
    all
}

#[test]
fn erasure_leaves_no_planted_value_in_any_table() {
    let native = native();
    let client = Client::new(&native);
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let body = json!({ "userName": "planted-name", "externalId": "planted-external",
        "name": { "familyName": "planted-family" }, "title": "planted-title",
        "emails": [{ "value": "planted-subject@example.com" }],
        enterprise: { "department": "planted-department" } });
    let made = client.expect(201, "POST", "/Users", Some(body));
    let planted = made["id"].as_str().unwrap();
    let bob = user(&client, "bob");
    for name in ["staff", "other"] {
        let members = json!([{ "value": planted, "display": "planted-display" }, { "value": bob }]);
        client.expect(201, "POST", "/Groups", Some(json!({ "displayName": name, "members": members })));
    }
    let other = client.expect(200, "GET", "/Groups?filter=displayName%20eq%20%22other%22", None);
    let other = other["Resources"][0]["id"].as_str().unwrap().to_owned();
    client.expect(204, "DELETE", &format!("/Groups/{other}"), None);
    client.directory.begin_log("log").unwrap();
    for n in 0..5 {
        written(&client, "user.patch", planted, None);
        written(&client, "user.restore", planted, Some("planted-former"));
        written(&client, "user.patch", &format!("other-{n}"), None);
    }
    client.expect(204, "DELETE", &format!("/Users/{planted}"), None);
    let erasable = client.directory.erasable(Kind::User, "planted-former").unwrap().unwrap();
    assert_eq!(erasable.name.as_deref(), Some("planted-name"));
    assert_eq!((erasable.ids.len(), erasable.live.as_deref()), (2, None));
    assert!(dump(&native).contains("planted"));
    let mut after = 0;
    while let Some(next) = client.directory.erase_audit(Kind::User, &erasable, after).unwrap() {
        after = next;
    }
    client.directory.erase_tables(Kind::User, &erasable, NOW).unwrap();
    let text = dump(&native);
    let ids = [planted.to_owned(), "planted".to_owned()];
    for line in text.lines() {
        // Ids here are short: one is looked for as a whole cell, or in quotes.
        let has = ids.iter().any(|id| line.contains(&format!("\"{id}\"")) || line.contains("planted"));
        assert!(!has, "{line}");
    }
    assert_eq!(client.directory.erasable(Kind::User, planted).unwrap(), None);
    // Others keep what is theirs, and the deleted group its other member.
    assert!(text.contains("other-3"));
    assert_eq!(restore(&client, Kind::Group, &other).memberships, 1);
}

#[test]
fn history_has_names_of_attributes_and_no_values() {
    let native = native();
    let client = Client::new(&native);
    let made = client.call("POST", "/Users", Some(json!({ "userName": "ann", "title": "secret" })), &[]);
    let names = made.changed[0].names.clone().unwrap();
    assert_eq!(
        (names.added.as_slice(), names.changed.len()),
        (["userName".to_owned(), "title".to_owned()].as_slice(), 0)
    );
    let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [
        { "op": "replace", "path": "title", "value": "secret2" },
        { "op": "add", "path": "nickName", "value": "secret3" },
    ] });
    let patched = client.call("PATCH", "/Users/id-1", Some(patch.clone()), &[]);
    let names = patched.changed[0].names.clone().unwrap();
    assert_eq!((names.added.concat(), names.changed.concat()), ("nickName".to_owned(), "title".to_owned()));
    // For an origin, the copy tells the same before the write leaves.
    let nothing = client.directory.names_changed(
        "PATCH",
        Kind::User,
        Some("id-1"),
        patch.as_object().unwrap(),
        client.dialect,
    );
    assert_eq!(nothing, Some(scim_edge_directory::changed_names::ChangedNames::default()));
    let bulk = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [
        { "method": "POST", "path": "/Users", "bulkId": "a", "data": { "userName": "ann" } },
        { "method": "PUT", "path": "/Users/id-1", "data": { "userName": "ann2" } },
        { "method": "DELETE", "path": "/Users/id-1" },
    ] });
    let done = client.call("POST", "/Bulk", Some(bulk), &[]);
    assert_eq!(done.changed.len(), 3);
    assert_eq!((done.changed[0].names.is_none(), done.changed[2].names.is_none()), (true, true));
    let put = done.changed[1].names.clone().unwrap();
    assert_eq!((put.changed.concat(), put.removed.len()), ("userName".to_owned(), 2));
    // An operation that is left undone has no answer: each answer says which operation it is to.
    let bulk = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "failOnErrors": 1, "Operations": [
        { "method": "POST", "path": "/Groups", "bulkId": "g", "data": { "displayName": "g",
            "members": [{ "value": "bulkId:twice" }] } },
        { "method": "POST", "path": "/Users", "bulkId": "ben", "data": { "userName": "ben" } },
        { "method": "POST", "path": "/Users", "bulkId": "twice", "data": { "userName": "ben" } },
    ] });
    let done = client.call("POST", "/Bulk", Some(bulk), &[]);
    let places: Vec<usize> = done.changed.iter().map(|changed| changed.operation).collect();
    assert!(!places.is_empty() && !places.contains(&0), "{places:?}");
}
