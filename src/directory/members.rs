//! Who is in which group, in the tables.

use crate::known_groups::Group;
use crate::sql::{Row, Sql, SqlError};
use crate::store::{Member, Membership, Store, kind_of, number};
use serde_json::{Value, json};
use std::mem::take;
use std::rc::Rc;

/// Members that are bound in one statement, at most: a text of some 500 KB. It ends earlier where they are long.
const MEMBERS_AT_ONCE: usize = 5000;

/// A text that is bound ends after so many bytes; SQLite in an object takes 2 MB.
const TEXT_BYTES: usize = 1 << 20;

/// JSON arrays of all items, each short enough to be bound.
fn arrays<T>(items: &[T], json: impl Fn(&T) -> Value) -> Vec<String> {
    let mut arrays = Vec::new();
    let (mut text, mut count) = (String::new(), 0_usize);
    for item in items {
        text.push_str(if text.is_empty() { "[" } else { "," });
        text.push_str(&json(item).to_string());
        count = count.saturating_add(1);
        if count >= MEMBERS_AT_ONCE || text.len() >= TEXT_BYTES {
            text.push(']');
            arrays.push(take(&mut text));
            count = 0;
        }
    }
    if !text.is_empty() {
        text.push(']');
        arrays.push(text);
    }
    arrays
}

impl<S: Sql> Store<S> {
    pub(crate) fn members(&self, group_seq: i64) -> Result<Vec<Member>, SqlError> {
        let text = "SELECT member_id, kind, display FROM member WHERE group_seq = ? ORDER BY member_id";
        let rows = self.sql.query(text, &[group_seq.into()])?;
        let member = |mut row: Row| {
            Ok(Member {
                id: row.text()?,
                kind: row.maybe_integer()?.map(kind_of),
                display: row.maybe_text()?,
            })
        };
        rows.into_iter().map(member).collect()
    }

    /// Whether a group has any member.
    pub(crate) fn has_members(&self, group_seq: i64) -> Result<bool, SqlError> {
        let text = "SELECT 1 FROM member WHERE group_seq = ? LIMIT 1";
        Ok(!self.sql.query(text, &[group_seq.into()])?.is_empty())
    }

    /// How many members a group has.
    pub(crate) fn member_count(&self, group_seq: i64) -> Result<usize, SqlError> {
        let counts = self.integers("SELECT count(*) FROM member WHERE group_seq = ?", &[group_seq.into()])?;
        Ok(counts.first().and_then(|count| usize::try_from(*count).ok()).unwrap_or(0))
    }

    /// The members of several groups, by the groups' numbers.
    pub(crate) fn members_of(&self, group_seqs: &[i64]) -> Result<Vec<(i64, Member)>, SqlError> {
        let text = "SELECT group_seq, member_id, kind, display FROM member
            WHERE group_seq IN (SELECT value FROM json_each(?)) ORDER BY group_seq, member_id";
        let rows = self.sql.query(text, &[json!(group_seqs).to_string().as_str().into()])?;
        let member = |mut row: Row| {
            let group = row.integer()?;
            let kind = |number: Option<i64>| number.map(kind_of);
            Ok((
                group,
                Member { id: row.text()?, kind: kind(row.maybe_integer()?), display: row.maybe_text()? },
            ))
        };
        rows.into_iter().map(member).collect()
    }

    /// Adds members; those that are there already get the new `display` where one is given. Returns
    /// whether anything changed.
    pub(crate) fn add_members(&self, group_seq: i64, members: &[Member]) -> Result<bool, SqlError> {
        let mut changed = false;
        let row = |member: &Member| json!([member.id, member.kind.map(number), member.display]);
        for list in arrays(members, row) {
            let written = self.sql.query(
                "INSERT INTO member (group_seq, member_id, kind, display)
                    SELECT ?1, json_extract(value, '$[0]'),
                        coalesce(json_extract(value, '$[1]'),
                            (SELECT kind FROM resource WHERE id = json_extract(j.value, '$[0]') LIMIT 1)),
                        json_extract(value, '$[2]')
                    FROM json_each(?2) j WHERE true
                    ON CONFLICT (group_seq, member_id) DO UPDATE SET display = excluded.display
                        WHERE excluded.display IS NOT NULL AND excluded.display IS NOT member.display
                    RETURNING 1",
                &[group_seq.into(), list.as_str().into()],
            )?;
            changed |= !written.is_empty();
        }
        Ok(changed)
    }

    /// Takes members away; returns whether any of them was one.
    pub(crate) fn remove_members(&self, group_seq: i64, ids: &[String]) -> Result<bool, SqlError> {
        let mut changed = false;
        for list in arrays(ids, |id| id.as_str().into()) {
            let gone = self.sql.query(
                "DELETE FROM member WHERE group_seq = ?1 AND member_id IN (SELECT value FROM json_each(?2)) RETURNING 1",
                &[group_seq.into(), list.as_str().into()],
            )?;
            changed |= !gone.is_empty();
        }
        Ok(changed)
    }

    /// Those of the ids that no resource has, at least the first of them.
    pub(crate) fn missing(&self, ids: &[&str], all: bool) -> Result<Vec<String>, SqlError> {
        let mut missing = Vec::new();
        for list in arrays(ids, |id| (*id).into()) {
            let most = if all { i64::MAX } else { 1 };
            missing.extend(self.texts(
                "SELECT value FROM json_each(?) j WHERE NOT EXISTS (SELECT 1 FROM resource WHERE id = j.value) LIMIT ?",
                &[list.as_str().into(), most.into()],
            )?);
            if !all && !missing.is_empty() {
                break;
            }
        }
        Ok(missing)
    }

    /// The groups that users are in, directly or through groups in groups, by the users' ids.
    pub(crate) fn groups_of(&self, user_ids: &[&str]) -> Result<Vec<(String, Membership)>, SqlError> {
        let rows = self.sql.query(
            "WITH RECURSIVE above (user_id, group_seq, direct) AS (
                SELECT m.member_id, m.group_seq, 1 FROM json_each(?) j
                    JOIN member m ON m.member_id = j.value AND m.kind IS NOT 1
                UNION
                SELECT above.user_id, m.group_seq, 0 FROM above
                    JOIN resource r ON r.seq = above.group_seq
                    JOIN member m ON m.member_id = r.id AND m.kind IS NOT 0
            )
            SELECT above.user_id, r.id, r.display, max(above.direct) FROM above
                JOIN resource r ON r.seq = above.group_seq
                GROUP BY above.user_id, r.seq ORDER BY above.user_id, r.seq",
            &[json!(user_ids).to_string().as_str().into()],
        )?;
        let membership = |mut row: Row| {
            let user = row.text()?;
            let group = Rc::new(Group::new(row.text()?, row.maybe_text()?));
            Ok((user, Membership { group, direct: row.integer()? == 1 }))
        };
        rows.into_iter().map(membership).collect()
    }
}
