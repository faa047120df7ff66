//! Does the arbiter allocate once it is warm? Every allocation of this test's own thread is counted.
//!
//! Both policies take 100,000 records: in order on both legs, with holes that the other leg fills, holes that
//! nobody fills, a jump that waits to be believed, and a leg that falls silent and comes back. An unordered
//! source takes the same, in datagrams that overtake each other.
#![allow(clippy::unwrap_used, reason = "a datagram that does not fit fails")]
#![allow(
    unsafe_code,
    reason = "a global allocator can be written in no other way; it only counts and passes on"
)]

mod arbiter_kit;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use arbiter_kit::{R, SID, Sender, run};
use twinfeed_protocol::*;
use twinfeed_wire::*;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract; the counter
// is a thread-local cell without destructor, so touching it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, so from `System`, with the same `layout`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as for `dealloc`; `size` is the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Counts what it is told and keeps nothing.
#[derive(Default)]
struct Tally {
    records: u64,
    gaps: u64,
    recovered: u64,
    switches: u64,
}

impl Handler for Tally {
    fn record(&mut self, _: &Delivered<'_>) {
        self.records += 1;
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Gap { .. } => self.gaps += 1,
            Event::Recovered { .. } => self.recovered += 1,
            Event::Switched(_) => self.switches += 1,
            _ => {}
        }
    }
}

const RECORDS: u64 = 100_000;
const PER_DATAGRAM: u64 = 10;

/// One datagram on its way: when, on which leg, which bytes.
type Flight = (Duration, Leg, Vec<u8>);

/// Numbers `from..from + 10` as both legs bring them, leg 0 at `at`.
fn pair_of(from: u64, at: Duration, senders: &mut [Sender; 2], on: &mut Vec<Flight>) {
    let batch: Vec<R> = run(from..=from + PER_DATAGRAM - 1);
    let turn = from / PER_DATAGRAM;
    for sender in senders {
        let bytes = sender.records(&batch);
        // Leg 1 is three datagrams behind; leg 0 is silent for 100 ms in every 400.
        let late = Duration::from_micros(300 * sender.leg.index() as u64);
        let silent = turn % 4_000 >= 3_000 && sender.leg == Leg::Zero;
        let lost = silent
            || match turn % 50 {
                7 => sender.leg == Leg::Zero,
                19 => sender.leg == Leg::One,
                33 => true,
                _ => false,
            };
        if !lost {
            on.push((at + late, sender.leg, bytes));
        }
        if turn.is_multiple_of(100) && !lost {
            let beat = Beat {
                next_sseq: from + PER_DATAGRAM,
                prev: from + PER_DATAGRAM - 1,
                interval_us: 10_000,
                ..Beat::default()
            };
            on.push((at + late, sender.leg, sender.heartbeat(beat)));
        }
        if turn % 1_000 == 500 && sender.leg == Leg::One {
            let absurd = sender.records(&run(1 << 40..=1 << 40));
            on.push((at + late, sender.leg, absurd));
        }
    }
}

fn flights() -> Vec<Flight> {
    let mut senders = Leg::BOTH.map(Sender::new);
    let mut flights = Vec::new();
    for turn in 0..RECORDS / PER_DATAGRAM {
        let at = Duration::from_micros(100 * turn);
        pair_of(1 + turn * PER_DATAGRAM, at, &mut senders, &mut flights);
    }
    let end = Duration::from_micros(100 * RECORDS / PER_DATAGRAM + 1_000);
    for sender in &mut senders {
        let beat = Beat {
            next_sseq: RECORDS + 1,
            prev: RECORDS,
            interval_us: 10_000,
            ..Beat::default()
        };
        flights.push((end, sender.leg, sender.heartbeat(beat)));
    }
    flights.sort_by_key(|(at, ..)| *at);
    flights
}

fn allocates_nothing(policy: Policy) {
    let (tally, counters) = fly(&flights(), OrderingClass::Ordered, policy);
    assert!(tally.recovered > 0 && counters.held > 0, "{counters:?}");
}

/// Flies through every hardship and demands that nothing was allocated.
fn fly(flights: &[Flight], class: OrderingClass, policy: Policy) -> (Tally, Counters) {
    let mut arbiter = Arbiter::new(Limits {
        policy,
        hold_down: Duration::from_millis(50),
        ..Limits::default()
    })
    .unwrap();
    arbiter.add_source(SID, class);
    for leg in Leg::BOTH {
        arbiter.set_stream(SID, leg, StreamId(10 + leg.index() as u32));
    }
    let mut tally = Tally::default();
    let start = Time(1_000_000_000);
    let before = allocations();
    for (at, leg, bytes) in flights {
        let now = start.after(*at);
        while let Some(due) = arbiter.next_deadline().filter(|due| *due <= now) {
            arbiter.on_deadline(due, &mut tally);
        }
        arbiter.on_datagram(*leg, now, bytes, &mut tally);
    }
    let (last, ..) = flights[flights.len() - 1];
    arbiter.on_deadline(
        start.after(last + Limits::default().reorder_hold),
        &mut tally,
    );
    assert_eq!(allocations() - before, 0, "allocations");
    let counters = arbiter.counters();
    assert!(tally.records > RECORDS * 9 / 10, "{counters:?}");
    assert_eq!(tally.records + counters.gap_messages, RECORDS);
    assert!(tally.gaps > 0, "{counters:?}");
    assert!(tally.switches > 0, "{counters:?}");
    assert!(counters.quarantined > 0, "{counters:?}");
    assert!(counters.duplicates > RECORDS / 2, "{counters:?}");
    let counters = counters.clone();
    (tally, counters)
}

#[test]
fn first_arrival_allocates_nothing() {
    allocates_nothing(Policy::FirstArrival);
}

#[test]
fn prefer_active_allocates_nothing() {
    allocates_nothing(Policy::PreferActive);
}

#[test]
fn an_unordered_source_allocates_nothing() {
    let mut flights = flights();
    // Every third datagram overtakes the one before it, but for the first, at which it joins.
    for pair in flights.chunks_mut(3).skip(1) {
        if let [one, other, ..] = pair
            && one.1 == other.1
        {
            std::mem::swap(&mut one.2, &mut other.2);
        }
    }
    let (tally, counters) = fly(&flights, OrderingClass::Unordered, Policy::PreferActive);
    assert_eq!((tally.recovered, counters.hold_overflow), (0, 0));
}

/// Where the zero above would prove nothing if the counter did not count.
#[test]
fn the_counter_counts() {
    let before = allocations();
    let boxed = std::hint::black_box(Box::new(7_u64));
    assert_eq!(allocations() - before, 1);
    drop(boxed);
}
