//! What only one resource may have: names of groups, values of extension attributes; and members that nobody is.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use scim_edge_directory::restore::Terms;
use scim_edge_scim::dialect::UnknownMembers;
use scim_edge_scim::endpoint::Kind;
use serde_json::{Value, json};
use support::{Client, Native, native};

const URN: &str = "urn:example:badge:2.0:User";

fn badges(uniqueness: &str) -> Value {
    json!({ "id": URN, "attributes": [
        { "name": "number", "uniqueness": uniqueness },
        { "name": "serial", "caseExact": true, "uniqueness": "global" },
        { "name": "keys", "type": "integer", "multiValued": true, "uniqueness": uniqueness },
        { "name": "colour" },
    ] })
}

fn user(name: &str, badge: Value) -> Value {
    json!({ "userName": name, URN: badge })
}

fn patch(operations: Value) -> Option<Value> {
    Some(json!({ "Operations": operations }))
}

fn registered<'a>(native: &'a Native) -> Client<'a> {
    let client = Client::new(native);
    client.expect(201, "PUT", &format!("/Schemas/{URN}"), Some(badges("server")));
    client
}

#[test]
fn uniqueness_a_value_of_another_resource_is_refused() {
    let native = native();
    let client = registered(&native);
    client.expect(
        201,
        "POST",
        "/Users",
        Some(user("a", json!({ "number": "DÄ-1", "serial": "x", "keys": [1, 2] }))),
    );
    let taken = |method: &str, path: &str, body| client.refused(409, Some("uniqueness"), method, path, body);
    taken("POST", "/Users", Some(user("b", json!({ "number": "dä-1" }))));
    taken("POST", "/Users", Some(user("b", json!({ "keys": [3, 2] }))));
    taken("POST", "/Users", Some(user("b", json!({ "serial": "x" }))));
    // Nothing of the refused ones is left.
    assert_eq!(client.expect(200, "GET", "/Users", None)["totalResults"], 1);
    let made = client.expect(
        201,
        "POST",
        "/Users",
        Some(user("b", json!({ "number": "2", "serial": "X", "colour": "red" }))),
    );
    let path = format!("/Users/{}", made["id"].as_str().unwrap());
    taken("PUT", &path, Some(user("b", json!({ "number": "DÄ-1" }))));
    taken("PATCH", &path, patch(json!([{ "op": "add", "path": format!("{URN}:keys"), "value": [1] }])));
    // What stays is no conflict with itself, and what is gone is free.
    client.expect(
        200,
        "PATCH",
        &path,
        patch(json!([{ "op": "replace", "path": format!("{URN}:colour"), "value": "blue" }])),
    );
    client.expect(200, "PUT", &path, Some(user("b", json!({ "number": "2", "serial": "X" }))));
    client.expect(
        200,
        "PATCH",
        "/Users/id-1",
        patch(json!([{ "op": "remove", "path": format!("{URN}:number") }])),
    );
    client.expect(200, "PUT", &path, Some(user("b", json!({ "number": "dÄ-1" }))));
    client.expect(204, "DELETE", &path, None);
    client.expect(201, "POST", "/Users", Some(user("c", json!({ "number": "DÄ-1", "serial": "X" }))));
}

#[test]
fn uniqueness_of_values_that_exist_twice_is_not_registered() {
    let native = native();
    let client = Client::new(&native);
    let path = format!("/Schemas/{URN}");
    client.expect(201, "PUT", &path, Some(badges("none")));
    for name in ["a", "b"] {
        client.expect(201, "POST", "/Users", Some(user(name, json!({ "number": "1" }))));
    }
    client.refused(409, Some("uniqueness"), "PUT", &path, Some(badges("server")));
    let kept = client.expect(200, "GET", &path, None);
    assert_eq!(kept["attributes"][0]["uniqueness"], "none");
    client.expect(201, "POST", "/Users", Some(user("c", json!({ "number": "1" }))));
    for name in ["id-2", "id-3"] {
        client.expect(204, "DELETE", &format!("/Users/{name}"), None);
    }
    client.expect(200, "PUT", &path, Some(badges("server")));
    client.refused(409, Some("uniqueness"), "POST", "/Users", Some(user("d", json!({ "number": "1" }))));
}

#[test]
fn uniqueness_that_cannot_be_enforced_is_refused() {
    let native = native();
    let client = Client::new(&native);
    let path = format!("/Schemas/{URN}");
    for attribute in [
        json!({ "name": "a", "type": "complex", "uniqueness": "server", "subAttributes": [{ "name": "b" }] }),
        json!({ "name": "a", "type": "complex", "subAttributes": [{ "name": "b", "uniqueness": "global" }] }),
    ] {
        let schema = json!({ "id": URN, "attributes": [attribute] });
        client.refused(400, Some("invalidValue"), "PUT", &path, Some(schema));
    }
    client.refused(404, None, "GET", &path, None);
}

