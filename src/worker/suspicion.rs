//! An origin that shows so much less than the copy has that it is not believed.
//!
//! The brake decides (`directory::brake`). While an origin is under suspicion the copy keeps what it has and answers
//! from it, however old it gets; the origin is asked again now and then, and believed as soon as it is whole, or as
//! soon as an operator lets the removals through.

use crate::directory::{Directory, Store, internal};
use crate::environment::now_ms;
use crate::metrics;
use crate::origin::{Origin, Side};
use scim_edge_directory::audit::{self, Entry, Kind as AuditKind, Outcome};
use scim_edge_directory::brake::Stop;
use scim_edge_directory::deleted::Source;
use scim_edge_directory::pass::{Pass, Purpose};
use scim_edge_directory::replica::{Missing, State, Suspicion};
use scim_edge_scim::endpoint::Kind;
use worker::{Result, console_error, console_log};

/// The least and the longest time between two passes over an origin under suspicion, in milliseconds.
const AGAIN_LEAST_MS: i64 = 5_000;
const AGAIN_MOST_MS: i64 = 300_000;

impl Directory {
    /// Begins to look for what no page of a pass has shown. If that is more than the brake lets go, nothing is
    /// removed before it is known how much is gone.
    pub(crate) fn begin_sweep(&self, pass: &mut Pass) -> Result<()> {
        pass.sweeping = true;
        if pass.purpose == Purpose::Check {
            return Ok(());
        }
        for kind in Kind::ALL {
            let unseen = self.store()?.count_unseen(kind).map_err(internal)?;
            pass.holding |= self.would_stop(kind, unseen)?;
        }
        Ok(())
    }

    /// Whether the brake stops as many removals that the origin is found to have made.
    pub(crate) fn would_stop(&self, kind: Kind, removals: i64) -> Result<bool> {
        let limits = self.origin_limits()?;
        Ok(self.store()?.stops(limits, kind, removals, now_ms()).map_err(internal)?.is_some())
    }

    /// A sentence that says what the tables of a resync lack, if that is more than the brake lets go.
    pub(crate) fn resync_lacks(&self, set: &Store) -> Result<Option<String>> {
        for kind in Kind::ALL {
            let here = self.store()?.count(kind).map_err(internal)?;
            let missing = here.saturating_sub(set.count(kind).map_err(internal)?);
            if self.would_stop(kind, missing)? {
                let kind = kind.segment().to_ascii_lowercase();
                return Ok(Some(format!(
                    "The brake holds the exchange: the origin shows {missing} of {here} {kind} no longer. It is read \
                    again; if they are meant to go, an operator lets them through (POST .brake)"
                )));
            }
        }
        Ok(None)
    }

    /// Removes a resource that the origin does not have any more. False: the brake keeps it.
    pub(crate) async fn forget_found(
        &self,
        kind: Kind,
        id: &str,
        origin: &Origin,
        source: Source,
    ) -> Result<bool> {
        if origin.side != Side::InUse {
            // Nobody was shown anything of these tables yet.
            self.forget(kind, id, origin, source, None)?;
            return Ok(true);
        }
        if self.copies(origin)? {
            let (store, limits) = (self.store()?, self.origin_limits()?);
            let state = store.replica().map_err(internal)?;
            let is_suspicious = state.is_some_and(|state| state.suspicion.is_some()) && limits.is_some();
            // Only a pass over everything knows how much is gone.
            if is_suspicious
                && source == Source::Origin
                && store.keeps(kind, id, now_ms()).map_err(internal)?
            {
                return Ok(false);
            }
            let found = store.forget_found(limits, kind, id, &self.deletion(origin, source, None)?);
            if let Err(stop) = found.map_err(internal)? {
                self.suspect_one(&stop).await?;
                return Ok(false);
            }
        }
        self.memory.races.note_gone(kind, id);
        Ok(true)
    }

