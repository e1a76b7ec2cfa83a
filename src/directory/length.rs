//! Lengths: however long resources are, a list is a bounded text, and no statement reads more than a bounded amount of
//! bodies. A page that would be longer has fewer resources than were asked for and says so in `itemsPerPage`
//! (RFC 7644 §3.4.2.4).
//!
//! Nearly no body is long: an index of those that are says whether anything has to be measured at all.

use crate::batch::BATCH;
use crate::sql::{Sql, SqlError};
use crate::store::{Store, number};
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::{Error, ScimType};
use serde_json::json;
use std::collections::HashMap;

/// The longest list, in bytes of its resources; the first of them is shown however long it is.
pub(crate) const LIST_BYTES: usize = 4 << 20;

/// The most bytes of bodies and members that are read at once, unless one resource has more: as many as the most resources
/// of a page, none of which is in the index `resource_long`.
const READ_BYTES: i64 = 4 << 20;

/// The most members that an answer shows of a group: some 8 MiB.
pub const MEMBERS: i64 = 32_768;

/// What a member takes in an answer, in bytes.
const MEMBER_BYTES: i64 = 256;

impl<S: Sql> Store<S> {
    /// Whether any resource is long enough to be measured.
    pub(crate) fn has_long(&self) -> Result<bool, SqlError> {
        self.long.get(self.sql.writes(), || {
            let found =
                self.integers("SELECT seq FROM resource WHERE octet_length(body) > 4096 LIMIT 1", &[])?;
            Ok(!found.is_empty())
        })
    }

    /// Resources in parts that can be read at once, their order kept; with their members where these are wanted.
    pub(crate) fn parts<'a>(&self, seqs: &'a [i64], members: bool) -> Result<Vec<&'a [i64]>, SqlError> {
        let mut costs: HashMap<i64, i64> = HashMap::new();
        let list = json!(seqs).to_string();
        let mut add = |text: &str, each: i64| {
            for mut row in self.sql.query(text, &[list.as_str().into()])? {
                let (seq, count) = (row.integer()?, row.integer()?);
                let cost = costs.entry(seq).or_default();
                *cost = cost.saturating_add(count.saturating_mul(each));
            }
            Ok::<(), SqlError>(())
        };
        if self.has_long()? {
            let text = "SELECT seq, octet_length(body) FROM resource
                WHERE octet_length(body) > 4096 AND seq IN (SELECT value FROM json_each(?))";
            add(text, 1)?;
        }
        if members {
            let text = "SELECT group_seq, count(*) FROM member
                WHERE group_seq IN (SELECT value FROM json_each(?)) GROUP BY group_seq";
            add(text, MEMBER_BYTES)?;
        }
        let (mut parts, mut rest) = (Vec::new(), seqs);
        while !rest.is_empty() {
            let mut sum = 0_i64;
            let fits = |(place, seq): &(usize, &i64)| {
                sum = sum.saturating_add(costs.get(*seq).copied().unwrap_or(0));
                *place == 0 || (*place < BATCH && sum <= READ_BYTES)
            };
            let (part, behind) = rest.split_at(rest.iter().enumerate().take_while(fits).count());
            parts.push(part);
            rest = behind;
        }
        Ok(parts)
    }

    /// The last resource behind `after` and up to `last` so that those between can be read at once.
    pub(crate) fn last_at_once(&self, kind: Kind, after: i64, last: i64) -> Result<i64, SqlError> {
        if !self.has_long()? {
            return Ok(last);
        }
        let text = "SELECT seq, octet_length(body) FROM resource
            WHERE octet_length(body) > 4096 AND kind = ? AND seq > ? AND seq <= ? ORDER BY seq";
        let (mut sum, mut is_first) = (0_i64, true);
        for mut row in self.sql.query(text, &[number(kind).into(), after.into(), last.into()])? {
            let seq = row.integer()?;
            sum = sum.saturating_add(row.integer()?);
            if sum > READ_BYTES {
                return Ok(if is_first { seq } else { seq.saturating_sub(1) });
            }
            is_first = false;
        }
        Ok(last)
    }

    /// Whether a group has more members than an answer shows.
    pub(crate) fn is_too_large(&self, kind: Kind, seq: i64) -> Result<bool, SqlError> {
        if kind != Kind::Group {
            return Ok(false);
        }
        let text = "SELECT count(*) FROM (SELECT 1 FROM member WHERE group_seq = ? LIMIT ?)";
        let counts = self.integers(text, &[seq.into(), MEMBERS.saturating_add(1).into()])?;
        Ok(counts.first().is_some_and(|count| *count > MEMBERS))
    }
}

/// The refusal of a read that would show such a group's members.
pub(crate) fn too_large(id: &str) -> Error {
    let sentence = format!(
        "group {id} has more than {MEMBERS} members: read it with excludedAttributes=members, and its members as \
        users with the filter groups.value eq \"{id}\""
    );
    Error::new(ScimType::TooMany, sentence)
}
