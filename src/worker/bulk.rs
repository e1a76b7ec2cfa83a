//! Bulk requests: operations one after another, each a write of its own.
//!
//! In front of an origin they are unrolled, so that nothing is asked of it but single resources, whatever it makes of
//! bulk itself. Without one they are done in turns: between two of them other requests are answered. INVARIANT: each
//! operation is all in the tables or not at all; a bulk request is not.

use crate::directory::{Directory, Incoming, dialect, let_others_in, respond};
use crate::http::{Response, scim_error};
use crate::origin::{Origin, unroutable};
use crate::replica::read_body;
use scim_edge_account::published::DirectorySettings;
use scim_edge_directory::bulk::{Bulk, Part, interrupted, not_permitted};
use scim_edge_directory::message::{Changed, Response as ScimResponse};
use scim_edge_policy::operation::needed;
use scim_edge_scim::budget::Budget;
use worker::Result;

/// A turn ends after so many operations, or so much of the budget: some 20 ms.
const TURN_OPERATIONS: usize = 20;
const TURN_WORK: usize = 4 << 20;

impl Directory {
    /// A bulk request; without an origin, from the tables.
    pub(crate) async fn bulk(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        origin: Option<&Origin>,
    ) -> Result<Response> {
        let body = match read_body(incoming) {
            Ok(body) => body,
            Err(error) => return scim_error(&error, &[]),
        };
        let schemas = self.store()?.schemas();
        let mut bulk = match Bulk::parse(&body, dialect(settings), &incoming.call.base, schemas) {
            Ok(bulk) => bulk,
            Err(error) => return scim_error(&error, &[]),
        };
        drop(body);
        let budget = Budget::of_bulk();
        let (mut operations, mut spent) = (0_usize, 0_usize);
        while let Some(part) = bulk.next_part() {
            let permitted = incoming.call.permissions.has_all(needed(&part.method, part.kind));
            let response = match origin {
                _ if !permitted => not_permitted(),
                Some(origin) => match unroutable(&part.endpoint) {
                    Some(error) => plain(scim_error(&error, &[])?),
                    None => self.forwarded(&of_part(incoming, &part), settings, origin).await?,
                },
                None if !self.is_record()? => interrupted(),
                None => self.local_part(&of_part(incoming, &part), settings, &budget, !part.is_removal())?,
            };
            bulk.record(&part, &response);
            operations = operations.saturating_add(1);
            let is_long = operations >= TURN_OPERATIONS || budget.spent().saturating_sub(spent) >= TURN_WORK;
            if origin.is_none() && is_long {
                (operations, spent) = (0, budget.spent());
                let_others_in().await?;
            }
        }
        let status = if origin.is_some() { "scim-edge; fwd=method" } else { "scim-edge; hit" };
        let mut response = bulk.into_response();
        incoming.changed.replace(std::mem::take(&mut response.changed));
        respond(response, &[("cache-status", status)])
    }

    /// An operation in front of an origin.
    async fn forwarded(
        &self,
        one: &Incoming,
        settings: &DirectorySettings,
        origin: &Origin,
    ) -> Result<ScimResponse> {
        let names = self.names_changed(one, settings)?;
        let response = plain(self.write(one, settings, origin).await?);
        let names = names.filter(|_| response.status < 400);
        Ok(ScimResponse { changed: Changed::of_request(names), ..response })
    }

    /// Whether the tables are still those of a system of record: between two turns the settings can have changed, or
    /// the account can have been deleted.
    fn is_record(&self) -> Result<bool> {
        let has_origin = |known: &crate::directory::Configuration| known.settings.origin_url.is_some();
        let is_copy = self.memory.configuration.borrow().as_ref().is_some_and(has_origin);
        Ok(!is_copy && !self.memory.is_erased.get() && !self.is_sealed()?)
    }
}

/// An operation as a request of its own.
fn of_part(incoming: &Incoming, part: &Part) -> Incoming {
    let (endpoint, if_match) = (part.endpoint.clone(), part.if_match.clone());
    Incoming {
        request_id: incoming.request_id.clone(),
        origin_ms: incoming.origin_ms.clone(),
        ..Incoming::part(&incoming.call, &part.method, endpoint, if_match, part.body.clone())
    }
}

/// An answer as the directory would give it.
fn plain(response: Response) -> ScimResponse {
    let header = |name: &'static str| Some((name, response.header(name)?.to_owned()));
    let headers = ["etag", "location"].into_iter().filter_map(header).collect();
    let body = response.text().filter(|body| !body.is_empty()).map(str::to_owned);
    ScimResponse { status: response.status, headers, body, ..ScimResponse::default() }
}