    /// One resource more than the brake lets go is gone: a pass over everything tells whether the origin is whole.
    async fn suspect_one(&self, stop: &Stop) -> Result<()> {
        let Some(mut state) = self.store()?.replica().map_err(internal)? else { return Ok(()) };
        if state.suspicion.is_some() {
            return Ok(());
        }
        let mut suspicion = self.suspicion(&state, AGAIN_LEAST_MS)?;
        suspicion.of(stop.kind).would_remove = stop.removals;
        self.begin_suspicion(&mut state, suspicion)?;
        self.wake_in(AGAIN_LEAST_MS).await
    }

    /// The origin has not shown what a pass looked for: the copy stays as it is. Returns when to look again, in
    /// milliseconds.
    pub(crate) fn suspect(&self, state: &mut State, max_staleness_seconds: u32) -> Result<i64> {
        let wait = i64::from(max_staleness_seconds).saturating_mul(500).clamp(AGAIN_LEAST_MS, AGAIN_MOST_MS);
        let mut suspicion = self.suspicion(state, wait)?;
        for kind in Kind::ALL {
            let store = self.store()?;
            let (unseen, gone) = (store.count_unseen(kind), store.count_gone(kind));
            let missing = unseen.map_err(internal)?.saturating_add(gone.map_err(internal)?);
            suspicion.of(kind).would_remove = missing;
        }
        self.begin_suspicion(state, suspicion)?;
        Ok(wait)
    }

    fn suspicion(&self, state: &State, wait_ms: i64) -> Result<Suspicion> {
        let (store, now_ms) = (self.store()?, now_ms());
        let missing = |kind| {
            let of = store.count(kind).map_err(internal)?;
            Ok::<_, worker::Error>(Missing { would_remove: 0, of })
        };
        Ok(Suspicion {
            since: state.suspicion.as_ref().map_or(now_ms, |known| known.since),
            again_at: now_ms.saturating_add(wait_ms),
            users: missing(Kind::User)?,
            groups: missing(Kind::Group)?,
        })
    }

    fn begin_suspicion(&self, state: &mut State, suspicion: Suspicion) -> Result<()> {
        if state.suspicion.is_none() {
            let (users, groups) = (suspicion.users, suspicion.groups);
            console_error!(
                "account {}: the origin is suspicious: the copy would lose {} of {} users and {} of {} groups, and \
                keeps them; an operator lets it through (POST .brake)",
                self.account(),
                users.would_remove,
                users.of,
                groups.would_remove,
                groups.of,
            );
            metrics::count_brake("suspicious");
            self.note_in_audit("brake.suspicious", None, Outcome::Refused)?;
        }
        state.suspicion = Some(suspicion);
        // The pass that follows is over everything.
        (state.pass, state.whole_at) = (None, None);
        self.store()?.set_replica(state).map_err(internal)
    }

    /// A pass over everything ended well: the origin is believed.
    pub(crate) fn trust(&self) -> Result<()> {
        let Some(mut state) = self.store()?.replica().map_err(internal)? else { return Ok(()) };
        if state.suspicion.take().is_none() {
            return Ok(());
        }
        console_log!(
            "account {}: the origin is whole again, or its removals were let through",
            self.account()
        );
        metrics::count_brake("resolved");
        self.note_in_audit("brake.resolved", None, Outcome::Ok)?;
        self.store()?.set_replica(&state).map_err(internal)
    }

    /// Writes down what the brake did, or what an operator let it do.
    pub(crate) fn note_in_audit(
        &self,
        operation: &str,
        principal: Option<(&str, &str)>,
        outcome: Outcome,
    ) -> Result<()> {
        let entry = Entry {
            id: 0,
            at: now_ms(),
            kind: AuditKind::Write,
            principal: principal.map(|(name, _)| name.to_owned()),
            subject: None,
            operation: operation.to_owned(),
            resource: None,
            status: if principal.is_some() { 200 } else { 0 },
            outcome,
            reason: Some("brake".to_owned()),
            request_id: principal.map(|(_, request_id)| request_id.to_owned()).filter(|id| !id.is_empty()),
            count: 1,
            attributes: None,
            former_id: None,
        };
        audit::add(self.store()?.sql(), &entry).map_err(internal)?;
        Ok(())
    }
}
