//! Passes over the origin: what finds changes that were made behind the gateway.
//!
//! A **whole** pass reads every resource, and finds deletions. A pass over **changes** asks for what was
//! modified since, and compares counts: where they differ something was deleted, or missed, and a whole pass
//! follows at once. It is made only where it is proved that the origin filters by time, and every answer
//! proves it again: nothing in it may be older than was asked for. That the times mean anything is seen by
//! whole passes, which are made now and then all the same: one that finds a change which an earlier pass
//! should have found by its time ends the passes over changes for this origin.
//!
//! If a whole pass did not show more resources than the brake lets go ([`crate::brake`]), it **holds**: it asks for
//! them one by one and removes none, until it is known how many are gone. If too many are, or cannot be asked for,
//! the origin is under suspicion: the copy stays as it is, and a whole pass follows after a while. One that ends well
//! ends the suspicion.
//!
//! A **check** changes nothing: it compares, and is kept to be shown.

use crate::position::Position;
use crate::replica::State;
use crate::time;
use scim_edge_scim::endpoint::Kind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// After so many intervals without a whole pass one is due.
const WHOLE_EVERY: i64 = 8;

/// How far the origin's clock may be off, and how late what it has accepted may show, in milliseconds.
const MARGIN_MS: i64 = 600_000;

/// The least time between whole passes that something calls for, in milliseconds.
const WHOLE_LEAST_MS: i64 = 5_000;

/// How many resources a check lists of each sort of difference.
pub const LISTED: usize = 100;

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// Finds what was modified.
    Changes,
    /// Finds everything. Earlier versions stored a resync as a pass of its own.
    #[serde(alias = "resync")]
    Whole,
    /// Changes nothing.
    Check,
}

/// A pass under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pass {
    /// What it is for.
    pub purpose: Purpose,
    /// When it began, in milliseconds since the epoch.
    pub began: i64,
    /// Where it goes on.
    pub position: Position,
    /// How many pages it has read.
    pub pages: i64,
    /// Whether every page was read, and what was not on them is looked for.
    #[serde(default)]
    pub sweeping: bool,
    /// Whether so many resources were on no page that none is removed before it is known how many are gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holding: bool,
    /// What a check has found.
    #[serde(default)]
    pub check: Check,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// When it ended, in milliseconds since the epoch.
    pub at: i64,
    /// How many users there are.
    pub users: Counts,
    /// How many groups there are.
    pub groups: Counts,
    /// At the origin only.
    pub missing: Vec<Found>,
    /// Here only.
    pub extra: Vec<Found>,
    /// In both, not the same.
    pub different: Vec<Found>,
    /// Whether the three lists name everything that differs.
    pub complete: bool,
}

/// Resources of a type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In the copy.
    pub here: i64,
    /// At the origin, by its own count.
    pub origin: i64,
}

/// A resource that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// `User` or `Group`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
}

impl Pass {
    /// A pass that is to be begun.
    pub fn new(purpose: Purpose, now_ms: i64) -> Self {
        let check = Check { complete: true, ..Check::default() };
        let position = Position::first(Kind::User);
        Self { purpose, began: now_ms, position, pages: 0, sweeping: false, holding: false, check }
    }
}

impl Check {
    /// Lists a resource, where there is room.
    pub fn list(&mut self, which: impl FnOnce(&mut Self) -> &mut Vec<Found>, kind: Kind, id: &str) {
        let list = which(self);
        let found = Found { kind: kind.name().to_owned(), id: id.to_owned() };
        // Pages that moved are read twice.
        if list.contains(&found) {
            return;
        }
        if list.len() < LISTED {
            list.push(found);
        } else {
            self.complete = false;
        }
    }

    /// The counts of a type.
    pub fn counts(&mut self, kind: Kind) -> &mut Counts {
        match kind {
            Kind::User => &mut self.users,
            Kind::Group => &mut self.groups,
        }
    }
}

impl State {
    /// The pass that is due, or how long there is none, in milliseconds. `calls_for_whole`: something may have
    /// been created of which nobody knows.
    pub fn due(
        &self,
        now_ms: i64,
        max_staleness_seconds: u32,
        calls_for_whole: bool,
    ) -> Result<Purpose, i64> {
        if let Some(wanted) = self.wanted {
            return Ok(wanted);
        }
        if let Some(suspicion) = &self.suspicion
            && now_ms < suspicion.again_at
        {
            return Err(suspicion.again_at.saturating_sub(now_ms));
        }
        let interval = i64::from(max_staleness_seconds).saturating_mul(500);
        let (Some(synced), Some(whole)) = (self.synced_at, self.whole_at) else { return Ok(Purpose::Whole) };
        let (next, next_whole) = (
            synced.saturating_add(interval).saturating_sub(now_ms),
            whole.saturating_add(WHOLE_LEAST_MS).saturating_sub(now_ms),
        );
        if calls_for_whole {
            return if next_whole <= 0 { Ok(Purpose::Whole) } else { Err(next_whole) };
        }
        if next > 0 {
            return Err(next);
        }
        let is_due = whole.saturating_add(interval.saturating_mul(WHOLE_EVERY)) <= now_ms;
        let by_time = self.filters_times == Some(true) && !is_due;
        Ok(if by_time { Purpose::Changes } else { Purpose::Whole })
    }

