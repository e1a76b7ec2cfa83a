//! Something that was read of the tables and holds until a statement writes.

use std::cell::RefCell;

/// A value, as it was after so many writes ([`crate::sql::Counted`]).
pub(crate) struct Remembered<T>(RefCell<Option<(u64, T)>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

impl<T: Clone> Remembered<T> {
    /// The value after so many writes, which is read where it is not known.
    pub(crate) fn get<E>(&self, writes: u64, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if let Some((known, value)) = &*self.0.borrow()
            && *known == writes
        {
            return Ok(value.clone());
        }
        let value = read()?;
        *self.0.borrow_mut() = Some((writes, value.clone()));
        Ok(value)
    }
}
