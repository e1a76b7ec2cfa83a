//! Pages of users that SQLite writes: out of their rows into the answer's text, which the host sends as it
//! is. Nothing of them comes here.
//!
//! What cannot be written that way is left to [`crate::render`], which writes the same: groups in groups,
//! identifiers that have to be encoded, versions of the origin's that are no ordinary ETags. SQLite says so
//! with a null in the place of the whole text.

use crate::render::OPEN_BASE;
use crate::sql::{Bind, Held, Sql, SqlError};
use crate::store::{Store, number};
use scim_edge_scim::endpoint::Kind;
use serde_json::{Value, json};

/// The statement over users in a table `chosen` of their numbers and places. `?1` is the text before the
/// number of resources, `?2` the text behind it, `?3` the base as it stands in a JSON text, `?4` what stands
/// for it in what came from the origin.
///
/// In `g` are the sum of the signs of the user's groups, in eight digits, and the groups themselves; in `own`
/// the user's own version; null where this cannot be told here.
macro_rules! page {
    ($chosen:literal) => {
        concat!(
            "WITH chosen (seq, place) AS (",
            $chosen,
            ")
SELECT CASE WHEN count(*) > count(text) THEN NULL
        ELSE ?1 || count(*) || ?2 || coalesce(group_concat(text), '') || ']}' END
FROM (
    SELECT CASE WHEN own IS NULL OR g = '?' THEN NULL ELSE
        CASE WHEN origin_meta IS NULL THEN head ELSE replace(head, ?4, ?3) END
            || CASE WHEN g IS NULL THEN '' ELSE ',\"groups\":[' || substr(g, 9) || ']' END
            || ',\"meta\":' || CASE WHEN origin_meta IS NULL THEN
                '{\"resourceType\":\"User\",\"created\":\"' || made || '\",\"lastModified\":\"'
                    || CASE modified WHEN created THEN made
                        ELSE strftime('%Y-%m-%dT%H:%M:%fZ', modified / 1000.0, 'unixepoch') END
                    || '\",\"location\":\"' || ?3 || '/Users/' || id || '\",\"version\":\"W/\\\"'
                    || own || CASE WHEN g IS NULL THEN '' ELSE '~' || substr(g, 1, 8) END || '\\\"\"}}'
            ELSE json_set(origin_meta, '$.location', json('\"' || ?3 || '/Users/' || id || '\"'), '$.version',
                'W/\"' || own || CASE WHEN g IS NULL THEN '' ELSE '~' || substr(g, 1, 8) END || '\"') || '}' END
        END AS text
    FROM (
        SELECT CAST(substr(CAST(r.body AS BLOB), 1, octet_length(r.body) - 1) AS TEXT) AS head,
            r.id, r.created, r.modified, r.origin_meta,
            strftime('%Y-%m-%dT%H:%M:%fZ', r.created / 1000.0, 'unixepoch') AS made,
            CASE WHEN r.origin_meta IS NULL THEN r.version
                WHEN r.id GLOB '*[^-_.~0-9A-Za-z]*' THEN NULL
                ELSE CASE json_type(r.origin_meta, '$.version') IS NULL WHEN 1 THEN r.version
                    ELSE CASE WHEN r.origin_meta ->> '$.version' GLOB 'W/\"[0-9A-Za-z]*[0-9A-Za-z]\"'
                            AND NOT r.origin_meta ->> '$.version' GLOB '???*[^-_.0-9A-Za-z]*?'
                        THEN substr(r.origin_meta ->> '$.version', 4, length(r.origin_meta ->> '$.version') - 4)
                    END END END AS own,
            (SELECT CASE WHEN count(*) > count(o.sign) THEN '?' ELSE
                    printf('%08x', sum(o.sign) & 4294967295) || group_concat('{\"value\":\"' || o.id
                        || '\",\"$ref\":\"' || ?3 || '/Groups/' || o.id || '\"'
                        || CASE WHEN o.display IS NULL THEN '' ELSE ',\"display\":' || json_quote(o.display) END
                        || ',\"type\":\"direct\"}') END
                FROM member m JOIN resource o ON o.seq = m.group_seq
                WHERE m.member_id = r.id AND m.kind IS NOT 1) AS g
        FROM chosen JOIN resource r ON r.seq = chosen.seq ORDER BY chosen.place
    )
)"
        )
    };
}

