//! Positions: where the reading of an origin's lists is, page by page, and how it goes on when resources move
//! between pages.
//!
//! A page begins with the last resource of the one before. If it does not, resources came or went meanwhile: the page
//! has that resource further behind, or one that begins somewhat earlier has it, or one of those before it. So nothing
//! that stays at the origin falls between two pages, and each removal costs one page more. The list ends with a page
//! that has nothing new; what the origin counts is a hint that is held against what was read.

use scim_edge_scim::endpoint::Kind;
use serde::{Deserialize, Serialize};

/// A place in the origin's lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Position {
    /// `User` or `Group`.
    pub kind: String,
    /// The 1-based index of the next resource.
    pub start: i64,
    /// Where an origin that pages by cursor goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The resource before it, which the next page has to begin with: else something moved between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// The resources before that one, which may be gone itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<String>,
    /// How many resources earlier the next page begins, in search of those; later, if it is negative.
    #[serde(skip_serializing_if = "is_none")]
    pub back: i64,
    /// The longest page so far.
    #[serde(skip_serializing_if = "is_none")]
    pub width: i64,
    /// How many resources the origin counts, as it said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// Whether the resources before were not found: the next page may be behind the end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_lost: bool,
    /// How much has moved between pages lately.
    #[serde(skip_serializing_if = "is_zero")]
    pub unrest: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_none(number: &i64) -> bool {
    *number == 0
}

/// A page of the origin's, as far as it says where to go on.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The ids on it; empty for a resource without one.
    pub ids: Vec<String>,
    /// How many there are in all, if the origin says so.
    pub total: Option<i64>,
    /// Where an origin that pages by cursor goes on.
    pub next: Option<String>,
}

/// Where a page leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the next page, or back to one that has to be read again.
    Page,
    /// It was the last.
    End,
    /// Nowhere, for now: too much moves. The position is where to go on later.
    Unrest,
}

/// How many resources are read again if none of those before a page can be found.
const STEP_BACK: i64 = 1_000;

/// How many resources are remembered of a page.
const RECENT: usize = 10;

/// A step back counts as much as so many pages without one; when there is too much of it, the origin is asked
/// again later.
const UNREST_OF_A_STEP_BACK: u32 = 10;
const UNREST_MOST: u32 = 30;

impl Position {
    /// The first resource of a kind.
    pub fn first(kind: Kind) -> Self {
        Self { kind: kind.name().to_owned(), start: 1, ..Self::default() }
    }

    /// The kind of the resources.
    pub fn of(&self) -> Kind {
        if self.kind == Kind::User.name() { Kind::User } else { Kind::Group }
    }

    /// The index to ask for.
    pub fn index(&self) -> i64 {
        let overlap = if self.overlaps() { self.back.saturating_add(1) } else { 0 };
        self.start.saturating_sub(overlap).max(1)
    }

    /// How many resources the list has had so far.
    pub fn read(&self) -> i64 {
        self.start.saturating_sub(1)
    }

    /// Whether the origin has shown as many resources as it counts; `known` are in the copy.
    pub fn has_all(&self, known: i64) -> bool {
        // What came before this place while it was read is missing; the next pass finds it.
        self.total.is_none_or(|total| total <= known.max(self.read()))
    }

    /// Whether the next page begins with the last resource of the one before. A page of one would be followed by
    /// nothing but itself.
    fn overlaps(&self) -> bool {
        self.last.is_some() && self.width != 1
    }

