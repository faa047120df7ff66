//! The pair's rules, by hand: two ends on one thread, every message of the link delivered when the case says so.
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod pair_support;

use pair_support::{Act, End, acts, at, carry, misplaced, pair, seamless, synchronised, talk};
use twinfeed_protocol::pair::{
    Answer, Intent, News, PairLimits, PairState, Reason, Refusal, Said, Verdict,
};
use twinfeed_wire::{Adm, AdminId, AdminKind, Epoch, Generation, Msn, Sid, StoredAdmin};

/// The backup's answer to an announcement for slot `a` when it has processed `b`.
fn verdict(a: u64, b: u64, threshold: u64) -> Answer {
    let limits = PairLimits {
        sync_threshold: threshold,
        ..PairLimits::default()
    };
    let acts = acts(b.max(1) + 10);
    // One record is the least that a numbering can be taken over at.
    let mut ends = synchronised(limits, &acts, 2);
    if b == 0 {
        // As after a takeover: the numbering begins behind what was processed.
        for end in &mut ends {
            let Generation(generation) = end.pair.generation();
            let active = end.state() == PairState::Active;
            end.grant(1, generation + 1, active);
        }
        talk(1, &mut ends);
        assert_eq!(ends[1].state(), PairState::Synchronised);
    } else {
        ends[1].work(2, &acts, b as usize - 1);
    }
    let backup = &mut ends[1];
    assert_eq!(backup.sequencer.processed(), Msn(b));
    let id = AdminId {
        generation: backup.pair.generation(),
        number: Adm(0),
    };
    let intent = Intent {
        sid: Sid(1),
        generation: backup.pair.generation(),
        epoch: Epoch(7),
        began: Msn(0),
        slot: Msn(a),
        attempt: 1,
        hold: false,
        message: StoredAdmin::new(id, AdminKind::OperatorNotice, b"x").unwrap(),
    };
    backup.inbox.push_back((2, Said::Intent(Box::new(intent))));
    backup.hear(2);
    let mut answers = backup.out.said.iter().filter_map(|said| match said {
        Said::Answer(answer) => Some(*answer),
        _ => None,
    });
    let answer = answers.next_back().unwrap();
    let armed = backup.sequencer.armed() == 1 || backup.sequencer.adm() == Adm(1);
    assert_eq!(
        armed,
        answer.verdict == Verdict::Capable,
        "armed iff agreed"
    );
    answer
}

#[test]
fn the_backup_answers_by_the_strict_rule_end_to_end() {
    for (a, b, threshold, expected) in [
        // B = A − 1, B = A, one beyond.
        (20, 19, 10, Verdict::Capable),
        (20, 20, 10, Verdict::Late),
        (20, 21, 10, Verdict::Late),
        // A − B = T, one more.
        (20, 10, 10, Verdict::Capable),
        (20, 9, 10, Verdict::Far),
        // T = 0.
        (20, 19, 0, Verdict::Far),
        (20, 20, 0, Verdict::Late),
        // Nothing processed yet in this numbering.
        (1, 0, 1, Verdict::Capable),
        (10, 0, 10, Verdict::Capable),
        (11, 0, 10, Verdict::Far),
    ] {
        let answer = verdict(a, b, threshold);
        assert_eq!(
            answer.verdict, expected,
            "A = {a}, B = {b}, T = {threshold}"
        );
        assert_eq!(answer.processed, Msn(b), "B is latched");
    }
}

#[test]
fn a_message_stands_at_the_same_place_whoever_is_ahead() {
    for (ahead, behind) in [(60, 40), (40, 60), (50, 50)] {
        let acts = acts(200);
        let mut ends = synchronised(PairLimits::default(), &acts, 40);
        ends[0].work(2, &acts, ahead - 40);
        ends[1].work(2, &acts, behind - 40);
        talk(2, &mut ends);
        assert!(ends[0].originate(3));
        talk(3, &mut ends);
        assert!(ends[0].out.placed.is_empty(), "its slot lies ahead");
        for end in &mut ends {
            end.work(4, &acts, 200);
        }
        talk(4, &mut ends);
        assert_eq!(ends[0].out.placed, ends[1].out.placed, "{ahead} {behind}");
        assert_eq!(ends[0].out.placed.len(), 1);
        assert!(ends.iter().all(End::is_protected));
        assert_eq!(ends[0].out.records, ends[1].out.records);
    }
}

