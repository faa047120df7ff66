//! How much memory does an application's arbiter take, and does it grow with anything but its limits?
#![allow(unsafe_code, reason = "a global allocator cannot be had without")]
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use twinfeed_protocol::Limits;
use twinfeed_protocol::arbiter::{Arbiter, OrderingClass};
use twinfeed_protocol::retain::{Retained, RetentionLimits};
use twinfeed_wire::Sid;

/// The system's allocator; keeps account of what the thread has.
struct Counting;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
}

// SAFETY: every call is the system allocator's own; the account is a thread-local cell that is initialised as a constant and has no
// destructor, so it neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.set(HELD.get() + layout.size() as i64);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as i64);
        // SAFETY: `pointer` came from `alloc` or `realloc`, which are the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.set(HELD.get() + size as i64 - layout.size() as i64);
        // SAFETY: as for `dealloc`; the caller's promise about `size` is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes of an arbiter with so many sources.
fn bytes(limits: Limits, class: OrderingClass, sources: u32) -> i64 {
    let before = HELD.get();
    let mut arbiter = Arbiter::new(limits).unwrap();
    for sid in 1..=sources {
        arbiter.add_source(Sid(sid), class);
    }
    let held = HELD.get() - before;
    drop(arbiter);
    held
}

/// Bytes that one source more takes.
fn one_more(limits: Limits, class: OrderingClass) -> i64 {
    bytes(limits, class, 8) - bytes(limits, class, 7)
}

const CLASSES: [OrderingClass; 2] = [OrderingClass::Ordered, OrderingClass::Unordered];

#[test]
fn each_source_takes_the_same() {
    for class in CLASSES {
        let none = bytes(Limits::default(), class, 0);
        let one = one_more(Limits::default(), class);
        for sources in [1, 2, 16, 64] {
            let all = bytes(Limits::default(), class, sources) - none;
            // The list of sources grows by doubling.
            let each = all / i64::from(sources);
            assert!(
                (one - each).abs() * 1_000 < one,
                "{sources}: {each} by {one}"
            );
        }
    }
}

/// What `docs/performance.md` says, term by term.
#[test]
fn a_source_takes_what_its_limits_say() {
    let default = Limits::default();
    let least = Limits {
        held_records: 1,
        held_bytes: 4 * default.max_datagram,
        quarantined_datagrams: 4,
        seen_window: 512,
        ..default
    };
    for class in CLASSES {
        let one = one_more(least, class);
        assert!(one < 48 << 10, "{one} bytes however small the limits are");
        for (name, change, each) in [
            ("held_records", 10_000, 80.0..81.0),
            // Where records are not what is scarce.
            ("held_bytes", 1 << 20, 1.0..1.05),
            ("quarantined_datagrams", 1_000, 1_472.0..1_600.0),
        ] {
            let (mut base, mut more) = (least, least);
            match name {
                "held_records" => more.held_records += change,
                "held_bytes" => {
                    (base.held_records, more.held_records) = (1 << 16, 1 << 16);
                    more.held_bytes += change;
                }
                _ => more.quarantined_datagrams += change,
            }
            let more = one_more(more, class) - one_more(base, class);
            let of_a_leg = more as f64 / 2.0 / change as f64;
            assert!(each.contains(&of_a_leg), "{name}: {of_a_leg} bytes each");
        }
    }
    // A jump may be as far as it likes: nothing is set aside for what lies between.
    let far = Limits {
        window: default.window * 1_000,
        ..default
    };
    let ordered = OrderingClass::Ordered;
    assert_eq!(one_more(far, ordered), one_more(default, ordered));
    let wide = Limits {
        seen_window: default.seen_window * 4,
        ..default
    };
    let unordered = OrderingClass::Unordered;
    let bits = one_more(wide, unordered) - one_more(default, unordered);
    assert_eq!(
        bits * 8,
        3 * default.seen_window as i64,
        "a bit for each number"
    );
}

/// Bytes of what one stream retains.
fn retained(limits: &RetentionLimits) -> i64 {
    let before = HELD.get();
    let retained = Retained::new(limits).unwrap();
    let held = HELD.get() - before;
    drop(retained);
    held
}

#[test]
fn a_stream_retains_in_what_its_limits_say() {
    let default = RetentionLimits::default();
    for times in [1, 2, 4] {
        let limits = RetentionLimits {
            bytes: default.bytes * times,
            messages: default.messages * times,
            ..default
        };
        let each = retained(&limits) as f64 / limits.bytes as f64;
        assert!((1.5..1.75).contains(&each), "{each} for a byte");
    }
}