    /// Moves behind a page.
    pub fn advance(&mut self, page: Place, by_cursor: bool) -> Step {
        self.total = page.total.or(self.total);
        if by_cursor {
            return self.follow(&page);
        }
        let length = i64::try_from(page.ids.len()).unwrap_or(i64::MAX);
        let known = page.ids.iter().rposition(|id| self.has_read(id));
        if known.is_none() && self.overlaps() {
            return self.seek(length);
        }
        if length == 0 {
            return if self.is_lost { self.step_back() } else { Step::End };
        }
        let fresh = page.ids.get(known.map_or(0, |at| at.saturating_add(1))..).unwrap_or_default();
        let (has_fresh, was_seeking) = (!fresh.is_empty(), self.back > 0);
        // It repeats what was read. If the origin counts more, so much came before this place, or the origin always
        // shows the same.
        if !has_fresh && !was_seeking && length > 1 && !self.has_all(0) {
            self.back = length.saturating_sub(1).saturating_neg();
            return self.unsettle();
        }
        self.start = self.index().saturating_add(length);
        let is_short = length < self.width;
        self.width = self.width.max(length);
        self.remember(page.ids);
        (self.back, self.is_lost) = (0, false);
        if has_fresh || (was_seeking && !(is_short && self.has_all(0))) {
            self.unrest = self.unrest.saturating_sub(1);
            return Step::Page;
        }
        Step::End
    }

    /// Moves on from a page that the origin refuses: some do so behind the end. None where it is a failure.
    pub fn refused(&mut self, by_cursor: bool) -> Option<Step> {
        let may_be_behind_the_end = self.overlaps() || self.is_lost || self.has_all(0);
        if by_cursor || self.index() <= 1 || !may_be_behind_the_end {
            return None;
        }
        Some(self.advance(Place::default(), false))
    }

    fn follow(&mut self, page: &Place) -> Step {
        let count = i64::try_from(page.ids.len()).unwrap_or(i64::MAX);
        self.start = self.start.saturating_add(count);
        let repeats = page.next.is_some() && page.next == self.cursor;
        self.cursor.clone_from(&page.next);
        if count == 0 || repeats || self.cursor.is_none() { Step::End } else { Step::Page }
    }

    fn has_read(&self, id: &String) -> bool {
        !id.is_empty() && (self.last.as_ref() == Some(id) || self.recent.contains(id))
    }

    fn remember(&mut self, mut ids: Vec<String>) {
        self.last = ids.pop().filter(|id| !id.is_empty());
        self.recent = ids.split_off(ids.len().saturating_sub(RECENT));
    }

    /// Looks for what was read last on a page that begins earlier.
    fn seek(&mut self, length: i64) -> Step {
        if self.back > 0 {
            return self.step_back();
        }
        self.back = self.width.max(length).div_euclid(2).max(1);
        Step::Page
    }

    /// Reads again what was read last: it cannot be told where that is by now.
    fn step_back(&mut self) -> Step {
        let (was_lost, was_first) = (self.is_lost, self.start <= 1);
        let mut start = self.start.saturating_sub(STEP_BACK);
        if was_lost {
            // An origin may have shrunk to a fraction.
            start = start.min(self.start.div_euclid(2));
        }
        let (unrest, width, total) = (self.unrest, self.width, self.total);
        let start = start.max(1);
        *self = Self { start, unrest, width, total, is_lost: true, ..Self::first(self.of()) };
        match (was_lost, was_first) {
            (true, true) => Step::End,
            (true, false) => Step::Page,
            (false, _) => self.unsettle(),
        }
    }

