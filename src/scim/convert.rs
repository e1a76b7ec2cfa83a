//! Values in the types of their attributes (RFC 7643 §2.3): checked, and where a client means one thing
//! and writes another (`"True"`, a manager as text), what it means.

use crate::error::{Error, ScimType};
use crate::instant::Instant;
use crate::limits::{MEMBERS, VALUES, exceeded};
use crate::schema::{Attribute, Type};
use crate::validate::{Reader, invalid, is_settable, is_unassigned};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// The most JSON values of a complex value that was sent as text.
const TEXT_VALUES: usize = 1_000;

impl Reader<'_> {
    /// A value in its attribute's type; `None` where it says that there is no value. `path` is for errors.
    pub(crate) fn convert(
        &self,
        attribute: &Attribute,
        value: &Value,
        path: &str,
    ) -> Result<Option<Value>, Error> {
        if is_unassigned(value) {
            return Ok(None);
        }
        if !attribute.multi_valued {
            return match value {
                Value::Array(items) => match items.as_slice() {
                    [one] if self.dialect.is_tolerant() => self.convert_one(attribute, one, path),
                    _ => Err(invalid(format!("{path} has one value, not a list"))),
                },
                one => self.convert_one(attribute, one, path),
            };
        }
        let items = match value {
            Value::Array(items) => items.as_slice(),
            one if self.dialect.is_tolerant() => std::slice::from_ref(one),
            _ => return Err(invalid(format!("{path} must be an array"))),
        };
        let limit = if self.is_members(attribute) { MEMBERS } else { VALUES };
        if items.len() > limit {
            return Err(exceeded(format!("{path} has at most {limit} values in one request")));
        }
        let mut values: Vec<Value> = Vec::with_capacity(items.len());
        for item in items {
            if let Some(item) = self.convert_one(attribute, item, path)? {
                values.push(item);
            }
        }
        remove_duplicates(&mut values);
        keep_one_primary(&mut values, &HashSet::new());
        Ok((!values.is_empty()).then_some(Value::Array(values)))
    }

    /// One value of an attribute.
    pub(crate) fn convert_one(
        &self,
        attribute: &Attribute,
        value: &Value,
        path: &str,
    ) -> Result<Option<Value>, Error> {
        if is_unassigned(value) {
            return Ok(None);
        }
        let tolerant = self.dialect.is_tolerant();
        let wrong = || Err(invalid(format!("{path} must be of the type {}", attribute.kind)));
        let converted = match (attribute.kind, value) {
            (Type::Complex, Value::Object(members)) => return self.convert_complex(attribute, members, path),
            (Type::Complex, Value::String(text)) if tolerant => {
                return self.convert_complex_text(attribute, text, path);
            }
            (Type::Boolean, Value::Bool(_)) => value.clone(),
            (Type::Boolean, Value::String(text)) if tolerant && text.eq_ignore_ascii_case("true") => {
                Value::Bool(true)
            }
            (Type::Boolean, Value::String(text)) if tolerant && text.eq_ignore_ascii_case("false") => {
                Value::Bool(false)
            }
            (Type::Integer, Value::Number(number)) if is_whole(number) => value.clone(),
            (Type::Decimal, Value::Number(_)) => value.clone(),
            (Type::Integer | Type::Decimal, Value::String(text)) if tolerant => {
                match serde_json::from_str::<serde_json::Number>(text.trim()) {
                    Ok(number) if attribute.kind == Type::Decimal || is_whole(&number) => {
                        Value::Number(number)
                    }
                    _ => return wrong(),
                }
            }
            (Type::DateTime, Value::String(text)) if Instant::parse(text).is_some() => value.clone(),
            (Type::Binary, Value::String(text)) if !tolerant && !is_base64(text) => return wrong(),
            (Type::String | Type::Reference | Type::Binary, Value::String(_)) => value.clone(),
            // Other numbers have more than one notation: which one was sent is lost.
            (Type::String, Value::Number(number)) if tolerant && is_whole(number) => {
                Value::String(number.to_string())
            }
            (Type::String, Value::Bool(flag)) if tolerant => Value::String(flag.to_string()),
            _ => return wrong(),
        };
        Ok(Some(converted))
    }

    fn convert_complex(
        &self,
        attribute: &Attribute,
        members: &Map<String, Value>,
        path: &str,
    ) -> Result<Option<Value>, Error> {
        let mut object = Map::new();
        for (name, value) in members {
            match attribute.sub(name) {
                Some(sub) if is_settable(sub) => {
                    let path = format!("{path}.{}", sub.name);
                    if let Some(value) = self.convert(sub, value, &path)?
                        && object.insert(sub.name.clone(), value).is_some()
                    {
                        let sentence = format!("{path} stands twice, in different cases");
                        return Err(Error::new(ScimType::InvalidSyntax, sentence));
                    }
                }
                Some(_) => {}
                None => self.unknown(&format!("{path}.{name}"))?,
            }
        }
        // {"value": ""} is how a manager is taken away.
        let empty_value =
            !attribute.multi_valued && object.get("value") == Some(&Value::String(String::new()));
        Ok((!object.is_empty() && !empty_value).then_some(Value::Object(object)))
    }

    /// A complex value sent as text: its `value`, or the whole of it as JSON within a string.
    fn convert_complex_text(
        &self,
        attribute: &Attribute,
        text: &str,
        path: &str,
    ) -> Result<Option<Value>, Error> {
        if text.trim_start().starts_with('{') {
            let limits = scim_edge_json::Limits { bytes: text.len(), depth: 4, values: TEXT_VALUES };
            if let Ok(members) = scim_edge_json::parse_object(text.as_bytes(), limits) {
                return self.convert_complex(attribute, &members, path);
            }
        }
        if attribute.sub("value").is_none() {
            return Err(invalid(format!("{path} must be an object")));
        }
        let members = Map::from_iter([("value".to_owned(), Value::String(text.to_owned()))]);
        self.convert_complex(attribute, &members, path)
    }
}

