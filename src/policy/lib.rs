//! Who may do what: tokens, keys, trust rules and permissions, without a host.

pub mod algorithm;
pub mod encoding;
pub mod key;
pub mod key_set;
pub mod operation;
pub mod permission;
pub mod route;
pub mod url;