    fn unsettle(&mut self) -> Step {
        self.unrest = self.unrest.saturating_add(UNREST_OF_A_STEP_BACK);
        if self.unrest <= UNREST_MOST {
            return Step::Page;
        }
        self.unrest = 0;
        Step::Unrest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An origin's list, which shows pages of at most `width`.
    struct List {
        ids: Vec<u32>,
        width: usize,
        next: u32,
    }

    impl List {
        fn new(count: u32, width: usize) -> Self {
            Self { ids: (0..count).collect(), width, next: count }
        }

        fn page(&self, index: i64, total: Option<i64>) -> Place {
            let before = usize::try_from(index.saturating_sub(1)).unwrap();
            let ids = self.ids.iter().skip(before).take(self.width).map(u32::to_string).collect();
            Place { ids, total, next: None }
        }

        fn total(&self) -> Option<i64> {
            i64::try_from(self.ids.len()).ok()
        }
    }

    /// Reads a list to its end while `meanwhile` changes it after each page. The pages it took, and the ids read.
    fn read(list: &mut List, mut meanwhile: impl FnMut(&mut List, usize)) -> (usize, Vec<u32>, Position) {
        let mut position = Position::first(Kind::User);
        let mut seen = Vec::new();
        for pages in 1..20_000 {
            let page = list.page(position.index(), list.total());
            seen.extend(page.ids.iter().map(|id| id.parse::<u32>().unwrap()));
            match position.advance(page, false) {
                Step::Page => {}
                Step::End => return (pages, seen, position),
                Step::Unrest => panic!("unrest after {pages} pages"),
            }
            meanwhile(list, pages);
        }
        panic!("the list never ends: {position:?}");
    }

    /// Numbers that look random.
    fn random(seed: &mut u64) -> usize {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*seed >> 33).unwrap()
    }

    #[test]
    fn a_list_at_rest_is_read_once() {
        for (count, width, expected) in
            [(0, 100, 1), (1, 100, 2), (99, 100, 2), (1_000, 100, 12), (1_000, 7, 168), (5, 1, 6)]
        {
            let (pages, seen, position) = read(&mut List::new(count, width), |_, _| {});
            let mut once = seen.clone();
            once.dedup();
            assert_eq!(once, (0..count).collect::<Vec<_>>(), "{count} in pages of {width}");
            assert_eq!((pages, position.read()), (expected, i64::from(count)), "{count} in pages of {width}");
            assert!(position.has_all(i64::from(count)));
        }
    }

    #[test]
    fn all_that_stays_is_read_while_others_come_and_go_with_every_page() {
        for width in [7, 50, 100] {
            for seed in 0..20_u64 {
                let mut list = List::new(3_000, width);
                let mut state = seed;
                let (pages, seen, _) = read(&mut list, |list, _| {
                    for _ in 0..2 {
                        let gone = random(&mut state) % list.ids.len();
                        list.ids.remove(gone);
                        let at = random(&mut state) % (list.ids.len() + 1);
                        list.ids.insert(at, list.next);
                        list.next += 1;
                    }
                });
                let seen: std::collections::HashSet<u32> = seen.into_iter().collect();
                let missed: Vec<&u32> =
                    list.ids.iter().filter(|id| **id < 3_000 && !seen.contains(id)).collect();
                assert!(missed.is_empty(), "{missed:?} in pages of {width}, seed {seed}");
                assert!(pages <= 5 * (3_000 / width + 2), "{pages} pages of {width}, seed {seed}");
            }
        }
    }

    #[test]
    fn each_removal_costs_a_page_and_not_a_thousand_resources() {
        let (pages, ..) = read(&mut List::new(10_000, 100), |list, _| {
            list.ids.remove(0);
        });
        assert!(pages <= 420, "{pages}");
    }

    #[test]
    fn a_list_that_shrinks_to_a_fraction_ends() {
        for remain in [0, 1, 50, 1_500] {
            let (pages, seen, _) = read(&mut List::new(3_000, 100), |list, pages| {
                if pages == 25 {
                    list.ids.truncate(remain);
                }
            });
            assert!(pages < 80, "{pages}");
            assert!((0..u32::try_from(remain).unwrap()).all(|id| seen.contains(&id)));
        }
    }

    #[test]
    fn an_index_behind_the_end_that_is_refused_leads_back() {
        let mut list = List::new(3_000, 100);
        let mut position = Position::first(Kind::User);
        for pages in 1..100 {
            if pages == 25 {
                list.ids.truncate(50);
            }
            let is_behind = position.index() > 1 && position.index() > list.total().unwrap();
            let step = if is_behind {
                position.refused(false).expect("a place to go on")
            } else {
                position.advance(list.page(position.index(), list.total()), false)
            };
            if step == Step::End {
                return assert_eq!(position.read(), 50);
            }
            assert_eq!(step, Step::Page);
        }
        panic!("it never ends: {position:?}");
    }

