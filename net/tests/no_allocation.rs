//! Receiving and sending, by sockets and by a ring, allocate nothing after they are set up.
#![allow(unsafe_code, reason = "a counting allocator is an unsafe trait")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::{destinations, loopback, numbered, receiver, sender, slices};
use twinfeed_net::udp::{Outbox, Receiver, ReceiverConfig, Sender, SenderConfig, Timestamps};

/// The system's allocator, counting what the thread under test asks for.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is being torn down has no counter any more, and none is needed.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to `System` unchanged; counting touches a thread's own cell and
// allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise about `pointer` and `layout` is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise about all three is handed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn sending_and_receiving_allocate_nothing() {
    for merge in [false, true] {
        let config = ReceiverConfig::unicast(loopback(false)).merge(merge);
        let Ok(mut live) = Receiver::open(&config) else {
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("skipped: this kernel does not merge datagrams (UDP_GRO)\n"),
            );
            continue;
        };
        let mut sender = sender(false);
        // One live, one dead: reports of the network are on the path as well.
        let dead = receiver(false).local_addr();
        let mut to = destinations(&sender, &[dead, live.local_addr()]);
        let payloads = numbered(50, 200);
        let payloads = slices(&payloads);
        let mut outbox = Outbox::new(8, 4_096);
        let mut received = 0_usize;
        let mut round = || {
            sender.send(&payloads[..], &mut to);
            outbox.clear();
            outbox.push(b"from the outbox").unwrap();
            sender.send(&outbox, &mut to);
            received += live
                .receive()
                .unwrap()
                .map(|datagram| datagram.bytes.len())
                .sum::<usize>();
        };
        round();
        let count = allocations(|| (0..200).for_each(|_| round()));
        assert_eq!(count, 0, "merge {merge}");
        assert!(
            received > 200 * 50 * 200,
            "{received} bytes: the path was not walked"
        );
        assert!(
            sender.counters().reported > 0,
            "the dead one was not reported"
        );
    }
}

#[test]
fn an_empty_receive_and_every_idle_step_allocate_nothing() {
    use std::os::fd::AsFd as _;
    use twinfeed_net::idle::Idler;

    let mut receiver = receiver(false);
    for strategy in ["spin", "yield", "backoff:max_us=1", "block:timeout_us=1"] {
        let mut idler = Idler::new(strategy.parse().unwrap());
        let count = allocations(|| {
            for _ in 0..200 {
                let work = receiver.receive().unwrap().count();
                idler.idle(work, [receiver.as_fd()]);
            }
        });
        assert_eq!(count, 0, "{strategy}");
    }
}

#[test]
fn one_datagram_to_a_lone_destination_allocates_nothing_on_either_side() {
    let config = ReceiverConfig::unicast(loopback(false)).timestamps(Timestamps::Off);
    let mut live = Receiver::open(&config).unwrap();
    let mut sender = Sender::open(&SenderConfig::new(loopback(false)).connect(true)).unwrap();
    let mut to = destinations(&sender, &[live.local_addr()]);
    let (mut received, mut alone) = (0, 0);
    let mut round = || {
        sender.send(&[&b"alone"[..]][..], &mut to);
        received += live.receive().unwrap().count();
        alone += u32::from(!live.is_drained());
        received += live.receive().unwrap().count();
    };
    round();
    assert_eq!(allocations(|| (0..200).for_each(|_| round())), 0);
    assert_eq!(received, 201);
    assert!(alone > 150, "{alone}: the short way was not walked");
}

#[test]
fn a_ring_allocates_nothing_written_read_or_lapped() {
    use std::os::fd::AsFd as _;
    use twinfeed_net::ring::{RingConfig, RingReader, RingWriter};

    let mut writer = RingWriter::create(&RingConfig::new(1).slots(16)).unwrap();
    let mut reader = RingReader::open(writer.as_fd(), RingReader::DEFAULT_MOST_BYTES).unwrap();
    let mut outbox = Outbox::new(8, 4_096);
    (0..8).for_each(|_| outbox.push(&[7; 200]).unwrap());
    let (mut received, mut lost) = (0, 0);
    let count = allocations(|| {
        for round in 0..200 {
            // Every other round laps the reader.
            (0..=round % 2).for_each(|_| assert_eq!(writer.publish(&outbox).taken, 8));
            while let Some(datagram) = reader.receive().unwrap() {
                received += 1;
                lost += datagram.lost;
            }
            assert!(!reader.is_closed());
        }
    });
    assert_eq!(count, 0);
    assert_eq!((received, lost), (200 * 8, 100 * 8));
}
