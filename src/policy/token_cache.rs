//! Tokens that were verified before: bounded, and believed only while everything that made them so holds.
//!
//! An entry is for the exact token, the account and the version of its settings. On every use the time
//! is looked at again, and whether the key is still in a fresh set of its issuer; where not, the token
//! is verified anew.
//!
//! Refusals are not kept, since what refuses a token now may accept it in a moment, but for one: that no
//! key made the signature is kept for [`REFUSED_MS`], so that a flood of one forged token costs no
//! cryptography.

use crate::key::KeyId;
use crate::refusal::{Reason, Refusal};
use crate::rule::TrustRule;
use crate::verify::{Host, Verified, verify};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// How many tokens are kept, and of how many bytes together.
const KEPT: usize = 4_096;
const KEPT_BYTES: usize = 8 << 20;

/// How long a forged token is known as one, in milliseconds.
const REFUSED_MS: i64 = 10_000;
/// How many of them.
const REFUSED_KEPT: usize = 256;

/// Whose settings a token is verified by.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The account.
    pub account: &'a str,
    /// The version of its settings.
    pub version: u64,
    /// Its trust rules.
    pub rules: &'a [TrustRule],
}

/// A token that was verified, with what the host keeps beside it.
#[derive(Debug)]
pub struct Known<T> {
    /// What was found.
    pub verified: Verified,
    /// The host's own.
    pub beside: T,
}

#[derive(Debug)]
struct Entry<T> {
    account: String,
    version: u64,
    value: T,
}

impl<T> Entry<T> {
    fn new(settings: Settings<'_>, value: T) -> Self {
        Self { account: settings.account.to_owned(), version: settings.version, value }
    }

    fn is_of(&self, settings: Settings<'_>) -> bool {
        self.account == settings.account && self.version == settings.version
    }
}

/// Verified tokens, by their texts.
#[derive(Debug, Default)]
pub struct TokenCache<T = ()> {
    known: RefCell<HashMap<String, Entry<Rc<Known<T>>>>>,
    bytes: Cell<usize>,
    /// Until when forged tokens are known as such.
    refused: RefCell<HashMap<String, Entry<i64>>>,
}

impl<T: Default> TokenCache<T> {
    /// What a token was found to be, where that still holds. `has` tells whether a fresh set of a source
    /// ([`Verified::key_source`]) has a key.
    pub fn get(
        &self,
        token: &str,
        settings: Settings<'_>,
        now_ms: i64,
        has: impl FnOnce(Option<&str>, &KeyId) -> bool,
    ) -> Option<Rc<Known<T>>> {
        let known = self.known.borrow();
        let entry = known.get(token)?;
        let verified = &entry.value.verified;
        let holds = entry.is_of(settings)
            && now_ms < verified.valid_until_ms()
            && has(verified.key_source(), &verified.key());
        holds.then(|| entry.value.clone())
    }

    /// Verifies a token, and keeps what it was found to be.
    pub async fn verify<H: Host>(
        &self,
        host: &H,
        token: &str,
        settings: Settings<'_>,
        now_ms: i64,
    ) -> Result<Rc<Known<T>>, Refusal> {
        if self.is_refused(token, settings, now_ms) {
            return Err(Refusal::new(Reason::SignatureMismatch, "found so a moment ago"));
        }
        match verify(host, settings.rules, token, now_ms).await {
            Ok(verified) => {
                let known = Rc::new(Known { verified, beside: T::default() });
                self.keep(token, settings, known.clone());
                Ok(known)
            }
            Err(refusal) => {
                if refusal.reason == Reason::SignatureMismatch {
                    self.refuse(token, settings, now_ms);
                }
                Err(refusal)
            }
        }
    }

    /// When there are too many, all go: the ones in use are verified once more, and no order has to be kept
    /// on every use.
    fn keep(&self, token: &str, settings: Settings<'_>, known: Rc<Known<T>>) {
        let mut tokens = self.known.borrow_mut();
        let mut bytes = self.bytes.get().saturating_add(token.len());
        if tokens.len() >= KEPT || bytes > KEPT_BYTES {
            tokens.clear();
            bytes = token.len();
        }
        if tokens.insert(token.to_owned(), Entry::new(settings, known)).is_none() {
            self.bytes.set(bytes);
        }
    }

    fn is_refused(&self, token: &str, settings: Settings<'_>, now_ms: i64) -> bool {
        let refused = self.refused.borrow();
        refused.get(token).is_some_and(|entry| entry.is_of(settings) && now_ms < entry.value)
    }

    fn refuse(&self, token: &str, settings: Settings<'_>, now_ms: i64) {
        let mut refused = self.refused.borrow_mut();
        if refused.len() >= REFUSED_KEPT {
            refused.clear();
        }
        refused.insert(token.to_owned(), Entry::new(settings, now_ms.saturating_add(REFUSED_MS)));
    }
}
