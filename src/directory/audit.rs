//! The audit: who changed what, when, and what came of it.
//!
//! Entries are only ever added, and taken away when they are older than the account keeps them; what
//! changes in an entry is that an outcome which nobody knew becomes known, and how many refusals it counts. There is no index
//! beside the key, so that an entry costs one row: what is looked for is found by reading backwards, a
//! bounded number of entries at a time.
//!
//! An entry names people and resources and never says what was written: it holds no attribute's value.

use crate::changed_names::ChangedNames;
use crate::sql::{Bind, Row, Sql, SqlError};
use serde::{Deserialize, Serialize};

/// The table. Account objects have one of their own, for changes of settings.
pub const TABLE: &str = "CREATE TABLE IF NOT EXISTS audit (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        principal TEXT,
        subject TEXT,
        operation TEXT NOT NULL,
        resource_type TEXT,
        resource_id TEXT,
        status INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        reason TEXT,
        request_id TEXT,
        count INTEGER NOT NULL
    ) STRICT";

/// The columns that came later, as statements that add them.
pub const COLUMNS: [&str; 2] =
    ["ALTER TABLE audit ADD COLUMN attributes TEXT", "ALTER TABLE audit ADD COLUMN former_id TEXT"];

/// The id, subject or former id of an entry whose resource was erased.
pub const ERASED: &str = "erased";

/// How many entries one look goes back.
const REACH: i64 = 20_000;

/// How many entries are taken away at once.
const TRIM: i64 = 500;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Somebody wrote to the directory.
    Write,
    /// Somebody changed the account.
    Settings,
    /// Somebody was not let through.
    Refused,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was not done.
    Failed,
    /// Nobody knows.
    Unknown,
    /// It was not permitted.
    Refused,
    /// It was answered and not done: the service account is in the mode shadow.
    Shadow,
}

impl Outcome {
    /// The outcome of a write that was answered with a status.
    pub fn of_write(status: u16) -> Self {
        match status {
            ..400 => Self::Ok,
            504 => Self::Unknown,
            _ => Self::Failed,
        }
    }
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// The type's name.
    #[serde(rename = "type")]
    pub of: String,
    /// Its identifier, where it has one yet.
    pub id: Option<String>,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its place; 0 before it has one.
    #[serde(default)]
    pub id: i64,
    /// Milliseconds since the epoch.
    pub at: i64,
    /// What kind of thing happened.
    pub kind: Kind,
    /// The service account, or the key.
    pub principal: Option<String>,
    /// The subject of the token.
    pub subject: Option<String>,
    /// The operation's name.
    pub operation: String,
    /// What was changed.
    pub resource: Option<Resource>,
    /// What it was answered with; 0 where it has not been answered.
    pub status: u16,
    /// What came of it.
    pub outcome: Outcome,
    /// A code.
    pub reason: Option<String>,
    /// The request's.
    pub request_id: Option<String>,
    /// How many requests this entry stands for: refusals that are alike have one together.
    pub count: u32,
    /// The names of the attributes that a write changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<ChangedNames>,
    /// The id that a restored resource had before, if the origin gave it another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_id: Option<String>,
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// Any of these; none: of every kind.
    pub kinds: Vec<Kind>,
    /// The service account or the key.
    pub principal: Option<String>,
    /// The outcome.
    pub outcome: Option<Outcome>,
    /// The operation's name.
    pub operation: Option<String>,
    /// The identifier, or `Type/identifier`.
    pub resource: Option<String>,
    /// Any of these, as `Type/identifier`; none: of every resource.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Milliseconds since the epoch, at or after.
    pub from: Option<i64>,
    /// Milliseconds since the epoch, before.
    pub to: Option<i64>,
}

/// Entries, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where a look for more begins; none where there is nothing more.
    pub before: Option<i64>,
}

