//! What a filter demands of the names that people are looked for by: a text that the `userName` or the
//! `displayName` of every resource has in it that the filter accepts.
//!
//! Names can be read from an index without the resources; a text is compared as [`crate::fold`] folds both.

use crate::compare::Comparison;
use crate::evaluate::{Node, Target};

/// How many bytes of a text are looked for at most: more would find little less, and SQLite's patterns are
/// short.
const LONGEST: usize = 40;

/// An attribute that names a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Naming {
    UserName,
    DisplayName,
}

/// What every resource that is accepted is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand<'a> {
    /// By which attribute.
    pub naming: Naming,
    /// What its value, folded, has in it: one character at least.
    pub text: &'a str,
}

/// The demand with the longest text.
pub(crate) fn of(node: &Node) -> Option<Demand<'_>> {
    match node {
        Node::And(nodes) => nodes.iter().filter_map(of).max_by_key(|demand| demand.text.len()),
        Node::Compare(target, comparison) => demanded(target, comparison),
        _ => None,
    }
}

fn demanded<'a>(target: &Target, comparison: &'a Comparison) -> Option<Demand<'a>> {
    if target.extension.is_some() || target.sub.is_some() {
        return None;
    }
    let naming = match target.name.as_str() {
        "userName" => Naming::UserName,
        "displayName" => Naming::DisplayName,
        _ => return None,
    };
    let part = comparison.folded_part()?;
    let text = part.get(..part.floor_char_boundary(LONGEST))?;
    (!text.is_empty()).then_some(Demand { naming, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::endpoint::Kind;
    use crate::evaluate::Matcher;
    use crate::filter::Filter;
    use crate::schema::Schemas;

    const USER_NAME: Naming = Naming::UserName;
    const DISPLAY_NAME: Naming = Naming::DisplayName;

    #[test]
    fn every_resource_that_is_accepted_is_named_so() {
        let long = "ä".repeat(30);
        let schemas = Schemas::default();
        for (filter, demand) in [
            ("displayName co \"Ann\"", Some((DISPLAY_NAME, "ann"))),
            ("displayname sw \"A\"", Some((DISPLAY_NAME, "a"))),
            ("userName ew \"@X.org\"", Some((USER_NAME, "@x.org"))),
            ("userName eq \"DÄVE\"", Some((USER_NAME, "däve"))),
            ("userName co \"\u{212a}\"", Some((USER_NAME, "k"))),
            ("displayName co \"ＡＮＮ\"", Some((DISPLAY_NAME, "ann"))),
            ("displayName co \"5%_\\\"\\\\\"", Some((DISPLAY_NAME, "5%_\"\\"))),
            ("displayName eq 12", Some((DISPLAY_NAME, "12"))),
            ("urn:ietf:params:scim:schemas:core:2.0:User:displayName co \"x\"", Some((DISPLAY_NAME, "x"))),
            ("title eq \"longer\" and displayName co \"ann\"", Some((DISPLAY_NAME, "ann"))),
            ("userName sw \"a\" and (active eq true and displayName co \"bo\")", Some((DISPLAY_NAME, "bo"))),
            ("userName sw \"abc\" and displayName co \"bo\"", Some((USER_NAME, "abc"))),
            (&format!("displayName co \"{long}\""), Some((DISPLAY_NAME, long.get(..40).unwrap()))),
            (&format!("displayName co \"x{long}\""), Some((DISPLAY_NAME, &*format!("x{}", "ä".repeat(19))))),
            ("displayName co \"\"", None),
            ("displayName co \"x\" or displayName co \"y\"", None),
            ("not (displayName co \"x\")", None),
            ("displayName ne \"x\"", None),
            ("displayName gt \"x\"", None),
            ("displayName eq null", None),
            ("displayName pr", None),
            ("name.formatted co \"x\"", None),
            ("title co \"x\"", None),
            ("emails[display co \"x\"]", None),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName co \"x\"", None),
        ] {
            let parsed = Filter::parse(filter, Dialect::Tolerant.filter_options()).unwrap();
            let matcher = Matcher::compile(&parsed, &schemas, Kind::User).unwrap();
            let found = matcher.demand().map(|demand| (demand.naming, demand.text));
            assert_eq!(found, demand, "{filter}");
        }
    }

    #[test]
    fn groups_are_named_by_their_display_name() {
        let schemas = Schemas::default();
        let compile = |filter: &str, kind| {
            let parsed = Filter::parse(filter, Dialect::Tolerant.filter_options()).unwrap();
            Matcher::compile_across(&parsed, &schemas, kind).unwrap()
        };
        let group = compile("displayName co \"X\"", Kind::Group);
        assert_eq!(group.demand(), Some(Demand { naming: DISPLAY_NAME, text: "x" }));
        assert_eq!(compile("userName co \"X\"", Kind::Group).demand(), None);
    }
}
