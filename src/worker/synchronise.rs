//! The copy of the origin, made and kept right in the background.
//!
//! The first fill goes page by page and stores where it is, so that it goes on after a restart. From
//! then on whole passes find what changed behind the gateway.
//!
//! **A page that raced a write** never overwrites it: a resource that was written after the page was
//! asked for, or is being written, is read anew when its turn comes.
//!
//! **Nothing falls between two pages**: each begins with the last resource of the one before. Where it does
//! not, resources were removed meanwhile, and the pages before are read again.

use crate::directory::{Configuration, Directory, internal};
use crate::environment::now_ms;
use crate::origin::Origin;
use scim_edge_account::published::DirectorySettings;
use scim_edge_directory::capabilities::Capabilities;
use scim_edge_directory::replica::{Position, State};
use scim_edge_scim::endpoint::{Kind, encode};
use serde_json::Value;
use worker::{Result, console_error};

/// Resources asked of the origin at once.
const PAGE: i64 = 100;

/// How many resources are read again where some have moved between two pages.
const STEP_BACK: i64 = 1_000;

/// A move counts as much as so many pages without one; when there is too much of it, the origin is asked
/// again later.
const UNREST_OF_A_MOVE: u32 = 10;
const UNREST_MOST: u32 = 30;

/// How long one alarm works before it makes room for the next, in milliseconds.
const TURN_MS: i64 = 20_000;

/// The least and the longest wait between attempts to read the origin, in milliseconds.
const RETRY_LEAST_MS: i64 = 1_000;
const RETRY_MOST_MS: i64 = 300_000;

impl Directory {
    /// Sees to it that the alarm rings: it may have been lost with an object that was stopped.
    pub(crate) async fn wake(&self) -> Result<()> {
        if self.memory.is_awake.get() {
            return Ok(());
        }
        let storage = self.state.storage();
        let is_urgent = self.store()?.has_unknown_creations().map_err(internal)?;
        if is_urgent || storage.get_alarm().await?.is_none() {
            storage.set_alarm(RETRY_LEAST_MS).await?;
        }
        self.memory.is_awake.set(true);
        Ok(())
    }

    /// Has a pass begun soon: something may be at the origin that nobody knows of.
    pub(crate) async fn look_soon(&self) -> Result<()> {
        self.wake_in(RETRY_LEAST_MS).await
    }

    pub(crate) async fn wake_in(&self, ms: i64) -> Result<()> {
        self.memory.is_awake.set(true);
        self.state.storage().set_alarm(ms.max(0)).await
    }

    /// Copies from the origin: the first fill, then whole passes that find what changed behind the
    /// gateway. Each alarm does a part and says when to go on.
    pub(crate) async fn synchronise(&self) -> Result<()> {
        let store = self.store()?;
        // Where there is nothing to copy from, the alarm is not needed.
        self.memory.is_awake.set(true);
        let configuration = store.configuration().map_err(internal)?;
        let Some(configuration) =
            configuration.and_then(|text| serde_json::from_str::<Configuration>(&text).ok())
        else {
            return Ok(());
        };
        let settings = configuration.settings.clone();
        self.memory.configuration.borrow_mut().get_or_insert(configuration);
        let (Some(origin), Some(mut state)) =
            (self.origin(&settings, None)?, store.replica().map_err(internal)?)
        else {
            return Ok(());
        };
        match self.pass_over(&origin, &settings, &mut state).await? {
            Some(wait) => self.wake_in(wait).await,
            // The settings have changed meanwhile: begin again with the new ones.
            None if !self.copies(&origin)? => self.wake_in(0).await,
            None => {
                state.failures = state.failures.saturating_add(1);
                store.set_replica(&state).map_err(internal)?;
                let wait =
                    RETRY_LEAST_MS.saturating_mul(1_i64.checked_shl(state.failures.min(16)).unwrap_or(1));
                console_error!(
                    "the origin could not be read; attempt {} to follow",
                    state.failures.saturating_add(1)
                );
                self.wake_in(wait.clamp(RETRY_LEAST_MS, RETRY_MOST_MS)).await
            }
        }
    }

