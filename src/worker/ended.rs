//! The end of a Directory object, by the order of its Account object: sealed, with all that it holds, or erased. It
//! refuses calls of isolates that do not know yet.

use crate::deletion::{ERASE, Order};
use crate::directory::{Directory, internal};
use crate::http::{Request, Response, answer};
use crate::near::name;
use scim_edge_account::published::Published;
use scim_edge_directory::erasure::End;
use worker::Result;

/// How long the directory remembers that it was erased, in milliseconds: longer than a change takes to be in
/// force everywhere.
const MARK_MS: i64 = 300_000;

impl Directory {
    /// Empties the directory and its copies.
    pub(crate) async fn erase(&self, request: &Request) -> Result<Response> {
        let order = Order::read(request.body()).await?;
        self.begin_end(&order).await?;
        self.store()?.erase(order.version).map_err(internal)?;
        self.forget_configuration();
        self.keep_authority().map_err(internal)?;
        self.wake_in(MARK_MS).await?;
        answer(200, &[], None)
    }

    /// Seals the directory. Its copies are erased: they can be made again.
    pub(crate) async fn seal(&self, request: &Request) -> Result<Response> {
        let order = Order::read(request.body()).await?;
        self.begin_end(&order).await?;
        self.store()?.seal(order.version).map_err(internal)?;
        self.forget_configuration();
        answer(200, &[], None)
    }

    /// Opens a sealed directory; passes over the origin go on.
    pub(crate) async fn unseal(&self, request: &Request) -> Result<Response> {
        let _order = Order::read(request.body()).await?;
        if self.store()?.unseal().map_err(internal)? {
            self.wake_in(0).await?;
        }
        answer(200, &[], None)
    }

    /// Refuses requests that were admitted before, also those whose body is still being read, and ends the copies.
    async fn begin_end(&self, order: &Order) -> Result<()> {
        let tombstone = Published::tombstone(&order.account, order.version);
        self.adopt_authority(tombstone).map_err(internal)?;
        self.withdraw(order).await
    }

    /// Ends all leases, and the copies.
    async fn withdraw(&self, order: &Order) -> Result<()> {
        if self.memory.is_erased.take() {
            self.store()?.reopen().map_err(internal)?;
        }
        self.memory.lent.end();
        let _recalled = self.recall().await;
        // Before the list of them is gone: what fails here is done when the order is repeated.
        let mut told: Vec<String> = Vec::new();
        let is_new = |told: &[String], region: &String| !told.contains(region);
        while let Some(region) =
            self.store()?.copies().map_err(internal)?.into_iter().find(|region| is_new(&told, region))
        {
            order.send(self.environment.directories()?, &name(&order.account, &region), ERASE).await?;
            told.push(region);
        }
        Ok(())
    }

    fn forget_configuration(&self) {
        *self.memory.configuration.borrow_mut() = None;
        *self.memory.circuit.borrow_mut() = None;
        self.memory.switching.forget();
    }

    /// Whether a call is of an account that was deleted.
    pub(crate) async fn is_deleted(&self, version: u64) -> Result<bool> {
        if self.memory.configuration.borrow().is_some() {
            return Ok(false);
        }
        let store = self.store()?;
        if self.memory.is_erased.take() {
            store.reopen().map_err(internal)?;
        }
        match store.end().map_err(internal)? {
            Some(End::Sealed(_)) => Ok(true),
            Some(End::Erased(deleted)) if version <= deleted => Ok(true),
            Some(End::Erased(deleted)) => {
                // It was made anew; what was to be given back is wanted again.
                // A request or pass that was under way at the deletion may have left something.
                store.erase(deleted).map_err(internal)?;
                self.keep_authority().map_err(internal)?;
                store.revive().map_err(internal)?;
                self.state.storage().delete_alarm().await?;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    /// Whether the directory is sealed: it lends nothing, and asks the origin for nothing.
    pub(crate) fn is_sealed(&self) -> Result<bool> {
        if self.memory.configuration.borrow().is_some() || self.memory.is_erased.get() {
            return Ok(false);
        }
        Ok(matches!(self.store()?.end().map_err(internal)?, Some(End::Sealed(_))))
    }

    /// Gives back what is left of a deleted account's storage; whether there was one.
    pub(crate) async fn give_back(&self) -> Result<bool> {
        let store = self.store()?;
        if self.memory.is_erased.get() {
            return Ok(true);
        }
        let is_deleted = matches!(store.end().map_err(internal)?, Some(End::Erased(_)));
        if !is_deleted || store.configuration().map_err(internal)?.is_some() {
            return Ok(false);
        }
        self.memory.is_erased.set(true);
        self.state.storage().delete_all().await?;
        Ok(true)
    }
}
