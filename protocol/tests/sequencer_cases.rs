//! Does a stream say what `docs/wire-format.md` says it says? By hand, clause by clause.

#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod sequencer_support;

use sequencer_support::{INTERVAL, OPAQUE, Receiver, Sent, at, config, messages, sequencer, start};
use twinfeed_protocol::sequencer::{LAST_SSEQ, LONGEST_PART, MOST_PARTS};
use twinfeed_protocol::{Body, Now, Sequencer, SequencerConfig, SequencerState, Time};
use twinfeed_wire::{Adm, Beat, BodyKind, Epoch, Flags, Generation, Msn};

fn body(bytes: &[u8]) -> Body<'_> {
    Body {
        kind: OPAQUE,
        bytes,
    }
}

/// Source message `sseq` with one body, or covered.
fn send(sequencer: &mut Sequencer, now: Now, sseq: u64, bytes: Option<&[u8]>, out: &mut Receiver) {
    sequencer.message(
        now,
        sseq,
        5,
        bytes.into_iter().map(body).collect::<Vec<_>>().into_iter(),
        out,
    );
}

fn opened(epoch: u64, first: u64) -> (Sequencer, Receiver) {
    let (mut sequencer, mut out) = (sequencer(), Receiver::default());
    sequencer.begin_epoch(at(0), start(epoch, first, 0), &mut out);
    out.sent.clear();
    (sequencer, out)
}

fn beats(sent: &[Sent]) -> Vec<Beat> {
    sent.iter()
        .filter_map(|sent| Some(sent.beat.as_ref()?.0))
        .collect()
}

#[test]
fn an_epoch_begins_and_ends_with_four_heartbeats() {
    let (mut sequencer, mut out) = (sequencer(), Receiver::default());
    sequencer.begin_epoch(at(0), start(7, 100, 0), &mut out);
    let begun = Beat {
        next_sseq: 100,
        prev: 99,
        interval_us: 10_000,
        ..Beat::default()
    };
    assert_eq!(beats(&out.take()), [begun; 4]);
    send(&mut sequencer, at(1), 100, Some(b"x"), &mut out);
    sequencer.end_epoch(at(2), 102, &mut out);
    let sent = out.take();
    assert_eq!(sent[0].records.len(), 1, "what is under way goes first");
    let ended = Beat {
        next_sseq: 102,
        prev: 100,
        ended: true,
        ..begun
    };
    assert_eq!(beats(&sent), [ended; 4]);
    sequencer.on_deadline(at(12), &mut out);
    assert_eq!(beats(&out.take()), [ended], "and every later one says so");
}

#[test]
fn the_end_of_the_predecessor_goes_on_in_its_successor() {
    let (mut sequencer, mut out) = opened(7, 100);
    send(&mut sequencer, at(1), 100, Some(b"x"), &mut out);
    sequencer.end_epoch(at(2), 102, &mut out);
    out.sent.clear();
    sequencer.begin_epoch(at(3), start(8, 1, 7), &mut out);
    let sent = out.take();
    assert!(sent.iter().all(|sent| sent.header.predecessor == Epoch(7)));
    let ends = |beat: &Beat| (beat.predecessor_next, beat.predecessor_prev);
    assert!(beats(&sent).iter().all(|beat| ends(beat) == (102, 100)));
    // The source never said how the epoch ended: only the last record is known.
    send(&mut sequencer, at(4), 1, Some(b"x"), &mut out);
    send(&mut sequencer, at(4), 2, None, &mut out);
    out.sent.clear();
    sequencer.begin_epoch(at(5), start(9, 1, 8), &mut out);
    let sent = out.take();
    assert_eq!(sent[0].records.len(), 1);
    let vouched = sent[1].beat.as_ref().unwrap().0;
    assert_eq!(
        (sent[1].header.epoch, vouched.next_sseq, vouched.prev),
        (Epoch(8), 3, 1)
    );
    assert!(beats(&sent[2..]).iter().all(|beat| ends(beat) == (0, 1)));
    // Another predecessor than the one at hand: nothing is known of its end.
    sequencer.begin_epoch(at(6), start(11, 1, 10), &mut out);
    assert!(beats(&out.take()).iter().all(|beat| ends(beat) == (0, 0)));
}

