//! Pages of everything, in the order of creation, and the ways to them.

use crate::sql::{Bind, Sql, SqlError};
use crate::store::{Store, number};
use scim_edge_scim::endpoint::Kind;

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
    /// The numbers of a page's resources.
    pub(crate) fn page_seqs(&self, kind: Kind, plain: Plain) -> Result<Vec<i64>, SqlError> {
        let kind = Bind::from(number(kind));
        match plain {
            Plain::Range(Range { first, last, .. }) => {
                let text = "SELECT seq FROM resource WHERE kind = ? AND seq BETWEEN ? AND ? ORDER BY seq";
                self.integers(text, &[kind, first.into(), last.into()])
            }
            Plain::Place { skip, count, total } => {
                let way = Way::to(skip, count, total);
                let binds = [kind, way.count.into(), way.skip.into()];
                if !way.is_from_end {
                    let text = "SELECT seq FROM resource WHERE kind = ? ORDER BY seq LIMIT ? OFFSET ?";
                    return self.integers(text, &binds);
                }
                let text = "SELECT seq FROM resource WHERE kind = ? ORDER BY seq DESC LIMIT ? OFFSET ?";
                let mut seqs = self.integers(text, &binds)?;
                seqs.reverse();
                Ok(seqs)
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
}