#[test]
fn several_wait_in_adjacent_slots_and_keep_their_order() {
    let acts = acts(200);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    for _ in 0..5 {
        assert!(ends[0].originate(3));
    }
    talk(3, &mut ends);
    assert_eq!(ends[1].sequencer.armed(), 5);
    for end in &mut ends {
        end.work(4, &acts, 200);
    }
    talk(4, &mut ends);
    assert_eq!(ends[0].out.placed.len(), 5);
    assert_eq!(ends[0].out.placed, ends[1].out.placed);
    let places: Vec<_> = ends[0].out.placed.values().map(|it| it[0].sseq).collect();
    assert!(
        places.windows(2).all(|pair| pair[0] <= pair[1]),
        "{places:?}"
    );
}

#[test]
fn a_backup_that_passed_the_slot_gets_another_one() {
    let acts = acts(400);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].originate(2));
    // It runs on before the announcement arrives.
    ends[1].work(2, &acts, 100);
    talk(2, &mut ends);
    assert_eq!(ends[0].pair.counters().late, 1);
    assert_eq!(ends[0].pair.counters().announced_again, 1);
    for end in &mut ends {
        end.work(4, &acts, 400);
    }
    talk(4, &mut ends);
    assert_eq!(ends[0].out.placed.len(), 1);
    assert_eq!(ends[0].out.placed, ends[1].out.placed);
    assert_eq!(ends[0].pair.counters().placed_alone, 0);
    assert!(ends.iter().all(End::is_protected));
}

#[test]
fn what_was_agreed_to_is_dropped_with_the_step_and_counted() {
    let acts = acts(400);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].originate(2));
    talk(2, &mut ends);
    assert_eq!(ends[1].sequencer.armed(), 1);
    for end in &mut ends {
        end.link_down(3, false);
        end.work(4, &acts, 200);
    }
    let dropped = |end: &End| (end.out.placed.len(), end.pair.counters().dropped);
    assert_eq!(dropped(&ends[0]), (1, 0), "the active keeps its word");
    assert_eq!(dropped(&ends[1]), (0, 1), "whoever follows it is told so");
}

#[test]
fn what_is_placed_before_the_answer_is_said_to_be_alone_until_the_answer_agrees() {
    let acts = acts(400);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].originate(2));
    ends[0].work(2, &acts, 100);
    let placed = &ends[0].out.placed[&0][0];
    assert!(placed.alone, "said by the datagram that carries it");
    assert!(!ends[0].is_protected());
    talk(2, &mut ends);
    assert_eq!(
        ends[1].sequencer.armed(),
        1,
        "the slot still lay ahead of the backup"
    );
    assert!(ends[0].is_protected(), "a late agreement is an agreement");
    ends[1].work(3, &acts, 100);
    assert!(misplaced(&ends[0], &ends[1]).is_empty());
    assert_eq!(ends[1].out.placed.len(), 1);
}

#[test]
fn who_lacks_a_message_knows_it_and_takes_the_numbering_over_again() {
    let acts = acts(400);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].originate(2));
    for end in &mut ends {
        end.work(2, &acts, 100);
    }
    assert_eq!(ends[0].out.placed.len(), 1);
    talk(2, &mut ends);
    assert_eq!(ends[0].pair.counters().late, 1);
    assert!(ends[1].out.placed.is_empty());
    assert_eq!(ends[1].state(), PairState::Synchronised, "again");
    assert_eq!(ends[1].pair.counters().aligned, 2);
    assert!(ends.iter().all(End::is_protected));
    for end in &mut ends {
        end.work(3, &acts, 100);
    }
    let last = ends[0].out.records.last_key_value();
    assert_eq!(last, ends[1].out.records.last_key_value());
    assert_eq!(last.map(|(_, adm)| *adm), Some(1));
}