/// Makes the table, or adds the columns that it lacks.
pub fn open<S: Sql>(sql: &S) -> Result<(), SqlError> {
    sql.query(TABLE, &[])?;
    let made = sql.query("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'audit'", &[])?;
    let made = made.into_iter().next().unwrap_or_default().text()?;
    if !made.contains("former_id") {
        COLUMNS.iter().try_for_each(|column| sql.query(column, &[]).map(|_| ()))?;
    }
    Ok(())
}

/// Adds an entry, and returns its id.
pub fn add<S: Sql>(sql: &S, entry: &Entry) -> Result<i64, SqlError> {
    let text = "INSERT INTO audit (at, kind, principal, subject, operation, resource_type, resource_id,
        status, outcome, reason, request_id, count, attributes, former_id)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id";
    let resource = entry.resource.as_ref();
    let attributes = entry.attributes.as_ref().and_then(ChangedNames::to_text);
    let rows = sql.query(
        text,
        &[
            entry.at.into(),
            Bind::Text(&name(&entry.kind)),
            entry.principal.as_deref().into(),
            entry.subject.as_deref().into(),
            Bind::Text(&entry.operation),
            resource.map(|resource| resource.of.as_str()).into(),
            resource.and_then(|resource| resource.id.as_deref()).into(),
            i64::from(entry.status).into(),
            Bind::Text(&name(&entry.outcome)),
            entry.reason.as_deref().into(),
            entry.request_id.as_deref().into(),
            i64::from(entry.count).into(),
            attributes.as_deref().into(),
            entry.former_id.as_deref().into(),
        ],
    )?;
    rows.into_iter().next().unwrap_or_default().integer()
}

/// Stores the outcome of an entry that had none. A write that failed changed no attribute.
pub fn settle<S: Sql>(
    sql: &S,
    id: i64,
    status: u16,
    resource: Option<&str>,
    reason: Option<&str>,
) -> Result<(), SqlError> {
    let text = "UPDATE audit SET status = ?1, outcome = ?2, resource_id = coalesce(resource_id, ?3),
        attributes = iif(?2 = 'failed', NULL, attributes), reason = ?4 WHERE id = ?5 AND outcome = 'unknown'";
    let outcome = name(&Outcome::of_write(status));
    let status = i64::from(status);
    sql.query(text, &[status.into(), Bind::Text(&outcome), resource.into(), reason.into(), id.into()])?;
    Ok(())
}

/// The operation of an export, which is written down although it changes nothing.
pub const EXPORT: &str = "directory.export";

