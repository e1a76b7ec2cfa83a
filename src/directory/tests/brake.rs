//! The brake, and writes that are only tried.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod support;

use scim_edge_directory::brake::{Guard, Limits, Removal};
use scim_edge_directory::deleted::{Deletion, Source};
use scim_edge_directory::message::{REFUSED_BY, Response};
use scim_edge_directory::shadow::Effect;
use scim_edge_directory::sql::Sql;
use scim_edge_scim::endpoint::Kind;
use serde_json::{Value, json};
use support::{Client, Native, native};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const MINUTE: i64 = 60_000;
const LIMITS: Limits = Limits { per_hour: 20, percent: 10, least: 50 };

/// A directory of so many users behind the brake, with ids from `id-1` on.
fn directory(native: &Native, users: u32) -> Client<'_> {
    let client = Client::new(native);
    for n in 0..users {
        client.expect(201, "POST", "/Users", Some(json!({ "userName": format!("user{n}"), "active": true })));
    }
    client.guard.set(Guard { limits: Some(LIMITS), append_only: false });
    client
}

fn later(client: &Client<'_>, ms: i64) {
    client.clock.set(client.clock.get() + ms);
}

fn patch(operations: Value) -> Option<Value> {
    Some(json!({ "schemas": [PATCH], "Operations": operations }))
}

/// A deletion that the origin made.
fn gone(at: i64) -> Deletion<'static> {
    Deletion { at, source: Source::Reconciliation, principal: None, request_id: None, keep: true }
}

fn delete(client: &Client<'_>, id: u32) -> Response {
    client.call("DELETE", &format!("/Users/id-{id}"), None, &[])
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

fn view(client: &Client<'_>) -> Value {
    client.directory.view_brake(Some(LIMITS), client.clock.get()).unwrap()
}

/// All rows of all tables.
fn rows(native: &Native) -> Vec<String> {
    let tables = ["resource", "member", "email", "tally", "state", "extension", "seen", "intent", "deleted"];
    tables
        .iter()
        .map(|table| {
            format!("{table}: {:?}", (&native).query(&format!("SELECT * FROM {table}"), &[]).unwrap())
        })
        .collect()
}

#[test]
fn removals_pass_up_to_the_limit_and_not_beyond() {
    let native = native();
    let client = directory(&native, 100);
    for id in 1..=20 {
        assert_eq!(delete(&client, id).status, 204, "{id}");
    }
    let refused = delete(&client, 21);
    assert_eq!((refused.status, header(&refused, REFUSED_BY)), (429, Some("brake")));
    let wait: i64 = header(&refused, "retry-after").unwrap().parse().unwrap();
    assert!((3_590..=3_660).contains(&wait), "{wait}");
    let error: Value = serde_json::from_str(refused.body.as_ref().unwrap()).unwrap();
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.contains("brake") && detail.contains("number 21 of 100 users"), "{detail}");
    // Nothing was changed, and what removes nothing passes.
    client.expect(200, "GET", "/Users/id-21", None);
    client.expect(
        200,
        "PATCH",
        "/Users/id-21",
        patch(json!([{ "op": "replace", "path": "title", "value": "x" }])),
    );
    client.expect(
        200,
        "PATCH",
        "/Users/id-21",
        patch(json!([{ "op": "replace", "path": "active", "value": true }])),
    );
    client.expect(201, "POST", "/Users", Some(json!({ "userName": "new" })));
    assert_eq!(view(&client)["state"], "stopping");
    assert_eq!(view(&client)["lastHour"]["users"], json!({ "deleted": 20, "deactivated": 0, "of": 101 }));
    assert_eq!(view(&client)["stopped"]["requests"], 1);
    // The hour slides: each minute's removals make room when they are an hour old.
    later(&client, wait * 1000);
    assert_eq!(delete(&client, 21).status, 204);
    assert_eq!(view(&client)["stopped"], Value::Null);
}

