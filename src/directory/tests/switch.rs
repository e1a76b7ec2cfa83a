//! Switches of the table set in use: filled beside it, exchanged at once, kept and put back.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod support;

use scim_edge_directory::Directory;
use scim_edge_directory::deleted::{Deletion, Source};
use scim_edge_directory::replica::Comparison;
use scim_edge_directory::sql::Sql;
use scim_edge_directory::switch::{KEPT, KEPT_MS, Reason, Switch};
use scim_edge_directory::table_set::TableSet;
use scim_edge_scim::endpoint::Kind;
use serde_json::{Value, json};
use support::{Client, Native, native};

const NOW: i64 = 1_795_000_000_000;
const ORIGIN: &str = "https://origin.example/scim";

type Beside<'a> = Directory<TableSet<&'a Native>>;

fn user(name: &str) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name })
}

fn group(name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": members })
}

fn shown(id: &str, resource: Value) -> Value {
    let mut resource = resource;
    resource["id"] = id.into();
    resource
}

fn count(native: &&Native, table: &str) -> i64 {
    native.query(&format!("SELECT count(*) FROM {table}"), &[]).unwrap().remove(0).integer().unwrap()
}

fn begin<'a>(client: &Client<'a>, native: &'a Native, reason: Reason) -> (Switch, Beside<'a>) {
    client.directory.begin_switch(reason, ORIGIN, "before", NOW).unwrap();
    let switch = client.directory.sets().unwrap().switch.unwrap();
    let beside = Directory::open_switch(native, &switch).unwrap();
    (switch, beside)
}

/// Fills a set as the first fill of a copy does.
fn fill(beside: &Beside<'_>, users: usize) {
    beside.begin_fill().unwrap();
    for n in 0..users {
        let one = shown(&format!("new{n}"), user(&format!("new{n}")));
        beside.absorb(Kind::User, &one, ORIGIN, NOW).unwrap().unwrap();
    }
    let mut state = beside.replica().unwrap().unwrap();
    (state.filling, state.synced_at) = (None, Some(NOW));
    beside.set_replica(&state).unwrap();
}

fn gone() -> Deletion<'static> {
    Deletion { at: NOW, source: Source::Origin, principal: None, request_id: None, keep: false }
}

/// A system of record with three users and a group of two.
fn record(native: &Native) -> Client<'_> {
    let client = Client::new(native);
    for n in 0..3 {
        client.expect(201, "POST", "/Users", Some(user(&format!("old{n}"))));
    }
    client.expect(201, "POST", "/Groups", Some(group("Old", &["id-1", "id-2"])));
    client
}

