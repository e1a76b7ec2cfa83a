//! What the gateway adds to an origin that lacks it: each can be turned off.

use serde::{Deserialize, Serialize};

/// A feature of SCIM that the gateway can add from its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Supplement {
    /// Bulk requests, unrolled (RFC 7644 §3.7).
    Bulk,
    /// PATCH as GET and PUT (RFC 7644 §3.5.2).
    Patch,
    /// Versions and preconditions (RFC 7644 §3.14).
    Etag,
    /// Sorted lists (RFC 7644 §3.4.2.3).
    Sort,
    /// Filtered lists (RFC 7644 §3.4.2.2).
    Filter,
    /// Paging by cursor (RFC 9865).
    Cursor,
    /// `attributes` and `excludedAttributes` (RFC 7644 §3.9).
    Projection,
    /// RFC 7644's form of what identity providers send in their own.
    Dialect,
}

impl Supplement {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Bulk,
        Self::Patch,
        Self::Etag,
        Self::Sort,
        Self::Filter,
        Self::Cursor,
        Self::Projection,
        Self::Dialect,
    ];

    /// Its name in the setting.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Patch => "patch",
            Self::Etag => "etag",
            Self::Sort => "sort",
            Self::Filter => "filter",
            Self::Cursor => "cursor",
            Self::Projection => "projection",
            Self::Dialect => "dialect",
        }
    }

    /// The supplement of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// What documents say that were published before there was a choice; readers of earlier versions do not know
    /// [`Self::Dialect`].
    pub(crate) fn all() -> Vec<Self> {
        Self::ALL.into_iter().filter(|one| *one != Self::Dialect).collect()
    }
}
