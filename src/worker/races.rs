//! What happens to resources while something about them is on its way from the origin.
//!
//! An await on the origin lets other requests in. Whoever asks the origin takes a [`Moment`] first, and
//! what comes back is held against what ended since then: an answer that is older than a write must not
//! overwrite it, and a group that was asked for before a user was deleted must not bring the user back.
//!
//! **A pass that began meanwhile** makes an answer too old as well: the copy will say that it is as of the pass.
//!
//! **A write under way that somebody has seen** at the origin, by a read that was forwarded, is marked: later
//! reads ask the origin too, until the copy has it.

use scim_edge_scim::endpoint::Kind;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};

/// A resource.
pub(crate) type Key = (Kind, String);

/// The writes that are under way, and those that ended while somebody was asking the origin.
#[derive(Default)]
pub(crate) struct Races {
    count: Cell<u64>,
    /// What was written, by the number of the write that ended last.
    written: RefCell<HashMap<Key, u64>>,
    /// Resources that are gone, the same way.
    gone: RefCell<HashMap<String, u64>>,
    /// When the last pass over the origin began.
    pass: Cell<u64>,
    /// When a resource was last created or deleted.
    come_or_gone: Cell<u64>,
    /// The moments that somebody holds, and how many do.
    moments: RefCell<BTreeMap<u64, usize>>,
    under_way: RefCell<HashMap<u64, UnderWay>>,
}

struct UnderWay {
    kind: Kind,
    /// None for what is to be created.
    id: Option<String>,
    /// Whether it creates or deletes.
    comes_or_goes: bool,
    /// Whether somebody may have seen it at the origin.
    is_seen: bool,
}

impl Races {
    fn next(&self) -> u64 {
        self.count.set(self.count.get().saturating_add(1));
        self.count.get()
    }

    /// To be taken before the origin is asked.
    pub(crate) fn moment(&self) -> Moment<'_> {
        let at = self.count.get();
        let mut moments = self.moments.borrow_mut();
        let holders = moments.entry(at).or_default();
        *holders = holders.saturating_add(1);
        Moment { races: self, at }
    }

    /// A write is under way until the guard is dropped.
    pub(crate) fn begin(&self, kind: Kind, id: Option<&str>, method: &str) -> Write<'_> {
        let number = self.next();
        let comes_or_goes = matches!(method, "POST" | "DELETE");
        let under_way = UnderWay { kind, id: id.map(str::to_owned), comes_or_goes, is_seen: false };
        self.under_way.borrow_mut().insert(number, under_way);
        Write { races: self, number }
    }

    /// The copy of a resource was made right.
    pub(crate) fn note(&self, kind: Kind, id: &str) {
        let number = self.next();
        // Nobody asks: nobody can have raced with it.
        if !self.moments.borrow().is_empty() {
            self.written.borrow_mut().insert((kind, id.to_owned()), number);
        }
    }

    /// A resource is gone.
    pub(crate) fn note_gone(&self, kind: Kind, id: &str) {
        self.note(kind, id);
        self.come_or_gone.set(self.count.get());
        if !self.moments.borrow().is_empty() {
            self.gone.borrow_mut().insert(id.to_owned(), self.count.get());
        }
    }

    /// A pass over the origin begins.
    pub(crate) fn note_pass(&self) {
        self.pass.set(self.next());
    }

    /// Somebody has seen the origin as it is.
    pub(crate) fn note_seen(&self) {
        self.under_way.borrow_mut().values_mut().for_each(|write| write.is_seen = true);
    }

    /// Whether a write under way has been seen that `concerns`.
    pub(crate) fn is_seen(&self, concerns: impl Fn(Kind, Option<&str>) -> bool) -> bool {
        self.under_way
            .borrow()
            .values()
            .any(|write| write.is_seen && concerns(write.kind, write.id.as_deref()))
    }

    /// Forgets what nobody that still asks the origin can have raced with.
    fn prune(&self) {
        let oldest = self.moments.borrow().keys().next().copied().unwrap_or(u64::MAX);
        self.written.borrow_mut().retain(|_, number| *number > oldest);
        self.gone.borrow_mut().retain(|_, number| *number > oldest);
    }
}

/// When the origin was asked.
pub(crate) struct Moment<'a> {
    races: &'a Races,
    at: u64,
}

impl Moment<'_> {
    /// Whether a resource was written since then, or is being written.
    pub(crate) fn has_raced(&self, kind: Kind, id: &str) -> bool {
        let under_way = self.races.under_way.borrow();
        self.is_written(kind, id)
            || under_way.values().any(|write| write.kind == kind && write.id.as_deref() == Some(id))
    }

    /// Whether something was created or deleted since then, or is being.
    pub(crate) fn any_come_or_gone(&self) -> bool {
        self.races.come_or_gone.get() > self.at
            || self.races.under_way.borrow().values().any(|write| write.comes_or_goes)
    }

    /// Whether what was asked then of a resource is too old to be taken over: it has been written or read anew
    /// since, or a pass has begun, which may show no more of it.
    pub(crate) fn is_overtaken(&self, kind: Kind, id: &str) -> bool {
        self.is_written(kind, id) || self.races.pass.get() > self.at
    }

    fn is_written(&self, kind: Kind, id: &str) -> bool {
        self.races.written.borrow().get(&(kind, id.to_owned())).is_some_and(|number| *number > self.at)
    }

    /// Whether something has been found to be gone since then.
    pub(crate) fn any_gone(&self) -> bool {
        self.races.gone.borrow().values().any(|number| *number > self.at)
    }

    /// Whether a resource has been found to be gone since then.
    pub(crate) fn is_gone(&self, id: &str) -> bool {
        self.races.gone.borrow().get(id).is_some_and(|number| *number > self.at)
    }
}

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        let was_oldest = {
            let mut moments = self.races.moments.borrow_mut();
            let holders = moments.get(&self.at).copied().unwrap_or(0);
            if holders > 1 {
                moments.insert(self.at, holders.saturating_sub(1));
                return;
            }
            moments.remove(&self.at);
            moments.keys().next().is_none_or(|oldest| *oldest > self.at)
        };
        if was_oldest {
            self.races.prune();
        }
    }
}

/// A write that is under way.
pub(crate) struct Write<'a> {
    races: &'a Races,
    number: u64,
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        let ended = self.races.under_way.borrow_mut().remove(&self.number);
        if ended.as_ref().is_some_and(|write| write.comes_or_goes) {
            self.races.come_or_gone.set(self.races.next());
        }
        if let Some(UnderWay { kind, id: Some(id), .. }) = ended {
            self.races.note(kind, &id);
        }
    }
}