#[test]
fn covered_numbers_cost_nothing_and_are_vouched_for() {
    let (mut sequencer, mut out) = opened(7, 1);
    for (sseq, bytes) in [
        (1, None),
        (2, Some(b"a")),
        (3, None),
        (4, None),
        (5, Some(b"b")),
        (6, None),
    ] {
        send(
            &mut sequencer,
            at(1),
            sseq,
            bytes.map(<[u8; 1]>::as_slice),
            &mut out,
        );
    }
    sequencer.flush(at(1), &mut out);
    let sent = out.take();
    let records: Vec<_> = sent[0]
        .records
        .iter()
        .map(|r| (r.msn, r.sseq, r.prev))
        .collect();
    assert_eq!((sent.len(), records), (1, vec![(1, 2, 0), (2, 5, 2)]));
    sequencer.on_deadline(at(11), &mut out);
    let [beat] = beats(&out.take())[..] else {
        panic!("one heartbeat")
    };
    assert_eq!((beat.next_sseq, beat.prev), (7, 5));
    assert_eq!(
        (sequencer.counters().covered, sequencer.next_msn()),
        (4, Msn(3))
    );
}

#[test]
fn a_loss_changes_the_context_and_breaks_the_chain() {
    let (mut sequencer, mut out) = opened(7, 1);
    send(&mut sequencer, at(1), 1, Some(b"a"), &mut out);
    send(&mut sequencer, at(1), 2, None, &mut out);
    let whole = sequencer.context_id();
    assert!(sequencer.is_complete());
    sequencer.abandon(at(1), 3..6, &mut out);
    let sent = out.take();
    // The record, and a heartbeat that vouches for 2, both in the old context.
    assert_eq!((sent.len(), sent[0].records.len()), (2, 1));
    let beat = sent[1].beat.as_ref().unwrap().0;
    assert_eq!((beat.next_sseq, beat.prev), (3, 1));
    assert!(
        sent.iter()
            .all(|sent| sent.header.is_complete() && Some(sent.header.context) == whole)
    );
    send(&mut sequencer, at(2), 6, Some(b"b"), &mut out);
    sequencer.flush(at(2), &mut out);
    let sent = out.take();
    assert_eq!((sent[0].records[0].prev, sent[0].header.abandoned), (5, 3));
    assert!(!sent[0].header.is_complete() && Some(sent[0].header.context) != whole);
    assert_eq!(Some(sent[0].header.context), sequencer.context_id());
    // In how many steps a hole is given up makes no difference.
    let (mut steps, mut out) = opened(7, 1);
    send(&mut steps, at(1), 1, None, &mut out);
    send(&mut steps, at(1), 2, None, &mut out);
    for number in 3..6 {
        steps.abandon(at(number), number..number + 1, &mut out);
    }
    assert_eq!(steps.context_id(), sequencer.context_id());
    steps.abandon(at(9), 7..8, &mut out);
    assert_ne!(steps.context_id(), sequencer.context_id());
}

#[test]
fn a_silent_stream_beats_every_interval_a_busy_one_every_third() {
    let (mut sequencer, mut out) = opened(7, 1);
    let mut times = Vec::new();
    for _ in 0..3 {
        let time = sequencer.next_deadline().unwrap();
        sequencer.on_deadline(Now { time, unix_ns: 0 }, &mut out);
        times.push(time.0 / 1_000_000);
    }
    assert_eq!((times, out.take().len()), (vec![10, 20, 30], 3));
    let mut beats = Vec::new();
    for ms in 31..=130 {
        send(&mut sequencer, at(ms), ms, Some(b"x"), &mut out);
        sequencer.flush(at(ms), &mut out);
        beats.extend(
            out.take()
                .iter()
                .filter(|sent| sent.beat.is_some())
                .map(|_| ms),
        );
    }
    assert_eq!(beats, [60, 90, 120]);
    assert_eq!(
        sequencer.next_deadline(),
        Some(Time::ZERO.after(INTERVAL * 14))
    );
}

#[test]
fn a_heartbeat_stands_between_source_messages_only() {
    let (mut sequencer, mut out) = opened(7, 1);
    let long = vec![7; LONGEST_PART * 5];
    send(&mut sequencer, at(500), 1, Some(&long), &mut out);
    sequencer.on_deadline(at(500), &mut out);
    let sent = out.take();
    let kinds: Vec<bool> = sent.iter().map(|sent| sent.beat.is_some()).collect();
    assert_eq!(kinds, [false, false, false, false, false, true]);
    let records: Vec<_> = sent.into_iter().flat_map(|sent| sent.records).collect();
    assert_eq!(messages(&records, 1, &[]), [(1, vec![(3, long)])]);
}

