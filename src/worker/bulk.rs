//! Bulk requests in front of an origin: unrolled in order, so that each operation is a write of its own
//! and asks nothing of the origin but single resources.

use crate::directory::{Directory, Incoming, dialect, respond};
use crate::http::{Headers, Response, SCIM_JSON, scim_error};
use crate::origin::Origin;
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
            let response = if permitted {
                let one = Incoming {
                    call: incoming.call.clone(),
                    method: part.method.clone(),
                    endpoint: part.endpoint.clone(),
                    query: String::new(),
                    headers: Headers::of(vec![
                        ("content-type", Some(SCIM_JSON.to_owned())),
                        ("if-match", part.if_match.clone()),
                    ]),
                    body: part.body.clone(),
                    request_id: incoming.request_id.clone(),
                    took_ms: Vec::new(),
                    origin_ms: incoming.origin_ms.clone(),
                };
                plain(self.write(&one, settings, origin).await?)
            } else {
                not_permitted()
            };
            bulk.record(&part, &response);
        }
        respond(bulk.into_response(), &[("cache-status", "scim-edge; fwd=method")])
    }
}

/// An answer as the directory would give it.
fn plain(response: Response) -> ScimResponse {
    let header = |name: &'static str| Some((name, response.header(name)?.to_owned()));
    let headers = ["etag", "location"].into_iter().filter_map(header).collect();
    let body = response.text().filter(|body| !body.is_empty()).map(str::to_owned);
    ScimResponse { status: response.status, headers, body, ..ScimResponse::default() }
}
