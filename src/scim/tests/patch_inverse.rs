//! A PATCH and the PATCH that undoes it leave a resource as it was.
#![cfg(not(target_arch = "wasm32"))] // environment variables
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Random, executions, seed};
use scim_edge_scim::definitions::ENTERPRISE_USER;
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::patch::{Patch, SCHEMA};
use scim_edge_scim::validate::Reader;
use serde_json::{Map, Value, json};

/// An attribute's path, and where it lies in a resource.
const TARGETS: [(&str, &str); 9] = [
    ("title", "/title"),
    ("active", "/active"),
    ("name", "/name"),
    ("name.givenName", "/name/givenName"),
    ("emails", "/emails"),
    ("emails[type eq \"work\"].value", "/emails/0/value"),
    ("phoneNumbers", "/phoneNumbers"),
    ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "/E/department"),
    ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "/E/manager"),
];

fn value(random: &mut Random, path: &str) -> Value {
    let text = format!("t{}", random.below(9));
    let list = |random: &mut Random| -> Value {
        (0..1 + random.below(3))
            .map(|n| json!({ "value": format!("{n}-{text}@x.org"), "type": "home" }))
            .collect()
    };
    match path {
        "active" => json!(random.below(2) == 0),
        "name" => json!({ "givenName": text, "familyName": "F" }),
        "emails" | "phoneNumbers" => list(random),
        path if path.ends_with("manager") => json!({ "value": text }),
        _ => json!(text),
    }
}

fn person(random: &mut Random) -> Map<String, Value> {
    let mut person = json!({ "userName": "a", "emails": [{ "value": "w@x.org", "type": "work" }] });
    for name in ["title", "active", "name", "phoneNumbers"] {
        if random.below(2) == 0 {
            person[name] = value(random, name);
        }
    }
    if random.below(2) == 0 {
        person[ENTERPRISE_USER] = json!({ "department": "D", "manager": { "value": "m" } });
    }
    common::stored(Kind::User, &person)
}

/// A resource without the order of its members.
fn unordered(resource: &Map<String, Value>) -> std::collections::BTreeMap<&str, &Value> {
    resource
        .iter()
        .filter(|(name, _)| *name != "schemas")
        .map(|(name, value)| (name.as_str(), value))
        .collect()
}

#[test]
fn what_was_changed_can_be_changed_back() {
    let schemas = common::schemas();
    let reader = Reader { schemas: &schemas, kind: Kind::User, dialect: Dialect::Strict };
    let apply = |operation: Value, to: &Map<String, Value>| {
        let body = json!({ "schemas": [SCHEMA], "Operations": [operation] });
        Patch::parse(body.as_object().unwrap(), Dialect::Strict).unwrap().apply(&reader, to).unwrap()
    };
    let seed = seed();
    let mut random = Random(seed);
    for round in 0..executions(5_000) {
        let before = person(&mut random);
        let (path, place) = *random.pick(&TARGETS);
        let place = place.replace("/E/", &format!("/{ENTERPRISE_USER}/"));
        let old = Value::Object(before.clone()).pointer(&place).cloned();
        let verb = *random.pick(&["replace", "remove"]);
        let after = match verb {
            "remove" if !path.ends_with("].value") => apply(json!({ "op": "remove", "path": path }), &before),
            _ => apply(json!({ "op": "replace", "path": path, "value": value(&mut random, path) }), &before),
        };
        let undo = match old {
            Some(old) => json!({ "op": "replace", "path": path, "value": old }),
            None => json!({ "op": "remove", "path": path }),
        };
        let again = apply(undo, &after);
        assert_eq!(unordered(&again), unordered(&before), "seed {seed}, round {round}: {verb} {path}");
    }
}
