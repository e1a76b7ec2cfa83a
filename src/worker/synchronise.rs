//! The copy of the origin, made and kept right in the background.
//!
//! The first fill goes page by page and stores where it is, so that it goes on after a restart. From
//! then on passes find what changed behind the gateway (`passes.rs`). Both leave the origin alone while it is
//! down or asks for less, and never block reads.
//!
//! **A page that raced a write** never overwrites it: a resource that was written after the page was
//! asked for, or is being written, is read anew when its turn comes.
//!
//! **Nothing falls between two pages**: each begins with the last resource of the one before. Where it does
//! not, resources were removed meanwhile, and the pages before are read again.

use crate::directory::{Directory, internal};
use crate::environment::now_ms;
use crate::origin::{NoAnswer, Origin, Side};
use crate::races::Moment;
use crate::replica::is_scim;
use scim_edge_account::setting::PASSTHROUGH;
use scim_edge_directory::backoff::retry_in;
use scim_edge_directory::capabilities::Capabilities;
use scim_edge_directory::position::{Place, Position, Step};
use scim_edge_directory::replica::State;
use scim_edge_scim::endpoint::{Endpoint, Kind, encode};
use scim_edge_scim::identifier::is_path_segment;
use serde_json::Value;
use worker::{Result, console_error};

/// Resources asked of the origin at once.
pub(crate) const PAGE: i64 = 100;

/// The fewest: the last resource of the page before, and one more.
const PAGE_LEAST: i64 = 2;

/// How long one alarm of the first fill works before it makes room for the next, in milliseconds.
const TURN_MS: i64 = 20_000;

/// How soon the alarm rings when something may have to be looked at, in milliseconds.
const SOON_MS: i64 = 1_000;

/// How soon the alarm rings again when nothing is heard of its work any more, in milliseconds.
const GUARD_MS: i64 = 60_000;

/// How often requests look whether there is an alarm while the copy is behind, in milliseconds.
const LOOK_MS: i64 = 5_000;

/// A page of the origin's.
pub(crate) struct Page<'a> {
    pub kind: Kind,
    pub resources: Vec<Value>,
    pub place: Place,
    /// When it was asked for.
    pub since: Moment<'a>,
}

/// What stood in the way when the origin was last read in the background.
pub(crate) struct Trouble {
    pub status: Option<u16>,
    pub sentence: String,
}

/// Why there is no page.
pub(crate) enum Unread {
    /// The origin refuses what was asked, with this status.
    Refused(u16),
    /// The page is longer than is read.
    TooLong,
    /// There is no answer to work with, for now.
    Failed,
}

impl Directory {
    /// Sees to it that the alarm rings: it may have been lost with an object that was stopped, and one that
    /// was set for the next pass over another origin is too late. While the copy is behind, requests look again.
    pub(crate) async fn wake(&self) -> Result<()> {
        let (is_awake, looked) = (self.memory.is_awake.get(), &self.memory.looked_at);
        if is_awake && now_ms().saturating_sub(looked.get()) < LOOK_MS {
            return Ok(());
        }
        looked.set(now_ms());
        let store = self.store()?;
        let state = store.replica().map_err(internal)?;
        if is_awake && !self.is_behind(state.as_ref()) {
            return Ok(());
        }
        let storage = self.state.storage();
        // An object that has just started knows of no work under way: the alarm that guards it would ring late.
        let is_urgent =
            !is_awake && (store.has_unknown_creations().map_err(internal)? || self.is_behind(state.as_ref()));
        if is_urgent || storage.get_alarm().await?.is_none() {
            storage.set_alarm(SOON_MS).await?;
        }
        self.memory.is_awake.set(true);
        Ok(())
    }

    /// Whether the background has to do something about the copy by now.
    fn is_behind(&self, state: Option<&State>) -> bool {
        let known = self.memory.configuration.borrow();
        let Some((state, known)) = state.zip(known.as_ref()) else { return false };
        // Where only callers can ask the origin the background cannot.
        let of_callers = known.settings.origin_authorization.as_deref() == Some(PASSTHROUGH);
        let age_ms = now_ms().saturating_sub(state.synced_at.unwrap_or(0));
        let is_old = age_ms > i64::from(known.settings.max_staleness_seconds).saturating_mul(1000);
        !of_callers && (state.filling.is_some() || is_old)
    }

    /// Has a pass begun soon: something may be at the origin that nobody knows of.
    pub(crate) async fn look_soon(&self) -> Result<()> {
        self.wake_in(SOON_MS).await
    }

