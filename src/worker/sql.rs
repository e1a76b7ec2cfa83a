//! The object's SQLite as the directory's [`Sql`].
//!
//! The bindings are our own: those of the `worker` crate lack `catch` where a cursor can throw, and
//! an exception that crosses Wasm uncaught resets the whole instance.

use js_sys::{Array, Function};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    type ObjectStorage;

    #[wasm_bindgen(method, getter)]
    fn sql(this: &ObjectStorage) -> ObjectSql;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(this: &ObjectStorage, body: &Function) -> std::result::Result<JsValue, JsValue>;

    type ObjectSql;

    #[wasm_bindgen(method, catch, variadic)]
    fn exec(this: &ObjectSql, text: &str, binds: &Array) -> std::result::Result<Cursor, JsValue>;

    type Cursor;

    #[wasm_bindgen(method, catch)]
    fn raw(this: &Cursor) -> std::result::Result<Rows, JsValue>;

    type Rows;

    #[wasm_bindgen(method, catch, js_name = toArray)]
    fn to_array(this: &Rows) -> std::result::Result<Array, JsValue>;
}
