//! Writes that are only tried: answered as they would be, and undone.
//!
//! INVARIANT: a tried write runs within a transaction that is always rolled back, whatever comes of it; no table, no
//! log of changes and no window of the brake has anything of it afterwards.

use crate::Directory;
use crate::brake::{Guard, Removal};
use crate::message::{Failure, Request, Response};
use crate::sql::{Sql, SqlError};

/// What a write takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is a removal.
    Removes(Removal),
    /// It is none.
    RemovesNothing,
    /// It would be refused here, so that its effect elsewhere is not known.
    Unknown,
}

impl<S: Sql> Directory<S> {
    /// Answers a write as it would be answered, and changes nothing.
    pub fn shadow(&self, request: &Request<'_>) -> Response {
        let mut response = None;
        let undone = self.store.sql.transaction(|| {
            response = Some(self.respond(request));
            Err::<(), SqlError>(SqlError::new("tried, not made"))
        });
        // Schemas are kept beside the tables; an alarm was of a removal that did not happen.
        let reloaded = self.reload_schemas();
        self.alarm.take();
        match (undone, reloaded, response) {
            (Err(_), Ok(()), Some(response)) => response,
            (Err(error), ..) | (_, Err(error), _) => Failure::Sql(error).into(),
            (Ok(()), ..) => Failure::Sql(SqlError::new("a tried write was made")).into(),
        }
    }

    /// What a write of one resource would take away from these tables.
    pub fn effect(&self, request: &Request<'_>) -> Effect {
        self.noted.set(None);
        let response = self.shadow(&Request { guard: Guard::default(), ..*request });
        match self.noted.take() {
            Some(removal) => Effect::Removes(removal),
            None if response.status < 400 => Effect::RemovesNothing,
            None => Effect::Unknown,
        }
    }
}
