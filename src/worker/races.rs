//! What happens to resources while something about them is on its way from the origin.
//!
//! An await on the origin lets other requests in. Whoever asks the origin takes a [`Moment`] first, and
//! what comes back is held against what ended since then: an answer that is older than a write must not
//! overwrite it, and a group that was asked for before a user was deleted must not bring the user back.
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
    /// The moments that somebody holds, and how many do.
    moments: RefCell<BTreeMap<u64, usize>>,
    under_way: RefCell<HashMap<u64, UnderWay>>,
}

struct UnderWay {
    kind: Kind,
    /// None for what is to be created.
    id: Option<String>,
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
    pub(crate) fn begin(&self, kind: Kind, id: Option<&str>) -> Write<'_> {
        let number = self.next();
        let under_way = UnderWay { kind, id: id.map(str::to_owned), is_seen: false };
        self.under_way.borrow_mut().insert(number, under_way);
        Write { races: self, number }
    }

    /// The copy of a resource was made right.
    pub(crate) fn note(&self, kind: Kind, id: &str) {
        let number = self.next();
        self.written.borrow_mut().insert((kind, id.to_owned()), number);
        self.prune();
    }

    /// A resource is gone.
    pub(crate) fn note_gone(&self, kind: Kind, id: &str) {
        self.note(kind, id);
        self.gone.borrow_mut().insert(id.to_owned(), self.count.get());
        self.prune();
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

    /// Whether anything was written since then, or is being written.
    pub(crate) fn any_raced(&self) -> bool {
        let written = self.races.written.borrow();
        !self.races.under_way.borrow().is_empty() || written.values().any(|number| *number > self.at)
    }

    /// Whether a write of a resource has ended since then.
    pub(crate) fn is_written(&self, kind: Kind, id: &str) -> bool {
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
        {
            let mut moments = self.races.moments.borrow_mut();
            let holders = moments.get(&self.at).copied().unwrap_or(0);
            if holders > 1 {
                moments.insert(self.at, holders.saturating_sub(1));
            } else {
                moments.remove(&self.at);
            }
        }
        self.races.prune();
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
        if let Some(UnderWay { kind, id: Some(id), .. }) = ended {
            self.races.note(kind, &id);
        }
    }
}