    #[test]
    fn a_refusal_is_a_failure_at_the_first_resource_and_before_the_end() {
        assert_eq!(Position::first(Kind::User).refused(false), None);
        assert_eq!(Position::first(Kind::User).refused(true), None);
        // Pages of one, and more to come by the origin's own count.
        let mut position = Position::first(Kind::User);
        assert_eq!(
            position.advance(Place { ids: vec!["a".into()], total: Some(9), next: None }, false),
            Step::Page
        );
        assert_eq!(position.clone().refused(false), None);
        position.total = Some(1);
        assert_eq!(position.refused(false), Some(Step::End));
    }

    #[test]
    fn totals_are_no_more_than_a_hint() {
        for total in [Some(0), Some(-1), Some(50), None] {
            let list = List::new(330, 50);
            let mut position = Position::first(Kind::User);
            while position.advance(list.page(position.index(), total), false) == Step::Page {}
            assert_eq!(position.read(), 330, "{total:?}");
            assert!(position.has_all(330));
        }
        // An origin that counts more than it shows, and has not moved, has not shown all.
        let list = List::new(330, 50);
        let mut position = Position::first(Kind::User);
        while position.advance(list.page(position.index(), Some(331)), false) == Step::Page {}
        assert!(!position.has_all(330));
    }

    #[test]
    fn an_origin_that_always_shows_the_same_is_not_read_for_ever() {
        for (count, total, ends) in [(30, 30, Step::End), (1, 1, Step::End), (100, 330, Step::Unrest)] {
            let list = List::new(count, 100);
            let mut position = Position::first(Kind::User);
            let mut steps = 0;
            let last = loop {
                steps += 1;
                match position.advance(list.page(1, Some(total)), false) {
                    Step::Page => assert!(steps < 10),
                    other => break other,
                }
            };
            assert_eq!(last, ends, "{count} of {total}");
        }
    }

    #[test]
    fn a_list_in_another_order_with_every_page_rests_and_goes_on_elsewhere() {
        let mut position = Position::first(Kind::User);
        let mut next = 0;
        let mut page = || {
            next += 100;
            Place {
                ids: (next..next + 100).map(|id: u32| id.to_string()).collect(),
                total: Some(9_000),
                next: None,
            }
        };
        let mut steps = 0;
        while position.advance(page(), false) == Step::Page {
            steps += 1;
            assert!(steps < 100);
        }
        assert_eq!((position.unrest, position.last.is_none()), (0, true));
    }

    #[test]
    fn cursors_end_with_none_or_with_the_same_again() {
        let page = |ids: &[&str], next: Option<&str>| Place {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            total: None,
            next: next.map(str::to_owned),
        };
        let mut position = Position::first(Kind::User);
        assert_eq!(position.advance(page(&["a", "b"], Some("1")), true), Step::Page);
        assert_eq!(position.clone().advance(page(&["c"], None), true), Step::End);
        assert_eq!(position.clone().advance(page(&["c"], Some("1")), true), Step::End);
        assert_eq!(position.clone().advance(page(&[], Some("2")), true), Step::End);
        assert_eq!((position.read(), position.refused(true)), (2, None));
    }

    #[test]
    fn positions_of_older_versions_are_read() {
        let text = r#"{"kind":"Group","start":201,"last":"g200","unrest":20}"#;
        let position: Position = serde_json::from_str(text).unwrap();
        assert_eq!((position.of(), position.index(), position.unrest), (Kind::Group, 200, 20));
        let first = serde_json::to_string(&Position::first(Kind::User)).unwrap();
        assert_eq!(first, r#"{"kind":"User","start":1}"#);
    }
}
