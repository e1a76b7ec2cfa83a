//! What an index leads to, and what a scan finds that looks for a text first, is what a scan finds that reads
//! everything, on random people and random filters.
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

use serde_json::json;
use support::{Client, native};

/// A small generator with a printed seed: the cases of a failure can be had again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const NAMES: [&str; 6] = ["Ann", "Bo", "DÄVE", "straße", "cleo", "x"];

/// Spellings of one name that are equal where case does not count, and parts of them.
const TITLES: [&str; 10] =
    ["Kelvin", "\u{212a}elvin", "KELVIN", "ｋｅｌｖｉｎ", "kel%n", "kel_n", "50%", "a\\b", "q\"q", "vin"];

/// A term that an index may serve or that has a text to look for, and the same one in a form that neither has.
fn term(random: &mut Random) -> (String, String) {
    let value = format!("{}{}", random.pick(&NAMES), random.below(8));
    let twin = |indexed: String, scanned: String| (indexed, scanned);
    match random.below(7) {
        0 => twin(format!("userName eq \"{value}\""), format!("not (not (userName eq \"{value}\"))")),
        1 => twin(format!("externalId eq \"{value}\""), format!("not (not (externalId eq \"{value}\"))")),
        2 => twin(
            format!("emails.value eq \"{value}@x.org\""),
            format!("not (not (emails.value eq \"{value}@x.org\"))"),
        ),
        3 => twin(
            format!("emails[type eq \"work\" and value eq \"{value}@X.org\"]"),
            format!("not (not (emails[type eq \"work\" and value eq \"{value}@X.org\"]))"),
        ),
        4 | 5 => {
            let (name, word) =
                (random.pick(&["title", "displayName"]), random.pick(&["co", "sw", "ew", "eq"]));
            let title = random.pick(&TITLES);
            let (start, end) = (random.below(2), title.chars().count() - random.below(2));
            let part: String = title.chars().take(end).skip(start).collect();
            let term = format!("{name} {word} {}", json!(part));
            twin(term.clone(), format!("not (not ({term}))"))
        }
        _ => twin(format!("groups.value eq \"id-{}\"", random.below(60)), String::new()),
    }
}

fn filter(random: &mut Random, depth: usize) -> (String, String) {
    if depth == 0 || random.below(3) == 0 {
        let (indexed, scanned) = term(random);
        let scanned = if scanned.is_empty() { format!("not (not ({indexed}))") } else { scanned };
        return (indexed, scanned);
    }
    let ((a, b), (c, d)) = (filter(random, depth - 1), filter(random, depth - 1));
    let word = random.pick(&["and", "or"]);
    (format!("({a}) {word} ({c})"), format!("({b}) {word} ({d})"))
}

#[test]
fn indexes_agree_with_scans() {
    let cases: usize = std::env::var("SCIM_EDGE_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000);
    let seed = std::env::var("SCIM_EDGE_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0x5eed_5c1a);
    println!("seed {seed}, {cases} filters");
    let mut random = Random(seed);
    let native = native();
    let client = Client::new(&native);
    for _ in 0..40 {
        let name = |random: &mut Random| format!("{}{}", random.pick(&NAMES), random.below(8));
        let body = json!({ "userName": name(&mut random), "externalId": name(&mut random),
            "title": random.pick(&TITLES), "displayName": random.pick(&TITLES),
            "emails": [{ "value": format!("{}@x.org", name(&mut random)), "type": random.pick(&["work", "home"]) },
                       { "value": format!("{}@X.ORG", name(&mut random)), "type": "home" }] });
        client.call("POST", "/Users", Some(body), &[]);
    }
    for n in 0..10 {
        let members: Vec<_> =
            (0..5).map(|_| json!({ "value": format!("id-{}", 1 + random.below(20)) })).collect();
        client.call(
            "POST",
            "/Groups",
            Some(json!({ "displayName": format!("g{n}"), "members": members })),
            &[],
        );
    }
    let mut found = 0;
    for _ in 0..cases {
        let (indexed, scanned) = filter(&mut random, 3);
        let ask = |filter: &str| {
            client.expect(
                200,
                "POST",
                "/Users/.search",
                Some(json!({ "filter": filter, "attributes": ["userName"] })),
            )
        };
        let (by_index, by_scan) = (ask(&indexed), ask(&scanned));
        assert_eq!(by_index["Resources"], by_scan["Resources"], "seed {seed}: {indexed}");
        found += by_index["totalResults"].as_u64().unwrap();
    }
    assert!(found > cases as u64 / 10, "the filters find too little to say anything: {found}");
}
