//! Walks by cursor (RFC 9865) while the directory changes: random walks against a model, and the cursors that
//! expire.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

mod support;

use scim_edge_scim::endpoint::Kind;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use support::{Client, native};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// Titles: short ones that recur, and long ones that differ after what a cursor holds of them.
fn title(n: usize) -> Option<String> {
    match n % 8 {
        0 => None,
        n @ 1..=3 => Some(["a", "Ab", "b"][n - 1].to_owned()),
        n => Some(format!("{}{}", "long ".repeat(20), ["", "ä", "z", "zz"][n - 4])),
    }
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Active(usize, bool),
    Title(usize, usize),
    /// Changes an attribute that no query looks at: only `meta.lastModified` moves.
    NickName(usize, usize),
    Delete(usize),
    Create(usize),
}

#[derive(Clone, Debug)]
struct Scenario {
    people: usize,
    filter: &'static str,
    sort: &'static str,
    descending: bool,
    count: usize,
    /// The changes after each page.
    steps: Vec<Vec<Change>>,
}

const FILTERS: [&str; 4] = ["", "active eq true", "title sw \"a\" or title sw \"l\"", "not (title pr)"];
const SORTS: [&str; 5] = ["", "userName", "title", "active", "meta.lastModified"];

fn scenario(random: &mut Random) -> Scenario {
    let people = 4 + random.below(10);
    let change = |random: &mut Random| {
        let n = random.below(people + 3);
        match random.below(8) {
            0..=2 => Change::Active(n, random.below(2) == 0),
            3 | 4 => Change::Title(n, random.below(8)),
            5 => Change::NickName(n, random.below(3)),
            6 => Change::Delete(n),
            _ => Change::Create(random.below(8)),
        }
    };
    let steps =
        (0..1 + random.below(5)).map(|_| (0..random.below(5)).map(|_| change(random)).collect()).collect();
    Scenario {
        people,
        filter: FILTERS[random.below(FILTERS.len())],
        sort: SORTS[random.below(SORTS.len())],
        descending: random.below(2) == 0,
        count: 1 + random.below(5),
        steps,
    }
}

/// A user as the model knows it.
#[derive(Clone, PartialEq)]
struct User {
    active: bool,
    title: Option<String>,
    nick_name: usize,
    changes: usize,
}

impl Scenario {
    fn matches(&self, user: &User) -> bool {
        let begins =
            |with: &str| user.title.as_ref().is_some_and(|title| title.to_lowercase().starts_with(with));
        match FILTERS.iter().position(|filter| *filter == self.filter) {
            Some(0) => true,
            Some(1) => user.active,
            Some(2) => begins("a") || begins("l"),
            _ => user.title.is_none(),
        }
    }

    /// What a user sorts by; the value only has to change with it.
    fn key(&self, user: &User) -> String {
        match self.sort {
            "title" => format!("{:?}", user.title.as_ref().map(|title| title.to_lowercase())),
            "active" => user.active.to_string(),
            "meta.lastModified" => user.changes.to_string(),
            _ => String::new(),
        }
    }

    fn query(&self, cursor: &str) -> String {
        let encode = scim_edge_scim::endpoint::encode;
        let mut query = format!("/Users?cursor={cursor}&count={}", self.count);
        if !self.filter.is_empty() {
            query += &format!("&filter={}", encode(self.filter));
        }
        if !self.sort.is_empty() {
            let order = if self.descending { "descending" } else { "ascending" };
            query += &format!("&sortBy={}&sortOrder={order}", self.sort);
        }
        query
    }

