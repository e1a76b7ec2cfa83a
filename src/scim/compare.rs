//! Comparisons (RFC 7644 §3.4.2.2): one operator and one constant, made ready to meet many values.
//!
//! The attribute's type decides how: dateTimes as instants, numbers as numbers, texts folded unless the
//! attribute is caseExact. A constant of another type that has one meaning is taken for it (`"True"` for
//! a boolean, `12` for a text); anything else, and an operator the type does not have (RFC 7644: gt, ge,
//! lt, le on boolean and binary), is `invalidFilter`.
//!
//! An unassigned attribute (missing, null, the empty array; RFC 7643 §2.5 makes them one state) has no
//! value that could equal a constant, so `ne` holds for it ("The attribute and operator values are not
//! identical") and every other operator does not: `ne` is always the opposite of `eq` on one value.
//! `eq null` asks for that state, `ne null` is `pr`.

use crate::error::{Error, ScimType};
use crate::filter::{Literal, Operator};
use crate::fold;
use crate::instant::Instant;
use crate::schema::Type;
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

/// An operator with its constant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    operator: Operator,
    constant: Constant,
}

/// What values are compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Constant {
    /// No value.
    Unassigned,
    Bool(bool),
    Number(Number),
    Instant(Instant),
    /// Compared as it is.
    Exact(String),
    /// Folded, compared with what is folded.
    Folded(String),
}

/// A number: whole ones exactly, others as IEEE 754 doubles.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Whole(i128),
    Fraction(f64),
}

/// Doubles below this in size have an exact whole part that fits an `i128`.
const WHOLE_BELOW: f64 = 1e30;

impl Number {
    fn from_f64(value: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "whole and small enough")]
        if value.fract() == 0.0 && value.abs() < WHOLE_BELOW {
            Self::Whole(value as i128)
        } else {
            Self::Fraction(value)
        }
    }

    /// The number a text in JSON's or Rust's notation means; never infinite.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        text.parse().ok().filter(|value: &f64| value.is_finite()).map(Self::from_f64)
    }

    /// The number a JSON value is, or a text that should have been one.
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number
                .as_i64()
                .map(|whole| Self::Whole(i128::from(whole)))
                .or_else(|| number.as_u64().map(|whole| Self::Whole(i128::from(whole))))
                .or_else(|| number.as_f64().map(Self::from_f64)),
            Value::String(text) => Self::from_text(text),
            _ => None,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(b),
            // A fraction is far from whole numbers where doubles are coarser than whole numbers.
            (a, b) => a.as_f64().total_cmp(&b.as_f64()),
        }
    }
}

impl Number {
    fn as_f64(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "only the order against a fraction matters")]
            Self::Whole(whole) => whole as f64,
            Self::Fraction(fraction) => fraction,
        }
    }
}

/// The boolean a JSON value is, or a text that should have been one (`"False"`).
pub(crate) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => boolean_text(text),
        _ => None,
    }
}

fn boolean_text(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// A JSON scalar as text.
pub(crate) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
        _ => None,
    }
}

/// Whether a value counts as present (RFC 7644 `pr`: "a non-empty or non-null value, or … a non-empty
/// node for complex attributes").
pub(crate) fn is_present(value: &Value) -> bool {
    present_within(value, 8)
}

