//! Positions: where the reading of an origin's lists is, page by page, and how it goes on when resources move
//! between pages.

use scim_edge_scim::endpoint::Kind;
use serde::{Deserialize, Serialize};

/// A place in the origin's lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// `User` or `Group`.
    pub kind: String,
    /// The 1-based index of the next resource.
    pub start: i64,
    /// Where an origin that pages by cursor goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The resource before it, which the next page has to begin with: else something moved between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// How much has moved between pages lately.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unrest: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A page of the origin's, as far as it says where to go on.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// How many resources it has that the page before had not.
    pub count: i64,
    /// How many there are in all.
    pub total: i64,
    /// Where an origin that pages by cursor goes on.
    pub next: Option<String>,
    /// The id of its last resource.
    pub last: Option<String>,
    /// Whether resources have moved between this page and the one before: some may be in neither.
    pub has_moved: bool,
}

/// Where a page leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the next page, or back to one that has to be read again.
    Page,
    /// It was the last.
    End,
    /// Nowhere, for now: too much moves.
    Unrest,
}

/// How many resources are read again where some have moved between two pages.
const STEP_BACK: i64 = 1_000;

/// A move counts as much as so many pages without one; when there is too much of it, the origin is asked
/// again later.
const UNREST_OF_A_MOVE: u32 = 10;
const UNREST_MOST: u32 = 30;

impl Position {
    /// The first resource of a kind.
    pub fn first(kind: Kind) -> Self {
        Self { kind: kind.name().to_owned(), start: 1, cursor: None, last: None, unrest: 0 }
    }

    /// The kind of the resources.
    pub fn of(&self) -> Kind {
        if self.kind == Kind::User.name() { Kind::User } else { Kind::Group }
    }

    /// Moves behind a page.
    pub fn advance(&mut self, page: Place, by_cursor: bool) -> Step {
        if page.has_moved {
            let unrest = self.unrest.saturating_add(UNREST_OF_A_MOVE);
            let start = self.start.saturating_sub(STEP_BACK).max(1);
            *self = Self { start, unrest, ..Self::first(self.of()) };
            return if unrest > UNREST_MOST { Step::Unrest } else { Step::Page };
        }
        self.unrest = self.unrest.saturating_sub(1);
        self.start = self.start.saturating_add(page.count);
        (self.cursor, self.last) = (page.next, page.last);
        let is_end =
            page.count <= 0 || if by_cursor { self.cursor.is_none() } else { self.start > page.total };
        if is_end { Step::End } else { Step::Page }
    }
}