    /// Walks, and says what is wrong. Whether the walk came to its end.
    fn run(&self) -> Result<bool, String> {
        let native = native();
        let client = Client::new(&native);
        let mut users: BTreeMap<String, User> = BTreeMap::new();
        let mut ids: Vec<String> = Vec::new();
        let mut create = |users: &mut BTreeMap<String, User>, ids: &mut Vec<String>, n: usize| {
            let user = User { active: !n.is_multiple_of(3), title: title(n), nick_name: 0, changes: 0 };
            let mut body = json!({ "userName": format!("u{}", (ids.len() * 7) % 23), "active": user.active });
            if let Some(title) = &user.title {
                body["title"] = json!(title);
            }
            body["userName"] = json!(format!("{}-{}", body["userName"].as_str().unwrap(), ids.len()));
            let made = client.expect(201, "POST", "/Users", Some(body));
            ids.push(made["id"].as_str().unwrap().to_owned());
            users.insert(ids.last().unwrap().clone(), user);
        };
        (0..self.people).for_each(|n| create(&mut users, &mut ids, n));
        let matching = |users: &BTreeMap<String, User>| -> BTreeMap<String, String> {
            let listed = users.iter().filter(|(_, user)| self.matches(user));
            listed.map(|(id, user)| (id.clone(), self.key(user))).collect()
        };
        // Those that have matched at every moment, with a key that never changed.
        let mut throughout = matching(&users);
        let mut ever: BTreeSet<String> = throughout.keys().cloned().collect();
        let mut shown: Vec<String> = Vec::new();
        let mut cursor = String::new();
        for page in 0..100 {
            let answer = client.call("GET", &self.query(&cursor), None, &[]);
            let body: Value = serde_json::from_str(answer.body.as_deref().unwrap()).unwrap();
            if answer.status == 400 && body["scimType"] == "expiredCursor" {
                let is_long = self.sort == "title";
                return if is_long { Ok(false) } else { Err(format!("page {page} has expired")) };
            }
            if answer.status != 200 {
                return Err(format!("page {page}: {body}"));
            }
            let listed = body["Resources"].as_array().unwrap();
            shown.extend(listed.iter().map(|user| user["id"].as_str().unwrap().to_owned()));
            if body["totalResults"] != matching(&users).len() {
                return Err(format!("page {page}: totalResults is {}", body["totalResults"]));
            }
            let Some(next) = body["nextCursor"].as_str() else {
                cursor.clear();
                break;
            };
            if next.len() > 300 {
                return Err(format!("a cursor of {} bytes", next.len()));
            }
            cursor = next.to_owned();
            for change in self.steps.get(page).into_iter().flatten() {
                self.make(*change, &client, &mut users, &mut ids, &mut create);
                let now = matching(&users);
                throughout.retain(|id, key| now.get(id) == Some(key));
                ever.extend(now.into_keys());
            }
        }
        if !cursor.is_empty() {
            return Err("the walk has no end".to_owned());
        }
        for id in throughout.keys() {
            let times = shown.iter().filter(|one| *one == id).count();
            if times != 1 {
                return Err(format!("{id} matched throughout and was shown {times} times of {shown:?}"));
            }
        }
        match shown.iter().find(|id| !ever.contains(*id)) {
            Some(id) => Err(format!("{id} never matched")),
            None => Ok(true),
        }
    }

    fn make(
        &self,
        change: Change,
        client: &Client<'_>,
        users: &mut BTreeMap<String, User>,
        ids: &mut Vec<String>,
        create: &mut impl FnMut(&mut BTreeMap<String, User>, &mut Vec<String>, usize),
    ) {
        let (n, operation) = match change {
            Change::Create(n) => return create(users, ids, n),
            Change::Delete(n) => {
                if users.remove(&ids[n % ids.len()]).is_some() {
                    client.expect(204, "DELETE", &format!("/Users/{}", ids[n % ids.len()]), None);
                }
                return;
            }
            Change::Active(n, active) => (n, json!({ "op": "replace", "path": "active", "value": active })),
            Change::Title(n, of) => (n, json!({ "op": "replace", "path": "title", "value": title(of) })),
            Change::NickName(n, of) => {
                (n, json!({ "op": "replace", "path": "nickName", "value": format!("{of}") }))
            }
        };
        let id = &ids[n % ids.len()];
        let Some(user) = users.get_mut(id) else { return };
        let before = user.clone();
        match change {
            Change::Active(_, active) => user.active = active,
            Change::Title(_, of) => user.title = title(of),
            Change::NickName(_, of) => user.nick_name = of + 1,
            Change::Delete(_) | Change::Create(_) => {}
        }
        user.changes += usize::from(*user != before);
        client.expect(200, "PATCH", &format!("/Users/{id}"), Some(json!({ "Operations": [operation] })));
    }

