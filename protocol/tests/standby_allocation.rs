//! Does a stream on standby leave the allocator alone: while it withholds, when its ring turns, when it is sent?
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use twinfeed_protocol::sequencer::{Placed, RetainLimits};
use twinfeed_protocol::{Body, EpochStart, Now, Sequencer, SequencerConfig, Time, Transmit};
use twinfeed_wire::{BodyKind, Epoch, Incarnation, Sid, StreamId};

struct Counting;

thread_local! {
    static REQUESTS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator with its arguments unchanged.
#[allow(unsafe_code, reason = "an allocator cannot be written otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // During a thread's end there is nothing left to count in.
        let _ = REQUESTS.try_with(|requests| requests.set(requests.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Default)]
struct Sink {
    datagrams: u64,
}

impl Transmit for Sink {
    fn datagram(&mut self, _: &[u8]) {
        self.datagrams += 1;
    }
}

#[test]
fn withholding_and_sending_allocate_nothing() {
    let config = SequencerConfig {
        stream: StreamId(1),
        sid: Sid(1),
        incarnation: Incarnation(1),
        max_datagram: 1_472,
        heartbeat: Duration::from_millis(10),
        history: 1_024,
    };
    let limits = RetainLimits {
        replay: 100,
        records: 2_000,
        bytes: 1 << 18,
    };
    let mut seq = Sequencer::new(config).unwrap().retaining(limits).unwrap();
    let (mut out, mut now) = (Sink::default(), Now::default());
    let epoch = Epoch(7);
    let start = EpochStart {
        epoch,
        first: 1,
        complete: true,
        predecessor: Epoch::NONE,
    };
    seq.begin_epoch(now, start, &mut out);
    let before = REQUESTS.get();
    assert!(seq.begin_standby(now, None, &mut out));
    for sseq in 1..=100_000_u64 {
        now.time = Time(sseq * 10_000);
        let body = Body {
            kind: BodyKind::Opaque,
            bytes: &[7; 56],
        };
        seq.message(now, sseq, sseq, [body].into_iter(), &mut out);
        seq.flush(now, &mut out);
        if sseq % 500 == 0 {
            let reported = Placed {
                epoch,
                sseq: sseq - 300,
                ..Placed::default()
            };
            seq.note_reported(&reported);
        }
    }
    assert!(seq.is_on_standby(), "what was reported made room");
    let heartbeats = out.datagrams;
    seq.end_standby(now, &mut out);
    assert_eq!(REQUESTS.get() - before, 0, "allocator requests");
    assert!(out.datagrams > heartbeats && !seq.is_on_standby());
    assert!(seq.take_replay().unwrap().records >= 400);
}
