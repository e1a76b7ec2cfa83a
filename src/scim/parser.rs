//! The reader of filters and paths: RFC 7644 figure 1, linear in time, bounded in depth.
//!
//! Keywords and operators are read in any case, blanks between tokens are free, `not(` needs none.
//! What the grammar does not allow but clients send with one sensible meaning is read where
//! [`Options::tolerant`] says so: an unquoted value (`externalId eq abc`), and a comparison behind a
//! value path (`emails[type eq "work"].value eq "x"`, which asks one value for both).

use crate::error::{Error, ScimType};
use crate::filter::{Filter, Literal, MAX_BYTES, MAX_DEPTH, MAX_TERMS, Operator};
use crate::lexer::Lexer;
use crate::path::{AttributePath, Path};
use std::borrow::Cow;

/// How a text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether to read what the grammar does not allow but has one sensible meaning.
    pub tolerant: bool,
}

impl Options {
    /// What clients send.
    pub const TOLERANT: Self = Self { tolerant: true };
    /// The grammar.
    pub const STRICT: Self = Self { tolerant: false };
}

/// Where a text stopped making sense, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Bytes read before it.
    pub(crate) at: usize,
    /// What is wrong, as the predicate of a sentence.
    pub(crate) problem: Cow<'static, str>,
}

impl Mistake {
    pub(crate) fn new(at: usize, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { at, problem: problem.into() }
    }

    /// The error the client is told.
    pub(crate) fn into_error(self, scim_type: ScimType) -> Error {
        let what = if scim_type == ScimType::InvalidPath { "path" } else { "filter" };
        let detail = format!("the {what} is not valid at byte {}: {}", self.at, self.problem);
        Error { position: Some(self.at), ..Error::new(scim_type, detail) }
    }
}

pub(crate) fn filter(text: &str, options: Options) -> Result<Filter, Mistake> {
    let mut parser = Parser::new(text, options)?;
    let filter = parser.disjunction(Scope::Resource, 0)?;
    parser.end()?;
    Ok(filter)
}

pub(crate) fn attribute_path(text: &str) -> Result<AttributePath, Mistake> {
    let mut parser = Parser::new(text, Options::STRICT)?;
    let path = parser.attribute()?;
    parser.end()?;
    Ok(path)
}

pub(crate) fn path(text: &str, options: Options) -> Result<Path, Error> {
    let invalid = |mistake: Mistake| mistake.into_error(ScimType::InvalidPath);
    let mut parser = Parser::new(text, options).map_err(invalid)?;
    let mut attribute = parser.attribute().map_err(invalid)?;
    let mut filter = None;
    if parser.lexer.peek() == Some(b'[') {
        let brackets = parser.brackets(&attribute, 0);
        // A text that ends within the brackets is no path; a filter that is whole and wrong is no filter.
        let is_cut_off = parser.lexer.peek().is_none();
        let kind = if is_cut_off { ScimType::InvalidPath } else { ScimType::InvalidFilter };
        filter = Some(brackets.map_err(|mistake| mistake.into_error(kind))?);
        attribute.sub = parser.sub_attribute().map_err(invalid)?;
    }
    parser.end().map_err(invalid)?;
    Ok(Path { attribute, filter })
}

