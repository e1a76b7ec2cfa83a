//! Switches of the origin: the new tables are filled beside those in use, and take their place when they are complete
//! (`directory::switch` says why nothing is lost).
//!
//! **Until the exchange** the directory works by the settings that were in force before: reads, writes and passes are
//! those of the old origin, or of the system of record. Work on the switch is done by the alarm, in turns; a restart
//! goes on where it was.
//!
//! **The exchange** holds writes for as long as it takes those under way to end and the resources that changed
//! meanwhile to be read from the new origin: they are answered 503 with `Retry-After`. It calls all leases back. Then
//! the tables are exchanged in one transaction, without an await between the last look at what has changed and that.

use crate::directory::{Configuration, Directory, Incoming, Store, internal};
use crate::environment::now_ms;
use crate::http::{Response, scim_error};
use crate::near::pause;
use crate::origin::{Origin, Side};
use scim_edge_account::published::DirectorySettings;
use scim_edge_account::setting::PASSTHROUGH;
use scim_edge_directory::audit::{self, Entry, Kind as EntryKind, Outcome};
use scim_edge_directory::backoff::retry_in;
use scim_edge_directory::circuit::Circuit;
use scim_edge_directory::pass::Purpose;
use scim_edge_directory::position::Position;
use scim_edge_directory::replica::State;
use scim_edge_directory::sql::SqlError;
use scim_edge_directory::switch::{Reason, Sets, Switch};
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::Error as ScimError;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen_futures::JsFuture;
use worker::{Result, console_error, console_log};

/// How long writes under way are waited for before the exchange is put off, and how often they are looked at, in
/// milliseconds. Also the longest time that writes are held.
const HOLD_MS: i64 = 10_000;
const LOOK_MS: u32 = 10;

/// How long an exchange that was put off waits, in milliseconds.
const AGAIN_MS: i64 = 5_000;

/// Changed resources that are read from the new origin between two looks.
const CHANGED: i64 = 20;

/// What is said to writes that are held, in seconds.
const RETRY_SECONDS: &str = "2";

/// What the object remembers of a switch while it runs.
#[derive(Default)]
pub(crate) struct Switching {
    set: RefCell<Option<(i64, Rc<Store>)>>,
    /// What is known of the health of the new origin.
    pub(crate) circuit: RefCell<Option<Circuit>>,
    /// When the tables in use are to be worked on, in milliseconds since the epoch.
    pub(crate) due: Cell<i64>,
    /// What went wrong with the last request to the new origin.
    problem: RefCell<Option<String>>,
    is_exchanging: Cell<bool>,
    writes: Cell<usize>,
}

impl Switching {
    /// The tables of a switch.
    pub(crate) fn set(&self, number: i64) -> Option<Rc<Store>> {
        self.set.borrow().as_ref().filter(|(known, _)| *known == number).map(|(_, set)| set.clone())
    }

    /// Takes note of how a request to the new origin went.
    pub(crate) fn note(&self, problem: Option<String>) {
        *self.problem.borrow_mut() = problem;
    }

    /// Forgets the tables of a switch.
    pub(crate) fn forget(&self) {
        *self.set.borrow_mut() = None;
        *self.circuit.borrow_mut() = None;
    }

    /// A write is under way until the guard is dropped; none while writes are held.
    pub(crate) fn begin_write(&self) -> Option<Writing<'_>> {
        if self.is_exchanging.get() {
            return None;
        }
        self.writes.set(self.writes.get().saturating_add(1));
        Some(Writing(&self.writes))
    }

    fn hold(&self) -> Held<'_> {
        self.is_exchanging.set(true);
        Held(&self.is_exchanging)
    }
}

/// A write that is under way.
pub(crate) struct Writing<'a>(&'a Cell<usize>);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// No write begins as long as there is one.
pub(crate) struct Held<'a>(&'a Cell<bool>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// How a turn of a switch ended.
enum Turn {
    /// To be gone on with after so many milliseconds.
    More(i64),
    /// The tables are complete.
    Filled,
    /// The new origin could not be read.
    Failed,
}

