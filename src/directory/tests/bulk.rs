//! Bulk requests (RFC 7644 §3.7): references, and what becomes of operations whose references cannot be resolved.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod support;

use serde_json::{Value, json};
use support::{BASE, Client, native};

const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn bulk(client: &Client<'_>, operations: Value) -> Vec<Value> {
    let body = json!({ "schemas": [REQUEST], "Operations": operations });
    client.expect(200, "POST", "/Bulk", Some(body))["Operations"].as_array().unwrap().clone()
}

fn statuses(answers: &[Value]) -> Vec<&str> {
    answers.iter().map(|one| one["status"].as_str().unwrap()).collect()
}

/// The resource that an operation made.
fn made(client: &Client<'_>, answer: &Value) -> Value {
    let path = answer["location"].as_str().unwrap().strip_prefix(BASE).unwrap().to_owned();
    client.expect(200, "GET", &path, None)
}

fn total(client: &Client<'_>, path: &str) -> u64 {
    client.expect(200, "GET", path, None)["totalResults"].as_u64().unwrap()
}

fn group(bulk_id: &str, name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|member| json!({ "value": member })).collect();
    json!({ "method": "POST", "path": "/Groups", "bulkId": bulk_id,
        "data": { "displayName": name, "members": members } })
}

fn user(bulk_id: &str, name: &str) -> Value {
    json!({ "method": "POST", "path": "/Users", "bulkId": bulk_id, "data": { "userName": name } })
}

#[test]
fn references_to_an_operation_that_is_not_there_fail_theirs_and_those_that_need_it() {
    let native = native();
    let client = Client::new(&native);
    let answers = bulk(
        &client,
        json!([
            group("a", "A", &["bulkId:nobody"]),
            group("b", "B", &["bulkId:a"]),
            { "method": "PATCH", "path": "/Groups/bulkId:b", "data": { "schemas": [PATCH],
                "Operations": [{ "op": "replace", "path": "displayName", "value": "C" }] } },
            { "method": "DELETE", "path": "/Users/bulkId:nobody" },
            user("u", "u"),
        ]),
    );
    assert_eq!(statuses(&answers), ["409", "409", "409", "409", "201"]);
    assert!(answers[0]["response"]["detail"].as_str().unwrap().contains("nobody"), "{}", answers[0]);
    assert!(answers[1]["response"]["detail"].as_str().unwrap().contains("\"a\" failed"), "{}", answers[1]);
    assert_eq!(total(&client, "/Groups"), 0);
}

#[test]
fn references_look_like_text_elsewhere_and_are_left_alone_there() {
    let native = native();
    let client = Client::new(&native);
    let answers = bulk(
        &client,
        json!([
            user("foo", "bulkId:foo"),
            { "method": "POST", "path": "/Groups", "bulkId": "g", "data": {
                "displayName": "bulkId:foo", "externalId": "bulkId:nobody",
                "members": [{ "value": "bulkId:foo", "display": "bulkId:foo" }] } },
            { "method": "POST", "path": "/Users", "bulkId": "v", "data": {
                "userName": "v", "title": "bulkId:nobody", "emails": [{ "value": "bulkId:foo" }],
                "roles": ["bulkId:foo"], ENTERPRISE: { "department": "bulkId:foo", "manager": "bulkId:foo" } } },
            { "method": "PATCH", "path": "/Users/bulkId:v", "data": { "schemas": [PATCH], "Operations": [
                { "op": "add", "path": "nickName", "value": "bulkId:foo" },
                { "op": "add", "value": { "displayName": "bulkId:foo" } } ] } },
        ]),
    );
    assert_eq!(statuses(&answers), ["201", "201", "201", "200"]);
    let (foo, group, v) =
        (made(&client, &answers[0]), made(&client, &answers[1]), made(&client, &answers[2]));
    assert_eq!(foo["userName"], "bulkId:foo");
    assert_eq!(
        (&group["displayName"], &group["externalId"]),
        (&json!("bulkId:foo"), &json!("bulkId:nobody"))
    );
    let member = &group["members"][0];
    assert_eq!((&member["value"], &member["display"]), (&foo["id"], &json!("bulkId:foo")));
    assert_eq!((&v["title"], &v["emails"][0]["value"]), (&json!("bulkId:nobody"), &json!("bulkId:foo")));
    assert_eq!((&v["nickName"], &v["displayName"]), (&json!("bulkId:foo"), &json!("bulkId:foo")));
    assert_eq!(v["roles"][0]["value"], "bulkId:foo");
    assert_eq!(v[ENTERPRISE]["department"], "bulkId:foo");
    assert_eq!(v[ENTERPRISE]["manager"]["value"], foo["id"]);
}