#[test]
fn deactivations_count_by_put_patch_and_bulk() {
    let native = native();
    let client = directory(&native, 100);
    let off = |n: u32| match n % 4 {
        0 => client.call(
            "PUT",
            &format!("/Users/id-{n}"),
            Some(json!({ "userName": format!("u{n}"), "active": "False" })),
            &[],
        ),
        1 => client.call(
            "PATCH",
            &format!("/Users/id-{n}"),
            patch(json!([{ "op": "Replace", "path": "active", "value": "False" }])),
            &[],
        ),
        2 => client.call(
            "PATCH",
            &format!("/Users/id-{n}"),
            patch(json!([{ "op": "replace", "value": { "active": false } }])),
            &[],
        ),
        _ => client.call(
            "PATCH",
            &format!("/Users/id-{n}"),
            patch(json!([{ "op": "remove", "path": "active" }])),
            &[],
        ),
    };
    for n in 1..=20 {
        assert_eq!(off(n).status, 200, "{n}");
    }
    for n in 21..=24 {
        assert_eq!(off(n).status, 429, "{n}");
        assert_eq!(client.expect(200, "GET", &format!("/Users/id-{n}"), None)["active"], true);
    }
    // A PUT without active leaves it as it was; somebody who is not active is no removal once more.
    client.expect(200, "PUT", "/Users/id-25", Some(json!({ "userName": "u25" })));
    assert_eq!(off(1).status, 200);
    // Operation by operation: what removes is refused, the rest is done.
    let bulk = client.expect(200, "POST", "/Bulk", Some(json!({ "schemas": [BULK], "Operations": [
        { "method": "PATCH", "path": "/Users/id-30", "data": { "schemas": [PATCH], "Operations": [{ "op": "replace", "path": "active", "value": false }] } },
        { "method": "PATCH", "path": "/Users/id-31", "data": { "schemas": [PATCH], "Operations": [{ "op": "replace", "path": "title", "value": "x" }] } },
        { "method": "DELETE", "path": "/Users/id-32" },
    ] })));
    let statuses: Vec<&Value> =
        bulk["Operations"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["429", "200", "429"]);
    assert!(bulk["Operations"][2]["response"]["detail"].as_str().unwrap().contains("brake"));
    client.expect(200, "GET", "/Users/id-32", None);
}

#[test]
fn share_number_and_least_are_all_needed() {
    // 10 percent of 300 are 30: the number alone stops nothing.
    let large = native();
    let client = directory(&large, 300);
    for id in 1..=30 {
        assert_eq!(delete(&client, id).status, 204, "{id}");
    }
    assert_eq!(delete(&client, 31).status, 429);
    // A directory below the least has no brake, and counts nothing.
    let small = native();
    let client = directory(&small, 49);
    for id in 1..=49 {
        assert_eq!(delete(&client, id).status, 204, "{id}");
    }
    // One that is below the least by its removals alone keeps its brake.
    let edge = native();
    let client = directory(&edge, 50);
    let done = (1..=50).take_while(|id| delete(&client, *id).status == 204).count();
    assert_eq!(done, 20);
    // Off: no limit and no row.
    let off = native();
    let client = directory(&off, 60);
    client.guard.set(Guard::default());
    for id in 1..=60 {
        assert_eq!(delete(&client, id).status, 204);
    }
    assert!((&&off).query("SELECT 1 FROM state WHERE name = 'brake'", &[]).unwrap().is_empty());
}

#[test]
fn groups_are_counted_by_themselves_and_an_emptied_one_counts() {
    let native = native();
    let client = directory(&native, 60);
    for n in 0..30 {
        let members = json!([{ "value": "id-1" }, { "value": "id-2" }]);
        client.expect(
            201,
            "POST",
            "/Groups",
            Some(json!({ "displayName": format!("g{n}"), "members": members })),
        );
    }
    let path = |n: u32| format!("/Groups/id-{}", 60 + n);
    // One member of two is no removal, the second is; so are all at once.
    let without =
        |id: &str| patch(json!([{ "op": "remove", "path": format!("members[value eq \"{id}\"]") }]));
    client.expect(200, "PATCH", &path(1), without("id-1"));
    assert_eq!(view(&client)["lastHour"]["groups"]["emptied"], 0);
    client.expect(200, "PATCH", &path(1), without("id-2"));
    client.expect(200, "PUT", &path(2), Some(json!({ "displayName": "g" })));
    client.expect(
        200,
        "PATCH",
        &path(3),
        patch(json!([{ "op": "replace", "path": "members", "value": [] }])),
    );
    client.expect(200, "PATCH", &path(4), patch(json!([{ "op": "remove", "path": "members" }])));
    // Others in their place are no removal.
    client.expect(
        200,
        "PATCH",
        &path(5),
        patch(json!([{ "op": "replace", "path": "members", "value": [{ "value": "id-3" }] }])),
    );
    assert_eq!(view(&client)["lastHour"]["groups"], json!({ "deleted": 0, "emptied": 4, "of": 30 }));
    for n in 6..=21 {
        client.expect(204, "DELETE", &path(n), None);
    }
    client.expect(429, "DELETE", &path(22), None);
    client.expect(429, "PATCH", &path(22), patch(json!([{ "op": "remove", "path": "members" }])));
    assert_eq!(client.expect(200, "GET", &path(22), None)["members"].as_array().unwrap().len(), 2);
    // Users have a window of their own.
    client.expect(204, "DELETE", "/Users/id-60", None);
}

