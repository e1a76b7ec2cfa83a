//! What follows a failure to read the origin: how long it is left alone, when a pass is begun again, and what an
//! operator is told.

use crate::pass::Purpose;
use crate::position::Position;
use crate::replica::State;
use scim_edge_scim::endpoint::Kind;
use serde::{Deserialize, Serialize};

/// The least and the longest wait between attempts to read the origin, in milliseconds.
const LEAST_MS: i64 = 1_000;
const MOST_MS: i64 = 300_000;

/// The longest time that an origin can ask for, in milliseconds.
pub const ASKED_MOST_MS: i64 = MOST_MS;

/// Failures in a row after which a pass begins again: where it was may be no place any more.
const FAILURES: u32 = 3;

/// How long filters that an origin has refused are not tried again, in milliseconds.
const FILTERS_AGAIN_MS: i64 = 3_600_000;

/// Why the origin could not be read, and when it is asked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// The status of the origin's answer; none if there was no answer.
    pub status: Option<u16>,
    /// What went wrong.
    pub sentence: String,
    /// Attempts in vain, in a row.
    pub attempt: u32,
    /// When the next one follows, in milliseconds since the epoch.
    pub next_attempt_at: i64,
}

/// How long to wait after so many failures in a row, in milliseconds.
pub fn retry_in(failures: u32) -> i64 {
    let wait = LEAST_MS.saturating_mul(1_i64.checked_shl(failures.min(16)).unwrap_or(1));
    wait.clamp(LEAST_MS, MOST_MS)
}

/// How long an origin asks to be left alone (RFC 9110 §10.2.3: seconds, or a date, whose distance from now `until`
/// tells). A time that is over, and anything else, counts as nothing.
pub fn asked_ms(retry_after: &str, until: impl FnOnce(&str) -> Option<i64>) -> Option<i64> {
    let text = retry_after.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let ms = if is_number {
        text.parse::<i64>().unwrap_or(i64::MAX).saturating_mul(1000)
    } else if text.ends_with("GMT") {
        until(text)?
    } else {
        return None;
    };
    (ms > 0).then(|| ms.min(ASKED_MOST_MS))
}

impl State {
    /// Takes note of an attempt in vain. Returns how long to wait, in milliseconds.
    pub fn failed(&mut self, status: Option<u16>, sentence: String, now_ms: i64) -> i64 {
        self.failures = self.failures.saturating_add(1);
        let attempt = self.failures.saturating_add(self.restarts.saturating_mul(FAILURES));
        let wait = retry_in(attempt);
        let next_attempt_at = now_ms.saturating_add(wait);
        self.last_error = Some(Failure { at: now_ms, status, sentence, attempt, next_attempt_at });
        if let Some(pass) = &self.pass
            && (pass.position.cursor.is_some() || self.failures >= FAILURES)
        {
            self.wanted = self.wanted.or(Some(pass.purpose));
            self.pass = None;
            self.begin_again();
        }
        wait
    }

    /// A fill or pass is begun again: the waits go on growing until one has ended.
    fn begin_again(&mut self) {
        (self.failures, self.restarts) = (0, self.restarts.saturating_add(1));
    }

    /// The origin was read: a page further, or to the end.
    pub fn succeeded(&mut self, is_end: bool) {
        self.failures = 0;
        if is_end {
            self.restarts = 0;
        }
        if self.restarts == 0 {
            self.last_error = None;
        }
    }

    /// The fill begins with the first page again, and keeps what it has.
    pub fn fill_again(&mut self) {
        self.filling = Some(Position::first(Kind::User));
        self.restarts = self.restarts.saturating_add(1);
    }

    /// How long the origin is still left alone, in milliseconds; not if an operator asks for something.
    pub fn rest(&self, now_ms: i64) -> Option<i64> {
        let failure = self.last_error.as_ref().filter(|_| self.ordered.is_none())?;
        Some(failure.next_attempt_at.saturating_sub(now_ms)).filter(|wait| *wait > 0)
    }

    /// Takes up what an operator asked for. What gets on ends first; what does not is replaced.
    pub fn take_up(&mut self) {
        let Some(purpose) = self.ordered.take() else { return };
        let is_stuck = self.last_error.is_some();
        self.calm();
        match (&self.filling, purpose) {
            (Some(_), Purpose::Whole) if is_stuck => self.filling = Some(Position::first(Kind::User)),
            (Some(_), Purpose::Whole) => {}
            (_, purpose) => {
                self.wanted = Some(purpose);
                if is_stuck {
                    self.pass = None;
                }
            }
        }
    }

    /// Nothing is held against the origin any more: its settings are new, or somebody asks for an attempt.
    pub fn calm(&mut self) {
        (self.failures, self.restarts, self.last_error) = (0, 0, None);
    }

    /// The origin has refused a filter: it may have been something in front of it.
    pub fn filters_refused(&mut self, now_ms: i64) {
        (self.filters_times, self.filters_again_at) =
            (Some(false), Some(now_ms.saturating_add(FILTERS_AGAIN_MS)));
    }

