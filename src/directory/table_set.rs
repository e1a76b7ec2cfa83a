//! Table sets: the tables of one directory beside those of another, in the same database.
//!
//! The set in use has the plain names. A set that is being filled, or that is kept after a switch, has the number of
//! its set in front of each name. A [`TableSet`] rewrites the names in a statement, so that the code that reads and
//! writes the set in use works on any other one. A switch renames tables ([`crate::switch`]) and copies no row.
//!
//! SQLite renames a table without its indexes. INVARIANT: the indexes of set `n` carry the number `n`, whether the set
//! is in use or not, so that no two sets ever want the same name for an index.

use crate::sql::{Bind, Row, Sql, SqlError};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The tables that hold resources, which a switch exchanges.
pub(crate) const EXCHANGED: [&str; 8] =
    ["resource", "email", "member", "tally", "extension", "set_aside", "unique_value", "schema_version"];

/// A table of each set that stays: the set in use also has the account's own entries in it.
pub(crate) const STATE: &str = "state";

/// How many rewritten statements are kept: more than there are but for those that are made up once.
const STATEMENTS: usize = 256;

/// The words before a table's name.
const BEFORE: [&str; 7] = ["FROM", "JOIN", "INTO", "UPDATE", "TABLE", "EXISTS", "ON"];

/// A database as one of its table sets sees it.
pub struct TableSet<S> {
    sql: S,
    /// None: the set in use.
    beside: Option<Beside>,
}

struct Beside {
    number: i64,
    statements: RefCell<HashMap<String, Rc<str>>>,
}

impl<S> TableSet<S> {
    /// The set in use.
    pub fn in_use(sql: S) -> Self {
        Self { sql, beside: None }
    }

    /// The set of a number, which is not in use.
    pub fn beside(sql: S, number: i64) -> Self {
        Self { sql, beside: Some(Beside { number, statements: RefCell::default() }) }
    }
}

impl Beside {
    fn statement(&self, text: &str) -> Rc<str> {
        let mut statements = self.statements.borrow_mut();
        if let Some(known) = statements.get(text) {
            return known.clone();
        }
        let rewritten: Rc<str> = rewrite(text, &prefix(self.number)).into();
        if statements.len() < STATEMENTS {
            statements.insert(text.to_owned(), rewritten.clone());
        }
        rewritten
    }
}

impl<S: Sql> Sql for TableSet<S> {
    fn query(&self, text: &str, binds: &[Bind<'_>]) -> Result<Vec<Row>, SqlError> {
        match &self.beside {
            None => self.sql.query(text, binds),
            Some(beside) => self.sql.query(&beside.statement(text), binds),
        }
    }

    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.sql.transaction(body)
    }
}

/// The beginning of the names of a set's tables while it is not in use.
pub(crate) fn prefix(number: i64) -> String {
    format!("s{number}_")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The words of a statement with the text between them: each is a word and what follows it.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.bytes().position(|byte| !is_word(byte)).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end)?;
        // A literal is no word, whatever is in it.
        let mut in_literal = false;
        let gap = after.bytes().position(|byte| {
            in_literal ^= byte == b'\'';
            !in_literal && is_word(byte)
        });
        let (between, next) = after.split_at_checked(gap.unwrap_or(after.len()))?;
        rest = next;
        Some((word, between))
    })
}

/// A statement about the set in use as one about the set with this prefix. A table's name is one after a word that
/// names tables, or before the dot of a column.
fn rewrite(text: &str, prefix: &str) -> String {
    let mut rewritten = String::with_capacity(text.len().saturating_add(32));
    let mut before = "";
    for (word, between) in words(text) {
        let is_table = EXCHANGED.contains(&word) || word == STATE;
        if is_table && (BEFORE.contains(&before) || between.starts_with('.')) {
            rewritten.push_str(prefix);
        }
        rewritten.push_str(word);
        rewritten.push_str(between);
        before = word;
    }
    rewritten
}

/// Whether a step of the migrations concerns the tables of a set, rather than the account's.
pub(crate) fn concerns_set(step: &str) -> bool {
    named_index(step).is_some_and(is_of_set) || rewrite(step, "x_") != step
}

/// Whether an index is on a table that switches exchange: such an index begins with the name of its table.
fn is_of_set(index: &str) -> bool {
    EXCHANGED.iter().any(|table| index.strip_prefix(table).is_some_and(|rest| rest.starts_with('_')))
}

/// The index that a statement makes or drops.
fn named_index(statement: &str) -> Option<&str> {
    let mut words = words(statement).map(|(word, _)| word);
    words.find(|word| *word == "INDEX")?;
    words.next()
}

/// A step of the migrations with the index's name as the set of this number has it.
pub(crate) fn with_index_of(number: i64, step: &str) -> String {
    match named_index(step) {
        Some(index) if number > 0 && is_of_set(index) => {
            step.replacen(&format!("INDEX {index}"), &format!("INDEX {}{index}", prefix(number)), 1)
        }
        _ => step.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_renamed_and_columns_and_literals_are_not() {
        let pairs = [
            (
                "SELECT seq FROM resource WHERE id = ? AND resource.kind = 'FROM resource'",
                "SELECT seq FROM s2_resource WHERE id = ? AND s2_resource.kind = 'FROM resource'",
            ),
            (
                "SELECT 1 FROM inside JOIN member m ON m.group_seq = inside.seq JOIN resource r ON r.id = m.member_id",
                "SELECT 1 FROM inside JOIN s2_member m ON m.group_seq = inside.seq JOIN s2_resource r ON r.id = m.member_id",
            ),
            (
                "INSERT INTO email (value) SELECT 1 ON CONFLICT (urn) DO UPDATE SET state = 1",
                "INSERT INTO s2_email (value) SELECT 1 ON CONFLICT (urn) DO UPDATE SET state = 1",
            ),
            (
                "CREATE TABLE IF NOT EXISTS schema_version (number)",
                "CREATE TABLE IF NOT EXISTS s2_schema_version (number)",
            ),
            ("UPDATE tally SET count = 0", "UPDATE s2_tally SET count = 0"),
            ("SELECT resource_id FROM audit", "SELECT resource_id FROM audit"),
            ("SELECT state, member FROM intent", "SELECT state, member FROM intent"),
        ];
        for (plain, beside) in pairs {
            assert_eq!(rewrite(plain, "s2_"), beside);
        }
    }

    #[test]
    fn steps_of_a_set_are_told_from_those_of_the_account() {
        assert!(concerns_set("CREATE INDEX member_above ON member (member_id)"));
        assert!(concerns_set("DROP INDEX resource_kind"));
        assert!(concerns_set("ALTER TABLE extension ADD COLUMN learned"));
        assert!(!concerns_set("CREATE TABLE seen (page INTEGER PRIMARY KEY, seqs TEXT NOT NULL) STRICT"));
        assert!(!concerns_set(crate::audit::TABLE));
        assert_eq!(with_index_of(0, "DROP INDEX resource_kind"), "DROP INDEX resource_kind");
        assert_eq!(with_index_of(4, "DROP INDEX resource_kind"), "DROP INDEX s4_resource_kind");
        let of_account = "CREATE INDEX audit_former ON audit (resource_type)";
        assert!(!concerns_set(of_account));
        assert_eq!(with_index_of(4, of_account), of_account, "it stays when sets are exchanged");
        assert_eq!(
            with_index_of(4, "CREATE UNIQUE INDEX resource_id ON resource (id, kind)"),
            "CREATE UNIQUE INDEX s4_resource_id ON resource (id, kind)"
        );
    }
}
