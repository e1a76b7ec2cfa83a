//! The history of one resource: the entries of the audit about it, also under ids that it had before it was
//! restored at the origin. Entries have names of attributes and no values.

use crate::Directory;
use crate::audit::{self, Filter};
use crate::sql::{Sql, SqlError};
use scim_edge_scim::endpoint::Kind;
use std::collections::BTreeSet;

/// The most ids of one resource: each restore at an origin gives it another one.
const IDS: usize = 100;

impl<S: Sql> Directory<S> {
    /// All ids that a resource has had, this one first.
    pub fn ids_of(&self, kind: Kind, id: &str) -> Result<Vec<String>, SqlError> {
        let text =
            "SELECT resource_id, former_id FROM audit WHERE former_id IS NOT NULL AND resource_type = ?";
        let rows = self.store.sql.query(text, &[kind.name().into()])?;
        let pair = |mut row: crate::sql::Row| Ok((row.maybe_text()?.unwrap_or_default(), row.text()?));
        let mut pairs = rows.into_iter().map(pair).collect::<Result<Vec<(String, String)>, SqlError>>()?;
        let text = "SELECT restored_as, id FROM deleted WHERE restored_as IS NOT NULL AND kind = ?";
        let rows = self.store.sql.query(text, &[crate::store::number(kind).into()])?;
        for mut row in rows {
            pairs.push((row.text()?, row.text()?));
        }
        pairs.retain(|(new, old)| new != audit::ERASED && old != audit::ERASED);
        let mut ids = vec![id.to_owned()];
        let mut known: BTreeSet<String> = ids.iter().cloned().collect();
        let mut at = 0_usize;
        while let Some(id) = ids.get(at).cloned() {
            at = at.saturating_add(1);
            for (new, old) in &pairs {
                let other = if *new == id { old } else { new };
                if (*new == id || *old == id) && ids.len() < IDS && known.insert(other.clone()) {
                    ids.push(other.clone());
                }
            }
        }
        Ok(ids)
    }

    /// A page of a resource's history, the newest entry first.
    pub fn history(
        &self,
        kind: Kind,
        ids: &[String],
        kept_from: i64,
        before: Option<i64>,
        count: usize,
    ) -> Result<audit::Page, SqlError> {
        let resources = ids.iter().map(|id| format!("{}/{id}", kind.name())).collect();
        let filter = Filter { resources, from: Some(kept_from), ..Filter::default() };
        audit::page(self.sql(), &filter, before, count)
    }
}
