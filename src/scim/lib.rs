//! RFC 7643 and RFC 7644 without a host: schemas, filters, PATCH, projection, errors, endpoints.

mod change;
mod compare;
mod constraint;
mod convert;
pub mod definitions;
pub mod dialect;
pub mod discovery;
pub mod endpoint;
pub mod error;
pub mod evaluate;
pub mod filter;
pub mod fold;
pub mod instant;
mod lexer;
pub mod lookup;
pub mod member_change;
pub mod naming;
mod needle;
pub mod parser;
pub mod patch;
pub mod path;
pub mod project;
pub mod query;
pub mod relocate;
pub mod schema;
pub mod sort;
pub mod validate;
