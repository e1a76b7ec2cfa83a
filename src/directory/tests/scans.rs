//! A scan in turns lets writes in between and answers of one state all the same.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use scim_edge_directory::scan::Scan;
use serde_json::{Value, json};
use support::{Client, Native, native};

const USERS: usize = 7_000;
const QUESTION: &str = "/?filter=not%20(title%20eq%20%22b%22)&count=1000&sortBy=id";

/// What an index of names is asked; it finds the same, and the group.
const NAMES: [&str; 2] = [
    "/?filter=displayName%20co%20%22%20a%22&count=1000&sortBy=id",
    "/Users?filter=userName%20sw%20%22U%22%20and%20displayName%20co%20%22A%22&count=1000&startIndex=500",
];

fn directory(native: &Native) -> Client<'_> {
    let client = Client::new(native);
    for n in 0..USERS {
        let title = if n % 7 == 0 { "a" } else { "b" };
        let display = format!("x {title}");
        let body = json!({ "userName": format!("u{n}"), "title": title, "displayName": display });
        client.expect(201, "POST", "/Users", Some(body));
    }
    client.expect(201, "POST", "/Groups", Some(json!({ "displayName": "g a" })));
    client
}

/// The answer of a scan, and how many turns it took; `between` is called after each but the last.
fn in_turns(client: &Client<'_>, question: &str, mut between: impl FnMut(usize)) -> (Value, usize) {
    let scan = Scan::default();
    for turn in 1.. {
        let answered = client.ask("GET", question, None, &[], |directory, request| {
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
    let (found, turns) = in_turns(&client, QUESTION, |_| ());
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
        let body = json!({ "userName": format!("late{n}"), "title": "a", "displayName": "late a" });
        client.expect(201, "POST", "/Users", Some(body))["id"].clone()
    };
    let mut added = Vec::new();
    let (found, turns) = in_turns(&client, QUESTION, |turn| {
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

#[test]
fn names_that_very_many_have_are_found_in_turns() {
    let native = native();
    let client = directory(&native);
    let expected = USERS / 7;
    for (question, more) in NAMES.into_iter().zip([1, 0]) {
        let (found, turns) = in_turns(&client, question, |_| ());
        assert_eq!((&found["totalResults"], turns), (&json!(expected + more), 1), "{question}");
    }
    // All of them: in the order of creation, whatever is written meanwhile.
    let everybody = "/Users?filter=displayName%20sw%20%22x%22&count=1000&startIndex=6500";
    let (found, turns) = in_turns(&client, everybody, |_| ());
    client.expect(204, "DELETE", "/Users/id-2", None);
    assert_eq!(found["totalResults"], USERS);
    assert_eq!(found["Resources"][0]["userName"], "u6499");
    assert!(turns > 3, "{turns}");
    let mut late = 0;
    let (found, turns) = in_turns(&client, everybody, |turn| {
        late = turn;
        let body = json!({ "userName": format!("late{turn}"), "displayName": "x late" });
        client.expect(201, "POST", "/Users", Some(body));
    });
    assert!(turns > 1 && turns < 10, "{turns}");
    assert_eq!(found["totalResults"], USERS - 1 + late);
    assert_eq!(found, client.expect(200, "GET", everybody, None));
}
