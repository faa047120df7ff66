//! How much does one input make the program hold?
//!
//! A lying length is found by what is allocated for it. The global allocator counts what this thread holds and how often
//! it asked; everything is passed on to the system's, so AddressSanitizer sees it all the same.
#![allow(
    unsafe_code,
    reason = "a global allocator can be written in no other way; it only counts and passes on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// The most bytes that `work` held at a time on this thread, above what was held before.
pub fn peak(work: impl FnOnce()) -> usize {
    let before = HELD.with(Cell::get);
    PEAK.with(|peak| peak.set(before));
    work();
    usize::try_from(PEAK.with(Cell::get) - before).unwrap_or(0)
}

/// How often this thread asked for memory so far.
#[must_use]
pub fn calls() -> u64 {
    CALLS.with(Cell::get)
}

fn note(more: isize) {
    CALLS.with(|calls| calls.set(calls.get() + u64::from(more > 0)));
    let held = HELD.with(Cell::get).wrapping_add(more);
    HELD.with(|cell| cell.set(held));
    PEAK.with(|peak| peak.set(peak.get().max(held)));
}

/// No layout is longer than `isize::MAX`.
fn length(layout: &Layout) -> isize {
    layout.size() as isize
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract; the counters are
// thread-local cells without destructors, so touching them allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(length(&layout));
        // SAFETY: the caller's promise about `layout` is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(length(&layout));
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-length(&layout));
        // SAFETY: `pointer` came from `alloc` above, so from `System`, with the same `layout`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(-length(&layout));
        note(size as isize);
        // SAFETY: as for `dealloc`; `size` is the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_held_and_given_back_counts_and_what_was_there_before_does_not() {
        let before = vec![0_u8; 1 << 20];
        let held = peak(|| drop(std::hint::black_box(vec![0_u8; 5_000])));
        assert!((5_000..6_000).contains(&held), "{held}");
        let asked = calls();
        drop(std::hint::black_box(Box::new(1)));
        assert_eq!(calls(), asked + 1);
        drop(before);
    }
}