#[test]
fn the_window_survives_a_restart_and_a_clock_that_jumps() {
    let native = native();
    let clock = {
        let client = directory(&native, 100);
        for id in 1..=20 {
            assert_eq!(delete(&client, id).status, 204);
        }
        client.clock.get()
    };
    let client = Client::new(&native);
    client.guard.set(Guard { limits: Some(LIMITS), append_only: false });
    client.clock.set(clock + 30 * MINUTE);
    assert_eq!(delete(&client, 21).status, 429);
    // Back by a day: what was counted counts on, for an hour from then.
    client.clock.set(clock - 1440 * MINUTE);
    let refused = delete(&client, 21);
    assert_eq!(refused.status, 429);
    let wait: i64 = header(&refused, "retry-after").unwrap().parse().unwrap();
    assert!(wait <= 3_660, "{wait}");
    later(&client, wait * 1000);
    assert_eq!(delete(&client, 21).status, 204);
}

#[test]
fn an_operator_lets_removals_through_by_number_or_until_a_time() {
    let native = native();
    let client = directory(&native, 200);
    let mut ids = 1..=200;
    let mut remove = || delete(&client, ids.next().unwrap()).status;
    while remove() == 204 {}
    let now = client.clock.get();
    client.directory.let_through(Some(3), None, "ann", now).unwrap();
    assert_eq!(view(&client)["state"], "letting-through");
    assert_eq!((remove(), remove()), (204, 204));
    assert_eq!(view(&client)["letThrough"]["removals"], 1);
    assert_eq!(remove(), 204);
    // What was let through is not counted, and the window began empty.
    assert_eq!(view(&client)["lastHour"]["users"]["deleted"], 0);
    let mut more = 0;
    while remove() == 204 {
        more += 1;
    }
    assert!((16..=20).contains(&more), "{more}");
    client.directory.let_through(None, Some(now + 5 * MINUTE), "ann", client.clock.get()).unwrap();
    for _ in 0..40 {
        assert_eq!(remove(), 204);
    }
    later(&client, 6 * MINUTE);
    while remove() == 204 {}
    assert_eq!(view(&client)["state"], "stopping");
    // Taken back before it is used.
    client.directory.let_through(Some(100), None, "ann", client.clock.get()).unwrap();
    client.directory.end_letting_through(client.clock.get()).unwrap();
    assert_eq!(view(&client)["letThrough"], Value::Null);
    // No longer than a day, whatever was asked for.
    let long = client.directory.let_through(None, Some(i64::MAX), "ann", now).unwrap();
    assert_eq!(long.until, now + 1440 * MINUTE);
}

#[test]
fn the_alarm_is_raised_at_first_and_then_now_and_then() {
    let native = native();
    let client = directory(&native, 100);
    for id in 1..=20 {
        delete(&client, id);
    }
    assert_eq!(client.directory.take_alarm(), None);
    delete(&client, 21);
    let alarm = client.directory.take_alarm().unwrap();
    assert!(alarm.contains("21 of 100 users"), "{alarm}");
    delete(&client, 22);
    assert_eq!(client.directory.take_alarm(), None);
    later(&client, 11 * MINUTE);
    delete(&client, 23);
    assert!(client.directory.take_alarm().is_some());
    assert_eq!(client.directory.stopped_requests(client.clock.get()), Ok(3));
}

#[test]
fn reservations_are_taken_back_and_never_below_none() {
    let native = native();
    let client = directory(&native, 100);
    let now = client.clock.get();
    let reserve =
        || client.directory.reserve_removal(Some(LIMITS), Kind::User, Removal::Deleted, now).unwrap();
    let taken: Vec<_> = (0..20).map(|_| reserve().unwrap().unwrap()).collect();
    assert!(reserve().is_err());
    client.directory.take_back_removal(taken[0], now).unwrap();
    assert!(reserve().is_ok());
    assert!(reserve().is_err());
    for one in taken {
        client.directory.take_back_removal(one, now + 61 * MINUTE).unwrap();
    }
    // They were an hour old: nothing is owed to anybody for it.
    client.clock.set(now + 61 * MINUTE);
    assert_eq!(view(&client)["lastHour"]["users"], json!({ "deleted": 0, "deactivated": 0, "of": 100 }));
    assert_eq!((1..=100).take_while(|id| delete(&client, *id).status == 204).count(), 20);
}

