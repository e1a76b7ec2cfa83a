//! Tokens that were verified before: bounded, and believed only while everything that made them so holds.
//!
//! An entry is for the exact token, the account and the version of its settings. On every use the time
//! is looked at again, and whether the key is still in a fresh set of its issuer; where not, the token
//! is verified anew.
//!
//! Refusals are not kept, since what refuses a token now may accept it in a moment, but for one: that no
//! key made the signature is kept for [`REFUSED_MS`], so that a flood of one forged token costs no
//! cryptography.

use crate::freshness::is_within;
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

/// How many bytes of a token are looked up by.
const TAIL: usize = 43;

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

/// What tokens are looked up by: the end of the signature, which no two that were verified share but by
/// chance. Hashing the whole of a long token takes longer than all the rest of a look-up.
fn tail(token: &str) -> &str {
    token.len().checked_sub(TAIL).and_then(|start| token.get(start..)).unwrap_or(token)
}

#[derive(Debug)]
struct Entry<T> {
    token: String,
    account: String,
    version: u64,
    /// When it was found.
    at: i64,
    value: T,
}

impl<T> Entry<T> {
    fn new(token: &str, settings: Settings<'_>, at: i64, value: T) -> Self {
        let (token, account) = (token.to_owned(), settings.account.to_owned());
        Self { token, account, version: settings.version, at, value }
    }

    fn is_of(&self, token: &str, settings: Settings<'_>) -> bool {
        self.version == settings.version && self.account == settings.account && self.token == token
    }
}

/// Verified tokens, by their ends.
#[derive(Debug, Default)]
pub struct TokenCache<T = ()> {
    known: RefCell<HashMap<String, Entry<Rc<Known<T>>>>>,
    bytes: Cell<usize>,
    /// Tokens that were forged.
    refused: RefCell<HashMap<String, Entry<()>>>,
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
        let entry = known.get(tail(token))?;
        let verified = &entry.value.verified;
        let holds = entry.is_of(token, settings)
            // By a clock that was ahead, it may not have begun yet.
            && entry.at <= now_ms
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
                self.keep(token, settings, now_ms, known.clone());
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
    fn keep(&self, token: &str, settings: Settings<'_>, now_ms: i64, known: Rc<Known<T>>) {
        let mut tokens = self.known.borrow_mut();
        let mut bytes = self.bytes.get().saturating_add(token.len());
        if tokens.len() >= KEPT || bytes > KEPT_BYTES {
            tokens.clear();
            bytes = token.len();
        }
        if tokens.insert(tail(token).to_owned(), Entry::new(token, settings, now_ms, known)).is_none() {
            self.bytes.set(bytes);
        }
    }

    fn is_refused(&self, token: &str, settings: Settings<'_>, now_ms: i64) -> bool {
        let refused = self.refused.borrow();
        let is_recent = |entry: &Entry<()>| is_within(entry.at, now_ms, REFUSED_MS);
        refused.get(tail(token)).is_some_and(|entry| entry.is_of(token, settings) && is_recent(entry))
    }

