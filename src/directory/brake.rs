//! The brake: stops removals that come in too great a number for one hour.
//!
//! Removals are deletions of users and groups, deactivations (`active` becomes false, or is removed while it was
//! true), and groups that lose their last member. They are counted by minute, for users and for groups, over a
//! sliding hour. A removal is stopped if it would be more than [`Limits::per_hour`] of its type in that hour, and
//! more than [`Limits::percent`] of the resources of its type that there were at the beginning of the hour. A
//! directory with fewer than [`Limits::least`] resources has no brake.
//!
//! INVARIANT: a removal is counted in the transaction that makes it, or before it leaves for an origin, so that no
//! two removals take the last place. One row holds the window: a removal costs one row more, any other write none.
//!
//! An operator lets removals through: a number of them, or all until a time. Removals that were let through are not
//! counted, and the window begins empty.

use crate::Directory;
use crate::deleted::Deletion;
use crate::message::Failure;
use crate::sql::{Sql, SqlError};
use crate::store::Store;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const MINUTE_MS: i64 = 60_000;

/// How many minutes a removal is counted for. The minute it falls in is counted whole: never less than an hour.
const WINDOW: i64 = 60;

/// How long a permission of an operator lasts if he names no time, and at most, in milliseconds.
const ONCE_MS: i64 = 3_600_000;
const LONGEST_MS: i64 = 86_400_000;

/// How often an alarm is repeated while removals are being stopped, in milliseconds.
const ALARM_MS: i64 = 600_000;

/// The name of the window's row.
const STATE: &str = "brake";

/// When the brake stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Removals of a type in an hour.
    pub per_hour: u32,
    /// Share of the resources of that type, in percent.
    pub percent: u32,
    /// Resources of all types below which nothing is stopped.
    pub least: u32,
}

/// What a write is held to, beside the permissions of its caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// The brake's limits; none: it is off.
    pub limits: Option<Limits>,
    /// Whether the caller may add and change, and remove nothing.
    pub append_only: bool,
}

/// What a removal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The resource is gone.
    Deleted,
    /// The user is there and no longer active, or the group has no members left.
    Disabled,
}

/// A removal that was stopped, or a number of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The type of the resources.
    pub kind: Kind,
    /// How many removals there would be within the hour.
    pub removals: i64,
    /// Of how many resources.
    pub of: i64,
    /// The limits that were exceeded.
    pub limits: Limits,
    /// When there is room again, in seconds.
    pub retry_after: i64,
}

impl Stop {
    /// The error of a request that was stopped (429).
    pub fn error(&self) -> Error {
        let Limits { per_hour, percent, .. } = self.limits;
        Error::status(
            429,
            format!(
                "The brake stopped this removal: it would be number {} of {} {} within an hour, and the limit is \
                {per_hour} and {percent} percent. If it is meant, an operator lets it through (POST .brake below the \
                SCIM base); otherwise there is room again in {} s",
                self.removals,
                self.of,
                plural(self.kind),
                self.retry_after,
            ),
        )
    }

    /// A line for the log.
    pub fn alarm(&self) -> String {
        let Limits { per_hour, percent, .. } = self.limits;
        format!(
            "the brake stopped removals: {} of {} {} within an hour, limit {per_hour} and {percent} percent",
            self.removals,
            self.of,
            plural(self.kind),
        )
    }
}

/// A removal that was counted, to be taken back if it does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    kind: Kind,
    removal: Removal,
    minute: i64,
    was_let_through: bool,
}

/// The removals of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Minute {
    /// Minutes since the epoch.
    at: i64,
    deleted: i64,
    disabled: i64,
}

/// What an operator lets through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LetThrough {
    /// How many removals are left; none: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removals: Option<i64>,
    /// Until when, in milliseconds since the epoch.
    pub until: i64,
    /// The operator's key.
    pub by: String,
}

/// Requests that were stopped since the last removal that was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stopped {
    since: i64,
    requests: i64,
    alarmed_at: i64,
}

/// The window as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Brake {
    users: Vec<Minute>,
    groups: Vec<Minute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<Stopped>,
    #[serde(skip_serializing_if = "Option::is_none")]
    let_through: Option<LetThrough>,
}

/// How many resources there are now.
#[derive(Clone, Copy, Debug)]
struct Population {
    users: i64,
    groups: i64,
}

fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::User => "users",
        Kind::Group => "groups",
    }
}

impl Brake {
    fn minutes(&self, kind: Kind) -> &[Minute] {
        match kind {
            Kind::User => &self.users,
            Kind::Group => &self.groups,
        }
    }

