//! Intents: writes that are on their way to the origin, or of unknown outcome.
//!
//! Before a write leaves an [`Intent`] is stored. It goes when the outcome is known and the copy is right
//! again; one that stays means that the resource may have changed.

use crate::Directory;
use crate::sql::{Bind, Row, Sql, SqlError};
use crate::store::{Store, number};
use scim_edge_scim::endpoint::Kind;

/// A write on its way to the origin, or one whose outcome nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Its number.
    pub number: i64,
    /// The type of the resource.
    pub kind: Kind,
    /// The resource; none for one that was to be created.
    pub id: Option<String>,
    /// When it was begun or, where the outcome is unknown, when that was found out, in milliseconds since
    /// the epoch.
    pub at: i64,
    /// Whether the outcome is unknown.
    pub unknown: bool,
}

impl<S: Sql> Directory<S> {
    /// Stores that a write is about to leave.
    pub fn begin(&self, kind: Kind, id: Option<&str>, method: &str, now_ms: i64) -> Result<i64, SqlError> {
        let rows = self.store.sql.query(
            "INSERT INTO intent (kind, id, method, at, unknown) VALUES (?, ?, ?, ?, 0) RETURNING number",
            &[number(kind).into(), Bind::from(id), method.into(), now_ms.into()],
        )?;
        rows.into_iter().next().ok_or_else(|| SqlError::new("nothing was inserted"))?.integer()
    }

    /// The outcome is known and the copy is right.
    pub fn settle(&self, intent: i64) -> Result<(), SqlError> {
        self.store.sql.query("DELETE FROM intent WHERE number = ?", &[intent.into()])?;
        Ok(())
    }

    /// Nobody knows the outcome.
    pub fn mark_unknown(&self, intent: i64, now_ms: i64) -> Result<(), SqlError> {
        self.store.sql.query(
            "UPDATE intent SET unknown = 1, at = ? WHERE number = ?",
            &[now_ms.into(), intent.into()],
        )?;
        Ok(())
    }

    /// Writes that were on their way when the object stopped: nobody knows their outcome.
    pub fn mark_interrupted(&self, now_ms: i64) -> Result<(), SqlError> {
        self.store.sql.query("UPDATE intent SET unknown = 1, at = ? WHERE unknown = 0", &[now_ms.into()])?;
        Ok(())
    }

    /// Whether something may have been created that the copy does not know of.
    pub fn has_unknown_creations(&self) -> Result<bool, SqlError> {
        let text = "SELECT 1 FROM intent WHERE unknown = 1 AND id IS NULL LIMIT 1";
        Ok(!self.store.sql.query(text, &[])?.is_empty())
    }

    /// The writes of unknown outcome, oldest first.
    pub fn unknown(&self) -> Result<Vec<Intent>, SqlError> {
        let text =
            "SELECT number, kind, id, at, unknown FROM intent WHERE unknown = 1 ORDER BY number LIMIT 1000";
        let intent = |mut row: Row| {
            let number = row.integer()?;
            let kind = if row.integer()? == 0 { Kind::User } else { Kind::Group };
            Ok(Intent {
                number,
                kind,
                id: row.maybe_text()?,
                at: row.integer()?,
                unknown: row.integer()? == 1,
            })
        };
        let read = || self.store.sql.query(text, &[])?.into_iter().map(intent).collect();
        self.unknown.get(self.store.sql.writes(), read)
    }
}

impl<S: Sql> Store<S> {
    /// Whether a deletion of a resource is on its way to the origin, or of unknown outcome.
    pub(crate) fn is_being_deleted(&self, kind: Kind, id: &str) -> Result<bool, SqlError> {
        let text = "SELECT 1 FROM intent WHERE kind = ? AND id = ? AND method = 'DELETE' LIMIT 1";
        Ok(!self.sql.query(text, &[number(kind).into(), id.into()])?.is_empty())
    }
}
