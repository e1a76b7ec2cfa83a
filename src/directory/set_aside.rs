//! Resources of the origin's that the copy does not keep, since no path can carry their ids
//! ([`scim_edge_scim::identifier`]). They are counted: the copy is complete without them.

use crate::Directory;
use crate::sql::{Sql, SqlError};
use crate::store::number;
use scim_edge_scim::endpoint::Kind;

impl<S: Sql> Directory<S> {
    /// Sets a resource of the origin's aside.
    pub fn set_aside(&self, kind: Kind, id: &str) -> Result<(), SqlError> {
        let text = "INSERT INTO set_aside (kind, id) VALUES (?, ?) ON CONFLICT DO NOTHING";
        self.store.sql.query(text, &[number(kind).into(), id.into()])?;
        Ok(())
    }

    /// How many resources of a kind are set aside.
    pub fn count_set_aside(&self, kind: Kind) -> Result<i64, SqlError> {
        let counts =
            self.store.integers("SELECT count(*) FROM set_aside WHERE kind = ?", &[number(kind).into()])?;
        Ok(counts.first().copied().unwrap_or(0))
    }

    /// Begins to count again: with a pass that sees every resource.
    pub fn forget_set_aside(&self) -> Result<(), SqlError> {
        self.store.sql.query("DELETE FROM set_aside", &[])?;
        Ok(())
    }
}
