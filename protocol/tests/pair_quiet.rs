//! A message whose slot a quiet feed does not reach, by hand: proposed, refused, settled.
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod pair_support;

use pair_support::quiet::{
    AGREED, DUE, PATIENCE, agreed, answer, both_go_on, first_slot, hand_over, holding, proposal,
    settled,
};
use pair_support::{End, acts, at, misplaced, synchronised, talk};
use twinfeed_protocol::pair::{Intent, PairLimits, PairState, Said, Settled, Verdict};
use twinfeed_wire::{Adm, AdminId, AdminKind, Epoch, Generation, Msn, StoredAdmin};

#[test]
fn on_a_quiet_feed_a_message_is_placed_by_both_at_the_next_slot() {
    let acts = acts(400);
    let mut ends = agreed(1, &acts);
    ends[0].settle(DUE - 1);
    assert_eq!(proposal(&ends[0]), None, "its slot may still be reached");
    ends[0].out.said.clear();
    let due = ends[0].pair.next_deadline();
    assert_eq!(due, Some(at(DUE).time), "nothing else would wake it");
    ends[0].settle(DUE);
    let proposed = proposal(&ends[0]).unwrap();
    assert_eq!(proposed.slot, ends[0].sequencer.next_msn());
    assert_eq!(proposed.attempt, 2);
    assert!(first_slot(&ends[0]).unwrap() > proposed.slot, "in force");
    talk(DUE, &mut ends);
    assert_eq!(ends[0].out.placed, ends[1].out.placed);
    assert_eq!(ends[0].out.placed[&0][0].sseq, 39);
    assert!(!ends[0].out.placed[&0][0].alone && !ends[1].out.placed[&0][0].alone);
    assert_eq!(
        ends[0].out.committed_first,
        [0],
        "said before it was handed to the socket"
    );
    assert!(!ends[1].pair.is_holding());
    let counters = ends.each_ref().map(|end| *end.pair.counters());
    assert_eq!((counters[0].proposed, counters[0].committed), (1, 1));
    assert_eq!((counters[1].held, counters[1].hold_expired), (1, 0));
    assert_eq!(counters[0].announced_again, 0, "a proposal is no attempt");
    both_go_on(DUE + 1, &acts, &mut ends);
    assert_eq!(ends[1].pair.counters().aligned, 1, "in step all the time");
    assert_eq!(ends[0].out.records, ends[1].out.records);
}

#[test]
fn what_cannot_be_committed_to_in_time_stays_at_its_slot_and_is_proposed_again() {
    let acts = acts(400);
    let mut ends = agreed(1, &acts);
    let slot = first_slot(&ends[0]);
    ends[0].out.cannot_commit = true;
    let [active, backup] = &mut ends;
    active.settle(DUE);
    hand_over(active, backup, DUE);
    assert!(backup.pair.is_holding());
    hand_over(backup, active, DUE);
    assert_eq!(settled(active), [false], "the backup need not wait");
    assert!(
        active.out.placed.is_empty(),
        "what was not said is not done"
    );
    assert_eq!(active.pair.counters().committed, 0);
    assert_eq!(first_slot(active), slot);
    hand_over(active, backup, DUE);
    assert!(!backup.pair.is_holding());
    assert_eq!(first_slot(backup), slot);
    active.out.cannot_commit = false;
    let again = DUE + PATIENCE;
    ends[0].settle(again);
    talk(again, &mut ends);
    assert_eq!(ends[0].out.placed, ends[1].out.placed);
    assert_eq!(ends[0].out.placed[&0][0].sseq, 39);
    assert_eq!(ends[0].pair.counters().committed, 1);
    assert_eq!(ends[1].pair.counters().aligned, 1, "in step all the time");
}