    /// The same with fewer changes, as long as it fails.
    fn shrunk(mut self) -> (Self, String) {
        let mut why = self.run().unwrap_err();
        'again: loop {
            for step in 0..self.steps.len() {
                for change in 0..self.steps[step].len() {
                    let mut smaller = self.clone();
                    smaller.steps[step].remove(change);
                    if let Err(error) = smaller.run() {
                        (self, why) = (smaller, error);
                        continue 'again;
                    }
                }
            }
            return (self, why);
        }
    }
}

#[test]
fn every_walk_shows_what_matched_throughout_exactly_once() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (seed, runs) = (number("SCIM_EDGE_SEED").unwrap_or(9865), number("SCIM_EDGE_FUZZ").unwrap_or(400));
    let mut random = Random(seed);
    let mut ended = 0;
    for run in 0..runs {
        let scenario = scenario(&mut random);
        match scenario.run() {
            Ok(has_ended) => ended += u64::from(has_ended),
            Err(_) => {
                let (scenario, why) = scenario.shrunk();
                panic!("seed {seed}, run {run}: {why}\n{scenario:#?}");
            }
        }
    }
    assert!(ended * 20 >= runs * 19, "{ended} of {runs} walks came to their end");
}

/// Walks, and says which user names were shown; after each page its users are changed.
fn walk(client: &Client<'_>, query: &str, change: impl Fn(&str) -> Value) -> Vec<String> {
    let mut shown = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.expect(200, "GET", &format!("/Users?{query}&count=3&cursor={cursor}"), None);
        for user in page["Resources"].as_array().unwrap() {
            shown.push(user["userName"].as_str().unwrap().to_owned());
            let id = user["id"].as_str().unwrap();
            client.expect(200, "PATCH", &format!("/Users/{id}"), Some(json!({ "Operations": [change(id)] })));
        }
        match page["nextCursor"].as_str() {
            Some(next) if shown.len() < 20 => cursor = next.to_owned(),
            _ => return shown,
        }
    }
}

fn nine(client: &Client<'_>) -> Vec<String> {
    let name = |n: usize| format!("user{n}");
    for n in 0..9 {
        client.expect(
            201,
            "POST",
            "/Users",
            Some(json!({ "userName": name(n), "active": true, "title": "t" })),
        );
    }
    (0..9).map(name).collect()
}

#[test]
fn what_stops_matching_hides_nothing() {
    let native = native();
    let client = Client::new(&native);
    let all = nine(&client);
    let off = |_: &str| json!({ "op": "replace", "path": "active", "value": false });
    assert_eq!(walk(&client, "filter=active%20eq%20true", off), all);
}

#[test]
fn what_moves_to_the_end_hides_nothing() {
    let native = native();
    let client = Client::new(&native);
    let all = nine(&client);
    let retitled = |id: &str| json!({ "op": "replace", "path": "title", "value": id });
    // Whatever was shown is behind the rest from then on, and shown once more.
    let shown = walk(&client, "sortBy=meta.lastModified", retitled);
    assert_eq!(shown[..9], all);
    let descending = walk(
        &client,
        "sortBy=meta.lastModified&sortOrder=descending",
        |_| json!({ "op": "replace", "path": "title", "value": "again" }),
    );
    assert_eq!(descending.len(), 9);
}

