//! Room for what is long and waits: bodies of requests and answers of origins are held in an isolate's memory, which all of
//! its accounts share, while their other half is on its way. So they take their length out of one bounded amount, and
//! whatever finds none left waits, or is refused (503): never the small requests of others. See `docs/limits.md`.
//!
//! Each counts once: it is parsed, changed and written only while it is worked on, one request at a time, and dropped or kept
//! as text before anything is waited for.
//!
//! A request whose client has gone may never be run again, nor dropped: what it holds is given up after [`HELD_MS`].

use crate::environment::now_ms;
use std::cell::RefCell;

/// What all of them may hold together, in bytes: a body and an origin's answer of full length, and some more.
const ALL: usize = 17 << 20;

/// What the oldest of them that still grows can come to, in bytes: an answer of an origin's. Else many that have some of it
/// could all wait for each other.
const ONE: usize = 9 << 20;

/// What each may hold without being counted, in bytes: nearly every body and answer is shorter.
pub(crate) const FREE: usize = 64 << 10;

/// How long one counts, in milliseconds.
const HELD_MS: i64 = 120_000;

struct Held {
    number: u64,
    bytes: usize,
    /// Whether there is more of it to come.
    grows: bool,
    until: i64,
}

#[derive(Default)]
struct Book {
    last: u64,
    held: Vec<Held>,
}

thread_local! {
    static BOOK: RefCell<Book> = RefCell::default();
}

impl Book {
    fn set(&mut self, number: u64, bytes: usize, all: usize, now_ms: i64) -> bool {
        self.held.retain(|held| held.until > now_ms);
        let others = self.held.iter().filter(|held| held.number != number);
        let growing = others.clone().filter(|held| held.grows);
        let oldest = growing.min_by_key(|held| held.number).filter(|held| held.number < number);
        let reserved = oldest.map_or(0, |held| ONE.saturating_sub(held.bytes));
        if others.map(|held| held.bytes).fold(bytes, usize::saturating_add).saturating_add(reserved) > all {
            return false;
        }
        let until = now_ms.saturating_add(HELD_MS);
        match self.held.iter_mut().find(|held| held.number == number) {
            Some(held) => (held.bytes, held.until) = (bytes, until),
            None => self.held.push(Held { number, bytes, grows: true, until }),
        }
        true
    }
}

/// What one body holds, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    number: u64,
    bytes: usize,
}

impl Room {
    /// None yet.
    pub(crate) fn none() -> Self {
        let number = BOOK.with_borrow_mut(|book| {
            book.last = book.last.wrapping_add(1);
            book.last
        });
        Self { number, bytes: 0 }
    }

    /// Whether there is room for so many bytes; it is taken then.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        if bytes <= FREE.max(self.bytes) {
            return true;
        }
        // In large steps: each looks at all that is held.
        let wanted = bytes.saturating_add(FREE);
        let is_there = BOOK.with_borrow_mut(|book| book.set(self.number, wanted, ALL, now_ms()));
        if is_there {
            self.bytes = wanted;
        }
        is_there
    }

    /// All of it is there: what was taken for more is given back.
    pub(crate) fn complete(&mut self, bytes: usize) {
        BOOK.with_borrow_mut(|book| {
            if let Some(held) = book.held.iter_mut().find(|held| held.number == self.number) {
                (held.bytes, held.grows) = (held.bytes.min(bytes), false);
            }
        });
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.bytes > 0 {
            BOOK.with_borrow_mut(|book| book.held.retain(|held| held.number != self.number));
        }
    }
}
