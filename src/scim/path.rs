//! Attribute paths (RFC 7644 §3.10, §3.5.2): which attribute a filter, a projection or a PATCH means.
//!
//! `urn:…:User:name.familyName`: the schema's URN ends at the last colon, so dots inside a URN are its
//! own. Names compare without regard to case (RFC 7643 §2.1) and keep the case they were written in.
//! Which attribute a path names, if any, is the schemas' business, not this module's.

use crate::error::{Error, ScimType};
use crate::filter::Filter;
use crate::parser::{self, Options};
use std::fmt;
use std::str::FromStr;

/// A path without a filter.
#[derive(Clone, Debug)]
pub struct AttributePath {
    /// The schema's URN, without the colon that ends it.
    pub urn: Option<String>,
    /// The attribute.
    pub name: String,
    /// The sub-attribute.
    pub sub: Option<String>,
}

impl AttributePath {
    /// The path of an attribute that stands alone.
    pub fn name(name: impl Into<String>) -> Self {
        Self { urn: None, name: name.into(), sub: None }
    }

    /// The path's text up to the attribute: its URN and its name. What looks like a path may be the
    /// URN of a whole extension (`…:enterprise:2.0:User`); this is the text to ask the schemas for.
    pub fn stem(&self) -> String {
        match &self.urn {
            Some(urn) => format!("{urn}:{}", self.name),
            None => self.name.clone(),
        }
    }
}

impl PartialEq for AttributePath {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Option<String>, b: &Option<String>| match (a, b) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
            (None, None) => true,
            _ => false,
        };
        self.name.eq_ignore_ascii_case(&other.name)
            && same(&self.urn, &other.urn)
            && same(&self.sub, &other.sub)
    }
}

impl Eq for AttributePath {}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.name)?;
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

/// Reads an attribute path; a path that cannot be read is `invalidPath`.
impl FromStr for AttributePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parser::attribute_path(text).map_err(|mistake| mistake.into_error(ScimType::InvalidPath))
    }
}

/// The path of a PATCH operation: an attribute, which of its values, and what in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The attribute; its sub-attribute is the one behind the brackets where there are any.
    pub attribute: AttributePath,
    /// What stands in brackets: which values of a multi-valued attribute are meant.
    pub filter: Option<Filter>,
}

impl Path {
    /// Reads a path, its filter with `options`; one that cannot be read is `invalidPath`, and
    /// `invalidFilter` if the brackets are whole and the mistake is inside them.
    pub fn parse(text: &str, options: Options) -> Result<Self, Error> {
        parser::path(text, options)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(filter) = &self.filter else { return self.attribute.fmt(f) };
        if let Some(urn) = &self.attribute.urn {
            write!(f, "{urn}:")?;
        }
        write!(f, "{}[{filter}]", self.attribute.name)?;
        match &self.attribute.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_the_last_colon() {
        let path: AttributePath =
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value".parse().unwrap();
        assert_eq!(path.urn.as_deref(), Some("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"));
        assert_eq!((path.name.as_str(), path.sub.as_deref()), ("manager", Some("value")));
        let whole: AttributePath =
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User".parse().unwrap();
        assert_eq!(whole.stem(), "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User");
    }

    #[test]
    fn compares_without_case_and_keeps_it() {
        let path: AttributePath = "Emails.VALUE".parse().unwrap();
        assert_eq!(path, "emails.value".parse().unwrap());
        assert_ne!(path, "emails".parse().unwrap());
        assert_eq!(path.to_string(), "Emails.VALUE");
    }

    #[test]
    fn reads_patch_paths() {
        for (text, canonical) in [
            ("members", "members"),
            (" members ", "members"),
            ("members[value eq \"2819c223\"]", "members[value eq \"2819c223\"]"),
            ("emails[Type EQ \"work\"].value", "emails[Type eq \"work\"].value"),
            ("emails [ type eq \"work\" ] .value", ""),
            ("a:b:emails[not(primary eq true)].value", "a:b:emails[not (primary eq true)].value"),
            ("roles[primary eq True]", "roles[primary eq \"True\"]"),
            ("x[$ref eq \"]\"]", "x[$ref eq \"]\"]"),
            ("name.familyName", "name.familyName"),
            ("$ref", "$ref"),
            ("", ""),
            ("a.b.c", ""),
            ("emails[]", ""),
            ("emails[type eq \"work\"", ""),
            ("emails[type eq \"work\"]]", ""),
            ("emails[type eq \"work\"].", ""),
            ("emails[type eq \"work\"].a.b", ""),
            ("emails[type eq \"work\"].value eq \"x\"", ""),
            ("emails.type[value eq 1]", ""),
            (":name", ""),
            ("urn:", ""),
            ("na me", ""),
            ("1st", ""),
            ("a b", ""),
            ("ä", ""),
            ("emails[a[b pr] pr]", ""),
        ] {
            let read = Path::parse(text, Options::TOLERANT);
            match read {
                Ok(path) => assert_eq!(path.to_string(), canonical, "{text}"),
                Err(error) => assert!(canonical.is_empty(), "{text}: {error}"),
            }
        }
    }

    #[test]
    fn says_which_kind_of_mistake() {
        let kind = |text: &str| Path::parse(text, Options::TOLERANT).unwrap_err().scim_type;
        assert_eq!(kind("emails[type eq \"work\"].a.b"), Some(ScimType::InvalidPath));
        assert_eq!(kind("emails[type xx \"work\"]"), Some(ScimType::InvalidFilter));
        for cut_off in
            ["emails[", "emails[type", "emails[type eq", "emails[type eq \"work\"", "emails[type eq \"work]"]
        {
            assert_eq!(kind(cut_off), Some(ScimType::InvalidPath), "{cut_off}");
        }
        assert_eq!(kind(""), Some(ScimType::InvalidPath));
    }
}
