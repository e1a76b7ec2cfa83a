//! Issuers' key sets over time: what to do about a token now, without doing it.
//!
//! A set is fresh for as long as the issuer says. Past that it is used while it is refreshed in the
//! background, for up to a day while the issuer cannot be reached; then nobody can be let in. A token with an
//! unknown key id has the issuer asked once, and not again for [`COOLDOWN_MS`], whether that succeeded
//! or not; an id that the issuer did not know is not asked for again for [`UNKNOWN_MS`].
//!
//! While there is no set and nobody knows yet whether there will be, requests that come together ask together,
//! up to [`TOGETHER`]: in a Worker none may wait for another's, and none of them did anything wrong.

use crate::freshness::{MOST_MS, is_until, is_within};
use crate::key::KeyId;
use crate::key_set::KeySet;
use std::collections::HashMap;
use std::rc::Rc;

/// How long a set is used while it cannot be refreshed.
pub const STALE_MS: i64 = 24 * 60 * 60_000;
/// How long an issuer is left alone after an attempt.
pub const COOLDOWN_MS: i64 = 30_000;
/// How many ask at once while there is no set.
pub const TOGETHER: usize = 16;
/// How long an attempt can take; one that was never heard of again has ended by then.
const ATTEMPT_MS: i64 = 15_000;
/// How long an id is known to be unknown. No longer than settings take: an issuer may publish a key late.
pub const UNKNOWN_MS: i64 = 120_000;
/// How old a stored copy of an unchanged set may get before it is written again.
const REWRITE_MS: i64 = 6 * 60 * 60_000;
/// How many sets are kept.
const KEPT: usize = 256;
/// How many unknown ids are kept of each.
const UNKNOWN_KEPT: usize = 64;

/// What to do for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The set is as good as can be had.
    Use(Rc<KeySet>),
    /// The set is to be used, and the issuer to be asked in the background.
    UseAndRefresh(Rc<KeySet>),
    /// The issuer is to be asked first; what is to be used if that fails.
    Refresh(Option<Rc<KeySet>>),
    /// There is no set, and the issuer could not be asked a moment ago, or is being asked by enough.
    Unavailable,
}

/// A set, and when it was fetched and stops being fresh, in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The set.
    pub set: Rc<KeySet>,
    /// When the issuer was asked.
    pub fetched_at: i64,
    /// Until when it is fresh.
    pub fresh_until: i64,
}

#[derive(Debug, Default)]
struct Entry {
    fetched: Option<Fetched>,
    attempted_at: Option<i64>,
    failed_at: Option<i64>,
    /// Attempts under way while there is no set.
    asking: usize,
    /// Ids that the issuer did not know, and when it was asked.
    unknown: Vec<(String, i64)>,
}

/// Key sets by their sources' names. Bounded: the one that was asked for longest ago makes room.
#[derive(Debug, Default)]
pub struct KeyCache(HashMap<String, Entry>);

impl KeyCache {
    /// Whether anything is known of a source: where not, a store may know.
    pub fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What a store knew of a source, or that it knew nothing.
    pub fn restore(&mut self, name: &str, fetched: Option<Fetched>) {
        if !self.knows(name) {
            self.entry(name).fetched = fetched;
        }
    }

    /// What to do for a token with this key id. Where that is to ask the issuer, the attempt counts from now.
    pub fn plan(&mut self, name: &str, kid: Option<&str>, now_ms: i64) -> Plan {
        let entry = self.entry(name);
        let together = entry.may_ask_together(now_ms);
        let rested = !entry.attempted_at.is_some_and(|at| is_within(at, now_ms, COOLDOWN_MS));
        let is_wanting = |fetched: &Fetched| match kid {
            Some(kid) => !fetched.set.has_kid(kid) && !is_unknown(&entry.unknown, kid, now_ms),
            None => false,
        };
        let plan = match entry.fetched.as_ref().filter(|fetched| fetched.is_usable(now_ms)) {
            None if together => Plan::Refresh(None),
            None => return Plan::Unavailable,
            Some(fetched) if is_wanting(fetched) && rested => Plan::Refresh(Some(fetched.set.clone())),
            Some(fetched) if !is_until(fetched.fresh_until, now_ms) && rested => {
                Plan::UseAndRefresh(fetched.set.clone())
            }
            Some(fetched) => return Plan::Use(fetched.set.clone()),
        };
        entry.attempted_at = Some(now_ms);
        if plan == Plan::Refresh(None) {
            entry.asking = entry.asking.saturating_add(1);
        }
        if let (Plan::Refresh(Some(_)), Some(kid)) = (&plan, kid) {
            entry.unknown.retain(|(_, at)| is_within(*at, now_ms, UNKNOWN_MS));
            if entry.unknown.len() >= UNKNOWN_KEPT {
                entry.unknown.remove(0);
            }
            entry.unknown.push((kid.to_owned(), now_ms));
        }
        plan
    }

