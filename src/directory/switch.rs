//! A switch: another set of tables takes the place of the one in use, and nothing is lost by it.
//!
//! The new set is filled beside the one in use ([`crate::table_set`]), which answers as before. The exchange is one
//! transaction that renames tables: it has happened or it has not, and it takes as long for a million resources as
//! for one. The tables that were in use are kept for [`KEPT_MS`], and can be put back, which is a switch too.
//!
//! **Writes meanwhile.** A copy goes on taking writes to its origin while the new set is filled from what may be the
//! same origin at another address, or the same one again. Triggers write down which resources changed, in the
//! transaction that changes them; before the exchange each of them is read again from the new origin. So the new set
//! is never behind what the old one has shown.

use crate::Directory;
use crate::confirm::kept_in_place_of;
use crate::deleted::{Deletion, Source};
use crate::replica::{CIRCUIT, STATE as REPLICA, State};
use crate::sql::{Row, Sql, SqlError};
use crate::store::kind_of;
use crate::table_set::{EXCHANGED, STATE, TableSet, prefix};
use scim_edge_scim::endpoint::Kind;
use serde::{Deserialize, Serialize};

/// How long a set is kept after a switch, in milliseconds.
pub const KEPT_MS: i64 = 30 * 86_400_000;

/// How many sets are kept. Beyond that the oldest copy of an origin goes, which the origin still has.
pub const KEPT: usize = 4;

/// How many resources that a resync does not find any more are kept among the deleted ones.
const MISSING: i64 = 1_000;

/// The name of the account's table sets among its state.
const SETS: &str = "sets";

/// What a switch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The origin was set or changed.
    Change,
    /// The same origin is read into a set of its own.
    Resync,
    /// A kept set is put back.
    Undo,
    /// An export was taken over.
    Import,
}

/// A switch that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Switch {
    /// The number of the set that will be in use.
    pub number: i64,
    /// What it is for.
    pub reason: Reason,
    /// The new origin; none: the set is a system of record.
    pub origin: Option<String>,
    /// When it began, in milliseconds since the epoch.
    pub began: i64,
    /// The settings that are in force until the exchange: a text of the host's own.
    pub active: String,
    /// How many times in a row the new set could not be filled.
    #[serde(default)]
    pub failures: u32,
    /// The last of these failures, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// When the next attempt is made, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<i64>,
    /// The set that is put back, as it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

/// What was in use before a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The number of the set; none where a copy became the system of record: its origin still has everything.
    pub number: Option<i64>,
    /// The origin that it was a copy of; none: it was a system of record.
    pub origin: Option<String>,
    /// The settings that it was used with: a text of the host's own.
    pub settings: String,
    /// How many users it has.
    pub users: i64,
    /// How many groups it has.
    pub groups: i64,
    /// When it ceased to be in use, in milliseconds since the epoch.
    pub since: i64,
    /// Until when it is kept.
    pub until: i64,
}

/// The table sets of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sets {
    /// The number of the set in use.
    pub in_use: i64,
    /// The highest number that a set has had.
    pub last: i64,
    /// The switch under way.
    pub switch: Option<Switch>,
    /// What was in use before, the newest last.
    pub kept: Vec<Kept>,
    /// The last order to put a set back that was followed: each is followed once.
    pub followed: u64,
}

impl Kept {
    /// The words that confirm to put it back in the place of so many users and groups.
    pub fn confirmation(&self, users: i64, groups: i64) -> String {
        kept_in_place_of(self.users, self.groups, users, groups)
    }
}