    pub(crate) async fn wake_in(&self, ms: i64) -> Result<()> {
        let at = now_ms().saturating_add(ms);
        self.memory.switching.due.set(at);
        let asked = &self.memory.asked_alarm;
        asked.set(Some(asked.get().unwrap_or(at).min(at)));
        self.memory.is_awake.set(true);
        self.state.storage().set_alarm(ms.max(0)).await
    }

    /// Sets the alarm after its work, or before it in case nothing is heard of it any more. What was asked for
    /// meanwhile is not put off.
    async fn wake_next(&self, wait: Option<i64>) -> Result<()> {
        self.memory.is_awake.set(true);
        let asked = self.memory.asked_alarm.get().map(|at| at.saturating_sub(now_ms()));
        match wait.into_iter().chain(asked).min() {
            Some(ms) => self.state.storage().set_alarm(ms.max(0)).await,
            None => self.state.storage().delete_alarm().await,
        }
    }

    /// With new settings the origin may be another one, or accept what it did not: it is asked now.
    pub(crate) async fn try_again(&self) -> Result<()> {
        let store = self.store()?;
        let Some(mut state) = store.replica().map_err(internal)? else { return Ok(()) };
        let is_new = state.filling.is_some() && state.fill_began.is_none();
        if state.last_error.is_some() {
            state.calm();
            store.set_replica(&state).map_err(internal)?;
        } else if !is_new {
            return Ok(());
        }
        self.wake_in(0).await
    }

    /// The work of the alarm. The next one is set before it, so that an end of the isolate ends no copy; an error
    /// is written down and tried again after a while, longer with each.
    pub(crate) async fn ring(&self) -> Result<()> {
        self.memory.asked_alarm.set(None);
        self.wake_next(Some(GUARD_MS)).await?;
        let wait = match self.synchronise().await {
            Ok(wait) => {
                self.memory.faults.set(0);
                wait
            }
            Err(error) => {
                console_error!("the work of the alarm failed: {error}");
                Some(self.note_fault())
            }
        };
        self.wake_next(wait).await
    }

    /// Takes note of an error of the gateway's own. Returns how long to wait, in milliseconds.
    fn note_fault(&self) -> i64 {
        let faults = self.memory.faults.get().saturating_add(1);
        self.memory.faults.set(faults);
        let sentence = "The gateway could not take over what the origin shows: its log has the error";
        let noted = self.store().ok().and_then(|store| {
            let mut state = store.replica().ok().flatten()?;
            let wait = state.failed(None, sentence.to_owned(), now_ms());
            store.set_replica(&state).ok().map(|()| wait)
        });
        noted.unwrap_or_else(|| retry_in(faults))
    }

    /// Copies from the origin. Each alarm does a part. Returns when to go on, in milliseconds; none where there is
    /// nothing to do.
    async fn synchronise(&self) -> Result<Option<i64>> {
        let Some(configuration) = self.known_configuration().map_err(internal)? else { return Ok(None) };
        self.memory.configuration.borrow_mut().get_or_insert(configuration);
        let kept = self.store()?.drop_expired(now_ms()).map_err(internal)?;
        let stale = self.drop_stale_import()?;
        let until = kept.into_iter().chain(stale);
        let mut waits: Vec<i64> = until.map(|until| until.saturating_sub(now_ms())).collect();
        // A switch wakes the object often: what is due in the tables in use has a time of its own.
        let switching = &self.memory.switching;
        let is_switching = self.store()?.sets().map_err(internal)?.switch.is_some();
        let due = switching.due.get().saturating_sub(now_ms());
        if is_switching && due > 0 {
            waits.push(due);
        } else if let Some(wait) = self.synchronise_in_use().await? {
            switching.due.set(now_ms().saturating_add(wait));
            waits.push(wait);
        }
        waits.extend(self.advance_switch().await?);
        Ok(waits.into_iter().min())
    }

