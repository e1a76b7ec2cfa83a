//! The same tables as a copy of another directory's, row by row: what is asked of both has the same answer.

use crate::Directory;
use crate::changes::{Mark, Page, ResourceRow};
use crate::replica::{STATE, State};
use crate::sql::{Bind, Sql, SqlError};
use crate::store::{Columns, Store, Stored};
use scim_edge_scim::endpoint::Kind;
use serde_json::json;

/// How far this copy has come.
const MIRROR: &str = "mirror";

impl<S: Sql> Directory<S> {
    /// How far this copy has come; none for one that has nothing, or is none.
    pub fn mirrored(&self) -> Result<Option<Mark>, SqlError> {
        Ok(self.store.state(MIRROR)?.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Has the copy begin anew.
    pub fn forget_mirrored(&self) -> Result<(), SqlError> {
        self.store.sql.query("DELETE FROM state WHERE name = ?", &[MIRROR.into()])?;
        Ok(())
    }

    /// Takes a page over, all of it or nothing. It is the next after what [`Directory::mirrored`] told.
    pub fn mirror(&self, page: &Page) -> Result<(), SqlError> {
        if self.mirrored()?.as_ref() == Some(&page.mark) {
            return Ok(());
        }
        let store = &self.store;
        store.sql.transaction(|| {
            if page.anew {
                self.clear()?;
                store.sql.query("DELETE FROM extension", &[])?;
            }
            let seqs = page.resources.iter().map(|row| row.seq).chain(page.gone.iter().copied());
            let seqs: Vec<i64> = if page.anew { Vec::new() } else { seqs.collect() };
            for old in store.of_seqs(&seqs)? {
                store.take_away(&old)?;
            }
            page.resources.iter().try_for_each(|row| store.put_down(row))?;
            store.sql.query(
                "DELETE FROM member WHERE (group_seq, member_id) IN
                    (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))",
                &[json!(page.left).to_string().as_str().into()],
            )?;
            for row in &page.members {
                store.sql.query(
                    "INSERT OR REPLACE INTO member (group_seq, member_id, kind, display) VALUES (?, ?, ?, ?)",
                    &[
                        row.group_seq.into(),
                        row.member_id.as_str().into(),
                        row.kind.into(),
                        row.display.as_deref().into(),
                    ],
                )?;
            }
            for (kind, count) in &page.tally {
                let text = "UPDATE tally SET count = ?2 WHERE kind = ?1 AND count <> ?2";
                store.sql.query(text, &[(*kind).into(), (*count).into()])?;
            }
            if store.generation()? != page.generation {
                store.set_generation(page.generation)?;
            }
            if let Some(extensions) = &page.extensions {
                store.sql.query("DELETE FROM extension", &[])?;
                for row in extensions {
                    store.sql.query(
                        "INSERT INTO extension (urn, kind, definition, learned) VALUES (?, ?, ?, ?)",
                        &[
                            row.urn.as_str().into(),
                            row.kind.into(),
                            row.definition.as_str().into(),
                            row.learned.into(),
                        ],
                    )?;
                }
            }
            store.set_state(MIRROR, &json!(page.mark).to_string())
        })?;
        if page.extensions.is_some() {
            self.reload_schemas()?;
        }
        Ok(())
    }

    /// What the other directory is a copy of, and how old.
    pub fn mirror_replica(&self, state: Option<&State>) -> Result<(), SqlError> {
        if self.replica()?.as_ref() == state {
            return Ok(());
        }
        match state {
            Some(state) => self.set_replica(state),
            None => self.store.forget_state(STATE),
        }
    }
}

impl<S: Sql> Store<S> {
    /// Removes a row with what its indexes hold; members have rows of their own.
    fn take_away(&self, stored: &Stored) -> Result<(), SqlError> {
        if stored.kind == Kind::User {
            self.forget_emails(stored.seq, &Columns::of(Kind::User, &stored.resource()?).emails)?;
        }
        self.sql.query("DELETE FROM resource WHERE seq = ?", &[stored.seq.into()])?;
        Ok(())
    }

    /// Adds a row. What had its identifier before goes: that it is gone may not have been told yet.
    fn put_down(&self, row: &ResourceRow) -> Result<(), SqlError> {
        let kind = crate::store::kind_of(row.kind);
        if let Some(other) = self.get(kind, &row.id)? {
            self.take_away(&other)?;
        }
        let binds: [Bind<'_>; 11] = [
            row.seq.into(),
            row.kind.into(),
            row.id.as_str().into(),
            row.name.as_str().into(),
            row.external_id.as_deref().into(),
            row.display.as_deref().into(),
            row.created.into(),
            row.modified.into(),
            row.version.into(),
            row.origin_meta.as_deref().into(),
            row.body.as_str().into(),
        ];
        self.sql.query(
            "INSERT INTO resource (seq, kind, id, name, external_id, display, created, modified, version,
                origin_meta, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &binds,
        )?;
        if kind == Kind::User {
            let resource =
                serde_json::from_str(&row.body).map_err(|_| SqlError::new("a body is not JSON"))?;
            let emails = Columns::of(kind, &resource).emails;
            if emails != "[]" {
                self.add_emails(row.seq, &emails)?;
            }
        }
        Ok(())
    }
}
