//! The erasure of one resource for privacy: its tombstones, the links of others to it, and its ids in the audit.
//!
//! The host deletes the resource first, which leaves a tombstone with the name that confirms the erasure. The
//! audit follows in parts, since it may be long; the tombstone goes last, so that an erasure that was interrupted
//! can be asked for again in the same words.
//!
//! A tombstone is overwritten in its place before it is deleted, as SQLite's own `secure_delete` cannot be
//! turned on in an object; [`Directory::scrub`] writes over free pages and the log. Entries of indexes, and earlier
//! versions of rows, stay in free space within pages that are in use until SQLite uses it again.

use crate::Directory;
use crate::audit::ERASED;
use crate::deleted::{Way, link_texts, parse_links};
use crate::sql::{Bind, Sql, SqlError};
use crate::store::number;
use scim_edge_scim::endpoint::Kind;
use serde_json::{Map, Value, json};

/// The entries of the audit that are looked at in one turn.
const ENTRIES: i64 = 20_000;

/// The turns of [`Directory::scrub`], each of which writes a MiB: more than twice the length at which SQLite writes its
/// log back into the database and begins it again.
pub const SCRUB_TURNS: u32 = 12;

/// The references by other resources that are listed.
const REFERENCES: i64 = 100;

/// A resource that can be erased.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erasable {
    /// All ids that it has had.
    pub ids: Vec<String>,
    /// The id under which it exists.
    pub live: Option<String>,
    /// `userName` of a user, `displayName` of a group, if it is still known.
    pub name: Option<String>,
    /// The subjects that a token of this person may have: ids, names and addresses.
    subjects: Vec<String>,
}

/// A resource that still names an erased one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The type of the resource.
    pub kind: Kind,
    /// Its id.
    pub id: String,
}

impl<S: Sql> Directory<S> {
    /// The traces of a resource before its erasure; none if neither the tables nor the audit know it.
    pub fn erasable(&self, kind: Kind, id: &str) -> Result<Option<Erasable>, SqlError> {
        let mut found = Erasable { ids: self.ids_of(kind, id)?, ..Erasable::default() };
        let ids = json!(found.ids).to_string();
        let binds = [number(kind).into(), Bind::from(ids.as_str())];
        let live =
            "SELECT id FROM resource WHERE kind = ? AND id IN (SELECT value FROM json_each(?)) LIMIT 1";
        found.live = self.store.texts(live, &binds)?.into_iter().next();
        let bodies = "SELECT body FROM resource WHERE kind = ?1 AND id IN (SELECT value FROM json_each(?2))
            UNION ALL SELECT body FROM (SELECT body FROM deleted
                WHERE kind = ?1 AND id IN (SELECT value FROM json_each(?2)) AND restored_as IS NULL
                ORDER BY number DESC)";
        let bodies: Vec<Map<String, Value>> = self
            .store
            .texts(bodies, &binds)?
            .iter()
            .chain(&self.bodies_in_sets(&binds)?)
            .filter_map(|body| serde_json::from_str(body).ok())
            .collect();
        let attribute = if kind == Kind::User { "userName" } else { "displayName" };
        found.name = bodies.iter().find_map(|body| body.get(attribute)?.as_str().map(str::to_owned));
        let known =
            "SELECT 1 FROM audit WHERE resource_type = ? AND resource_id IN (SELECT value FROM json_each(?))
            LIMIT 1";
        let is_known = !bodies.is_empty()
            || !self.store.sql.query(known, &[kind.name().into(), ids.as_str().into()])?.is_empty();
        found.subjects.clone_from(&found.ids);
        for body in &bodies {
            let texts = ["userName", "externalId"].iter().filter_map(|name| body.get(*name)?.as_str());
            found.subjects.extend(texts.map(str::to_owned));
            let emails = body.get("emails").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let emails = emails.iter().filter_map(|email| email.get("value")?.as_str());
            found.subjects.extend(emails.map(str::to_owned));
        }
        Ok(is_known.then_some(found))
    }

    /// Erases ids and subjects in a part of the audit, behind an entry. Returns where to go on; none at the end.
    pub fn erase_audit(&self, kind: Kind, erasable: &Erasable, after: i64) -> Result<Option<i64>, SqlError> {
        let sql = &self.store.sql;
        let text = "SELECT max(id) FROM (SELECT id FROM audit WHERE id > ? ORDER BY id LIMIT ?)";
        let rows = sql.query(text, &[after.into(), ENTRIES.into()])?;
        let Some(last) = rows.into_iter().next().unwrap_or_default().maybe_integer().ok().flatten() else {
            return Ok(None);
        };
        let (ids, subjects) = (json!(erasable.ids).to_string(), json!(erasable.subjects).to_string());
        sql.transaction(|| {
            sql.query(
                "UPDATE audit SET resource_id = ?5, former_id = iif(former_id IS NULL, NULL, ?5)
                    WHERE id > ?1 AND id <= ?2 AND resource_type = ?3
                        AND (resource_id IN (SELECT value FROM json_each(?4))
                            OR former_id IN (SELECT value FROM json_each(?4)))",
                &[after.into(), last.into(), kind.name().into(), ids.as_str().into(), ERASED.into()],
            )?;
            sql.query(
                "UPDATE audit SET subject = ?4
                    WHERE id > ?1 AND id <= ?2 AND subject IN (SELECT value FROM json_each(?3))",
                &[after.into(), last.into(), subjects.as_str().into(), ERASED.into()],
            )?;
            Ok::<(), SqlError>(())
        })?;
        Ok(Some(last))
    }

