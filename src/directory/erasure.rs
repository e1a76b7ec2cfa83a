//! The end of a directory: nothing of it is left but the version of the account that was deleted, by which
//! calls that come late are told.

use crate::sql::{Sql, SqlError};
use crate::{Directory, tables};

const DELETED: &str = "deleted";

impl<S: Sql> Directory<S> {
    /// Empties the directory, and marks it as deleted with a version of its account.
    pub fn erase(&self, version: u64) -> Result<(), SqlError> {
        let text = "SELECT name FROM sqlite_master WHERE type = 'table'
            AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf%' ESCAPE '\\'";
        let names: Result<Vec<String>, SqlError> =
            self.store.sql.query(text, &[])?.into_iter().map(|mut row| row.text()).collect();
        for name in names? {
            self.store.sql.query(&format!("DROP TABLE \"{name}\""), &[])?;
        }
        self.reopen()?;
        self.store.set_state(DELETED, &version.to_string())
    }

    /// Makes the tables anew in a database that was emptied.
    pub fn reopen(&self) -> Result<(), SqlError> {
        tables::migrate(&self.store.sql)?;
        self.reload_schemas()
    }

    /// The account was made anew.
    pub fn revive(&self) -> Result<(), SqlError> {
        self.store.sql.query("DELETE FROM state WHERE name = ?", &[DELETED.into()])?;
        Ok(())
    }

    /// The version that the account was deleted with; none where it was not.
    pub fn deleted(&self) -> Result<Option<u64>, SqlError> {
        Ok(self.store.state(DELETED)?.and_then(|text| text.parse().ok()))
    }
}
