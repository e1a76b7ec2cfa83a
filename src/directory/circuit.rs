//! When to leave an origin alone that does not answer.
//!
//! Closed, everything is sent. After [`OPENS_AT`] failures in a row the circuit is open: nothing is sent until
//! a time that is twice as far off with every attempt in vain. Then it is half open: one request is sent to
//! find out, and all others wait for what it finds. Any answer closes the circuit.
//!
//! An origin that asks for less (`Retry-After`) is there; background work waits, clients decide for
//! themselves.

use crate::backoff::ASKED_MOST_MS;
use serde::{Deserialize, Serialize};

/// Failures in a row that open the circuit.
pub const OPENS_AT: u32 = 5;

/// The least and the longest time that nothing is sent, in milliseconds.
const LEAST_MS: i64 = 5_000;
const MOST_MS: i64 = 300_000;

/// How long the one request of a half-open circuit may take before another is sent: longer than any
/// request may.
const PROBE_MS: i64 = 90_000;

/// How long those wait that come while it is on its way.
const PROBING_MS: i64 = 1_000;

/// What is known of an origin's health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Circuit {
    /// The origin's SCIM base.
    pub origin: String,
    /// Failures in a row; not counted further while the circuit is open.
    pub failures: u32,
    /// How often in a row the circuit has opened.
    pub opened: u32,
    /// When the circuit is half open, in milliseconds since the epoch; none where it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<i64>,
    /// Until when the origin asked for less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_until: Option<i64>,
    /// Whether the origin has ever answered.
    pub answered: bool,
    #[serde(skip)]
    probe_until: Option<i64>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The origin answered, whatever it was.
    Answer {
        /// How long it asked to be left alone, in milliseconds.
        busy_ms: Option<i64>,
    },
    /// It could not be reached, was too late, or said that it cannot answer.
    Failure {
        /// How long it asked to be left alone, in milliseconds.
        busy_ms: Option<i64>,
    },
}

/// How a circuit looks to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Position {
    Closed,
    Open,
    HalfOpen,
}

impl Heard {
    /// What an HTTP status says of the origin's health: of what stands before it, too (520 to 530 are those
    /// of Cloudflare's that speak of an origin that is not there).
    pub fn of(status: u16, busy_ms: Option<i64>) -> Self {
        match status {
            502..=504 | 520..=527 | 530 => Self::Failure { busy_ms },
            429 => Self::Answer { busy_ms },
            _ => Self::Answer { busy_ms: None },
        }
    }
}

