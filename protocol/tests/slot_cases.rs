//! Where do the messages that wait in a sequencer go, when no slot comes for them? By hand.
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod pair_support;

use pair_support::{Act, End, acts, at, synchronised, talk};
use twinfeed_protocol::SequencerState;
use twinfeed_protocol::pair::{News, PairLimits, PairState, Reason, Said};
use twinfeed_protocol::sequencer::Numbering;
use twinfeed_wire::link::Cut;
use twinfeed_wire::{Adm, AdminId, AdminKind, Msn, StoredAdmin};

/// A backup with `count` messages that both agreed to place further on, and nobody else.
fn waiting(count: usize) -> [End; 2] {
    let acts = acts(100);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    for _ in 0..count {
        assert!(ends[0].originate(2));
    }
    talk(2, &mut ends);
    assert!(ends.iter().all(|end| end.sequencer.armed() == count));
    ends
}

#[test]
fn a_stream_that_ends_places_nothing_off_its_slot_and_says_what_it_leaves() {
    let mut ends = waiting(3);
    let active = &mut ends[0];
    active.sequencer.end_of_stream(at(3), &mut active.out);
    assert_eq!(active.sequencer.state(), SequencerState::Closed);
    assert!(
        active.out.placed.is_empty(),
        "the backup has them further on"
    );
    assert_eq!(active.sequencer.armed(), 0);
    assert_eq!(active.sequencer.counters().unplaced, 3);
    active.settle(4);
    let told = active.out.news.contains(&News::Dropped { messages: 3 });
    assert!(told, "{:?}", active.out.news);
    active.settle(5);
    let dropped = |news: &&News| matches!(news, News::Dropped { .. });
    assert_eq!(active.out.news.iter().filter(dropped).count(), 1, "once");
    // Whoever goes on places them where both agreed.
    let backup = &mut ends[1];
    backup.link_down(6, true);
    backup.grant(7, 2, true);
    backup.work(8, &acts(100), 60);
    assert_eq!(backup.out.placed.len(), 3);
}

#[test]
fn a_stream_that_ends_places_what_is_due() {
    let mut ends = waiting(0);
    let active = &mut ends[0];
    let id = AdminId {
        generation: active.pair.generation(),
        number: Adm(0),
    };
    let message = StoredAdmin::new(id, AdminKind::OperatorNotice, b"x").unwrap();
    let slot = active.sequencer.next_msn();
    assert!(active.sequencer.arm(slot, message, true));
    active.sequencer.end_of_stream(at(3), &mut active.out);
    assert_eq!(active.out.placed.len(), 1);
    assert_eq!(active.sequencer.counters().unplaced, 0);
}

#[test]
fn a_cut_from_the_end_of_all_numbers_is_not_taken_over() {
    for edge in 0..4 {
        let mut ends = waiting(0);
        let backup = &mut ends[1];
        let (last, _) = backup.sequencer.last_of_source().unwrap();
        let mut cut = Cut {
            sid: backup.sequencer.sid(),
            generation: backup.pair.generation(),
            number: 9,
            last,
            ..Cut::default()
        };
        match edge {
            0 => cut.last.msn = Msn(u64::MAX - 1),
            1 => cut.behind = u64::MAX - 1,
            2 => cut.adm = Adm(u64::MAX - 1),
            _ => cut.inherited = Adm(u64::MAX - 1),
        }
        backup.inbox.push_back((3, Said::Cut(cut)));
        backup.hear(3);
        assert_eq!(backup.state(), PairState::Unsynchronised);
        assert_eq!(backup.pair.reason(), Reason::Numbering);
        backup.work(4, &acts(100), 10);
        assert!(backup.sequencer.processed() < Msn(100));
    }
}

#[test]
fn at_the_last_of_all_numbers_nothing_hangs() {
    let mut ends = waiting(0);
    let backup = &mut ends[1];
    let last = Msn(u64::MAX - 1);
    let numbering = Numbering {
        generation: backup.sequencer.generation(),
        inherited: Adm(0),
        adm: Adm(0),
    };
    backup
        .sequencer
        .take_over(at(3), last, numbering, &mut backup.out);
    backup.work(3, &acts(100), 5);
    assert_eq!(backup.sequencer.next_msn(), Msn(u64::MAX));
}