#[test]
fn what_an_origin_no_longer_has_is_held_to_the_same_limits() {
    let native = native();
    let client = directory(&native, 100);
    let now = client.clock.get();
    let stops = |count| client.directory.stops(Some(LIMITS), Kind::User, count, now).unwrap();
    assert_eq!(stops(20), None);
    assert_eq!(stops(21).map(|stop| (stop.removals, stop.of)), Some((21, 100)));
    let found = |id: u32| {
        client.directory.forget_found(Some(LIMITS), Kind::User, &format!("id-{id}"), &gone(now)).unwrap()
    };
    for id in 1..=20 {
        assert_eq!(found(id), Ok(()));
    }
    assert!(found(21).is_err());
    client.expect(200, "GET", "/Users/id-21", None);
    // Slowly, too: the hour counts, not the pass.
    assert!(stops(1).is_some());
    // A deletion that was counted when it left is not stopped when it is found.
    client.directory.begin(Kind::User, Some("id-22"), "DELETE", now).unwrap();
    assert_eq!(found(22), Ok(()));
    client.directory.let_through(Some(30), None, "ann", now).unwrap();
    assert_eq!(stops(30), None);
    assert!(stops(31).is_some());
}

#[test]
fn an_ordinary_write_costs_no_row_and_a_removal_one() {
    let native = native();
    let client = directory(&native, 100);
    let changed = |run: &dyn Fn()| {
        let before = native.0.total_changes();
        run();
        native.0.total_changes() - before
    };
    let title = |value: &str| {
        client.expect(
            200,
            "PATCH",
            "/Users/id-1",
            patch(json!([{ "op": "replace", "path": "title", "value": value }])),
        );
    };
    let with = (changed(&|| title("a")), changed(&|| drop(delete(&client, 2))));
    client.guard.set(Guard::default());
    let without = (changed(&|| title("b")), changed(&|| drop(delete(&client, 3))));
    assert_eq!((with.0, with.1), (without.0, without.1 + 1));
}

#[test]
fn append_only_adds_and_changes_and_removes_nothing() {
    let native = native();
    let client = directory(&native, 3);
    let members = json!([{ "value": "id-1" }, { "value": "id-2" }]);
    client.expect(201, "POST", "/Groups", Some(json!({ "displayName": "g", "members": members })));
    client.guard.set(Guard { limits: None, append_only: true });
    client.expect(201, "POST", "/Users", Some(json!({ "userName": "new" })));
    client.expect(
        200,
        "PATCH",
        "/Users/id-1",
        patch(json!([{ "op": "add", "path": "title", "value": "a" }])),
    );
    client.expect(
        200,
        "PATCH",
        "/Users/id-1",
        patch(json!([{ "op": "replace", "path": "title", "value": "b" }])),
    );
    client.expect(
        200,
        "PATCH",
        "/Groups/id-4",
        patch(json!([{ "op": "add", "path": "members", "value": [{ "value": "id-3" }] }])),
    );
    let before = rows(&native);
    for (method, path, body) in [
        ("DELETE", "/Users/id-1", None),
        ("DELETE", "/Groups/id-4", None),
        ("DELETE", "/Users/nobody", None),
        ("PUT", "/Users/id-1", Some(json!({ "userName": "user0", "active": true }))),
        ("PUT", "/Users/id-1", Some(json!({ "userName": "user0", "active": false, "title": "b" }))),
        ("PATCH", "/Users/id-1", patch(json!([{ "op": "replace", "path": "active", "value": "False" }]))),
        ("PATCH", "/Users/id-1", patch(json!([{ "op": "remove", "path": "title" }]))),
        ("PATCH", "/Groups/id-4", patch(json!([{ "op": "remove", "path": "members[value eq \"id-1\"]" }]))),
        ("PUT", "/Groups/id-4", Some(json!({ "displayName": "g", "members": [{ "value": "id-1" }] }))),
        (
            "PATCH",
            "/Groups/id-4",
            patch(json!([{ "op": "replace", "path": "members", "value": [{ "value": "id-1" }] }])),
        ),
        ("DELETE", "/Schemas/urn:x:y", None),
        ("PUT", "/Schemas/urn:x:y", Some(json!({ "id": "urn:x:y" }))),
    ] {
        let refused = client.call(method, path, body, &[]);
        assert_eq!(
            (refused.status, header(&refused, REFUSED_BY)),
            (403, Some("append-only")),
            "{method} {path}"
        );
        assert!(refused.body.unwrap().contains("append-only"));
    }
    assert_eq!(rows(&native), before);
    let bulk = client.expect(
        200,
        "POST",
        "/Bulk",
        Some(json!({ "schemas": [BULK], "Operations": [
        { "method": "DELETE", "path": "/Users/id-2" },
        { "method": "POST", "path": "/Users", "bulkId": "a", "data": { "userName": "more" } },
    ] })),
    );
    assert_eq!(
        (&bulk["Operations"][0]["status"], &bulk["Operations"][1]["status"]),
        (&json!("403"), &json!("201"))
    );
}

