//! Do two decoders write the same bytes, and does a warm one never allocate?
//!
//! One test binary of its own: it counts the allocations of its process.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    unsafe_code,
    reason = "a counting allocator must implement GlobalAlloc"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use proptest::prelude::*;
use twinfeed_feed_adapter::decode::itch50::message::MESSAGES;
use twinfeed_feed_adapter::decode::itch50::{Converter, Settings};
use twinfeed_feed_adapter::decode::{Decoder, Parts, TradingDay};
use twinfeed_feed_adapter::source::moldudp64::Packet;

/// The system's allocator with a count per thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is the one `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this `layout`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn converter() -> Converter {
    let day: TradingDay = "2019-12-30".parse().unwrap();
    Converter::new(
        Settings {
            publisher_id: 2,
            max_open_orders: 64,
        },
        day,
    )
}

/// Pseudorandom numbers, the same every time.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.0 >> 33
    }
}

/// Messages of every type with few order references, so that orders meet; some are damaged.
fn flow(seed: u64, count: usize) -> Vec<Vec<u8>> {
    let mut random = Lcg(seed);
    (0..count)
        .map(|_| {
            let (letter, length, _) = MESSAGES[random.next() as usize % MESSAGES.len()];
            let mut bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            bytes[0] = letter;
            if b"AFECXDU".contains(&letter) {
                bytes[11..19].copy_from_slice(&(random.next() % 90).to_be_bytes());
                if letter != b'D' {
                    let shares = if letter == b'U' {
                        27
                    } else if b"AF".contains(&letter) {
                        20
                    } else {
                        19
                    };
                    bytes[shares..shares + 4].copy_from_slice(&[0, 0, 0, random.next() as u8]);
                }
            }
            match random.next() % 50 {
                0 => bytes.push(0),
                1 => bytes[0] = b'!',
                2 => bytes.truncate(random.next() as usize % length),
                _ => {}
            }
            bytes
        })
        .collect()
}

fn run(
    converter: &mut Converter,
    out: &mut Parts,
    messages: &[Vec<u8>],
    mut see: impl FnMut(&Parts),
) {
    for (index, message) in messages.iter().enumerate() {
        let _ = converter.convert(index as u64 + 1, message, out);
        see(out);
    }
}

#[test]
fn a_warm_decoder_allocates_nothing() {
    let messages = flow(3, 20_000);
    let (mut converter, mut out) = (converter(), Parts::new(1_320));
    let mut packet = b"000010059B".to_vec();
    packet.extend(1_u64.to_be_bytes());
    packet.extend(2_u16.to_be_bytes());
    packet.extend(b"\0\x01A\0\x02BC");
    let long = vec![b'?'; usize::from(u16::MAX)];

    run(&mut converter, &mut out, &messages[..1_000], |_| {});
    let before = ALLOCATIONS.with(Cell::get);
    let mut bodies = 0;
    run(&mut converter, &mut out, &messages, |out| {
        bodies += out.iter().count();
    });
    converter.reset("2019-12-31".parse().unwrap());
    let _ = converter.convert(1, &long, &mut out);
    bodies += Packet::parse(&packet).unwrap().messages().count();
    let after = ALLOCATIONS.with(Cell::get);
    assert!(bodies > 20_000);
    // Parsing a day asks the time zone database once; conversion itself takes nothing.
    let day = {
        let before = ALLOCATIONS.with(Cell::get);
        let _: TradingDay = "2019-12-31".parse().unwrap();
        ALLOCATIONS.with(Cell::get) - before
    };
    assert_eq!(after - before, day);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Two decoders with the same beginning write the same bytes, whatever arrives; a third that
    /// began with other orders still converts everything without a failure.
    #[test]
    fn two_decoders_write_the_same_bytes(seed in any::<u64>()) {
        let messages = flow(seed, 600);
        let (mut one, mut two) = (converter(), converter());
        let (mut left, mut right) = (Parts::new(1_320), Parts::new(1_320));
        for (index, message) in messages.iter().enumerate() {
            let sseq = index as u64;
            prop_assert_eq!(
                one.convert(sseq, message, &mut left),
                two.convert(sseq, message, &mut right)
            );
            prop_assert_eq!(left.len(), right.len());
            for (left, right) in left.iter().zip(right.iter()) {
                prop_assert_eq!(left.kind, right.kind);
                prop_assert_eq!(left.bytes, right.bytes);
            }
        }
        prop_assert_eq!(one.faults(), two.faults());
        prop_assert!(one.open_orders() <= 64);
    }

    /// No message, however damaged, is lost: it becomes at least one body, or it is refused.
    #[test]
    fn every_message_becomes_something(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let (mut converter, mut out) = (converter(), Parts::new(1_320));
        match converter.convert(1, &bytes, &mut out) {
            Err(error) if error.refuses() => prop_assert!(out.is_empty()),
            _ => prop_assert!(!out.is_empty()),
        }
    }
}
