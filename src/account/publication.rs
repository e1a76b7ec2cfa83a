//! The publication of an account's document to a store that may be slow, lose a write, end writes in another order, or
//! show old values for a while.
//!
//! The newest version is written, then read back as an isolate would read it, and written again until the store shows
//! it. At most one write is known to be under way. INVARIANT: a write of unknown outcome may still end, and put an
//! older version in the place of a newer one, for [`OUTSTANDING_MS`]; a publication is settled only if the newest
//! version is read back after that.

use serde::{Deserialize, Serialize};

/// KV takes one write a second and key; a little more than that, in milliseconds.
pub const SPACING_MS: i64 = 1_100;

/// How long a write is waited for, in milliseconds. It is of unknown outcome then.
pub const PATIENCE_MS: i64 = 30_000;

/// How long a write of unknown outcome may still end, in milliseconds.
pub const OUTSTANDING_MS: i64 = 600_000;

/// The longest distance between two looks at the store, in milliseconds.
const LONGEST_MS: i64 = 60_000;

/// Where the publication of one key is. It is stored before each attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Publication {
    /// The account.
    pub account: String,
    /// The version to publish.
    pub newest: u64,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// The version of the last write.
    attempted: u64,
    /// When it began, in milliseconds since the epoch.
    attempted_at: i64,
    /// Whether its outcome is open.
    open: bool,
    /// Until when a write of unknown outcome may end.
    unsettled_until: i64,
    /// The last version that was read back after `read_at`.
    shown: u64,
    read_at: i64,
    /// When to go on after a look.
    again_at: i64,
    /// How many looks there were since the newest version came.
    looks: u32,
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The newest version is there to stay.
    Settled,
    /// Nothing before this time, in milliseconds since the epoch.
    Wait(i64),
    /// Write the newest version.
    Write,
    /// Read what the store shows.
    Look,
}

impl Publication {
    /// A publication of which the store has shown a version.
    pub fn of(account: &str, shown: u64) -> Self {
        Self {
            account: account.to_owned(),
            newest: shown,
            deleted: false,
            attempted: shown,
            attempted_at: 0,
            open: false,
            unsettled_until: 0,
            shown,
            read_at: 1,
            again_at: 0,
            looks: 0,
        }
    }

    /// A version to publish. One that is not newer changes nothing.
    pub fn want(&mut self, version: u64, deleted: bool) {
        if version > self.newest {
            (self.newest, self.deleted) = (version, deleted);
            (self.again_at, self.looks) = (0, 0);
        }
    }

    /// The newest version that the store is known to have shown.
    pub fn confirmed(&self) -> u64 {
        self.shown.min(self.newest)
    }

    /// What to do now.
    pub fn next(&self, now_ms: i64) -> Step {
        if self.open {
            let until = self.attempted_at.saturating_add(PATIENCE_MS);
            return Step::Wait(until.max(now_ms.saturating_add(1)));
        }
        // A look that began before the last write says nothing of it.
        let is_shown = self.shown >= self.newest && self.read_at > self.attempted_at;
        if is_shown && self.read_at >= self.unsettled_until {
            return Step::Settled;
        }
        if self.attempted < self.newest {
            let due = self.attempted_at.saturating_add(SPACING_MS);
            return if now_ms >= due { Step::Write } else { Step::Wait(due) };
        }
        if self.read_at <= self.attempted_at {
            return Step::Look;
        }
        match (now_ms >= self.again_at, is_shown) {
            (false, _) => Step::Wait(self.again_at),
            (true, true) => Step::Look,
            (true, false) => Step::Write,
        }
    }

    /// A write of the newest version begins: to be stored before it does.
    pub fn begin(&mut self, now_ms: i64) {
        self.attempted = self.newest;
        self.attempted_at = now_ms;
        self.open = true;
    }

    /// The write has ended, as the store says.
    pub fn wrote(&mut self) {
        self.open = false;
    }

    /// The write failed, was given up, or was under way when the object was stopped. It may still end.
    pub fn lost(&mut self) {
        if self.open {
            self.open = false;
            let until = self.attempted_at.saturating_add(OUTSTANDING_MS);
            self.unsettled_until = self.unsettled_until.max(until);
        }
    }

