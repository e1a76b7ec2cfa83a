//! What has changed, for copies of this directory's tables that are kept near its callers.
//!
//! While there are copies, triggers write down which rows each statement touches: whatever changes the tables
//! is in the log, in the transaction that makes the change. Without copies there is no log, and no trigger.
//!
//! A copy says how far it has come ([`Mark`]) and gets a [`Page`]: the rows that have changed since, as they
//! are now. A new one, or one that the log does not reach back to, gets all rows first, and then what has
//! changed while they were read. Rows are told by their numbers, so that it does no harm to tell one twice.

use crate::Directory;
use crate::sql::{Row, Sql, SqlError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The log's name; a log that ends and begins again has another.
const LOG: &str = "log";
/// The copies that there are, with how far each has come.
const COPIES: &str = "copies";

/// How many rows or entries a page is to be made of.
pub const ENTRIES: i64 = 500;

/// How many characters of resources a page has at most; one resource may have more.
const CHARACTERS: i64 = 1 << 19;

/// How many entries the log keeps for a copy that does not ask.
const KEPT: i64 = 20_000;

/// What an entry is about.
const RESOURCE: i64 = 0;
const MEMBER: i64 = 1;
const EXTENSION: i64 = 2;

/// E-mail addresses and tallies change with resources only.
const TRIGGERS: [(&str, &str); 9] = [
    ("resource_made", "INSERT ON resource BEGIN INSERT INTO change (kind, seq) VALUES (0, new.seq); END"),
    ("resource_set", "UPDATE ON resource BEGIN INSERT INTO change (kind, seq) VALUES (0, new.seq); END"),
    ("resource_gone", "DELETE ON resource BEGIN INSERT INTO change (kind, seq) VALUES (0, old.seq); END"),
    (
        "member_made",
        "INSERT ON member BEGIN INSERT INTO change (kind, seq, id) VALUES (1, new.group_seq, new.member_id); END",
    ),
    (
        "member_set",
        "UPDATE ON member BEGIN INSERT INTO change (kind, seq, id) VALUES (1, new.group_seq, new.member_id); END",
    ),
    (
        "member_gone",
        "DELETE ON member BEGIN INSERT INTO change (kind, seq, id) VALUES (1, old.group_seq, old.member_id); END",
    ),
    ("extension_made", "INSERT ON extension BEGIN INSERT INTO change (kind) VALUES (2); END"),
    ("extension_set", "UPDATE ON extension BEGIN INSERT INTO change (kind) VALUES (2); END"),
    ("extension_gone", "DELETE ON extension BEGIN INSERT INTO change (kind) VALUES (2); END"),
];

/// How far a copy has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    log: String,
    /// The last entry that it has.
    number: i64,
    /// Where it goes on with the rows that there were before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rest: Option<Rest>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Rest {
    /// Behind this resource.
    Resources(i64),
    /// Behind this member of this group.
    Members(i64, String),
}