#[test]
fn a_shadow_answers_as_the_write_would_and_leaves_nothing() {
    let native = native();
    let client = directory(&native, 60);
    client.directory.begin_log("log").unwrap();
    let before = rows(&native);
    let log = || format!("{:?}", (&&native).query("SELECT * FROM change", &[]).unwrap());
    let logged = log();
    let shadow = |method: &str, path: &str, body: Option<Value>| {
        client.ask(method, path, body, &[], |directory, request| directory.shadow(request))
    };
    let made = shadow("POST", "/Users", Some(json!({ "userName": "new" })));
    assert_eq!(made.status, 201);
    assert!(header(&made, "location").is_some());
    assert_eq!(shadow("POST", "/Users", Some(json!({ "userName": "USER1" }))).status, 409);
    assert_eq!(shadow("POST", "/Users", Some(json!({}))).status, 400);
    assert_eq!(shadow("DELETE", "/Users/id-1", None).status, 204);
    assert_eq!(shadow("DELETE", "/Users/nobody", None).status, 404);
    let patched =
        shadow("PATCH", "/Users/id-1", patch(json!([{ "op": "replace", "path": "active", "value": false }])));
    assert!(patched.body.unwrap().contains("\"active\":false"));
    // Within one bulk request, later operations see the earlier ones.
    let bulk = shadow(
        "POST",
        "/Bulk",
        Some(json!({ "schemas": [BULK], "Operations": [
        { "method": "POST", "path": "/Users", "bulkId": "a", "data": { "userName": "more" } },
        { "method": "POST", "path": "/Users", "bulkId": "b", "data": { "userName": "more" } },
        { "method": "POST", "path": "/Groups", "bulkId": "c", "data": { "displayName": "g", "members": [{ "value": "bulkId:a" }] } },
        { "method": "DELETE", "path": "/Users/id-5" },
    ] })),
    );
    let bulk: Value = serde_json::from_str(&bulk.body.unwrap()).unwrap();
    let statuses: Vec<&Value> =
        bulk["Operations"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["201", "409", "201", "204"]);
    let schema = json!({ "id": "urn:x:y", "name": "Y", "attributes": [{ "name": "z", "type": "string" }], "resourceType": "User" });
    shadow("PUT", "/Schemas/urn:x:y", Some(schema));
    assert_eq!(rows(&native), before);
    assert_eq!(log(), logged);
    assert_eq!(client.expect(200, "GET", "/Users?count=0", None)["totalResults"], 60);
    assert_eq!(client.expect(200, "GET", "/Users/id-1", None)["active"], true);
    client.refused(404, None, "GET", "/Schemas/urn:x:y", None);
}

#[test]
fn the_effect_of_a_write_is_found_without_making_it() {
    let native = native();
    let client = directory(&native, 3);
    client.expect(
        201,
        "POST",
        "/Groups",
        Some(json!({ "displayName": "g", "members": [{ "value": "id-1" }] })),
    );
    let before = rows(&native);
    let effect = |method: &str, path: &str, body: Option<Value>| {
        client.ask(method, path, body, &[], |directory, request| directory.effect(request))
    };
    let disabled = Effect::Removes(Removal::Disabled);
    let off = || patch(json!([{ "op": "replace", "value": { "active": "false" } }]));
    assert_eq!(effect("PATCH", "/Users/id-1", off()), disabled);
    assert_eq!(effect("PATCH", "/Users/nobody", off()), Effect::Unknown);
    assert_eq!(effect("DELETE", "/Users/id-1", None), Effect::Removes(Removal::Deleted));
    assert_eq!(effect("PUT", "/Groups/id-4", Some(json!({ "displayName": "g" }))), disabled);
    assert_eq!(effect("PUT", "/Users/id-1", Some(json!({ "userName": "user0" }))), Effect::RemovesNothing);
    assert_eq!(rows(&native), before);
}