#[test]
fn a_backup_that_does_not_stand_in_front_of_the_slot_refuses_and_nothing_changes() {
    for (ahead, verdict) in [(1, Verdict::Late), (-1, Verdict::Far)] {
        let acts = acts(400);
        let mut ends = agreed(1, &acts);
        ends[usize::from(ahead > 0)].work(DUE - 1, &acts, 1);
        ends.iter_mut().for_each(|end| end.out.said.clear());
        let slot = first_slot(&ends[0]);
        let [active, backup] = &mut ends;
        active.settle(DUE);
        hand_over(active, backup, DUE);
        assert_eq!(answer(backup).unwrap().verdict, verdict);
        assert!(!backup.pair.is_holding() && backup.is_protected());
        hand_over(backup, active, DUE);
        assert_eq!(settled(active), [false; 0]);
        assert!(active.is_protected() && !active.out.unsynchronised);
        assert_eq!((first_slot(active), first_slot(backup)), (slot, slot));
        assert_eq!(active.pair.counters().hold_refused, 1);
        assert_eq!(backup.state(), PairState::Synchronised);
        // Not at once again, and not never.
        active.settle(DUE + PATIENCE - 1);
        assert_eq!(proposal(active), None);
        let again = active.pair.next_deadline();
        assert!(again <= Some(at(DUE + PATIENCE).time));
        active.settle(DUE + PATIENCE);
        assert_eq!(proposal(active).unwrap().attempt, 3);
        active.out.said.clear();
        // The slot that both agreed to is the one.
        both_go_on(DUE + PATIENCE + 1, &acts, &mut ends);
        assert_eq!(ends[0].out.placed, ends[1].out.placed);
        assert_eq!(ends[1].pair.counters().aligned, 1);
        assert_eq!(ends[0].pair.counters().placed_alone, 0);
        let place = ends[0].out.placed[&0][0].sseq;
        assert!(Msn(place + 1) >= slot.unwrap(), "{place} {slot:?}");
    }
}

#[test]
fn what_a_backup_ahead_has_placed_where_both_agreed_is_not_moved_by_a_refusal_behind_a_later_cut() {
    let acts = acts(400);
    let mut ends = agreed(1, &acts);
    let slot = first_slot(&ends[0]).unwrap();
    // Its source goes on, past the slot.
    let ahead = slot.0 - ends[1].sequencer.processed().0 + 5;
    ends[1].work(DUE, &acts, ahead as usize);
    assert_eq!(ends[1].out.placed[&0].len(), 1);
    // It hears that the numbering is another one, and takes that over from a place in front of the slot.
    let mut tick = DUE + 1_000;
    let [active, backup] = &mut ends;
    let ask = Said::AskCut {
        sid: active.sequencer.sid(),
        generation: Generation(1),
    };
    active.out.said.clear();
    active.hear_one(tick, ask);
    let anew: Vec<Said> = active.out.said.drain(..).collect();
    active.settle(tick);
    let reports = active.out.said.drain(..);
    let reports = reports.filter(|said| matches!(said, Said::Report(_)));
    for said in reports.collect::<Vec<_>>().into_iter().chain(anew) {
        backup.hear_one(tick, said);
    }
    assert_eq!(answer(backup).unwrap().verdict, Verdict::Late);
    hand_over(backup, active, tick);
    assert_eq!(active.pair.counters().late, 1);
    assert_eq!(
        first_slot(active),
        Some(slot),
        "subscribers of the backup's have it there"
    );
    for _ in 0..20 {
        tick += 1_000;
        ends[0].work(tick, &acts, 5);
        talk(tick, &mut ends);
    }
    let places = ends.each_ref().map(|end| &end.out.placed[&0]);
    assert_eq!((places[0].len(), places[1].len()), (1, 1));
    assert_eq!(places[0][0].sseq, places[1][0].sseq);
    assert!(places[0][0].alone, "the active says that nobody agreed");
}

#[test]
fn a_feed_on_which_the_two_never_meet_is_asked_now_and_then_only() {
    let acts = acts(400);
    let mut ends = agreed(1, &acts);
    ends[1].work(DUE - 1, &acts, 1);
    let end = DUE + 10 * PATIENCE;
    for tick in (DUE..end).step_by(100) {
        ends.iter_mut().for_each(|end| end.settle(tick));
        talk(tick, &mut ends);
    }
    let counters = ends[0].pair.counters();
    assert_eq!((counters.proposed, counters.hold_refused), (10, 10));
    assert_eq!(counters.announced_again, 0);
    let limits = PairLimits::default();
    assert!(counters.proposed > u64::from(limits.attempts), "no limit");
    both_go_on(end, &acts, &mut ends);
    assert_eq!(ends[0].out.placed, ends[1].out.placed);
}

