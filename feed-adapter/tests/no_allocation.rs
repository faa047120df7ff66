//! Does the data path leave the allocator alone once it is warm?
//!
//! The allocator of this test binary counts what the calling thread asks for. After a warm-up every
//! cycle that receives, converts, sequences and sends must ask for nothing.
#![allow(clippy::unwrap_used, reason = "a test's helpers panic as its tests do")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::UdpSocket;

use support::{Rig, SID, add_order, delete_order, packet};
use twinfeed_feed_adapter::Role;
use twinfeed_feed_adapter::link::notice::Heard;
use twinfeed_feed_adapter::link::voice::Next;
use twinfeed_feed_adapter::mailbox::Command;
use twinfeed_protocol::line::Line;
use twinfeed_wire::link::{ContextRequest, Frame};

struct Counting;

thread_local! {
    static REQUESTS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // During a thread's end there is nothing left to count in.
    let _ = REQUESTS.try_with(|requests| requests.set(requests.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator with its arguments unchanged.
#[allow(unsafe_code, reason = "an allocator cannot be written otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.realloc(block, layout, size) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a round of cycles asked the allocator for, on packets that were sent before.
fn round(rig: &mut Rig, first: u64, packets: &[Vec<u8>]) -> u64 {
    let exchange = UdpSocket::bind("127.0.0.1:0").unwrap();
    for bytes in packets {
        for line in [Line::A, Line::B] {
            exchange.send_to(bytes, rig.line(line)).unwrap();
        }
    }
    let last = first + packets.len() as u64 * 2;
    let before = REQUESTS.get();
    while rig.next_sseq() < last {
        rig.cycle();
    }
    let asked = REQUESTS.get() - before;
    let mut buffer = [0; 2_048];
    let mut heard = 0;
    while rig.subscriber.recv(&mut buffer).is_ok() {
        heard += 1;
    }
    assert!(heard > 0, "something was sent");
    asked
}

#[test]
fn receive_to_publish_allocates_nothing_after_warm_up() {
    let mut rig = Rig::new(Role::Active, 17);
    rig.cycle();
    let session = b"S000000001";
    let mut first = 1;
    for warm in [false, false, true, true, true] {
        let packets: Vec<_> = (0..20)
            .map(|n| {
                let number = first + 2 * n;
                packet(session, number, &[add_order(number), delete_order(number)])
            })
            .collect();
        let asked = round(&mut rig, first, &packets);
        if warm {
            assert_eq!(asked, 0, "allocator requests in warm cycles");
        }
        first += 40;
    }
}

#[test]
fn handing_a_context_over_allocates_nothing_either() {
    let mut rig = Rig::new(Role::Active, 17);
    assert!(rig.mailbox.tell(Command::Heard(1, Heard::Up)));
    let session = b"S000000002";
    let mut first = 1;
    let mut chunks = 0;
    for transfer in 0..4 {
        let packets: Vec<_> = (0..20)
            .map(|n| {
                let number = first + 2 * n;
                packet(session, number, &[add_order(number), add_order(number + 1)])
            })
            .collect();
        if transfer > 0 {
            let begun = |rig: &Rig| {
                rig.board
                    .latest()
                    .first()
                    .is_some_and(|it| it.epoch.is_some())
            };
            while !begun(&rig) {
                rig.cycle();
            }
            let request = ContextRequest {
                sid: SID,
                transfer,
                epoch: rig.board.latest()[0].epoch,
                // Not before the packets that follow.
                from: first + 40,
            };
            let said = Heard::Said(Frame::ContextRequest(request));
            assert!(rig.mailbox.tell(Command::Heard(1, said)));
        }
        let asked = round(&mut rig, first, &packets);
        let before = REQUESTS.get();
        rig.cycle();
        if transfer > 0 {
            assert_eq!(asked, 0, "allocator requests while orders change");
            assert_eq!(REQUESTS.get() - before, 0, "and at the end");
        }
        while let Next::Frame(frame) = rig.spoken.next(1) {
            chunks += u64::from(matches!(frame, Frame::ContextChunk(_)));
        }
        first += 40;
    }
    assert!(chunks >= 3, "{chunks} chunks were handed over");
}

#[test]
fn the_count_counts() {
    let before = REQUESTS.get();
    drop(std::hint::black_box(vec![1_u8; 100]));
    assert_eq!(REQUESTS.get() - before, 2);
}
