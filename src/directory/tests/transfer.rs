//! Tables out of one directory and into another.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod support;

use scim_edge_directory::Directory;
use scim_edge_directory::export::{Place, Shown};
use scim_edge_directory::import::{Refused, Rules};
use scim_edge_directory::table_set::TableSet;
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Kind;
use serde_json::{Value, json};
use support::{Client, Native, native};

const NOW: i64 = 1_795_000_000_000;
const RULES: Rules = Rules { dialect: Dialect::Tolerant, unique_group_names: false };

fn user(name: &str) -> Option<Value> {
    Some(json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name,
        "emails": [{ "value": format!("{name}@example.com") }] }))
}

fn group(name: &str, members: &[String]) -> Option<Value> {
    let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    Some(json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name,
        "members": members }))
}

fn create(client: &Client<'_>, path: &str, body: Option<Value>) -> String {
    client.expect(201, "POST", path, body)["id"].as_str().unwrap().to_owned()
}

/// All lines of an export, and how much they show; `between` is done after each page.
fn exported(client: &Client<'_>, mut between: impl FnMut(usize)) -> (Vec<String>, Shown) {
    let (mut place, mut lines, mut shown) = (Place::default(), Vec::new(), Shown::default());
    for number in 0.. {
        let page = client.directory.export(&place).unwrap();
        assert!(page.lines.len() <= 500, "a page is bounded");
        lines.extend(page.lines);
        shown = shown.and(page.shown);
        place = page.place;
        if page.is_last {
            break;
        }
        between(number);
    }
    (lines, shown)
}

fn imported<'a>(
    client: &Client<'a>,
    native: &'a Native,
    lines: &[String],
) -> (i64, Directory<TableSet<&'a Native>>) {
    let number = client.directory.begin_import().unwrap();
    let beside = Directory::open_import(native, number).unwrap();
    beside.import_registered(&client.directory).unwrap();
    for line in lines {
        take(client, &beside, line).unwrap();
    }
    (number, beside)
}

fn take(client: &Client<'_>, beside: &Directory<TableSet<&Native>>, line: &str) -> Result<Shown, Refused> {
    let line: Value = serde_json::from_str(line).unwrap();
    let of = line["type"].as_str().unwrap();
    beside.import_line(of, line.as_object().unwrap(), &client.directory.schemas(), RULES)
}

#[test]
fn an_export_is_in_bounded_pages_and_a_member_comes_after_its_resource() {
    let native = native();
    let client = Client::new(&native);
    let ids: Vec<String> = (0..1_200).map(|n| create(&client, "/Users", user(&format!("user{n}")))).collect();
    let all = create(&client, "/Groups", group("All", &ids));
    // What is created while the members are read comes along, in front of its group.
    let mut late = None;
    let (lines, shown) = exported(&client, |page| {
        if page == 4 {
            let id = create(&client, "/Users", user("late"));
            create(&client, "/Groups", group("Late", std::slice::from_ref(&id)));
            late = Some(id);
        }
    });
    assert_eq!(shown, Shown { users: 1_201, groups: 2, members: 1_201 });
    let values: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut seen = std::collections::HashSet::new();
    let mut of_all = Vec::new();
    for line in &values {
        if let Some(id) = line["resource"]["id"].as_str() {
            assert!(seen.insert(id.to_owned()), "{id} comes once");
        }
        for member in line["members"].as_array().into_iter().flatten() {
            let id = member["value"].as_str().unwrap();
            assert!(seen.contains(id), "{id} has come before");
            if line["group"] == all.as_str() {
                of_all.push(id.to_owned());
            }
        }
    }
    let mut expected = ids.clone();
    expected.sort();
    assert_eq!(of_all, expected);
    assert!(seen.contains(&late.unwrap()));
}

