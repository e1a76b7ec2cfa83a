//! A page of users, which SQLite writes, shows of each what a read of it shows, byte for byte where nothing
//! of it came from an origin.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use scim_edge_scim::endpoint::Kind;
use serde_json::{Value, json};
use support::{BASE, Client, Native, native};

/// Whether every user of a list is there as a read shows it; how many there were.
#[track_caller]
fn as_read(client: &Client<'_>, list: &str) -> usize {
    let listed = client.expect(200, "GET", list, None);
    let resources = listed["Resources"].as_array().unwrap();
    assert_eq!(listed["itemsPerPage"], resources.len(), "{list}");
    for user in resources {
        let id = user["id"].as_str().unwrap();
        let path = format!("/Users/{}", scim_edge_scim::endpoint::encode(id));
        let response = client.call("GET", &path, None, &[]);
        let read: Value = serde_json::from_str(response.body.as_deref().unwrap()).unwrap();
        assert_eq!(*user, read, "{list}: {id}");
        let text = response.body.unwrap();
        if !text.contains("origin") {
            let all = client.call("GET", list, None, &[]).body.unwrap();
            assert!(all.contains(&text), "{list}: {text} is not in {all}");
        }
    }
    resources.len()
}

fn directory(native: &Native) -> Client<'_> {
    let client = Client::new(native);
    for n in 0..25 {
        let name = ["ann", "DÄVE \"the\" \\ great", "o'neil\n", "日本"][n % 4];
        let body = json!({ "userName": format!("{name}{n}"), "displayName": format!("urn:scim-edge:base {n}"), "title": "x" });
        client.expect(201, "POST", "/Users", Some(body));
    }
    for (name, members) in [("A \"quoted\" group\n", 1..8), ("b", 3..20), ("c", 9..12)] {
        let members: Vec<Value> = members.map(|n| json!({ "value": format!("id-{n}") })).collect();
        client.expect(201, "POST", "/Groups", Some(json!({ "displayName": name, "members": members })));
    }
    let change = json!({ "Operations": [{ "op": "replace", "path": "title", "value": "changed" }] });
    client.expect(200, "PATCH", "/Users/id-4", Some(change));
    client
}

const LISTS: [&str; 8] = [
    "/Users",
    "/Users?count=10",
    "/Users?startIndex=21&count=10",
    "/Users?startIndex=9&count=7",
    "/Users?cursor&count=10",
    "/Users?sortBy=userName&sortOrder=descending",
    "/Users?filter=title%20eq%20%22x%22&count=9",
    "/Users?filter=groups.display%20eq%20%22b%22",
];

#[test]
fn a_page_shows_what_a_read_shows() {
    let native = native();
    let client = directory(&native);
    let mut shown = 0;
    for list in LISTS {
        shown += as_read(&client, list);
    }
    assert!(shown > 80, "{shown}");
    assert_eq!(as_read(&client, "/Users?count=0"), 0);
    assert_eq!(as_read(&client, "/Users?startIndex=900"), 0);
    // The order is the order of creation, from whichever end it was read, or what was asked for.
    let ids = |list: &str| -> Vec<String> {
        let listed = client.expect(200, "GET", list, None);
        let ids = listed["Resources"].as_array().unwrap().iter();
        ids.map(|user| user["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("/Users?startIndex=22"), ["id-22", "id-23", "id-24", "id-25"]);
    assert_eq!(ids("/Users?count=3"), ["id-1", "id-2", "id-3"]);
    let up = ids("/Users?sortBy=userName");
    let down = ids("/Users?sortBy=userName&sortOrder=descending");
    assert_eq!(up, down.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn groups_in_groups_are_shown_as_well() {
    let native = native();
    let client = directory(&native);
    let group = json!({ "displayName": "above", "members": [{ "value": "id-27" }] });
    client.expect(201, "POST", "/Groups", Some(group));
    let listed = client.expect(200, "GET", "/Users?startIndex=15&count=1", None);
    assert_eq!(listed["Resources"][0]["groups"][1]["type"], "indirect", "{listed}");
    for list in LISTS {
        as_read(&client, list);
    }
}

#[test]
fn what_came_from_an_origin_is_shown_as_well() {
    let native = native();
    let client = Client::new(&native);
    let directory = &client.directory;
    directory.begin_replica("https://origin.example").unwrap();
    let origin = "https://origin.example";
    let versions = [
        json!("W/\"abc-1\""),
        json!("W/\"a~0011aabb\""),
        json!("\"strong\""),
        json!("odd \\ \"one"),
        Value::Null,
    ];
    for (n, version) in versions.iter().enumerate() {
        let id = ["u1", "u 2", "u3", "ü;4", "u5"][n];
        let mut meta = json!({ "resourceType": "User", "created": "2026-01-01T00:00:00Z", "location": format!("{origin}/Users/{id}") });
        if !version.is_null() {
            meta["version"] = version.clone();
        }
        let user = json!({ "id": id, "userName": id, "x509": 1, "meta": meta,
            "profileUrl": "urn:scim-edge:base", "manager": { "$ref": format!("{origin}/Users/u1") } });
        directory.absorb(Kind::User, &user, origin, 1_795_000_000_000).unwrap().unwrap();
    }
    for (id, members) in [("g1", ["u1", "u 2"]), ("g 2", ["u3", "u1"])] {
        let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
        let group = json!({ "id": id, "displayName": id, "members": members });
        // Whole pages of plain ones, and pages with one that is not.
        assert!(as_read(&client, "/Users") == 5 && as_read(&client, "/Users?count=1") == 1);
        directory.absorb(Kind::Group, &group, origin, 1_795_000_000_000).unwrap().unwrap();
    }
    for list in ["/Users", "/Users?count=1", "/Users?startIndex=3&count=1", "/Users?startIndex=5&count=1"] {
        as_read(&client, list);
    }
    let listed = client.expect(200, "GET", "/Users?count=1", None);
    assert_eq!(listed["Resources"][0]["manager"]["$ref"], format!("{BASE}/Users/u1"), "{listed}");
}

#[test]
fn an_answer_is_kept_until_something_is_written() {
    let native = native();
    let client = directory(&native);
    for list in LISTS {
        let before = client.expect(200, "GET", list, None);
        assert_eq!(client.expect(200, "GET", list, None), before);
        let n = before["Resources"][0]["id"].as_str().unwrap().to_owned();
        let change = json!({ "Operations": [{ "op": "replace", "path": "nickName", "value": list }] });
        client.expect(200, "PATCH", &format!("/Users/{n}"), Some(change));
        let after = client.expect(200, "GET", list, None);
        let changed = after["Resources"].as_array().unwrap().iter().find(|user| user["id"] == n.as_str());
        assert_eq!(changed.unwrap()["nickName"], list);
    }
    // A group's name is in its members' answers.
    let change = json!({ "Operations": [{ "op": "replace", "path": "displayName", "value": "renamed" }] });
    client.expect(200, "PATCH", "/Groups/id-26", Some(change));
    let listed = client.expect(200, "GET", "/Users?count=10", None);
    assert_eq!(listed["Resources"][0]["groups"][0]["display"], "renamed");
}
