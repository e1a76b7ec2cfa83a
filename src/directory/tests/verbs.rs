//! Every verb on both types, as a client sees them.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

mod support;

use scim_edge_directory::erasure::End;
use serde_json::{Value, json};
use support::{BASE, Client, native};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

fn user(name: &str) -> Option<Value> {
    Some(json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name,
        "emails": [{ "value": format!("{name}@Example.com"), "type": "work" }] }))
}

fn patch(operations: Value) -> Option<Value> {
    Some(json!({ "schemas": [PATCH], "Operations": operations }))
}

fn group(name: &str, members: &[&str]) -> Option<Value> {
    let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    Some(json!({ "displayName": name, "members": members }))
}

#[test]
fn create_read_replace_delete() {
    let native = native();
    let client = Client::new(&native);
    let response = client.call("POST", "/Users", user("Dave"), &[]);
    assert_eq!(response.status, 201);
    let made: Value = serde_json::from_str(&response.body.unwrap()).unwrap();
    assert!(response.headers.contains(&("location", format!("{BASE}/Users/id-1"))));
    assert_eq!(made["meta"]["version"], "W/\"1\"");
    assert_eq!(made["emails"][0]["value"], "Dave@Example.com");
    assert_eq!(client.expect(200, "GET", "/Users/id-1", None), made);
    client.refused(409, Some("uniqueness"), "POST", "/Users", user("DAVE"));
    client.refused(400, Some("invalidValue"), "POST", "/Users", Some(json!({ "displayName": "x" })));
    let put = Some(
        json!({ "userName": "dave", "active": "False", "title": "x", "groups": [{ "value": "y" }], "id": "z" }),
    );
    let replaced = client.expect(200, "PUT", "/Users/id-1", put);
    assert_eq!((&replaced["id"], &replaced["active"]), (&json!("id-1"), &json!(false)));
    assert!(replaced.get("emails").is_none() && replaced.get("groups").is_none());
    // An omitted active stays as it was.
    assert_eq!(client.expect(200, "PUT", "/Users/id-1", user("dave"))["active"], false);
    client.expect(204, "DELETE", "/Users/id-1", None);
    client.refused(404, None, "GET", "/Users/id-1", None);
    client.refused(404, None, "DELETE", "/Users/id-1", None);
    client.expect(201, "POST", "/Users", user("dave"));
}

#[test]
fn versions_guard_every_verb() {
    let native = native();
    let client = Client::new(&native);
    client.expect(201, "POST", "/Users", user("ann"));
    let status =
        |method, headers: &[(&str, &str)], body| client.call(method, "/Users/id-1", body, headers).status;
    assert_eq!(status("GET", &[("if-none-match", "W/\"1\"")], None), 304);
    assert_eq!(status("GET", &[("if-none-match", "\"0\", W/\"1\"")], None), 304);
    assert_eq!(status("GET", &[("if-none-match", "W/\"2\"")], None), 200);
    let title = || patch(json!([{ "op": "replace", "path": "title", "value": "x" }]));
    assert_eq!(status("PATCH", &[("if-match", "W/\"7\"")], title()), 412);
    assert_eq!(status("PATCH", &[("if-match", "W/\"1\"")], title()), 200);
    assert_eq!(status("PATCH", &[("if-match", "W/\"1\"")], title()), 412);
    assert_eq!(status("PUT", &[("if-match", "W/\"1\"")], user("ann")), 412);
    assert_eq!(status("DELETE", &[("if-match", "W/\"1\"")], None), 412);
    // What changes nothing makes no version.
    assert_eq!(status("PATCH", &[("if-match", "W/\"2\"")], title()), 200);
    assert_eq!(status("DELETE", &[("if-match", "W/\"2\"")], None), 204);
}