#[test]
fn an_import_is_seen_when_it_is_exchanged_and_is_the_same_then() {
    let (from, to) = (native(), native());
    let (one, other) = (Client::new(&from), Client::new(&to));
    let ids: Vec<String> = (0..5).map(|n| create(&one, "/Users", user(&format!("user{n}")))).collect();
    let inner = create(&one, "/Groups", group("Inner", &ids[..3]));
    create(&one, "/Groups", group("Outer", &[inner, ids[4].clone()]));
    one.expect(204, "DELETE", &format!("/Users/{}", ids[1]), None);
    let (lines, _) = exported(&one, |_| {});
    let (number, beside) = imported(&other, &to, &lines);
    assert_eq!(beside.drop_dangling().unwrap(), 0);
    assert_eq!(other.expect(200, "GET", "/Users", None)["totalResults"], 0);
    other.directory.exchange_import(number, "", NOW).unwrap();
    for path in ["/Users", "/Groups", "/Users?filter=emails.value%20eq%20%22user3@example.com%22"] {
        let (seen, expected) = (other.expect(200, "GET", path, None), one.expect(200, "GET", path, None));
        assert_eq!(seen, expected, "{path}");
    }
    assert_eq!(exported(&other, |_| {}).0, lines);
}

#[test]
fn what_an_import_lacks_is_carried_over_as_it_is_when_it_is_exchanged() {
    let (from, to) = (native(), native());
    let (one, other) = (Client::new(&from), Client::new(&to));
    // Clients number what they create: these numbers are taken.
    let taken: Vec<String> = (0..5).map(|n| create(&one, "/Users", user(&format!("taken{n}")))).collect();
    create(&one, "/Users", user("new"));
    for id in taken {
        one.expect(204, "DELETE", &format!("/Users/{id}"), None);
    }
    let (lines, shown) = exported(&one, |_| {});
    let old = create(&other, "/Users", user("old"));
    create(&other, "/Groups", group("Old", std::slice::from_ref(&old)));
    let (number, beside) = imported(&other, &to, &lines);
    let carry = || {
        let mut after = 0;
        while let Some(last) = beside.carry_over(&other.directory, after, false).unwrap() {
            after = last;
        }
    };
    carry();
    // The attempt broke off: what was carried is outdated by now.
    other.expect(200, "PUT", &format!("/Users/{old}"), user("older"));
    beside.forget_carried(shown).unwrap();
    assert_eq!((beside.count(Kind::User).unwrap(), beside.count(Kind::Group).unwrap()), (1, 0));
    carry();
    other.directory.exchange_import(number, "", NOW).unwrap();
    let users = other.expect(200, "GET", "/Users?sortBy=userName", None);
    let names: Vec<&str> =
        users["Resources"].as_array().unwrap().iter().map(|one| one["userName"].as_str().unwrap()).collect();
    assert_eq!(names, ["new", "older"]);
    let groups = other.expect(200, "GET", "/Groups", None);
    assert_eq!(groups["Resources"][0]["members"][0]["value"], old.as_str());
    // Another user of the same name is not guessed away.
    let third = native();
    let clash = Client::new(&third);
    create(&clash, "/Users", user("NEW"));
    let (_, clashing) = imported(&clash, &third, &lines);
    assert!(matches!(clashing.carry_over(&clash.directory, 0, false), Err(Refused::Line(_))));
}

#[test]
fn a_schema_of_another_definition_is_refused() {
    let native = native();
    let client = Client::new(&native);
    let schema = |of: &str| {
        json!({ "id": "urn:example:Badge", "name": "Badge",
            "attributes": [{ "name": "number", "type": of, "multiValued": false }] })
    };
    client.expect(201, "PUT", "/Schemas/urn:example:Badge", Some(schema("string")));
    let number = client.directory.begin_import().unwrap();
    let beside = Directory::open_import(&native, number).unwrap();
    let line =
        |of: &str| json!({ "type": "Schema", "resourceType": "User", "schema": schema(of) }).to_string();
    let Err(Refused::Line(sentence)) = take(&client, &beside, &line("integer")) else {
        panic!("it is taken")
    };
    assert!(sentence.contains("registered here with another definition"));
    assert!(take(&client, &beside, &line("string")).is_ok());
}