    /// Whether the write under way is to be given up.
    pub fn is_overdue(&self, now_ms: i64) -> bool {
        self.open && now_ms >= self.attempted_at.saturating_add(PATIENCE_MS)
    }

    /// The store showed a version, 0 for none or for no answer, to a look that began at this time.
    pub fn looked(&mut self, shown: u64, began_ms: i64, now_ms: i64) {
        self.shown = shown;
        self.read_at = began_ms.max(self.attempted_at.saturating_add(1));
        let wait = SPACING_MS.saturating_mul(1_i64.checked_shl(self.looks.min(16)).unwrap_or(1));
        self.again_at = now_ms.saturating_add(wait.min(LONGEST_MS));
        self.looks = self.looks.saturating_add(1);
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// Numbers that look random; the same for a seed.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }

        fn is(&mut self, percent: u64) -> bool {
            self.below(100) < percent
        }
    }

    /// A store: writes that end later, with the answers to them.
    #[derive(Default)]
    struct Store {
        value: u64,
        /// The value of before, and until when it is shown.
        old: (u64, i64),
        /// When a write takes effect, and its version.
        late: Vec<(i64, u64)>,
    }

    impl Store {
        fn advance(&mut self, now_ms: i64, cached_ms: i64) {
            self.late.sort_unstable();
            while let Some((at, version)) = self.late.first().copied().filter(|(at, _)| *at <= now_ms) {
                self.late.remove(0);
                self.old = (self.value, at + cached_ms);
                self.value = version;
            }
        }

        fn shown(&self, now_ms: i64) -> u64 {
            if now_ms < self.old.1 { self.old.0 } else { self.value }
        }
    }

    /// Faults in percent.
    #[derive(Clone, Copy, Debug, Default)]
    struct Faults {
        late: u64,
        lost: u64,
        failed: u64,
        cached: u64,
        restarts: u64,
        unread: u64,
    }

    /// Publishes some versions, the last a tombstone, through a store with faults that end an hour after the last version.
    /// Returns the time from the last version until the store shows it to stay.
    fn run(seed: u64, faults: Faults) -> i64 {
        let mut random = Random(seed * 2_654_435_761 + 88_172_645_463_325_252);
        let mut store = Store::default();
        let mut publication = Publication::of("acme", 0);
        let versions = 1 + random.below(6);
        let mut changes: Vec<(i64, u64)> =
            (1..=versions).map(|version| (i64::try_from(random.below(90_000)).unwrap(), version)).collect();
        changes.sort_unstable();
        for (n, change) in changes.iter_mut().enumerate() {
            change.1 = n as u64 + 1;
        }
        let last = changes.last().unwrap().0;
        // When the write under way is answered, and whether it went well.
        let mut answer: Option<(i64, bool)> = None;
        let mut held_since = None;
        let mut now = 0_i64;
        while now < last + 4 * 3_600_000 {
            now += 100;
            let is_faulty = now < last + 3_600_000;
            let mut faulty = |percent: u64| is_faulty && random.is(percent);
            let cached = if faulty(faults.cached) { 60_000 } else { 0 };
            store.advance(now, cached);
            while let Some((_, version)) = changes.first().copied().filter(|(at, _)| *at <= now) {
                changes.remove(0);
                publication.want(version, version == versions);
            }
            if is_faulty && random.below(10_000) < faults.restarts {
                // A restart: what was under way is not known to have ended.
                publication.lost();
                answer = None;
            }
            if let Some((_, well)) = answer.filter(|(at, _)| *at <= now) {
                if well {
                    publication.wrote()
                } else {
                    publication.lost()
                }
                answer = None;
            }
            if publication.is_overdue(now) {
                publication.lost();
                answer = None;
            }
            match publication.next(now) {
                Step::Settled => {}
                Step::Wait(until) => assert!(until > now, "a step that waits for the past"),
                Step::Write => {
                    assert!(answer.is_none(), "two writes at once");
                    publication.begin(now);
                    let mut faulty = |percent: u64| is_faulty && random.is(percent);
                    let (late, lost, failed) =
                        (faulty(faults.late), faulty(faults.lost), faulty(faults.failed));
                    let after = if late {
                        i64::try_from(random.below(u64::try_from(OUTSTANDING_MS).unwrap())).unwrap()
                    } else {
                        50
                    };
                    if !lost {
                        store.late.push((now + after, publication.newest));
                    }
                    // A store may say of a lost write that it went well; one that says so of a late write has made it.
                    answer = Some((if failed { now + 50 } else { now + after }, !failed));
                }
                Step::Look => {
                    let shown = if is_faulty && random.is(faults.unread) { 0 } else { store.shown(now) };
                    publication.looked(shown, now, now);
                }
            }
            let is_held =
                store.value == versions && store.late.iter().all(|(_, version)| *version == versions);
            held_since = if is_held { held_since.or(Some(now)) } else { None };
            if changes.is_empty() && store.late.is_empty() && publication.next(now) == Step::Settled {
                assert_eq!(store.value, versions, "settled with an older version: seed {seed}, {faults:?}");
                assert!(publication.deleted);
            }
        }
        assert_eq!(publication.next(now), Step::Settled, "never settled: seed {seed}, {faults:?}");
        assert_eq!(store.value, versions);
        held_since.unwrap() - last
    }

