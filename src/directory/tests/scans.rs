//! A scan in turns lets writes in between and answers of one state all the same.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use scim_edge_directory::scan::Scan;
use serde_json::{Value, json};
use support::{Client, Native, native};

const USERS: usize = 7_000;
const QUESTION: &str = "/?filter=not%20(title%20eq%20%22b%22)&count=1000&sortBy=id";

fn directory(native: &Native) -> Client<'_> {
    let client = Client::new(native);
    for n in 0..USERS {
        let title = if n % 7 == 0 { "a" } else { "b" };
        client.expect(201, "POST", "/Users", Some(json!({ "userName": format!("u{n}"), "title": title })));
    }
    client.expect(201, "POST", "/Groups", Some(json!({ "displayName": "g" })));
    client
}

/// The answer of a scan, and how many turns it took; `between` is called after each but the last.
fn in_turns(client: &Client<'_>, mut between: impl FnMut(usize)) -> (Value, usize) {
    let scan = Scan::default();
    for turn in 1.. {
        let answered = client.ask("GET", QUESTION, None, &[], |directory, request| {
            directory.respond_in_turns(request, Some(&scan))
        });
        if let Some(response) = answered {
            assert_eq!(response.status, 200, "{response:?}");
            return (serde_json::from_str(&response.body.unwrap()).unwrap(), turn);
        }
        between(turn);
    }
    panic!("there is no end");
}

#[test]
fn turns_find_what_one_finds() {
    let native = native();
    let client = directory(&native);
    // First in turns: the answer is kept until something is written.
    let (found, turns) = in_turns(&client, |_| ());
    client.expect(204, "DELETE", "/Users/id-2", None);
    let whole = client.expect(200, "GET", QUESTION, None);
    assert_eq!(whole["totalResults"], USERS / 7 + 1);
    assert_eq!(found, whole);
    assert!(turns > 3, "{turns}");
}

#[test]
fn a_write_between_turns_is_in_the_answer() {
    let native = native();
    let client = directory(&native);
    let add = |n: usize| {
        let body = json!({ "userName": format!("late{n}"), "title": "a" });
        client.expect(201, "POST", "/Users", Some(body))["id"].clone()
    };
    let mut added = Vec::new();
    let (found, turns) = in_turns(&client, |turn| {
        // One after every turn: it has to come to an end, and to show all of them.
        let gone = client.call("DELETE", &format!("/Users/id-{}", turn * 7 + 1), None, &[]);
        assert_eq!(gone.status, 204);
        added.push(add(turn));
    });
    assert!(turns > 1 && turns < 10, "{turns}");
    assert_eq!(found["totalResults"], USERS / 7 + 1 + added.len() - (turns - 1));
    let whole = client.expect(200, "GET", QUESTION, None);
    assert_eq!(found, whole);
}
