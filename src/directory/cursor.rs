//! Cursors (RFC 9865): where a list goes on, opaque to the client.
//!
//! A cursor names the last resources that were shown, not a position, so that what is added or removed
//! in the meantime neither repeats nor hides another resource. It carries a sign of the query it belongs
//! to: a cursor of another query, or one that was made up, is not accepted.

use scim_edge_scim::error::{Error, ScimType};

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The numbers of the last resources shown, the last of all at the end.
    pub(crate) last: Vec<i64>,
    /// How many had been shown.
    pub(crate) shown: usize,
}

/// How many resources a cursor names: it holds as long as one of them is still in the list.
pub(crate) const NAMED: usize = 8;

impl Cursor {
    /// The text for a query.
    pub(crate) fn to_text(&self, query: &str) -> String {
        let last: Vec<String> = self.last.iter().map(ToString::to_string).collect();
        let plain = format!("{}.{}", self.shown, last.join("."));
        format!("{plain}.{:016x}", sign(&plain, query))
    }

    /// Reads a cursor of a query.
    pub(crate) fn parse(text: &str, query: &str) -> Result<Self, Error> {
        let invalid = || Error::new(ScimType::InvalidCursor, "the cursor is not one of this query");
        let (plain, found) = text.rsplit_once('.').ok_or_else(invalid)?;
        if text.len() > 256 || format!("{:016x}", sign(plain, query)) != found {
            return Err(invalid());
        }
        let mut numbers = plain.split('.').map(|number| number.parse::<i64>().map_err(|_| invalid()));
        let shown = numbers.next().ok_or_else(invalid)??;
        Ok(Self {
            shown: usize::try_from(shown).map_err(|_| invalid())?,
            last: numbers.collect::<Result<_, _>>()?,
        })
    }
}

/// FNV-1a over both. A check against mistakes: a cursor gives access to nothing that its holder could
/// not list without it.
fn sign(plain: &str, query: &str) -> u64 {
    let mut sign = 0xcbf2_9ce4_8422_2325_u64;
    for byte in plain.bytes().chain([0]).chain(query.bytes()) {
        sign = (sign ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    sign
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn belongs_to_its_query() {
        let cursor = Cursor { last: vec![3, 9], shown: 20 };
        let text = cursor.to_text("users");
        assert_eq!(Cursor::parse(&text, "users"), Ok(cursor));
        for (text, query) in
            [(text.as_str(), "groups"), (&text.replace('9', "8"), "users"), ("x", "users"), ("", "users")]
        {
            assert_eq!(
                Cursor::parse(text, query).unwrap_err().scim_type,
                Some(ScimType::InvalidCursor),
                "{text}"
            );
        }
    }
}
