//! `tests/cases/filters.json`, and what indexes may promise about the same filters. Runs natively and
//! under wasm-pack.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::Random;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::{Error, ScimType};
use scim_edge_scim::evaluate::{ElementMatcher, Matcher};
use scim_edge_scim::filter::{Filter, Literal, Operator};
use scim_edge_scim::fold::fold;
use scim_edge_scim::lookup::Lookup;
use scim_edge_scim::parser::Options;
use scim_edge_scim::path::{AttributePath, Path};
use scim_edge_scim::schema::Schemas;
use scim_edge_scim::sort::{Order, Sorter};
use serde_json::{Map, Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CASES: &str = include_str!("../../../tests/cases/filters.json");

fn cases() -> Value {
    serde_json::from_str(CASES).unwrap()
}

fn compile(filter: &str, kind: Kind) -> Result<Matcher, Error> {
    Matcher::compile(&Filter::parse(filter, Options::TOLERANT)?, &Schemas::default(), kind)
}

fn resources(cases: &Value, kind: Kind) -> Vec<(&str, &Map<String, Value>)> {
    let resources = cases[kind.name()]["resources"].as_object().unwrap();
    resources.iter().map(|(name, resource)| (name.as_str(), resource.as_object().unwrap())).collect()
}

/// Whether a lookup leads to a resource: what an index over the resources would answer.
fn leads_to(lookup: &Lookup, resource: &Map<String, Value>) -> bool {
    let text = |name: &str| resource.get(name).and_then(Value::as_str);
    let values = |name: &str| {
        let values = resource.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        values.iter().filter_map(|value| value["value"].as_str()).collect::<Vec<_>>()
    };
    match lookup {
        Lookup::Id(id) => text("id") == Some(id),
        Lookup::ExternalId(id) => text("externalId") == Some(id),
        Lookup::Name(name) => {
            let own = if resource.contains_key("userName") { "userName" } else { "displayName" };
            text(own).map(fold).as_ref() == Some(name)
        }
        Lookup::Email(address) => values("emails").iter().any(|value| fold(value) == *address),
        Lookup::Member(id) => values("members").contains(&id.as_str()),
        Lookup::Group(id) => values("groups").contains(&id.as_str()),
    }
}

/// The names of the resources a filter accepts, found by every way there is.
fn accepted<'a>(
    matcher: &Matcher,
    resources: &[(&'a str, &Map<String, Value>)],
    filter: &str,
) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (name, resource) in resources {
        let matches = matcher.matches(resource);
        let told = matcher.matches_with(resource, &|lookup| Some(leads_to(lookup, resource)));
        assert_eq!(matches, told, "{filter}: {name}");
        if let Some(lookups) = matcher.lookups().filter(|_| matches) {
            assert!(lookups.iter().any(|l| leads_to(l, resource)), "{filter}: {lookups:?} miss {name}");
        }
        for attribute in ["meta", "groups", "members"] {
            if !matcher.reads(attribute, false) {
                let mut without = (*resource).clone();
                without.remove(attribute);
                assert_eq!(matches, matcher.matches(&without), "{filter}: reads {attribute} of {name}");
            }
        }
        if matches {
            names.push(*name);
        }
    }
    names
}

#[test]
fn every_filter_accepts_what_it_says() {
    let cases = cases();
    let (mut count, mut wrong) = (0, Vec::new());
    for kind in Kind::ALL {
        let resources = resources(&cases, kind);
        for case in cases[kind.name()]["filters"].as_array().unwrap() {
            count += 1;
            let filter = case[0].as_str().unwrap();
            let found = match compile(filter, kind) {
                Ok(matcher) => json!(accepted(&matcher, &resources, filter)),
                Err(error) => error.scim_type.map(ScimType::as_str).into(),
            };
            if found != case[1] {
                wrong.push(format!("{filter}: {found}, not {}", case[1]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn random_filters_agree_with_their_lookups() {
    let cases = cases();
    let seed = common::seed();
    let mut random = Random(seed);
    let schemas = Schemas::default();
    for kind in Kind::ALL {
        let resources = resources(&cases, kind);
        for round in 0..common::executions(10_000) / 2 {
            let filter = indexable(&mut random, 3, kind);
            let text = format!("seed {seed}, round {round}: {filter}");
            let matcher = Matcher::compile(&filter, &schemas, kind).unwrap();
            accepted(&matcher, &resources, &text);
            let not = Matcher::compile(&Filter::Not(Box::new(filter)), &schemas, kind).unwrap();
            for (name, resource) in &resources {
                assert_ne!(matcher.matches(resource), not.matches(resource), "{text}: {name}");
            }
        }
    }
}

/// A random filter over the attributes and values of the cases' resources.
fn indexable(random: &mut Random, depth: usize, kind: Kind) -> Filter {
    const VALUES: &[&str] = &[
        "jim",
        "JIM-1",
        "jim-1",
        "däve",
        "dave-1",
        "AbC",
        "701984",
        "bjensen@example.com",
        "babs@jensen.org",
        "work",
        "home",
        "tour guides",
        "Employees",
        "g1",
        "2819c223-7f76-453a-919d-413861904646",
        "e9e30dba-f08f-4109-8486-d5c6a331660a",
    ];
    let (names, elements): (&[&str], &[&str]) = match kind {
        Kind::User => (
            &[
                "id",
                "externalId",
                "userName",
                "displayName",
                "emails",
                "emails.value",
                "groups",
                "groups.value",
            ],
            &["emails", "groups"],
        ),
        Kind::Group => (&["id", "externalId", "displayName", "members", "members.value"], &["members"]),
    };
    if depth > 0 && random.below(3) > 0 {
        return match random.below(4) {
            0 => Filter::Not(Box::new(indexable(random, depth - 1, kind))),
            1 => Filter::Or(vec![indexable(random, depth - 1, kind), indexable(random, depth - 1, kind)]),
            _ => Filter::And(vec![indexable(random, depth - 1, kind), indexable(random, depth - 1, kind)]),
        };
    }
    let operator = |random: &mut Random| {
        if random.below(3) > 0 { Operator::Eq } else { *random.pick(&Operator::ALL) }
    };
    let value = |random: &mut Random| Literal::String((*random.pick(VALUES)).to_owned());
    if random.below(4) == 0 {
        let mut test = |name| Filter::Compare(AttributePath::name(name), operator(random), value(random));
        let (a, b, c) = (test("value"), test("type"), test("value"));
        let inner = match random.below(4) {
            0 => Filter::And(vec![a, b]),
            1 => Filter::Or(vec![a, c]),
            2 => Filter::Not(Box::new(a)),
            _ => a,
        };
        return Filter::Element(AttributePath::name(*random.pick(elements)), Box::new(inner));
    }
    Filter::Compare(random.pick(names).parse().unwrap(), operator(random), value(random))
}

#[test]
fn indexes_serve_what_they_can() {
    let plan = |filter: &str, kind| compile(filter, kind).unwrap().lookups();
    let user = |filter: &str| plan(filter, Kind::User);
    let name = |name: &str| Lookup::Name(name.into());
    let email = |address: &str| Lookup::Email(address.into());
    assert_eq!(user("userName eq \"DÄVE\""), Some(vec![name("däve")]));
    assert_eq!(user("id eq \"A\""), Some(vec![Lookup::Id("A".into())]));
    assert_eq!(user("externalId eq \"A\""), Some(vec![Lookup::ExternalId("A".into())]));
    assert_eq!(user("emails eq \"A@b\""), Some(vec![email("a@b")]));
    assert_eq!(user("emails[type eq \"work\"].value eq \"A@b\""), Some(vec![email("a@b")]));
    assert_eq!(user("emails[value eq \"a\" or value eq \"b\"]"), Some(vec![email("a"), email("b")]));
    assert_eq!(user("emails[value eq \"a\" or type eq \"b\"]"), None);
    assert_eq!(user("groups.value eq \"g\""), Some(vec![Lookup::Group("g".into())]));
    assert_eq!(
        user("groups.value eq \"g\" and emails eq \"a\" and userName eq \"x\""),
        Some(vec![name("x")])
    );
    assert_eq!(
        user("userName eq \"x\" or userName eq \"X\" or id eq \"y\""),
        Some(vec![name("x"), Lookup::Id("y".into())])
    );
    assert_eq!(user("userName eq \"x\" and (title pr or not (active eq true))"), Some(vec![name("x")]));
    for filter in [
        "userName ne \"x\"",
        "userName sw \"x\"",
        "userName eq null",
        "not (userName eq \"x\")",
        "userName eq \"x\" or title pr",
        "displayName eq \"x\"",
        "emails.type eq \"x\"",
        "userName gt \"x\"",
    ] {
        assert_eq!(user(filter), None, "{filter}");
    }
    let group = |filter: &str| plan(filter, Kind::Group);
    assert_eq!(group("displayName eq \"X\""), Some(vec![name("x")]));
    assert_eq!(group("members eq \"u\""), Some(vec![Lookup::Member("u".into())]));
    assert_eq!(group("id eq \"g\" and members eq \"u\""), Some(vec![Lookup::Id("g".into())]));
}

#[test]
fn membership_can_be_told() {
    let asks = |filter: &str| compile(filter, Kind::Group).unwrap().reads("members", true);
    assert!(!asks("id eq \"g\" and members eq \"u\""));
    assert!(!asks("members[value eq \"u\"] or not (members.value eq \"v\")"));
    assert!(asks("members[value eq \"u\" and type eq \"User\"]"));
    assert!(asks("members pr") && asks("members.value ne \"u\""));
    assert!(compile("members eq \"u\"", Kind::Group).unwrap().reads("members", false));
    let matcher = compile("members eq \"u\" and displayName pr", Kind::Group).unwrap();
    let group = json!({"displayName": "x"});
    let group = group.as_object().unwrap();
    assert!(matcher.matches_with(group, &|lookup| Some(*lookup == Lookup::Member("u".into()))));
    assert!(!matcher.matches_with(group, &|_| Some(false)));
    assert!(!matcher.matches_with(group, &|_| None));
}

#[test]
fn queries_over_every_kind_know_each_others_attributes() {
    let across = |filter: &str, kind| {
        let filter = Filter::parse(filter, Options::STRICT).unwrap();
        Matcher::compile_across(&filter, &Schemas::default(), kind)
    };
    let cases = cases();
    let groups = resources(&cases, Kind::Group);
    let found = |filter: &str| accepted(&across(filter, Kind::Group).unwrap(), &groups, filter);
    assert_eq!(found("userName eq \"jim\" or displayName eq \"employees\""), ["empty"]);
    assert_eq!(found("userName pr"), Vec::<&str>::new());
    assert_eq!(found("not (emails[type eq \"work\"])"), ["guides", "empty"]);
    assert_eq!(found("userName ne \"jim\" and active eq null"), ["guides", "empty"]);
    assert!(across("members.value eq \"x\"", Kind::User).is_ok());
    assert_eq!(across("foo eq \"x\"", Kind::Group).unwrap_err().scim_type, Some(ScimType::InvalidFilter));
}

#[test]
fn one_value_is_asked_and_described() {
    let schemas = Schemas::default();
    let element = |path: &str| {
        let path = Path::parse(path, Options::TOLERANT).unwrap();
        let (_, attribute) = schemas.find(Kind::User, None, &path.attribute.name).unwrap();
        ElementMatcher::compile(&path.filter.unwrap(), attribute)
    };
    let work = element("emails[type eq \"WORK\"].value").unwrap();
    assert!(work.matches(&json!({"type": "work"})) && !work.matches(&json!({"type": "home"})));
    for (path, template) in [
        ("emails[type eq \"WORK\"].value", json!({"type": "WORK"})),
        ("emails[TYPE eq \"work\" and Primary eq \"True\"]", json!({"type": "work", "primary": true})),
        ("roles[primary eq True].value", json!({"primary": true})),
        ("emails[type ne \"work\"]", Value::Null),
        ("emails[type eq \"work\" or type eq \"home\"]", Value::Null),
        ("emails[type eq \"work\" and type eq \"home\"]", Value::Null),
        ("emails[type eq \"work\" and value pr]", Value::Null),
        ("emails[type eq null]", Value::Null),
    ] {
        let matcher = element(path).unwrap();
        assert_eq!(matcher.template().cloned().map_or(Value::Null, Value::Object), template, "{path}");
        assert!(template.is_null() || matcher.matches(&template), "{path}");
    }
    assert!(element("emails[foo eq 1]").is_err());
    let schema = element("schemas[value eq \"urn:x\"]").unwrap();
    assert!(schema.matches(&json!("urn:x")) && !schema.matches(&json!("urn:y")));
}

#[test]
fn sorts_by_any_attribute() {
    let cases = cases();
    let sorted = |by: &str, order| {
        let sorter = Sorter::new(&by.parse().unwrap(), order, &Schemas::default(), Kind::User).unwrap();
        let mut keyed: Vec<_> =
            resources(&cases, Kind::User).into_iter().map(|(name, r)| (sorter.key(r), name)).collect();
        keyed.sort_by(|(a, _), (b, _)| sorter.compare(a, b));
        keyed.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ")
    };
    for (by, ascending, descending) in [
        ("userName", "babs dave jim", "jim dave babs"),
        ("USERNAME", "babs dave jim", "jim dave babs"),
        ("externalId", "babs jim dave", "dave jim babs"),
        ("displayName", "babs dave jim", "jim dave babs"),
        ("active", "jim babs dave", "babs dave jim"),
        ("meta.created", "babs jim dave", "dave jim babs"),
        ("emails", "babs dave jim", "jim dave babs"),
        ("emails.type", "babs dave jim", "jim babs dave"),
        ("addresses.locality", "babs jim dave", "jim dave babs"),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
            "babs jim dave",
            "jim dave babs",
        ),
    ] {
        assert_eq!(sorted(by, Order::Ascending), ascending, "{by}");
        assert_eq!(sorted(by, Order::Descending), descending, "{by}");
    }
    let fails = |by: &str| {
        let sorter = Sorter::new(&by.parse().unwrap(), Order::Ascending, &Schemas::default(), Kind::User);
        sorter.unwrap_err().scim_type
    };
    assert_eq!(fails("name"), Some(ScimType::InvalidValue));
    assert_eq!(fails("foo"), Some(ScimType::InvalidValue));
    let by = "userName".parse().unwrap();
    let across = Sorter::across(&by, Order::Descending, &Schemas::default(), Kind::Group).unwrap();
    let user = Sorter::across(&by, Order::Descending, &Schemas::default(), Kind::User).unwrap();
    let key = |sorter: &Sorter, kind| sorter.key(resources(&cases, kind)[0].1);
    assert!(across.compare(&key(&across, Kind::Group), &key(&user, Kind::User)).is_lt());
    assert!(
        Sorter::across(&"foo".parse().unwrap(), Order::Ascending, &Schemas::default(), Kind::Group).is_err()
    );
    assert_eq!(Order::parse("DESCENDING"), Ok(Order::Descending));
    assert!(Order::parse("up").is_err());
}
