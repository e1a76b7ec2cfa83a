//! The audit and the activity, over rusqlite.
#![allow(missing_docs, clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::unwrap_used)]

mod support;

use scim_edge_directory::Directory;
use scim_edge_directory::activity::{Activity, BUCKET_MS, Happened, Times};
use scim_edge_directory::audit::{Entry, Filter, Kind, Outcome, Resource, add, page, settle, trim};
use support::{Native, native};

fn entry(at: i64, kind: Kind, id: &str) -> Entry {
    Entry {
        id: 0,
        at,
        kind,
        principal: Some("okta".to_owned()),
        subject: Some("client".to_owned()),
        operation: "user.create".to_owned(),
        resource: Some(Resource { of: "User".to_owned(), id: Some(id.to_owned()) }),
        status: 201,
        outcome: Outcome::Ok,
        reason: None,
        request_id: Some("r-1".to_owned()),
        count: 1,
        attributes: None,
        former_id: None,
    }
}

fn filled(native: &Native) -> Directory<&Native> {
    let directory = Directory::open(native).unwrap();
    for n in 1..=30 {
        let kind = if n % 3 == 0 { Kind::Refused } else { Kind::Write };
        add(directory.sql(), &entry(n * 10, kind, &format!("u{n}"))).unwrap();
    }
    directory
}

#[test]
fn pages_go_back_to_the_first_entry() {
    let native = native();
    let directory = filled(&native);
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = page(directory.sql(), &Filter::default(), before, 7).unwrap();
        seen.extend(page.entries.iter().map(|entry| entry.at));
        before = page.before;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=30).rev().map(|n| n * 10).collect::<Vec<i64>>());
}

#[test]
fn each_filter_leaves_what_it_asks_for() {
    let native = native();
    let directory = filled(&native);
    let other = Entry {
        principal: Some("root".to_owned()),
        operation: "group.delete".to_owned(),
        outcome: Outcome::Failed,
        resource: None,
        ..entry(305, Kind::Write, "")
    };
    add(directory.sql(), &other).unwrap();
    let count = |filter: Filter| page(directory.sql(), &filter, None, 100).unwrap().entries.len();
    let all = Filter::default;
    assert_eq!(count(all()), 31);
    assert_eq!(count(Filter { kinds: vec![Kind::Refused], ..all() }), 10);
    assert_eq!(count(Filter { kinds: vec![Kind::Refused, Kind::Write], ..all() }), 31);
    assert_eq!(count(Filter { principal: Some("root".into()), ..all() }), 1);
    assert_eq!(count(Filter { outcome: Some(Outcome::Failed), ..all() }), 1);
    assert_eq!(count(Filter { operation: Some("user.create".into()), ..all() }), 30);
    assert_eq!(count(Filter { resource: Some("u7".into()), ..all() }), 1);
    assert_eq!(count(Filter { resource: Some("User/u7".into()), ..all() }), 1);
    assert_eq!(count(Filter { resource: Some("Group/u7".into()), ..all() }), 0);
    assert_eq!(count(Filter { from: Some(100), to: Some(120), ..all() }), 2);
}

#[test]
fn an_entry_is_one_row_and_changes_only_while_its_outcome_is_unknown() {
    let native = native();
    let directory = Directory::open(&native).unwrap();
    let before = native.0.total_changes();
    let unknown = Entry {
        status: 0,
        outcome: Outcome::Unknown,
        resource: Some(Resource { of: "User".to_owned(), id: None }),
        ..entry(1, Kind::Write, "")
    };
    let id = add(directory.sql(), &unknown).unwrap();
    assert_eq!(native.0.total_changes() - before, 1);
    settle(directory.sql(), id, 201, Some("u1"), None).unwrap();
    settle(directory.sql(), id, 500, Some("u2"), None).unwrap();
    let found = page(directory.sql(), &Filter::default(), None, 10).unwrap();
    assert_eq!(found.entries, [Entry { id, ..entry(1, Kind::Write, "u1") }]);
}

#[test]
fn what_is_too_old_goes() {
    let native = native();
    let directory = filled(&native);
    trim(directory.sql(), 250).unwrap();
    let left = page(directory.sql(), &Filter::default(), None, 100).unwrap();
    assert_eq!(left.entries.iter().map(|entry| entry.at).min(), Some(250));
    assert_eq!(left.entries.len(), 6);
}

#[test]
fn activity_survives_a_restart_but_for_its_last_minute() {
    let native = native();
    let directory = Directory::open(&native).unwrap();
    let sql = directory.sql();
    let start = 1_000 * BUCKET_MS;
    let one = |times| Happened { requests: 1, refused: 0, failed: 0, times };
    let mut activity = Activity::default();
    activity.add(sql, one(&[3]), start + 1_000).unwrap();
    activity.add(sql, one(&[40]), start + 62_000).unwrap();
    activity.add(sql, one(&[]), start + 63_000).unwrap();
    let mut again = Activity::default();
    again.add(sql, Happened { refused: 2, ..Happened::default() }, start + 64_000).unwrap();
    again.add(sql, one(&[]), start + BUCKET_MS).unwrap();
    let shown = again.shown(sql, start + BUCKET_MS).unwrap();
    let buckets = shown["buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 2);
    assert_eq!((&buckets[0]["requests"], &buckets[0]["refused"]), (&2.into(), &2.into()));
    assert_eq!((&buckets[0]["millisecondsP50"], &buckets[0]["millisecondsP95"]), (&5.into(), &50.into()));
    assert_eq!((&buckets[1]["at"], &buckets[1]["requests"]), (&(start + BUCKET_MS).into(), &1.into()));
    assert_eq!(again.shown(sql, start + 300 * BUCKET_MS).unwrap()["buckets"], serde_json::json!([]));
}

#[test]
fn percentiles_are_bounds_of_classes() {
    let mut times = Times::default();
    assert_eq!(times.percentile(50), None);
    for milliseconds in 1..=100 {
        times.add(milliseconds);
    }
    assert_eq!((times.percentile(50), times.percentile(95)), (Some(50), Some(100)));
    times.add(600_000);
    assert_eq!(times.percentile(100), Some(60_000));
}
