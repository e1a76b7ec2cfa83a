//! A request to delete an account, before anything of it is done.
//!
//! Deletion names the account a second time, so that a slip in the path deletes nothing. It can be undone for
//! [`UNDOABLE_SECONDS`] unless the request shortens or waives that.

use crate::api::Failure;
use scim_edge_json::{Limits, parse_object};
use serde_json::{Map, Value};

/// How long a deletion can be undone, in seconds: a day, which is also the longest.
pub const UNDOABLE_SECONDS: i64 = 86_400;

/// Limits on the request's body.
pub const BODY: Limits = Limits { bytes: 4 << 10, depth: 2, values: 100 };

/// The members of the body.
const MEMBERS: [&str; 3] = ["confirm", "undoable", "undoableSeconds"];

/// A confirmed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// How long it can be undone, in milliseconds; 0 for a deletion that is final at once.
    pub undoable_ms: i64,
}

impl Deletion {
    /// Reads a request to delete `account`. The confirmation may be in the body, or in the query as `confirm`.
    ///
    /// # Errors
    /// The member that is missing or wrong, and how it would be right.
    pub fn parse(account: &str, confirm: Option<&str>, body: &[u8]) -> Result<Self, Failure> {
        let body = if body.is_empty() {
            Map::new()
        } else {
            parse_object(body, BODY).map_err(|error| Failure::invalid("body", error.to_string()))?
        };
        if let Some(unknown) = body.keys().find(|member| !MEMBERS.contains(&member.as_str())) {
            return Err(Failure::invalid(unknown, format!("is not one of {}", MEMBERS.join(", "))));
        }
        let confirmed = match body.get("confirm") {
            None => confirm,
            Some(value) => value.as_str(),
        };
        if confirmed != Some(account) {
            let sentence = format!("must be {account:?}: the deletion of an account asks for its name");
            return Err(Failure::invalid("confirm", sentence));
        }
        let undoable = match body.get("undoable") {
            None => true,
            Some(Value::Bool(undoable)) => *undoable,
            Some(_) => return Err(Failure::invalid("undoable", "must be true or false")),
        };
        let seconds = match (body.get("undoableSeconds"), undoable) {
            (None, true) => UNDOABLE_SECONDS,
            (None, false) => 0,
            (Some(_), false) => return Err(Failure::invalid("undoableSeconds", "excludes undoable: false")),
            (Some(value), true) => {
                let seconds = value.as_i64().filter(|seconds| (1..=UNDOABLE_SECONDS).contains(seconds));
                let sentence = || format!("must be a whole number from 1 to {UNDOABLE_SECONDS}");
                seconds.ok_or_else(|| Failure::invalid("undoableSeconds", sentence()))?
            }
        };
        Ok(Self { undoable_ms: seconds.saturating_mul(1000) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(confirm: Option<&str>, body: &str) -> Result<i64, String> {
        let parsed = Deletion::parse("acme", confirm, body.as_bytes());
        parsed.map(|deletion| deletion.undoable_ms).map_err(|failure| failure.message)
    }

    #[test]
    fn deletion_needs_the_name_of_the_account() {
        for (confirm, body) in [
            (None, ""),
            (None, "{}"),
            (Some("ACME"), ""),
            (Some("acme2"), ""),
            (None, r#"{"confirm":"other"}"#),
            (None, r#"{"confirm":true}"#),
            // The body decides if both confirm.
            (Some("acme"), r#"{"confirm":"other"}"#),
        ] {
            assert!(parse(confirm, body).unwrap_err().contains("must be \"acme\""), "{confirm:?} {body}");
        }
        assert_eq!(parse(Some("acme"), ""), Ok(86_400_000));
        assert_eq!(parse(None, r#"{"confirm":"acme"}"#), Ok(86_400_000));
    }

    #[test]
    fn deletion_is_final_at_once_only_if_the_request_says_so() {
        let with = |rest: &str| parse(None, &format!(r#"{{"confirm":"acme",{rest}}}"#));
        assert_eq!(with(r#""undoable":false"#), Ok(0));
        assert_eq!(with(r#""undoable":true"#), Ok(86_400_000));
        assert_eq!(with(r#""undoableSeconds":60"#), Ok(60_000));
        for wrong in [
            r#""undoable":"no""#,
            r#""undoable":null"#,
            r#""undoableSeconds":0"#,
            r#""undoableSeconds":86401"#,
            r#""undoableSeconds":1.5"#,
            r#""undoable":false,"undoableSeconds":60"#,
            r#""undoeable":false"#,
        ] {
            with(wrong).unwrap_err();
        }
    }
}
