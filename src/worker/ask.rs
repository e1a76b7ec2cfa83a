//! What a read asks of a server beyond resources: an origin may lack it.

use crate::directory::Incoming;
use scim_edge_account::supplement::Supplement;
use scim_edge_directory::capabilities::Capabilities;
use scim_edge_directory::is_own_cursor;
use scim_edge_scim::query::Query;
use serde_json::Value;

/// The features that a read needs, by the names of its parameters.
const PARAMETERS: [(&str, Supplement); 5] = [
    ("filter", Supplement::Filter),
    ("sortby", Supplement::Sort),
    ("cursor", Supplement::Cursor),
    ("attributes", Supplement::Projection),
    ("excludedattributes", Supplement::Projection),
];

/// What a read asks for, in its query or its SearchRequest. What cannot be read asks for nothing: it is
/// refused by whoever answers.
pub(crate) fn asked(incoming: &Incoming) -> Vec<Supplement> {
    let names: Vec<String> = match (Query::parse(&incoming.query), incoming.body.is_empty()) {
        (Ok(query), true) => query
            .iter()
            // An empty cursor asks for the first page of many (RFC 9865 §2.1).
            .filter(|(name, value)| !value.is_empty() || name.eq_ignore_ascii_case("cursor"))
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect(),
        (_, false) => match serde_json::from_slice(&incoming.body) {
            Ok(Value::Object(body)) => body
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, _)| name.to_ascii_lowercase())
                .collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    PARAMETERS
        .into_iter()
        .filter(|(name, _)| names.iter().any(|known| known == name))
        .map(|(_, one)| one)
        .collect()
}

/// Whether a read goes on behind a cursor of the gateway's own.
pub(crate) fn has_own_cursor(incoming: &Incoming) -> bool {
    if incoming.body.is_empty() {
        let query = Query::parse(&incoming.query);
        return query.is_ok_and(|query| query.get("cursor").is_some_and(is_own_cursor));
    }
    let body = serde_json::from_slice::<Value>(&incoming.body).unwrap_or_default();
    let mut members = body.as_object().into_iter().flatten();
    members
        .any(|(name, value)| name.eq_ignore_ascii_case("cursor") && value.as_str().is_some_and(is_own_cursor))
}

/// Whether an origin says that it lacks a feature. Projection is not announced (RFC 7643 §5); cursors
/// that are not announced are lacking.
pub(crate) fn lacks(capabilities: Option<&Capabilities>, feature: Supplement) -> bool {
    match feature {
        Supplement::Patch => capabilities.is_some_and(|origin| !origin.patch),
        Supplement::Etag => capabilities.is_some_and(|origin| !origin.etag),
        Supplement::Filter => capabilities.is_some_and(|origin| !origin.filter),
        Supplement::Sort => capabilities.is_some_and(|origin| !origin.sort),
        Supplement::Cursor => capabilities.is_none_or(|origin| !origin.cursor),
        Supplement::Bulk | Supplement::Projection | Supplement::Dialect => false,
    }
}
