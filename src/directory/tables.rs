//! The tables, and how they come to be.
//!
//! - `resource`: one row each. `body` is what the client wrote, ready to send but for its end: without
//!   `meta`, `groups` and `members`. `name` is the folded `userName` or `displayName`. The rows of a kind
//!   are paged through `resource_names`, whose entries are small however long the bodies are.
//! - `email`: folded addresses, to find users by.
//! - `member`: one row for each member of a group, so that adding one writes one; `member_of` leads from
//!   a member to its groups.
//! - `audit` and `activity`: who changed what, and how much happened; see the modules of these names.
//! - `refusal`: which entries of the audit this hour's refused requests are counted in; see `refusals.rs`.
//! - `change`: what copies near callers have to take over, only while there are some; see `changes.rs`.
//! - `deleted` and `deleted_links`: deleted resources, while they can be restored; see `deleted.rs`.
//! - `tally`: how many resources there are of each kind, kept by the transactions that change them.
//!
//! Creating a user writes at most eight rows (the resource and its four indexes, an e-mail, the tally, the
//! audit). Changing an attribute that no other index holds writes three: the resource, the audit, and
//! `resource_names`, which is made of the body, so that SQLite writes its entry anew with every body.

use crate::sql::{Bind, Sql, SqlError};
use crate::table_set::{concerns_set, with_index_of};

/// Each step makes the tables of its number out of those of the number before.
const STEPS: [&[&str]; 12] = [
    &[
        "CREATE TABLE resource (
        seq INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL,
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        external_id TEXT,
        display TEXT,
        created INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        version INTEGER NOT NULL,
        origin_meta TEXT,
        body TEXT NOT NULL
    ) STRICT",
        "CREATE UNIQUE INDEX resource_id ON resource (id, kind)",
        "CREATE INDEX resource_kind ON resource (kind)",
        "CREATE INDEX resource_name ON resource (name, kind)",
        "CREATE INDEX resource_external_id ON resource (external_id) WHERE external_id IS NOT NULL",
        "CREATE TABLE email (value TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (value, seq)) STRICT, WITHOUT ROWID",
        "CREATE TABLE member (
        group_seq INTEGER NOT NULL,
        member_id TEXT NOT NULL,
        kind INTEGER,
        display TEXT,
        PRIMARY KEY (group_seq, member_id)
    ) STRICT, WITHOUT ROWID",
        "CREATE INDEX member_of ON member (member_id)",
        "CREATE TABLE tally (kind INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT",
        "INSERT INTO tally (kind, count) VALUES (0, 0), (1, 0)",
        "CREATE TABLE extension (urn TEXT PRIMARY KEY, kind INTEGER NOT NULL, definition TEXT NOT NULL) STRICT",
        "CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
        "CREATE TABLE intent (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        kind INTEGER NOT NULL,
        id TEXT,
        method TEXT NOT NULL,
        at INTEGER NOT NULL,
        unknown INTEGER NOT NULL
    ) STRICT",
    ],
    // Whether a schema was read from the origin, rather than registered.
    &["ALTER TABLE extension ADD COLUMN learned INTEGER NOT NULL DEFAULT 0"],
    // Names and addresses fold without regard to width and normal form: what is not ASCII is folded anew
    // by [`Store::fold_anew`].
    &[],
    // Proofs that were used (RFC 9449 §11.1), until they are too old to be used again.
    &["CREATE TABLE proof (id TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID"],
    // What the pass over the origin under way has seen: a row for each page, a JSON array of numbers.
    &["CREATE TABLE seen (page INTEGER PRIMARY KEY, seqs TEXT NOT NULL) STRICT"],
    // See `audit.rs` and `activity.rs`.
    &[crate::audit::TABLE, "CREATE TABLE activity (bucket INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT"],
    // The members that may be groups, which are few.
    &["CREATE INDEX member_above ON member (member_id) WHERE kind IS NOT 0"],
    // What a filter says of names is asked of an index, which is a fraction of the resources. `kind` and `seq`:
    // pages and scans walk a kind in the order of creation, as they walked the index that this one takes the
    // place of, so that there is none more to write. `name`: users' `userName`, groups' `displayName`.
    // `displayName`: users' own. The difference of the lengths is not 0 where the body has a character that is
    // not ASCII: a scan has to know that of every body, and counting takes as long as looking for a text. SQLite
    // takes both expressions from here for queries that use the very same ones.
    &[
        "DROP INDEX resource_kind",
        "CREATE INDEX resource_names ON resource
            (kind, seq, name, body ->> 'displayName', octet_length(body) - length(body))",
    ],
    // See `deleted.rs`, and `changed_names.rs` and `history.rs` for the columns of the audit.
    &[
        "CREATE TABLE deleted (
            number INTEGER PRIMARY KEY,
            kind INTEGER NOT NULL,
            id TEXT NOT NULL,
            name TEXT NOT NULL,
            created INTEGER NOT NULL,
            version INTEGER NOT NULL,
            at INTEGER NOT NULL,
            source TEXT NOT NULL,
            principal TEXT,
            request_id TEXT,
            origin TEXT,
            attempted INTEGER,
            restored_as TEXT,
            links TEXT NOT NULL,
            body TEXT NOT NULL
        ) STRICT",
        "CREATE TABLE deleted_links (
            number INTEGER NOT NULL,
            part INTEGER NOT NULL,
            links TEXT NOT NULL,
            PRIMARY KEY (number, part)
        ) STRICT, WITHOUT ROWID",
        crate::audit::COLUMNS[0],
        crate::audit::COLUMNS[1],
        // The few entries of restores at an origin.
        "CREATE INDEX audit_former ON audit (resource_type) WHERE former_id IS NOT NULL",
    ],
    // Resources of the origin that are not kept (`set_aside.rs`), and the few bodies that are long (`length.rs`): its
    // queries have the very same condition.
    &[
        "CREATE TABLE set_aside (kind INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID",
        "CREATE INDEX resource_long ON resource (kind, seq, octet_length(body)) WHERE octet_length(body) > 4096",
    ],
    // See `refusals.rs`.
    &[crate::refusals::TABLE],
    // See `unique.rs`.
    &[
        "CREATE TABLE unique_value (
        attribute TEXT NOT NULL,
        value TEXT NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (attribute, value, seq)
    ) STRICT, WITHOUT ROWID",
        "CREATE INDEX unique_value_of ON unique_value (seq)",
    ],
];