fn is_whole(number: &serde_json::Number) -> bool {
    number.is_i64() || number.is_u64()
}

/// RFC 4648 §4 or §5, with or without padding (RFC 7643 §2.3.6).
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len().saturating_sub(digits.len());
    padding <= 2
        && digits.len() % 4 != 1
        && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(&b))
}

/// Takes away values that stand in the list already.
pub(crate) fn remove_duplicates(values: &mut Vec<Value>) {
    let mut seen = HashSet::new();
    let kept: Vec<bool> = values.iter().map(|value| seen.insert(value)).collect();
    let mut kept = kept.into_iter();
    values.retain(|_| kept.next().unwrap_or(true));
}

pub(crate) fn is_primary(value: &Value) -> bool {
    value.get("primary") == Some(&Value::Bool(true))
}

/// The primary ones among values.
pub(crate) fn primaries(values: &[Value]) -> HashSet<Value> {
    values.iter().filter(|value| is_primary(value)).cloned().collect()
}

/// At most one value is primary (RFC 7643 §2.4): the last one that was not primary `before`, else the first.
pub(crate) fn keep_one_primary(values: &mut [Value], before: &HashSet<Value>) {
    if values.iter().filter(|value| is_primary(value)).count() < 2 {
        return;
    }
    let new = values.iter().rposition(|value| is_primary(value) && !before.contains(value));
    let kept = match new {
        Some(new) if !before.is_empty() => Some(new),
        _ => values.iter().position(is_primary),
    };
    if let Some(kept) = kept {
        make_primary(values, kept);
    }
}

/// Makes all values but one not primary.
pub(crate) fn make_primary(values: &mut [Value], kept: usize) {
    for (index, value) in values.iter_mut().enumerate() {
        if index != kept
            && is_primary(value)
            && let Value::Object(members) = value
        {
            members.insert("primary".into(), Value::Bool(false));
        }
    }
}
