//! Times that were noted, seen from now. The clock of a host may have been ahead when one was noted: a time that is
//! to come must not keep anything fresh until then.

/// How long anything is fresh at most, in milliseconds.
pub const MOST_MS: i64 = 60 * 60_000;

/// Whether a time was noted less than `within_ms` ago. One that is to come by more than that was noted by a clock
/// that was ahead.
pub fn is_within(at: i64, now_ms: i64, within_ms: i64) -> bool {
    now_ms.abs_diff(at) < within_ms.unsigned_abs()
}

/// Whether something is fresh that is until then, and for no more than an hour from now.
pub fn is_until(until: i64, now_ms: i64) -> bool {
    now_ms < until && until.saturating_sub(now_ms) <= MOST_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_ahead_keeps_nothing_fresh() {
        assert!(is_within(100, 100, 10) && is_within(91, 100, 10) && is_within(105, 100, 10));
        assert!(!is_within(90, 100, 10) && !is_within(110, 100, 10) && !is_within(i64::MAX, 0, 10));
        assert!(is_until(1, 0) && is_until(MOST_MS, 0));
        assert!(!is_until(0, 0) && !is_until(MOST_MS + 1, 0) && !is_until(i64::MAX, i64::MIN));
    }
}