    /// The filter for what was modified since the copy was last right: somewhat longer ago.
    pub fn changes_filter(&self) -> String {
        format!("meta.lastModified gt \"{}\"", time::to_text(self.changed_since()))
    }

    /// Whether a resource may be in the answer to [`Self::changes_filter`].
    pub fn is_change(&self, shown: &Value) -> bool {
        modified(shown).is_some_and(|at| at > self.changed_since())
    }

    /// Whether a pass over changes would have missed a change that a whole pass has found.
    pub fn missed(&self, shown: &Value) -> bool {
        modified(shown).is_none_or(|at| at < self.changed_since())
    }

    fn changed_since(&self) -> i64 {
        self.synced_at.unwrap_or(0).saturating_sub(MARGIN_MS).max(0)
    }
}

/// When a resource was last modified, as it says itself, in milliseconds since the epoch.
pub fn modified(shown: &Value) -> Option<i64> {
    let text = shown.get("meta")?.get("lastModified")?.as_str()?;
    Some(scim_edge_scim::instant::Instant::parse(text)?.milliseconds())
}

/// Filters that tell whether an origin filters by time: one that every resource matches, and one that none
/// does.
pub const ALWAYS: &str = "meta.lastModified gt \"1970-01-01T00:00:00Z\"";
#[allow(missing_docs)]
pub const NEVER: &str = "meta.lastModified gt \"9000-01-01T00:00:00Z\"";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::{Missing, Suspicion};
    use serde_json::json;

    const MINUTE: i64 = 60_000;

    fn state() -> State {
        let mut state = State::new("o");
        (state.filling, state.synced_at, state.whole_at) = (None, Some(100 * MINUTE), Some(100 * MINUTE));
        state.filters_times = Some(true);
        state
    }

    #[test]
    fn which_pass_is_due() {
        let mut state = state();
        assert_eq!(state.due(100 * MINUTE, 900, false), Err(450_000));
        assert_eq!(state.due(108 * MINUTE, 900, false), Ok(Purpose::Changes));
        // What somebody wants comes first; what may have been created calls for a whole pass.
        assert_eq!(state.due(108 * MINUTE, 900, true), Ok(Purpose::Whole));
        assert_eq!(state.due(100 * MINUTE + 1_000, 900, true), Err(4_000));
        state.wanted = Some(Purpose::Check);
        assert_eq!(state.due(100 * MINUTE, 900, true), Ok(Purpose::Check));
        state.wanted = None;
        // Now and then everything is read all the same.
        state.synced_at = Some(152 * MINUTE);
        assert_eq!(state.due(160 * MINUTE, 900, false), Ok(Purpose::Whole));
        for filters in [Some(false), None] {
            state.filters_times = filters;
            assert_eq!(state.due(160 * MINUTE, 900, false), Ok(Purpose::Whole));
        }
        assert_eq!(State::new("o").due(0, 900, false), Ok(Purpose::Whole));
    }

    #[test]
    fn an_origin_under_suspicion_is_asked_again_after_a_while() {
        let mut state = state();
        let (users, groups) = (Missing { would_remove: 40, of: 80 }, Missing::default());
        state.suspicion = Some(Suspicion { since: 100 * MINUTE, again_at: 101 * MINUTE, users, groups });
        state.whole_at = None;
        assert_eq!(state.due(100 * MINUTE, 900, true), Err(MINUTE));
        assert_eq!(state.due(101 * MINUTE, 900, false), Ok(Purpose::Whole));
        state.wanted = Some(Purpose::Check);
        assert_eq!(state.due(100 * MINUTE, 900, false), Ok(Purpose::Check));
    }

    #[test]
    fn changes_are_asked_for_with_a_margin_and_believed_within_it() {
        let state = state();
        assert_eq!(state.changes_filter(), "meta.lastModified gt \"1970-01-01T01:30:00.000Z\"");
        let shown = |text: &str| json!({ "meta": { "lastModified": text } });
        assert!(state.is_change(&shown("1970-01-01T02:31:00+01:00")));
        assert!(!state.is_change(&shown("1970-01-01T01:29:59Z")));
        assert!(!state.is_change(&json!({ "meta": {} })));
        assert!(state.missed(&shown("1970-01-01T01:29:59Z")) && state.missed(&json!({})));
        assert!(!state.missed(&shown("1970-01-01T01:30:01Z")));
    }

    #[test]
    fn a_check_says_where_its_lists_end() {
        let mut check = Pass::new(Purpose::Check, 0).check;
        for n in 0..LISTED {
            check.list(|check| &mut check.extra, Kind::User, &n.to_string());
        }
        assert!(check.complete);
        check.list(|check| &mut check.extra, Kind::Group, "g");
        assert!(!check.complete && check.extra.len() == LISTED);
        assert_eq!(serde_json::to_value(&check.extra[0]).unwrap(), json!({ "type": "User", "id": "0" }));
    }
}
