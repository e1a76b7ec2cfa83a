//! Budget of a write: memory and work that it may take, charged before they are taken.
//!
//! A resource and a body are each bounded, but not their product: one PATCH operation copies its value into every
//! value that its path selects, and each of many operations looks through all values of an attribute. So work is
//! counted in bytes of the values that an operation looks at or copies, once for each time; what it copies counts as
//! memory too.

use crate::error::Error;
use crate::filter::Filter;
use crate::limits::exceeded;
use serde_json::{Map, Value};
use std::cell::Cell;

/// Work of one request: bytes of values that are looked at or copied. Some 0.2 s in Wasm.
pub const WORK: usize = 128 << 20;

/// Work of all operations of one bulk request, which is done in turns.
pub const BULK_WORK: usize = 128 << 20;

/// Work that a refusal counts as: what is refused may have been read.
const REFUSED: usize = 1 << 20;

/// Bytes that the values of one PATCH are copied into.
pub const MEMORY: usize = 16 << 20;

/// A value takes as many bytes beside its text, and a member of an object as many beside its value and its name.
const VALUE_BYTES: usize = 48;

/// The work that is left.
#[derive(Debug)]
pub struct Budget {
    left: Cell<usize>,
    work: usize,
    of: &'static str,
}

impl Budget {
    /// The budget of one request.
    pub fn of_request() -> Self {
        Self { left: Cell::new(WORK), work: WORK, of: "one request" }
    }

    /// The budget that all operations of a bulk request share.
    pub fn of_bulk() -> Self {
        Self { left: Cell::new(BULK_WORK), work: BULK_WORK, of: "one bulk request" }
    }

    /// Work that was charged so far.
    pub fn spent(&self) -> usize {
        self.work.saturating_sub(self.left.get())
    }

    /// Charges work before it is done.
    pub fn charge(&self, work: usize) -> Result<(), Error> {
        match self.left.get().checked_sub(work) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.left.set(self.left.get().saturating_sub(REFUSED));
                let (of, limit) = (self.of, self.work >> 20);
                Err(exceeded(format!(
                    "{of} may look at or copy {limit} MiB of values, each as often as an operation does: \
                        send fewer operations, or paths that select fewer values"
                )))
            }
        }
    }
}

/// Memory that is left for copies of the values of one PATCH.
#[derive(Debug)]
pub(crate) struct Copies(Cell<usize>);

impl Default for Copies {
    fn default() -> Self {
        Self(Cell::new(MEMORY))
    }
}

impl Copies {
    /// Takes room for `times` copies of a value of `weight` bytes, before any is made.
    pub(crate) fn take(&self, weight: usize, times: usize) -> Result<(), Error> {
        let left = weight.checked_mul(times).and_then(|bytes| self.0.get().checked_sub(bytes));
        let Some(left) = left else {
            let limit = MEMORY >> 20;
            return Err(exceeded(format!(
                "the operations would make more than {limit} MiB of copies of their values: a path selects \
                    {times} values for a large one"
            )));
        };
        self.0.set(left);
        Ok(())
    }
}

/// Bytes of memory that a value takes, about.
pub fn weight(value: &Value) -> usize {
    let below = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => weight_of_all(items),
        Value::Object(members) => weight_of(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    below.saturating_add(VALUE_BYTES)
}

/// The same of all values of a list.
pub(crate) fn weight_of_all(values: &[Value]) -> usize {
    values.iter().map(weight).fold(0, usize::saturating_add)
}

/// The same of an object's members.
pub fn weight_of(members: &Map<String, Value>) -> usize {
    let member = |(name, value): (&String, &Value)| {
        weight(value).saturating_add(name.len()).saturating_add(VALUE_BYTES)
    };
    members.iter().map(member).fold(0, usize::saturating_add)
}

/// How often a filter looks at a value: once for each of its comparisons.
pub(crate) fn terms(filter: &Filter) -> usize {
    match filter {
        Filter::And(all) | Filter::Or(all) => all.iter().map(terms).fold(0, usize::saturating_add),
        Filter::Not(one) | Filter::Element(_, one) => terms(one),
        Filter::Present(_) | Filter::Compare(..) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn budgets_are_spent_and_never_overdrawn() {
        let budget = Budget::of_request();
        assert!(budget.charge(WORK - 1).is_ok());
        let refused = budget.charge(2).unwrap_err();
        assert_eq!(refused.status, 413);
        assert!(refused.detail.contains("128 MiB"), "{refused}");
        assert!(budget.charge(1).is_err());
        assert_eq!(budget.spent(), WORK);
        let budget = Budget::of_bulk();
        assert!(budget.charge(BULK_WORK + 1).is_err());
        assert_eq!(budget.spent(), REFUSED);
        assert!(budget.charge(1).is_ok());
    }

    #[test]
    fn copies_are_counted_before_they_are_made() {
        let copies = Copies::default();
        assert!(copies.take(MEMORY / 2, 2).is_ok());
        assert!(copies.take(1, 1).is_err());
        assert!(Copies::default().take(usize::MAX, 2).is_err());
    }

    #[test]
    fn weight_grows_with_values_names_and_texts() {
        assert_eq!(weight(&json!(1)), 48);
        assert_eq!(weight(&json!("abc")), 51);
        assert_eq!(weight(&json!([1, "abc"])), 48 + 48 + 51);
        assert_eq!(weight(&json!({ "ab": 1 })), 48 + 48 + 48 + 2);
    }
}
