//! Does a stream reproduce exactly what its sequencer was told, and do two sequencers that were told the
//! same agree, whatever their flushes, clocks and datagram lengths?

#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod sequencer_support;

use proptest::prelude::*;
use sequencer_support::{Message, Receiver, Taken, at, config, digest_of, messages, start};
use twinfeed_protocol::{Body, Sequencer, SequencerConfig};
use twinfeed_wire::{BodyKind, DIGEST_RANGE};

#[derive(Clone, Debug)]
enum Told {
    /// Numbers skipped before it, and its bodies: whether DBN, and the length.
    Message(u64, Vec<(bool, usize)>),
    Abandon(u64),
}

/// What a driver does between two messages.
#[derive(Clone, Debug)]
struct Drive {
    flush: bool,
    wait_ms: u64,
    received_at: u64,
}

fn told() -> impl Strategy<Value = Told> {
    let bodies = prop::collection::vec((any::<bool>(), 0..3_000_usize), 0..4);
    prop_oneof![
        20 => (Just(0), bodies.clone()).prop_map(|(skip, bodies)| Told::Message(skip, bodies)),
        1 => (0..3 * DIGEST_RANGE, bodies).prop_map(|(skip, bodies)| Told::Message(skip, bodies)),
        1 => (1..2 * DIGEST_RANGE).prop_map(Told::Abandon),
    ]
}

fn drives(count: usize) -> impl Strategy<Value = Vec<Drive>> {
    let drive =
        (any::<bool>(), 0..20_u64, 0..3_u64).prop_map(|(flush, wait_ms, received_at)| Drive {
            flush,
            wait_ms,
            received_at,
        });
    prop::collection::vec(drive, count)
}

fn bytes(sseq: u64, index: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i * 31 + index) as u8 ^ sseq as u8)
        .collect()
}

struct Outcome {
    records: Vec<Taken>,
    digests: std::collections::BTreeMap<(u64, u64), u64>,
    expected: Vec<Message>,
    abandoned: Vec<u64>,
}

fn play(first: u64, told: &[Told], drives: &[Drive], max_datagram: usize) -> Outcome {
    let mut sequencer = Sequencer::new(SequencerConfig {
        max_datagram,
        ..config()
    })
    .unwrap();
    let mut out = Receiver::default();
    let (mut ms, mut next) = (0, first);
    let (mut expected, mut abandoned) = (Vec::new(), Vec::new());
    sequencer.begin_epoch(at(ms), start(7, first, 0), &mut out);
    for (told, drive) in told.iter().zip(drives) {
        ms += drive.wait_ms;
        if sequencer
            .next_deadline()
            .is_some_and(|deadline| deadline <= at(ms).time)
        {
            sequencer.on_deadline(at(ms), &mut out);
        }
        match told {
            Told::Message(skip, bodies) => {
                let sseq = next + skip;
                let whole: Vec<(u8, Vec<u8>)> = bodies
                    .iter()
                    .enumerate()
                    .map(|(index, &(dbn, length))| match dbn {
                        true => (1, bytes(sseq, index, length.min(520))),
                        false => (3, bytes(sseq, index, length)),
                    })
                    .collect();
                let bodies = whole.iter().map(|(kind, bytes)| Body {
                    kind: BodyKind::from_code(*kind),
                    bytes,
                });
                sequencer.message(at(ms), sseq, drive.received_at, bodies, &mut out);
                if !whole.is_empty() {
                    expected.push((sseq, whole));
                }
                next = sseq + 1;
            }
            Told::Abandon(count) => {
                sequencer.abandon(at(ms), next..next + count, &mut out);
                next += count;
                abandoned.push(next - 1);
            }
        }
        if drive.flush {
            sequencer.flush(at(ms), &mut out);
        }
    }
    sequencer.end_epoch(at(ms), next, &mut out);
    let counters = *sequencer.counters();
    assert_eq!((counters.refused, counters.inexpressible), (0, 0));
    assert_eq!(counters.datagrams, out.sent.len() as u64);
    assert_eq!(counters.records, out.records().count() as u64);
    assert_eq!(
        counters.bytes,
        out.sent.iter().map(|sent| sent.length as u64).sum::<u64>()
    );
    assert!(
        out.sent
            .iter()
            .all(|sent| sent.length <= max_datagram && sent.length % 8 == 0)
    );
    let end = out
        .sent
        .last()
        .and_then(|sent| sent.beat.as_ref())
        .unwrap()
        .0;
    assert_eq!((end.next_sseq, end.ended), (next, true));
    Outcome {
        records: out.records().cloned().collect(),
        digests: out.digests(),
        expected,
        abandoned,
    }
}

/// What must be equal on two adapters: everything but the receive time.
fn common(records: &[Taken]) -> Vec<Taken> {
    records
        .iter()
        .map(|record| Taken {
            received_at: 0,
            ..record.clone()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_reproduces_what_was_told_and_two_agree(
        first in prop_oneof![Just(1_u64), 1..20_000_u64, Just(u64::MAX / 2)],
        (told, one, other) in prop::collection::vec(told(), 1..60)
            .prop_flat_map(|told| { let count = told.len(); (Just(told), drives(count), drives(count)) }),
        lengths in (150..8_188_usize, 150..8_188_usize),
    ) {
        let one = play(first, &told, &one, lengths.0 * 8);
        let other = play(first, &told, &other, lengths.1 * 8 + 1);
        prop_assert_eq!(messages(&one.records, first, &one.abandoned), one.expected);
        prop_assert_eq!(common(&one.records), common(&other.records));
        // A range may slide out of the sixteen reported before a heartbeat comes, never differ.
        for (place, digest) in &one.digests {
            prop_assert_eq!(*digest, digest_of(one.records.iter(), place.1));
            prop_assert!(other.digests.get(place).is_none_or(|theirs| theirs == digest));
        }
        let last = one.digests.keys().next_back();
        prop_assert!(last.is_some() && last == other.digests.keys().next_back());
    }
}