#[test]
fn a_backup_that_did_not_notice_that_the_link_was_down_is_given_the_numbering_unasked() {
    let acts = acts(400);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    // The active alone saw another connection in place of the one before; what it said in between is lost.
    ends[0].link_down(2, false);
    assert!(ends[0].originate(2));
    ends[0].work(2, &acts, 100);
    ends[0].out.said.clear();
    ends[0].link_up(3);
    ends[1].work(3, &acts, 100);
    assert_eq!(ends[1].state(), PairState::Synchronised, "it knows nothing");
    assert!(!ends[0].is_protected());
    let aligned = ends[1].pair.counters().aligned;
    for tick in [2_000, 20_000, 40_000] {
        for end in &mut ends {
            end.settle(tick);
        }
        talk(tick, &mut ends);
    }
    assert!(ends[1].pair.counters().aligned > aligned, "a cut was given");
    assert_eq!(ends[1].pair.counters().diverged, 0, "before it was needed");
    assert!(ends.iter().all(End::is_protected));
}

#[test]
fn two_that_heard_an_epoch_begin_are_in_step_before_its_first_record() {
    let acts = acts(400);
    let mut ends = synchronised(PairLimits::default(), &acts, 1);
    assert!(ends[0].originate(2), "before the first record, too");
    talk(2, &mut ends);
    for end in &mut ends {
        end.work(3, &acts, 100);
    }
    assert!(ends.iter().all(End::is_protected));
    assert_eq!(ends[0].out.placed.len(), 1);
    assert_eq!(misplaced(&ends[0], &ends[1]), []);
    let last = ends[0].out.records.last_key_value();
    assert_eq!(last, ends[1].out.records.last_key_value());
}

#[test]
fn a_backup_that_is_ahead_takes_the_numbering_over_at_the_beginning() {
    let acts = acts(400);
    let mut ends = pair(PairLimits::default());
    ends[0].work(1, &acts, 1);
    ends[1].work(1, &acts, 50);
    talk(1, &mut ends);
    assert_eq!(ends[1].state(), PairState::Synchronised);
    assert_eq!(ends[1].sequencer.processed(), Msn(49));
    ends[0].work(2, &acts, 49);
    assert_eq!(ends[0].sequencer.processed(), Msn(49));
    assert_eq!(
        ends[0].sequencer.last_placed(),
        ends[1].sequencer.last_placed()
    );
}

#[test]
fn a_backup_that_heard_another_beginning_is_not_in_step_by_it() {
    let mut ends = pair(PairLimits::default());
    ends[0].begin(1, 7, 1, true);
    ends[1].begin(1, 7, 5, false);
    for tick in [1, 20_000, 40_000] {
        for end in &mut ends {
            end.settle(tick);
        }
        talk(tick, &mut ends);
    }
    assert_eq!(ends[1].pair.counters().aligned, 0);
    assert_ne!(ends[1].state(), PairState::Synchronised);
}

#[test]
fn a_refused_backup_whose_active_dies_is_no_seamless_successor() {
    let acts = acts(400);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].originate(2));
    for end in &mut ends {
        end.work(2, &acts, 100);
    }
    let [active, backup] = &mut ends;
    carry(2, 0, active, backup);
    backup.hear(2);
    backup.link_down(3, true);
    assert_eq!(backup.state(), PairState::Unpaired);
    assert!(backup.out.unsynchronised);
    backup.grant(4, 2, true);
    let opened = backup.out.news.iter().find_map(|news| match news {
        News::Opened { seamless, .. } => Some(*seamless),
        _ => None,
    });
    assert_eq!(opened, Some(false));
}

#[test]
fn what_was_agreed_is_placed_after_the_active_died_before_its_slot() {
    for granted_first in [true, false] {
        let acts = acts(400);
        let mut ends = synchronised(PairLimits::default(), &acts, 40);
        assert!(ends[0].originate(2));
        assert!(ends[0].originate(2));
        talk(2, &mut ends);
        assert!(ends[0].out.placed.is_empty());
        // The slots, by the place at which the active would have put them.
        let mut twin = synchronised(PairLimits::default(), &acts, 40);
        twin[0].originate(2);
        twin[0].originate(2);
        talk(2, &mut twin);
        twin[0].work(3, &acts, 400);
        let backup = &mut ends[1];
        backup.link_down(3, true);
        assert_eq!(backup.state(), PairState::TakingOver);
        assert!(backup.out.news.contains(&News::WantsGeneration));
        if granted_first {
            backup.grant(3, 2, true);
        }
        backup.work(4, &acts, 400);
        if !granted_first {
            backup.grant(5, 2, true);
        }
        assert_eq!(backup.sequencer.inherited(), Adm(2));
        assert!(
            misplaced(&twin[0], backup).is_empty(),
            "{:?}",
            backup.out.placed
        );
        assert_eq!(backup.out.placed.len(), 2);
        assert_eq!(backup.out.placed[&0][0].generation, 1, "its origin stays");
        assert!(
            backup.originate(6),
            "and it goes on under its own generation"
        );
        backup.settle(6);
        assert_eq!(backup.out.placed[&2][0].generation, 2);
    }
}

