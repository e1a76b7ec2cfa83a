//! The object's SQLite as the directory's [`Sql`].
//!
//! The bindings are our own: those of the `worker` crate lack `catch` where a cursor can throw, and
//! an exception that crosses Wasm uncaught resets the whole instance. Rows are read to the end at
//! once: a cursor left open would not survive an await. They come over as one text (`edge.js`), since a
//! call for each cell costs more than SQLite does.

use js_sys::Array;
use scim_edge_directory::row_text::rows;
use scim_edge_directory::sql::{Bind, Row, Sql, SqlError};
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

#[wasm_bindgen(raw_module = "./edge.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn run(database: &Database, statement: &JsValue, binds: &str) -> Result<i32, JsValue>;

    #[wasm_bindgen(catch, js_name = runWith)]
    fn run_with(database: &Database, statement: &JsValue, binds: &Array) -> Result<i32, JsValue>;

    fn take(room: &mut [u8]) -> i32;
}

/// What stands between bound values in the text that they go over in.
const BIND: char = '\u{1f}';

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
            Ok(length) => rows(&taken(length)?),
            Err(_) => Err(SqlError::new("rows have no length")),
        }
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
            text.push(BIND);
        }
        match bind {
            Bind::Null => text.push('n'),
            Bind::Integer(integer) => {
                text.push('i');
                text.push_str(&integer.get().to_string());
            }
            Bind::Text(value) if value.contains(BIND) => return None,
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

fn bind(value: &Bind<'_>) -> JsValue {
    match value {
        Bind::Null => JsValue::NULL,
        // Exact: a SafeInteger lies within 2^53.
        #[allow(clippy::cast_precision_loss)]
        Bind::Integer(integer) => JsValue::from_f64(integer.get() as f64),
        Bind::Text(text) => JsValue::from_str(text),
    }
}

fn failure(error: &JsValue) -> SqlError {
    let message = js_sys::Reflect::get(error, &"message".into()).ok().and_then(|text| text.as_string());
    SqlError::new(message.unwrap_or_else(|| "SQLite refused the statement".to_owned()))
}
