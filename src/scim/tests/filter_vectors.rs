//! Filter strings from the tests of twelve SCIM projects, each labelled by one implementation. They are
//! not part of this project: they are looked for at `$SCIM_EDGE_VECTORS` or `../shared/vectors`.
#![cfg(not(target_arch = "wasm32"))] // files

use scim_edge_scim::filter::Filter;
use scim_edge_scim::parser::Options;
use serde_json::Value;
use std::path::PathBuf;

/// Labelled as accepted, refused by strict reading (and accepted by tolerant reading): RFC 7644 figure 1
/// has `FILTER = attrExp / logExp / valuePath / …` and `valuePath = attrPath "[" valFilter "]"`, so that
/// nothing can follow the bracket; `[subAttr]` behind it exists in the PATCH path of §3.5.2 only.
const COMPARED_BEHIND_A_VALUE_PATH: &[&str] = &[
    r#"(userType eq "Employee" or userType eq "Manager") and emails[type eq "work" or (primary eq true and value co "@example.com")].display co "Work""#,
    r#"addresses[type eq "work"].country eq """#,
    r#"emails[type eq "Primary"].value eq "001750ca-8202-47cd-b553-c63f4f245940""#,
    r#"emails[type eq "Primary"].value eq "9438932a-8202-47cd-b553-85afc2939193""#,
    r#"emails[type eq "work" or type eq "home"].value ew "@example.org""#,
    r#"emails[type eq "work"].value ew "@example.org""#,
    r#"multicomplex[number eq 1 and string eq "hello" or number eq 2].string eq "world""#,
    r#"userType eq "Employee" and emails[type eq "work" or (primary eq true and value co "@example.com")].display co "Work""#,
    r#"userType eq "Employee" or emails[type eq "work" and (primary eq false and value co "@example.com")].display co "Work""#,
    r#"userType eq "Employee" or emails[type eq "work" or (primary eq true and value co "@example.com")].display co "Work""#,
];

#[test]
fn labelled_filters_are_read_as_the_rfc_has_it() {
    let folder = std::env::var_os("SCIM_EDGE_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(folder.join("filters.json")) else {
        eprintln!("SKIPPED: filters.json not found in {}", folder.display());
        return;
    };
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let (mut agreed, mut wrong) = (0, Vec::new());
    for case in &cases {
        let filter = case["filter"].as_str().unwrap();
        let label = case["accept"].as_bool().unwrap();
        let read = Filter::parse(filter, Options::STRICT);
        let expected = label && !COMPARED_BEHIND_A_VALUE_PATH.contains(&filter);
        assert!(!label || Filter::parse(filter, Options::TOLERANT).is_ok(), "{filter}");
        if read.is_ok() != expected {
            wrong.push(format!("{expected} {filter:?}: {read:?}"));
        } else {
            agreed += 1;
        }
        if let Ok(tree) = read {
            assert_eq!(Filter::parse(&tree.to_string(), Options::STRICT).as_ref(), Ok(&tree), "{filter}");
            assert_eq!(Filter::parse(filter, Options::TOLERANT).as_ref(), Ok(&tree), "{filter}");
        }
    }
    println!("{agreed} of {} filters", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
