//! The erasure of a resource in sets of tables that are not in use: those that are kept after a switch of the origin.
//! A set that is put back later must not bring an erased resource back.

use crate::Directory;
use crate::sql::{Bind, Sql, SqlError};

impl<S: Sql> Directory<S> {
    /// The beginnings of the names of all sets that are not in use.
    fn prefixes(&self) -> Result<Vec<String>, SqlError> {
        let text = "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 's[0-9]*_resource'";
        let names = self.store.texts(text, &[])?;
        Ok(names.iter().filter_map(|name| name.strip_suffix("resource").map(str::to_owned)).collect())
    }

    /// The bodies of resources in sets that are not in use. `binds` are the kind's number and a JSON array of ids.
    pub(crate) fn bodies_in_sets(&self, binds: &[Bind<'_>]) -> Result<Vec<String>, SqlError> {
        let mut bodies = Vec::new();
        for prefix in self.prefixes()? {
            let text = format!(
                "SELECT body FROM {prefix}resource WHERE kind = ?1 AND id IN (SELECT value FROM json_each(?2))"
            );
            bodies.extend(self.store.texts(&text, binds)?);
        }
        Ok(bodies)
    }

    /// Erases resources in all sets that are not in use, with their memberships.
    pub(crate) fn erase_in_sets(&self, binds: &[Bind<'_>]) -> Result<(), SqlError> {
        for prefix in self.prefixes()? {
            let found = format!(
                "SELECT seq FROM {prefix}resource WHERE kind = ?1 AND id IN (SELECT value FROM json_each(?2))"
            );
            for text in [
                // About as long as before, so that SQLite writes it in the place of the old one; JSON, since an index reads it.
                format!(
                    "UPDATE {prefix}resource SET body = '{{' ||
                        replace(hex(zeroblob(max(octet_length(body) / 2 - 1, 0))), '0', ' ') || '}}'
                        WHERE seq IN ({found})"
                ),
                format!("DELETE FROM {prefix}email WHERE seq IN ({found})"),
                format!("DELETE FROM {prefix}member WHERE group_seq IN ({found})"),
                format!(
                    "DELETE FROM {prefix}member WHERE member_id IN (SELECT value FROM json_each(?2))
                        AND (kind IS NULL OR kind = ?1)"
                ),
                format!(
                    "UPDATE {prefix}tally SET count = count - (SELECT count(*) FROM ({found})) WHERE kind = ?1"
                ),
                format!(
                    "DELETE FROM {prefix}resource WHERE kind = ?1 AND id IN (SELECT value FROM json_each(?2))"
                ),
            ] {
                self.store.sql.query(&text, binds)?;
            }
            // A set of an earlier version has no such table.
            let table = format!("{prefix}unique_value");
            let text = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?";
            if !self.store.sql.query(text, &[table.as_str().into()])?.is_empty() {
                let text = format!("DELETE FROM {table} WHERE seq NOT IN (SELECT seq FROM {prefix}resource)");
                self.store.sql.query(&text, &[])?;
            }
        }
        Ok(())
    }
}
