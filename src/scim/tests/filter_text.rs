//! Filters as text: what the reader takes, what it makes of it, and that nothing makes it slow.
#![cfg(not(target_arch = "wasm32"))] // environment variables
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::Random;
use scim_edge_scim::error::ScimType;
use scim_edge_scim::filter::{Filter, MAX_BYTES, MAX_DEPTH, MAX_TERMS};
use scim_edge_scim::parser::Options;
use scim_edge_scim::path::Path;

#[track_caller]
fn canonical(text: &str, expected: &str) {
    let filter = Filter::parse(text, Options::TOLERANT).unwrap();
    assert_eq!(filter.to_string(), expected);
    assert_eq!(Filter::parse(expected, Options::STRICT), Ok(filter));
}

#[track_caller]
fn refused(text: &str, options: Options, detail: &str) {
    let error = Filter::parse(text, options).unwrap_err();
    assert_eq!((error.scim_type, error.detail.as_str()), (Some(ScimType::InvalidFilter), detail), "{text}");
}

#[test]
fn precedence_and_brackets() {
    canonical("a pr or b pr and c pr", "a pr or b pr and c pr");
    canonical("(a pr or b pr) and c pr", "(a pr or b pr) and c pr");
    canonical("((a pr)) AND (b pr Or (c pr or d pr))", "a pr and (b pr or c pr or d pr)");
    canonical("NOT(a pr)", "not (a pr)");
    canonical("not (a pr and b pr) or c pr", "not (a pr and b pr) or c pr");
    canonical("not(not( a pr ))", "not (not (a pr))");
    canonical("a  pr  and\tb  pr", "a pr and b pr");
    canonical("a pr and(b pr)and c pr", "a pr and b pr and c pr");
    canonical("  a pr ", "a pr");
}

#[test]
fn values_of_every_kind() {
    canonical(
        r#"a EQ "x\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00""#,
        r#"a eq "x\"\\/\u0008\u000c\u000a\u000d\u0009ä😀""#,
    );
    canonical("a eq null and b ne true and c gt -1.5E+3", "a eq null and b ne true and c gt -1.5E+3");
    canonical("a eq \") and (b pr\"", "a eq \") and (b pr\"");
    canonical(
        "emails [type eq \"work\" and not(value co \"x\")]",
        "emails[type eq \"work\" and not (value co \"x\")]",
    );
    canonical("urn:a:2.0:User:manager.value eq \"1\"", "urn:a:2.0:User:manager.value eq \"1\"");
}

#[test]
fn tolerant_reading() {
    canonical("emails[type eq \"work\"].value eq \"x\"", "emails[type eq \"work\" and value eq \"x\"]");
    canonical("emails[a pr or b pr].value pr and c pr", "emails[(a pr or b pr) and value pr] and c pr");
    canonical("externalId eq abc-123", "externalId eq \"abc-123\"");
    canonical("(userName eq bjensen@example.com)", "userName eq \"bjensen@example.com\"");
    canonical("emails[primary eq True]", "emails[primary eq \"True\"]");
    canonical("meta.lastModified gt 2011-05-13T04:42:34Z", "meta.lastModified gt \"2011-05-13T04:42:34Z\"");
    canonical("name.familyName co O'Malley", "name.familyName co \"O'Malley\"");
    canonical("employeeNumber eq 007", "employeeNumber eq \"007\"");
    canonical("a eq\"x\"", "a eq \"x\"");
    for text in [
        "a eq b c",
        "a eq 'b'",
        "a eq (b)",
        "a eq and",
        "a eq x(y",
        "a eq \u{60}b\u{60}",
        "a eq x\"y\"",
        "a eq",
    ] {
        assert!(Filter::parse(text, Options::TOLERANT).is_err(), "{text}");
    }
}