#[test]
fn what_waits_at_the_end_of_an_epoch_follows_its_last_record() {
    let mut acts = acts(60);
    acts.push(Act::End(61));
    acts.push(Act::Begin(8));
    acts.extend((1..=60).map(|sseq| Act::Message(sseq, 1)));
    for (first, second) in [(0, 1), (1, 0)] {
        let mut ends = synchronised(PairLimits::default(), &acts, 58);
        ends[0].work(201, &acts, 1);
        ends[1].work(201, &acts, 1);
        for _ in 0..6 {
            assert!(ends[0].originate(202));
        }
        talk(202, &mut ends);
        ends[first].work(203, &acts, 3);
        talk(203, &mut ends);
        ends[second].work(204, &acts, 3);
        talk(204, &mut ends);
        for end in &mut ends {
            end.work(205, &acts, 60);
        }
        talk(205, &mut ends);
        assert_eq!(ends[0].out.placed.len(), 6);
        assert_eq!(ends[0].out.placed, ends[1].out.placed);
        assert!(ends[0].out.placed.values().all(|it| it[0].epoch == 7));
    }
}

#[test]
fn a_slot_in_an_epoch_that_the_backup_has_left_or_not_reached_is_refused() {
    let mut acts = acts(60);
    acts.push(Act::Begin(8));
    acts.extend((1..=60).map(|sseq| Act::Message(sseq, 1)));
    for (active, backup, verdict) in [(50, 80, Verdict::Late), (80, 50, Verdict::Far)] {
        let mut ends = synchronised(PairLimits::default(), &acts, 40);
        ends[0].work(2, &acts, active - 40);
        ends[1].work(2, &acts, backup - 40);
        assert!(ends[0].originate(3));
        let [one, other] = &mut ends;
        carry(3, 0, one, other);
        other.hear(3);
        let answer = other.out.news.iter().find_map(|news| match news {
            News::Decided(answer) => Some(answer.verdict),
            _ => None,
        });
        assert_eq!(answer, Some(verdict));
        for end in &mut ends {
            end.work(4, &acts, 200);
        }
        talk(4, &mut ends);
        talk(2_000, &mut ends);
        assert!(ends.iter().all(End::is_protected));
    }
}

/// Where the last records of an epoch came to one end only, the same msn is not the same place in the next one, although
/// neither noticed that it lost anything.
#[test]
fn no_slot_is_agreed_to_where_unequal_tails_were_lost() {
    let mut acts = acts(60);
    let next_epoch = acts.len();
    acts.push(Act::Begin(8));
    acts.extend((1..=200).map(|sseq| Act::Message(sseq, 1)));
    for (short, whole) in [(0, 1), (1, 0)] {
        let mut ends = synchronised(PairLimits::default(), &acts, 40);
        ends[whole].work(2, &acts, next_epoch - 40);
        ends[short].work(2, &acts, 15);
        ends[short].done = next_epoch;
        for end in &mut ends {
            end.work(3, &acts, 30);
            // Whatever was said on the way does not come in time.
            end.out.said.clear();
        }
        assert_ne!(ends[0].sequencer.processed(), ends[1].sequencer.processed());
        assert!(ends[0].originate(4));
        let intents = |said: &Said| matches!(said, Said::Intent(_));
        ends[0].out.said.retain(intents);
        let [one, other] = &mut ends;
        carry(4, 0, one, other);
        other.hear(4);
        let answer = other.out.news.iter().find_map(|news| match news {
            News::Decided(answer) => Some(answer.verdict),
            _ => None,
        });
        assert_eq!(answer, Some(Verdict::Unsynchronised), "short: {short}");
        assert!(!other.is_protected());
        // They count alike again, and what is ordered then stands at one place.
        for tick in [5, 2_000, 20_000, 40_000] {
            ends.iter_mut().for_each(|end| end.settle(tick));
            talk(tick, &mut ends);
        }
        assert!(ends.iter().all(End::is_protected));
        assert!(ends[0].originate(40_001));
        talk(40_001, &mut ends);
        for end in &mut ends {
            end.work(40_002, &acts, 200);
        }
        assert_eq!(ends[1].out.placed[&1], ends[0].out.placed[&1]);
    }
}

