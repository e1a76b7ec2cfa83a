//! Lists and scans over long resources: no answer is longer than the limit, and no walk misses or repeats anything.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::Client;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// More than a list may have, and a little for what is around it.
const LONGEST: usize = (4 << 20) + (1 << 10);

fn add(client: &Client<'_>, name: &str, length: usize) -> String {
    let user = json!({ "schemas": [USER], "userName": name, "title": if name.len() > 6 { "even" } else { "odd" },
        "profileUrl": format!("https://example.com/{}", "x".repeat(length)) });
    client.expect(201, "POST", "/Users", Some(user))["id"].as_str().unwrap().to_owned()
}

fn ids(page: &Value) -> Vec<String> {
    page["Resources"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// Walks a list by index, as a client does that heeds `itemsPerPage`, and by cursor.
fn walk(client: &Client<'_>, query: &str) -> Vec<Vec<String>> {
    let mut walks = Vec::new();
    for by_cursor in [false, true] {
        let (mut seen, mut place) =
            (Vec::new(), if by_cursor { "cursor=".to_owned() } else { "startIndex=1".to_owned() });
        loop {
            let page = client.expect(200, "GET", &format!("/Users?count=1000&{place}{query}"), None);
            assert!(page.to_string().len() <= LONGEST, "{query}: {}", page.to_string().len());
            let shown = ids(&page);
            assert_eq!(page["itemsPerPage"], json!(shown.len()), "{query}");
            seen.extend(shown);
            place = match (by_cursor, page["nextCursor"].as_str()) {
                (true, Some(next)) => format!("cursor={next}"),
                (false, _)
                    if seen.len() < usize::try_from(page["totalResults"].as_u64().unwrap()).unwrap() =>
                {
                    assert!(!ids(&page).is_empty());
                    format!("startIndex={}", seen.len() + 1)
                }
                _ => break,
            };
        }
        walks.push(seen);
    }
    walks
}

#[test]
fn pages_are_shorter_than_asked_for_where_resources_are_long() {
    let native = support::native();
    let client = Client::new(&native);
    let mut all = Vec::new();
    for n in 0..24 {
        all.push(add(&client, &format!("user{n}"), if n % 3 == 0 { 900_000 } else { 10 }));
    }
    let page = client.expect(200, "GET", "/Users?count=1000", None);
    assert_eq!(page["totalResults"], 24);
    assert!((5..24).contains(&ids(&page).len()), "{}", ids(&page).len());
    for (query, expected) in [
        ("", all.len()),
        ("&filter=active+pr+or+userName+pr", all.len()),
        (
            "&filter=title+eq+%22odd%22",
            all.iter().enumerate().filter(|(n, _)| n.to_string().len() + 4 <= 6).count(),
        ),
        ("&filter=userName+co+%22user%22", all.len()),
        ("&filter=userName+eq+%22user3%22", 1),
        ("&sortBy=userName", all.len()),
        ("&sortBy=userName&sortOrder=descending&attributes=userName", all.len()),
    ] {
        for seen in walk(&client, query) {
            assert_eq!(seen.len(), expected, "{query}");
            assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), expected, "{query}");
        }
    }
    // One resource that is not asked for at length fits however many there are.
    assert_eq!(ids(&client.expect(200, "GET", "/Users?count=1000&attributes=userName", None)).len(), 24);
}

#[test]
fn groups_are_shown_by_the_number_of_their_members() {
    let native = support::native();
    let client = Client::new(&native);
    let members = |from: usize, count: usize| -> Value {
        (from..from + count).map(|n| json!({ "value": format!("u{n:036}") })).collect()
    };
    // The store of a copy takes members that are not there.
    client.directory.begin_replica("https://origin.example").unwrap();
    let absorb = |id: &str, members: Value| {
        let group = json!({ "schemas": [GROUP], "id": id, "displayName": id, "members": members });
        client
            .directory
            .absorb(scim_edge_scim::endpoint::Kind::Group, &group, "https://origin.example", 1)
            .unwrap()
            .unwrap();
    };
    for n in 0..8 {
        absorb(&format!("g{n}"), members(0, 16_000));
    }
    let mut seen = 0;
    while seen < 8 {
        let page = client.expect(200, "GET", &format!("/Groups?startIndex={}", seen + 1), None);
        assert!(page.to_string().len() <= LONGEST);
        assert_eq!(page["totalResults"], 8);
        assert!(!ids(&page).is_empty() && ids(&page).len() < 8);
        seen += ids(&page).len();
    }
    assert_eq!(ids(&client.expect(200, "GET", "/Groups?excludedAttributes=members", None)).len(), 8);
    absorb("huge", members(0, 32_769));
    for path in ["/Groups/huge", "/Groups?filter=displayName+eq+%22huge%22"] {
        let refused = client.expect(400, "GET", path, None);
        assert_eq!(refused["scimType"], "tooMany", "{path}");
        assert!(refused["detail"].as_str().unwrap().contains("excludedAttributes=members"));
    }
    assert_eq!(client.expect(200, "GET", "/Groups/huge?excludedAttributes=members", None)["id"], "huge");
}
