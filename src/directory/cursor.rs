//! Cursors (RFC 9865): where a list goes on, opaque to the client.
//!
//! A cursor holds the sort key and the number of the last resource that was shown, and the list goes on behind
//! them. INVARIANT: a resource that is in the list for the whole of a walk, and whose key does not change, is
//! shown exactly once, whatever else is added, changed or removed between the pages: the order of two resources
//! depends on nothing but these two.
//!
//! The answer is `expiredCursor` if that order no longer exists (the tables were emptied and filled again, or an
//! attribute of the query has another definition), and for cursors of an earlier version. A cursor carries a
//! checksum of its query: a cursor of another query, or one that was made up, is `invalidCursor`.

use crate::sql::{Sql, SqlError};
use crate::store::Store;
use scim_edge_scim::error::{Error, ScimType};
use scim_edge_scim::sort::{Bound, Key, Sorter};
use std::cmp::Ordering;

/// The longest cursor, in bytes.
const BYTES: usize = 512;

/// What the cursors of this version begin with.
const VERSION: &str = "k1";

/// The state that counts how often the tables were emptied: the resources after that have numbers that other
/// resources had before.
const GENERATION: &str = "generation";

/// A position in the list of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The generation of the tables that it was made of.
    pub(crate) generation: i64,
    /// The last resource that was shown.
    pub(crate) end: Keyset,
}

/// The last resource of a page: the next page begins behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keyset {
    /// Its kind, as the place among those that were asked for.
    pub(crate) place: usize,
    /// Its number.
    pub(crate) seq: i64,
    /// What it sorted by.
    pub(crate) key: Option<Bound>,
}

/// A resource of a list, as far as its order goes.
pub(crate) struct RowKey<'a> {
    pub(crate) place: usize,
    pub(crate) seq: i64,
    pub(crate) key: Option<&'a Key>,
}

impl Cursor {
    /// The text for a query.
    pub(crate) fn to_text(&self, query: &str) -> String {
        let Keyset { place, seq, key } = &self.end;
        let key = key.as_ref().map(Bound::to_text).unwrap_or_default();
        let plain = format!("{VERSION}.{}.{place}.{seq}.{key}", self.generation);
        format!("{plain}.{:016x}", sign(&plain, query))
    }

    /// Reads a cursor of a query.
    pub(crate) fn parse(text: &str, query: &str) -> Result<Self, Error> {
        let invalid = || Error::new(ScimType::InvalidCursor, "the cursor is not one of this query");
        let (plain, found) = text.rsplit_once('.').ok_or_else(invalid)?;
        if text.len() > BYTES || format!("{:016x}", sign(plain, query)) != found {
            return Err(invalid());
        }
        // The checksum is right: another version of the gateway made this cursor.
        Self::read(plain).ok_or_else(expired)
    }

    fn read(plain: &str) -> Option<Self> {
        let mut parts = plain.strip_prefix(VERSION)?.strip_prefix('.')?.splitn(4, '.');
        let mut next = || parts.next();
        let generation = next()?.parse().ok()?;
        let (place, seq) = (next()?.parse().ok()?, next()?.parse().ok()?);
        let key = match next()? {
            "" => None,
            text => Some(Bound::parse(text)?),
        };
        Some(Self { generation, end: Keyset { place, seq, key } })
    }

    /// The number of resources at the beginning of a sorted list that the walk has passed.
    pub(crate) fn passed(&self, list: &[RowKey<'_>], sorter: Option<&Sorter>) -> Result<usize, Error> {
        let end = &self.end;
        let (sorter, bound) = match (sorter, &end.key) {
            (None, None) => {
                let before = |one: &RowKey<'_>| (one.place, one.seq) <= (end.place, end.seq);
                return Ok(list.partition_point(before));
            }
            (Some(sorter), Some(bound)) if sorter.fits(bound) => (sorter, bound),
            _ => return Err(expired()),
        };
        // The whole of a long key is taken from any resource that still has it.
        let whole = list
            .iter()
            .filter_map(|one| one.key)
            .find(|key| sorter.compare_with(key, bound) == Some(Ordering::Equal));
        let mut passed = 0_usize;
        for one in list {
            let key = one.key.ok_or_else(expired)?;
            let ordering = match whole {
                Some(whole) => Some(sorter.compare(key, whole)),
                None => sorter.compare_with(key, bound),
            };
            if ordering.ok_or_else(expired)?.then(one.seq.cmp(&end.seq)).is_gt() {
                break;
            }
            passed = passed.saturating_add(1);
        }
        Ok(passed)
    }
}

/// Whether a text looks like a cursor of this gateway, of whatever query: to an origin it means nothing.
pub fn is_own_cursor(text: &str) -> bool {
    text.trim().strip_prefix(VERSION).is_some_and(|rest| rest.starts_with('.'))
}

/// The error for a cursor that was valid and has no place in the list any longer.
pub(crate) fn expired() -> Error {
    let sentence = "the list has changed so that the cursor has no place in it: begin again without it";
    Error::new(ScimType::ExpiredCursor, sentence)
}

impl<S: Sql> Store<S> {
    /// The generation of the tables.
    pub(crate) fn generation(&self) -> Result<i64, SqlError> {
        Ok(self.state(GENERATION)?.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Sets the generation of the tables.
    pub(crate) fn set_generation(&self, generation: i64) -> Result<(), SqlError> {
        self.set_state(GENERATION, &generation.to_string())
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

    fn cursor(key: Option<Bound>) -> Cursor {
        Cursor { generation: 2, end: Keyset { place: 1, seq: 9, key } }
    }

    #[test]
    fn belongs_to_its_query() {
        for key in [None, Bound::parse("t61"), Bound::parse("m"), Bound::parse("i-1a5")] {
            let cursor = cursor(key);
            let text = cursor.to_text("users");
            assert_eq!(Cursor::parse(&text, "users"), Ok(cursor));
            assert!(is_own_cursor(&text) && !is_own_cursor("k1") && !is_own_cursor("2"));
            for (text, query) in
                [(text.as_str(), "groups"), (&text.replace('9', "8"), "users"), ("x", "users"), ("", "users")]
            {
                let refused = Cursor::parse(text, query).unwrap_err();
                assert_eq!(refused.scim_type, Some(ScimType::InvalidCursor), "{text}");
            }
        }
    }

    #[test]
    fn of_an_earlier_version_has_expired() {
        // `shown.last…` with a sign of both, as the version before wrote it.
        let plain = "20.3.9";
        let text = format!("{plain}.{:016x}", sign(plain, "users"));
        assert_eq!(Cursor::parse(&text, "users").unwrap_err().scim_type, Some(ScimType::ExpiredCursor));
        assert_eq!(Cursor::parse(&text, "other").unwrap_err().scim_type, Some(ScimType::InvalidCursor));
    }
}
