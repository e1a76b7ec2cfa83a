//! Which index each statement of a list is answered from.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use scim_edge_scim::endpoint::encode;
use serde_json::json;
use support::{Client, Native, native};

/// How SQLite goes about each statement that asks for resources, on one line each.
fn plans(native: &Native) -> Vec<(String, String)> {
    let texts = native.1.borrow();
    let asked = texts.iter().filter(|text| text.starts_with("SELECT") && text.contains("FROM resource"));
    let plan = |text: &String| {
        let mut statement = native.0.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
        let mut rows = statement.raw_query();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            lines.push(row.get::<_, String>(3).unwrap());
        }
        (text.split_whitespace().collect::<Vec<_>>().join(" "), lines.join("; "))
    };
    asked.map(plan).collect()
}

#[test]
fn lists_walk_the_index_of_names_and_sort_nothing() {
    let native = native();
    let client = Client::new(&native);
    for n in 0..10 {
        let body = json!({ "userName": format!("u{n}"), "displayName": "Ann" });
        client.expect(201, "POST", "/Users", Some(body));
    }
    native.1.borrow_mut().clear();
    for query in ["count=3", "startIndex=9&count=3", "cursor&count=3"] {
        client.expect(200, "GET", &format!("/Users?{query}"), None);
    }
    for (filter, found) in [
        ("userName co \"u\"", 10),
        ("displayName co \"n\"", 10),
        ("title pr", 0),
        ("title co \"x\"", 0),
        ("title co \"x\" and displayName co \"ann\"", 0),
        ("not (title pr)", 10),
    ] {
        let listed = client.expect(200, "GET", &format!("/Users?filter={}", encode(filter)), None);
        assert_eq!(listed["totalResults"], found, "{filter}");
    }
    let plans = plans(&native);
    for (text, plan) in &plans {
        println!("{text}\n    {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{text}: {plan}");
        // What names numbers reads these.
        let is_of_numbers = text.contains("json_each");
        if text.contains("octet_length(body) > 4096") {
            assert!(plan.contains("USING COVERING INDEX resource_long"), "{text}: {plan}");
            continue;
        }
        let index = if is_of_numbers { "INTEGER PRIMARY KEY" } else { "INDEX resource_names (kind=?" };
        assert!(plan.contains(index), "{text}: {plan}");
    }
    for covered in
        ["SELECT seq FROM resource WHERE kind = ?1", "SELECT max(seq)", "SELECT min(seq)", "instr(name"]
    {
        let (text, plan) = plans.iter().find(|(text, _)| text.contains(covered)).unwrap();
        assert!(plan.contains("USING COVERING INDEX resource_names"), "{text}: {plan}");
    }
}

/// What SQLite takes from the index it does not make of the body: neither its names nor its lengths.
#[test]
fn scans_take_names_and_lengths_from_the_index() {
    let native = native();
    let client = Client::new(&native);
    client.expect(201, "POST", "/Users", Some(json!({ "userName": "u", "displayName": "Ann" })));
    native.1.borrow_mut().clear();
    for filter in ["displayName co \"n\"", "userName co \"u\"", "title co \"x\""] {
        client.expect(200, "GET", &format!("/Users?filter={}", encode(filter)), None);
    }
    let texts = native.1.borrow();
    let of_index = |text: &&String| text.contains("seq >") && !text.contains("count(*)");
    let mut asked = 0;
    for text in texts.iter().filter(of_index) {
        let mut statement = native.0.prepare(&format!("EXPLAIN {text}")).unwrap();
        let mut rows = statement.raw_query();
        let (mut table, mut index) = (None, None);
        while let Some(row) = rows.next().unwrap() {
            let (operation, cursor, column): (String, i64, i64) =
                (row.get(1).unwrap(), row.get(2).unwrap(), row.get(3).unwrap());
            let function: Option<String> = row.get(5).unwrap();
            let function = function.unwrap_or_default();
            assert!(!function.starts_with("->>"), "{text}: {function}");
            match operation.as_str() {
                "OpenRead" if function.starts_with("k(") => index = Some(cursor),
                "OpenRead" => table = Some(cursor),
                "Column" if text.starts_with("SELECT seq FROM") => {
                    assert!(Some(cursor) == index && Some(cursor) != table, "{text}: column {column}");
                }
                "Function" | "PureFunc" if function.contains("length") => {
                    assert!(text.contains("length(body ->>"), "{text}: {function}");
                }
                _ => {}
            }
        }
        asked += 1;
    }
    assert_eq!(asked, 3);
}