#[test]
fn a_list_of_users_and_groups_is_walked_by_both() {
    let native = native();
    let client = Client::new(&native);
    nine(&client);
    for n in 0..4 {
        client.expect(201, "POST", "/Groups", Some(json!({ "displayName": format!("group{n}") })));
    }
    let mut shown = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.expect(200, "GET", &format!("/?count=2&cursor={cursor}"), None);
        for one in page["Resources"].as_array().unwrap() {
            let kind = one["meta"]["resourceType"].as_str().unwrap();
            shown.push(one["id"].as_str().unwrap().to_owned());
            client.expect(204, "DELETE", &format!("/{kind}s/{}", one["id"].as_str().unwrap()), None);
        }
        // Resources get the numbers of those that are gone.
        match page["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(shown.len(), 13, "{shown:?}");
}

#[test]
fn cursors_of_tables_that_are_no_more_have_expired() {
    let native = native();
    let client = Client::new(&native);
    let origin = "https://origin.example";
    let fill = || {
        for n in 0..5 {
            let user = json!({ "id": format!("u{n}"), "userName": format!("user{n}") });
            client.directory.absorb(Kind::User, &user, origin, 1_795_000_000_000).unwrap().unwrap();
        }
    };
    client.directory.begin_replica(origin).unwrap();
    fill();
    for query in ["count=2", "count=2&filter=userName%20pr", "count=2&sortBy=userName"] {
        let page = |cursor: &str| format!("/Users?{query}&cursor={cursor}");
        let first = client.expect(200, "GET", &page(""), None);
        let next = page(first["nextCursor"].as_str().unwrap());
        client.expect(200, "GET", &next, None);
        client.directory.begin_fill().unwrap();
        fill();
        client.refused(400, Some("expiredCursor"), "GET", &next, None);
        let again = client.expect(200, "GET", &page(""), None);
        client.expect(200, "GET", &page(again["nextCursor"].as_str().unwrap()), None);
    }
}

#[test]
fn cursors_of_attributes_that_are_defined_in_another_way_have_expired() {
    let urn = "urn:example:badge:2.0:User";
    let schema = |kind: &str| json!({ "id": urn, "attributes": [{ "name": "number", "type": kind }, { "name": "b" }] });
    let native = native();
    let client = Client::new(&native);
    let path = format!("/Schemas/{urn}");
    client.expect(201, "PUT", &path, Some(schema("string")));
    for n in 0..4 {
        let user = json!({ "userName": format!("u{n}"), urn: { "b": "x" } });
        client.expect(201, "POST", "/Users", Some(user));
    }
    for query in
        [format!("sortBy={urn}:number&filter=userName%20pr"), format!("filter={urn}:b%20eq%20%22x%22")]
    {
        client.expect(200, "PUT", &path, Some(schema("string")));
        let page = |cursor: &str| format!("/Users?{query}&count=1&cursor={cursor}");
        let with_value =
            json!({ "Operations": [{ "op": "add", "path": format!("{urn}:number"), "value": "1" }] });
        client.expect(200, "PATCH", "/Users/id-1", Some(with_value));
        let first = client.expect(200, "GET", &page(""), None);
        let next = page(first["nextCursor"].as_str().unwrap());
        client.expect(200, "GET", &next, None);
        let other = json!({ "id": urn, "attributes": [{ "name": "number", "type": "integer" }] });
        client.expect(200, "PUT", &path, Some(other));
        client.refused(400, Some("expiredCursor"), "GET", &next, None);
    }
}

#[test]
fn a_cursor_is_good_at_every_copy() {
    let (native, other) = (native(), native());
    let (client, copy) = (Client::new(&native), Client::new(&other));
    client.directory.begin_replica("https://origin.example").unwrap();
    client.directory.begin_log("log").unwrap();
    nine(&client);
    loop {
        let page = client.directory.changes(copy.directory.mirrored().unwrap().as_ref(), 500).unwrap();
        copy.directory.mirror(&page).unwrap();
        if !page.more {
            break;
        }
    }
    for query in ["count=2", "count=2&sortBy=userName&sortOrder=descending"] {
        let page = |cursor: &str| format!("/Users?{query}&cursor={cursor}");
        let first = client.expect(200, "GET", &page(""), None);
        let next = page(first["nextCursor"].as_str().unwrap());
        assert_eq!(copy.expect(200, "GET", &next, None), client.expect(200, "GET", &next, None));
    }
}