    /// Whether to find out if the origin filters by time.
    pub fn may_filter(&self, now_ms: i64) -> bool {
        self.filters_times.is_none() || self.filters_again_at.is_some_and(|at| at <= now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pass::Pass;

    fn failed(state: &mut State, now_ms: i64) -> i64 {
        state.failed(Some(500), "https://origin.example/Users answered 500".to_owned(), now_ms)
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_five_minutes_and_passes_that_begin_again_count() {
        let mut filling = State::new("o");
        let mut passing = State::new("o");
        passing.filling = None;
        let mut waits = (Vec::new(), Vec::new());
        for _ in 0..10 {
            if passing.pass.is_none() {
                passing.pass = Some(Pass::new(passing.wanted.take().unwrap_or(Purpose::Changes), 0));
            }
            waits.0.push(failed(&mut filling, 0) / 1000);
            waits.1.push(failed(&mut passing, 0) / 1000);
        }
        let expected = [2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
        assert_eq!((waits.0, waits.1), (expected.to_vec(), expected.to_vec()));
        let error = passing.last_error.as_ref().unwrap();
        assert_eq!((error.attempt, error.status, error.next_attempt_at), (10, Some(500), 300_000));
        assert_eq!((passing.rest(100_000), passing.rest(300_000)), (Some(200_000), None));
    }

    #[test]
    fn a_pass_begins_again_after_three_failures_and_at_once_where_a_cursor_may_be_forgotten() {
        let mut state = State::new("o");
        (state.filling, state.pass) = (None, Some(Pass::new(Purpose::Check, 0)));
        failed(&mut state, 0);
        failed(&mut state, 0);
        assert!(state.pass.is_some());
        failed(&mut state, 0);
        assert_eq!((&state.pass, state.wanted.take()), (&None, Some(Purpose::Check)));
        let mut pass = Pass::new(Purpose::Whole, 0);
        pass.position.cursor = Some("forgotten".to_owned());
        state.pass = Some(pass);
        failed(&mut state, 0);
        assert_eq!((&state.pass, state.wanted), (&None, Some(Purpose::Whole)));
    }

    #[test]
    fn pages_that_are_read_do_not_hide_that_a_pass_never_ends() {
        let mut state = State::new("o");
        state.filling = None;
        let mut waits = Vec::new();
        for _ in 0..3 {
            state.pass = Some(Pass::new(Purpose::Whole, 0));
            for _ in 0..3 {
                waits.push(failed(&mut state, 0) / 1000);
            }
            // The pass begins again and reads as far as before.
            state.succeeded(false);
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert!(state.last_error.is_some());
        state.succeeded(true);
        assert_eq!((state.last_error.as_ref(), state.restarts), (None, 0));
    }

    #[test]
    fn an_operator_does_not_wait_and_replaces_what_is_stuck() {
        let mut state = State::new("o");
        (state.filling, state.pass) = (None, Some(Pass::new(Purpose::Whole, 0)));
        failed(&mut state, 0);
        assert_eq!(state.rest(0), Some(2_000));
        state.ordered = Some(Purpose::Check);
        assert_eq!(state.rest(0), None);
        state.take_up();
        assert_eq!(
            (&state.pass, state.wanted, state.ordered, state.failures),
            (&None, Some(Purpose::Check), None, 0)
        );
        // What gets on ends first.
        let pass = Pass::new(Purpose::Whole, 0);
        (state.pass, state.ordered) = (Some(pass.clone()), Some(Purpose::Check));
        state.take_up();
        assert_eq!((state.pass, state.wanted), (Some(pass), Some(Purpose::Check)));
        // So it is with a first fill.
        let mut state = State::new("o");
        let place = Position { start: 901, ..Position::first(Kind::Group) };
        (state.filling, state.ordered) = (Some(place.clone()), Some(Purpose::Whole));
        state.take_up();
        assert_eq!(state.filling, Some(place));
        failed(&mut state, 0);
        state.ordered = Some(Purpose::Whole);
        state.take_up();
        assert_eq!((state.filling, state.last_error), (Some(Position::first(Kind::User)), None));
    }

    #[test]
    fn what_an_origin_asks_for_is_capped_and_nonsense_is_nothing() {
        let until = |text: &str| (text == "Wed, 21 Oct 2026 07:28:00 GMT").then_some(20_000);
        for (text, expected) in [
            ("120", Some(120_000)),
            (" 5 ", Some(5_000)),
            ("99999999999999999999999", Some(ASKED_MOST_MS)),
            ("86400", Some(ASKED_MOST_MS)),
            ("0", None),
            ("-5", None),
            ("+5", None),
            ("1.5", None),
            ("soon", None),
            ("May 1", None),
            ("", None),
            ("Wed, 21 Oct 2026 07:28:00 GMT", Some(20_000)),
            ("nonsense GMT", None),
        ] {
            assert_eq!(asked_ms(text, until), expected, "{text:?}");
        }
        assert_eq!(asked_ms("Wed, 21 Oct 2015 07:28:00 GMT", |_| Some(-1)), None);
    }

    #[test]
    fn filters_that_were_refused_once_are_tried_again() {
        let mut state = State::new("o");
        assert!(state.may_filter(0));
        state.filters_refused(1_000);
        assert_eq!((state.filters_times, state.may_filter(1_000)), (Some(false), false));
        assert!(state.may_filter(1_000 + FILTERS_AGAIN_MS));
        // Times that do not tell changes are no refusal.
        (state.filters_times, state.filters_again_at) = (Some(false), None);
        assert!(!state.may_filter(i64::MAX));
    }
}