/// Who lost a tail, took the numbering over in the next epoch, and was in step when the one after that began.
#[test]
fn beginnings_are_compared_only_where_both_saw_them_in_one_numbering() {
    let mut acts = acts(60);
    for epoch in [8, 9] {
        acts.push(Act::Begin(epoch));
        acts.extend((1..=100).map(|sseq| Act::Message(sseq, 1)));
    }
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    ends[0].work(2, &acts, 21);
    ends[1].done = 61;
    for end in &mut ends {
        end.work(3, &acts, 50);
    }
    for tick in [2_000, 20_000, 40_000] {
        ends.iter_mut().for_each(|end| end.settle(tick));
        talk(tick, &mut ends);
    }
    assert!(ends.iter().all(End::is_protected));
    let diverged = ends.each_ref().map(|end| end.pair.counters().diverged);
    assert_eq!(diverged.iter().sum::<u64>(), 1);
    for (number, tick) in [(0, 40_001), (1, 40_002)] {
        // In the epoch in which the numbering was taken over, and in the next one.
        assert!(ends[0].originate(tick));
        talk(tick, &mut ends);
        let decided = ends[1].out.news.iter().rev().find_map(|news| match news {
            News::Decided(answer) => Some((answer.number.0, answer.verdict)),
            _ => None,
        });
        assert_eq!(decided, Some((number, Verdict::Capable)));
        for end in &mut ends {
            end.work(tick, &acts, 90);
        }
    }
    assert_eq!(ends[0].sequencer.epoch(), Some(Epoch(9)));
    assert_eq!(ends[0].out.placed, ends[1].out.placed);
}

/// What the active placed alone in an epoch counts in its numbering; who takes that over within the epoch did not see it begin in it.
#[test]
fn a_numbering_that_is_taken_over_within_an_epoch_does_not_say_where_that_began() {
    let mut acts = acts(60);
    acts.push(Act::Begin(8));
    acts.extend((1..=300).map(|sseq| Act::Message(sseq, 1)));
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    for end in &mut ends {
        end.work(2, &acts, 30);
        end.link_down(2, false);
    }
    assert!(ends[0].originate(3));
    for end in &mut ends {
        end.work(3, &acts, 30);
        end.out.said.clear();
        end.link_up(4);
    }
    assert_eq!(ends[0].out.placed.len(), 1, "alone");
    for tick in [5, 2_000, 20_000] {
        ends.iter_mut().for_each(|end| end.settle(tick));
        talk(tick, &mut ends);
    }
    assert!(ends.iter().all(End::is_protected));
    assert!(ends[0].originate(20_001));
    talk(20_001, &mut ends);
    assert_eq!(ends[1].pair.counters().capable, 1);
    assert_eq!(ends[1].pair.counters().unsynchronised, 0);
    assert!(ends[1].is_protected());
}

/// The cut's place lies in the epoch before, and the backup lost the end of that behind it: what was announced in the next epoch
/// while it sought the place is not agreed to.
#[test]
fn what_was_announced_behind_a_cut_is_compared_with_where_its_epoch_began() {
    let mut acts = acts(60);
    let next_epoch = acts.len();
    acts.push(Act::Begin(8));
    acts.extend((1..=200).map(|sseq| Act::Message(sseq, 1)));
    let mut ends = pair(PairLimits::default());
    ends[0].work(1, &acts, 50);
    ends[1].work(1, &acts, 40);
    talk(1, &mut ends);
    assert_eq!(ends[1].state(), PairState::Resyncing, "its place is ahead");
    ends[0].work(2, &acts, next_epoch - 50 + 30);
    assert!(ends[0].originate(2));
    let [one, other] = &mut ends;
    let intents = |said: &Said| matches!(said, Said::Intent(_));
    one.out.said.retain(intents);
    carry(2, 0, one, other);
    other.hear(2);
    other.convert(3, &acts, 12);
    other.done = next_epoch;
    other.work(3, &acts, 25);
    let answer = other.out.news.iter().find_map(|news| match news {
        News::Decided(answer) => Some(*answer),
        _ => None,
    });
    let answer = answer.unwrap();
    assert!(answer.processed < answer.slot, "not too late: {answer:?}");
    assert_eq!(answer.verdict, Verdict::Unsynchronised);
    assert!(!other.is_protected());
}