    /// Does a part of a pass. When to go on, in milliseconds; none where the origin cannot be read.
    async fn pass_over(
        &self,
        origin: &Origin,
        settings: &DirectorySettings,
        state: &mut State,
    ) -> Result<Option<i64>> {
        let store = self.store()?;
        let began = now_ms();
        let first = state.filling.is_some();
        let mut position = state.filling.clone().unwrap_or_else(|| Position::first(Kind::User));
        // Once a pass: a first fill takes several turns.
        if position == Position::first(Kind::User) {
            // A fill that begins again keeps what it has, which is as old as its first beginning.
            state.filling_since = state.filling_since.filter(|_| first).or(first.then_some(began));
            self.learn(origin, state).await?;
        }
        if !first {
            self.memory.seen.borrow_mut().clear();
        }
        let mut unrest = 0_u32;
        loop {
            let kind = if position.kind == Kind::User.name() { Kind::User } else { Kind::Group };
            let Some(page) = self.page(origin, kind, &position, state).await? else { return Ok(None) };
            let by_cursor = pages_by_cursor(state);
            unrest = if page.has_moved {
                unrest.saturating_add(UNREST_OF_A_MOVE)
            } else {
                unrest.saturating_sub(1)
            };
            if unrest > UNREST_MOST {
                return Ok(None);
            }
            if page.has_moved {
                let start = position.start.saturating_sub(STEP_BACK).max(1);
                position = Position { start, ..Position::first(kind) };
                continue;
            }
            position.start = position.start.saturating_add(page.count);
            position.cursor = page.next;
            position.last = page.last;
            if page.count == 0
                || (by_cursor && position.cursor.is_none())
                || (!by_cursor && position.start > page.total)
            {
                if first && store.count(kind).map_err(internal)? < page.total {
                    // Resources moved between pages while they were read, or the origin shows not all of
                    // them: a copy that lacks some must not answer.
                    state.filling = Some(Position::first(Kind::User));
                    return Ok(None);
                }
                if kind == Kind::Group {
                    break;
                }
                position = Position::first(Kind::Group);
            }
            if first {
                state.filling = Some(position.clone());
                state.failures = 0;
                store.set_replica(state).map_err(internal)?;
                if now_ms().saturating_sub(began) > TURN_MS {
                    return Ok(Some(0));
                }
            }
        }
        if !first && !self.forget_unseen(origin).await? {
            return Ok(None);
        }
        if !self.copies(origin)? {
            return Ok(None);
        }
        for intent in store.unknown().map_err(internal)? {
            if intent.at < began && !first {
                store.settle(intent.number).map_err(internal)?;
            }
        }
        let as_of = state.filling_since.take().filter(|_| first).unwrap_or(began);
        state.filling = None;
        state.synced_at = Some(as_of);
        state.failures = 0;
        // A write may have noticed it meanwhile.
        state.hides_members |= store.replica().map_err(internal)?.is_some_and(|now| now.hides_members);
        store.set_replica(state).map_err(internal)?;
        if store.has_unknown_creations().map_err(internal)? {
            return Ok(Some(RETRY_LEAST_MS));
        }
        let age = now_ms().saturating_sub(as_of);
        let wait = i64::from(settings.max_staleness_seconds).saturating_mul(500).saturating_sub(age);
        Ok(Some(wait.max(RETRY_LEAST_MS)))
    }

    /// Asks the origin what it can do and which schemas it has. What it does not answer stays as it was.
    async fn learn(&self, origin: &Origin, state: &mut State) -> Result<()> {
        if let Some(found) = self.discover(origin, "/ServiceProviderConfig").await {
            state.capabilities = Capabilities::of(&found).or(state.capabilities);
        }
        let types = self.discover(origin, "/ResourceTypes").await;
        let schemas = self.discover(origin, "/Schemas").await;
        if let (Some(types), Some(schemas), true) = (types, schemas, self.copies(origin)?) {
            self.store()?.learn_schemas(&types, &schemas).map_err(internal)?;
        }
        Ok(())
    }

