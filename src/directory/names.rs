//! Which resources have a text in their names. An index holds the names and is read instead of the resources: it
//! is a tenth of them.

use crate::batch::{most, pattern};
use crate::sql::{Bind, Sql, SqlError};
use crate::store::{Store, number};
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::naming::{Demand, Naming};

impl<S: Sql> Store<S> {
    /// The numbers of resources behind one whose names have in them what a filter demands, or may have it: at
    /// most so many, in the order of creation. None is left out that the filter accepts.
    pub(crate) fn named(
        &self,
        kind: Kind,
        after: i64,
        demand: &Demand<'_>,
        count: usize,
    ) -> Result<Vec<i64>, SqlError> {
        let (number, after, count): (Bind<'_>, Bind<'_>, _) =
            (number(kind).into(), after.into(), most(count));
        if (kind, demand.naming) == (Kind::User, Naming::DisplayName) {
            // The value is as it was written, and LIKE folds ASCII only: what has another character may be
            // another spelling, and what has none cannot have a text in it that has one. An origin may show
            // other things than a text (a number, a list), which a filter may accept: those are less than any
            // text, or begin with a bracket.
            let text = "SELECT seq FROM resource WHERE kind = ?1 AND seq > ?2
                AND (body ->> 'displayName' LIKE ?3
                    OR octet_length(body ->> 'displayName') - length(body ->> 'displayName') > 0
                    OR body ->> 'displayName' < '' OR body ->> 'displayName' LIKE '[%')
                ORDER BY seq LIMIT ?4";
            return self.integers(text, &[number, after, pattern(demand.text).as_str().into(), count]);
        }
        // The column is the folded name, as the filter compares it; empty where the origin's is no text.
        let text = "SELECT seq FROM resource WHERE kind = ?1 AND seq > ?2 AND (instr(name, ?3) OR name = '')
            ORDER BY seq LIMIT ?4";
        self.integers(text, &[number, after, demand.text.into(), count])
    }
}