/// Two epochs, the second of which has begun without a record.
fn two_epochs() -> Vec<Act> {
    let mut acts = acts(60);
    acts.push(Act::Begin(8));
    acts.extend((1..=60).map(|sseq| Act::Message(sseq, 1)));
    acts
}

#[test]
fn an_active_that_lost_something_beside_the_end_of_an_epoch_gives_a_cut_behind_it_only() {
    // The last message of the old epoch, the first of the new one.
    for (before, beside) in [(60, 2), (62, 1)] {
        let acts = two_epochs();
        let mut ends = synchronised(PairLimits::default(), &acts, before);
        ends[1].work(2, &acts, beside);
        ends[0].loses = 1;
        ends[0].work(2, &acts, beside);
        talk(2, &mut ends);
        let claims = ends.each_ref().map(End::is_protected);
        // What was lost before the beginning of the new epoch is behind both; what was lost in it is not.
        assert_eq!(claims, [before == 60; 2], "{before}");
        let processed = ends.each_ref().map(|end| end.sequencer.processed());
        assert!(before != 60 || processed[0] == processed[1]);
        for step in 0..30 {
            let tick = 3 + step * 1_000;
            ends.iter_mut().for_each(|end| end.work(tick, &acts, 1));
            talk(tick, &mut ends);
            if ends.iter().all(End::is_protected) {
                let processed = ends.each_ref().map(|end| end.sequencer.processed());
                assert_eq!(processed[0], processed[1], "{before} {tick}");
            }
        }
    }
}

#[test]
fn a_backup_that_lost_the_end_of_an_epoch_counts_from_nothing_before_it() {
    let acts = two_epochs();
    let mut ends = synchronised(PairLimits::default(), &acts, 60);
    ends[1].loses = 1;
    ends[1].work(2, &acts, 2);
    talk(2, &mut ends);
    assert!(!ends[1].is_protected());
    // The active stands in front of what the backup has lost, and says its numbering there.
    for tick in [110_000, 220_000] {
        ends.iter_mut().for_each(|end| end.settle(tick));
        talk(tick, &mut ends);
        assert!(!ends[1].is_protected(), "the two may not count alike");
    }
    for step in 0..30 {
        let tick = 330_000 + step * 20_000;
        ends[0].work(tick, &acts, if step == 0 { 3 } else { 1 });
        ends[1].work(tick, &acts, 1);
        talk(tick, &mut ends);
        if ends.iter().all(End::is_protected) {
            let processed = ends.each_ref().map(|end| end.sequencer.processed());
            assert_eq!(processed[0], processed[1], "{tick}");
        }
    }
    assert!(ends.iter().all(End::is_protected));
}

/// Two messages that both agreed to place in an epoch, which `ended` or not, and the acts up to the next one and in
/// it. The last ten messages of the first are still to come.
fn before_the_end(ended: bool) -> ([End; 2], Vec<Act>) {
    let mut acts = acts(60);
    acts.extend(ended.then_some(Act::End(61)));
    acts.push(Act::Begin(8));
    acts.extend((1..=60).map(|sseq| Act::Message(sseq, 1)));
    let mut ends = synchronised(PairLimits::default(), &acts, 51);
    for _ in 0..2 {
        assert!(ends[0].originate(2));
    }
    talk(2, &mut ends);
    assert!(ends.iter().all(|end| end.sequencer.armed() == 2));
    (ends, acts)
}

/// Where messages were placed: behind which number of which epoch, and whether alone.
fn places(end: &End) -> Vec<(u64, u64, bool)> {
    let placed = end.out.placed.values().flatten();
    placed.map(|it| (it.epoch, it.sseq, it.alone)).collect()
}

#[test]
fn what_an_epoch_that_ended_leaves_stands_behind_its_last_record() {
    let (mut ends, acts) = before_the_end(true);
    for end in &mut ends {
        for armed in [0, 1] {
            let slot = Msn(1_000 + armed);
            assert!(end.sequencer.reschedule(Adm(armed), slot, true));
        }
        end.work(3, &acts, 20);
    }
    talk(3, &mut ends);
    for end in &ends {
        assert_eq!(places(end), [(7, 60, false); 2]);
        assert!(end.is_protected());
    }
}