#[test]
fn a_backup_that_began_later_is_never_synchronised_by_accident() {
    let mut all = acts(3_000);
    all.push(Act::Begin(8));
    all.extend((1..=60).map(|sseq| Act::Message(sseq, 1)));
    let limits = PairLimits::default();
    let mut ends = [End::new(1, 0, limits), End::new(2, 1_001, limits)];
    ends[0].grant(0, 1, true);
    ends[1].grant(0, 1, false);
    ends.iter_mut().for_each(|end| end.link_up(0));
    ends[1].begin(0, 7, 1_001, false);
    for tick in 1..=20 {
        ends[0].work(tick * 100_000, &all, 100 + 60);
        ends[1].work(tick * 100_000, &all, 90);
        talk(tick * 100_000, &mut ends);
        assert_ne!(ends[1].state(), PairState::Synchronised, "{tick}");
        assert!(ends[1].out.unsynchronised && !ends[0].is_protected());
    }
    assert_eq!(ends[1].pair.reason(), Reason::Context);
    // The next epoch is one that both know from its beginning.
    for tick in 21..40 {
        for end in &mut ends {
            end.work(tick * 100_000, &all, 200);
        }
        talk(tick * 100_000, &mut ends);
    }
    assert!(ends.iter().all(End::is_protected));
}

#[test]
fn nobody_originates_without_the_generation_and_its_lease() {
    let acts = acts(100);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    let originate = |end: &mut End, tick| {
        end.pair.originate(
            at(tick),
            AdminKind::OperatorNotice,
            b"x",
            &mut end.sequencer,
            &mut end.out,
        )
    };
    assert_eq!(originate(&mut ends[1], 2), Err(Refusal::NotActive));
    let lease = (Generation(1), true, at(5).time);
    let end = &mut ends[0];
    end.pair
        .on_grant(at(2), lease, &mut end.sequencer, &mut end.out);
    assert!(originate(end, 4).is_ok());
    assert_eq!(originate(end, 5), Err(Refusal::NoAuthority));
    let long = [0; 1_025];
    let lease = (Generation(1), true, at(500).time);
    end.pair
        .on_grant(at(5), lease, &mut end.sequencer, &mut end.out);
    let kind = AdminKind::OperatorNotice;
    let refused = end
        .pair
        .originate(at(5), kind, &long, &mut end.sequencer, &mut end.out);
    assert_eq!(refused, Err(Refusal::Payload));
}

#[test]
fn an_old_active_is_fenced_by_the_generation_that_replaced_it() {
    let acts = acts(400);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    // Both think they are active: the link was cut and the other one got a generation.
    ends.iter_mut().for_each(|end| end.link_down(2, false));
    assert_eq!(ends[1].state(), PairState::Unsynchronised);
    ends[1].grant(3, 2, true);
    assert!(ends[0].originate(4) && ends[1].originate(4));
    for end in &mut ends {
        end.work(5, &acts, 50);
    }
    assert_eq!(ends[0].out.placed[&0][0].generation, 1);
    assert_eq!(ends[1].out.placed[&0][0].generation, 2);
    ends[0].grant(6, 2, false);
    ends.iter_mut().for_each(|end| end.link_up(6));
    ends.iter_mut().for_each(|end| end.settle(7));
    talk(7, &mut ends);
    assert_eq!(ends[0].state(), PairState::Synchronised);
    assert!(!ends[0].originate(8) && ends[1].originate(8));
    talk(8, &mut ends);
    for end in &mut ends {
        end.work(9, &acts, 400);
    }
    talk(9, &mut ends);
    assert_eq!(ends[0].out.placed[&1], ends[1].out.placed[&1]);
}

