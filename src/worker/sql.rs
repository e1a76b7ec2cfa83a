//! The object's SQLite as the directory's [`Sql`].
//!
//! The bindings are our own: those of the `worker` crate lack `catch` where a cursor can throw, and
//! an exception that crosses Wasm uncaught resets the whole instance. Rows are read to the end at
//! once: a cursor left open would not survive an await. They come over as one text (`edge.js`), since a
//! call for each cell costs more than SQLite does.

use js_sys::{Array, JsString};
use scim_edge_directory::sql::{Bind, Cell, Held, Row, Sql, SqlError};
use std::cell::RefCell;
use std::collections::HashMap;
use wasm_bindgen::prelude::*;
use worker::State;

#[wasm_bindgen]
extern "C" {
    type ObjectStorage;

    #[wasm_bindgen(method, getter)]
    fn sql(this: &ObjectStorage) -> Database;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &ObjectStorage,
        body: &mut dyn FnMut() -> Result<(), JsValue>,
    ) -> Result<JsValue, JsValue>;

    type Database;
}

#[wasm_bindgen(module = "/edge.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn run(database: &Database, statement: &JsValue, binds: &str) -> Result<i32, JsValue>;

    #[wasm_bindgen(catch, js_name = runWith)]
    fn run_with(database: &Database, statement: &JsValue, binds: &Array) -> Result<i32, JsValue>;

    #[wasm_bindgen(catch)]
    fn hold(database: &Database, statement: &JsValue, binds: &Array) -> Result<JsValue, JsValue>;

    fn take(room: &mut [u8]) -> i32;

    #[wasm_bindgen(js_name = takeRows)]
    fn take_rows() -> Array;
}

/// What stands behind each cell and each row of the text that rows come over in.
const CELL: char = '\u{1f}';
const ROW: char = '\u{1e}';

/// How many statements are kept: more than there are but for those that are made up once.
const STATEMENTS: usize = 256;

/// The SQLite database of one object.
pub(crate) struct ObjectSql {
    storage: ObjectStorage,
    database: Database,
    /// Statements as JavaScript's texts.
    statements: RefCell<HashMap<String, JsValue>>,
}

impl ObjectSql {
    pub(crate) fn new(state: &State) -> Self {
        let storage: ObjectStorage = JsValue::from(state.storage().as_raw()).unchecked_into();
        let database = storage.sql();
        Self { storage, database, statements: RefCell::default() }
    }
}

impl ObjectSql {
    fn statement(&self, text: &str) -> JsValue {
        let mut statements = self.statements.borrow_mut();
        if let Some(known) = statements.get(text) {
            return known.clone();
        }
        let statement = JsValue::from_str(text);
        if statements.len() < STATEMENTS {
            statements.insert(text.to_owned(), statement.clone());
        }
        statement
    }
}

impl Sql for ObjectSql {
    fn query(&self, text: &str, binds: &[Bind<'_>]) -> Result<Vec<Row>, SqlError> {
        let statement = self.statement(text);
        let length = match in_one(binds) {
            Some(binds) => run(&self.database, &statement, &binds),
            None => run_with(&self.database, &statement, &binds.iter().map(bind).collect()),
        };
        match usize::try_from(length.map_err(|error| failure(&error))?) {
            Ok(0) => Ok(Vec::new()),
            Ok(length) => taken(length)?.split_terminator(ROW).map(row).collect(),
            Err(_) => take_rows()
                .iter()
                .map(|row| row.unchecked_into::<Array>().iter().map(|value| cell(&value)).collect())
                .collect(),
        }
    }

    fn hold(&self, text: &str, binds: &[Bind<'_>]) -> Result<Option<Held>, SqlError> {
        let statement = self.statement(text);
        let held = hold(&self.database, &statement, &binds.iter().map(bind).collect());
        let text = held.map_err(|error| failure(&error))?.dyn_into::<JsString>().ok();
        Ok(text.map(|text| {
            let length = usize::try_from(text.length()).unwrap_or(usize::MAX);
            Held::new(JsValue::from(text), length)
        }))
    }

    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut body = Some(body);
        let mut outcome = None;
        let committed = self.storage.transaction_sync(&mut || {
            let result = body.take().map(|body| body());
            let done = matches!(result, Some(Ok(_)));
            outcome = result;
            // Throwing rolls back; what is thrown does not matter, the outcome is kept above.
            if done { Ok(()) } else { Err(JsValue::NULL) }
        });
        match (outcome, committed) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(_)) => Ok(value),
            (_, Err(error)) => Err(failure(&error).into()),
            (None, Ok(_)) => Err(SqlError::new("the transaction did not run").into()),
        }
    }
}

/// Bound values in one text, where none of them has the separator in it.
fn in_one(binds: &[Bind<'_>]) -> Option<String> {
    let mut text = String::new();
    for (place, bind) in binds.iter().enumerate() {
        if place > 0 {
            text.push(CELL);
        }
        match bind {
            Bind::Null => text.push('n'),
            Bind::Integer(integer) => {
                text.push('i');
                text.push_str(&integer.get().to_string());
            }
            Bind::Text(value) if value.contains(CELL) => return None,
            Bind::Text(value) => {
                text.push('t');
                text.push_str(value);
            }
        }
    }
    Some(text)
}

/// The rows' text, of so many UTF-16 units: as many bytes where it is ASCII, three times as many at most.
fn taken(length: usize) -> Result<String, SqlError> {
    for room in [length, length.saturating_mul(3)] {
        let mut bytes = vec![0; room];
        if let Ok(written) = usize::try_from(take(&mut bytes)) {
            bytes.truncate(written);
            return String::from_utf8(bytes).map_err(|_| SqlError::new("rows are not UTF-8"));
        }
    }
    Err(SqlError::new("rows do not fit"))
}

fn row(text: &str) -> Result<Row, SqlError> {
    text.split_terminator(CELL).map(cell_of).collect()
}

fn cell_of(text: &str) -> Result<Cell, SqlError> {
    let unreadable = || SqlError::new("a column holds neither a number nor a text");
    match (text.get(..1), text.get(1..)) {
        (Some("t"), Some(text)) => Ok(Cell::Text(text.to_owned())),
        (Some("i"), Some(number)) => match number.parse() {
            Ok(integer) => Ok(Cell::Integer(integer)),
            Err(_) => number.parse().map(Cell::Real).map_err(|_| unreadable()),
        },
        (Some("n"), _) => Ok(Cell::Null),
        _ => Err(unreadable()),
    }
}

fn bind(value: &Bind<'_>) -> JsValue {
    match value {
        Bind::Null => JsValue::NULL,
        // Exact: a SafeInteger lies within 2^53.
        #[allow(clippy::cast_precision_loss)]
        Bind::Integer(integer) => JsValue::from_f64(integer.get() as f64),
        Bind::Text(text) => JsValue::from_str(text),
    }
}

fn cell(value: &JsValue) -> Result<Cell, SqlError> {
    if value.is_null() || value.is_undefined() {
        Ok(Cell::Null)
    } else if let Some(number) = value.as_f64() {
        Ok(Cell::Real(number))
    } else if let Some(text) = value.as_string() {
        Ok(Cell::Text(text))
    } else {
        Err(SqlError::new("a column holds neither a number nor a text"))
    }
}

fn failure(error: &JsValue) -> SqlError {
    let message = js_sys::Reflect::get(error, &"message".into()).ok().and_then(|text| text.as_string());
    SqlError::new(message.unwrap_or_else(|| "SQLite refused the statement".to_owned()))
}