/// The answer to the proposal that the active would make, changed by `change`.
fn judged(ends: &mut [End; 2], change: impl FnOnce(&mut Intent)) -> Verdict {
    let [active, backup] = ends;
    active.settle(DUE);
    let mut intent = proposal(active).unwrap();
    change(&mut intent);
    backup.out.said.clear();
    backup
        .inbox
        .push_back((DUE, Said::Intent(Box::new(intent))));
    backup.hear(DUE);
    let verdict = answer(backup).unwrap().verdict;
    assert_eq!(backup.pair.is_holding(), verdict == Verdict::Capable);
    verdict
}

#[test]
fn only_the_first_message_of_a_backup_in_step_can_be_held() {
    let acts = acts(400);
    assert_eq!(judged(&mut agreed(1, &acts), |_| {}), Verdict::Capable);
    let mut ends = agreed(1, &acts);
    let other_epoch = judged(&mut ends, |it| it.epoch = Epoch(8));
    assert_eq!(other_epoch, Verdict::Far);
    // The second of two.
    let mut ends = agreed(2, &acts);
    let second = *ends[0].sequencer.waiting().nth(1).unwrap().1;
    let verdict = judged(&mut ends, |it| it.message = second);
    assert_eq!(verdict, Verdict::Unsynchronised);
    assert!(ends[1].is_protected(), "no doubt of the second one");
    // While it holds in front of another slot.
    let mut ends = holding(1, &acts);
    let intent = Said::Intent(Box::new(Intent {
        attempt: 9,
        hold: true,
        message: *ends[1].sequencer.waiting().next().unwrap().1,
        sid: ends[1].sequencer.sid(),
        generation: Generation(1),
        epoch: Epoch(7),
        began: Msn(0),
        slot: ends[1].sequencer.next_msn(),
    }));
    ends[1].inbox.push_back((DUE, intent));
    ends[1].hear(DUE);
    let refused = answer(&ends[1]).unwrap();
    let of = (refused.attempt, refused.verdict);
    assert_eq!(of, (9, Verdict::Unsynchronised));
    // Out of step.
    let mut ends = agreed(1, &acts);
    ends[1].loses = 1;
    ends[1].work(DUE - 1, &acts, 1);
    ends[1].out.said.clear();
    let verdict = judged(&mut ends, |_| {});
    assert_eq!(verdict, Verdict::Unsynchronised);
    // Lost something since it was last asked.
    let mut ends = agreed(1, &acts);
    let lost = 40..41;
    let backup = &mut ends[1];
    backup.sequencer.abandon(at(DUE - 1), lost, &mut backup.out);
    assert_eq!(judged(&mut ends, |_| {}), Verdict::Unsynchronised);
    // Due here, and about to be placed.
    let mut ends = agreed(1, &acts);
    let next = ends[1].sequencer.next_msn();
    assert!(ends[1].sequencer.reschedule(Adm(0), next, true));
    let backup = &mut ends[1];
    let intent = Intent {
        attempt: 2,
        hold: true,
        message: *backup.sequencer.waiting().next().unwrap().1,
        sid: backup.sequencer.sid(),
        generation: Generation(1),
        epoch: Epoch(7),
        began: Msn(0),
        slot: next,
    };
    backup.hear_one(DUE, Said::Intent(Box::new(intent)));
    assert_eq!(answer(backup).unwrap().verdict, Verdict::Unsynchronised);
    // On a link that is new, with a numbering that is asked for.
    let mut ends = agreed(1, &acts);
    ends[1].link_up(DUE - 1);
    assert_eq!(ends[1].sequencer.armed(), 1);
    assert_eq!(judged(&mut ends, |_| {}), Verdict::Unsynchronised);
    // While it lacks another message: one that it heard of too late.
    let mut ends = agreed(1, &acts);
    let id = AdminId {
        generation: Generation(1),
        number: Adm(1),
    };
    let missed = Intent {
        attempt: 1,
        hold: false,
        message: StoredAdmin::new(id, AdminKind::OperatorNotice, b"x").unwrap(),
        slot: ends[1].sequencer.processed(),
        ..intent
    };
    ends[1].hear_one(DUE - 1, Said::Intent(Box::new(missed)));
    assert!(!ends[1].is_protected());
    assert_eq!(judged(&mut ends, |_| {}), Verdict::Unsynchronised);
}