/// SCIM values nest an array, a complex value and an array of plain values: 8 levels are more than any
/// has; what is deeper counts as present.
fn present_within(value: &Value, levels: u8) -> bool {
    let Some(below) = levels.checked_sub(1) else { return true };
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(|item| present_within(item, below)),
        Value::Object(members) => members.values().any(|member| present_within(member, below)),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

impl Comparison {
    /// The comparison of an attribute (`name` is for the error) with a literal.
    pub(crate) fn new(
        operator: Operator,
        literal: &Literal,
        kind: Type,
        case_exact: bool,
        name: &str,
    ) -> Result<Self, Error> {
        let refuse = |sentence: String| Err(Error::new(ScimType::InvalidFilter, sentence));
        let word = operator.as_str();
        let equality = matches!(operator, Operator::Eq | Operator::Ne);
        let substring = matches!(operator, Operator::Co | Operator::Sw | Operator::Ew);
        let source = match literal {
            Literal::Null if equality => return Ok(Self { operator, constant: Constant::Unassigned }),
            Literal::Null => return refuse(format!("{name} {word} null: null has only eq and ne")),
            Literal::Bool(value) => {
                if *value {
                    "true"
                } else {
                    "false"
                }
            }
            Literal::Number(digits) => digits,
            Literal::String(text) => text,
        };
        let constant = match kind {
            Type::Boolean if !equality => {
                return refuse(format!("{name} {word}: a boolean has only eq, ne and pr"));
            }
            Type::Boolean => boolean_text(source).map(Constant::Bool),
            Type::Binary if !equality => {
                return refuse(format!("{name} {word}: a binary attribute has only eq, ne and pr"));
            }
            Type::Binary => Some(Constant::Exact(source.to_owned())),
            Type::Integer | Type::Decimal if substring => {
                return refuse(format!("{name} {word}: a number is no text"));
            }
            Type::Integer | Type::Decimal => Number::from_text(source).map(Constant::Number),
            Type::DateTime if substring => Some(Constant::Folded(fold::fold(source))),
            Type::DateTime => Instant::parse_or_date(source).map(Constant::Instant),
            Type::String | Type::Reference if case_exact => Some(Constant::Exact(source.to_owned())),
            Type::String | Type::Reference => Some(Constant::Folded(fold::fold(source))),
            Type::Complex => return refuse(format!("{name} is complex: name one of its sub-attributes")),
        };
        match constant {
            Some(constant) => Ok(Self { operator, constant }),
            None => refuse(format!("{name} {word}: the value is not of the attribute's type, {kind}")),
        }
    }

    /// The constant, if what is asked is equality.
    pub(crate) fn equality(&self) -> Option<&Constant> {
        (self.operator == Operator::Eq).then_some(&self.constant)
    }

    /// What every text that satisfies it has in it, as the constant is folded.
    pub(crate) fn part(&self) -> Option<&str> {
        match (&self.constant, self.operator) {
            (
                Constant::Exact(text) | Constant::Folded(text),
                Operator::Eq | Operator::Co | Operator::Sw | Operator::Ew,
            ) => Some(text),
            _ => None,
        }
    }

    /// What every text that satisfies it has in it, once that text is folded too. None where case counts: of
    /// two texts, one may have the other in it and, once both are composed, no longer.
    pub(crate) fn folded_part(&self) -> Option<&str> {
        match self.constant {
            Constant::Folded(_) => self.part(),
            _ => None,
        }
    }

    /// Whether one value (none: unassigned) satisfies it.
    pub(crate) fn matches(&self, value: Option<&Value>) -> bool {
        if self.constant == Constant::Unassigned {
            let present = value.is_some_and(is_present);
            return present == (self.operator == Operator::Ne);
        }
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return self.operator == Operator::Ne;
        };
        let order = match &self.constant {
            Constant::Unassigned => None,
            Constant::Bool(constant) => boolean(value).map(|value| value.cmp(constant)),
            Constant::Number(constant) => Number::from_value(value).map(|value| value.cmp(constant)),
            Constant::Instant(constant) => {
                value.as_str().and_then(Instant::parse).map(|value| value.cmp(constant))
            }
            Constant::Exact(constant) => return self.exact(text(value), constant),
            Constant::Folded(constant) => return self.folded(text(value), constant),
        };
        match order {
            Some(order) => self.ordered(order),
            None => self.operator == Operator::Ne,
        }
    }

    fn ordered(&self, order: Ordering) -> bool {
        match self.operator {
            Operator::Eq => order.is_eq(),
            Operator::Ne => order.is_ne(),
            Operator::Gt => order.is_gt(),
            Operator::Lt => order.is_lt(),
            Operator::Ge => order.is_ge(),
            Operator::Le => order.is_le(),
            Operator::Co | Operator::Sw | Operator::Ew => false,
        }
    }

    fn exact(&self, text: Option<Cow<'_, str>>, constant: &str) -> bool {
        let Some(text) = text else { return self.operator == Operator::Ne };
        match self.operator {
            Operator::Co => text.contains(constant),
            Operator::Sw => text.starts_with(constant),
            Operator::Ew => text.ends_with(constant),
            _ => self.ordered(text.as_ref().cmp(constant)),
        }
    }

    fn folded(&self, text: Option<Cow<'_, str>>, constant: &str) -> bool {
        let Some(text) = text else { return self.operator == Operator::Ne };
        match self.operator {
            Operator::Eq => fold::equals(&text, constant),
            Operator::Ne => !fold::equals(&text, constant),
            Operator::Co => fold::contains(&text, constant),
            Operator::Sw => fold::starts_with(&text, constant),
            Operator::Ew => fold::ends_with(&text, constant),
            _ => self.ordered(fold::compare(&text, constant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_compare_exactly() {
        let number = |text| Number::from_text(text).unwrap();
        assert!(number("9007199254740993") > number("9007199254740992"));
        assert_eq!(number("2e2"), number("200"));
        assert_eq!(number("1.50"), number("1.5"));
        assert_eq!(number("-0.0"), number("0"));
        assert!(number("4.5") > number("4") && number("4.5") < number("5"));
        assert!(number("1e300") > number("5") && number("-1e300") < number("-5"));
        assert!(number("1e31") < number("1e32") && number("1e31") > number("99"));
        assert_eq!(
            Number::from_value(&json!(18446744073709551615u64)),
            Number::from_text("18446744073709551615")
        );
        for text in ["", "-", "inf", "nan", "1e999", "x1", ".5", "+1"] {
            assert!(Number::from_text(text).is_none(), "{text}");
        }
    }

    #[test]
    fn presence() {
        for value in [json!(null), json!(""), json!([]), json!({}), json!([""]), json!({"a": [null]})] {
            assert!(!is_present(&value), "{value}");
        }
        for value in [json!(false), json!(0), json!("x"), json!([{"value": "x"}])] {
            assert!(is_present(&value), "{value}");
        }
    }
}