    async fn discover(&self, origin: &Origin, path: &str) -> Option<Value> {
        let answered = self.get(origin, path.to_owned()).await.ok()?;
        (answered.status == 200).then(|| serde_json::from_slice(&answered.body).ok()).flatten()
    }

    /// Reads one page of the origin's into the tables.
    async fn page(
        &self,
        origin: &Origin,
        kind: Kind,
        position: &Position,
        state: &mut State,
    ) -> Result<Option<Page>> {
        let since = self.memory.races.moment();
        let by_cursor = pages_by_cursor(state);
        let anchor = position.last.as_ref().filter(|_| !by_cursor);
        let place = match &position.cursor {
            Some(cursor) if by_cursor => format!("cursor={}", encode(cursor)),
            None if by_cursor => "cursor=".to_owned(),
            _ => format!("startIndex={}", position.start.saturating_sub(i64::from(anchor.is_some()))),
        };
        let path = format!("/{}?{place}&count={PAGE}", kind.segment());
        let Ok(answered) = self.get(origin, path).await else { return Ok(None) };
        if answered.status != 200 || !self.copies(origin)? {
            return Ok(None);
        }
        let Ok(message) = serde_json::from_slice::<Value>(&answered.body) else { return Ok(None) };
        let resources =
            message.get("Resources").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let count = i64::try_from(resources.len()).unwrap_or(i64::MAX);
        let total = message.get("totalResults").and_then(Value::as_i64);
        let Some(total) = total.or(pages_by_cursor(state).then_some(0)) else { return Ok(None) };
        let id = |shown: &Value| shown.get("id").and_then(Value::as_str).map(str::to_owned);
        let has_moved = anchor.is_some() && anchor != resources.first().and_then(id).as_ref();
        for shown in resources {
            let Some(id) = shown.get("id").and_then(Value::as_str) else { continue };
            let key = (kind, id.to_owned());
            let shows_members = shown.get("members").is_some();
            state.lists_members |= shows_members;
            // Many origins leave members out of lists.
            let hides_members = kind == Kind::Group && !shows_members && !state.lists_members;
            if hides_members || since.has_raced(kind, id) {
                let _turn = self.memory.locks.acquire(key.clone()).await;
                if !self.reread(kind, id, origin).await? {
                    return Ok(None);
                }
            } else {
                self.absorb(kind, shown, origin, &since)?;
            }
            self.memory.seen.borrow_mut().insert(key);
        }
        let next = message.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        // A page of one would be followed by nothing but itself.
        let last = resources.last().filter(|_| count > 1).and_then(id);
        let count = count.saturating_sub(i64::from(anchor.is_some()));
        Ok(Some(Page { count, total, next, last, has_moved }))
    }

    /// Removes what the origin no longer has: each is asked for, since a page may have missed it.
    async fn forget_unseen(&self, origin: &Origin) -> Result<bool> {
        let store = self.store()?;
        for kind in Kind::ALL {
            let mut after = 0;
            loop {
                let batch = store.ids(kind, after, 500).map_err(internal)?;
                let Some((last, _)) = batch.last() else { break };
                after = *last;
                for (_, id) in batch {
                    let key = (kind, id.clone());
                    if self.memory.seen.borrow().contains(&key) {
                        continue;
                    }
                    let _turn = self.memory.locks.acquire(key).await;
                    if !self.reread(kind, &id, origin).await? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }
}

struct Page {
    /// How many resources it has that the page before had not.
    count: i64,
    total: i64,
    next: Option<String>,
    /// The id of its last resource.
    last: Option<String>,
    /// Whether resources have moved between this page and the one before: some may be in neither.
    has_moved: bool,
}

/// Whether the origin says that it pages by cursor only (RFC 9865 §4).
fn pages_by_cursor(state: &State) -> bool {
    state.capabilities.is_some_and(|origin| origin.cursor && !origin.index)
}
