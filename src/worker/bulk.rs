//! Bulk requests in front of an origin: unrolled in order, so that each operation is a write of its own
//! and asks nothing of the origin but single resources.

use crate::directory::{Directory, Incoming, dialect, respond};
use crate::http::{Response, scim_error};
use crate::origin::{Origin, unroutable};
use crate::replica::read_body;
use scim_edge_account::published::DirectorySettings;
use scim_edge_directory::bulk::{Bulk, not_permitted};
use scim_edge_directory::message::Response as ScimResponse;
use scim_edge_policy::operation::needed;
use worker::Result;

impl Directory {
    /// A bulk request, unrolled: each operation is a write of its own, whatever the origin makes of bulk.
    pub(crate) async fn bulk(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        origin: &Origin,
    ) -> Result<Response> {
        let body = match read_body(incoming) {
            Ok(body) => body,
            Err(error) => return scim_error(&error, &[]),
        };
        let mut bulk = match Bulk::parse(&body, dialect(settings), &incoming.call.base) {
            Ok(bulk) => bulk,
            Err(error) => return scim_error(&error, &[]),
        };
        while let Some(part) = bulk.next_part() {
            let permitted = incoming.call.permissions.has_all(needed(&part.method, part.kind));
            let response = if let Some(error) = unroutable(&part.endpoint).filter(|_| permitted) {
                plain(scim_error(&error, &[])?)
            } else if permitted {
                let (endpoint, if_match) = (part.endpoint.clone(), part.if_match.clone());
                let one = Incoming {
                    request_id: incoming.request_id.clone(),
                    origin_ms: incoming.origin_ms.clone(),
                    ..Incoming::part(&incoming.call, &part.method, endpoint, if_match, part.body.clone())
                };
                let names = self.names_changed(&one, settings)?;
                let response = plain(self.write(&one, settings, origin).await?);
                let names = names.filter(|_| response.status < 400);
                ScimResponse { changed: vec![names], ..response }
            } else {
                not_permitted()
            };
            bulk.record(&part, &response);
        }
        let mut response = bulk.into_response();
        incoming.changed.replace(std::mem::take(&mut response.changed));
        respond(response, &[("cache-status", "scim-edge; fwd=method")])
    }
}

/// An answer as the directory would give it.
fn plain(response: Response) -> ScimResponse {
    let header = |name: &'static str| Some((name, response.header(name)?.to_owned()));
    let headers = ["etag", "location"].into_iter().filter_map(header).collect();
    let body = response.text().filter(|body| !body.is_empty()).map(str::to_owned);
    ScimResponse { status: response.status, headers, body, ..ScimResponse::default() }
}