/// The answer to a write while the tables are exchanged.
pub(crate) fn held() -> Result<Response> {
    let sentence = "The directory's tables are being exchanged, which takes some seconds: nothing was changed, \
        send the request again";
    scim_error(&ScimError::status(503, sentence), &[("retry-after", RETRY_SECONDS)])
}

/// Whether a copy, or a system of record, has nothing that a switch would take away: it is empty, or it has never
/// been complete, so that its origin answers.
pub(crate) fn has_nothing(store: &Store) -> std::result::Result<bool, SqlError> {
    Ok(match store.replica()? {
        Some(state) => state.filling.is_some(),
        None => store.count(Kind::User)?.saturating_add(store.count(Kind::Group)?) == 0,
    })
}

fn text(settings: &DirectorySettings) -> std::result::Result<String, SqlError> {
    serde_json::to_string(settings).map_err(|error| SqlError::new(error.to_string()))
}

impl Directory {
    /// Begins, goes on with or ends what newer settings of the origin ask for. `before` was in force until now.
    pub(crate) fn adopt(
        &self,
        told: &Configuration,
        before: Option<&Configuration>,
    ) -> std::result::Result<(), SqlError> {
        let store = self.store.as_ref().map_err(Clone::clone)?;
        let replica = store.replica()?;
        let active = replica.as_ref().map(|state| state.origin.clone());
        let wanted = told.settings.origin_url.clone();
        let mut sets = store.sets()?;
        let order = told.settings.put_back.filter(|order| order.order > sets.followed);
        if let Some(switch) = &sets.switch {
            if switch.origin == wanted && order.is_none() {
                return Ok(());
            }
            store.cancel_switch()?;
            self.memory.switching.forget();
            sets = store.sets()?;
        }
        let in_force = in_force_text(before, active.as_deref())?;
        if let Some(order) = order {
            sets.followed = order.order;
            store.set_sets(&sets)?;
            let is_kept = |kept: &&scim_edge_directory::switch::Kept| {
                kept.number == Some(order.number) && kept.origin == wanted
            };
            if sets.kept.iter().any(|kept| is_kept(&kept)) {
                return store.begin_undo(order.number, &in_force, now_ms());
            }
        }
        match (&wanted, &active) {
            (None, None) => Ok(()),
            (None, Some(origin)) => {
                store.keep_origin(origin, &in_force, now_ms())?;
                store.end_replica()
            }
            (Some(wanted), Some(active)) if wanted == active => Ok(()),
            (Some(wanted), _) if has_nothing(store)? => store.begin_replica(wanted).map(|_| ()),
            (Some(wanted), _) => store.begin_switch(Reason::Change, wanted, &in_force, now_ms()),
        }
    }

    /// Reads the origin into tables of its own, which then take the place of those in use.
    pub(crate) async fn begin_resync(&self, settings: &DirectorySettings, origin: &Origin) -> Result<()> {
        let in_force = text(settings).map_err(internal)?;
        self.store()?.begin_switch(Reason::Resync, &origin.base, &in_force, now_ms()).map_err(internal)?;
        self.wake_in(0).await
    }

    /// The settings in force: until the exchange, those of the origin before the switch.
    pub(crate) fn in_force(&self, told: Configuration) -> std::result::Result<Configuration, SqlError> {
        let store = self.store.as_ref().map_err(Clone::clone)?;
        let Some(switch) = store.sets()?.switch else { return Ok(told) };
        let active: DirectorySettings = serde_json::from_str(&switch.active)
            .map_err(|_| SqlError::new("the settings of before the switch cannot be read"))?;
        if active.origin_url == told.settings.origin_url {
            return Ok(told);
        }
        let settings = DirectorySettings {
            origin_url: active.origin_url,
            origin_authorization: active.origin_authorization,
            supplements: active.supplements,
            hidden_attributes: active.hidden_attributes,
            ..(*told.settings).clone()
        };
        Ok(Configuration { settings: Rc::new(settings), ..told })
    }