#[test]
fn a_cut_depends_on_the_body_alone() {
    for (length, parts) in [
        (0, 1),
        (1, 1),
        (LONGEST_PART, 1),
        (LONGEST_PART + 1, 2),
        (2 * LONGEST_PART, 2),
    ] {
        for max_datagram in [1_200, 1_472, 65_504] {
            let mut sequencer = Sequencer::new(SequencerConfig {
                max_datagram,
                ..config()
            })
            .unwrap();
            let mut out = Receiver::default();
            sequencer.begin_epoch(at(0), start(7, 1, 0), &mut out);
            let long = vec![9; length];
            let bodies = [body(b"in front"), body(&long), body(b"")];
            sequencer.message(at(0), 1, 0, bodies.into_iter(), &mut out);
            sequencer.flush(at(0), &mut out);
            assert!(out.sent.iter().all(|sent| sent.length <= max_datagram));
            let records: Vec<_> = out.records().cloned().collect();
            assert_eq!(records.len(), parts + 2, "{length} in {max_datagram}");
            let expected = vec![(3, b"in front".to_vec()), (3, long), (3, vec![])];
            assert_eq!(messages(&records, 1, &[]), [(1, expected)]);
        }
    }
}

#[test]
fn another_receive_time_begins_another_datagram() {
    let (mut sequencer, mut out) = opened(7, 1);
    for (sseq, received_at) in [(1, 5), (2, 5), (3, 6), (4, 0)] {
        sequencer.message(at(1), sseq, received_at, [body(b"x")].into_iter(), &mut out);
    }
    sequencer.flush(at(1), &mut out);
    let seen: Vec<_> = out
        .sent
        .iter()
        .map(|s| (s.header.received_at, s.records.len()))
        .collect();
    assert_eq!(seen, [(5, 2), (6, 1), (0, 1)]);
}

#[test]
fn positions_too_far_apart_begin_another_datagram_or_another_context() {
    let (mut sequencer, mut out) = opened(7, 1);
    let far = 1 + (1 << 32);
    send(&mut sequencer, at(1), 1, Some(b"a"), &mut out);
    send(&mut sequencer, at(1), far - 1, Some(b"b"), &mut out);
    // One beyond the offset from the first record, and another datagram is begun.
    send(&mut sequencer, at(1), far, Some(b"c"), &mut out);
    // One beyond what a distance can say, and the silence becomes a loss.
    send(&mut sequencer, at(1), far + (1 << 32), Some(b"d"), &mut out);
    sequencer.flush(at(1), &mut out);
    let seen: Vec<_> = out
        .sent
        .iter()
        .map(|s| (s.records.len(), s.header.abandoned))
        .collect();
    assert_eq!(seen, [(2, 0), (1, 0), (1, u32::MAX)]);
    let records: Vec<_> = out
        .records()
        .map(|record| (record.sseq, record.prev))
        .collect();
    assert_eq!(
        records,
        [
            (1, 0),
            (far - 1, 1),
            (far, far - 1),
            (far + (1 << 32), far + (1 << 32) - 1)
        ]
    );
}

#[test]
fn what_cannot_be_expressed_is_given_up_not_swallowed() {
    let (mut sequencer, mut out) = opened(7, 1);
    let long = vec![0; LONGEST_PART + 1];
    let dbn = Body {
        kind: BodyKind::Dbn,
        bytes: &long,
    };
    sequencer.message(at(1), 1, 0, [body(b"x"), dbn].into_iter(), &mut out);
    sequencer.message(
        at(1),
        2,
        0,
        vec![body(b""); MOST_PARTS + 1].into_iter(),
        &mut out,
    );
    let foreign = Body {
        kind: BodyKind::Administrative,
        bytes: b"x",
    };
    sequencer.message(at(1), 3, 0, [foreign].into_iter(), &mut out);
    assert_eq!(
        (
            sequencer.counters().inexpressible,
            sequencer.counters().abandoned
        ),
        (3, 3)
    );
    assert_eq!(out.records().count(), 0);
    sequencer.message(
        at(1),
        4,
        0,
        vec![body(b""); MOST_PARTS].into_iter(),
        &mut out,
    );
    sequencer.flush(at(1), &mut out);
    assert_eq!(out.records().count(), MOST_PARTS);
}

#[test]
fn a_lost_peer_is_said_at_once_and_three_times_at_least() {
    let (mut sequencer, mut out) = opened(7, 1);
    send(&mut sequencer, at(1), 1, Some(b"x"), &mut out);
    sequencer.set_peer_lost(at(1), true, &mut out);
    sequencer.set_peer_lost(at(2), true, &mut out);
    sequencer.set_peer_lost(at(3), false, &mut out);
    for ms in [11, 21, 31] {
        sequencer.on_deadline(at(ms), &mut out);
    }
    let flags: Vec<bool> = out
        .sent
        .iter()
        .map(|s| s.header.flags.has(Flags::PEER_LOST))
        .collect();
    assert_eq!(flags, [false, true, true, true, false]);
    // As long as it lasts, every datagram says so.
    sequencer.set_peer_lost(at(40), true, &mut out);
    out.sent.clear();
    for ms in 41..140 {
        send(&mut sequencer, at(ms), ms, Some(b"x"), &mut out);
        sequencer.flush(at(ms), &mut out);
    }
    assert!(
        out.sent
            .iter()
            .all(|sent| sent.header.flags.has(Flags::PEER_LOST))
    );
}

