//! The npm package's Wasm: the policy core for any JavaScript host. JSON texts in, JSON texts out; the
//! JavaScript around it (`js/npm/`) gives them types. What fails is `{"error":{"code","message","position"?}}`.

mod authorize;
mod engine;
pub mod policy;
pub mod scim;

use serde_json::{Value, json};

/// An answer that is a mistake of the caller's.
fn failed(code: &str, message: impl Into<String>) -> Value {
    json!({ "error": { "code": code, "message": message.into() } })
}