/// What a term may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Resource,
    /// Within brackets: no further brackets.
    Element,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    options: Options,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, options: Options) -> Result<Self, Mistake> {
        if text.len() > MAX_BYTES {
            return Err(Mistake::new(MAX_BYTES, format!("it is longer than {MAX_BYTES} bytes")));
        }
        Ok(Self { lexer: Lexer::new(text), options, terms: 0 })
    }

    fn end(&mut self) -> Result<(), Mistake> {
        self.lexer.blanks();
        match self.lexer.peek() {
            None => Ok(()),
            Some(_) => Err(self.lexer.unexpected("`and`, `or` or the end")),
        }
    }

    fn disjunction(&mut self, scope: Scope, depth: usize) -> Result<Filter, Mistake> {
        let first = self.conjunction(scope, depth)?;
        if !self.lexer.keyword("or") {
            return Ok(first);
        }
        let mut members = Vec::new();
        add_or(&mut members, first);
        loop {
            add_or(&mut members, self.conjunction(scope, depth)?);
            if !self.lexer.keyword("or") {
                return Ok(Filter::Or(members));
            }
        }
    }

    fn conjunction(&mut self, scope: Scope, depth: usize) -> Result<Filter, Mistake> {
        let first = self.term(scope, depth)?;
        if !self.lexer.keyword("and") {
            return Ok(first);
        }
        let mut members = Vec::new();
        add_and(&mut members, first);
        loop {
            add_and(&mut members, self.term(scope, depth)?);
            if !self.lexer.keyword("and") {
                return Ok(Filter::And(members));
            }
        }
    }

    fn term(&mut self, scope: Scope, depth: usize) -> Result<Filter, Mistake> {
        self.lexer.blanks();
        if self.lexer.peek() == Some(b'(') {
            return self.group(scope, depth);
        }
        let start = self.lexer.at();
        if self.lexer.keyword("not") {
            self.lexer.blanks();
            if self.lexer.peek() != Some(b'(') {
                return Err(Mistake::new(start, "`not` must be followed by a filter in parentheses"));
            }
            return Ok(Filter::Not(Box::new(self.group(scope, depth)?)));
        }
        let path = self.attribute()?;
        self.lexer.blanks();
        if self.lexer.peek() == Some(b'[') {
            if scope == Scope::Element {
                return Err(Mistake::new(self.lexer.at(), "a value path cannot stand inside another"));
            }
            return self.element(path, depth);
        }
        self.count_term(start)?;
        self.comparison(path)
    }

    /// `( filter )`
    fn group(&mut self, scope: Scope, depth: usize) -> Result<Filter, Mistake> {
        let start = self.lexer.at();
        self.lexer.advance();
        let inner = self.disjunction(scope, deeper(depth, start)?)?;
        self.close(b')', start)?;
        Ok(inner)
    }

    /// `attribute[ … ]`, and in tolerant reading a comparison behind it.
    fn element(&mut self, path: AttributePath, depth: usize) -> Result<Filter, Mistake> {
        let inner = self.brackets(&path, depth)?;
        let behind = self.lexer.at();
        if self.lexer.peek() != Some(b'.') {
            return Ok(Filter::Element(path, Box::new(inner)));
        }
        let sub = self.sub_attribute()?;
        if !self.options.tolerant {
            return Err(Mistake::new(behind, "nothing may follow a value path's `]`; compare inside it"));
        }
        self.count_term(behind)?;
        let compared = self.comparison(AttributePath::name(sub.unwrap_or_default()))?;
        let mut members = Vec::new();
        add_and(&mut members, inner);
        members.push(compared);
        Ok(Filter::Element(path, Box::new(Filter::And(members))))
    }

    /// `[ filter ]` behind an attribute without a sub-attribute.
    fn brackets(&mut self, path: &AttributePath, depth: usize) -> Result<Filter, Mistake> {
        let start = self.lexer.at();
        if path.sub.is_some() {
            return Err(Mistake::new(start, "a sub-attribute has no values to select from"));
        }
        self.lexer.advance();
        let inner = self.disjunction(Scope::Element, deeper(depth, start)?)?;
        self.close(b']', start)?;
        Ok(inner)
    }

    fn close(&mut self, bracket: u8, opened: usize) -> Result<(), Mistake> {
        self.lexer.blanks();
        if self.lexer.peek() == Some(bracket) {
            self.lexer.advance();
            return Ok(());
        }
        let bracket = char::from(bracket);
        match self.lexer.peek() {
            None => Err(Mistake::new(opened, format!("there is no `{bracket}` for this bracket"))),
            Some(_) => Err(self.lexer.unexpected(&format!("`and`, `or` or `{bracket}`"))),
        }
    }

    fn count_term(&mut self, at: usize) -> Result<(), Mistake> {
        self.terms = self.terms.saturating_add(1);
        if self.terms > MAX_TERMS {
            return Err(Mistake::new(at, format!("there are more than {MAX_TERMS} comparisons")));
        }
        Ok(())
    }

    /// An attribute path without brackets.
    fn attribute(&mut self) -> Result<AttributePath, Mistake> {
        self.lexer.blanks();
        let start = self.lexer.at();
        let word = self.lexer.path_word();
        if word.is_empty() {
            return Err(self.lexer.unexpected("an attribute"));
        }
        let (urn, local) = match word.rsplit_once(':') {
            Some((urn, local)) => (Some(urn), local),
            None => (None, word),
        };
        let (name, sub) = match local.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (local, None),
        };
        let named = is_name(name)
            && sub.is_none_or(is_name)
            && urn.is_none_or(|urn| urn.split(':').all(|part| !part.is_empty()));
        if !named {
            return Err(Mistake::new(start, format!("`{}` is not an attribute path", shorten(word))));
        }
        Ok(AttributePath { urn: urn.map(str::to_owned), name: name.to_owned(), sub: sub.map(str::to_owned) })
    }

    /// `.sub` behind a closing bracket, where there is one.
    fn sub_attribute(&mut self) -> Result<Option<String>, Mistake> {
        if self.lexer.peek() != Some(b'.') {
            return Ok(None);
        }
        self.lexer.advance();
        let start = self.lexer.at();
        let word = self.lexer.path_word();
        if !is_name(word) {
            return Err(Mistake::new(start, "one sub-attribute must follow the `.`"));
        }
        Ok(Some(word.to_owned()))
    }

    /// An operator and what it needs.
    fn comparison(&mut self, path: AttributePath) -> Result<Filter, Mistake> {
        self.lexer.blanks();
        let start = self.lexer.at();
        let word = self.lexer.letters();
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Filter::Present(path));
        }
        let Some(operator) = Operator::from_keyword(word) else {
            return Err(match word {
                "" => self.lexer.unexpected("an operator"),
                word => Mistake::new(
                    start,
                    format!("`{}` is not one of eq, ne, co, sw, ew, pr, gt, ge, lt, le", shorten(word)),
                ),
            });
        };
        self.lexer.blanks();
        let literal = match self.lexer.peek() {
            Some(b'"') => Literal::String(self.lexer.string()?),
            _ => self.bare_value()?,
        };
        Ok(Filter::Compare(path, operator, literal))
    }

    /// A value without quotes: null, true, false, a number; in tolerant reading a string.
    fn bare_value(&mut self) -> Result<Literal, Mistake> {
        let start = self.lexer.at();
        let word = self.lexer.bare_word();
        match word {
            "" => return Err(self.lexer.unexpected("a value")),
            "null" => return Ok(Literal::Null),
            "true" => return Ok(Literal::Bool(true)),
            "false" => return Ok(Literal::Bool(false)),
            _ => {}
        }
        if is_number(word) {
            return match word.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Literal::Number(word.to_owned())),
                _ => Err(Mistake::new(start, "the number is too large")),
            };
        }
        let keyword = ["and", "or", "not", "pr"].iter().any(|k| word.eq_ignore_ascii_case(k))
            || Operator::from_keyword(word).is_some();
        if !self.options.tolerant
            || keyword
            || word.starts_with('\'')
            || word.contains(['"', '(', '[', '\\', '`'])
        {
            return Err(Mistake::new(start, "a text value must stand in double quotes"));
        }
        Ok(Literal::String(word.to_owned()))
    }
}

fn deeper(depth: usize, at: usize) -> Result<usize, Mistake> {
    let depth = depth.saturating_add(1);
    if depth > MAX_DEPTH {
        return Err(Mistake::new(at, format!("brackets are nested deeper than {MAX_DEPTH}")));
    }
    Ok(depth)
}

fn add_or(members: &mut Vec<Filter>, member: Filter) {
    match member {
        Filter::Or(inner) => members.extend(inner),
        other => members.push(other),
    }
}

fn add_and(members: &mut Vec<Filter>, member: Filter) {
    match member {
        Filter::And(inner) => members.extend(inner),
        other => members.push(other),
    }
}

/// RFC 7643 §2.1, with `$` allowed in front for `$ref`.
fn is_name(word: &str) -> bool {
    word.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'$')
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$'))
}

/// RFC 8259 §6.
fn is_number(word: &str) -> bool {
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

/// The beginning of what a client wrote, short enough to quote back to it.
pub(crate) fn shorten(word: &str) -> String {
    word.chars().take(40).collect()
}