/// What a copy is to take over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// How far the copy has come with it.
    pub mark: Mark,
    /// Whether there is more.
    pub more: bool,
    /// Whether what the copy had before is worth nothing.
    pub(crate) anew: bool,
    pub(crate) resources: Vec<ResourceRow>,
    pub(crate) gone: Vec<i64>,
    pub(crate) members: Vec<MemberRow>,
    pub(crate) left: Vec<(i64, String)>,
    /// All of them, where one has changed.
    pub(crate) extensions: Option<Vec<ExtensionRow>>,
    pub(crate) tally: Vec<(i64, i64)>,
    /// The generation of the tables, so that a cursor of one copy is valid at the others.
    #[serde(default)]
    pub(crate) generation: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResourceRow {
    pub(crate) seq: i64,
    pub(crate) kind: i64,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) external_id: Option<String>,
    pub(crate) display: Option<String>,
    pub(crate) created: i64,
    pub(crate) modified: i64,
    pub(crate) version: i64,
    pub(crate) origin_meta: Option<String>,
    pub(crate) body: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberRow {
    pub(crate) group_seq: i64,
    pub(crate) member_id: String,
    pub(crate) kind: Option<i64>,
    pub(crate) display: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExtensionRow {
    pub(crate) urn: String,
    pub(crate) kind: i64,
    pub(crate) definition: String,
    pub(crate) learned: i64,
}

impl<S: Sql> Directory<S> {
    /// Whether changes are written down.
    pub fn has_log(&self) -> Result<bool, SqlError> {
        Ok(self.store.state(LOG)?.is_some())
    }

    /// Begins to write down what changes, under a name that no log of this directory has had.
    pub fn begin_log(&self, name: &str) -> Result<(), SqlError> {
        let sql = &self.store.sql;
        sql.transaction(|| {
            sql.query(
                "CREATE TABLE change (
                    number INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, seq INTEGER, id TEXT
                ) STRICT",
                &[],
            )?;
            // The log is never empty: its last number is that of its last entry.
            sql.query("INSERT INTO change (kind) VALUES (?)", &[EXTENSION.into()])?;
            for (name, body) in TRIGGERS {
                sql.query(&format!("CREATE TRIGGER {name} AFTER {body}"), &[])?;
            }
            self.store.set_state(LOG, name)
        })
    }

    /// Ends the log: copies that come later begin anew.
    pub fn end_log(&self) -> Result<(), SqlError> {
        if !self.has_log()? {
            return Ok(());
        }
        let sql = &self.store.sql;
        for (name, _) in TRIGGERS {
            sql.query(&format!("DROP TRIGGER {name}"), &[])?;
        }
        sql.query("DROP TABLE change", &[])?;
        sql.query("DELETE FROM state WHERE name = ?", &[LOG.into()])?;
        Ok(())
    }

    /// The copies that have ever asked, by their regions.
    pub fn copies(&self) -> Result<Vec<String>, SqlError> {
        Ok(self.positions()?.into_keys().collect())
    }

    fn positions(&self) -> Result<BTreeMap<String, i64>, SqlError> {
        Ok(self.store.state(COPIES)?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// Remembers a copy, and how far it has come. What all copies have goes from the log.
    pub fn note_copy(&self, region: &str, mark: Option<&Mark>) -> Result<(), SqlError> {
        let mut positions = self.positions()?;
        let known = positions.get(region).copied();
        let number = mark.map(|mark| mark.number).or(known).unwrap_or(0);
        if known == Some(number) {
            return Ok(());
        }
        positions.insert(region.to_owned(), number);
        self.store.set_state(COPIES, &json!(positions).to_string())?;
        if mark.is_some() {
            let least = positions.values().copied().min().unwrap_or(0);
            self.store.sql.query("DELETE FROM change WHERE number < ?", &[least.into()])?;
        }
        Ok(())
    }

    /// Keeps the log short, where copies do not ask.
    pub fn trim_log(&self) -> Result<(), SqlError> {
        if self.has_log()? {
            let text = "DELETE FROM change WHERE number < (SELECT max(number) FROM change) - ?";
            self.store.sql.query(text, &[KEPT.into()])?;
        }
        Ok(())
    }

    /// What a copy that has come so far is to take over next, made of at most so many rows or entries. There has
    /// to be a log.
    pub fn changes(&self, since: Option<&Mark>, entries: i64) -> Result<Page, SqlError> {
        let log = self.store.state(LOG)?.ok_or_else(|| SqlError::new("there is no log of changes"))?;
        let known = match since {
            Some(mark) if mark.log == log && self.reaches(mark.number)? => Some(mark.clone()),
            _ => None,
        };
        let anew = known.is_none();
        let mark = match known {
            Some(mark) => mark,
            None => Mark { log, number: self.last_entry()?, rest: Some(Rest::Resources(0)) },
        };
        let mut page = Page {
            mark,
            more: true,
            anew,
            resources: Vec::new(),
            gone: Vec::new(),
            members: Vec::new(),
            left: Vec::new(),
            extensions: None,
            tally: self.tallies()?,
            generation: self.store.generation()?,
        };
        match page.mark.rest.clone() {
            Some(Rest::Resources(after)) => self.add_resources(after, entries, &mut page)?,
            Some(Rest::Members(group_seq, id)) => self.add_members(group_seq, &id, entries, &mut page)?,
            None => self.add_changes(entries, &mut page)?,
        }
        Ok(page)
    }

    fn reaches(&self, number: i64) -> Result<bool, SqlError> {
        let rows =
            self.store.sql.query("SELECT 1 FROM change WHERE number <= ? LIMIT 1", &[number.into()])?;
        Ok(!rows.is_empty())
    }

    fn last_entry(&self) -> Result<i64, SqlError> {
        let rows = self.store.sql.query("SELECT max(number) FROM change", &[])?;
        rows.into_iter().next().map_or(Ok(0), |mut row| row.integer())
    }

    fn tallies(&self) -> Result<Vec<(i64, i64)>, SqlError> {
        let rows = self.store.sql.query("SELECT kind, count FROM tally", &[])?;
        rows.into_iter().map(|mut row| Ok((row.integer()?, row.integer()?))).collect()
    }

    fn add_resources(&self, after: i64, most: i64, page: &mut Page) -> Result<(), SqlError> {
        let text = "SELECT seq, length(body) FROM resource WHERE seq > ? ORDER BY seq LIMIT ?";
        let rows = self.store.sql.query(text, &[after.into(), most.into()])?;
        let (mut seqs, mut characters) = (Vec::new(), 0_i64);
        for mut row in rows {
            if characters > CHARACTERS {
                break;
            }
            seqs.push(row.integer()?);
            characters = characters.saturating_add(row.integer()?);
        }
        page.mark.rest = Some(match seqs.last() {
            Some(last) => Rest::Resources(*last),
            None => Rest::Members(0, String::new()),
        });
        page.resources = self.resources(&seqs)?;
        Ok(())
    }

    fn add_members(&self, group_seq: i64, id: &str, most: i64, page: &mut Page) -> Result<(), SqlError> {
        let text = "SELECT group_seq, member_id, kind, display FROM member
            WHERE (group_seq, member_id) > (?, ?) ORDER BY group_seq, member_id LIMIT ?";
        let rows = self.store.sql.query(text, &[group_seq.into(), id.into(), most.into()])?;
        page.members = rows.into_iter().map(member).collect::<Result<_, _>>()?;
        page.mark.rest =
            page.members.last().map(|last| Rest::Members(last.group_seq, last.member_id.clone()));
        if page.mark.rest.is_none() {
            page.extensions = Some(self.extensions()?);
        }
        Ok(())
    }

    fn add_changes(&self, most: i64, page: &mut Page) -> Result<(), SqlError> {
        let text = "SELECT number, kind, seq, id FROM change WHERE number > ? ORDER BY number LIMIT ?";
        let rows = self.store.sql.query(text, &[page.mark.number.into(), most.into()])?;
        let entry =
            |mut row: Row| Ok((row.integer()?, row.integer()?, row.maybe_integer()?, row.maybe_text()?));
        let entries: Vec<_> = rows.into_iter().map(entry).collect::<Result<_, SqlError>>()?;
        let touched: HashSet<i64> = entries
            .iter()
            .filter(|(_, kind, ..)| *kind == RESOURCE)
            .filter_map(|(_, _, seq, _)| *seq)
            .collect();
        let lengths = self.lengths(&touched)?;
        let (mut seqs, mut members, mut characters) = (Vec::new(), Vec::new(), 0_i64);
        let mut taken = 0_usize;
        for (number, kind, seq, id) in &entries {
            if characters > CHARACTERS {
                break;
            }
            match (*kind, seq, id) {
                (RESOURCE, Some(seq), _) if !seqs.contains(seq) => {
                    seqs.push(*seq);
                    characters = characters.saturating_add(lengths.get(seq).copied().unwrap_or(0));
                }
                (MEMBER, Some(group_seq), Some(id)) => members.push((*group_seq, id.clone())),
                (EXTENSION, ..) if page.extensions.is_none() => page.extensions = Some(self.extensions()?),
                _ => {}
            }
            page.mark.number = *number;
            taken = taken.saturating_add(1);
        }
        page.more = taken < entries.len() || i64::try_from(taken).unwrap_or(i64::MAX) >= most;
        page.resources = self.resources(&seqs)?;
        let there: HashSet<i64> = page.resources.iter().map(|row| row.seq).collect();
        page.gone = seqs.into_iter().filter(|seq| !there.contains(seq)).collect();
        page.members = self.members_named(&members)?;
        let there: HashSet<(i64, &str)> =
            page.members.iter().map(|row| (row.group_seq, row.member_id.as_str())).collect();
        members.retain(|(group_seq, id)| !there.contains(&(*group_seq, id.as_str())));
        page.left = members;
        Ok(())
    }

    fn lengths(&self, seqs: &HashSet<i64>) -> Result<HashMap<i64, i64>, SqlError> {
        let text = "SELECT seq, length(body) FROM resource WHERE seq IN (SELECT value FROM json_each(?))";
        let rows = self.store.sql.query(text, &[json!(seqs).to_string().as_str().into()])?;
        rows.into_iter().map(|mut row| Ok((row.integer()?, row.integer()?))).collect()
    }

    fn resources(&self, seqs: &[i64]) -> Result<Vec<ResourceRow>, SqlError> {
        let text =
            "SELECT seq, kind, id, name, external_id, display, created, modified, version, origin_meta,
                body
            FROM resource WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq";
        let rows = self.store.sql.query(text, &[json!(seqs).to_string().as_str().into()])?;
        let resource = |mut row: Row| {
            Ok(ResourceRow {
                seq: row.integer()?,
                kind: row.integer()?,
                id: row.text()?,
                name: row.text()?,
                external_id: row.maybe_text()?,
                display: row.maybe_text()?,
                created: row.integer()?,
                modified: row.integer()?,
                version: row.integer()?,
                origin_meta: row.maybe_text()?,
                body: row.text()?,
            })
        };
        rows.into_iter().map(resource).collect()
    }

    fn members_named(&self, named: &[(i64, String)]) -> Result<Vec<MemberRow>, SqlError> {
        let text = "SELECT DISTINCT group_seq, member_id, kind, display FROM json_each(?) j JOIN member
            ON group_seq = json_extract(j.value, '$[0]') AND member_id = json_extract(j.value, '$[1]')";
        let rows = self.store.sql.query(text, &[json!(named).to_string().as_str().into()])?;
        rows.into_iter().map(member).collect()
    }

    fn extensions(&self) -> Result<Vec<ExtensionRow>, SqlError> {
        let rows = self.store.sql.query("SELECT urn, kind, definition, learned FROM extension", &[])?;
        let extension = |mut row: Row| {
            Ok(ExtensionRow {
                urn: row.text()?,
                kind: row.integer()?,
                definition: row.text()?,
                learned: row.integer()?,
            })
        };
        rows.into_iter().map(extension).collect()
    }
}

fn member(mut row: Row) -> Result<MemberRow, SqlError> {
    Ok(MemberRow {
        group_seq: row.integer()?,
        member_id: row.text()?,
        kind: row.maybe_integer()?,
        display: row.maybe_text()?,
    })
}
