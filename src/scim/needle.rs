//! What a scan can look for before it reads: texts that the JSON of every resource has in it that a filter
//! accepts.
//!
//! They are looked for without regard to the case of ASCII letters. Only texts in ASCII count: a value that
//! equals one in another spelling (a full-width letter, the Kelvin sign) has a character that is not ASCII,
//! so whatever has one is to be read all the same.

use crate::evaluate::Node;
use std::cmp::Reverse;

/// How many texts are looked for, and how many bytes of each at most.
const COUNT: usize = 3;
const LONGEST: usize = 40;

/// Attributes that a resource's own JSON may not have.
const ELSEWHERE: [&str; 3] = ["groups", "members", "meta"];

/// Such texts, the longest first, in lower case where case does not count.
pub(crate) fn of(node: &Node) -> Vec<&str> {
    let mut texts: Vec<&str> = match node {
        Node::And(nodes) => nodes.iter().flat_map(of).collect(),
        Node::Compare(target, comparison) if is_here(&target.name) => {
            comparison.part().and_then(longest_run).into_iter().collect()
        }
        Node::Element(target, inner) if is_here(&target.name) => of(inner),
        _ => Vec::new(),
    };
    texts.sort_by_key(|text| Reverse(text.len()));
    texts.truncate(COUNT);
    texts
}

fn is_here(name: &str) -> bool {
    !ELSEWHERE.contains(&name)
}

/// The longest run of characters that JSON writes as they are.
fn longest_run(text: &str) -> Option<&str> {
    let is_apart = |c: char| !(c == ' ' || c.is_ascii_graphic()) || matches!(c, '"' | '\\');
    let run = text.split(is_apart).max_by_key(|run| run.len())?;
    let run = run.get(..LONGEST).unwrap_or(run);
    (!run.is_empty()).then_some(run)
}

#[cfg(test)]
mod tests {
    use crate::dialect::Dialect;
    use crate::endpoint::Kind;
    use crate::evaluate::Matcher;
    use crate::filter::Filter;
    use crate::schema::Schemas;

    #[test]
    fn every_resource_that_is_accepted_has_them() {
        let schemas = Schemas::default();
        for (filter, needles) in [
            ("displayName co \"Ann\"", vec!["ann"]),
            ("externalId sw \"A-1\"", vec!["A-1"]),
            ("title eq \"x\" and displayName ew \"berg\"", vec!["berg", "x"]),
            ("emails[type eq \"work\" and value co \"example\"]", vec!["example", "work"]),
            ("displayName co \"a\\\"long\"", vec!["long"]),
            ("displayName co \"märz\"", vec!["rz"]),
            ("displayName co \"ä\"", vec![]),
            ("displayName co \"\"", vec![]),
            ("displayName ne \"x\"", vec![]),
            ("not (displayName co \"x\")", vec![]),
            ("displayName co \"x\" or title co \"x\"", vec![]),
            ("groups.display co \"x\"", vec![]),
            ("meta.resourceType eq \"User\"", vec![]),
            ("displayName pr", vec![]),
            ("active eq true", vec![]),
            ("displayName gt \"x\"", vec![]),
        ] {
            let parsed = Filter::parse(filter, Dialect::Tolerant.filter_options()).unwrap();
            let matcher = Matcher::compile(&parsed, &schemas, Kind::User).unwrap();
            assert_eq!(matcher.needles(), needles, "{filter}");
        }
    }
}