#[test]
fn only_what_a_backup_in_step_has_agreed_to_is_proposed() {
    let acts = acts(400);
    // Not answered yet.
    let mut ends = agreed(0, &acts);
    assert!(ends[0].originate(DUE));
    ends[0].settle(DUE + 2 * PATIENCE);
    assert_eq!(proposal(&ends[0]), None);
    // Refused in every attempt: it waits for its slot, and wakes nobody before.
    let mut ends = agreed(0, &acts);
    assert!(ends[0].originate(DUE));
    for _ in 0..PairLimits::default().attempts {
        let [active, backup] = &mut ends;
        backup.work(DUE, &acts, 60);
        backup.out.said.clear();
        hand_over(active, backup, DUE);
        assert_eq!(answer(backup).unwrap().verdict, Verdict::Late);
        hand_over(backup, active, DUE);
    }
    let active = &mut ends[0];
    assert_eq!(active.sequencer.armed(), 1);
    active.settle(DUE + PATIENCE - 500);
    let report = at(DUE + PATIENCE + 500).time;
    assert_eq!(active.pair.next_deadline(), Some(report), "and no other");
    active.settle(DUE + PATIENCE);
    assert_eq!(proposal(active), None);
    // By one that is out of step since.
    let mut ends = agreed(1, &acts);
    let [active, backup] = &mut ends;
    backup.loses = 1;
    backup.work(DUE - 1, &acts, 1);
    hand_over(backup, active, DUE - 1);
    active.out.said.clear();
    active.settle(DUE);
    assert_eq!(active.sequencer.armed(), 1);
    assert_eq!(proposal(active), None);
    // What is due here needs no other slot.
    let mut ends = agreed(1, &acts);
    let active = &mut ends[0];
    let next = active.sequencer.next_msn();
    assert!(active.sequencer.reschedule(Adm(0), next, true));
    active
        .pair
        .between_batches(at(DUE), &mut active.sequencer, &mut active.out);
    assert_eq!(proposal(active), None);
}

#[test]
fn what_was_agreed_to_is_not_moved_behind_a_cut_although_attempts_are_left() {
    let acts = acts(400);
    let mut ends = agreed(1, &acts);
    ends[0].work(DUE - 1, &acts, 1);
    let attempts = u64::from(PairLimits::default().attempts);
    for step in 0..=attempts {
        ends.iter_mut()
            .for_each(|end| end.settle(DUE + step * PATIENCE));
        talk(DUE + step * PATIENCE, &mut ends);
    }
    assert!(ends[0].pair.counters().hold_refused > attempts);
    let tick = DUE + (attempts + 1) * PATIENCE;
    let [active, backup] = &mut ends;
    let ask = Said::AskCut {
        sid: active.sequencer.sid(),
        generation: Generation(1),
    };
    active.hear_one(tick, ask);
    let slot = first_slot(active);
    // Announced anew behind the cut, and passed before that arrives. The backup may have passed it before the cut as well, and
    // placed it there.
    for said in active.out.said.drain(..) {
        if matches!(said, Said::Intent(_)) {
            backup.work(tick, &acts, 100);
        }
        backup.hear_one(tick, said);
    }
    assert_eq!(answer(backup).unwrap().verdict, Verdict::Late);
    hand_over(backup, active, tick);
    let again = active.out.said.iter().any(|said| match said {
        Said::Intent(intent) => !intent.hold,
        _ => false,
    });
    assert!(!again);
    assert_eq!(first_slot(active), slot);
}

