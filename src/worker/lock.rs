//! Locks by name, within one object: writes to one resource run one after another (an await on the
//! origin lets other requests in).
//!
//! All requests of an object share one I/O context, so that one may wait for another here; between
//! requests of the Worker itself that would not hold.

use futures_util::lock::{Mutex, OwnedMutexGuard};
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

/// Held while a resource is written.
pub(crate) type Guard = OwnedMutexGuard<()>;

/// One lock per name. A lock is forgotten when nobody holds or awaits it.
pub(crate) struct Locks<K>(RefCell<HashMap<K, Weak<Mutex<()>>>>);

impl<K: Eq + Hash> Locks<K> {
    pub(crate) fn new() -> Self {
        Self(RefCell::new(HashMap::new()))
    }

    /// Waits for its turn.
    pub(crate) async fn acquire(&self, name: K) -> Guard {
        let lock = {
            let mut locks = self.0.borrow_mut();
            locks.retain(|_, lock| lock.strong_count() > 0);
            let entry = locks.entry(name).or_default();
            entry.upgrade().unwrap_or_else(|| {
                let lock = Arc::new(Mutex::new(()));
                *entry = Arc::downgrade(&lock);
                lock
            })
        };
        lock.lock_owned().await
    }
}