#[test]
fn references_in_a_patch_and_of_an_extensions_own_attributes_are_resolved() {
    let native = native();
    let client = Client::new(&native);
    let urn = "urn:example:schemas:1.0:Desk";
    let schema = json!({ "id": urn, "attributes": [{ "name": "owner", "type": "reference", "referenceTypes": ["User"] }] });
    client.expect(201, "PUT", &format!("/Schemas/{urn}"), Some(schema));
    let answers = bulk(
        &client,
        json!([
            { "method": "PATCH", "path": "/Groups/bulkId:g", "data": { "schemas": [PATCH], "Operations": [
                { "op": "add", "path": "members", "value": [{ "value": "bulkId:u" }] } ] } },
            group("g", "G", &[]),
            { "method": "POST", "path": "/Users", "bulkId": "v",
                "data": { "userName": "v", urn: { "owner": "bulkId:u" } } },
            user("u", "u"),
        ]),
    );
    assert_eq!(statuses(&answers), ["200", "201", "201", "201"]);
    let id = made(&client, &answers[3])["id"].clone();
    assert_eq!(made(&client, &answers[1])["members"][0]["value"], id);
    assert_eq!(made(&client, &answers[2])[urn]["owner"], answers[3]["location"]);
}

#[test]
fn circles_succeed_with_all_their_references() {
    let native = native();
    let client = Client::new(&native);
    let answers = bulk(
        &client,
        json!([
            group("after", "After", &["bulkId:a"]),
            group("a", "A", &["bulkId:b"]),
            group("b", "B", &["bulkId:c"]),
            group("c", "C", &["bulkId:a", "bulkId:u"]),
            user("u", "u"),
            { "method": "POST", "path": "/Users", "bulkId": "own", "data": { "userName": "own", ENTERPRISE: { "manager": { "value": "bulkId:own" } } } },
        ]),
    );
    assert_eq!(statuses(&answers), ["201", "201", "201", "201", "201", "201"]);
    for (one, count) in [(0, 1), (1, 1), (2, 1), (3, 2)] {
        let group = made(&client, &answers[one]);
        assert_eq!(group["members"].as_array().unwrap().len(), count, "{group}");
        assert_eq!(group["meta"]["version"], answers[one]["version"], "{group}");
    }
    let own = made(&client, &answers[5]);
    assert_eq!(own[ENTERPRISE]["manager"]["value"], own["id"]);
}

#[test]
fn circles_fail_as_a_whole_and_leave_nothing() {
    let native = native();
    let client = Client::new(&native);
    client.expect(201, "POST", "/Users", Some(json!({ "userName": "taken" })));
    let manager = |bulk_id: &str, name: &str, of: &str| {
        json!({ "method": "POST", "path": "/Users", "bulkId": bulk_id, "data": { "userName": name,
            ENTERPRISE: { "manager": { "value": of } } } })
    };
    let answers = bulk(
        &client,
        json!([
            manager("x", "x", "bulkId:y"),
            manager("y", "Taken", "bulkId:x"),
            group("after", "After", &["bulkId:x"]),
            user("u", "u"),
        ]),
    );
    assert_eq!(statuses(&answers), ["409", "409", "409", "201"]);
    assert_eq!(answers[1]["response"]["scimType"], "uniqueness");
    assert_eq!(answers[0].get("location"), None);
    assert_eq!(total(&client, "/Users"), 2);
    assert_eq!(total(&client, "/Groups"), 0);
    // A group in itself can be created without its member, but not with it.
    let answers = bulk(&client, json!([group("own", "Own", &["bulkId:own"])]));
    assert_eq!((statuses(&answers), total(&client, "/Groups")), (vec!["400"], 0));
    // What is not created cannot be undone: nothing of such a circle is done.
    let id =
        made(&client, &bulk(&client, json!([group("g", "G", &[])]))[0])["id"].as_str().unwrap().to_owned();
    let answers = bulk(
        &client,
        json!([
            group("p", "P", &["bulkId:q"]),
            { "method": "PUT", "path": format!("/Groups/{id}"), "bulkId": "q", "data": { "displayName": "Q", "members": [{ "value": "bulkId:p" }] } },
        ]),
    );
    assert_eq!((statuses(&answers), total(&client, "/Groups")), (vec!["409", "409"], 1));
}

#[test]
fn circles_count_as_errors_and_are_ended_before_the_request_is() {
    let native = native();
    let client = Client::new(&native);
    let operations = json!([group("a", "A", &["bulkId:b"]), group("b", "", &["bulkId:a"]), user("u", "u")]);
    let body = json!({ "schemas": [REQUEST], "failOnErrors": 1, "Operations": operations });
    let answer = client.expect(200, "POST", "/Bulk", Some(body));
    assert_eq!(statuses(answer["Operations"].as_array().unwrap()), ["409", "400"]);
    assert_eq!((total(&client, "/Groups"), total(&client, "/Users")), (0, 0));
}