#[test]
fn a_commitment_is_kept_in_the_step_that_says_it() {
    let acts = acts(400);
    let mut ends = holding(1, &acts);
    let said = Said::Answer(answer(&ends[1]).unwrap());
    ends[0].hear_one(DUE, said);
    assert_eq!(settled(&ends[0]), [true]);
    assert_eq!(ends[0].out.placed.len(), 1);
    let said = ends[0].out.said.pop().unwrap();
    ends[1].hear_one(DUE, said);
    assert_eq!(ends[0].out.placed, ends[1].out.placed);
}

#[test]
fn a_message_that_the_backup_has_placed_is_late_for_any_proposal() {
    let acts = acts(400);
    let mut ends = agreed(1, &acts);
    ends[1].work(DUE - 1, &acts, 200);
    assert_eq!(ends[1].out.placed.len(), 1);
    assert_eq!(judged(&mut ends, |_| {}), Verdict::Late);
    assert!(ends[1].is_protected());
}

#[test]
fn one_proposal_is_on_its_way_at_a_time() {
    let acts = acts(400);
    let mut ends = agreed(1, &acts);
    let active = &mut ends[0];
    for step in 0..5 {
        // Each of them passes the slot that is proposed.
        active.settle(DUE + step * PATIENCE);
        active.work(DUE + step * PATIENCE, &acts, 1);
    }
    let counters = active.pair.counters();
    assert_eq!((counters.proposed, counters.withdrawn), (1, 1));
    talk(DUE + 5 * PATIENCE, &mut ends);
    assert!(!ends[1].pair.is_holding());
    both_go_on(DUE + 6 * PATIENCE, &acts, &mut ends);
    assert_eq!(ends[0].out.placed, ends[1].out.placed);
}

#[test]
fn an_active_that_passes_the_slot_says_so_and_both_keep_the_one_before() {
    for answered_first in [true, false] {
        let acts = acts(400);
        let mut ends = holding(1, &acts);
        let slot = first_slot(&ends[0]);
        let [active, backup] = &mut ends;
        if answered_first {
            // The batch is through and the answer is there before anybody looked what the batch had brought.
            active.convert(DUE + 1, &acts, 1);
            hand_over(backup, active, DUE + 1);
        } else {
            active.work(DUE + 1, &acts, 1);
            assert_eq!(settled(active), [false], "before any answer");
            hand_over(backup, active, DUE + 1);
        }
        assert_eq!(settled(active), [false], "once");
        assert!(backup.pair.is_holding());
        hand_over(active, backup, DUE + 2);
        assert!(!backup.pair.is_holding());
        assert_eq!((first_slot(active), first_slot(backup)), (slot, slot));
        assert!(active.is_protected() && backup.is_protected());
        assert_eq!(active.pair.counters().committed, 0);
        both_go_on(DUE + 3, &acts, &mut ends);
        assert_eq!(ends[0].out.placed, ends[1].out.placed);
        assert_eq!(ends[1].pair.counters().aligned, 1);
    }
}

#[test]
fn several_messages_are_placed_one_after_the_other() {
    let acts = acts(400);
    let mut ends = agreed(3, &acts);
    ends[0].settle(DUE);
    let proposals = |end: &End| {
        let held = |said: &&Said| matches!(said, Said::Intent(it) if it.hold);
        end.out.said.iter().filter(held).count()
    };
    assert_eq!(proposals(&ends[0]), 1, "the first one only");
    talk(DUE, &mut ends);
    assert_eq!(ends[0].out.placed.len(), 1);
    for step in 1..3 {
        let tick = DUE + step * PATIENCE;
        ends.iter_mut().for_each(|end| end.settle(tick));
        talk(tick, &mut ends);
        assert_eq!(ends[0].out.placed.len() as u64, 1 + step);
    }
    assert_eq!(ends[0].out.placed, ends[1].out.placed);
    assert_eq!(ends[0].out.committed_first, [0, 1, 2]);
    both_go_on(DUE + 3 * PATIENCE, &acts, &mut ends);
    assert_eq!(ends[1].pair.counters().aligned, 1);
}

