//! A copy that takes over pages of changes ends with the same rows as its primary, however the pages fall.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod support;

use scim_edge_directory::Directory;
use scim_edge_directory::changes::ENTRIES;
use scim_edge_directory::deleted::{Deletion, Source};
use scim_edge_scim::endpoint::Kind;
use serde_json::{Value, json};
use support::{Client, Native, native};

const TABLES: [&str; 5] = ["resource", "email", "member", "tally", "extension"];

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn rows(native: &Native, table: &str) -> Vec<String> {
    let mut statement = native.0.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let cells: Result<Vec<String>, _> =
            (0..columns).map(|at| row.get_ref(at).map(|cell| format!("{cell:?}"))).collect();
        cells.map(|cells| cells.join(" "))
    };
    let mut all: Vec<String> = statement.query_map([], row).unwrap().map(Result::unwrap).collect();
    all.sort();
    all
}

#[track_caller]
fn same(primary: &Native, copy: &Native) {
    for table in TABLES {
        assert_eq!(rows(primary, table), rows(copy, table), "{table}");
    }
}

/// Takes a page over; whether there is more.
fn step(primary: &Directory<&Native>, copy: &Directory<&Native>, entries: i64) -> bool {
    let page = primary.changes(copy.mirrored().unwrap().as_ref(), entries).unwrap();
    // As it travels.
    let page = serde_json::from_str(&serde_json::to_string(&page).unwrap()).unwrap();
    copy.mirror(&page).unwrap();
    primary.note_copy("weur", Some(&page.mark)).unwrap();
    page.more
}

fn write(client: &Client<'_>, random: &mut Random) {
    let id = format!("id-{}", 1 + random.below(60));
    let other = format!("id-{}", 1 + random.below(60));
    let word = random.below(1000);
    let replace = |path: &str, value: Value| json!({ "Operations": [{ "op": "replace", "path": path, "value": value }] });
    match random.below(12) {
        0 | 1 => {
            let emails = [json!([]), json!([{ "value": format!("Ä{word}@x.example") }])];
            let user =
                json!({ "userName": format!("u{word}\u{1f}"), "emails": emails[random.below(2) as usize] });
            client.call("POST", "/Users", Some(user), &[]);
        }
        2 => {
            let group = json!({ "displayName": format!("g{word}"), "members": [] });
            client.call("POST", "/Groups", Some(group), &[]);
        }
        3 => drop(client.call("DELETE", &format!("/Users/{id}"), None, &[])),
        4 => drop(client.call("DELETE", &format!("/Groups/{id}"), None, &[])),
        5 => {
            let emails = json!([{ "value": format!("m{word}@x.example") }, { "value": "both@x.example" }]);
            client.call("PATCH", &format!("/Users/{id}"), Some(replace("emails", emails)), &[]);
        }
        6 => drop(client.call("PATCH", &format!("/Users/{id}"), Some(replace("title", json!(word))), &[])),
        7 => {
            let name = replace("displayName", json!(format!("n{word}")));
            client.call("PATCH", &format!("/Groups/{id}"), Some(name), &[]);
        }
        8 | 9 => {
            let add =
                json!({ "Operations": [{ "op": "add", "path": "members", "value": [{ "value": other }] }] });
            client.call("PATCH", &format!("/Groups/{id}"), Some(add), &[]);
        }
        10 => {
            let path = format!("members[value eq \"{other}\"]");
            let remove = json!({ "Operations": [{ "op": "remove", "path": path }] });
            client.call("PATCH", &format!("/Groups/{id}"), Some(remove), &[]);
        }
        _ => {
            let urn = format!("urn:example:{}", random.below(3));
            let schema = json!({ "id": urn, "name": "x", "attributes": [{ "name": format!("a{word}"), "type": "string" }] });
            client.call("PUT", &format!("/Schemas/{urn}"), Some(schema), &[]);
        }
    }
}

#[track_caller]
fn alike(client: &Client<'_>, asked: &Client<'_>, list: &str) {
    let [wanted, found] = [client, asked].map(|one| one.call("GET", list, None, &[]));
    assert!(wanted.body.is_some());
    assert_eq!((wanted.status, wanted.headers, wanted.body), (found.status, found.headers, found.body));
}

