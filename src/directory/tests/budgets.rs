//! What one request may take: memory and work are bounded, whatever a body of the greatest length holds.
//!
//! Measured in bytes of the heap, on tables in memory: nothing here depends on how fast the machine is.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

#[path = "support/heap.rs"]
mod heap;
mod support;

use heap::{Spent, spent};
use scim_edge_directory::message::Request;
use serde_json::{Value, json};
use support::{Client, native};

const MIB: i64 = 1 << 20;

/// Heap that one request takes at most, natively, where a JSON value is half as large again as in Wasm.
const PEAK: i64 = 40 * MIB;

/// The same of a request about groups.
const GROUP_PEAK: i64 = 64 * MIB;

/// Heap that one request takes in all, given back or not: work that copies.
const TAKEN: i64 = 384 * MIB;

/// The same of all operations of a bulk request, which are done in turns.
const BULK_TAKEN: i64 = 768 * MIB;

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The longest body but for groups.
const BODY: usize = 1 << 20;

fn patch(operations: Vec<Value>) -> Value {
    json!({ "schemas": [PATCH], "Operations": operations })
}

fn emails(count: usize) -> Vec<Value> {
    (0..count).map(|n| json!({ "value": format!("{n}@x.org") })).collect()
}

/// A request, by a client who has created `/Users/id-1` of `start` and `/Groups/id-2` with it as a member.
#[track_caller]
fn measured(what: &str, start: &Value, method: &str, path: &str, body: Value) -> (u16, Value, Spent) {
    let native = native();
    let client = Client::new(&native);
    client.expect(201, "POST", "/Users", Some(start.clone()));
    client.expect(201, "POST", "/Groups", Some(json!({ "displayName": "g", "members": ["id-1"] })));
    let length = body.to_string().len();
    let (answer, spent) = spent(|| client.call(method, path, Some(body), &[]));
    let status = answer.status;
    println!(
        "{what}: {length} bytes, {status}, peak {} KiB, taken {} KiB",
        spent.peak >> 10,
        spent.taken >> 10
    );
    let limit = if path.starts_with("/Groups") { GROUP_PEAK } else { PEAK };
    assert!(spent.peak <= limit, "{what} of {length} bytes took {} KiB", spent.peak >> 10);
    let limit = if path == "/Bulk" { BULK_TAKEN } else { TAKEN };
    assert!(spent.taken <= limit, "{what} of {length} bytes took {} KiB in all", spent.taken >> 10);
    (status, answer.body.map_or(Value::Null, |body| serde_json::from_str(&body).unwrap()), spent)
}