#[test]
fn who_does_not_know_how_an_epoch_ended_places_nothing_behind_what_it_has_of_it() {
    for loser in [0, 1] {
        for ended in [false, true] {
            let (mut ends, acts) = before_the_end(ended);
            ends[1 - loser].work(3, &acts, 20);
            ends[loser].done = 61 + usize::from(ended);
            let rest = ends[1 - loser].done - ends[loser].done;
            ends[loser].work(3, &acts, rest);
            let there = places(&ends[1 - loser]);
            assert!(there.iter().all(|&(epoch, ..)| epoch == 7), "{there:?}");
            // In front of the next epoch's first record, and that is behind every record of this one.
            assert_eq!(places(&ends[loser]), [(8, 0, false); 2]);
            talk(3, &mut ends);
            for step in 1..30 {
                let tick = 3 + step * 20_000;
                ends.iter_mut().for_each(|end| end.work(tick, &acts, 1));
                talk(tick, &mut ends);
                if ends.iter().all(End::is_protected) {
                    let processed = ends.each_ref().map(|end| end.sequencer.processed());
                    assert_eq!(processed[0], processed[1], "{loser} {ended} {tick}");
                }
            }
            assert!(ends.iter().all(End::is_protected), "{loser} {ended}");
            assert_eq!(ends[0].sequencer.adm(), ends[1].sequencer.adm());
        }
    }
}

#[test]
fn what_stands_behind_a_message_that_straddles_its_slot_stands_at_its_slot() {
    let mut acts = acts(39);
    acts.push(Act::Message(40, 30));
    acts.extend((41..=400).map(|sseq| Act::Message(sseq, 1)));
    let mut ends = synchronised(PairLimits::default(), &acts, 20);
    for tick in [151, 301] {
        ends.iter_mut().for_each(|end| end.work(tick, &acts, 10));
        talk(tick, &mut ends);
    }
    for _ in 0..2 {
        assert!(ends[0].originate(302));
    }
    talk(302, &mut ends);
    let slots: Vec<_> = ends[0].sequencer.waiting().map(|it| it.0.0).collect();
    assert!(
        slots.iter().all(|slot| (41..69).contains(slot)),
        "{slots:?}"
    );
    // The backup is ahead, and has placed both, when the link breaks and they meet again.
    ends[1].work(303, &acts, 20);
    assert_eq!(ends[1].out.placed.len(), 2);
    ends.iter_mut().for_each(|end| end.link_down(304, false));
    ends.iter_mut().for_each(|end| end.link_up(305));
    talk(305, &mut ends);
    assert!(ends.iter().all(End::is_protected));
    let refused = ends[0].pair.counters();
    assert_eq!((refused.late, refused.unsynchronised), (0, 0));
    ends[0].work(306, &acts, 200);
    assert_eq!(ends[0].out.placed, ends[1].out.placed);
    // And nothing else does.
    let backup = &ends[1].sequencer;
    let stands = |number, slot| backup.stands_for(Adm(number), Msn(slot));
    assert!(stands(0, 41) && stands(0, 70) && stands(1, 41) && stands(1, 71));
    assert!(!stands(0, 40), "in front of the message");
    assert!(!stands(0, 71) && !stands(1, 72) && !stands(2, 41));
}

#[test]
fn an_active_that_cannot_tell_its_numbering_yet_says_so_before_it_places_anything() {
    // A message with a record, and one without, whose loss moves no number.
    for parts in [1, 0] {
        let mut acts = acts(39);
        acts.push(Act::Message(40, parts));
        let mut ends = synchronised(PairLimits::default(), &acts, 40);
        ends[1].work(2, &acts, 1);
        ends[0].loses = 1;
        ends[0].work(2, &acts, 1);
        assert!(!ends[0].is_protected());
        assert!(ends[0].originate(3));
        assert!(ends[0].out.placed[&0][0].alone);
        let [active, backup] = &mut ends;
        pair_support::carry(3, 0, active, backup);
        backup.hear(3);
        assert_eq!(backup.state(), PairState::Unsynchronised);
        assert_eq!(backup.pair.reason(), Reason::Numbering);
        backup.link_down(4, true);
        backup.grant(5, 2, true);
        assert_eq!(pair_support::seamless(backup), Some(false));
    }
}
