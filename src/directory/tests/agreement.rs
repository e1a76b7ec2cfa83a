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

use scim_edge_scim::endpoint::{Kind, encode};
use serde_json::{Value, json};
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
                (random.pick(&["title", "displayName", "userName"]), random.pick(&["co", "sw", "ew", "eq"]));
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
        let user_name = match random.below(2) {
            0 => name(&mut random),
            _ => format!("{}{}", random.below(100), random.pick(&TITLES)),
        };
        let body = json!({ "userName": user_name, "externalId": name(&mut random),
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

/// Spellings and parts of names.
const TEXTS: [&str; 30] = [
    "ann",
    "ANN",
    "Ann Bo",
    "ａｎｎ",
    "änn",
    "a\u{308}nn",
    "a",
    "n",
    "\u{308}",
    "Kelvin",
    "\u{212a}elvin",
    "\u{212a}",
    "ｋ",
    "k",
    "日本",
    "本",
    "50%",
    "%",
    "a_b",
    "_",
    "q\"q",
    "a\\b",
    "\\",
    "[ann]",
    "[",
    "line\nfeed",
    "\n",
    "nul\0l",
    "\0",
    "",
];

/// What an origin may show of names.
fn names() -> Vec<Value> {
    let texts = TEXTS.iter().map(|text| json!(text));
    let others = [
        json!(null),
        json!(true),
        json!(12),
        json!(1.5),
        json!(1e300),
        json!(["Ann", "q\"q"]),
        json!(["日本"]),
        json!([["Ann"]]),
        json!([]),
        json!({ "value": "Ann" }),
        json!("urn:scim-edge:base/ann"),
        json!(" leading ann"),
    ];
    texts.chain(others).collect()
}

#[test]
fn names_agree_with_scans() {
    let native = native();
    let client = Client::new(&native);
    let absorb = |kind, shown: &Value| {
        client.directory.absorb(kind, shown, "https://origin.example/scim", 1).unwrap().unwrap();
    };
    let mut own = 0;
    for (n, name) in names().into_iter().enumerate() {
        let user_name = name.as_str().map_or_else(|| name.clone(), |text| json!(format!("{text}{n}")));
        absorb(
            Kind::User,
            &json!({ "id": format!("u{n}"), "userName": user_name, "displayName": name, "title": "urn:scim-edge:base" }),
        );
        // Not the attribute's name: nobody finds it.
        absorb(Kind::User, &json!({ "id": format!("v{n}"), "username": user_name, "displayname": name }));
        absorb(Kind::Group, &json!({ "id": format!("g{n}"), "displayName": name }));
        for path in ["/Users", "/Groups"] {
            let body = json!({ "userName": format!("own {n}"), "displayName": name, "title": "a base" });
            own += usize::from(client.call("POST", path, Some(body), &[]).status == 201);
        }
    }
    assert!(own > 60, "{own}");
    let mut found = 0;
    for (path, name) in [
        ("/Users", "userName"),
        ("/Users", "displayName"),
        ("/Groups", "displayName"),
        ("/", "displayName"),
        ("/", "userName"),
    ] {
        // An equality leads to texts only, where an index of its own serves it.
        let is_looked_up = (path, name) != ("/Users", "displayName");
        for word in ["co", "sw", "ew", "eq"].into_iter().filter(|word| *word != "eq" || !is_looked_up) {
            for part in TEXTS.iter().chain(&["12", "1.5", "true", "1e300", "1e+300", "scim-edge", "own", "9"])
            {
                let ask = |filter: &str| {
                    let path = format!("{path}?filter={}&count=1000&attributes=id", encode(filter));
                    client.expect(200, "GET", &path, None)
                };
                let agree = |term: &str| {
                    let by_index = ask(term);
                    assert_eq!(by_index, ask(&format!("not (not ({term}))")), "{path}: {term}");
                    by_index["totalResults"].as_u64().unwrap()
                };
                let term = format!("{name} {word} {}", json!(part));
                found += agree(&term);
                if path == "/Users" {
                    found += agree(&format!("{term} and displayName co \"a\" and title co \"base\""));
                }
            }
        }
    }
    assert!(found > 1_000, "{found}");
}