/// How many writes were made, or may have been made, after an entry.
pub fn writes_after<S: Sql>(sql: &S, id: i64) -> Result<u64, SqlError> {
    let text = "SELECT coalesce(sum(count), 0) FROM audit WHERE id > ? AND kind = 'write'
        AND operation <> ? AND outcome IN ('ok', 'unknown')";
    let rows = sql.query(text, &[id.into(), Bind::Text(EXPORT)])?;
    let count = rows.into_iter().next().map_or(Ok(0), |mut row| row.integer())?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// The entries before one, the newest first. A page may have fewer than `count` although there are more.
pub fn page<S: Sql>(sql: &S, filter: &Filter, before: Option<i64>, count: usize) -> Result<Page, SqlError> {
    // What does not look at the filter's texts has them all in memory: the statement stays one.
    let text = "SELECT id, at, kind, principal, subject, operation, resource_type, resource_id, status,
        outcome, reason, request_id, count, attributes, former_id
        FROM (SELECT * FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?)
        WHERE (? = '[]' OR kind IN (SELECT value FROM json_each(?)))
        AND (? IS NULL OR principal = ?) AND (? IS NULL OR outcome = ?) AND (? IS NULL OR operation = ?)
        AND (? IS NULL OR resource_id = ? OR resource_type || '/' || resource_id = ?)
        AND (? = '[]' OR resource_type || '/' || resource_id IN (SELECT value FROM json_each(?)))
        AND at >= ? AND at < ? ORDER BY id DESC LIMIT ?";
    let kinds = serde_json::to_string(&filter.kinds).unwrap_or_default();
    let resources = serde_json::to_string(&filter.resources).unwrap_or_default();
    let outcome = filter.outcome.map(|outcome| name(&outcome));
    let (principal, outcome): (Bind<'_>, Bind<'_>) =
        (filter.principal.as_deref().into(), outcome.as_deref().into());
    let (operation, resource): (Bind<'_>, Bind<'_>) =
        (filter.operation.as_deref().into(), filter.resource.as_deref().into());
    let before = before.unwrap_or(i64::MAX);
    let wanted = i64::try_from(count).unwrap_or(i64::MAX);
    let rows = sql.query(
        text,
        &[
            before.into(),
            REACH.into(),
            Bind::Text(&kinds),
            Bind::Text(&kinds),
            principal,
            principal,
            outcome,
            outcome,
            operation,
            operation,
            resource,
            resource,
            resource,
            Bind::Text(&resources),
            Bind::Text(&resources),
            filter.from.unwrap_or(0).into(),
            filter.to.unwrap_or(i64::MAX).into(),
            wanted.into(),
        ],
    )?;
    let entries = rows.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    let reached = match entries.last() {
        Some(last) if entries.len() >= count => Some(last.id),
        // Fewer than were wanted: all within reach were looked at.
        _ => {
            let text = "SELECT id FROM audit WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ?";
            let rows = sql.query(text, &[before.into(), REACH.saturating_sub(1).into()])?;
            rows.into_iter().next().map(|mut row| row.integer()).transpose()?
        }
    };
    let before = match reached {
        Some(id) => {
            let older = sql.query("SELECT 1 FROM audit WHERE id < ? LIMIT 1", &[id.into()])?;
            (!older.is_empty()).then_some(id)
        }
        None => None,
    };
    Ok(Page { entries, before })
}

/// Takes away what is older; entries are in the order of their time.
pub fn trim<S: Sql>(sql: &S, before_ms: i64) -> Result<(), SqlError> {
    let text = "DELETE FROM audit WHERE id IN
        (SELECT id FROM (SELECT id, at FROM audit ORDER BY id LIMIT ?) WHERE at < ?) RETURNING 1";
    // More than these wait for the next time: nobody is to be kept waiting for it.
    for _ in 0..20 {
        let gone = sql.query(text, &[TRIM.into(), before_ms.into()])?.len();
        if i64::try_from(gone).unwrap_or(0) < TRIM {
            break;
        }
    }
    Ok(())
}

fn entry(mut row: Row) -> Result<Entry, SqlError> {
    let (id, at) = (row.integer()?, row.integer()?);
    let kind = named(&row.text()?)?;
    let (principal, subject, operation) = (row.maybe_text()?, row.maybe_text()?, row.text()?);
    let (of, resource_id) = (row.maybe_text()?, row.maybe_text()?);
    let status = u16::try_from(row.integer()?).unwrap_or(0);
    let outcome = named(&row.text()?)?;
    let (reason, request_id) = (row.maybe_text()?, row.maybe_text()?);
    let count = u32::try_from(row.integer()?).unwrap_or(1);
    let attributes = row.maybe_text()?.and_then(|text| serde_json::from_str(&text).ok());
    let former_id = row.maybe_text()?;
    let resource = of.map(|of| Resource { of, id: resource_id });
    Ok(Entry {
        id,
        at,
        kind,
        principal,
        subject,
        operation,
        resource,
        status,
        outcome,
        reason,
        request_id,
        count,
        attributes,
        former_id,
    })
}

/// The name of a variant, as it is stored.
fn name<T: Serialize>(variant: &T) -> String {
    serde_json::to_value(variant).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

fn named<T: for<'de> Deserialize<'de>>(name: &str) -> Result<T, SqlError> {
    serde_json::from_value(name.into()).map_err(|error| SqlError::new(error.to_string()))
}