    fn refuse(&self, token: &str, settings: Settings<'_>, now_ms: i64) {
        let mut refused = self.refused.borrow_mut();
        if refused.len() >= REFUSED_KEPT {
            refused.clear();
        }
        let entry = Entry::new(token, settings, now_ms, ());
        refused.insert(tail(token).to_owned(), entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::Algorithm;
    use crate::encoding::encode;
    use crate::key::Key;
    use crate::key_set::KeySet;
    use crate::verify::{KeysUnavailable, at_once};
    use serde_json::json;

    /// Whose signatures are good; and how many were looked at.
    struct Signer(bool, Cell<usize>);

    impl Host for Signer {
        async fn keys(&self, _: &TrustRule, _: Option<&str>) -> Result<Rc<KeySet>, KeysUnavailable> {
            let set =
                br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
            KeySet::parse(set).map(Rc::new).map_err(|error| KeysUnavailable(error.to_string()))
        }

        async fn check(&self, _: &Key, _: Algorithm, _: &[u8], _: &[u8]) -> bool {
            self.1.set(self.1.get().saturating_add(1));
            self.0
        }
    }

    fn rules() -> Vec<TrustRule> {
        let rule = json!({ "name": "one", "jwksUrl": "https://idp.example.com/", "claims": [],
            "serviceAccount": "sa", "clockSkewSeconds": 30 });
        vec![serde_json::from_value(rule).unwrap()]
    }

    /// A token that ends at 100 s; those with the same end differ before it.
    fn token(subject: &str) -> String {
        let part = |value: serde_json::Value| encode(value.to_string().as_bytes());
        let (header, claims) = (json!({ "alg": "EdDSA" }), json!({ "sub": subject, "exp": 100 }));
        format!("{}.{}.{}", part(header), part(claims), encode(&[7; 64]))
    }

    fn settings<'a>(account: &'a str, version: u64, rules: &'a [TrustRule]) -> Settings<'a> {
        Settings { account, version, rules }
    }

    #[test]
    fn what_was_verified_is_known_while_all_that_made_it_so_holds() {
        let (cache, rules, token) = (TokenCache::<()>::default(), rules(), token("a"));
        let own = settings("acc", 1, &rules);
        let signer = Signer(true, Cell::new(0));
        assert!(cache.get(&token, own, 0, |_, _| true).is_none());
        at_once(cache.verify(&signer, &token, own, 1_000)).unwrap().unwrap();
        assert!(cache.get(&token, own, 999, |_, _| true).is_none(), "by a clock that was ahead");
        let known = cache.get(&token, own, 129_999, |_, _| true).unwrap();
        assert_eq!(known.verified.subject(), Some("a"));
        assert!(cache.get(&token, own, 130_000, |_, _| true).is_none(), "past its time, skew included");
        assert!(cache.get(&token, own, 1_000, |_, _| false).is_none(), "its key is gone");
        let of = |account, version| settings(account, version, &rules);
        assert!(cache.get(&token, of("acc", 2), 1_000, |_, _| true).is_none(), "new settings");
        assert!(cache.get(&token, of("other", 1), 1_000, |_, _| true).is_none(), "another account");
    }

    #[test]
    fn a_token_with_the_same_end_is_another_token() {
        let (cache, rules) = (TokenCache::<()>::default(), rules());
        let own = settings("acc", 1, &rules);
        at_once(cache.verify(&Signer(true, Cell::new(0)), &token("a"), own, 0)).unwrap().unwrap();
        assert!(cache.get(&token("b"), own, 0, |_, _| true).is_none());
        assert!(cache.get(&token("a"), own, 0, |_, _| true).is_some());
    }

    #[test]
    fn a_forged_token_costs_no_cryptography_for_a_moment_and_lets_no_other_one_be_refused() {
        let (cache, rules) = (TokenCache::<()>::default(), rules());
        let own = settings("acc", 1, &rules);
        let signer = Signer(false, Cell::new(0));
        for now in [0, 1, REFUSED_MS - 1] {
            let refusal = at_once(cache.verify(&signer, &token("a"), own, now)).unwrap().unwrap_err();
            assert_eq!(refusal.reason, Reason::SignatureMismatch);
        }
        assert_eq!(signer.1.get(), 1);
        at_once(cache.verify(&signer, &token("a"), own, REFUSED_MS)).unwrap().unwrap_err();
        at_once(cache.verify(&signer, &token("b"), own, REFUSED_MS)).unwrap().unwrap_err();
        assert_eq!(signer.1.get(), 3);
    }

    #[test]
    fn the_number_of_tokens_is_bounded() {
        let (cache, rules) = (TokenCache::<()>::default(), rules());
        let own = settings("acc", 1, &rules);
        for n in 0..KEPT + 10 {
            // Different ends.
            let token = token("a").replace("BwcHBw", &encode(&u32::try_from(n).unwrap().to_be_bytes()));
            at_once(cache.verify(&Signer(true, Cell::new(0)), &token, own, 0)).unwrap().unwrap();
        }
        assert!(cache.known.borrow().len() <= KEPT);
    }
}