/// A way that a PATCH of a user can grow: its operations at a size.
type Growth = (&'static str, fn(usize) -> Vec<Value>);

const PATCHES: [Growth; 12] = [
    ("a large value for each selected one", |n| {
        vec![json!({ "op": "replace", "path": "emails[value pr]", "value": { "value": "x".repeat(n) } })]
    }),
    ("a large part of each selected value", |n| {
        vec![json!({ "op": "replace", "path": "emails[value pr].display", "value": "x".repeat(n) })]
    }),
    ("a large part of all values", |n| {
        vec![json!({ "op": "add", "path": "emails.display", "value": "x".repeat(n) })]
    }),
    ("one value after another", |n| {
        (0..n / 100)
            .map(|n| json!({ "op": "add", "path": "emails", "value": [{ "value": format!("n{n}") }] }))
            .collect()
    }),
    ("a filter of many terms, again and again", |n| {
        let filter = vec!["display co \"x\""; 50].join(" or ");
        let path = format!("emails[{filter}].type");
        (0..n / 1200).map(|_| json!({ "op": "replace", "path": path, "value": "work" })).collect()
    }),
    ("primary, again and again", |n| {
        (0..n / 100)
            .map(|_| json!({ "op": "replace", "path": "emails[value pr].primary", "value": true }))
            .collect()
    }),
    ("members without a path", |n| {
        let members = (0..n / 45).map(|n| (format!("emails[value eq \"{n}\"].type"), json!("work")));
        vec![json!({ "op": "add", "value": Value::Object(members.collect()) })]
    }),
    ("spellings of one member without a path", |n| {
        let spelling = |n: usize| -> String {
            let letters = "emails".chars().enumerate();
            letters.map(|(at, c)| if n >> at & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect()
        };
        let members = (0..64.min(n / 100)).map(|at| (spelling(at), json!([{ "value": "x".repeat(n / 64) }])));
        vec![json!({ "op": "add", "value": Value::Object(members.collect()) })]
    }),
    ("short values", |n| vec![json!({ "op": "add", "path": "emails", "value": vec![json!({}); n / 3] })]),
    ("numbers where an object should be", |n| {
        vec![json!({ "op": "add", "path": "emails", "value": vec![json!(0); n / 2] })]
    }),
    ("JSON within a text", |n| {
        vec![json!({ "op": "add", "path": "name", "value": format!("{{\"a\":[{}0]}}", "0,".repeat(n / 2)) })]
    }),
    ("a large part of a single value, again and again", |n| {
        let mut all = vec![json!({ "op": "add", "path": "name.formatted", "value": "x".repeat(n / 2) })];
        all.extend((0..n / 200).map(|_| json!({ "op": "add", "path": "name.givenName", "value": "y" })));
        all
    }),
];

#[test]
fn patch_takes_no_more_than_its_budget_however_it_grows() {
    let starts = [json!({ "userName": "u" }), json!({ "userName": "u", "emails": emails(4_000) })];
    for (way, grown) in PATCHES {
        for start in &starts {
            for size in [1 << 14, BODY - 4096] {
                let body = patch(grown(size));
                assert!(body.to_string().len() <= BODY, "{way}");
                let (status, answer, _) = measured(way, start, "PATCH", "/Users/id-1", body);
                assert!([200, 204, 400, 413].contains(&status), "{way}: {answer}");
            }
        }
    }
}

const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

/// A way that another request can grow: its method, its path, and its body at a size.
type Other = (&'static str, &'static str, &'static str, fn(usize) -> Value);

const OTHERS: [Other; 13] = [
    (
        "a POST of short values",
        "POST",
        "/Users",
        |n| json!({ "userName": "n", "emails": vec![json!({}); n / 3] }),
    ),
    ("a POST of unknown members", "POST", "/Users", |n| {
        let members = (0..n / 12).map(|n| (format!("x{n}"), json!(0)));
        Value::Object(members.chain([("userName".to_owned(), json!("n"))]).collect())
    }),
    (
        "a POST of a long text",
        "POST",
        "/Users",
        |n| json!({ "userName": "n", "title": "\u{e9}".repeat(n / 2) }),
    ),
    ("a PUT of many values", "PUT", "/Users/id-1", |n| json!({ "userName": "u", "roles": emails(n / 24) })),
    (
        "a POST of members",
        "POST",
        "/Groups",
        |n| json!({ "displayName": "n", "members": vec!["id-1"; n / 8] }),
    ),
    ("a PATCH of members", "PATCH", "/Groups/id-2", |n| {
        let one = json!({ "op": "replace", "path": "members", "value": ["id-1"] });
        patch(vec![one; 1000.min(n / 56)])
    }),
    ("a PATCH of what members are called", "PATCH", "/Groups/id-2", |n| {
        let path = "members[value eq \"id-1\"].display";
        patch(vec![json!({ "op": "replace", "path": path, "value": "x" }); 1000.min(n / 80)])
    }),
    (
        "a search for many attributes",
        "POST",
        "/Users/.search",
        |n| json!({ "attributes": (0..n / 12).map(|n| format!("x{n}")).collect::<Vec<_>>() }),
    ),
    ("a schema of many attributes", "PUT", "/Schemas/urn:x:y", |n| {
        let attributes: Vec<Value> = (0..n / 24).map(|n| json!({ "name": format!("a{n}") })).collect();
        json!({ "id": "urn:x:y", "attributes": attributes })
    }),
    (
        "a schema with many words",
        "PUT",
        "/Schemas/urn:x:y",
        |n| json!({ "id": "urn:x:y", "attributes": [{ "name": "a", "canonicalValues": vec!["x"; n / 4] }] }),
    ),
    ("a bulk request that changes one large user", "POST", "/Bulk", |n| {
        let data = patch(vec![json!({ "op": "replace", "path": "title", "value": "x" })]);
        let one = json!({ "method": "PATCH", "path": "/Users/id-1", "data": data });
        json!({ "schemas": [BULK], "Operations": vec![one; 1000.min(n / 256)] })
    }),
    ("a bulk request whose operations wait for each other", "POST", "/Bulk", |n| {
        let count = 1000.min(n / 100).max(1);
        let one = |at: usize| {
            let members = vec![json!({ "value": format!("bulkId:{}", at + 1) }); n / count / 40];
            json!({ "method": "POST", "path": "/Groups", "bulkId": at.to_string(),
                "data": { "displayName": "g", "members": members } })
        };
        let last = json!({ "method": "POST", "path": "/Groups", "bulkId": count.to_string(), "data": { "displayName": "g" } });
        json!({ "schemas": [BULK], "Operations": (1..count).map(one).chain([last]).collect::<Vec<_>>() })
    }),
    ("a bulk request that refers to one operation again and again", "POST", "/Bulk", |n| {
        let members = vec![json!({ "value": "bulkId:u" }); n / 24];
        json!({ "schemas": [BULK], "Operations": [
            { "method": "POST", "path": "/Groups", "bulkId": "g", "data": { "displayName": "g", "members": members } },
            { "method": "POST", "path": "/Users", "bulkId": "u", "data": { "userName": "new" } },
        ] })
    }),
];

#[test]
fn other_requests_take_no_more_than_their_budget_however_they_grow() {
    let start = json!({ "userName": "u", "emails": emails(4_000), "nickName": "x".repeat(500_000) });
    for (way, method, path, grown) in OTHERS {
        for size in [1 << 15, BODY - 8192] {
            let body = grown(size);
            assert!(body.to_string().len() <= BODY, "{way}: {}", body.to_string().len());
            let (status, answer, _) = measured(way, &start, method, path, body);
            assert!([200, 201, 204, 400, 413].contains(&status), "{way}: {status} {answer}");
        }
    }
}

#[test]
fn groups_of_20_000_members_are_written_back_as_they_were_read() {
    let native = native();
    let client = Client::new(&native);
    let ids: Vec<String> = (0..20_000).map(|n| format!("{n:08}-0000-4000-8000-000000000000")).collect();
    let id = std::cell::Cell::new(0);
    for _ in &ids {
        let name = format!("user{}", id.get());
        let body = json!({ "userName": name }).to_string();
        client.ask("POST", "/Users", None, &[], |directory, request| {
            let new_id = || ids[id.get()].clone();
            let made = directory.respond(&Request { body: body.as_bytes(), new_id: &new_id, ..*request });
            assert_eq!(made.status, 201);
        });
        id.set(id.get() + 1);
    }
    let members: Vec<Value> = ids
        .iter()
        .enumerate()
        .map(|(n, id)| match n {
            7 => json!({ "value": id }),
            _ => json!({ "value": id, "display": format!("The user with the id {id}") }),
        })
        .collect();
    let body = json!({ "displayName": "everybody", "members": members });
    let (made, spent_by_post) = spent(|| client.call("POST", "/Groups", Some(body), &[]));
    assert_eq!(made.status, 201);
    let group: Value = serde_json::from_str(&made.body.unwrap()).unwrap();
    let path = format!("/Groups/{}", group["id"].as_str().unwrap());
    let read = client.expect(200, "GET", &path, None);
    assert_eq!(read["members"].as_array().unwrap().len(), 20_000);
    let length = read.to_string().len();
    println!("a group of 20,000 members: {} KiB", length >> 10);
    assert!(length > 4 << 20);
    let (put, spent_by_put) = spent(|| client.call("PUT", &path, Some(read.clone()), &[]));
    assert_eq!(put.status, 200);
    let after: Value = serde_json::from_str(&put.body.unwrap()).unwrap();
    assert_eq!(after, read, "nothing has changed, the version neither");
    let renamed = patch(vec![
        json!({ "op": "replace", "value": { "displayName": "all", "members": read["members"] } }),
    ]);
    let (patched, spent_by_patch) = spent(|| client.call("PATCH", &path, Some(renamed), &[]));
    assert_eq!(patched.status, 200);
    for (what, spent) in [("POST", spent_by_post), ("PUT", spent_by_put), ("PATCH", spent_by_patch)] {
        println!("{what}: peak {} KiB, taken {} KiB", spent.peak >> 10, spent.taken >> 10);
        assert!(spent.peak <= GROUP_PEAK, "{what} took {} KiB", spent.peak >> 10);
    }
    // One name for each member takes a look at all of them, and has no budget for many.
    let one =
        json!({ "op": "replace", "path": format!("members[value eq \"{}\"].display", ids[7]), "value": "x" });
    client.expect(200, "PATCH", &path, Some(patch(vec![one.clone()])));
    client.refused(413, None, "PATCH", &path, Some(patch(vec![one; 100])));
}

#[test]
fn limits_of_members_are_named_in_refusals() {
    let native = native();
    let client = Client::new(&native);
    client.expect(201, "POST", "/Users", Some(json!({ "userName": "u" })));
    client.expect(201, "POST", "/Groups", Some(json!({ "displayName": "g" })));
    let detail = |method: &str, path: &str, body: Value| {
        let answer = client.expect(413, method, path, Some(body));
        answer["detail"].as_str().unwrap().to_owned()
    };
    let many = json!({ "displayName": "g", "members": vec!["id-1"; 25_001] });
    assert!(detail("PUT", "/Groups/id-2", many.clone()).contains("25000"));
    assert!(detail("POST", "/Groups", many).contains("25000"));
    let some = |from: usize| {
        let members: Vec<String> = (from..from + 13_000).map(|n| n.to_string()).collect();
        json!({ "op": "add", "path": "members", "value": members })
    };
    assert!(detail("PATCH", "/Groups/id-2", patch(vec![some(0), some(13_000)])).contains("25000"));
    let long =
        json!({ "displayName": "g", "members": [{ "value": "id-1", "display": "x".repeat(1 << 20) }] });
    assert!(detail("PUT", "/Groups/id-2", long).contains("16 KiB"));
    let name = json!({ "displayName": "x".repeat(2 << 20) });
    assert!(detail("PUT", "/Groups/id-2", name).contains("longer than 1 MiB"));
    let values = json!({ "userName": "v", "roles": emails(5_001) });
    assert!(detail("POST", "/Users", values).contains("roles has at most 5000 values"));
}
