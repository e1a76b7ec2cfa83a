//! Refused requests in the audit: alike ones of an hour are one entry, and their number is bounded.
//!
//! Strangers cause as many refusals as they like. These have entries of their own, so few that they fill no storage,
//! and never take those of callers with credentials of the account. The bounds of an hour are in a table: an
//! object that starts again goes on counting where it was.

use crate::audit::{self, Entry};
use crate::sql::{Bind, Row, Sql, SqlError};

/// The table: the entries of this hour's refusals.
pub const TABLE: &str = "CREATE TABLE refusal (
        hour INTEGER NOT NULL,
        class TEXT NOT NULL,
        operation TEXT NOT NULL,
        reason TEXT NOT NULL,
        status INTEGER NOT NULL,
        entry INTEGER NOT NULL,
        PRIMARY KEY (hour, class, operation, reason, status)
    ) STRICT, WITHOUT ROWID";

const HOUR_MS: i64 = 3_600_000;

/// The class of callers without credentials of the account.
const STRANGERS: &str = "strangers";

/// The class of all callers with credentials, for the excess over their common bound.
const PRINCIPALS: &str = "principals";

/// The most entries of one class in an hour. One more entry counts the excess.
pub const ENTRIES: i64 = 50;
/// The most entries of all principals together in an hour.
pub const ENTRIES_OF_PRINCIPALS: i64 = 1_000;

/// The operation and the reason of the entry that counts the excess.
const OTHER: &str = "other";

/// Notes refusals, each of which may stand for several that are alike.
pub fn note<S: Sql>(sql: &S, refused: &[Entry], now_ms: i64) -> Result<(), SqlError> {
    let hour = now_ms.div_euclid(HOUR_MS);
    sql.query("DELETE FROM refusal WHERE hour <> ?", &[hour.into()])?;
    refused.iter().try_for_each(|entry| note_one(sql, hour, entry))
}

fn note_one<S: Sql>(sql: &S, hour: i64, entry: &Entry) -> Result<(), SqlError> {
    // No principal has such a name: it begins as none does.
    let class = entry.principal.as_ref().map_or_else(|| STRANGERS.to_owned(), |name| format!("={name}"));
    if add_to(sql, hour, &class, entry)? {
        return Ok(());
    }
    let is_full =
        count(sql, "SELECT count(*) FROM refusal WHERE hour = ? AND class = ?", hour, &class)? >= ENTRIES;
    let is_crowded = entry.principal.is_some()
        && count(sql, "SELECT count(*) FROM refusal WHERE hour = ? AND class <> ?", hour, STRANGERS)?
            >= ENTRIES_OF_PRINCIPALS;
    if !is_full && !is_crowded {
        return begin(sql, hour, &class, entry);
    }
    let (class, principal) = match is_crowded {
        true => (PRINCIPALS.to_owned(), None),
        false => (class, entry.principal.clone()),
    };
    let other = Entry {
        operation: OTHER.to_owned(),
        reason: Some(OTHER.to_owned()),
        status: 0,
        principal,
        request_id: None,
        ..entry.clone()
    };
    if add_to(sql, hour, &class, &other)? { Ok(()) } else { begin(sql, hour, &class, &other) }
}

/// Counts a refusal in the entry of those like it, if there is one.
fn add_to<S: Sql>(sql: &S, hour: i64, class: &str, entry: &Entry) -> Result<bool, SqlError> {
    let text = "UPDATE audit SET count = count + ? WHERE id =
        (SELECT entry FROM refusal WHERE hour = ? AND class = ? AND operation = ? AND reason = ? AND status = ?)
        RETURNING 1";
    let [hour, class, operation, reason, status] = key(hour, class, entry);
    let rows = sql.query(text, &[i64::from(entry.count).into(), hour, class, operation, reason, status])?;
    Ok(!rows.is_empty())
}

/// Adds an entry for refusals like this one.
fn begin<S: Sql>(sql: &S, hour: i64, class: &str, entry: &Entry) -> Result<(), SqlError> {
    let id = audit::add(sql, entry)?;
    let text = "INSERT INTO refusal (hour, class, operation, reason, status, entry) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET entry = excluded.entry";
    let [hour, class, operation, reason, status] = key(hour, class, entry);
    sql.query(text, &[hour, class, operation, reason, status, id.into()])?;
    Ok(())
}

fn key<'a>(hour: i64, class: &'a str, entry: &'a Entry) -> [Bind<'a>; 5] {
    let reason = entry.reason.as_deref().unwrap_or_default();
    [
        hour.into(),
        class.into(),
        entry.operation.as_str().into(),
        reason.into(),
        i64::from(entry.status).into(),
    ]
}

fn count<S: Sql>(sql: &S, text: &str, hour: i64, class: &str) -> Result<i64, SqlError> {
    let rows = sql.query(text, &[hour.into(), class.into()])?;
    rows.into_iter().next().unwrap_or_else(Row::default).integer()
}
