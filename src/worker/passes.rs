//! Passes over the origin, once the first fill is complete: which is due, and what each does with the pages
//! (`directory::pass` says why that suffices). A pass stores where it is, so that it goes on after a restart,
//! and rests between its parts.

use crate::directory::{Directory, internal};
use crate::environment::now_ms;
use crate::origin::Origin;
use crate::replica::Reread;
use crate::synchronise::{Page, Unread, pages_by_cursor};
use scim_edge_directory::deleted::Source;
use scim_edge_directory::pass::{ALWAYS, Check, NEVER, Pass, Purpose};
use scim_edge_directory::position::{Position, Step};
use scim_edge_directory::replica::{Comparison, State};
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::identifier::is_path_segment;
use serde_json::Value;
use worker::{Result, console_log};

/// Pages between two rests, and how long these are: at most a thousand resources a second.
const PAGES: u32 = 10;
const REST_MS: i64 = 1_000;

/// Resources that are asked for one by one between two rests.
const SWEPT: i64 = 50;

/// How often counts are compared while writes go on.
const COUNTS: u32 = 3;

/// How a part of a pass ended.
enum Part {
    More,
    Done,
    Failed,
    /// The origin shows too little to be believed.
    Suspicious,
    /// The origin does not filter by time after all.
    Unfiltered,
}

impl Directory {
    /// Does a part of a pass. When to go on, in milliseconds; none where the origin cannot be read.
    pub(crate) async fn pass_on(
        &self,
        origin: &Origin,
        max_staleness_seconds: u32,
        state: &mut State,
    ) -> Result<Option<i64>> {
        if state.pass.is_none() {
            let created = self.store()?.has_unknown_creations().map_err(internal)?;
            match state.due(now_ms(), max_staleness_seconds, created) {
                Ok(purpose) => self.begin_pass(purpose, state)?,
                Err(wait) => return Ok(Some(wait)),
            }
        }
        let Some(mut pass) = state.pass.clone() else { return Ok(Some(0)) };
        if pass.pages == 0 && pass.purpose == Purpose::Whole {
            self.learn(origin, state).await?;
        }
        for _ in 0..PAGES {
            let part = if pass.sweeping {
                self.sweep(origin, &mut pass).await?
            } else {
                self.pass_page(origin, &mut pass, state).await?
            };
            match part {
                Part::More => {
                    state.pass = Some(pass.clone());
                    state.succeeded(false);
                }
                Part::Done => {
                    self.end_pass(origin, pass, state).await?;
                    state.succeeded(true);
                    return Ok(self.save(origin, state)?.then_some(0));
                }
                Part::Unfiltered => {
                    console_log!("the origin does not filter by time: all of it is read instead");
                    (state.whole_at, state.pass) = (None, None);
                    return Ok(self.save(origin, state)?.then_some(0));
                }
                Part::Suspicious => {
                    if !self.save(origin, state)? {
                        return Ok(None);
                    }
                    let wait = self.suspect(state, max_staleness_seconds)?;
                    self.store()?.begin_pass().map_err(internal)?;
                    return Ok(Some(wait));
                }
                Part::Failed => {
                    // Where it is may not be where it was.
                    state.pass = Some(pass);
                    return Ok(None);
                }
            }
            if !self.save(origin, state)? {
                return Ok(None);
            }
        }
        Ok(Some(REST_MS))
    }

    fn begin_pass(&self, purpose: Purpose, state: &mut State) -> Result<()> {
        let store = self.store()?;
        self.memory.races.note_pass();
        (state.wanted, state.pass) = (None, Some(Pass::new(purpose, now_ms())));
        store.begin_pass().map_err(internal)?;
        if purpose == Purpose::Whole {
            store.forget_set_aside().map_err(internal)?;
        }
        store.set_replica(state).map_err(internal)
    }

