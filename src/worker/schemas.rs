//! Extension schemas in front of an origin: one that the origin does not have is not registered, since the origin
//! would drop the values that it is sent.

use crate::directory::Directory;
use crate::http::{Response, scim_error};
use crate::origin::{Origin, path};
use crate::replica::{Sent, unanswered};
use scim_edge_directory::forward::{Announced, announces};
use scim_edge_scim::endpoint::Endpoint;
use scim_edge_scim::error::Error as ScimError;
use worker::Result;

impl Directory {
    /// The answer to the registration of a schema that the origin does not have; none if it has the schema, or
    /// says nothing of its schemas.
    pub(crate) async fn refuse_unknown_schema(&self, origin: &Origin, urn: &str) -> Result<Option<Response>> {
        for which in [Some(urn.to_owned()), None] {
            let Some(path) = path(&Endpoint::Schemas(which), "") else { return Ok(None) };
            let answered = match self.get(origin, path).await {
                Ok(answered) => answered,
                Err(why) => {
                    return Ok(match unanswered(why, true)? {
                        Sent::Refused(response) | Sent::Unknown(response) => Some(response),
                        Sent::Answered(_) => None,
                    });
                }
            };
            let body =
                (answered.status == 200).then(|| serde_json::from_slice(&answered.body).ok()).flatten();
            match body.map(|body| announces(&body, urn)) {
                Some(Announced::Yes) => return Ok(None),
                Some(Announced::No) => {
                    let sentence = "The origin has no such schema and would not keep its values: \
                        register it at the origin first";
                    return scim_error(&ScimError::status(409, sentence), &[]).map(Some);
                }
                Some(Announced::Unsaid) | None => {}
            }
        }
        Ok(None)
    }
}
