//! The border to an origin: what of its answers reaches a caller. JSON objects do, under a JSON type, without resources
//! whose ids no path can carry. Anything else, a page of a proxy's above all, becomes an error of the gateway's own.

use crate::http::SCIM_JSON;
use crate::origin::Answer;
use scim_edge_scim::error::Error;
use scim_edge_scim::identifier::is_path_segment;
use serde_json::{Map, Value};

/// The origin's message, none where its answer has no body.
pub(crate) fn admit(answered: &Answer) -> Result<Option<Value>, Error> {
    if answered.body.is_empty() {
        return Ok(None);
    }
    let Ok(mut message) = serde_json::from_slice::<Map<String, Value>>(&answered.body) else {
        return Err(stranger(answered.status));
    };
    let is_good = |one: &Value| one.get("id").and_then(Value::as_str).is_none_or(is_path_segment);
    if let Some(Value::Array(resources)) = message.get_mut("Resources") {
        let before = resources.len();
        resources.retain(is_good);
        let left = resources.len();
        if left != before {
            message.insert("itemsPerPage".into(), left.into());
        }
    }
    let message = Value::Object(message);
    if !is_good(&message) {
        return Err(Error::status(502, "The origin answered with an id that no path can carry"));
    }
    Ok(Some(message))
}

/// The error in the place of an answer that is not SCIM: of the same class where the origin itself has refused. What
/// stands before an origin that is away says that nothing is there, too.
fn stranger(status: u16) -> Error {
    match status {
        400..500 if !matches!(status, 404 | 410) => Error::status(
            status,
            format!("The origin refused this with {status}, in an answer that is not SCIM"),
        ),
        _ => Error::status(502, format!("The origin answered with {status}, and not in SCIM")),
    }
}

/// The media type that an answer's message is sent on with: the origin's own where it is one of JSON.
pub(crate) fn content_type(answered: &Answer) -> &str {
    let named =
        answered.headers.iter().find(|(name, _)| *name == "content-type").map(|(_, value)| value.as_str());
    let is_json = |text: &&str| {
        let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        media_type == "application/json"
            || media_type.strip_prefix("application/").is_some_and(|rest| rest.ends_with("+json"))
    };
    named.filter(is_json).unwrap_or(SCIM_JSON)
}