/// Triggers on the tables in use, while a copy is being switched.
const TRIGGERS: [(&str, &str); 6] = [
    (
        "changed_resource_made",
        "INSERT ON resource BEGIN INSERT INTO changed (kind, id) VALUES (new.kind, new.id)
            ON CONFLICT (kind, id) DO UPDATE SET times = times + 1; END",
    ),
    (
        "changed_resource_set",
        "UPDATE ON resource BEGIN INSERT INTO changed (kind, id) VALUES (new.kind, new.id)
            ON CONFLICT (kind, id) DO UPDATE SET times = times + 1; END",
    ),
    (
        "changed_resource_gone",
        "DELETE ON resource BEGIN INSERT INTO changed (kind, id) VALUES (old.kind, old.id)
            ON CONFLICT (kind, id) DO UPDATE SET times = times + 1; END",
    ),
    (
        "changed_member_made",
        "INSERT ON member BEGIN INSERT INTO changed (kind, id)
            SELECT kind, id FROM resource WHERE seq = new.group_seq
            ON CONFLICT (kind, id) DO UPDATE SET times = times + 1; END",
    ),
    (
        "changed_member_set",
        "UPDATE ON member BEGIN INSERT INTO changed (kind, id)
            SELECT kind, id FROM resource WHERE seq = new.group_seq
            ON CONFLICT (kind, id) DO UPDATE SET times = times + 1; END",
    ),
    (
        "changed_member_gone",
        "DELETE ON member BEGIN INSERT INTO changed (kind, id)
            SELECT kind, id FROM resource WHERE seq = old.group_seq
            ON CONFLICT (kind, id) DO UPDATE SET times = times + 1; END",
    ),
];

/// A resource that has changed since a switch began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its type.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// How often it had changed when this was read.
    times: i64,
}

/// Reads the number of the set in use, before the tables are brought up to date.
pub(crate) fn number_in_use<S: Sql>(sql: &S) -> Result<i64, SqlError> {
    let text = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'state'";
    if sql.query(text, &[])?.is_empty() {
        return Ok(0);
    }
    let rows = sql.query("SELECT value FROM state WHERE name = ?", &[SETS.into()])?;
    let text = rows.into_iter().next().map(|mut row| row.text()).transpose()?;
    Ok(text.map_or(Ok(Sets::default()), |text| parse(&text))?.in_use)
}

/// INVARIANT: the number in use is never guessed; by a wrong one indexes would be looked for under wrong names.
fn parse(text: &str) -> Result<Sets, SqlError> {
    serde_json::from_str(text).map_err(|_| SqlError::new("the table sets cannot be read"))
}

/// The set in use, which leads to the others.
impl<S: Sql> Directory<S> {
    /// The table sets of the account.
    pub fn sets(&self) -> Result<Sets, SqlError> {
        self.store.state(SETS)?.map_or(Ok(Sets::default()), |text| parse(&text))
    }

    /// Stores what is known of the table sets.
    pub fn set_sets(&self, sets: &Sets) -> Result<(), SqlError> {
        let text = serde_json::to_string(sets).map_err(|error| SqlError::new(error.to_string()))?;
        self.store.set_state(SETS, &text)
    }

    /// Begins a switch to a new set, which is empty until it is filled.
    pub fn begin_switch(
        &self,
        reason: Reason,
        origin: &str,
        active: &str,
        now_ms: i64,
    ) -> Result<(), SqlError> {
        let mut sets = self.sets()?;
        let number = sets.last.saturating_add(1);
        sets.last = number;
        sets.switch = Some(Switch {
            number,
            reason,
            origin: Some(origin.to_owned()),
            began: now_ms,
            active: active.to_owned(),
            failures: 0,
            last_failure: None,
            next_attempt: None,
            kept: None,
        });
        self.store.sql.transaction(|| {
            self.watch_changes()?;
            self.set_sets(&sets)
        })
    }

    /// Begins a switch back to a kept set.
    pub fn begin_undo(&self, number: i64, active: &str, now_ms: i64) -> Result<(), SqlError> {
        let mut sets = self.sets()?;
        let Some(place) = sets.kept.iter().position(|kept| kept.number == Some(number)) else {
            return Err(SqlError::new("that set is not kept"));
        };
        let kept = sets.kept.remove(place);
        sets.switch = Some(Switch {
            number,
            reason: Reason::Undo,
            origin: kept.origin.clone(),
            began: now_ms,
            active: active.to_owned(),
            failures: 0,
            last_failure: None,
            next_attempt: None,
            kept: Some(kept),
        });
        self.set_sets(&sets)
    }