    /// Has the alarm ring for a switch, and for sets whose time will be over.
    pub(crate) async fn wake_for_sets(&self) -> Result<()> {
        let Sets { switch, kept, .. } = self.store()?.sets().map_err(internal)?;
        if switch.is_some() {
            return self.wake_in(0).await;
        }
        if !kept.is_empty() && self.state.storage().get_alarm().await?.is_none() {
            return self.wake_in(0).await;
        }
        Ok(())
    }

    /// Does a part of the switch under way. When to go on, in milliseconds; none where there is no switch.
    pub(crate) async fn advance_switch(&self) -> Result<Option<i64>> {
        let Some(switch) = self.store()?.sets().map_err(internal)?.switch else { return Ok(None) };
        let wait = switch.next_attempt.unwrap_or(0).saturating_sub(now_ms());
        if wait > 0 {
            return Ok(Some(wait));
        }
        self.memory.switching.note(None);
        let turn = match self.fill_beside(&switch).await? {
            Turn::Filled if self.is_held_by_brake(&switch)? => Turn::Failed,
            Turn::Filled => self.exchange(&switch).await?,
            other => other,
        };
        match turn {
            Turn::More(wait) => {
                self.remember(&switch, |switch| (switch.failures, switch.next_attempt) = (0, None))?;
                Ok(Some(wait))
            }
            Turn::Filled => Ok(Some(0)),
            Turn::Failed => {
                let wait = retry_in(switch.failures.saturating_add(1));
                let problem = self.memory.switching.problem.borrow_mut().take();
                let sentence = problem.unwrap_or_else(|| {
                    "The origin's lists changed while they were read, or show fewer resources than they count"
                        .to_owned()
                });
                console_error!(
                    "a switch of the origin could not go on; attempt {} to follow",
                    switch.failures.saturating_add(2)
                );
                self.remember(&switch, |switch| {
                    switch.failures = switch.failures.saturating_add(1);
                    switch.last_failure = Some(sentence);
                    switch.next_attempt = Some(now_ms().saturating_add(wait));
                })?;
                Ok(Some(wait))
            }
        }
    }

    /// A switch that waits for its next attempt goes on now: an operator asks for it.
    pub(crate) fn hurry_switch(&self) -> Result<()> {
        match self.store()?.sets().map_err(internal)?.switch {
            Some(switch) => self.remember(&switch, |switch| switch.next_attempt = None),
            None => Ok(()),
        }
    }

    /// Stores something about a switch, unless it is over.
    fn remember(&self, switch: &Switch, set: impl FnOnce(&mut Switch)) -> Result<()> {
        let store = self.store()?;
        let mut sets = store.sets().map_err(internal)?;
        let Some(known) = sets.switch.as_mut().filter(|known| known.number == switch.number) else {
            return Ok(());
        };
        let before = known.clone();
        set(known);
        if *known == before { Ok(()) } else { store.set_sets(&sets).map_err(internal) }
    }

    /// Whether a switch is still wanted: settings can change, and the account can be deleted, while it waits.
    fn is_current(&self, switch: &Switch) -> Result<bool> {
        if self.is_sealed()? {
            return Ok(false);
        }
        let known = self.store()?.sets().map_err(internal)?.switch;
        Ok(known.is_some_and(|known| known.number == switch.number))
    }

    /// The new origin; none where there is none, or it is asked with its callers' credentials only.
    fn new_origin(&self, switch: &Switch) -> Result<Option<Origin>> {
        let stored = self.store()?.configuration().map_err(internal)?;
        let told = stored.and_then(|text| serde_json::from_str::<Configuration>(&text).ok());
        let Some(told) = told.filter(|told| told.settings.origin_url == switch.origin) else {
            return Ok(None);
        };
        let origin = self.origin(&told.settings, None)?;
        if origin.is_none() && told.settings.origin_authorization.as_deref() != Some(PASSTHROUGH) {
            self.memory.switching.note(Some("The gateway cannot open scim_origin_authorization".to_owned()));
        }
        Ok(origin.map(|origin| Origin { side: Side::Beside(switch.number), ..origin }))
    }