fn names(client: &Client<'_>) -> Vec<String> {
    let list = client.expect(200, "GET", "/Users?sortBy=userName", None);
    let names = list["Resources"].as_array().unwrap().iter();
    names.map(|one| one["userName"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_set_is_filled_beside_the_one_in_use_and_exchanged_at_once() {
    let native = native();
    let client = record(&native);
    let (_, beside) = begin(&client, &native, Reason::Change);
    fill(&beside, 2);
    assert_eq!(names(&client), ["old0", "old1", "old2"], "the set in use answers meanwhile");
    assert_eq!(client.directory.replica().unwrap(), None);
    client.directory.exchange("before", true, NOW).unwrap();
    assert_eq!(names(&client), ["new0", "new1"]);
    assert_eq!(client.directory.count(Kind::Group).unwrap(), 0);
    assert_eq!(client.directory.replica().unwrap().unwrap().origin, ORIGIN);
    let sets = client.directory.sets().unwrap();
    assert_eq!((sets.in_use, sets.switch), (1, None));
    let kept = &sets.kept[0];
    assert_eq!((kept.number, kept.origin.as_deref(), kept.users, kept.groups), (Some(0), None, 3, 1));
    assert_eq!(kept.until, NOW + KEPT_MS);
    // The tables are those of any other directory: they open, and take writes.
    drop(client);
    let again = Client::new(&native);
    assert_eq!(names(&again), ["new0", "new1"]);
    again.expect(201, "POST", "/Users", Some(user("later")));
    assert_eq!(names(&again).len(), 3);
}

#[test]
fn what_was_in_use_is_put_back_and_that_can_be_undone() {
    let native = native();
    let client = record(&native);
    let (_, beside) = begin(&client, &native, Reason::Change);
    fill(&beside, 2);
    client.directory.exchange("before", true, NOW).unwrap();
    for (expected, number) in
        [(["old0", "old1", "old2"].as_slice(), 0), (&["new0", "new1"], 1), (&["old0", "old1", "old2"], 0)]
    {
        client.directory.begin_undo(number, "active", NOW).unwrap();
        let switch = client.directory.sets().unwrap().switch.unwrap();
        drop(Directory::open_switch(&native, &switch).unwrap());
        client.directory.exchange("active", true, NOW).unwrap();
        assert_eq!(names(&client), expected);
        assert_eq!(client.directory.replica().unwrap().is_some(), number == 1);
        assert_eq!(client.directory.sets().unwrap().kept.len(), 1);
    }
    // Members are there again, with everything that indexes lead to.
    let one = client.expect(200, "GET", "/Users/id-1", None);
    assert_eq!(one["groups"][0]["display"], "Old");
    assert_eq!(client.expect(200, "GET", "/Users?filter=userName eq \"old2\"", None)["totalResults"], 1);
}

#[test]
fn a_switch_that_is_cancelled_leaves_nothing_behind() {
    let native = native();
    let client = record(&native);
    let before = count(&&native, "sqlite_master");
    let (_, beside) = begin(&client, &native, Reason::Change);
    fill(&beside, 2);
    client.directory.cancel_switch().unwrap();
    assert_eq!(names(&client), ["old0", "old1", "old2"]);
    assert_eq!(count(&&native, "sqlite_master"), before);
    // The next one has a number of its own.
    let (switch, _) = begin(&client, &native, Reason::Change);
    assert_eq!(switch.number, 2);
    // An undo that is cancelled keeps what it would have put back.
    client.directory.exchange("before", true, NOW).unwrap();
    client.directory.begin_undo(0, "active", NOW).unwrap();
    client.directory.cancel_switch().unwrap();
    assert_eq!(client.directory.sets().unwrap().kept[0].number, Some(0));
}

#[test]
fn an_exchange_that_fails_changes_nothing() {
    let native = native();
    let client = record(&native);
    let (_, beside) = begin(&client, &native, Reason::Change);
    fill(&beside, 2);
    // A table of that name is in the way of the last step.
    (&native).query("CREATE TABLE s0_state (one INTEGER)", &[]).unwrap();
    assert!(client.directory.exchange("before", true, NOW).is_err());
    assert_eq!(names(&client), ["old0", "old1", "old2"]);
    assert_eq!(client.directory.sets().unwrap().in_use, 0);
    (&native).query("DROP TABLE s0_state", &[]).unwrap();
    client.directory.exchange("before", true, NOW).unwrap();
    assert_eq!(names(&client), ["new0", "new1"]);
}

#[test]
fn sets_are_kept_for_thirty_days() {
    let native = native();
    let client = record(&native);
    let before = count(&&native, "sqlite_master");
    let (_, beside) = begin(&client, &native, Reason::Change);
    fill(&beside, 2);
    client.directory.exchange("before", true, NOW).unwrap();
    let until = NOW + KEPT_MS;
    assert_eq!(client.directory.drop_expired(until - 1).unwrap(), Some(until));
    assert_eq!(count(&&native, "s0_resource"), 4);
    assert_eq!(client.directory.drop_expired(until).unwrap(), None);
    assert_eq!(client.directory.sets().unwrap().kept, []);
    assert_eq!(count(&&native, "sqlite_master"), before);
    assert_eq!(names(&client), ["new0", "new1"]);
}

#[test]
fn a_record_is_kept_however_often_the_origin_is_changed() {
    let native = native();
    let client = record(&native);
    for _ in 0..KEPT + 3 {
        let (_, beside) = begin(&client, &native, Reason::Change);
        fill(&beside, 1);
        client.directory.exchange("before", true, NOW).unwrap();
    }
    let kept = client.directory.sets().unwrap().kept;
    assert_eq!(kept.len(), KEPT);
    assert_eq!(kept[0].number, Some(0), "only the gateway has it");
    assert_eq!(count(&&native, "s0_resource"), 4);
}

#[test]
fn changes_during_a_switch_of_a_copy_are_read_again_before_the_exchange() {
    let native = native();
    let client = Client::new(&native);
    client.directory.begin_replica("https://old.example/scim").unwrap();
    let absorb = |id: &str, resource: Value| {
        let kind = if resource["displayName"].is_null() { Kind::User } else { Kind::Group };
        client.directory.absorb(kind, &shown(id, resource), ORIGIN, NOW).unwrap().unwrap();
    };
    absorb("a", user("a"));
    absorb("b", user("b"));
    absorb("g", group("G", &["a"]));
    assert!(!client.directory.has_changed().unwrap());
    begin(&client, &native, Reason::Resync);
    assert!(!client.directory.has_changed().unwrap());
    absorb("a", user("a2"));
    absorb("g", group("G", &["a", "b"]));
    client.directory.forget(Kind::User, "b", &gone()).unwrap();
    let named = || {
        let changed = client.directory.changed(100).unwrap();
        let mut named: Vec<_> = changed.iter().map(|one| (one.kind, one.id.clone())).collect();
        named.sort_by_key(|(_, id)| id.clone());
        (changed, named)
    };
    let (changed, expected) = named();
    assert_eq!(
        expected,
        [(Kind::User, "a".to_owned()), (Kind::User, "b".to_owned()), (Kind::Group, "g".to_owned())]
    );
    // An object that is stopped before it has read them finds them again.
    assert_eq!(named().1, expected);
    // One that changes while it is read stays.
    absorb("a", user("a3"));
    for one in &changed {
        client.directory.settle_changed(one).unwrap();
    }
    let (changed, again) = named();
    assert_eq!(again, expected[..1]);
    client.directory.settle_changed(&changed[0]).unwrap();
    assert!(!client.directory.has_changed().unwrap());
}

#[test]
fn a_kept_set_of_older_tables_is_brought_up_to_date_before_it_is_put_back() {
    let native = native();
    let client = record(&native);
    let (_, beside) = begin(&client, &native, Reason::Change);
    fill(&beside, 1);
    client.directory.exchange("before", true, NOW).unwrap();
    // As if the eighth step, and those after it, had come in these thirty days.
    for text in [
        "DROP TABLE s0_set_aside",
        "DROP TABLE s0_unique_value",
        "DROP INDEX resource_long",
        "DROP INDEX resource_names",
        "CREATE INDEX resource_kind ON s0_resource (kind)",
        "UPDATE s0_schema_version SET number = 7",
    ] {
        (&native).query(text, &[]).unwrap();
    }
    client.directory.begin_undo(0, "active", NOW).unwrap();
    let switch = client.directory.sets().unwrap().switch.unwrap();
    drop(Directory::open_switch(&native, &switch).unwrap());
    client.directory.exchange("active", true, NOW).unwrap();
    assert_eq!(names(&client), ["old0", "old1", "old2"]);
    let text = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'resource'
        AND sql IS NOT NULL ORDER BY name";
    let indexes: Vec<String> =
        (&native).query(text, &[]).unwrap().into_iter().map(|mut row| row.text().unwrap()).collect();
    assert_eq!(
        indexes,
        ["resource_external_id", "resource_id", "resource_long", "resource_name", "resource_names"]
    );
}

#[test]
fn nothing_that_is_done_to_a_set_beside_touches_the_one_in_use() {
    let native = native();
    let client = record(&native);
    client.directory.begin_log("log").unwrap();
    let (_, beside) = begin(&client, &native, Reason::Change);
    let entries = count(&&native, "change");
    fill(&beside, 3);
    beside.absorb(Kind::Group, &shown("g", group("G", &["new0"])), ORIGIN, NOW).unwrap().unwrap();
    beside.absorb(Kind::Group, &shown("g", group("H", &["new1", "new2"])), ORIGIN, NOW).unwrap().unwrap();
    beside.absorb(Kind::User, &shown("new0", user("renamed")), ORIGIN, NOW).unwrap().unwrap();
    beside.forget(Kind::User, "new1", &gone()).unwrap();
    beside.learn_schemas(&json!([]), &json!([])).unwrap();
    let same = beside.compare(Kind::Group, &shown("g", group("H", &["new2"])), ORIGIN).unwrap();
    assert_eq!(same, Some(Comparison::Same));
    assert_eq!(beside.member_count("g").unwrap(), 1);
    assert_eq!(beside.origin_version(Kind::User, "new0").unwrap(), None);
    assert_eq!((beside.count(Kind::User).unwrap(), beside.count(Kind::Group).unwrap()), (2, 1));
    assert_eq!(count(&&native, "change"), entries, "read copies are told nothing");
    assert_eq!(names(&client), ["old0", "old1", "old2"]);
    client.directory.exchange("before", true, NOW).unwrap();
    assert!(!client.directory.has_log().unwrap(), "read copies begin anew");
    assert_eq!(names(&client), ["new2", "renamed"]);
}

#[test]
fn an_erased_resource_does_not_come_back_with_a_kept_set() {
    let native = native();
    let client = record(&native);
    let (_, beside) = begin(&client, &native, Reason::Change);
    fill(&beside, 1);
    client.directory.exchange("before", true, NOW).unwrap();
    let erasable = client.directory.erasable(Kind::User, "id-1").unwrap().expect("it is in a kept set");
    assert_eq!(erasable.name.as_deref(), Some("old0"));
    client.directory.erase_tables(Kind::User, &erasable, NOW).unwrap();
    assert!(client.directory.erasable(Kind::User, "id-1").unwrap().is_none());
    client.directory.begin_undo(0, "active", NOW).unwrap();
    client.directory.exchange("active", true, NOW).unwrap();
    assert_eq!(names(&client), ["old1", "old2"]);
    assert_eq!(client.directory.count(Kind::User).unwrap(), 2);
    let group = client.expect(200, "GET", "/Groups/id-4", None);
    assert_eq!(group["members"].as_array().unwrap().len(), 1);
}

#[test]
fn registered_schemas_stay_the_accounts() {
    let native = native();
    let client = record(&native);
    let schema = json!({
        "id": "urn:example:Own", "name": "Own",
        "attributes": [{ "name": "badge", "type": "string", "multiValued": false }],
    });
    client.expect(201, "PUT", "/Schemas/urn:example:Own", Some(schema));
    let (_, beside) = begin(&client, &native, Reason::Change);
    fill(&beside, 1);
    client.directory.exchange("before", true, NOW).unwrap();
    client.expect(200, "GET", "/Schemas/urn:example:Own", None);
}
