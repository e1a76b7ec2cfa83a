//! Tokens that were verified before: per isolate and bounded.
//!
//! An entry is for the exact token, the account and the version of its settings. On every use the time
//! is looked at again, and whether the key is still in a fresh set of its issuer; where not, the token
//! is verified anew.
//!
//! Refusals are not kept, since what refuses a token now may accept it in a moment, but for one: that no
//! key made the signature is kept for [`REFUSED_MS`], so that a flood of one forged token costs no
//! cryptography.

use crate::keys::still_has;
use scim_edge_policy::verify::Verified;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// How many tokens an isolate keeps.
const KEPT: usize = 4_096;

/// How long a forged token is known as one, in milliseconds.
const REFUSED_MS: i64 = 10_000;
/// How many of them.
const REFUSED_KEPT: usize = 1_024;

struct Entry {
    account: String,
    version: u64,
    verified: Rc<Verified>,
}

struct Refused {
    account: String,
    version: u64,
    until_ms: i64,
}

thread_local! {
    static TOKENS: RefCell<HashMap<String, Entry>> = RefCell::new(HashMap::new());
    static REFUSED: RefCell<HashMap<String, Refused>> = RefCell::new(HashMap::new());
}

/// What a token was found to be, where that still holds.
pub(crate) fn get(token: &str, account: &str, version: u64, now_ms: i64) -> Option<Rc<Verified>> {
    TOKENS.with_borrow(|tokens| {
        let entry = tokens.get(token)?;
        let verified = &entry.verified;
        let holds = entry.account == account
            && entry.version == version
            && now_ms < verified.valid_until_ms()
            && still_has(verified.key_source(), &verified.key(), now_ms);
        holds.then(|| verified.clone())
    })
}

/// Keeps what a token was found to be. When there are too many, all go: the ones in use are verified
/// once more, and no order has to be kept on every use.
pub(crate) fn keep(token: &str, account: &str, version: u64, verified: Rc<Verified>) {
    TOKENS.with_borrow_mut(|tokens| {
        if tokens.len() >= KEPT {
            tokens.clear();
        }
        tokens.insert(token.to_owned(), Entry { account: account.to_owned(), version, verified });
    });
}

/// Whether a token was found to be forged a moment ago.
pub(crate) fn is_refused(token: &str, account: &str, version: u64, now_ms: i64) -> bool {
    REFUSED.with_borrow(|tokens| {
        tokens.get(token).is_some_and(|refused| {
            refused.account == account && refused.version == version && now_ms < refused.until_ms
        })
    })
}

/// Remembers a forged token for a moment.
pub(crate) fn refuse(token: &str, account: &str, version: u64, now_ms: i64) {
    REFUSED.with_borrow_mut(|tokens| {
        if tokens.len() >= REFUSED_KEPT {
            tokens.clear();
        }
        let until_ms = now_ms.saturating_add(REFUSED_MS);
        tokens.insert(token.to_owned(), Refused { account: account.to_owned(), version, until_ms });
    });
}