    async fn fill_beside(&self, switch: &Switch) -> Result<Turn> {
        let set = match self.memory.switching.set(switch.number) {
            Some(set) => set,
            None => {
                let set = Store::open_switch(self.sql.clone(), switch).map_err(internal)?;
                let set = Rc::new(set);
                *self.memory.switching.set.borrow_mut() = Some((switch.number, set.clone()));
                set
            }
        };
        let state = set.replica().map_err(internal)?;
        let Some(mut state) = state.filter(|state| switch.kept.is_none() && state.filling.is_some()) else {
            return Ok(Turn::Filled);
        };
        let Some(origin) = self.new_origin(switch)? else {
            // Where only callers can ask the origin there is nothing to fill: it answers each read itself.
            let is_unusable = self.memory.switching.problem.borrow().is_some();
            return Ok(if is_unusable { Turn::Failed } else { Turn::Filled });
        };
        if let Some(wait) = self.with_circuit(&origin, |circuit| circuit.background_wait(now_ms())) {
            return Ok(Turn::More(wait));
        }
        let done = self.fill(&origin, &mut state).await?;
        if !self.is_current(switch)? {
            return Ok(Turn::More(0));
        }
        match done {
            Some(_) if state.filling.is_none() => Ok(Turn::Filled),
            Some(wait) => Ok(Turn::More(wait)),
            None => {
                // Where it goes on may be no place any more.
                self.save_failed(&origin, &mut state)?;
                Ok(Turn::Failed)
            }
        }
    }

    /// Whether the brake holds the exchange of a resync: the origin may not be whole just now, so it is read again from
    /// the beginning. A change of the origin was confirmed with the numbers of both, and is not held.
    fn is_held_by_brake(&self, switch: &Switch) -> Result<bool> {
        let Some(set) = self.memory.switching.set(switch.number).filter(|_| switch.reason == Reason::Resync)
        else {
            return Ok(false);
        };
        let Some(sentence) = self.resync_lacks(&set)? else { return Ok(false) };
        if switch.last_failure.as_ref() != Some(&sentence) {
            console_error!("account {}: {sentence}", self.account());
        }
        self.memory.switching.note(Some(sentence));
        if let Some(mut state) = set.replica().map_err(internal)? {
            (state.filling, state.fill_began) = (Some(Position::first(Kind::User)), None);
            set.set_replica(&state).map_err(internal)?;
        }
        Ok(true)
    }

    fn save_failed(&self, origin: &Origin, state: &mut State) -> Result<()> {
        state.failures = state.failures.saturating_add(1);
        self.save(origin, state).map(|_| ())
    }