    /// Keeps what an issuer answered. Whether a store is to keep it too: it is new, or the store's copy
    /// is old.
    pub fn keep(&mut self, name: &str, fetched: Fetched) -> bool {
        let entry = self.entry(name);
        let is_same = entry.fetched.as_ref().is_some_and(|before| {
            before.set == fetched.set && is_within(before.fetched_at, fetched.fetched_at, REWRITE_MS)
        });
        entry.attempted_at = Some(fetched.fetched_at);
        entry.fetched = Some(fetched);
        (entry.failed_at, entry.asking) = (None, 0);
        !is_same
    }

    /// Notes that an issuer could not be asked.
    pub fn fail(&mut self, name: &str, now_ms: i64) {
        let entry = self.entry(name);
        (entry.failed_at, entry.asking) = (Some(now_ms), 0);
    }

    /// The set at hand, where it may be used.
    pub fn at_hand(&self, name: &str, now_ms: i64) -> Option<Rc<KeySet>> {
        let fetched = self.0.get(name)?.fetched.as_ref()?;
        fetched.is_usable(now_ms).then(|| fetched.set.clone())
    }

    /// Whether a fresh set of the source has a key: what a token that was verified before still needs.
    pub fn has(&self, name: &str, key: &KeyId, now_ms: i64) -> bool {
        let fetched = self.0.get(name).and_then(|entry| entry.fetched.as_ref());
        fetched.is_some_and(|fetched| is_until(fetched.fresh_until, now_ms) && fetched.set.has(key))
    }

    /// Until when the set of a source is fresh, in milliseconds since the epoch; where there is none, it was never.
    pub fn fresh_until(&self, name: &str) -> i64 {
        self.0.get(name).and_then(|entry| entry.fetched.as_ref()).map_or(0, |fetched| fetched.fresh_until)
    }

    fn entry(&mut self, name: &str) -> &mut Entry {
        if self.0.len() >= KEPT && !self.knows(name) {
            let oldest =
                self.0.iter().min_by_key(|(_, entry)| entry.attempted_at).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.0.remove(&name));
        }
        self.0.entry(name.to_owned()).or_default()
    }
}

impl Entry {
    fn may_ask_together(&mut self, now_ms: i64) -> bool {
        let within = |at: Option<i64>, ms: i64| at.is_some_and(|at| is_within(at, now_ms, ms));
        if !within(self.attempted_at, ATTEMPT_MS) {
            self.asking = 0;
        }
        !within(self.failed_at, COOLDOWN_MS) && self.asking < TOGETHER
    }
}

impl Fetched {
    fn is_usable(&self, now_ms: i64) -> bool {
        let ago = now_ms.saturating_sub(self.fetched_at);
        (-MOST_MS..STALE_MS).contains(&ago)
    }
}

