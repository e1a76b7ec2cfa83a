//! The heap of a test's thread, counted: the bytes that a request takes at most and in all, however long the
//! machine takes for it.
#![allow(unsafe_code, dead_code, missing_docs, unreachable_pub, clippy::arithmetic_side_effects)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
    static TAKEN: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

fn note(bytes: i64) {
    // A thread that ends has none of these any longer.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        PEAK.with(|peak| peak.set(peak.get().max(held.get())));
        TAKEN.with(|taken| taken.set(taken.get() + bytes.max(0)));
    });
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

// SAFETY: every call is the system's allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(size(layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-size(layout.size()));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

/// Bytes that something took at most beside what was there, and in all.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    pub peak: i64,
    pub taken: i64,
}

pub fn spent<T>(by: impl FnOnce() -> T) -> (T, Spent) {
    let before = HELD.get();
    PEAK.set(before);
    TAKEN.set(0);
    let value = by();
    (value, Spent { peak: PEAK.get() - before, taken: TAKEN.get() })
}