    /// Copies into the tables in use. When to go on, in milliseconds; none where there is nothing to copy from.
    async fn synchronise_in_use(&self) -> Result<Option<i64>> {
        let Some(configuration) = self.known_configuration().map_err(internal)? else { return Ok(None) };
        let settings = configuration.settings;
        let (Some(origin), Some(mut state)) =
            (self.origin(&settings, None)?, self.store()?.replica().map_err(internal)?)
        else {
            return Ok(None);
        };
        if state.ordered.is_some() {
            self.hurry(&origin)?;
        }
        let resting = state.rest(now_ms());
        if let Some(wait) =
            self.with_circuit(&origin, |circuit| circuit.background_wait(now_ms())).max(resting)
        {
            return Ok(Some(wait));
        }
        if state.ordered.is_some() {
            state.take_up();
            self.store()?.set_replica(&state).map_err(internal)?;
        }
        self.memory.trouble.take();
        let done = match state.filling {
            Some(_) => self.fill(&origin, &mut state).await?,
            None => self.pass_on(&origin, settings.max_staleness_seconds, &mut state).await?,
        };
        match done {
            Some(wait) => Ok(Some(wait)),
            // The settings have changed meanwhile: begin again with the new ones.
            None if !self.copies(&origin)? => Ok(Some(0)),
            None => self.retry_later(&origin, &mut state).map(Some),
        }
    }

    /// That the origin asked for less is forgotten: an operator wants it asked.
    fn hurry(&self, origin: &Origin) -> Result<()> {
        let Some(store) = self.tables(origin) else { return Ok(()) };
        self.with_circuit(origin, |circuit| if circuit.hurry() { store.set_circuit(circuit) } else { Ok(()) })
            .map_err(internal)
    }

    /// How long to wait after a failure, in milliseconds.
    fn retry_later(&self, origin: &Origin, state: &mut State) -> Result<i64> {
        let trouble = self.memory.trouble.take().unwrap_or_else(|| Trouble {
            status: None,
            sentence: "The origin's lists changed while they were read, or have no SCIM list in them"
                .to_owned(),
        });
        let is_kept = self.save(origin, state)?;
        let wait = state.failed(trouble.status, trouble.sentence, now_ms());
        if is_kept && let Some(store) = self.tables(origin) {
            store.set_replica(state).map_err(internal)?;
        }
        console_error!(
            "the origin could not be read; attempt {} to follow",
            state.last_error.as_ref().map_or(0, |failure| failure.attempt).saturating_add(1)
        );
        let asked = self.with_circuit(origin, |circuit| circuit.background_wait(now_ms()));
        Ok(wait.max(asked.unwrap_or(0)))
    }

    /// Stores how far the copy has come; whether it still is one of this origin. What others have stored
    /// meanwhile stays.
    pub(crate) fn save(&self, origin: &Origin, state: &mut State) -> Result<bool> {
        let Some(store) = self.tables(origin) else { return Ok(false) };
        let Some(stored) = store.replica().map_err(internal)? else { return Ok(false) };
        if stored.origin != state.origin {
            return Ok(false);
        }
        state.hides_members |= stored.hides_members;
        (state.wanted, state.ordered) = (stored.wanted, stored.ordered);
        state.suspicion = stored.suspicion;
        store.set_replica(state).map_err(internal)?;
        Ok(true)
    }

    /// Does a part of the first fill. When to go on, in milliseconds; none where the origin cannot be read.
    pub(crate) async fn fill(&self, origin: &Origin, state: &mut State) -> Result<Option<i64>> {
        let Some(store) = self.tables(origin) else { return Ok(None) };
        let turn = now_ms();
        let mut position = state.filling.clone().unwrap_or_else(|| Position::first(Kind::User));
        // Once a fill, which takes several turns.
        if position == Position::first(Kind::User) {
            if origin.side == Side::InUse {
                self.memory.races.note_pass();
            }
            // A fill that begins again keeps what it has, which is as old as its first beginning.
            if state.fill_began.is_none() {
                store.begin_fill().map_err(internal)?;
                state.fill_began = Some(turn);
                if !self.save(origin, state)? {
                    return Ok(None);
                }
            }
            self.learn(origin, state).await?;
            state.fill_total = match (
                self.total(origin, Kind::User, None, state).await?,
                self.total(origin, Kind::Group, None, state).await?,
            ) {
                (Ok(users), Ok(groups)) => Some(users.saturating_add(groups)),
                _ => None,
            };
        }
        loop {
            let kind = position.of();
            let by_cursor = pages_by_cursor(state);
            let step = match self.read_page(origin, kind, &position, None, state).await? {
                Ok(page) => {
                    if self.absorb_page(origin, &page, state).await?.is_none() {
                        return Ok(None);
                    }
                    position.advance(page.place, by_cursor)
                }
                Err(Unread::Refused(status)) if position.cursor.is_some() => {
                    // The origin has forgotten the cursor. What was read stays.
                    self.note_trouble(
                        origin,
                        Some(status),
                        "The origin does not know its own cursor any more",
                    );
                    state.filling = Some(Position::first(kind));
                    return Ok(None);
                }
                Err(Unread::Refused(400 | 404)) => match position.refused(by_cursor) {
                    Some(step) => step,
                    None => return Ok(None),
                },
                Err(_) => return Ok(None),
            };
            if step == Step::Unrest {
                self.note_trouble(
                    origin,
                    None,
                    "The origin's lists do not keep their order from page to page",
                );
                state.filling = Some(position);
                return Ok(None);
            }
            if step == Step::End {
                let known = store
                    .count(kind)
                    .and_then(|count| Ok(count.saturating_add(store.count_set_aside(kind)?)));
                if !position.has_all(known.map_err(internal)?) {
                    // A copy that lacks some must not answer.
                    let counted = position.total.unwrap_or(0);
                    let sentence = format!("The origin counts {counted} {} and shows fewer", kind.segment());
                    self.note_trouble(origin, None, &sentence);
                    state.fill_again();
                    return Ok(None);
                }
                if kind == Kind::Group {
                    break;
                }
                position = Position::first(Kind::Group);
            }
            state.filling = Some(position.clone());
            state.succeeded(false);
            if !self.save(origin, state)? {
                return Ok(None);
            }
            if now_ms().saturating_sub(turn) > TURN_MS {
                return Ok(Some(0));
            }
        }
        let began = state.fill_began.take().unwrap_or(turn);
        (state.filling, state.fill_total) = (None, None);
        state.succeeded(true);
        (state.synced_at, state.whole_at) = (Some(began), Some(began));
        Ok(self.save(origin, state)?.then_some(0))
    }

