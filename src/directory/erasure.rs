//! The end of a directory: erased, so that nothing is left but the version of the account that was deleted, by
//! which late calls are told; or sealed, with all that it holds, until it is erased or unsealed.

use crate::sql::{Sql, SqlError};
use crate::{Directory, tables};

/// The state's name: the version, with [`SEALED`] after it if the tables are kept.
const DELETED: &str = "deleted";
const SEALED: &str = " sealed";

/// How the directory of a deleted account ended, with the version of the account's tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The tables are empty. A newer version is of a new account.
    Erased(u64),
    /// The tables are kept, and refuse every version until they are unsealed.
    Sealed(u64),
}

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

    /// Keeps everything and marks the directory as sealed.
    pub fn seal(&self, version: u64) -> Result<(), SqlError> {
        self.store.set_state(DELETED, &format!("{version}{SEALED}"))
    }

    /// Opens a sealed directory again, as it was. Returns whether it was sealed.
    pub fn unseal(&self) -> Result<bool, SqlError> {
        let sealed = matches!(self.end()?, Some(End::Sealed(_)));
        if sealed {
            self.revive()?;
        }
        Ok(sealed)
    }

    /// Makes the tables anew in a database that was emptied.
    pub fn reopen(&self) -> Result<(), SqlError> {
        tables::migrate(&self.store.sql, 0, true)?;
        self.reload_schemas()
    }

    /// The account was made anew.
    pub fn revive(&self) -> Result<(), SqlError> {
        self.store.sql.query("DELETE FROM state WHERE name = ?", &[DELETED.into()])?;
        Ok(())
    }

    /// How the directory of a deleted account ended; none for that of a living one.
    pub fn end(&self) -> Result<Option<End>, SqlError> {
        let Some(text) = self.store.state(DELETED)? else { return Ok(None) };
        let (version, end): (_, fn(u64) -> End) = match text.strip_suffix(SEALED) {
            Some(version) => (version, End::Sealed),
            None => (text.as_str(), End::Erased),
        };
        Ok(version.parse().ok().map(end))
    }
}