    #[test]
    fn publication_is_settled_by_the_newest_version_whatever_the_store_does() {
        let faults = [
            Faults::default(),
            Faults { late: 60, ..Faults::default() },
            Faults { lost: 60, ..Faults::default() },
            Faults { late: 40, failed: 60, ..Faults::default() },
            Faults { cached: 80, ..Faults::default() },
            Faults { late: 40, restarts: 30, ..Faults::default() },
            Faults { unread: 70, ..Faults::default() },
            Faults { late: 30, lost: 30, failed: 30, cached: 50, restarts: 10, unread: 30 },
        ];
        for (n, faults) in faults.into_iter().enumerate() {
            let slowest = (1..=12).map(|seed| run(seed + 1000 * n as u64, faults)).max().unwrap();
            if n == 0 {
                assert!(slowest < 3_000, "{slowest} ms without faults");
            }
        }
    }

    #[test]
    fn publication_writes_once_and_reads_back_once_if_all_goes_well() {
        let mut publication = Publication::of("acme", 5);
        assert_eq!(publication.next(10), Step::Settled);
        publication.want(6, false);
        assert_eq!(publication.next(10_000), Step::Write);
        publication.begin(10_000);
        // A later version waits for the write under way.
        publication.want(7, false);
        assert_eq!(publication.next(10_001), Step::Wait(40_000));
        publication.wrote();
        assert_eq!(publication.next(10_050), Step::Wait(11_100));
        assert_eq!(publication.next(11_100), Step::Write);
        publication.begin(11_100);
        publication.wrote();
        assert_eq!(publication.next(11_150), Step::Look);
        publication.looked(7, 11_150, 11_160);
        assert_eq!(publication.next(11_160), Step::Settled);
        publication.want(6, true);
        assert_eq!(publication.next(11_160), Step::Settled, "an older version changes nothing");
        assert!(!publication.deleted);
    }

    #[test]
    fn publication_goes_on_after_a_write_of_unknown_outcome_for_as_long_as_it_may_end() {
        let mut publication = Publication::of("acme", 5);
        publication.want(6, false);
        publication.begin(10_000);
        publication.want(7, true);
        assert!(!publication.is_overdue(39_999));
        assert!(publication.is_overdue(40_000));
        publication.lost();
        assert_eq!(publication.next(40_000), Step::Write);
        publication.begin(40_000);
        publication.wrote();
        publication.looked(7, 40_100, 40_100);
        // The write of version 6 may still end.
        assert!(matches!(publication.next(40_200), Step::Wait(_)));
        assert_eq!(publication.next(110_000), Step::Look);
        publication.looked(6, 110_000, 110_000);
        assert_eq!(publication.next(400_000), Step::Write);
        publication.begin(400_000);
        publication.wrote();
        publication.looked(7, 400_100, 400_100);
        assert!(matches!(publication.next(400_200), Step::Wait(_)));
        publication.looked(7, 610_000, 610_000);
        assert_eq!(publication.next(610_000), Step::Settled);
    }
}