    async fn pass_page(&self, origin: &Origin, pass: &mut Pass, state: &mut State) -> Result<Part> {
        let store = self.store()?;
        let kind = pass.position.of();
        let filter = (pass.purpose == Purpose::Changes).then(|| state.changes_filter());
        let page = match self.read_page(origin, kind, &pass.position, filter.as_deref(), state).await? {
            Ok(page) => page,
            Err(Unread::Refused(400 | 404)) if filter.is_none() || pass.position.index() > 1 => {
                return match pass.position.refused(pages_by_cursor(state)) {
                    Some(step) => self.step(origin, pass, step, state).await,
                    None => Ok(Part::Failed),
                };
            }
            Err(Unread::Refused(_)) if filter.is_some() => {
                // Something in front of the origin may have: a whole pass finds out.
                state.filters_times = None;
                return Ok(Part::Unfiltered);
            }
            Err(_) => return Ok(Part::Failed),
        };
        if filter.is_some() && page.resources.iter().any(|shown| !state.is_change(shown)) {
            state.filters_times = Some(false);
            return Ok(Part::Unfiltered);
        }
        let ids = match pass.purpose {
            Purpose::Check => self.compare_page(origin, &page, state, &mut pass.check).await?,
            Purpose::Changes => self.absorb_page(origin, &page, state).await?,
            Purpose::Whole => {
                self.judge_times(origin, &page, state)?;
                self.absorb_page(origin, &page, state).await?
            }
        };
        let Some(ids) = ids else { return Ok(Part::Failed) };
        pass.pages = pass.pages.saturating_add(1);
        if pass.purpose != Purpose::Changes {
            store.mark_seen(pass.pages, kind, &ids).map_err(internal)?;
        }
        let step = pass.position.advance(page.place, pages_by_cursor(state));
        self.step(origin, pass, step, state).await
    }

    /// Goes where a page leads.
    async fn step(&self, origin: &Origin, pass: &mut Pass, step: Step, state: &mut State) -> Result<Part> {
        let (store, kind) = (self.store()?, pass.position.of());
        match step {
            Step::Page => return Ok(Part::More),
            Step::Unrest => {
                self.note_trouble(
                    origin,
                    None,
                    "The origin's lists do not keep their order from page to page",
                );
                return Ok(Part::Failed);
            }
            Step::End => {}
        }
        let counts = pass.check.counts(kind);
        counts.here = store.count(kind).map_err(internal)?;
        counts.origin = pass.position.read();
        if pass.purpose == Purpose::Changes {
            match self.same_count(origin, kind, state).await? {
                Some(true) => {}
                Some(false) => {
                    // Something was deleted, or missed.
                    (state.whole_at, state.pass) = (None, None);
                    pass.check.complete = false;
                    return Ok(Part::Done);
                }
                None => return Ok(Part::Failed),
            }
        }
        match kind {
            Kind::User => pass.position = Position::first(Kind::Group),
            Kind::Group if pass.purpose == Purpose::Changes => return Ok(Part::Done),
            Kind::Group => self.begin_sweep(pass)?,
        }
        Ok(Part::More)
    }

    /// Whether origin and copy have the same number of resources. None where the origin cannot be read.
    ///
    /// What is gone and what is new cancel each other in a count. So it tells something only where nothing new
    /// is found by asking once more, after it.
    async fn same_count(&self, origin: &Origin, kind: Kind, state: &mut State) -> Result<Option<bool>> {
        for _ in 0..COUNTS {
            let since = self.memory.races.moment();
            let Ok(total) = self.total(origin, kind, None, state).await? else { return Ok(None) };
            let Some(is_quiet) = self.finds_nothing(origin, kind, state).await? else {
                return Ok(None);
            };
            if is_quiet && !since.any_come_or_gone() {
                let store = self.store()?;
                let set_aside = store.count_set_aside(kind).map_err(internal)?;
                return Ok(Some(store.count(kind).map_err(internal)?.saturating_add(set_aside) == total));
            }
        }
        Ok(Some(false))
    }

    /// Whether the copy has all that was modified already; what it has not it takes over. None where the
    /// origin cannot be read.
    async fn finds_nothing(&self, origin: &Origin, kind: Kind, state: &mut State) -> Result<Option<bool>> {
        let filter = state.changes_filter();
        let mut position = Position::first(kind);
        let mut is_quiet = true;
        for _ in 0..PAGES {
            let Ok(page) = self.read_page(origin, kind, &position, Some(&filter), state).await? else {
                return Ok(None);
            };
            for shown in &page.resources {
                let compared = self.store()?.compare(kind, shown, &origin.base).map_err(internal)?;
                is_quiet &= compared != Some(Comparison::Missing);
            }
            if self.absorb_page(origin, &page, state).await?.is_none() {
                return Ok(None);
            }
            match position.advance(page.place, pages_by_cursor(state)) {
                Step::Page => {}
                Step::End => return Ok(Some(is_quiet)),
                Step::Unrest => break,
            }
        }
        // Too much to be read in one go: a whole pass it is.
        Ok(Some(false))
    }

