//! Refused requests in the audit, over rusqlite: few rows, however many requests.
#![allow(missing_docs, clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::unwrap_used)]

mod support;

use scim_edge_directory::Directory;
use scim_edge_directory::audit::{Entry, Filter, Kind, Outcome, page};
use scim_edge_directory::refusals::{ENTRIES, ENTRIES_OF_PRINCIPALS, note};
use support::{Native, native};

const HOUR_MS: i64 = 3_600_000;

fn refused(at: i64, principal: Option<&str>, operation: &str) -> Entry {
    Entry {
        id: 0,
        at,
        kind: Kind::Refused,
        principal: principal.map(str::to_owned),
        subject: None,
        operation: operation.to_owned(),
        resource: None,
        status: if principal.is_some() { 403 } else { 401 },
        outcome: Outcome::Refused,
        reason: Some("reason".to_owned()),
        request_id: Some("r".to_owned()),
        count: 2,
        attributes: None,
        former_id: None,
    }
}

fn entries(native: &Native) -> Vec<Entry> {
    page(&native, &Filter::default(), None, 100_000).unwrap().entries
}

#[test]
fn refusals_that_are_alike_are_one_entry_of_an_hour_also_after_a_restart() {
    let native = native();
    let at = 10 * HOUR_MS;
    for n in 0..5 {
        // An object that starts again.
        let directory = Directory::open(&native).unwrap();
        note(
            directory.sql(),
            &[refused(at + n, None, "user.list"), refused(at + n, Some("okta"), "user.list")],
            at + n,
        )
        .unwrap();
    }
    let found = entries(&native);
    assert_eq!(
        found.iter().map(|one| (one.principal.as_deref(), one.count)).collect::<Vec<_>>(),
        [(Some("okta"), 10), (None, 10)]
    );
    note(&&native, &[refused(at + HOUR_MS, None, "user.list")], at + HOUR_MS).unwrap();
    assert_eq!(entries(&native).len(), 3, "another hour");
}

#[test]
fn strangers_make_few_entries_and_never_crowd_out_callers_with_credentials() {
    let native = native();
    let at = 10 * HOUR_MS;
    let many = ENTRIES * 4;
    for n in 0..many {
        let _restarted = Directory::open(&native).unwrap();
        note(&&native, &[refused(at, None, &format!("operation {n}"))], at).unwrap();
    }
    note(&&native, &[refused(at, Some("okta"), "user.delete")], at).unwrap();
    let found = entries(&native);
    assert_eq!(found.len(), usize::try_from(ENTRIES).unwrap() + 2);
    assert_eq!((found[0].principal.as_deref(), found[0].operation.as_str()), (Some("okta"), "user.delete"));
    let other = found.iter().find(|one| one.operation == "other").unwrap();
    assert_eq!((i64::from(other.count), other.principal.as_deref()), ((many - ENTRIES) * 2, None));
    assert_eq!(found.iter().map(|one| i64::from(one.count)).sum::<i64>(), many * 2 + 2, "each is counted");
}

#[test]
fn one_caller_with_credentials_does_not_crowd_out_another() {
    let native = native();
    let _opened = Directory::open(&native).unwrap();
    let at = 10 * HOUR_MS;
    for n in 0..ENTRIES * 2 {
        note(&&native, &[refused(at, Some("noisy"), &format!("operation {n}"))], at).unwrap();
    }
    note(&&native, &[refused(at, Some("okta"), "user.delete")], at).unwrap();
    let found = entries(&native);
    assert_eq!(found[0].principal.as_deref(), Some("okta"));
    assert_eq!(found.iter().filter(|one| one.operation == "other").count(), 1);
    // All of them together are bounded too, beside strangers.
    for n in 0..ENTRIES_OF_PRINCIPALS * 2 {
        note(&&native, &[refused(at, Some(&format!("caller {n}")), "user.list")], at).unwrap();
    }
    note(&&native, &[refused(at, None, "user.list")], at).unwrap();
    let found = entries(&native);
    assert!(i64::try_from(found.len()).unwrap() <= ENTRIES_OF_PRINCIPALS + 3, "{}", found.len());
    assert_eq!(found[0].principal, None);
}