    /// Ends a switch that is not wanted any more: the set in use stays.
    pub fn cancel_switch(&self) -> Result<(), SqlError> {
        let mut sets = self.sets()?;
        let Some(switch) = sets.switch.take() else { return Ok(()) };
        self.store.sql.transaction(|| {
            self.unwatch_changes()?;
            match switch.kept {
                Some(kept) => sets.kept.push(kept),
                None => self.drop_set(switch.number)?,
            }
            self.set_sets(&sets)
        })
    }

    /// Numbers the set that an import fills.
    pub fn begin_import(&self) -> Result<i64, SqlError> {
        let mut sets = self.sets()?;
        sets.last = sets.last.saturating_add(1);
        self.set_sets(&sets)?;
        Ok(sets.last)
    }

    /// Drops the set of an import.
    pub fn drop_import(&self, number: i64) -> Result<(), SqlError> {
        self.store.sql.transaction(|| self.drop_set(number))
    }

    /// Exchanges the set in use for that of an import. Returns until when the old one is kept.
    pub fn exchange_import(&self, number: i64, settings: &str, now_ms: i64) -> Result<i64, SqlError> {
        let switch = Switch {
            number,
            reason: Reason::Import,
            origin: None,
            began: now_ms,
            active: String::new(),
            failures: 0,
            last_failure: None,
            next_attempt: None,
            kept: None,
        };
        self.exchange_for(self.sets()?, switch, settings, false, now_ms)?;
        Ok(now_ms.saturating_add(KEPT_MS))
    }

    /// Exchanges the set in use for that of the switch. `settings` are those that the old one was used with.
    /// With `keep_deleted`, resources that a resync finds to be gone from the origin can be restored like others that
    /// were deleted there.
    pub fn exchange(&self, settings: &str, keep_deleted: bool, now_ms: i64) -> Result<(), SqlError> {
        let mut sets = self.sets()?;
        let Some(switch) = sets.switch.take() else { return Err(SqlError::new("there is no switch")) };
        self.exchange_for(sets, switch, settings, keep_deleted, now_ms)
    }

    fn exchange_for(
        &self,
        mut sets: Sets,
        switch: Switch,
        settings: &str,
        keep_deleted: bool,
        now_ms: i64,
    ) -> Result<(), SqlError> {
        let old = sets.in_use;
        let (out, into) = (prefix(old), prefix(switch.number));
        // An origin that was removed is set again, or another one is.
        sets.kept.retain(|kept| kept.number.is_some());
        sets.kept.push(Kept {
            number: Some(old),
            origin: self.replica()?.map(|state| state.origin),
            settings: settings.to_owned(),
            users: self.store.count(Kind::User)?,
            groups: self.store.count(Kind::Group)?,
            since: now_ms,
            until: now_ms.saturating_add(KEPT_MS),
        });
        sets.in_use = switch.number;
        let sql = &self.store.sql;
        sql.transaction(|| {
            // Read copies begin anew: their rows are of other tables.
            self.end_log()?;
            self.unwatch_changes()?;
            self.begin_pass()?;
            if keep_deleted && switch.reason == Reason::Resync {
                self.keep_missing(&into, now_ms)?;
            }
            for table in EXCHANGED {
                sql.query(&format!("ALTER TABLE {table} RENAME TO {out}{table}"), &[])?;
                sql.query(&format!("ALTER TABLE {into}{table} RENAME TO {table}"), &[])?;
            }
            // Schemas that were registered are the account's; a kept set has those that its resources need.
            let or = if switch.kept.is_some() { "IGNORE" } else { "REPLACE" };
            sql.query(
                &format!(
                    "INSERT OR {or} INTO extension (urn, kind, definition, learned)
                        SELECT urn, kind, definition, 0 FROM {out}extension WHERE learned = 0"
                ),
                &[],
            )?;
            // INVARIANT: a cursor never meets another resource with a number that it holds.
            self.store.set_generation(self.store.generation()?.saturating_add(1))?;
            for name in [REPLICA, CIRCUIT] {
                self.exchange_state(&into, name)?;
            }
            sql.query(&format!("ALTER TABLE {into}{STATE} RENAME TO {out}{STATE}"), &[])?;
            if switch.origin.is_none() {
                // Nothing is on its way to an origin any more.
                sql.query("DELETE FROM intent", &[])?;
            }
            self.store.load_unique()?;
            if !self.store.unique.borrow().is_empty() {
                self.store.rebuild_unique()?;
            }
            self.drop_surplus(&mut sets)?;
            self.set_sets(&sets)
        })?;
        self.reload_schemas()
    }