fn is_unknown(unknown: &[(String, i64)], kid: &str, now_ms: i64) -> bool {
    unknown.iter().any(|(known, at)| known == kid && is_within(*at, now_ms, UNKNOWN_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://idp.example.com/keys";
    const HOUR_MS: i64 = 3_600_000;

    fn set(kid: &str) -> Rc<KeySet> {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let text = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"{kid}","x":"{x}"}}]}}"#);
        Rc::new(KeySet::parse(text.as_bytes()).unwrap())
    }

    fn fetched(kid: &str, at: i64) -> Fetched {
        Fetched { set: set(kid), fetched_at: at, fresh_until: at.saturating_add(600_000) }
    }

    #[test]
    fn an_outage_is_outlived_for_a_day_and_then_nobody_is_let_in() {
        let mut cache = KeyCache::default();
        assert_eq!(cache.plan(URL, None, 0), Plan::Refresh(None));
        assert!(cache.keep(URL, fetched("a", 0)));
        assert_eq!(cache.plan(URL, Some("a"), 599_999), Plan::Use(set("a")));
        let mut attempts = 0;
        let mut last = None;
        for now in (600_000..30 * HOUR_MS).step_by(1000) {
            let plan = cache.plan(URL, Some("a"), now);
            if matches!(plan, Plan::UseAndRefresh(_) | Plan::Refresh(_)) {
                attempts += 1;
                cache.fail(URL, now);
            }
            if matches!(plan, Plan::Use(_) | Plan::UseAndRefresh(_)) {
                last = Some(now);
            }
        }
        assert_eq!(last, Some(STALE_MS - 1000), "the last second with the old set");
        assert!(attempts <= 30 * HOUR_MS / COOLDOWN_MS, "{attempts} attempts");
        let now = 30 * HOUR_MS + COOLDOWN_MS;
        assert_eq!(cache.plan(URL, Some("a"), now), Plan::Refresh(None));
        cache.fail(URL, now);
        assert_eq!(cache.plan(URL, Some("a"), now + COOLDOWN_MS - 1), Plan::Unavailable);
    }

    #[test]
    fn requests_that_come_together_ask_together_until_one_has_failed() {
        let mut cache = KeyCache::default();
        let together = |cache: &mut KeyCache, now| {
            (0..100).filter(|_| cache.plan(URL, Some("a"), now) == Plan::Refresh(None)).count()
        };
        assert_eq!(together(&mut cache, 0), TOGETHER);
        assert_eq!(together(&mut cache, ATTEMPT_MS), TOGETHER, "none of them was heard of again");
        cache.fail(URL, ATTEMPT_MS);
        assert_eq!(together(&mut cache, ATTEMPT_MS + COOLDOWN_MS - 1), 0);
        assert_eq!(together(&mut cache, ATTEMPT_MS + COOLDOWN_MS), TOGETHER);
        cache.keep(URL, fetched("a", ATTEMPT_MS + COOLDOWN_MS));
        assert_eq!(cache.plan(URL, Some("a"), ATTEMPT_MS + COOLDOWN_MS), Plan::Use(set("a")));
    }

    #[test]
    fn random_ids_cost_one_attempt_for_each_cooldown() {
        let mut cache = KeyCache::default();
        cache.keep(URL, Fetched { fresh_until: HOUR_MS, ..fetched("a", 0) });
        let plans =
            (0..600_000).map(|n| cache.plan(URL, Some(&format!("random {n}")), n)).collect::<Vec<_>>();
        let attempts = plans.iter().filter(|plan| matches!(plan, Plan::Refresh(_))).count();
        assert_eq!(attempts, 19, "ten minutes, from half a minute after the first");
        assert!(plans.iter().all(|plan| *plan != Plan::Unavailable));
        assert!(cache.0.values().all(|entry| entry.unknown.len() <= UNKNOWN_KEPT));
    }

    #[test]
    fn an_id_that_the_issuer_did_not_know_is_left_for_a_while() {
        let mut cache = KeyCache::default();
        cache.keep(URL, Fetched { fresh_until: HOUR_MS, ..fetched("a", 0) });
        assert_eq!(cache.plan(URL, Some("b"), COOLDOWN_MS), Plan::Refresh(Some(set("a"))));
        assert_eq!(cache.plan(URL, Some("b"), 3 * COOLDOWN_MS), Plan::Use(set("a")));
        assert_eq!(cache.plan(URL, Some("c"), 3 * COOLDOWN_MS), Plan::Refresh(Some(set("a"))));
        assert_eq!(cache.plan(URL, Some("b"), COOLDOWN_MS + UNKNOWN_MS), Plan::Refresh(Some(set("a"))));
        cache.keep(URL, fetched("b", COOLDOWN_MS + UNKNOWN_MS));
        assert_eq!(cache.plan(URL, Some("b"), COOLDOWN_MS + UNKNOWN_MS), Plan::Use(set("b")));
    }

    #[test]
    fn a_store_keeps_what_is_new() {
        let mut cache = KeyCache::default();
        cache.restore(URL, Some(fetched("a", 0)));
        assert!(!cache.keep(URL, fetched("a", HOUR_MS)), "the same");
        assert!(cache.keep(URL, fetched("b", 2 * HOUR_MS)));
        assert!(cache.keep(URL, fetched("b", 8 * HOUR_MS)), "the same, but the stored one is old");
        cache.restore(URL, None);
        assert_eq!(cache.at_hand(URL, 8 * HOUR_MS), Some(set("b")), "memory is newer than a store");
    }

    #[test]
    fn a_verified_token_needs_its_key_in_a_fresh_set() {
        let mut cache = KeyCache::default();
        cache.keep(URL, fetched("a", 0));
        let key = set("a").keys().first().unwrap().id();
        assert!(cache.has(URL, &key, 599_999));
        assert!(
            !cache.has(URL, &key, 600_000) && !cache.has("other", &key, 0) && !cache.has(URL, &[0; 32], 0)
        );
    }

    #[test]
    fn a_clock_that_was_ahead_keeps_no_set_fresh_and_no_issuer_from_being_asked() {
        let (ahead, now) = (10_000 * HOUR_MS, 9 * HOUR_MS);
        let key = set("a").keys().first().unwrap().id();
        let mut cache = KeyCache::default();
        cache.keep(URL, fetched("a", ahead));
        assert!(!cache.has(URL, &key, now), "a token that was verified with it is verified again");
        assert_eq!(cache.plan(URL, Some("a"), now), Plan::Refresh(None));
        cache.keep(URL, fetched("b", now));
        assert_eq!(cache.plan(URL, Some("b"), now), Plan::Use(set("b")));
        // From a store, less than an hour ahead: used, and refreshed at once.
        let mut other = KeyCache::default();
        let stored = Fetched { fresh_until: now + 100 * HOUR_MS, ..fetched("a", now + HOUR_MS / 2) };
        other.restore(URL, Some(stored));
        assert_eq!(other.plan(URL, Some("a"), now), Plan::UseAndRefresh(set("a")));
        // A failure that was noted ahead is no reason to wait.
        let mut failed = KeyCache::default();
        assert_eq!(failed.plan(URL, None, ahead), Plan::Refresh(None));
        failed.fail(URL, ahead);
        assert_eq!(failed.plan(URL, None, now), Plan::Refresh(None));
    }

    #[test]
    fn the_number_of_sets_is_bounded() {
        let mut cache = KeyCache::default();
        for n in 0..1000 {
            cache.plan(&format!("https://{n}.example.com/"), None, n);
        }
        assert!(cache.0.len() <= KEPT && cache.knows("https://999.example.com/"));
    }
}