#[test]
fn mistakes_have_a_place_and_a_reason() {
    let strict = Options::STRICT;
    refused("", strict, "the filter is not valid at byte 0: expected an attribute, found the end");
    refused("userName", strict, "the filter is not valid at byte 8: expected an operator, found the end");
    refused(
        "userName is \"x\"",
        strict,
        "the filter is not valid at byte 9: `is` is not one of eq, ne, co, sw, ew, pr, gt, ge, lt, le",
    );
    refused("userName eq", strict, "the filter is not valid at byte 11: expected a value, found the end");
    refused(
        "userName eq x",
        strict,
        "the filter is not valid at byte 12: a text value must stand in double quotes",
    );
    refused(
        "userName eq \"x",
        strict,
        "the filter is not valid at byte 12: the string that begins here does not end",
    );
    refused("ü eq \"x\"", strict, "the filter is not valid at byte 0: expected an attribute, found 'ü'");
    refused("a eq \"\\x\"", strict, "the filter is not valid at byte 6: this is not an escape JSON knows");
    refused(
        "a eq \"\\ud800\"",
        strict,
        "the filter is not valid at byte 6: half of a surrogate pair stands alone",
    );
    refused(
        "a eq \"\\udc00\\ud800\"",
        strict,
        "the filter is not valid at byte 6: half of a surrogate pair stands alone",
    );
    refused(
        "a eq \"x\ny\"",
        strict,
        "the filter is not valid at byte 7: a control character must be escaped",
    );
    refused("(a pr", strict, "the filter is not valid at byte 0: there is no `)` for this bracket");
    refused("a pr)", strict, "the filter is not valid at byte 4: expected `and`, `or` or the end, found ')'");
    refused(
        "emails[type eq \"work\")",
        strict,
        "the filter is not valid at byte 21: expected `and`, `or` or `]`, found ')'",
    );
    refused(
        "not a pr",
        strict,
        "the filter is not valid at byte 0: `not` must be followed by a filter in parentheses",
    );
    refused("a.b.c pr", strict, "the filter is not valid at byte 0: `a.b.c` is not an attribute path");
    refused(
        "a[b[c pr]]",
        strict,
        "the filter is not valid at byte 3: a value path cannot stand inside another",
    );
    refused(
        "a.b[c pr]",
        strict,
        "the filter is not valid at byte 3: a sub-attribute has no values to select from",
    );
    refused("a gt 1e999", strict, "the filter is not valid at byte 5: the number is too large");
    refused(
        "a[b pr].c pr",
        strict,
        "the filter is not valid at byte 7: nothing may follow a value path's `]`; compare inside it",
    );
    refused(
        "a pr nd b pr",
        Options::TOLERANT,
        "the filter is not valid at byte 5: expected `and`, `or` or the end, found 'n'",
    );
    for text in [
        "a eq 01",
        "a eq 1.",
        "a eq .5",
        "a eq +1",
        "a eq 1e",
        "a eq -",
        "a eq TRUE",
        "a eq NULL",
        "a eq {}",
        "a eq []",
    ] {
        assert!(Filter::parse(text, strict).is_err(), "{text}");
    }
}

#[test]
fn limits_hold_at_their_edges() {
    let nested = |depth: usize| format!("{}a pr{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(&nested(MAX_DEPTH), Options::STRICT).is_ok());
    refused(
        &nested(MAX_DEPTH + 1),
        Options::STRICT,
        "the filter is not valid at byte 32: brackets are nested deeper than 32",
    );
    let terms = |count: usize| vec!["a pr"; count].join(" or ");
    assert!(Filter::parse(&terms(MAX_TERMS), Options::STRICT).is_ok());
    refused(
        &terms(MAX_TERMS + 1),
        Options::STRICT,
        "the filter is not valid at byte 400: there are more than 50 comparisons",
    );
    let long = |bytes: usize| format!("a eq \"{}\"", "x".repeat(bytes - 7));
    assert!(Filter::parse(&long(MAX_BYTES), Options::STRICT).is_ok());
    refused(
        &long(MAX_BYTES + 1),
        Options::STRICT,
        "the filter is not valid at byte 8192: it is longer than 8192 bytes",
    );
}

/// Each of these takes a reader that goes back on its steps longer than any test runs.
#[test]
fn what_would_take_forever_ends() {
    let bombs = [
        "(".repeat(10_000),
        "(".repeat(8000),
        "not(".repeat(2000),
        format!("{}a pr{}", "(".repeat(24), ")".repeat(24)),
        "a[".repeat(4000),
        "a pr and ".repeat(900),
        format!("a eq \"{}", "\\u00e4".repeat(1300)),
        format!("a eq \"{}\"", "\\\\".repeat(4000)),
        "a".repeat(8000),
        "a.".repeat(4000),
        "urn:".repeat(2000),
        " ".repeat(8000),
        "and ".repeat(2000),
        format!("a eq {}", "9".repeat(8000)),
    ];
    let accepted = bombs.iter().filter(|bomb| Filter::parse(bomb, Options::TOLERANT).is_ok()).count();
    assert_eq!(accepted, 2);
    assert!(bombs.iter().all(|bomb| Path::parse(bomb, Options::TOLERANT).is_err() || bomb.len() <= 8000));
}

#[test]
fn text_and_tree_are_one() {
    let seed = common::seed();
    let mut random = Random(seed);
    for round in 0..common::executions(20_000) {
        let filter = common::filter(&mut random, 1 + round % 20);
        let text = filter.to_string();
        let read = Filter::parse(&text, Options::STRICT);
        assert_eq!(read.as_ref(), Ok(&filter), "seed {seed}, round {round}: {text}");
        assert_eq!(Filter::parse(&text, Options::TOLERANT), read, "seed {seed}, round {round}: {text}");
    }
}
