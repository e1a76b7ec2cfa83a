//! What an origin says it can do (`/ServiceProviderConfig`, RFC 7643 §5).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An origin's features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// PATCH.
    pub patch: bool,
    /// Versions and preconditions.
    pub etag: bool,
    /// Filters.
    pub filter: bool,
    /// Sorting.
    pub sort: bool,
    /// Paging by cursor (RFC 9865).
    pub cursor: bool,
    /// Paging by index.
    pub index: bool,
}

impl Capabilities {
    /// Reads an origin's configuration. What it does not mention, it is taken to have: only what it says
    /// it lacks is worked around. Cursors it has to announce.
    pub fn of(configuration: &Value) -> Option<Self> {
        configuration.as_object()?;
        let supported = |name: &str| {
            let feature = configuration.get(name).and_then(|feature| feature.get("supported"));
            feature.and_then(Value::as_bool).unwrap_or(true)
        };
        let pages = |method: &str| configuration.get("pagination")?.get(method)?.as_bool();
        Some(Self {
            patch: supported("patch"),
            etag: supported("etag"),
            filter: supported("filter"),
            sort: supported("sort"),
            cursor: pages("cursor").unwrap_or(false),
            index: pages("index").unwrap_or(true),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_said_to_be_lacking_is() {
        let found = Capabilities::of(&json!({ "patch": { "supported": false }, "sort": {} })).unwrap();
        assert!(!found.patch && found.sort && found.etag && found.index && !found.cursor);
        let paged = json!({ "pagination": { "cursor": true, "index": false } });
        let found = Capabilities::of(&paged).unwrap();
        assert!(found.cursor && !found.index && found.patch);
        assert_eq!(Capabilities::of(&json!([])), None);
    }
}