    /// Keeps the resources that the new set does not have among the deleted ones. If they are many, the whole set is
    /// what can be put back.
    fn keep_missing(&self, into: &str, now_ms: i64) -> Result<(), SqlError> {
        let text = format!(
            "SELECT seq FROM resource WHERE NOT EXISTS
                (SELECT 1 FROM {into}resource n WHERE n.id = resource.id AND n.kind = resource.kind) LIMIT ?"
        );
        let missing = self.store.integers(&text, &[MISSING.saturating_add(1).into()])?;
        if i64::try_from(missing.len()).unwrap_or(i64::MAX) > MISSING {
            return Ok(());
        }
        let deletion = Deletion {
            at: now_ms,
            source: Source::Reconciliation,
            principal: None,
            request_id: None,
            keep: true,
        };
        for stored in self.store.of_seqs(&missing)? {
            self.store.keep_deleted(&stored, &deletion)?;
        }
        Ok(())
    }

    fn exchange_state(&self, into: &str, name: &str) -> Result<(), SqlError> {
        let sql = &self.store.sql;
        let table = format!("{into}{STATE}");
        let rows = sql.query(&format!("SELECT value FROM {table} WHERE name = ?"), &[name.into()])?;
        let new = rows.into_iter().next().map(|mut row| row.text()).transpose()?;
        let old = self.store.state(name)?;
        sql.query(&format!("DELETE FROM {table} WHERE name = ?"), &[name.into()])?;
        if let Some(old) = old {
            let text = format!("INSERT INTO {table} (name, value) VALUES (?, ?)");
            sql.query(&text, &[name.into(), old.as_str().into()])?;
        }
        match new {
            Some(new) => self.store.set_state(name, &new),
            None => self.store.forget_state(name),
        }
    }

    /// Remembers that the origin was removed: the tables stay in use, as the system of record.
    pub fn keep_origin(&self, origin: &str, settings: &str, now_ms: i64) -> Result<(), SqlError> {
        let mut sets = self.sets()?;
        sets.kept.retain(|kept| kept.number.is_some());
        sets.kept.push(Kept {
            number: None,
            origin: Some(origin.to_owned()),
            settings: settings.to_owned(),
            users: self.store.count(Kind::User)?,
            groups: self.store.count(Kind::Group)?,
            since: now_ms,
            until: now_ms.saturating_add(KEPT_MS),
        });
        self.set_sets(&sets)
    }

    /// Drops the sets whose time is over. Returns when the next one is, in milliseconds since the epoch.
    pub fn drop_expired(&self, now_ms: i64) -> Result<Option<i64>, SqlError> {
        let mut sets = self.sets()?;
        let (gone, kept): (Vec<Kept>, Vec<Kept>) =
            sets.kept.into_iter().partition(|kept| kept.until <= now_ms);
        sets.kept = kept;
        if !gone.is_empty() {
            self.store.sql.transaction(|| {
                gone.iter().filter_map(|kept| kept.number).try_for_each(|number| self.drop_set(number))?;
                self.set_sets(&sets)
            })?;
        }
        Ok(sets.kept.iter().map(|kept| kept.until).min())
    }