    fn minutes_mut(&mut self, kind: Kind) -> &mut Vec<Minute> {
        match kind {
            Kind::User => &mut self.users,
            Kind::Group => &mut self.groups,
        }
    }

    /// Forgets what is older than the window. If the clock went back, removals from later than now are taken for
    /// removals of this minute: they are counted for an hour from here, neither for longer nor for less.
    fn age(&mut self, now_ms: i64) {
        let now = now_ms.div_euclid(MINUTE_MS);
        for kind in Kind::ALL {
            let mut kept: Vec<Minute> = Vec::new();
            for mut minute in self.minutes(kind).iter().copied() {
                minute.at = minute.at.min(now);
                if minute.at < now.saturating_sub(WINDOW) {
                    continue;
                }
                match kept.iter_mut().find(|one| one.at == minute.at) {
                    Some(same) => {
                        same.deleted = same.deleted.saturating_add(minute.deleted);
                        same.disabled = same.disabled.saturating_add(minute.disabled);
                    }
                    None => kept.push(minute),
                }
            }
            kept.sort_by_key(|minute| minute.at);
            *self.minutes_mut(kind) = kept;
        }
        let is_over = |one: &LetThrough| {
            // A clock that went back does not make it longer than it can be.
            one.until <= now_ms
                || one.until > now_ms.saturating_add(LONGEST_MS)
                || one.removals.is_some_and(|left| left <= 0)
        };
        self.let_through = self.let_through.take().filter(|one| !is_over(one));
    }

    fn removed(&self, kind: Kind) -> i64 {
        self.minutes(kind)
            .iter()
            .fold(0_i64, |sum, minute| sum.saturating_add(minute.deleted).saturating_add(minute.disabled))
    }

    /// How many resources there were before the removals of the window.
    fn before(&self, kind: Kind, there: Population) -> i64 {
        let now = match kind {
            Kind::User => there.users,
            Kind::Group => there.groups,
        };
        self.minutes(kind).iter().fold(now, |sum, minute| sum.saturating_add(minute.deleted))
    }

    fn is_watching(&self, limits: Limits, there: Population) -> bool {
        let all = Kind::ALL.into_iter().fold(0_i64, |sum, kind| sum.saturating_add(self.before(kind, there)));
        all >= i64::from(limits.least)
    }

    fn exceeds(&self, limits: Limits, kind: Kind, there: Population, more: i64) -> Option<(i64, i64)> {
        let (removals, of) = (self.removed(kind).saturating_add(more), self.before(kind, there));
        let is_many = removals > i64::from(limits.per_hour);
        let is_share = removals.saturating_mul(100) > of.saturating_mul(i64::from(limits.percent));
        (is_many && is_share).then_some((removals, of))
    }

    /// Whether as many removals more would be stopped. The window must have been aged.
    fn stop(&self, limits: Limits, kind: Kind, there: Population, more: i64, now_ms: i64) -> Option<Stop> {
        if !self.is_watching(limits, there) {
            return None;
        }
        let (removals, of) = self.exceeds(limits, kind, there, more)?;
        let retry_after = self.room_in(limits, kind, there, now_ms);
        Some(Stop { kind, removals, of, limits, retry_after })
    }

    /// When one more removal is not stopped any more, in seconds.
    fn room_in(&self, limits: Limits, kind: Kind, there: Population, now_ms: i64) -> i64 {
        let mut later = self.clone();
        let ends = |at: i64| at.saturating_add(WINDOW).saturating_add(1).saturating_mul(MINUTE_MS);
        while let Some(oldest) = later.minutes(kind).first().copied() {
            later.minutes_mut(kind).remove(0);
            if later.exceeds(limits, kind, there, 1).is_none() {
                let wait_ms = ends(oldest.at).saturating_sub(now_ms);
                return wait_ms.saturating_add(999).div_euclid(1000).clamp(1, 3_660);
            }
        }
        3_600
    }

    fn add(&mut self, kind: Kind, removal: Removal, minute: i64, count: i64) {
        let minutes = self.minutes_mut(kind);
        let found = minutes.iter_mut().find(|one| one.at == minute);
        let mut fresh = Minute { at: minute, deleted: 0, disabled: 0 };
        let is_new = found.is_none();
        let place = found.unwrap_or(&mut fresh);
        let counted = match removal {
            Removal::Deleted => &mut place.deleted,
            Removal::Disabled => &mut place.disabled,
        };
        *counted = counted.saturating_add(count).max(0);
        if is_new && count > 0 {
            minutes.push(fresh);
        }
    }
}

