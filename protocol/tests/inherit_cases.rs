//! What does a stream, and its end of the pair, do when the conversion has taken over what the peer's remembers?
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod pair_support;
mod sequencer_support;

use pair_support::{Act, End, acts, talk};
use sequencer_support::{OPAQUE, Receiver, at, sequencer, start};
use twinfeed_protocol::digest::Context;
use twinfeed_protocol::pair::{PairLimits, PairState, Reason};
use twinfeed_protocol::{Body, EpochStart, Sequencer};
use twinfeed_wire::{DIGEST_RANGE, Epoch};

/// Ticks.
const SECOND: u64 = 100_000;

const COMPLETE: EpochStart = EpochStart {
    epoch: Epoch(7),
    first: 1,
    complete: true,
    predecessor: Epoch(6),
};

fn send(sequencer: &mut Sequencer, sseq: u64, out: &mut Receiver) {
    let body = Body {
        kind: OPAQUE,
        bytes: &sseq.to_le_bytes(),
    };
    sequencer.message(at(sseq), sseq, 5, [body].into_iter(), out);
}

/// A stream that began with number 100 of epoch 7 and has sent up to 104; 105 and 106 are silent.
fn late() -> (Sequencer, Receiver) {
    let (mut sequencer, mut out) = (sequencer(), Receiver::default());
    let incomplete = EpochStart {
        complete: false,
        ..start(7, 100, 0)
    };
    sequencer.begin_epoch(at(0), incomplete, &mut out);
    (100..=104).for_each(|sseq| send(&mut sequencer, sseq, &mut out));
    for silent in [105, 106] {
        sequencer.message(at(silent), silent, 5, [].into_iter(), &mut out);
    }
    sequencer.flush(at(106), &mut out);
    out.take();
    (sequencer, out)
}

#[test]
fn what_follows_says_that_it_is_of_the_complete_context() {
    let (mut sequencer, mut out) = late();
    assert!(!sequencer.is_complete());
    // The complete conversion made a record of number 105, say.
    assert!(sequencer.inherit(at(107), COMPLETE, 105, &mut out));
    send(&mut sequencer, 107, &mut out);
    sequencer.flush(at(108), &mut out);
    let sent = out.take();
    let beats = sent.iter().filter_map(|sent| sent.beat.as_ref());
    let prevs: Vec<_> = beats.map(|(beat, _)| (beat.prev, beat.next_sseq)).collect();
    assert_eq!(prevs[0], (104, 107), "the old context vouches for its tail");
    assert_eq!(prevs[1..], [(105, 107); 4], "the new one is announced");
    let record = &sent.last().unwrap().records[0];
    let id = Context::new(Epoch(7), 1).id();
    assert_eq!((record.sseq, record.prev, record.context), (107, 105, id.0));
    assert!(sequencer.is_complete());
    assert_eq!(sequencer.context_id(), Some(id));
    assert_eq!(sequencer.start().unwrap().predecessor, Epoch(6));
    assert_eq!(sequencer.upheavals(), 1);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let (mut sequencer, mut out) = late();
    let before = sequencer.context_id();
    let bad = [
        (
            EpochStart {
                epoch: Epoch(8),
                ..COMPLETE
            },
            105,
        ),
        (
            EpochStart {
                first: 0,
                ..COMPLETE
            },
            105,
        ),
        (
            EpochStart {
                first: 108,
                ..COMPLETE
            },
            107,
        ),
        (
            EpochStart {
                first: 50,
                ..COMPLETE
            },
            48,
        ),
        (COMPLETE, 107),
    ];
    for (start, prev) in bad {
        assert!(
            !sequencer.inherit(at(107), start, prev, &mut out),
            "{start:?}"
        );
    }
    assert_eq!(sequencer.context_id(), before);
    assert!(sequencer.inherit(
        at(107),
        EpochStart {
            first: 107,
            ..COMPLETE
        },
        106,
        &mut out
    ));
    assert!(
        !sequencer.inherit(at(107), COMPLETE, 105, &mut out),
        "complete already"
    );
}

#[test]
fn the_range_in_which_it_happens_is_not_reported() {
    let (mut sequencer, mut out) = late();
    assert!(sequencer.inherit(at(107), COMPLETE, 105, &mut out));
    let last = 3 * DIGEST_RANGE;
    (107..=last).for_each(|sseq| send(&mut sequencer, sseq, &mut out));
    sequencer.end_epoch(at(last), last + 1, &mut out);
    let ranges: Vec<u64> = out.digests().keys().map(|(_, range)| *range).collect();
    assert_eq!(ranges, [1, 2, 3]);
}