    /// Whether times can be relied on: a change that an earlier pass should have found by its time shows
    /// that they cannot.
    fn judge_times(&self, origin: &Origin, page: &Page<'_>, state: &mut State) -> Result<()> {
        if state.filters_times != Some(true) {
            return Ok(());
        }
        for shown in &page.resources {
            let Some(id) = shown.get("id").and_then(Value::as_str) else { continue };
            if !state.missed(shown) || page.since.has_raced(page.kind, id) {
                continue;
            }
            let compared = self.store()?.compare(page.kind, shown, &origin.base).map_err(internal)?;
            let tells_members = page.kind == Kind::User || shown.get("members").is_some();
            if compared.is_some_and(|compared| compared != Comparison::Same) && tells_members {
                console_log!("the origin's times do not tell what changed: all of it is read instead");
                state.filters_times = Some(false);
                return Ok(());
            }
        }
        Ok(())
    }

    async fn compare_page(
        &self,
        origin: &Origin,
        page: &Page<'_>,
        state: &State,
        check: &mut Check,
    ) -> Result<Option<Vec<String>>> {
        let mut ids = Vec::new();
        for shown in &page.resources {
            let Some(id) = shown.get("id").and_then(Value::as_str).filter(|id| is_path_segment(id)) else {
                continue;
            };
            let is_whole = page.kind == Kind::User || shown.get("members").is_some() || state.lists_members;
            if !is_whole {
                if !self.compare_one(origin, page.kind, id, check).await? {
                    return Ok(None);
                }
            } else if !page.since.has_raced(page.kind, id) {
                self.note_comparison(origin, page.kind, id, Some(shown), check)?;
            }
            ids.push(id.to_owned());
        }
        Ok(Some(ids))
    }

    /// Compares a resource as the origin shows it now. Whether it could be read.
    async fn compare_one(&self, origin: &Origin, kind: Kind, id: &str, check: &mut Check) -> Result<bool> {
        let _turn = self.memory.locks.acquire((kind, id.to_owned())).await;
        let Ok(shown) = self.show(origin, kind, id).await? else { return Ok(false) };
        self.note_comparison(origin, kind, id, shown.as_ref(), check)?;
        Ok(true)
    }

    fn note_comparison(
        &self,
        origin: &Origin,
        kind: Kind,
        id: &str,
        shown: Option<&Value>,
        check: &mut Check,
    ) -> Result<()> {
        let store = self.store()?;
        let compared = match shown {
            Some(shown) => store.compare(kind, shown, &origin.base).map_err(internal)?,
            None if store.has(kind, id).map_err(internal)? => {
                check.list(|check| &mut check.extra, kind, id);
                None
            }
            None => None,
        };
        match compared {
            Some(Comparison::Missing) => check.list(|check| &mut check.missing, kind, id),
            Some(Comparison::Different) => check.list(|check| &mut check.different, kind, id),
            Some(Comparison::Same) | None => {}
        }
        Ok(())
    }

    /// What no page showed is asked for: it was deleted, or a page has missed it.
    async fn sweep(&self, origin: &Origin, pass: &mut Pass) -> Result<Part> {
        if pass.holding {
            return self.hold(origin, pass).await;
        }
        let store = self.store()?;
        for kind in Kind::ALL {
            let ids = store.unseen(kind, SWEPT).map_err(internal)?;
            if ids.is_empty() {
                continue;
            }
            for id in &ids {
                let done = if pass.purpose == Purpose::Check {
                    self.compare_one(origin, kind, id, &mut pass.check).await?
                } else {
                    let _turn = self.memory.locks.acquire((kind, id.clone())).await;
                    match self.read_anew(kind, id, origin, Source::Reconciliation).await? {
                        Reread::Right => true,
                        Reread::Kept => return Ok(Part::Suspicious),
                        Reread::Failed => false,
                    }
                };
                if !done {
                    return Ok(Part::Failed);
                }
            }
            pass.pages = pass.pages.saturating_add(1);
            store.mark_seen(pass.pages, kind, &ids).map_err(internal)?;
            return Ok(Part::More);
        }
        Ok(Part::Done)
    }