/// Takes a stop out of what else can fail.
fn stopped<T>(counted: Result<T, Failure>) -> Result<Result<T, Stop>, SqlError> {
    match counted {
        Ok(counted) => Ok(Ok(counted)),
        Err(Failure::Stopped(stop)) => Ok(Err(stop)),
        Err(Failure::Sql(error)) => Err(error),
        Err(_) => Err(SqlError::new("a removal was not counted")),
    }
}

impl<S: Sql> Store<S> {
    fn brake(&self, now_ms: i64) -> Result<Brake, SqlError> {
        let stored = self.state(STATE)?.and_then(|text| serde_json::from_str::<Brake>(&text).ok());
        let mut brake = stored.unwrap_or_default();
        brake.age(now_ms);
        Ok(brake)
    }

    fn set_brake(&self, brake: &Brake) -> Result<(), SqlError> {
        let text = serde_json::to_string(brake).map_err(|error| SqlError::new(error.to_string()))?;
        self.set_state(STATE, &text)
    }

    fn population(&self) -> Result<Population, SqlError> {
        Ok(Population { users: self.count(Kind::User)?, groups: self.count(Kind::Group)? })
    }

    /// Counts a removal, before it is made and in its transaction.
    pub(crate) fn count_removal(
        &self,
        limits: Option<Limits>,
        kind: Kind,
        removal: Removal,
        now_ms: i64,
    ) -> Result<Option<Reserved>, Failure> {
        let Some(limits) = limits else { return Ok(None) };
        let there = self.population()?;
        let mut brake = self.brake(now_ms)?;
        if !brake.is_watching(limits, there) {
            return Ok(None);
        }
        let minute = now_ms.div_euclid(MINUTE_MS);
        let was_let_through = brake.let_through.is_some();
        if let Some(let_through) = &mut brake.let_through {
            if let_through.removals.is_none() {
                return Ok(Some(Reserved { kind, removal, minute, was_let_through }));
            }
            let_through.removals = let_through.removals.map(|left| left.saturating_sub(1));
        } else {
            if let Some(stop) = brake.stop(limits, kind, there, 1, now_ms) {
                return Err(Failure::Stopped(stop));
            }
            brake.add(kind, removal, minute, 1);
            brake.stopped = None;
        }
        self.set_brake(&brake)?;
        Ok(Some(Reserved { kind, removal, minute, was_let_through }))
    }
}

impl<S: Sql> Directory<S> {
    /// Counts a removal that is about to leave for the origin, or says why it must not leave. None: there is
    /// nothing to count.
    pub fn reserve_removal(
        &self,
        limits: Option<Limits>,
        kind: Kind,
        removal: Removal,
        now_ms: i64,
    ) -> Result<Result<Option<Reserved>, Stop>, SqlError> {
        let counted = stopped(self.store.count_removal(limits, kind, removal, now_ms))?;
        if let Err(stop) = &counted {
            self.note_stopped(stop, now_ms)?;
        }
        Ok(counted)
    }

    /// The origin has this resource no longer, which nobody told the gateway to do: it goes, and counts as a
    /// removal, or the brake keeps it.
    pub fn forget_found(
        &self,
        limits: Option<Limits>,
        kind: Kind,
        id: &str,
        deletion: &Deletion<'_>,
    ) -> Result<Result<(), Stop>, SqlError> {
        let Some(found) = self.store.get(kind, id)? else {
            self.forget(kind, id, deletion)?;
            return Ok(Ok(()));
        };
        // Counted already, before it left.
        let limits = limits.filter(|_| !self.store.is_being_deleted(kind, id).unwrap_or(false));
        stopped(self.store.sql.transaction(|| {
            self.store.count_removal(limits, kind, Removal::Deleted, deletion.at)?;
            Ok(self.store.delete(&found, deletion)?)
        }))
    }

    /// Whether a resource stays that the origin, which is under suspicion, says it has no longer: only a pass over
    /// everything tells whether it is right.
    pub fn keeps(&self, kind: Kind, id: &str, now_ms: i64) -> Result<bool, SqlError> {
        Ok(self.has(kind, id)?
            && !self.store.is_being_deleted(kind, id)?
            && self.store.brake(now_ms)?.let_through.is_none())
    }

    /// A removal that was counted has not happened.
    pub fn take_back_removal(&self, reserved: Reserved, now_ms: i64) -> Result<(), SqlError> {
        let mut brake = self.store.brake(now_ms)?;
        if reserved.was_let_through {
            let Some(let_through) = &mut brake.let_through else { return Ok(()) };
            let Some(left) = &mut let_through.removals else { return Ok(()) };
            *left = left.saturating_add(1);
        } else {
            brake.add(reserved.kind, reserved.removal, reserved.minute, -1);
        }
        self.store.set_brake(&brake)
    }

