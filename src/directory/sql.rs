//! SQLite as the directory sees it: statements with bound values, and one transaction at a time.
//!
//! What the object storage of Workers cannot do right has no form here: there is no boolean to bind
//! (it would become the text `true`), no integer beyond 2^53 (it would be rounded), and no open cursor.

use std::cell::Cell as Slot;
use std::fmt;
use std::rc::Rc;

/// A database.
pub trait Sql {
    /// Runs one statement and reads all its rows. Texts of statements are few and constant, since
    /// prepared statements are kept by their text.
    fn query(&self, text: &str, binds: &[Bind<'_>]) -> Result<Vec<Row>, SqlError>;

    /// Runs `body` in a transaction: all of its statements take effect, or, where it fails, none.
    /// A transaction within another is a part of it: if it fails, its own statements alone have no effect; if the
    /// outer one fails, none have.
    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E>;
}

impl<T: Sql> Sql for Rc<T> {
    fn query(&self, text: &str, binds: &[Bind<'_>]) -> Result<Vec<Row>, SqlError> {
        T::query(self, text, binds)
    }

    fn transaction<R, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        T::transaction(self, body)
    }
}

/// A database that counts the statements that write: where there were none, all is as it was.
pub(crate) struct Counted<S> {
    pub(crate) sql: S,
    writes: Slot<u64>,
}

impl<S> Counted<S> {
    pub(crate) fn new(sql: S) -> Self {
        Self { sql, writes: Slot::new(0) }
    }

    pub(crate) fn writes(&self) -> u64 {
        self.writes.get()
    }
}

impl<S: Sql> Sql for Counted<S> {
    fn query(&self, text: &str, binds: &[Bind<'_>]) -> Result<Vec<Row>, SqlError> {
        if !text.starts_with("SELECT") && !text.starts_with("WITH") {
            self.writes.set(self.writes.get().wrapping_add(1));
        }
        self.sql.query(text, binds)
    }

    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let done = self.sql.transaction(body);
        if done.is_err() {
            // What was read within is not so any more.
            self.writes.set(self.writes.get().wrapping_add(1));
        }
        done
    }
}

/// An integer that a JavaScript number holds exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafeInteger(i64);

impl SafeInteger {
    const LIMIT: i64 = 1 << 53;

    /// The nearest safe integer.
    pub fn clamp(value: i64) -> Self {
        Self(value.clamp(-Self::LIMIT, Self::LIMIT))
    }

    /// Its value.
    pub fn get(self) -> i64 {
        self.0
    }
}

/// A bound value.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Bind<'a> {
    Null,
    Integer(SafeInteger),
    Text(&'a str),
}

impl From<i64> for Bind<'_> {
    fn from(value: i64) -> Self {
        Self::Integer(SafeInteger::clamp(value))
    }
}

impl<'a> From<&'a str> for Bind<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a, T: Into<Bind<'a>>> From<Option<T>> for Bind<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A value of a row. Integers may come back as reals.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

/// A row, read from its first column to its last.
#[derive(Clone, Debug, Default)]
pub struct Row(std::vec::IntoIter<Cell>);

impl FromIterator<Cell> for Row {
    fn from_iter<I: IntoIterator<Item = Cell>>(cells: I) -> Self {
        Self(cells.into_iter().collect::<Vec<_>>().into_iter())
    }
}

impl Row {
    /// The next column, which is an integer.
    pub fn integer(&mut self) -> Result<i64, SqlError> {
        self.maybe_integer()?.ok_or_else(|| SqlError::new("a column is null where an integer was expected"))
    }

    /// The next column, which is an integer or null.
    // Integers in the database are safe ones: a real that holds one is exact.
    #[allow(clippy::cast_possible_truncation)]
    pub fn maybe_integer(&mut self) -> Result<Option<i64>, SqlError> {
        match self.0.next() {
            Some(Cell::Integer(value)) => Ok(Some(value)),
            Some(Cell::Real(value)) => Ok(Some(value as i64)),
            Some(Cell::Null) => Ok(None),
            _ => Err(SqlError::new("a column is not an integer")),
        }
    }

    /// The next column, which is a text.
    pub fn text(&mut self) -> Result<String, SqlError> {
        self.maybe_text()?.ok_or_else(|| SqlError::new("a column is null where a text was expected"))
    }

    /// The next column, which is a text or null.
    pub fn maybe_text(&mut self) -> Result<Option<String>, SqlError> {
        match self.0.next() {
            Some(Cell::Text(value)) => Ok(Some(value)),
            Some(Cell::Null) => Ok(None),
            _ => Err(SqlError::new("a column is not a text")),
        }
    }
}

/// A failed statement. Its text is for logs, never for callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError(String);

impl SqlError {
    /// A failure in words.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SqlError {}