#[test]
fn a_copy_ends_with_the_same_rows() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let (primary, copy) = (native(), native());
        let client = Client::new(&primary);
        let asked = Client::new(&copy);
        let mirror = &asked.directory;
        for _ in 0..60 {
            write(&client, &mut random);
        }
        client.directory.begin_log("one").unwrap();
        for _ in 0..200 {
            for _ in 0..random.below(4) {
                write(&client, &mut random);
            }
            step(&client.directory, mirror, 1 + random.below(9) as i64);
        }
        while step(&client.directory, mirror, 3) {}
        same(&primary, &copy);
        assert!(rows(&primary, "change").len() < 3, "what the copy has is in the log no longer");
        assert!(rows(&primary, "member").len() + rows(&primary, "email").len() > 3);
        // What is asked of both is answered alike, also what was asked before the copy was changed.
        let lists = [
            "/Users?count=100",
            "/Groups?sortBy=displayName",
            "/Users?filter=emails.value%20eq%20%22both@x.example%22",
        ];
        for list in lists {
            alike(&client, &asked, list);
        }
        write(&client, &mut random);
        client.expect(201, "POST", "/Users", Some(json!({ "userName": "the last" })));
        while step(&client.directory, &asked.directory, ENTRIES) {}
        same(&primary, &copy);
        for list in lists {
            alike(&client, &asked, list);
        }
    }
}

#[test]
fn a_copy_that_the_log_does_not_reach_begins_anew() {
    let (primary, copy) = (native(), native());
    let client = Client::new(&primary);
    let mirror = Directory::open(&copy).unwrap();
    let user = |n: u32| client.expect(201, "POST", "/Users", Some(json!({ "userName": format!("u{n}") })));
    user(1);
    client.directory.begin_log("one").unwrap();
    while step(&client.directory, &mirror, ENTRIES) {}
    // Another copy has come further: what this one lacks is gone.
    user(2);
    primary.0.execute_batch("DELETE FROM change WHERE number < (SELECT max(number) FROM change)").unwrap();
    user(3);
    while step(&client.directory, &mirror, ENTRIES) {}
    same(&primary, &copy);
    // A log that ended, and one that began since.
    client.directory.end_log().unwrap();
    assert!(!client.directory.has_log().unwrap());
    user(4);
    client.directory.begin_log("two").unwrap();
    while step(&client.directory, &mirror, ENTRIES) {}
    same(&primary, &copy);
    assert_eq!(client.directory.copies().unwrap(), ["weur"]);
}

#[test]
fn a_fill_that_begins_anew_ends_the_log_and_what_it_brings_is_copied() {
    let (primary, copy) = (native(), native());
    let client = Client::new(&primary);
    let mirror = Directory::open(&copy).unwrap();
    let origin = "https://origin.example/scim";
    client.directory.begin_replica(origin).unwrap();
    let absorb = |kind, shown: Value| client.directory.absorb(kind, &shown, origin, 5).unwrap();
    absorb(Kind::User, json!({ "id": "a/b", "userName": "a", "manager": format!("{origin}/Users/x") }));
    absorb(
        Kind::Group,
        json!({ "id": "g", "displayName": "g", "members": [{ "value": "a/b" }, { "value": "later" }] }),
    );
    client.directory.begin_log("one").unwrap();
    while step(&client.directory, &mirror, 1) {}
    same(&primary, &copy);
    let deletion = Deletion { at: 6, source: Source::Origin, principal: None, request_id: None, keep: true };
    client.directory.forget(Kind::User, "a/b", &deletion).unwrap();
    absorb(Kind::User, json!({ "id": "a/b", "userName": "again" }));
    while step(&client.directory, &mirror, 1) {}
    same(&primary, &copy);
    let state = client.directory.replica().unwrap();
    mirror.mirror_replica(state.as_ref()).unwrap();
    assert_eq!(mirror.replica().unwrap(), state);
    client.directory.begin_fill().unwrap();
    assert!(!client.directory.has_log().unwrap());
    absorb(Kind::User, json!({ "id": "n", "userName": "n" }));
    client.directory.begin_log("two").unwrap();
    while step(&client.directory, &mirror, 1) {}
    same(&primary, &copy);
}