    /// Takes note of a request that was stopped. The alarm is to be raised now and then, not for each.
    pub(crate) fn note_stopped(&self, stop: &Stop, now_ms: i64) -> Result<(), SqlError> {
        let mut brake = self.store.brake(now_ms)?;
        let mut stopped = brake.stopped.unwrap_or(Stopped { since: now_ms, requests: 0, alarmed_at: 0 });
        stopped.requests = stopped.requests.saturating_add(1);
        let is_due = !(0..ALARM_MS).contains(&now_ms.saturating_sub(stopped.alarmed_at));
        if is_due {
            stopped.alarmed_at = now_ms;
            self.alarm.replace(Some(stop.alarm()));
        }
        brake.stopped = Some(stopped);
        self.store.set_brake(&brake)
    }

    /// The alarm that was raised since the last time, as a line for the log.
    pub fn take_alarm(&self) -> Option<String> {
        self.alarm.take()
    }

    /// Whether as many removals at once would be stopped, which nobody asked for: the origin no longer shows these
    /// resources. Removals that an operator lets through are not.
    pub fn stops(
        &self,
        limits: Option<Limits>,
        kind: Kind,
        removals: i64,
        now_ms: i64,
    ) -> Result<Option<Stop>, SqlError> {
        let Some(limits) = limits.filter(|_| removals > 0) else { return Ok(None) };
        let brake = self.store.brake(now_ms)?;
        if let Some(let_through) = &brake.let_through
            && let_through.removals.is_none_or(|left| removals <= left)
        {
            return Ok(None);
        }
        Ok(brake.stop(limits, kind, self.store.population()?, removals, now_ms))
    }

    /// Lets removals through: `removals` of them (none: any number), until a time (none: for an hour). The time is
    /// at most a day away. Returns what is let through.
    pub fn let_through(
        &self,
        removals: Option<i64>,
        until: Option<i64>,
        by: &str,
        now_ms: i64,
    ) -> Result<LetThrough, SqlError> {
        let most = now_ms.saturating_add(LONGEST_MS);
        let until = until.unwrap_or_else(|| now_ms.saturating_add(ONCE_MS)).min(most);
        let let_through = LetThrough { removals, until, by: by.to_owned() };
        self.store.set_brake(&Brake { let_through: Some(let_through.clone()), ..Brake::default() })?;
        Ok(let_through)
    }

    /// Takes back what an operator lets through. The window begins empty.
    pub fn end_letting_through(&self, now_ms: i64) -> Result<(), SqlError> {
        let brake = self.store.brake(now_ms)?;
        self.store.set_brake(&Brake { let_through: None, ..brake })
    }

    /// How many requests were stopped and not let through yet.
    pub fn stopped_requests(&self, now_ms: i64) -> Result<i64, SqlError> {
        Ok(self.store.brake(now_ms)?.stopped.map_or(0, |stopped| stopped.requests))
    }

    /// How the brake is, for operators.
    pub fn view_brake(&self, limits: Option<Limits>, now_ms: i64) -> Result<Value, SqlError> {
        let (brake, there) = (self.store.brake(now_ms)?, self.store.population()?);
        let is_stopping = |limits: Limits| {
            Kind::ALL.into_iter().any(|kind| brake.stop(limits, kind, there, 1, now_ms).is_some())
        };
        let state = match limits {
            None => "off",
            Some(_) if brake.let_through.is_some() => "letting-through",
            Some(limits) if !brake.is_watching(limits, there) => "too-few-resources",
            Some(limits) if is_stopping(limits) => "stopping",
            Some(_) => "watching",
        };
        let window = |kind: Kind| {
            let sum = |count: fn(&Minute) -> i64| {
                brake.minutes(kind).iter().map(count).fold(0_i64, i64::saturating_add)
            };
            let disabled = if kind == Kind::User { "deactivated" } else { "emptied" };
            json!({
                "deleted": sum(|minute| minute.deleted),
                (disabled): sum(|minute| minute.disabled),
                "of": brake.before(kind, there),
            })
        };
        Ok(json!({
            "state": state,
            "limits": limits.map(|limits| json!({
                "removalsPerHour": limits.per_hour,
                "removalsPercent": limits.percent,
                "leastResources": limits.least,
            })),
            "lastHour": { "users": window(Kind::User), "groups": window(Kind::Group) },
            "stopped": brake.stopped.map(|stopped| json!({
                "since": stopped.since,
                "requests": stopped.requests,
            })),
            "letThrough": brake.let_through,
        }))
    }
}