/// The number of the last step.
pub(crate) const VERSION: usize = STEPS.len();

/// The number of the step that changed how texts fold.
pub(crate) const FOLDING: i64 = 3;

/// The number of the step that made the table of unique values.
pub(crate) const UNIQUE: i64 = 12;

/// Brings the tables of a set up to date. Returns the version they had, 0 for none. `number` is the set's; the
/// account's own tables are those of the set in use.
pub(crate) fn migrate<S: Sql>(sql: &S, number: i64, is_in_use: bool) -> Result<i64, SqlError> {
    sql.query("CREATE TABLE IF NOT EXISTS schema_version (number INTEGER NOT NULL) STRICT", &[])?;
    let current = match sql.query("SELECT number FROM schema_version", &[])?.into_iter().next() {
        Some(mut row) => row.integer()?,
        None => 0,
    };
    for (step_number, step) in (1_i64..).zip(STEPS).filter(|(number, _)| *number > current) {
        sql.transaction(|| {
            for statement in step.iter().filter(|statement| is_in_use || concerns_set(statement)) {
                sql.query(&with_index_of(number, statement), &[])?;
            }
            sql.query("DELETE FROM schema_version", &[])?;
            sql.query("INSERT INTO schema_version (number) VALUES (?)", &[Bind::from(step_number)])?;
            Ok::<(), SqlError>(())
        })?;
    }
    Ok(current)
}