#[test]
fn uniqueness_is_found_in_tables_of_an_earlier_version() {
    let native = native();
    {
        let client = registered(&native);
        client.expect(201, "POST", "/Users", Some(user("a", json!({ "number": "1" }))));
    }
    // As a database that the step before has made.
    let step = "DROP TABLE unique_value; UPDATE schema_version SET number = 11;";
    native.0.execute_batch(step).unwrap();
    let client = Client::new(&native);
    client.refused(409, Some("uniqueness"), "POST", "/Users", Some(user("b", json!({ "number": "1" }))));
}

#[test]
fn uniqueness_at_an_origin_is_the_origins() {
    let native = native();
    let client = Client::new(&native);
    let origin = "https://origin.example";
    client.directory.begin_replica(origin).unwrap();
    let types = json!({ "Resources": [{ "name": "User", "schemaExtensions": [{ "schema": URN }] }] });
    client.directory.learn_schemas(&types, &json!({ "Resources": [badges("server")] })).unwrap();
    for id in ["u1", "u2"] {
        let shown = json!({ "id": id, "userName": id, URN: { "number": "1" } });
        client.directory.absorb(Kind::User, &shown, origin, 1_795_000_000_000).unwrap().unwrap();
    }
    assert_eq!(client.expect(200, "GET", "/Users", None)["totalResults"], 2);
    client.directory.end_replica().unwrap();
    client.refused(409, Some("uniqueness"), "POST", "/Users", Some(user("c", json!({ "number": "1" }))));
    client.expect(200, "PATCH", "/Users/u1", patch(json!([{ "op": "add", "path": "title", "value": "t" }])));
}

#[test]
fn group_names_are_unique_if_the_account_says_so() {
    let native = native();
    let mut client = Client::new(&native);
    let group = |name: &str| Some(json!({ "displayName": name }));
    client.expect(201, "POST", "/Groups", group("Crew"));
    client.expect(201, "POST", "/Groups", group("CREW"));
    client.unique_group_names = true;
    client.refused(409, Some("uniqueness"), "POST", "/Groups", group("crew"));
    // Two that have had one name since before can be changed in all else, and renamed.
    client.expect(
        200,
        "PATCH",
        "/Groups/id-1",
        patch(json!([{ "op": "add", "path": "externalId", "value": "x" }])),
    );
    client.expect(200, "PUT", "/Groups/id-2", Some(json!({ "displayName": "CREW", "externalId": "y" })));
    client.expect(
        200,
        "PATCH",
        "/Groups/id-2",
        patch(json!([{ "op": "replace", "path": "displayName", "value": "Staff" }])),
    );
    client.refused(
        409,
        Some("uniqueness"),
        "PATCH",
        "/Groups/id-2",
        patch(json!([{ "op": "replace", "value": { "displayName": "Crew" } }])),
    );
    // A user's name is another matter.
    client.expect(201, "POST", "/Users", Some(json!({ "userName": "Crew" })));
}

#[test]
fn unknown_members_are_refused_accepted_or_ignored() {
    let native = native();
    let mut client = Client::new(&native);
    client.expect(201, "POST", "/Users", Some(json!({ "userName": "a" })));
    let group = |name: &str| {
        Some(json!({ "displayName": name, "members": [{ "value": "id-1" }, { "value": "nobody" }] }))
    };
    let members = |group: &Value| -> Vec<String> {
        let members = group["members"].as_array().cloned().unwrap_or_default();
        members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
    };
    client.refused(400, Some("invalidValue"), "POST", "/Groups", group("g"));
    client.unknown_members = UnknownMembers::Ignore;
    let ignored = client.expect(201, "POST", "/Groups", group("g"));
    assert_eq!(members(&ignored), ["id-1"]);
    let path = format!("/Groups/{}", ignored["id"].as_str().unwrap());
    let add = || patch(json!([{ "op": "add", "path": "members", "value": [{ "value": "other" }] }]));
    assert_eq!(client.expect(200, "PATCH", &path, add())["meta"], ignored["meta"], "nothing changed");
    client.unknown_members = UnknownMembers::Accept;
    let accepted = client.expect(200, "PATCH", &path, add());
    assert_eq!(members(&accepted), ["id-1", "other"]);
    assert_eq!(accepted["members"][1], json!({ "value": "other" }));
    // What was read can be written back, whatever the setting is then.
    client.unknown_members = UnknownMembers::Refuse;
    client.expect(200, "PUT", &path, Some(accepted));
    client.refused(400, Some("invalidValue"), "PUT", &path, group("g"));
}

#[test]
fn uniqueness_holds_for_what_is_restored() {
    let native = native();
    let client = registered(&native);
    let made = |name: &str| client.expect(201, "POST", "/Users", Some(user(name, json!({ "number": "1" }))));
    made("a");
    client.expect(204, "DELETE", "/Users/id-1", None);
    made("b");
    let terms =
        Terms { memberships: true, unique_group_names: false, kept_from: 0, now_ms: 1_795_000_000_000 };
    let restore = || client.directory.restore(Kind::User, "id-1", &terms);
    assert_eq!(restore().unwrap_err().status, 409);
    client.expect(204, "DELETE", "/Users/id-2", None);
    restore().unwrap();
    client.refused(409, Some("uniqueness"), "POST", "/Users", Some(user("c", json!({ "number": "1" }))));
}
