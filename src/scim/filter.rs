//! Filters (RFC 7644 §3.4.2.2) as trees: what a client asks for, before any schema is looked at.
//!
//! `Display` writes the canonical text, which reads back as the same tree unless escapes have made it
//! longer than what is read; [`Filter::parse`] reads every form the grammar allows, within
//! [`MAX_BYTES`], [`MAX_TERMS`] and [`MAX_DEPTH`].

use crate::error::{Error, ScimType};
use crate::parser::{self, Options};
use crate::path::AttributePath;
use std::fmt::{self, Write};

/// Length of a filter in bytes.
pub const MAX_BYTES: usize = 8192;
/// Comparisons and presence tests in one filter.
pub const MAX_TERMS: usize = 50;
/// Brackets of any kind within each other.
pub const MAX_DEPTH: usize = 32;

/// A filter. Trees that the parser makes are in normal form: `And` and `Or` have at least two members,
/// none of them of their own kind, and nothing within an `Element` is an `Element`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// `title pr`
    Present(AttributePath),
    /// `userName eq "bjensen"`
    Compare(AttributePath, Operator, Literal),
    /// `emails[type eq "work"]`: one value of the attribute satisfies the filter within.
    Element(AttributePath, Box<Filter>),
    /// `not (…)`
    Not(Box<Filter>),
    /// All of them.
    And(Vec<Filter>),
    /// Any of them.
    Or(Vec<Filter>),
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater than.
    Gt,
    /// Less than.
    Lt,
    /// Greater than or equal.
    Ge,
    /// Less than or equal.
    Le,
}

impl Operator {
    /// All of them.
    pub const ALL: [Self; 9] =
        [Self::Eq, Self::Ne, Self::Co, Self::Sw, Self::Ew, Self::Gt, Self::Lt, Self::Ge, Self::Le];

    /// The keyword.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Lt => "lt",
            Self::Ge => "ge",
            Self::Le => "le",
        }
    }

    /// The operator a keyword in any case means.
    pub fn from_keyword(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.as_str().eq_ignore_ascii_case(word))
    }
}

/// A comparison value: JSON without arrays and objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A JSON number as it was written: digits kept, since an attribute of type string may be meant.
    Number(String),
    /// A string, unescaped.
    String(String),
}

impl Filter {
    /// Reads a filter; what cannot be read is `invalidFilter` with the position of the mistake.
    pub fn parse(text: &str, options: Options) -> Result<Self, Error> {
        parser::filter(text, options).map_err(|mistake| mistake.into_error(ScimType::InvalidFilter))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present(path) => write!(f, "{path} pr"),
            Self::Compare(path, operator, literal) => write!(f, "{path} {} {literal}", operator.as_str()),
            Self::Element(path, inner) => write!(f, "{path}[{inner}]"),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::And(members) => {
                join(f, members, " and ", |member| matches!(member, Self::And(_) | Self::Or(_)))
            }
            Self::Or(members) => join(f, members, " or ", |member| matches!(member, Self::Or(_))),
        }
    }
}

fn join(
    f: &mut fmt::Formatter<'_>,
    members: &[Filter],
    word: &str,
    bracketed: impl Fn(&Filter) -> bool,
) -> fmt::Result {
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        if bracketed(member) { write!(f, "({member})")? } else { write!(f, "{member}")? }
    }
    Ok(())
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(digits) => f.write_str(digits),
            Self::String(text) => {
                f.write_char('"')?;
                for c in text.chars() {
                    match c {
                        '"' | '\\' => write!(f, "\\{c}")?,
                        c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                        c => f.write_char(c)?,
                    }
                }
                f.write_char('"')
            }
        }
    }
}