#[test]
fn what_was_agreed_with_a_dead_active_is_not_proposed() {
    let acts = acts(400);
    let mut ends = agreed(1, &acts);
    ends[0].work_and_die(DUE, &acts, 200);
    let backup = &mut ends[1];
    backup.link_down(DUE + 1, true);
    backup.grant(DUE + 2, 2, true);
    let newcomer = End::new(3, 0, PairLimits::default());
    let dead = std::mem::replace(&mut ends[0], newcomer);
    ends[0].grant(DUE + 2, 2, false);
    ends.iter_mut().for_each(|end| end.link_up(DUE + 3));
    ends[0].work(DUE + 3, &acts, 40);
    for step in 0..20 {
        let tick = DUE + 4 + step * 1_000;
        ends.iter_mut().for_each(|end| end.settle(tick));
        talk(tick, &mut ends);
    }
    assert!(ends.iter().all(End::is_protected));
    assert_eq!(ends[1].pair.counters().proposed, 0);
    for end in &mut ends {
        end.work(DUE + 30_000, &acts, 200);
        assert_eq!(end.out.placed.len(), 1);
        assert!(misplaced(&dead, end).is_empty());
    }
}

#[test]
fn a_commitment_that_nobody_holds_for_puts_a_backup_out_of_step() {
    let acts = acts(400);
    for (commit, state) in [
        (true, PairState::Unsynchronised),
        (false, PairState::Synchronised),
    ] {
        for number in [0, 7] {
            let mut ends = agreed(1, &acts);
            let backup = &mut ends[1];
            let stray = Settled {
                sid: backup.sequencer.sid(),
                generation: Generation(1),
                number: Adm(number),
                attempt: 1,
                slot: backup.sequencer.next_msn(),
                commit,
            };
            backup.inbox.push_back((DUE, Said::Settled(stray)));
            backup.hear(DUE);
            assert_eq!(backup.state(), state);
            assert!(backup.out.placed.is_empty());
        }
    }
    // Of another proposal than the one that is held for.
    let mut ends = holding(1, &acts);
    let backup = &mut ends[1];
    let stray = Settled {
        sid: backup.sequencer.sid(),
        generation: Generation(1),
        number: Adm(0),
        attempt: 9,
        slot: backup.sequencer.next_msn(),
        commit: false,
    };
    backup.inbox.push_back((DUE, Said::Settled(stray)));
    backup.hear(DUE);
    assert!(backup.pair.is_holding());
}

#[test]
fn the_knobs_of_a_hold_are_checked() {
    let limits = PairLimits::default();
    let millis = |ms| std::time::Duration::from_millis(ms);
    assert_eq!(limits.check(), Ok(()));
    assert_eq!(
        (limits.admin_hold, limits.slot_hold),
        (millis(50), millis(5))
    );
    for (admin, slot, wrong) in [
        (0, 0, Some("admin_hold")),
        (50, 0, Some("slot_hold")),
        (50, 51, Some("slot_hold")),
        (50, 50, None),
    ] {
        let limits = PairLimits {
            admin_hold: millis(admin),
            slot_hold: millis(slot),
            ..limits
        };
        assert_eq!(limits.check().err().map(|bad| bad.name), wrong);
    }
}

/// What leaves without the backup's word is known to it: no end of the active's process keeps the announcement from it.
#[test]
fn what_the_link_does_not_take_is_not_originated() {
    let acts = acts(400);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    let placed = ends[0].out.placed.len();
    ends[0].out.cannot_commit = true;
    assert!(!ends[0].originate(AGREED));
    assert_eq!(ends[0].out.placed.len(), placed);
    assert_eq!(ends[0].sequencer.armed(), 0, "its number is the next one's");
    ends[0].out.cannot_commit = false;
    assert!(ends[0].originate(AGREED));
    // Without a link there is nobody who could go on without it.
    ends[0].link_down(AGREED + 1, false);
    ends[0].out.cannot_commit = true;
    assert!(ends[0].originate(AGREED + 1));
}