    /// Erases tombstones, links and marks of a resource that is deleted. Ends the change log: copies near callers
    /// start over.
    pub fn erase_tables(&self, kind: Kind, erasable: &Erasable, now_ms: i64) -> Result<(), SqlError> {
        let state = self.replica()?;
        self.store.sql.transaction(|| {
            self.end_log()?;
            let ids = json!(erasable.ids).to_string();
            let binds = [Bind::from(number(kind)), Bind::from(ids.as_str())];
            self.overwrite_tombstones(&binds)?;
            self.erase_in_sets(&binds)?;
            for id in &erasable.ids {
                self.store.leave_groups(kind, id, now_ms)?;
                self.drop_links(kind, id)?;
            }
            for table in ["intent", "set_aside"] {
                let text =
                    format!("DELETE FROM {table} WHERE kind = ? AND id IN (SELECT value FROM json_each(?))");
                self.store.sql.query(&text, &binds)?;
            }
            if let Some(mut state) = state {
                let checks = [state.last_check.as_mut(), state.pass.as_mut().map(|pass| &mut pass.check)];
                for check in checks.into_iter().flatten() {
                    for list in [&mut check.missing, &mut check.extra, &mut check.different] {
                        list.retain(|found| found.kind != kind.name() || !erasable.ids.contains(&found.id));
                    }
                }
                self.set_replica(&state)?;
            }
            Ok(())
        })
    }

    /// Writes zeros over free pages of the database, and over the write-ahead log; to be called for each turn, with
    /// time to commit between them. Free space within pages that are in use keeps its old bytes.
    pub fn scrub(&self, turn: u32) -> Result<(), SqlError> {
        let sql = &self.store.sql;
        if turn == 0 {
            sql.query("DROP TABLE IF EXISTS scrub", &[])?;
            sql.query("CREATE TABLE scrub (body BLOB NOT NULL) STRICT", &[])?;
        }
        sql.query("INSERT INTO scrub (body) VALUES (zeroblob(1048576))", &[])?;
        if turn.saturating_add(1) == SCRUB_TURNS {
            sql.query("DROP TABLE scrub", &[])?;
        }
        Ok(())
    }

    /// Resources whose attributes still name an erased one, a manager's `value` for example.
    pub fn references(&self, erasable: &Erasable) -> Result<Vec<Reference>, SqlError> {
        let mut references = Vec::new();
        for id in &erasable.ids {
            let text = "SELECT kind, id FROM resource WHERE instr(body, ?) > 0 LIMIT ?";
            let rows =
                self.store.sql.query(text, &[json!(id).to_string().as_str().into(), REFERENCES.into()])?;
            for mut row in rows {
                let kind = crate::store::kind_of(row.integer()?);
                references.push(Reference { kind, id: row.text()? });
            }
        }
        Ok(references)
    }

    /// A text of the same length takes the place of each of a tombstone's: SQLite writes it where the old one was.
    fn overwrite_tombstones(&self, binds: &[Bind<'_>]) -> Result<(), SqlError> {
        const OF: &str = "kind = ?1 AND (id IN (SELECT value FROM json_each(?2))
            OR restored_as IN (SELECT value FROM json_each(?2)))";
        let blank = |column: &str| {
            format!(
                "{column} = replace(hex(zeroblob(octet_length({column}) / 2)), '0', ' ')
                || substr(' ', 1, octet_length({column}) % 2)"
            )
        };
        let sql = &self.store.sql;
        let numbers = self.store.integers(&format!("SELECT number FROM deleted WHERE {OF}"), binds)?;
        let list = json!(numbers).to_string();
        let among = "WHERE number IN (SELECT value FROM json_each(?))";
        let all = ["id", "name", "links", "body", "restored_as"].map(blank).join(", ");
        sql.query(&format!("UPDATE deleted SET {all} {among}"), &[list.as_str().into()])?;
        sql.query(&format!("UPDATE deleted_links SET {} {among}", blank("links")), &[list.as_str().into()])?;
        self.store.drop_tombstones(&numbers)
    }

    /// Takes a resource out of the memberships of other deleted ones. The texts keep their lengths, as above.
    fn drop_links(&self, kind: Kind, id: &str) -> Result<(), SqlError> {
        let sql = &self.store.sql;
        let quoted = json!(id).to_string();
        let rows = sql.query(
            "SELECT number, 0, links FROM deleted WHERE instr(links, ?1) > 0
                UNION ALL SELECT number, part, links FROM deleted_links WHERE instr(links, ?1) > 0",
            &[quoted.as_str().into()],
        )?;
        for mut row in rows {
            let (tombstone, part, text) = (row.integer()?, row.integer()?, row.text()?);
            let mut links = parse_links(&text)?;
            links.retain(|link| {
                let is_kind = match link.way {
                    Way::Group => kind == Kind::Group,
                    Way::Member => link.kind.is_none_or(|known| known == number(kind)),
                };
                link.id != id || !is_kind
            });
            let mut left = link_texts(&links).concat();
            if left.is_empty() {
                left.push_str("[]");
            }
            let padded = format!("{left:<length$}", length = text.chars().count());
            match part {
                0 => sql.query(
                    "UPDATE deleted SET links = ?2 WHERE number = ?1",
                    &[tombstone.into(), padded.as_str().into()],
                )?,
                _ => sql.query(
                    "UPDATE deleted_links SET links = ?3 WHERE number = ?1 AND part = ?2",
                    &[tombstone.into(), part.into(), padded.as_str().into()],
                )?,
            };
        }
        Ok(())
    }
}