    /// Asks for what no page showed, and removes none of it. Once it is known that the brake lets it go, the sweep
    /// does the rest.
    async fn hold(&self, origin: &Origin, pass: &mut Pass) -> Result<Part> {
        let store = self.store()?;
        for kind in Kind::ALL {
            let ids = store.unseen(kind, SWEPT).map_err(internal)?;
            if ids.is_empty() {
                continue;
            }
            let (mut there, mut gone) = (Vec::new(), Vec::new());
            for id in ids {
                let _turn = self.memory.locks.acquire((kind, id.clone())).await;
                match self.show(origin, kind, &id).await? {
                    Ok(Some(_)) if self.reread(kind, &id, origin).await? => there.push(id),
                    Ok(None) => gone.push(id),
                    // Neither its lists nor itself: what the origin has cannot be told.
                    Ok(Some(_)) | Err(_) => return Ok(Part::Suspicious),
                }
            }
            pass.pages = pass.pages.saturating_add(1);
            store.mark_seen(pass.pages, kind, &there).map_err(internal)?;
            store.mark_seen(pass.pages.saturating_neg(), kind, &gone).map_err(internal)?;
            let gone = store.count_gone(kind).map_err(internal)?;
            return Ok(if self.would_stop(kind, gone)? { Part::Suspicious } else { Part::More });
        }
        store.forget_gone().map_err(internal)?;
        pass.holding = false;
        Ok(Part::More)
    }

    async fn end_pass(&self, origin: &Origin, pass: Pass, state: &mut State) -> Result<()> {
        let store = self.store()?;
        store.begin_pass().map_err(internal)?;
        state.pass = None;
        match pass.purpose {
            Purpose::Check => state.last_check = Some(Check { at: now_ms(), ..pass.check }),
            Purpose::Changes if !pass.check.complete => {}
            Purpose::Changes => state.synced_at = Some(pass.began),
            Purpose::Whole => {
                if !self.copies(origin)? {
                    return Ok(());
                }
                for intent in store.unknown().map_err(internal)? {
                    if intent.at < pass.began {
                        store.settle(intent.number).map_err(internal)?;
                    }
                }
                self.trust()?;
                (state.synced_at, state.whole_at) = (Some(pass.began), Some(pass.began));
                if state.may_filter(now_ms()) {
                    self.probe_times(origin, state).await?;
                }
            }
        }
        Ok(())
    }

    /// Finds out whether the origin filters by time.
    async fn probe_times(&self, origin: &Origin, state: &mut State) -> Result<()> {
        (state.filters_times, state.filters_again_at) = (None, None);
        if pages_by_cursor(state) || state.capabilities.is_some_and(|origin| !origin.filter) {
            state.filters_refused(now_ms());
            return Ok(());
        }
        let mut proved = None;
        for kind in Kind::ALL {
            let known = self.store()?.count(kind).map_err(internal)?;
            let (all, always, never) = (
                self.total(origin, kind, None, state).await?,
                self.total(origin, kind, Some(ALWAYS), state).await?,
                self.total(origin, kind, Some(NEVER), state).await?,
            );
            match (all, always, never) {
                (Ok(0), ..) if known == 0 => {}
                // Its totals are no counts.
                (Ok(all), ..) if all.saturating_mul(2) < known => {
                    state.filters_refused(now_ms());
                    return Ok(());
                }
                (Ok(all), Ok(always), Ok(0)) if all == always => proved = Some(true),
                (Err(Unread::Failed), _, _) | (_, Err(Unread::Failed), _) | (_, _, Err(Unread::Failed)) => {
                    return Ok(());
                }
                _ => {
                    state.filters_refused(now_ms());
                    return Ok(());
                }
            }
        }
        state.filters_times = proved;
        Ok(())
    }
}