impl Circuit {
    /// Nothing is known of this origin.
    pub fn new(origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..Self::default() }
    }

    /// Where it stands.
    pub fn position(&self, now_ms: i64) -> Position {
        match self.retry_at {
            None => Position::Closed,
            Some(retry_at) if now_ms < retry_at => Position::Open,
            Some(_) => Position::HalfOpen,
        }
    }

    /// How long a request would have to wait, in milliseconds; none where it may be sent.
    pub fn wait(&self, now_ms: i64) -> Option<i64> {
        match (self.retry_at, self.probe_until) {
            (Some(retry_at), _) if now_ms < retry_at => Some(retry_at.saturating_sub(now_ms)),
            (Some(_), Some(until)) if now_ms < until => Some(PROBING_MS),
            _ => None,
        }
    }

    /// How long background work is to wait, in milliseconds.
    pub fn background_wait(&self, now_ms: i64) -> Option<i64> {
        let busy = self.busy_until.filter(|until| now_ms < *until).map(|until| until.saturating_sub(now_ms));
        busy.max(self.wait(now_ms))
    }

    /// When the origin is asked again in the background; none where nothing is waited for.
    pub fn asked_again_at(&self, now_ms: i64) -> Option<i64> {
        self.retry_at.max(self.busy_until.filter(|until| now_ms < *until))
    }

    /// Somebody wants the origin asked: that it has asked for less is forgotten. Whether that changed anything.
    pub fn hurry(&mut self) -> bool {
        self.busy_until.take().is_some()
    }

    /// Lets a request through, or says how long to wait, in milliseconds. What is let through must be
    /// followed by what was [`Self::heard`].
    ///
    /// # Errors
    /// The circuit is open, or another request is finding out whether it can be closed.
    pub fn admit(&mut self, now_ms: i64) -> Result<(), i64> {
        if let Some(wait) = self.wait(now_ms) {
            return Err(wait);
        }
        if self.retry_at.is_some() {
            self.probe_until = Some(now_ms.saturating_add(PROBE_MS));
        }
        Ok(())
    }

    /// Takes note of what became of a request. Whether that changed what is to be kept.
    pub fn heard(&mut self, heard: Heard, now_ms: i64) -> bool {
        let before = self.clone();
        let until = |ms: i64| now_ms.saturating_add(ms.clamp(0, ASKED_MOST_MS));
        match heard {
            Heard::Answer { busy_ms } => {
                let busy_until = busy_ms.map(until).max(self.busy_until.filter(|until| now_ms < *until));
                let origin = std::mem::take(&mut self.origin);
                *self = Self { origin, answered: true, busy_until, ..Self::default() };
            }
            Heard::Failure { busy_ms } => {
                self.busy_until = self.busy_until.max(busy_ms.map(until));
                // What was sent before the circuit opened tells nothing new.
                if self.position(now_ms) != Position::Open {
                    self.failures = self.failures.saturating_add(1).min(OPENS_AT);
                    self.probe_until = None;
                    if self.failures >= OPENS_AT {
                        let wait =
                            LEAST_MS.saturating_mul(1_i64.checked_shl(self.opened.min(16)).unwrap_or(1));
                        let retry_at = now_ms.saturating_add(wait.min(MOST_MS));
                        self.retry_at = Some(busy_ms.map(until).unwrap_or(0).max(retry_at));
                        self.opened = self.opened.saturating_add(1);
                    }
                }
            }
        }
        *self != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Heard = Heard::Failure { busy_ms: None };
    const ANSWERED: Heard = Heard::Answer { busy_ms: None };

    fn open() -> Circuit {
        let mut circuit = Circuit::new("https://origin.example/scim");
        for _ in 0..OPENS_AT {
            assert_eq!(circuit.admit(0), Ok(()));
            assert!(circuit.heard(FAILED, 0));
        }
        circuit
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let mut circuit = Circuit::new("o");
        for _ in 0..10 {
            for _ in 1..OPENS_AT {
                circuit.heard(FAILED, 0);
            }
            circuit.heard(ANSWERED, 0);
        }
        assert_eq!((circuit.position(0), circuit.wait(0)), (Position::Closed, None));
        assert_eq!(open().position(0), Position::Open);
        assert_eq!(open().admit(1_000), Err(4_000));
    }

    #[test]
    fn half_open_lets_one_request_find_out() {
        let mut circuit = open();
        assert_eq!(circuit.position(5_000), Position::HalfOpen);
        assert_eq!(circuit.admit(5_000), Ok(()));
        assert_eq!(circuit.admit(5_001), Err(PROBING_MS));
        circuit.heard(ANSWERED, 5_500);
        assert_eq!((circuit.position(5_500), circuit.admit(5_500)), (Position::Closed, Ok(())));
    }

    #[test]
    fn a_request_that_never_ended_does_not_keep_it_half_open() {
        let mut circuit = open();
        assert_eq!(circuit.admit(5_000), Ok(()));
        assert_eq!(circuit.admit(5_000 + PROBE_MS), Ok(()));
    }

    #[test]
    fn each_attempt_in_vain_doubles_the_wait_up_to_a_limit() {
        let mut circuit = open();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let wait = circuit.wait(now).unwrap();
            waits.push(wait / 1000);
            now += wait;
            assert_eq!(circuit.admit(now), Ok(()));
            circuit.heard(FAILED, now);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn what_was_sent_before_it_opened_tells_nothing_new() {
        let mut circuit = open();
        assert!(!circuit.heard(FAILED, 10));
        assert_eq!(circuit.wait(10), Some(4_990));
        assert!(circuit.heard(ANSWERED, 20));
        assert_eq!(circuit.wait(20), None);
    }

    #[test]
    fn an_origin_that_asks_for_less_is_heeded_in_the_background() {
        let mut circuit = Circuit::new("o");
        assert!(circuit.heard(Heard::of(429, Some(30_000)), 0));
        assert_eq!((circuit.wait(1_000), circuit.background_wait(1_000)), (None, Some(29_000)));
        // An answer to somebody else does not take it back.
        circuit.heard(Heard::of(200, None), 2_000);
        assert_eq!(circuit.background_wait(2_000), Some(28_000));
        assert_eq!(circuit.background_wait(30_000), None);
        for _ in 0..OPENS_AT {
            circuit.heard(Heard::of(503, Some(60_000)), 40_000);
        }
        assert_eq!(circuit.wait(40_000), Some(60_000));
        circuit.heard(Heard::of(429, Some(i64::MAX)), 200_000);
        assert_eq!(circuit.background_wait(200_000), Some(ASKED_MOST_MS));
        assert_eq!(circuit.asked_again_at(200_000), Some(200_000 + ASKED_MOST_MS));
        assert!(circuit.hurry() && !circuit.hurry());
        assert_eq!(circuit.background_wait(200_000), None);
    }

    #[test]
    fn which_statuses_are_failures() {
        for status in [502, 503, 504, 522, 530] {
            assert!(matches!(Heard::of(status, None), Heard::Failure { .. }), "{status}");
        }
        for status in [200, 201, 204, 302, 400, 401, 404, 409, 412, 429, 500, 501] {
            assert!(matches!(Heard::of(status, None), Heard::Answer { .. }), "{status}");
        }
    }

    #[test]
    fn it_is_kept_over_a_restart_but_for_the_request_on_its_way() {
        let mut circuit = open();
        circuit.admit(5_000).unwrap();
        let text = serde_json::to_string(&circuit).unwrap();
        let expected = r#"{"origin":"https://origin.example/scim","failures":5,"opened":1,"retryAt":5000,"answered":false}"#;
        assert_eq!(text, expected);
        let mut kept: Circuit = serde_json::from_str(&text).unwrap();
        assert_eq!(kept.admit(5_000), Ok(()));
    }

    #[test]
    fn a_healthy_origin_changes_nothing() {
        let mut circuit = Circuit::new("o");
        assert!(circuit.heard(ANSWERED, 0));
        assert!(!circuit.heard(ANSWERED, 1));
    }
}