/// Which users a page has.
pub(crate) enum Chosen {
    Plain(Plain),
    /// These, in this order.
    These(Vec<i64>),
}

/// A page of everything, in the order of creation.
#[derive(Clone, Copy)]
pub(crate) enum Plain {
    /// So many behind a place, of so many in all.
    Place { skip: i64, count: i64, total: i64 },
    /// Those from one number to another.
    Range(Range),
}

/// The way to a page by its place, from the end that is nearer: each resource on it is an index entry.
pub(crate) struct Way {
    pub(crate) is_from_end: bool,
    pub(crate) skip: i64,
    pub(crate) count: i64,
}

impl Way {
    pub(crate) fn to(skip: i64, count: i64, total: i64) -> Self {
        let behind = total.saturating_sub(skip).saturating_sub(count);
        if behind >= skip {
            return Self { is_from_end: false, skip, count };
        }
        let count = count.min(total.saturating_sub(skip)).max(0);
        Self { is_from_end: true, skip: behind.max(0), count }
    }
}

/// The numbers that a page goes from and to, how many it has, and whether there are more behind it.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) count: i64,
    pub(crate) goes_on: bool,
}

impl<S: Sql> Store<S> {
    /// The text of a list: `before` and `behind` stand around the number of its resources.
    pub(crate) fn users_text(
        &self,
        chosen: &Chosen,
        base: &str,
        before: &str,
        behind: &str,
    ) -> Result<Option<Held>, SqlError> {
        if self.has_nested_groups()? {
            return Ok(None);
        }
        let quoted = Value::from(base).to_string();
        let base = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(base);
        let of = |text: &str, own: &[Bind<'_>]| {
            let mut binds = vec![before.into(), behind.into(), base.into(), OPEN_BASE.into()];
            binds.extend_from_slice(own);
            self.sql.hold(text, &binds)
        };
        match chosen {
            Chosen::Plain(Plain::Place { skip, count, total }) => {
                let way = Way::to(*skip, *count, *total);
                let text = if way.is_from_end {
                    page!("SELECT seq, seq FROM resource WHERE kind = 0 ORDER BY seq DESC LIMIT ?5 OFFSET ?6")
                } else {
                    page!("SELECT seq, seq FROM resource WHERE kind = 0 ORDER BY seq LIMIT ?5 OFFSET ?6")
                };
                of(text, &[way.count.into(), way.skip.into()])
            }
            Chosen::Plain(Plain::Range(range)) => {
                let text = page!("SELECT seq, seq FROM resource WHERE kind = 0 AND seq BETWEEN ?5 AND ?6");
                of(text, &[range.first.into(), range.last.into()])
            }
            Chosen::These(seqs) => {
                let list = json!(seqs).to_string();
                of(page!("SELECT value, key FROM json_each(?5)"), &[list.as_str().into()])
            }
        }
    }

    /// What a page behind a resource goes from and to.
    pub(crate) fn range_after(&self, kind: Kind, seq: i64, count: i64) -> Result<Range, SqlError> {
        let kind = Bind::from(number(kind));
        let text = "SELECT min(seq), max(seq), count(*) FROM
            (SELECT seq FROM resource WHERE kind = ? AND seq > ? ORDER BY seq LIMIT ?)";
        let mut row =
            self.sql.query(text, &[kind, seq.into(), count.into()])?.into_iter().next().unwrap_or_default();
        let (first, last) = (row.maybe_integer()?, row.maybe_integer()?);
        let last = last.unwrap_or(seq);
        let text = "SELECT EXISTS (SELECT 1 FROM resource WHERE kind = ? AND seq > ?)";
        let goes_on = self.sql.query(text, &[kind, last.into()])?.into_iter().next();
        Ok(Range {
            first: first.unwrap_or(i64::MAX),
            last,
            count: row.integer()?,
            goes_on: goes_on.map_or(Ok(0), |mut row| row.integer())? == 1,
        })
    }

    /// Whether any group is in another, so that users may be in groups through groups.
    fn has_nested_groups(&self) -> Result<bool, SqlError> {
        let text = "SELECT EXISTS (SELECT 1 FROM member JOIN resource ON id = member_id AND resource.kind = 1
            WHERE member.kind IS NOT 0)";
        let found = self.sql.query(text, &[])?.into_iter().next();
        Ok(found.map_or(Ok(0), |mut row| row.integer())? == 1)
    }
}
