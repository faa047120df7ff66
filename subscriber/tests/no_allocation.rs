//! After warm-up, nothing between a socket and the handler allocates.
#![allow(unsafe_code, reason = "a global allocator cannot be had without")]
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use support::{Broker, LegDouble, broker, builder, open};
use twinfeed_subscriber::{Delivered, Event, Handler};

/// The system's allocator; counts what a thread that asks for it allocates.
struct Counting;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is the system allocator's own; counting touches two thread-local cells that are
// initialised as constants and have no destructor, so it neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` or `realloc` above, which are the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as for `dealloc`; the caller's promise about `size` is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn count() {
    if WATCHED.get() {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Keeps sums only.
#[derive(Debug, Default)]
struct Sums {
    records: u64,
    bytes: usize,
    events: u64,
}

impl Handler for Sums {
    fn record(&mut self, record: &Delivered<'_>) {
        self.records += 1;
        self.bytes += record.body.len();
    }

    fn event(&mut self, _: &Event) {
        self.events += 1;
    }
}

#[test]
fn receive_to_deliver_allocates_nothing_after_warm_up() {
    let broker = Broker::start(broker::grant());
    let (mut poller, control) = open(&broker, builder(&broker), &mut support::Diary::default());
    let to = broker.change(|state| state.destinations.unwrap());
    let mut legs = [LegDouble::new(0, to[0]), LegDouble::new(1, to[1])];
    legs.iter_mut().for_each(LegDouble::begin);
    let mut sums = Sums::default();
    for watched in [false, true] {
        for round in 0..2_000_u64 {
            let first = u64::from(watched) * 20_000 + round * 10 + 1;
            // Duplicates on every number, holes that the other leg fills, heartbeats between.
            for (index, leg) in legs.iter_mut().enumerate() {
                leg.cut = round % 7 == 3 * index as u64;
                leg.send(first..first + 10);
                leg.cut = false;
                if round % 16 == 0 {
                    leg.beat_with(first + 10, Default::default(), 60_000_000);
                }
            }
            WATCHED.set(watched);
            while sums.records < first + 9 {
                poller.poll(64, &mut sums);
            }
            WATCHED.set(false);
        }
    }
    assert_eq!(sums.records, 40_000);
    assert_eq!(ALLOCATIONS.get(), 0);
    // The count can count: the same thread allocates once.
    WATCHED.set(true);
    drop(std::hint::black_box(Box::new(1_u8)));
    WATCHED.set(false);
    assert_eq!(ALLOCATIONS.get(), 1);
    control.stop().unwrap();
}