    /// Holds writes, and waits for those that are under way. None if they do not end.
    pub(crate) async fn hold_writes(&self) -> Result<Option<Held<'_>>> {
        let switching = &self.memory.switching;
        let held = switching.hold();
        let until = now_ms().saturating_add(HOLD_MS);
        while switching.writes.get() > 0 {
            if now_ms() > until {
                return Ok(None);
            }
            JsFuture::from(pause(LOOK_MS)).await?;
        }
        Ok(Some(held))
    }

    /// Puts the tables of an import in the place of those in use. Returns until when the old ones are kept.
    pub(crate) fn exchange_import(&self, number: i64) -> Result<i64> {
        let settings = self.settings_in_use()?;
        let until = self.store()?.exchange_import(number, &settings, now_ms()).map_err(internal)?;
        self.forget_tables()?;
        Ok(until)
    }

    fn settings_in_use(&self) -> Result<String> {
        let before = self.known_configuration().map_err(internal)?;
        let settings = before.map(|before| text(&before.settings)).transpose().map_err(internal)?;
        Ok(settings.unwrap_or_default())
    }

    /// Forgets what was remembered of tables that are not in use any more.
    fn forget_tables(&self) -> Result<()> {
        self.memory.races.note_pass();
        self.memory.switching.forget();
        self.memory.switching.due.set(0);
        *self.memory.circuit.borrow_mut() = None;
        *self.memory.configuration.borrow_mut() = None;
        let known = self.known_configuration().map_err(internal)?;
        *self.memory.configuration.borrow_mut() = known;
        Ok(())
    }

    /// Puts the new tables in the place of those in use.
    async fn exchange(&self, switch: &Switch) -> Result<Turn> {
        let origin = self.new_origin(switch)?;
        // Most of what has changed is read while writes go on.
        if !self.read_changed(origin.as_ref()).await? {
            return Ok(Turn::Failed);
        }
        let Some(_held) = self.hold_writes().await? else { return Ok(Turn::More(AGAIN_MS)) };
        let until = now_ms().saturating_add(HOLD_MS);
        loop {
            if !self.read_changed(origin.as_ref()).await? {
                return Ok(Turn::Failed);
            }
            let _recalled = self.recall().await;
            if !self.is_current(switch)? {
                return Ok(Turn::More(0));
            }
            let store = self.store()?;
            // From here to the end there is no await.
            if !store.has_changed().map_err(internal)? {
                return self.exchange_now(switch, origin.as_ref()).map(|()| Turn::Filled);
            }
            if now_ms() > until {
                return Ok(Turn::More(AGAIN_MS));
            }
        }
    }

    fn exchange_now(&self, switch: &Switch, origin: Option<&Origin>) -> Result<()> {
        let store = self.store()?;
        let before = self.known_configuration().map_err(internal)?;
        let keeps = before.as_ref().map(|before| before.settings.deleted_retention_days);
        let keep_deleted = keeps.is_none_or(|days| days > 0);
        store.exchange(&self.settings_in_use()?, keep_deleted, now_ms()).map_err(internal)?;
        audit::add(store.sql(), &entry(switch)).map_err(internal)?;
        if switch.reason == Reason::Undo
            && let Some(mut state) = store.replica().map_err(internal)?
        {
            // It is as old as it is, and says so: what is new is looked for at once.
            (state.wanted, state.pass) = (Some(Purpose::Whole), None);
            store.set_replica(&state).map_err(internal)?;
        }
        // What was asked of an origin before is older than the new tables.
        self.forget_tables()?;
        console_log!("the tables in use were exchanged; they are a copy: {}", origin.is_some());
        Ok(())
    }

    /// Reads what has changed in the tables in use from the new origin. Whether it could be read.
    async fn read_changed(&self, origin: Option<&Origin>) -> Result<bool> {
        loop {
            let changed = self.store()?.changed(CHANGED).map_err(internal)?;
            if changed.is_empty() {
                return Ok(true);
            }
            // A kept set is as old as it is; where only callers can ask, the origin answers.
            let origin = origin.filter(|origin| self.copies(origin).unwrap_or(false));
            for one in &changed {
                if let Some(origin) = origin
                    && !self.reread(one.kind, &one.id, origin).await?
                {
                    return Ok(false);
                }
                self.store()?.settle_changed(one).map_err(internal)?;
            }
        }
    }

    /// Whether a write has to wait, and the guard of one that has not.
    pub(crate) fn admit_write(&self, incoming: &Incoming) -> Option<Option<Writing<'_>>> {
        if crate::replica::is_read(incoming) {
            return Some(None);
        }
        self.memory.switching.begin_write().map(Some)
    }
}

/// What the audit has of an exchange. The change of the settings is an entry of its own, with who made it.
fn entry(switch: &Switch) -> Entry {
    let operation = match switch.reason {
        Reason::Change => "origin.exchange",
        Reason::Resync => "replica.exchange",
        Reason::Undo => "origin.put-back",
        Reason::Import => "directory.import",
    };
    Entry {
        id: 0,
        at: now_ms(),
        kind: EntryKind::Write,
        principal: None,
        subject: None,
        operation: operation.to_owned(),
        resource: None,
        status: 200,
        outcome: Outcome::Ok,
        reason: None,
        request_id: None,
        count: 1,
        attributes: None,
        former_id: None,
    }
}

/// The settings in force before, if they are those of the tables in use: no origin is sent the secret of another.
fn in_force_text(
    before: Option<&Configuration>,
    active: Option<&str>,
) -> std::result::Result<String, SqlError> {
    match before {
        Some(before) if before.settings.origin_url.as_deref() == active => text(&before.settings),
        Some(before) => text(&DirectorySettings {
            origin_url: active.map(str::to_owned),
            origin_authorization: None,
            ..(*before.settings).clone()
        }),
        None => Ok(String::new()),
    }
}
