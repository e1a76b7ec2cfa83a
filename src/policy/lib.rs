//! Who may do what: tokens, keys, trust rules and permissions, without a host.
//!
//! Read in this order: [`route`] and [`operation`] say what a request asks for, [`credentials`] what
//! it shows; [`token`], [`key`], [`key_set`], [`rule`] and [`verify`] decide whether to believe it;
//! [`permission`] whether that is enough; [`refusal`] what is said when not, [`explanation`] why. [`operator`] has the
//! calls beside SCIM, [`region`] where callers are, [`hop`] which gateways a request has passed. [`issuer`], [`key_cache`] and
//! [`token_cache`] are what hosts that fetch keys have in common.

pub mod algorithm;
mod claims;
pub mod credentials;
pub mod dpop;
pub mod encoding;
pub mod explanation;
pub mod freshness;
pub mod hop;
pub mod issuer;
pub mod key;
pub mod key_cache;
pub mod key_set;
pub mod mode;
pub mod operation;
pub mod operator;
pub mod permission;
pub mod refusal;
pub mod region;
pub mod route;
pub mod rule;
pub mod shared_hosts;
pub mod target;
pub mod token;
pub mod token_cache;
mod token_services;
pub mod url;
pub mod verify;
