//! What a scan reads at once.
//!
//! Where the filter demands something of names, an index of them says which resources there are to ask;
//! otherwise every one is. SQLite passes over those that do not have the filter's texts in their JSON, before
//! they cross over.

use crate::render::OPEN_BASE;
use crate::sql::{Bind, Sql, SqlError};
use crate::store::{Store, Stored, columns, number};
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::evaluate::Matcher;
use scim_edge_scim::naming::Demand;
use serde_json::json;

/// How many resources a batch is of: some 500 KB.
pub(crate) const BATCH: usize = 500;

/// What every resource is known to have that the filter of a scan accepts.
#[derive(Default)]
pub(crate) struct Sought<'a> {
    pub(crate) demand: Option<Demand<'a>>,
    /// Texts of its JSON ([`scim_edge_scim::evaluate::Matcher::needles`]).
    pub(crate) needles: Vec<&'a str>,
}

impl<'a> Sought<'a> {
    pub(crate) fn by(matcher: &'a Matcher) -> Self {
        Self { demand: matcher.demand(), needles: matcher.needles() }
    }
}

/// Whether a body has three texts in it, or what may be other spellings of them. What holds an open base shows
/// another text than it has. The lengths stand first: they are read from the index of names by whoever walks
/// it, which compares these very expressions.
macro_rules! has_needles {
    () => {
        "(octet_length(body) - length(body) > 0
            OR body LIKE ?1 AND body LIKE ?2 AND body LIKE ?3
            OR origin_meta IS NOT NULL AND instr(body, ?4))"
    };
}

impl<S: Sql> Store<S> {
    /// The resources behind one that a scan is to ask next, in the order of creation, and the number behind
    /// which it goes on, where there may be more.
    pub(crate) fn batch(
        &self,
        kind: Kind,
        after: i64,
        sought: &Sought<'_>,
    ) -> Result<(Vec<Stored>, Option<i64>), SqlError> {
        if let Some(demand) = &sought.demand {
            let mut seqs = self.named(kind, after, demand, BATCH)?;
            let mut last = seqs.last().copied().filter(|_| seqs.len() >= BATCH);
            if self.has_long()?
                && let [first, _, ..] = self.parts(&seqs, false)?.as_slice()
            {
                let at_once = first.len();
                seqs.truncate(at_once);
                last = seqs.last().copied();
            }
            // One of the texts is most likely what was demanded: it has been looked for.
            let needles = if sought.needles.len() > 1 { sought.needles.as_slice() } else { &[] };
            return Ok((self.candidates(kind, &seqs, needles)?, last));
        }
        let Some((most, count)) = self.last_of(kind, after)? else { return Ok((Vec::new(), None)) };
        let last = self.last_at_once(kind, after, most)?;
        let goes_on = last < most || usize::try_from(count).is_ok_and(|count| count >= BATCH);
        Ok((self.between(kind, after, last, &sought.needles)?, goes_on.then_some(last)))
    }

    /// The number of the last resource of the batch behind one, and how many it has.
    fn last_of(&self, kind: Kind, after: i64) -> Result<Option<(i64, i64)>, SqlError> {
        let text = "SELECT max(seq), count(*) FROM
            (SELECT seq FROM resource WHERE kind = ? AND seq > ? ORDER BY seq LIMIT ?)";
        let rows = self.sql.query(text, &[number(kind).into(), after.into(), most(BATCH)])?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        let (last, count) = (row.maybe_integer()?, row.integer()?);
        Ok(last.map(|last| (last, count)))
    }

    /// The resources behind one and up to another, in the order of creation.
    fn between(&self, kind: Kind, after: i64, last: i64, needles: &[&str]) -> Result<Vec<Stored>, SqlError> {
        let [kind, after, last]: [Bind<'_>; 3] = [number(kind).into(), after.into(), last.into()];
        let Some([first, second, third]) = patterns(needles) else {
            let text = concat!(
                "SELECT ",
                columns!(),
                " FROM resource WHERE kind = ? AND seq > ? AND seq <= ? ORDER BY seq"
            );
            return self.stored(text, &[kind, after, last]);
        };
        let text = concat!(
            "SELECT ",
            columns!(),
            " FROM resource WHERE kind = ?5 AND seq > ?6 AND seq <= ?7 AND ",
            has_needles!(),
            " ORDER BY seq"
        );
        let [first, second, third] = [&first, &second, &third].map(|pattern| Bind::from(pattern.as_str()));
        self.stored(text, &[first, second, third, OPEN_BASE.into(), kind, after, last])
    }

    /// Those of these numbers that are of a kind, in the order of creation. They are read by their numbers, which
    /// SQLite would look up in an index once more, were it not for the sign before `kind`.
    pub(crate) fn candidates(
        &self,
        kind: Kind,
        seqs: &[i64],
        needles: &[&str],
    ) -> Result<Vec<Stored>, SqlError> {
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let seqs = json!(seqs).to_string();
        let [seqs, kind]: [Bind<'_>; 2] = [seqs.as_str().into(), number(kind).into()];
        let Some([first, second, third]) = patterns(needles) else {
            let text = concat!(
                "SELECT ",
                columns!(),
                " FROM resource WHERE seq IN (SELECT value FROM json_each(?)) AND +kind = ? ORDER BY seq"
            );
            return self.stored(text, &[seqs, kind]);
        };
        let text = concat!(
            "SELECT ",
            columns!(),
            " FROM resource WHERE seq IN (SELECT value FROM json_each(?5)) AND +kind = ?6 AND ",
            has_needles!(),
            " ORDER BY seq"
        );
        let [first, second, third] = [&first, &second, &third].map(|pattern| Bind::from(pattern.as_str()));
        self.stored(text, &[first, second, third, OPEN_BASE.into(), seqs, kind])
    }
}

/// A number of rows, to be bound.
pub(crate) fn most(count: usize) -> Bind<'static> {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}

/// What finds a text, whatever stands before and behind it; what the pattern's own signs are in the text may
/// be another character.
pub(crate) fn pattern(text: &str) -> String {
    format!("%{}%", text.replace('%', "_"))
}

/// Patterns of three texts, of which only the first has to be one.
fn patterns(needles: &[&str]) -> Option<[String; 3]> {
    let [first, others @ ..] = needles else { return None };
    let other = |place: usize| others.get(place).map_or_else(|| "%".to_owned(), |text| pattern(text));
    Some([pattern(first), other(0), other(1)])
}
