//! The object's SQLite as the directory's [`Sql`].
//!
//! The bindings are our own: those of the `worker` crate lack `catch` where a cursor can throw, and
//! an exception that crosses Wasm uncaught resets the whole instance. Rows are read to the end at
//! once: a cursor left open would not survive an await.

use js_sys::Array;
use scim_edge_directory::sql::{Bind, Cell, Row, Sql, SqlError};
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

    #[wasm_bindgen(method, catch, variadic)]
    fn exec(this: &Database, text: &str, binds: &Array) -> Result<Cursor, JsValue>;

    type Cursor;

    #[wasm_bindgen(method, catch)]
    fn raw(this: &Cursor) -> Result<Rows, JsValue>;

    type Rows;

    #[wasm_bindgen(method, catch, js_name = toArray)]
    fn to_array(this: &Rows) -> Result<Array, JsValue>;
}

/// The SQLite database of one object.
pub(crate) struct ObjectSql {
    storage: ObjectStorage,
    database: Database,
}

impl ObjectSql {
    pub(crate) fn new(state: &State) -> Self {
        let storage: ObjectStorage = JsValue::from(state.storage().as_raw()).unchecked_into();
        let database = storage.sql();
        Self { storage, database }
    }
}

impl Sql for ObjectSql {
    fn query(&self, text: &str, binds: &[Bind<'_>]) -> Result<Vec<Row>, SqlError> {
        let bound: Array = binds.iter().map(bind).collect();
        let rows = self.database.exec(text, &bound).and_then(|cursor| cursor.raw()?.to_array());
        rows.map_err(|error| failure(&error))?
            .iter()
            .map(|row| row.unchecked_into::<Array>().iter().map(|value| cell(&value)).collect())
            .collect()
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