#[test]
fn groups_and_their_members() {
    let native = native();
    let client = Client::new(&native);
    for name in ["ann", "bob", "cat"] {
        client.expect(201, "POST", "/Users", user(name));
    }
    client.expect(201, "POST", "/Groups", group("Team", &["id-1", "id-2"]));
    client.refused(400, Some("invalidValue"), "POST", "/Groups", group("Ghosts", &["id-99"]));
    let members = |id: &str| {
        let group = client.expect(200, "GET", &format!("/Groups/{id}"), None);
        let ids = group["members"].as_array().cloned().unwrap_or_default();
        ids.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(members("id-4"), ["id-1", "id-2"]);
    let ann = client.expect(200, "GET", "/Users/id-1", None);
    assert_eq!(
        ann["groups"],
        json!([{ "value": "id-4", "$ref": format!("{BASE}/Groups/id-4"), "display": "Team", "type": "direct" }])
    );
    // The user's own version is the same; what is served has changed.
    let tag = ann["meta"]["version"].as_str().unwrap().to_owned();
    assert!(tag.starts_with("W/\"1~"), "{tag}");
    assert_eq!(client.call("GET", "/Users/id-1", None, &[("if-none-match", "W/\"1\"")]).status, 200);
    let title = patch(json!([{ "op": "replace", "path": "title", "value": "x" }]));
    assert_eq!(client.call("PATCH", "/Users/id-1", title, &[("if-match", &tag)]).status, 200);

    // Entra ID: members to remove as a list; Okta: remove by value path and add in one request.
    client.expect(
        200,
        "PATCH",
        "/Groups/id-4",
        patch(json!([{ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": "id-2" }] }])),
    );
    assert_eq!(members("id-4"), ["id-1"]);
    client.expect(
        200,
        "PATCH",
        "/Groups/id-4",
        patch(json!([
            { "op": "remove", "path": "members[value eq \"id-1\"]" },
            { "op": "add", "path": "members", "value": [{ "value": "id-3" }, { "value": "id-3" }] },
        ])),
    );
    assert_eq!(members("id-4"), ["id-3"]);
    client.expect(
        200,
        "PATCH",
        "/Groups/id-4",
        patch(json!([{ "op": "replace", "value": { "id": "id-4", "displayName": "Crew" } }])),
    );
    assert_eq!(members("id-4"), ["id-3"]);
    client.expect(
        200,
        "PATCH",
        "/Groups/id-4",
        patch(json!([{ "op": "replace", "path": "members", "value": [{ "value": "id-1" }, "id-2"] }])),
    );
    assert_eq!(members("id-4"), ["id-1", "id-2"]);
    // Atomic: the second operation fails, the first has not happened.
    client.refused(
        400,
        Some("invalidValue"),
        "PATCH",
        "/Groups/id-4",
        patch(json!([
            { "op": "add", "path": "members", "value": [{ "value": "id-3" }] },
            { "op": "add", "path": "members", "value": [{ "value": "nobody" }] },
        ])),
    );
    assert_eq!(members("id-4"), ["id-1", "id-2"]);
    let less = client.call(
        "PATCH",
        "/Groups/id-4?excludedAttributes=members",
        patch(json!([{ "op": "add", "path": "members", "value": [{ "value": "id-3" }] }])),
        &[],
    );
    assert_eq!((less.status, less.body), (204, None));
    // Groups in groups: their members are members indirectly.
    client.expect(201, "POST", "/Groups", group("All", &["id-4"]));
    let types: Vec<Value> = client.expect(200, "GET", "/Users/id-3", None)["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| g["type"].clone())
        .collect();
    assert_eq!(types, [json!("direct"), json!("indirect")]);
    assert_eq!(
        client.expect(200, "GET", "/Users?filter=groups.value%20eq%20%22id-6%22", None)["totalResults"],
        3
    );
    // Who goes, goes from all groups.
    client.expect(204, "DELETE", "/Users/id-1", None);
    assert_eq!(members("id-4"), ["id-2", "id-3"]);
    client.expect(204, "DELETE", "/Groups/id-4", None);
    assert!(client.expect(200, "GET", "/Users/id-3", None).get("groups").is_none());
    client.refused(
        400,
        Some("invalidValue"),
        "PATCH",
        "/Groups/id-6",
        patch(json!([{ "op": "add", "path": "members", "value": [{ "value": "id-6" }] }])),
    );
}

#[test]
fn lists_pages_and_cursors() {
    let native = native();
    let client = Client::new(&native);
    for n in 0..25 {
        client.expect(201, "POST", "/Users", user(&format!("user{n:02}")));
    }
    let list = |query: &str| client.expect(200, "GET", &format!("/Users?{query}"), None);
    let names = |list: &Value| {
        list["Resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|u| u["userName"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let page = list("startIndex=24&count=10");
    assert_eq!(
        (&page["totalResults"], &page["itemsPerPage"], &page["startIndex"]),
        (&json!(25), &json!(2), &json!(24))
    );
    assert_eq!(names(&page), ["user23", "user24"]);
    assert_eq!(list("count=0")["Resources"], json!([]));
    assert_eq!(list("count=-5")["itemsPerPage"], 0);
    assert_eq!(list("startIndex=-5&count=1")["startIndex"], 1);
    assert_eq!(names(&list("sortBy=userName&sortOrder=descending&count=2")), ["user24", "user23"]);
    assert_eq!(names(&list("filter=userName%20eq%20%22USER07%22")), ["user07"]);
    assert_eq!(
        names(&list(
            "filter=emails%5Btype%20eq%20%22work%22%20and%20value%20eq%20%22user07@example.COM%22%5D"
        )),
        ["user07"]
    );
    assert_eq!(list("filter=userName%20sw%20%22user1%22")["totalResults"], 10);
    let lean = list("attributes=userName&count=1");
    assert_eq!(
        lean["Resources"][0].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["schemas", "id", "userName"]
    );
    for query in ["filter=nonsense", "filter=unknown%20eq%20%221%22", "filter=userName%20eq"] {
        client.refused(400, Some("invalidFilter"), "GET", &format!("/Users?{query}"), None);
    }
    client.refused(400, Some("invalidValue"), "GET", "/Users?count=ten", None);
    // By cursor: what is added and removed meanwhile neither repeats nor hides another.
    for sorted in ["", "&sortBy=userName"] {
        let mut seen = Vec::new();
        let mut page = list(&format!("cursor&count=10{sorted}"));
        loop {
            seen.extend(names(&page));
            let Some(next) = page["nextCursor"].as_str().map(str::to_owned) else { break };
            let gone =
                client.expect(200, "GET", &format!("/Users?filter=userName%20eq%20%22{}%22", seen[0]), None);
            if let Some(id) = gone["Resources"][0]["id"].as_str() {
                client.expect(204, "DELETE", &format!("/Users/{id}"), None);
            }
            page = list(&format!("cursor={next}&count=10{sorted}"));
        }
        let mut unique = seen.clone();
        unique.dedup();
        assert_eq!(seen, unique);
        assert!(seen.len() >= 24, "{seen:?}");
    }
    client.refused(400, Some("invalidCursor"), "GET", "/Users?cursor=made-up", None);
    let found = client.expect(
        200,
        "POST",
        "/.search",
        Some(json!({ "filter": "id pr", "count": 3, "startIndex": 2 })),
    );
    assert_eq!(found["itemsPerPage"], 3);
}

#[test]
fn bulk_resolves_references_in_any_order_and_in_circles() {
    let native = native();
    let client = Client::new(&native);
    let bulk = |operations: Value| {
        client.expect(200, "POST", "/Bulk", Some(json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations })))
    };
    let answer = bulk(json!([
        { "method": "POST", "path": "/Groups", "bulkId": "g", "data": { "displayName": "G", "members": [{ "value": "bulkId:u" }] } },
        { "method": "POST", "path": "/Users", "bulkId": "u", "data": { "userName": "u" } },
        { "method": "PATCH", "path": "/Users/bulkId:u", "data": { "schemas": [PATCH], "Operations": [{ "op": "add", "path": "title", "value": "T" }] } },
        { "method": "POST", "path": "/Users", "bulkId": "twin", "data": { "userName": "U" } },
    ]));
    let statuses: Vec<&str> =
        answer["Operations"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["201", "201", "200", "409"]);
    assert_eq!(answer["Operations"][3]["response"]["scimType"], "uniqueness");
    let user = client.expect(200, "GET", "/Users?filter=userName%20eq%20%22u%22", None);
    assert_eq!(
        (&user["Resources"][0]["title"], &user["Resources"][0]["groups"][0]["display"]),
        (&json!("T"), &json!("G"))
    );
    // Two groups that are in each other.
    let circle = bulk(json!([
        { "method": "POST", "path": "/Groups", "bulkId": "a", "data": { "displayName": "A", "members": [{ "value": "bulkId:b" }] } },
        { "method": "POST", "path": "/Groups", "bulkId": "b", "data": { "displayName": "B", "members": [{ "value": "bulkId:a" }] } },
    ]));
    for one in circle["Operations"].as_array().unwrap() {
        let path = one["location"].as_str().unwrap().strip_prefix(BASE).unwrap();
        assert_eq!(client.expect(200, "GET", path, None)["members"].as_array().unwrap().len(), 1);
    }
    let stopped = client.expect(200, "POST", "/Bulk", Some(json!({ "failOnErrors": 1, "Operations": [
        { "method": "DELETE", "path": "/Users/none" }, { "method": "POST", "path": "/Users", "bulkId": "x", "data": { "userName": "x" } } ] })));
    assert_eq!(stopped["Operations"].as_array().unwrap().len(), 1);
}

#[test]
fn discovery_and_schemas_of_the_account() {
    let native = native();
    let client = Client::new(&native);
    assert_eq!(client.expect(200, "GET", "/ServiceProviderConfig", None)["pagination"]["cursor"], true);
    assert_eq!(client.expect(200, "GET", "/Schemas", None)["totalResults"], 3);
    assert_eq!(client.expect(200, "GET", "/ResourceTypes/User", None)["endpoint"], "/Users");
    client.refused(403, None, "GET", "/Schemas?filter=id%20pr", None);
    client.refused(404, None, "GET", "/Schemas/urn:nothing", None);
    client.refused(501, None, "GET", "/Me", None);
    let urn = "urn:example:schemas:1.0:Badge";
    let schema = || {
        Some(
            json!({ "id": urn, "name": "Badge", "attributes": [{ "name": "number", "type": "integer" }, { "name": "colour", "type": "string" }] }),
        )
    };
    client.expect(201, "PUT", &format!("/Schemas/{urn}"), schema());
    client.expect(200, "PUT", &format!("/Schemas/{urn}"), schema());
    assert_eq!(client.expect(200, "GET", "/Schemas", None)["totalResults"], 4);
    let made = client.expect(
        201,
        "POST",
        "/Users",
        Some(json!({ "userName": "ann", urn: { "number": "7", "colour": "Red" } })),
    );
    assert_eq!(made[urn], json!({ "number": 7, "colour": "Red" }));
    assert!(made["schemas"].as_array().unwrap().contains(&json!(urn)));
    assert_eq!(
        client.expect(200, "GET", &format!("/Users?filter={urn}:number%20gt%206"), None)["totalResults"],
        1
    );
    client.refused(
        400,
        Some("invalidValue"),
        "POST",
        "/Users",
        Some(json!({ "userName": "bob", urn: { "number": "x" } })),
    );
    client.refused(409, None, "DELETE", &format!("/Schemas/{urn}"), None);
    client.expect(204, "DELETE", "/Users/id-1", None);
    client.expect(204, "DELETE", &format!("/Schemas/{urn}"), None);
    client.refused(
        400,
        Some("mutability"),
        "PUT",
        "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
        Some(json!({ "id": "urn:ietf:params:scim:schemas:core:2.0:User", "attributes": [{ "name": "a" }] })),
    );
}

#[test]
fn a_reopened_directory_has_everything() {
    let native = native();
    Client::new(&native).expect(201, "POST", "/Users", user("ann"));
    let again = Client::new(&native);
    assert_eq!(again.expect(200, "GET", "/Users/id-1", None)["userName"], "ann");
}

#[test]
fn what_may_be_used_once_is_known_until_it_expires() {
    let native = native();
    let client = Client::new(&native);
    let first = |now| client.directory.first_use("id", 1_000, now).unwrap();
    assert!(first(0) && !first(1) && !first(1_000));
    assert!(first(1_001));
}

#[test]
fn writes_touch_few_rows() {
    let native = native();
    let client = Client::new(&native);
    let written = |work: &dyn Fn()| {
        let before: u64 = native.0.query_row("SELECT total_changes()", [], |row| row.get(0)).unwrap();
        work();
        native.0.query_row::<u64, _, _>("SELECT total_changes()", [], |row| row.get(0)).unwrap() - before
    };
    // Rows of tables; each index entry counts once more where objects are billed.
    assert_eq!(
        written(&|| {
            client.expect(201, "POST", "/Users", user("ann"));
        }),
        3
    );
    assert_eq!(
        written(&|| {
            client.expect(
                200,
                "PATCH",
                "/Users/id-1",
                patch(json!([{ "op": "add", "path": "title", "value": "x" }])),
            );
        }),
        1
    );
    client.expect(201, "POST", "/Groups", group("Team", &[]));
    assert_eq!(
        written(&|| {
            client.expect(
                200,
                "PATCH",
                "/Groups/id-2",
                patch(json!([{ "op": "add", "path": "members", "value": [{ "value": "id-1" }] }])),
            );
        }),
        2
    );
}

#[test]
fn a_directory_that_is_erased_is_as_new_but_knows_it() {
    let native = native();
    let client = Client::new(&native);
    client.expect(201, "POST", "/Users", user("ann"));
    assert_eq!(client.directory.end().unwrap(), None);
    client.directory.set_configuration("{}").unwrap();
    client.directory.erase(1_795_000_000_001).unwrap();
    assert_eq!(client.directory.end().unwrap(), Some(End::Erased(1_795_000_000_001)));
    assert_eq!(client.directory.configuration().unwrap(), None);
    assert_eq!(client.expect(200, "GET", "/Users", None)["totalResults"], 0);
    client.expect(201, "POST", "/Users", user("ann"));
    assert_eq!(client.expect(200, "GET", "/Users", None)["totalResults"], 1);
}

#[test]
fn a_directory_that_is_sealed_and_unsealed_has_all_that_it_had() {
    let native = native();
    let client = Client::new(&native);
    let ann = client.expect(201, "POST", "/Users", user("ann"));
    assert!(!client.directory.unseal().unwrap());
    client.directory.set_configuration("{}").unwrap();
    client.directory.seal(7).unwrap();
    assert_eq!(client.directory.end().unwrap(), Some(End::Sealed(7)));
    assert!(client.directory.unseal().unwrap());
    assert_eq!(client.directory.end().unwrap(), None);
    assert_eq!(client.directory.configuration().unwrap().as_deref(), Some("{}"));
    let path = format!("/Users/{}", ann["id"].as_str().unwrap());
    assert_eq!(client.expect(200, "GET", &path, None), ann);
    // Erased, there is nothing to open.
    client.directory.seal(8).unwrap();
    client.directory.erase(9).unwrap();
    assert!(!client.directory.unseal().unwrap());
    assert_eq!(client.directory.end().unwrap(), Some(End::Erased(9)));
    assert_eq!(client.expect(200, "GET", "/Users", None)["totalResults"], 0);
}