    /// Asks the origin what it can do and which schemas it has. What it does not answer stays as it was.
    pub(crate) async fn learn(&self, origin: &Origin, state: &mut State) -> Result<()> {
        if let Some(found) = self.discover(origin, "/ServiceProviderConfig").await {
            state.capabilities = Capabilities::of(&found).or(state.capabilities);
        }
        let types = self.discover(origin, "/ResourceTypes").await;
        let schemas = self.discover(origin, "/Schemas").await;
        let _recalled = if origin.side == Side::InUse { Some(self.recall().await) } else { None };
        if let (Some(types), Some(schemas), true) = (types, schemas, self.copies(origin)?)
            && let Some(store) = self.tables(origin)
        {
            store.learn_schemas(&types, &schemas).map_err(internal)?;
        }
        Ok(())
    }

    async fn discover(&self, origin: &Origin, path: &str) -> Option<Value> {
        let answered = self.get(origin, path.to_owned()).await.ok()?;
        (answered.status == 200).then(|| serde_json::from_slice(&answered.body).ok()).flatten()
    }

    /// Reads one page of the origin's.
    pub(crate) async fn read_page(
        &self,
        origin: &Origin,
        kind: Kind,
        position: &Position,
        filter: Option<&str>,
        state: &State,
    ) -> Result<std::result::Result<Page<'_>, Unread>> {
        let since = self.memory.races.moment();
        let by_cursor = pages_by_cursor(state);
        let place = match &position.cursor {
            Some(cursor) if by_cursor => format!("cursor={}", encode(cursor)),
            None if by_cursor => "cursor=".to_owned(),
            _ => format!("startIndex={}", position.index()),
        };
        let message = loop {
            let count = self.memory.page.get();
            match self.list(origin, kind, &place, count, filter).await? {
                Ok(message) => break message,
                Err(Unread::TooLong) if count > PAGE_LEAST => {
                    self.memory.page.set((count / 4).max(PAGE_LEAST));
                }
                Err(unread) => return Ok(Err(unread)),
            }
        };
        let total = message.get("totalResults").and_then(Value::as_i64);
        let next = message.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        let resources = match message {
            Value::Object(mut message) => match message.remove("Resources") {
                Some(Value::Array(resources)) => resources,
                // An empty list may have none.
                None | Some(Value::Null) if message.contains_key("totalResults") => Vec::new(),
                _ => return Ok(Err(Unread::Failed)),
            },
            _ => return Ok(Err(Unread::Failed)),
        };
        let id = |shown: &Value| shown.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let place = Place { ids: resources.iter().map(id).collect(), total, next };
        Ok(Ok(Page { kind, resources, place, since }))
    }

    /// How many resources the origin counts.
    pub(crate) async fn total(
        &self,
        origin: &Origin,
        kind: Kind,
        filter: Option<&str>,
        state: &State,
    ) -> Result<std::result::Result<i64, Unread>> {
        let place = if pages_by_cursor(state) { "cursor=" } else { "startIndex=1" };
        let message = self.list(origin, kind, place, 1, filter).await?;
        Ok(message.and_then(|message| {
            message.get("totalResults").and_then(Value::as_i64).ok_or(Unread::Refused(200))
        }))
    }

    async fn list(
        &self,
        origin: &Origin,
        kind: Kind,
        place: &str,
        count: i64,
        filter: Option<&str>,
    ) -> Result<std::result::Result<Value, Unread>> {
        let filter = filter.map(|filter| format!("&filter={}", encode(filter))).unwrap_or_default();
        let path = format!("/{}?{place}&count={count}{filter}", kind.segment());
        let answered = match self.get(origin, path).await {
            Ok(answered) => answered,
            Err(NoAnswer::TooLong) => return Ok(Err(Unread::TooLong)),
            Err(_) => return Ok(Err(Unread::Failed)),
        };
        if matches!(answered.status, 400 | 403 | 404 | 405 | 501) {
            return Ok(Err(Unread::Refused(answered.status)));
        }
        if answered.status != 200 || !self.copies(origin)? {
            return Ok(Err(Unread::Failed));
        }
        Ok(serde_json::from_slice(&answered.body).map_err(|_| {
            self.note_trouble(
                origin,
                Some(200),
                &format!("{}/{} answered with no SCIM list", origin.base, kind.segment()),
            );
            Unread::Failed
        }))
    }

    /// Takes note of what stands in the way of a copy.
    pub(crate) fn note_trouble(&self, origin: &Origin, status: Option<u16>, sentence: &str) {
        match origin.side {
            Side::InUse => {
                let trouble = Trouble { status, sentence: sentence.to_owned() };
                *self.memory.trouble.borrow_mut() = Some(trouble);
            }
            Side::Beside(_) => self.memory.switching.note(Some(sentence.to_owned())),
        }
    }

    /// Takes a page over into the tables; the ids on it. None where the origin cannot be read.
    pub(crate) async fn absorb_page(
        &self,
        origin: &Origin,
        page: &Page<'_>,
        state: &mut State,
    ) -> Result<Option<Vec<String>>> {
        let mut ids = Vec::new();
        for shown in &page.resources {
            let Some(id) = shown.get("id").and_then(Value::as_str) else { continue };
            if !is_path_segment(id) {
                if let Some(store) = self.tables(origin) {
                    store.set_aside(page.kind, id).map_err(internal)?;
                }
                continue;
            }
            let shows_members = shown.get("members").is_some();
            state.lists_members |= shows_members;
            // Many origins leave members out of lists.
            let hides_members = page.kind == Kind::Group && !shows_members && !state.lists_members;
            // What is read anew below is called back for there.
            let _recalled = if hides_members {
                None
            } else {
                self.recall_unless_same(page.kind, Some(shown), origin, &page.since).await?
            };
            // Writes to what is in use are read again before a switch ends.
            let has_raced = origin.side == Side::InUse && page.since.has_raced(page.kind, id);
            if hides_members || has_raced {
                let _turn = self.memory.locks.acquire((page.kind, id.to_owned())).await;
                if !self.reread(page.kind, id, origin).await? {
                    return Ok(None);
                }
            } else {
                self.absorb(page.kind, shown, origin, &page.since)?;
                self.note(origin, page.kind, id);
            }
            ids.push(id.to_owned());
        }
        Ok(Some(ids))
    }

    /// A resource as the origin shows it now; none within where it has none.
    pub(crate) async fn show(
        &self,
        origin: &Origin,
        kind: Kind,
        id: &str,
    ) -> Result<std::result::Result<Option<Value>, Unread>> {
        let Some(path) = crate::origin::path(&Endpoint::Resource(kind, id.to_owned()), "") else {
            return Ok(Ok(None));
        };
        let Ok(answered) = self.get(origin, path).await else { return Ok(Err(Unread::Failed)) };
        Ok(match answered.status {
            200 => serde_json::from_slice(&answered.body).map(Some).map_err(|_| Unread::Failed),
            404 | 410 if is_scim(&answered) => Ok(None),
            _ => Err(Unread::Failed),
        })
    }
}

/// Whether the origin says that it pages by cursor only (RFC 9865 §4).
pub(crate) fn pages_by_cursor(state: &State) -> bool {
    state.capabilities.is_some_and(|origin| origin.cursor && !origin.index)
}