    /// Keeps the number of sets within its limit, if that loses nothing that only the gateway has.
    fn drop_surplus(&self, sets: &mut Sets) -> Result<(), SqlError> {
        while sets.kept.len() > KEPT {
            let Some(place) = sets.kept.iter().position(|kept| kept.origin.is_some()) else { return Ok(()) };
            if let Some(number) = sets.kept.remove(place).number {
                self.drop_set(number)?;
            }
        }
        Ok(())
    }

    fn drop_set(&self, number: i64) -> Result<(), SqlError> {
        for table in EXCHANGED.into_iter().chain([STATE]) {
            self.store.sql.query(&format!("DROP TABLE IF EXISTS {}{table}", prefix(number)), &[])?;
        }
        Ok(())
    }

    // Changes meanwhile ------------------------------------------------------------------------

    /// Begins to write down which resources change. A system of record needs none of it: its writes are not the
    /// origin's.
    fn watch_changes(&self) -> Result<(), SqlError> {
        if self.replica()?.is_none() {
            return Ok(());
        }
        let sql = &self.store.sql;
        sql.query(
            "CREATE TABLE changed (kind INTEGER NOT NULL, id TEXT NOT NULL, times INTEGER NOT NULL DEFAULT 1,
                PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID",
            &[],
        )?;
        for (name, body) in TRIGGERS {
            sql.query(&format!("CREATE TRIGGER {name} AFTER {body}"), &[])?;
        }
        Ok(())
    }

    fn unwatch_changes(&self) -> Result<(), SqlError> {
        for (name, _) in TRIGGERS {
            self.store.sql.query(&format!("DROP TRIGGER IF EXISTS {name}"), &[])?;
        }
        self.store.sql.query("DROP TABLE IF EXISTS changed", &[])?;
        Ok(())
    }

    /// Some of the resources that have changed since the switch began. INVARIANT: each stays among them until
    /// [`Self::settle_changed`], so that none is lost if the object is stopped before it was read from the origin.
    pub fn changed(&self, count: i64) -> Result<Vec<Changed>, SqlError> {
        if !self.watches_changes()? {
            return Ok(Vec::new());
        }
        let text = "SELECT kind, id, times FROM changed LIMIT ?";
        let one = |mut row: Row| {
            Ok(Changed { kind: kind_of(row.integer()?), id: row.text()?, times: row.integer()? })
        };
        self.store.sql.query(text, &[count.into()])?.into_iter().map(one).collect()
    }

    /// Settles a resource that was read from the origin, unless it has changed again meanwhile.
    pub fn settle_changed(&self, changed: &Changed) -> Result<(), SqlError> {
        if self.watches_changes()? {
            let Changed { kind, id, times } = changed;
            let text = "DELETE FROM changed WHERE kind = ? AND id = ? AND times = ?";
            let binds = [crate::store::number(*kind).into(), id.as_str().into(), (*times).into()];
            self.store.sql.query(text, &binds)?;
        }
        Ok(())
    }

    /// Whether resources have changed that are not settled.
    pub fn has_changed(&self) -> Result<bool, SqlError> {
        Ok(self.watches_changes()? && !self.store.sql.query("SELECT 1 FROM changed LIMIT 1", &[])?.is_empty())
    }

    fn watches_changes(&self) -> Result<bool, SqlError> {
        let text = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'changed'";
        Ok(!self.store.sql.query(text, &[])?.is_empty())
    }
}

/// A set that is not in use.
impl<S: Sql> Directory<TableSet<S>> {
    /// Opens the set of an import, and makes it where it is new.
    pub fn open_import(sql: S, number: i64) -> Result<Self, SqlError> {
        Self::open_set(TableSet::beside(sql, number), number, false)
    }

    /// Opens the set of a switch, and makes it where it is new.
    pub fn open_switch(sql: S, switch: &Switch) -> Result<Self, SqlError> {
        let set = Self::open_set(TableSet::beside(sql, switch.number), switch.number, false)?;
        if let (Some(origin), None, None) = (&switch.origin, &switch.kept, set.replica()?) {
            set.set_replica(&State::new(origin))?;
        }
        Ok(set)
    }
}