#[test]
fn a_stale_source_is_said_at_once() {
    let (mut sequencer, mut out) = opened(7, 1);
    for (ms, stale) in [(1, true), (2, true), (3, false)] {
        sequencer.set_source_stale(at(ms), stale, &mut out);
    }
    let flags: Vec<bool> = out
        .sent
        .iter()
        .map(|s| s.header.flags.has(Flags::SOURCE_STALE))
        .collect();
    assert_eq!(flags, [true, false]);
}

#[test]
fn a_new_generation_counts_from_one_and_an_old_one_is_refused() {
    let (mut sequencer, mut out) = opened(7, 1);
    send(&mut sequencer, at(1), 1, Some(b"a"), &mut out);
    sequencer.open_generation(at(1), Generation(3), Adm(0), &mut out);
    sequencer.open_generation(at(1), Generation(3), Adm(0), &mut out);
    sequencer.open_generation(at(1), Generation(2), Adm(0), &mut out);
    send(&mut sequencer, at(1), 2, Some(b"b"), &mut out);
    sequencer.flush(at(1), &mut out);
    let seen: Vec<_> = out
        .sent
        .iter()
        .map(|s| (s.header.generation.0, s.header.first_msn.0))
        .collect();
    // The record before, the opening, the record behind.
    assert_eq!(seen, [(0, 1), (3, 1), (3, 1), (3, 1), (3, 1), (3, 1)]);
    assert_eq!(
        (sequencer.next_msn(), sequencer.counters().refused),
        (Msn(2), 1)
    );
}

#[test]
fn the_end_of_the_stream_is_said_four_times_and_nothing_follows() {
    let (mut sequencer, mut out) = opened(7, 1);
    send(&mut sequencer, at(1), 1, Some(b"a"), &mut out);
    sequencer.end_of_stream(at(1), &mut out);
    let flags: Vec<bool> = out
        .sent
        .iter()
        .map(|s| s.header.flags.has(Flags::END_OF_STREAM))
        .collect();
    assert_eq!(flags, [false, true, true, true, true]);
    out.sent.clear();
    send(&mut sequencer, at(2), 2, Some(b"b"), &mut out);
    sequencer.flush(at(1_000), &mut out);
    sequencer.end_of_stream(at(1_000), &mut out);
    assert!(out.sent.is_empty() && sequencer.next_deadline().is_none());
    assert_eq!(sequencer.state(), SequencerState::Closed);
}

#[test]
fn the_edges_of_the_numbers_hold() {
    let (mut sequencer, mut out) = opened(7, LAST_SSEQ);
    send(&mut sequencer, at(1), u64::MAX, Some(b"x"), &mut out);
    assert_eq!(sequencer.counters().refused, 1);
    send(&mut sequencer, at(1), LAST_SSEQ, Some(b"x"), &mut out);
    sequencer.end_epoch(at(1), u64::MAX, &mut out);
    assert_eq!(beats(&out.take())[0].next_sseq, u64::MAX);
    for first in [0, u64::MAX] {
        sequencer.begin_epoch(at(2), start(8, first, 7), &mut out);
    }
    sequencer.begin_epoch(at(2), start(0, 1, 7), &mut out);
    assert_eq!(
        (sequencer.counters().refused, sequencer.epoch()),
        (4, Some(Epoch(7)))
    );
    let (mut sequencer, mut out) = opened(7, 1);
    sequencer.abandon(at(1), 1..u64::MAX, &mut out);
    sequencer.end_epoch(at(1), u64::MAX, &mut out);
    assert_eq!(sequencer.counters().abandoned, u64::MAX - 1);
}

#[test]
fn bounds_that_cannot_work_are_refused_by_name() {
    let refused = |config: SequencerConfig| Sequencer::new(config).unwrap_err().name;
    for max_datagram in [1_199, 65_505] {
        assert_eq!(
            refused(SequencerConfig {
                max_datagram,
                ..config()
            }),
            "max_datagram"
        );
    }
    let heartbeat = std::time::Duration::from_micros(9);
    assert_eq!(
        refused(SequencerConfig {
            heartbeat,
            ..config()
        }),
        "heartbeat"
    );
}