#[test]
fn what_a_backup_said_of_itself_before_it_took_over_the_last_cut_does_not_count() {
    let acts = acts(400);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].originate(2));
    for end in &mut ends {
        end.work(2, &acts, 100);
    }
    let [active, backup] = &mut ends;
    // The backup reports, and only then learns that it lacks a message.
    let hold = 2_000;
    backup.settle(hold);
    let reported = backup.out.said.iter().any(|said| match said {
        Said::Report(report) => report.synchronised,
        _ => false,
    });
    assert!(reported);
    let late: Vec<Said> = backup.out.said.drain(..).collect();
    carry(hold, 0, active, backup);
    backup.hear(hold);
    carry(hold, 0, backup, active);
    active.hear(hold);
    assert!(!active.is_protected(), "a cut is on its way");
    active
        .inbox
        .extend(late.into_iter().map(|said| (hold, said)));
    active.hear(hold);
    assert!(
        !active.is_protected(),
        "that was said of the numbering before"
    );
    talk(hold, &mut ends);
    assert!(ends[0].is_protected());
}

#[test]
fn what_was_agreed_with_a_dead_active_is_never_moved() {
    let acts = acts(400);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    for end in &mut ends {
        end.work(201, &acts, 60);
        end.work(301, &acts, 60);
    }
    talk(301, &mut ends);
    assert!(ends[0].originate(302));
    talk(302, &mut ends);
    ends[0].work(303, &acts, 400);
    let backup = &mut ends[1];
    backup.link_down(304, true);
    backup.grant(305, 2, true);
    assert_eq!(seamless(backup), Some(true));
    // It goes on slowly, and for a long time not at all.
    backup.work(306, &acts, 1);
    backup.settle(9_000);
    backup.work(9_001, &acts, 1);
    backup.settle(99_000);
    backup.work(99_001, &acts, 400);
    assert!(misplaced(&ends[0], &ends[1]).is_empty());
    assert_eq!(ends[1].out.placed.len(), 1);
}

#[test]
fn two_refused_and_one_agreed_to_later_leave_one_lacking() {
    let acts = acts(400);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].originate(2) && ends[0].originate(2));
    ends[1].work(2, &acts, 20);
    let [active, backup] = &mut ends;
    carry(2, 0, active, backup);
    backup.hear(2);
    assert!(!backup.is_protected());
    // The active hears of the first refusal only, announces that message again, and places the second one.
    let answers: Vec<Said> = backup.out.said.drain(..).collect();
    active.inbox.push_back((3, answers[0].clone()));
    active.hear(3);
    active.work(4, &acts, 60);
    assert_eq!(active.out.placed.len(), 2);
    carry(4, 0, active, backup);
    backup.hear(4);
    assert!(!backup.is_protected(), "it lacks the second one");
    backup.link_down(5, true);
    backup.grant(6, 2, true);
    assert_eq!(seamless(backup), Some(false));
}

#[test]
fn a_grant_to_a_backup_whose_link_was_not_read_to_its_end_is_not_seamless() {
    let acts = acts(100);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    ends[1].grant(2, 2, true);
    assert_eq!(seamless(&ends[1]), Some(false));
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    ends[1].link_down(2, true);
    ends[1].grant(3, 3, true);
    assert_eq!(
        seamless(&ends[1]),
        Some(false),
        "somebody else was active in between"
    );
}

#[test]
fn a_numbering_that_begins_behind_administrative_messages_begins_at_one() {
    let acts = acts(100);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].originate(2));
    talk(2, &mut ends);
    // Up to the slot and no further: the message is the last that both have.
    for end in &mut ends {
        while end.out.placed.is_empty() {
            end.work(3, &acts, 1);
        }
    }
    talk(4_000, &mut ends);
    assert_eq!(ends[0].sequencer.processed(), ends[1].sequencer.processed());
    for end in &mut ends {
        let active = end.state() == PairState::Active;
        end.grant(40_001, 2, active);
    }
    talk(40_001, &mut ends);
    assert!(ends.iter().all(End::is_protected));
    assert_eq!(ends[0].sequencer.processed(), ends[1].sequencer.processed());
    for end in &mut ends {
        end.work(40_002, &acts, 10);
    }
    let last = ends.each_ref().map(|end| end.sequencer.last_placed());
    assert_eq!(last[0], last[1]);
}

#[test]
fn a_hole_at_the_backup_alone_ends_the_agreement_before_it_is_relied_on() {
    let acts = acts(200);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].originate(2));
    talk(2, &mut ends);
    ends[1].loses = 2;
    ends[1].work(3, &acts, 20);
    assert!(!ends[1].is_protected() && ends[1].out.unsynchronised);
    ends[1].link_down(4, true);
    ends[1].grant(5, 2, true);
    assert_eq!(seamless(&ends[1]), Some(false));
}