#[test]
fn a_backup_that_has_its_past_again_is_synchronised_in_mid_session() {
    let acts = acts(3_000);
    let limits = PairLimits::default();
    let mut ends = [End::new(1, 0, limits), End::new(2, 1_001, limits)];
    ends[0].grant(0, 1, true);
    ends[1].grant(0, 1, false);
    ends.iter_mut().for_each(|end| end.link_up(0));
    ends[1].begin(0, 7, 1_001, false);
    for second in 1..=20 {
        ends[0].work(second * SECOND, &acts, 60);
        ends[1].work(second * SECOND, &acts, 10);
        talk(second * SECOND, &mut ends);
    }
    assert_eq!(ends[1].pair.reason(), Reason::Context);
    let start = ends[0].sequencer.start().unwrap();
    let prev = ends[1].sequencer.prev().unwrap();
    let backup = &mut ends[1];
    assert!(
        backup
            .sequencer
            .inherit(pair_support::at(20 * SECOND), start, prev, &mut backup.out)
    );
    // It asks at once, and again after the usual pause of 100 ms, for the first answer may be about a record that it placed
    // in its old context; it does not wait as long as where only another epoch could help.
    for step in 0..12 {
        let tick = 20 * SECOND + step * SECOND / 50;
        ends[0].work(tick, &acts, 1);
        let behind = ends[0].done - ends[1].done;
        ends[1].work(tick, &acts, behind);
        talk(tick, &mut ends);
    }
    assert_eq!(ends[1].state(), PairState::Synchronised);
    assert!(ends.iter().all(End::is_protected));
    assert!(matches!(acts[0], Act::Begin(7)), "one epoch all the time");
}

#[test]
fn an_active_that_has_its_past_again_is_followed_by_its_backup() {
    let acts = acts(300);
    let mut ends = pair_support::synchronised(PairLimits::default(), &acts, 40);
    ends[0].loses = 2;
    for tick in 2..6 {
        ends.iter_mut().for_each(|end| end.work(tick, &acts, 5));
        talk(tick, &mut ends);
    }
    assert!(!ends[0].is_protected() && !ends[0].sequencer.is_complete());
    let start = ends[1].sequencer.start().unwrap();
    let prev = ends[1].sequencer.prev().unwrap();
    let active = &mut ends[0];
    assert!(
        active
            .sequencer
            .inherit(pair_support::at(6), start, prev, &mut active.out)
    );
    for tick in 6..12 {
        ends.iter_mut().for_each(|end| end.work(tick, &acts, 5));
        talk(tick, &mut ends);
    }
    assert!(ends.iter().all(End::is_protected));
}

const SNAPSHOT: EpochStart = EpochStart {
    complete: false,
    ..COMPLETE
};

#[test]
fn a_snapshot_outranks_what_began_in_mid_session_and_is_outranked_by_what_is_complete() {
    let (mut sequencer, mut out) = late();
    assert!(sequencer.lacks_a_snapshot(1));
    assert!(sequencer.inherit(at(107), SNAPSHOT, 106, &mut out));
    assert!(!sequencer.is_complete() && sequencer.is_of_snapshot());
    let of_snapshot = Context::of_snapshot(Epoch(7), 1).id();
    assert_eq!(sequencer.context_id(), Some(of_snapshot));
    send(&mut sequencer, 107, &mut out);
    sequencer.flush(at(108), &mut out);
    let sent = out.take();
    let header = sent.last().unwrap().header;
    // Of contexts that are incomplete the one with the lower first number outranks (RM-9a).
    assert_eq!((header.context, header.first), (of_snapshot, 1));
    assert!(!header.is_complete());
    assert_eq!(header.abandoned, 0);
    // Another one says no more.
    assert!(!sequencer.lacks_a_snapshot(1));
    assert!(!sequencer.inherit(at(109), SNAPSHOT, 107, &mut out));
    assert!(sequencer.inherit(at(109), COMPLETE, 107, &mut out));
    let complete = Context::new(Epoch(7), 1).id();
    assert_eq!(sequencer.context_id(), Some(complete));
    assert!(!sequencer.is_of_snapshot());
    assert!(!sequencer.inherit(at(109), SNAPSHOT, 107, &mut out));
}

#[test]
fn what_is_lost_behind_a_snapshot_another_one_knows() {
    let (mut sequencer, mut out) = late();
    assert!(sequencer.inherit(at(107), SNAPSHOT, 106, &mut out));
    sequencer.abandon(at(107), 107..110, &mut out);
    assert!(!sequencer.is_of_snapshot() && sequencer.lacks_a_snapshot(1));
    let with_a_hole = sequencer.context_id();
    assert!(sequencer.inherit(at(110), SNAPSHOT, 109, &mut out));
    assert_ne!(sequencer.context_id(), with_a_hole);
    assert!(sequencer.is_of_snapshot());
}

#[test]
fn a_snapshots_context_is_nobody_elses() {
    let ids = [
        Context::new(Epoch(7), 1).id(),
        Context::of_snapshot(Epoch(7), 1).id(),
        Context::of_snapshot(Epoch(8), 1).id(),
        Context::of_snapshot(Epoch(7), 2).id(),
        Context::new(Epoch(7), 2).id(),
    ];
    for (place, id) in ids.iter().enumerate() {
        assert!(!ids[..place].contains(id), "{place}");
    }
    // A range that was given up counts as ever.
    let (mut with_a_hole, mut twice) = (
        Context::of_snapshot(Epoch(7), 1),
        Context::of_snapshot(Epoch(7), 1),
    );
    with_a_hole.abandon(5..9);
    twice.abandon(5..7);
    twice.abandon(7..9);
    assert_ne!(with_a_hole.id(), ids[1]);
    assert_eq!(with_a_hole.id(), twice.id());
}
