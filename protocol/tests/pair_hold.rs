//! Every end that a backup's hold can have, by hand.
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod pair_support;

use pair_support::quiet::{DUE, HOLD, answer, both_go_on, first_slot, hand_over, holding, settled};
use pair_support::{Act, acts, at, carry, misplaced, seamless};
use twinfeed_protocol::pair::{Answer, PairState, Reason, Said};
use twinfeed_wire::{Adm, Generation, Msn};

#[test]
fn a_hold_ends_by_itself_and_the_backup_is_out_of_step_until_it_took_the_numbering_over() {
    let acts = acts(400);
    let mut ends = holding(1, &acts);
    assert_eq!(ends[1].pair.next_deadline(), Some(at(DUE + HOLD).time));
    ends[1].work(DUE + HOLD - 1, &acts, 5);
    assert!(ends[1].pair.is_holding());
    assert_eq!(ends[1].sequencer.processed(), Msn(39), "nothing passed it");
    // The active commits; the word of it is late.
    let [active, backup] = &mut ends;
    hand_over(backup, active, DUE + HOLD - 1);
    assert_eq!(active.out.placed.len(), 1);
    backup.settle(DUE + HOLD);
    assert!(!backup.pair.is_holding());
    assert_eq!(backup.state(), PairState::Unsynchronised);
    assert_eq!(backup.pair.reason(), Reason::Unsettled);
    assert!(backup.out.unsynchronised && backup.sequencer.armed() == 0);
    assert_eq!(backup.pair.counters().hold_expired, 1);
    hand_over(backup, active, DUE + HOLD);
    assert!(!active.is_protected(), "it has heard so");
    hand_over(active, backup, DUE + HOLD);
    assert!(backup.out.placed.is_empty(), "its place may have passed");
    backup.link_down(DUE + HOLD + 1, true);
    backup.grant(DUE + HOLD + 2, 2, true);
    assert_eq!(seamless(backup), Some(false));
    // And without that death they find together again.
    let mut ends = holding(1, &acts);
    let [active, backup] = &mut ends;
    hand_over(backup, active, DUE + HOLD - 1);
    backup.settle(DUE + HOLD);
    both_go_on(DUE + HOLD + 1, &acts, &mut ends);
    assert_eq!(ends[1].pair.counters().aligned, 2);
    assert_eq!(ends[0].sequencer.adm(), Adm(1));
}

#[test]
fn what_is_handed_over_in_spite_of_the_hold_ends_it() {
    let acts = acts(400);
    let mut ends = holding(1, &acts);
    let backup = &mut ends[1];
    backup.heedless = true;
    backup.work(DUE + 1, &acts, 1);
    assert_eq!(backup.state(), PairState::Unsynchronised);
    assert_eq!(backup.pair.reason(), Reason::Unsettled);
    assert_eq!(backup.pair.counters().hold_expired, 1);
    // So far that it passes the slot that was agreed to: it says that it knows nothing of the active's.
    let mut ends = holding(1, &acts);
    let backup = &mut ends[1];
    backup.heedless = true;
    backup.work(DUE + 1, &acts, 60);
    assert!(backup.out.placed[&0][0].alone);
    assert_eq!(backup.pair.reason(), Reason::Unsettled);
    // The active's word is there before anybody noticed: it keeps that slot, so all is well.
    let mut ends = holding(1, &acts);
    let [active, backup] = &mut ends;
    active.work(DUE + 1, &acts, 1);
    backup.convert(DUE + 1, &acts, 60);
    for said in active.out.said.drain(..) {
        backup.hear_one(DUE + 1, said);
    }
    backup.settle(DUE + 1);
    assert_eq!(backup.out.placed.len(), 1);
    assert!(backup.is_protected() && !backup.out.unsynchronised);
    both_go_on(DUE + 2, &acts, &mut ends);
    assert_eq!(
        ends[0].out.placed[&0][0].sseq,
        ends[1].out.placed[&0][0].sseq
    );
    // It commits.
    let mut ends = holding(1, &acts);
    let [active, backup] = &mut ends;
    hand_over(backup, active, DUE + 1);
    backup.convert(DUE + 1, &acts, 1);
    for said in active.out.said.drain(..) {
        backup.hear_one(DUE + 1, said);
    }
    assert_eq!(backup.state(), PairState::Unsynchronised);
    assert!(backup.out.placed.is_empty());
    both_go_on(DUE + 2, &acts, &mut ends);
}

#[test]
fn a_backup_that_lost_something_during_its_hold_is_out_of_step_whatever_the_active_says() {
    let acts = acts(400);
    for commit in [true, false] {
        let mut ends = holding(1, &acts);
        let [active, backup] = &mut ends;
        let lost = 40..41;
        backup.sequencer.abandon(at(DUE + 1), lost, &mut backup.out);
        if commit {
            hand_over(backup, active, DUE + 1);
        } else {
            active.work(DUE + 1, &acts, 1);
        }
        assert_eq!(settled(active), [commit]);
        for said in active.out.said.drain(..) {
            backup.hear_one(DUE + 1, said);
        }
        assert!(backup.out.placed.is_empty());
        let agreed = backup.sequencer.waiting().any(|(_, _, agreed)| agreed);
        assert!(!agreed, "its slots are elsewhere now");
        backup.settle(DUE + 1);
        assert_eq!(backup.state(), PairState::Unsynchronised);
    }
}

#[test]
fn an_active_that_dies_without_a_commitment_has_the_message_at_the_slot_before_or_nowhere() {
    // It dies in front of the proposed slot, behind it, and behind the slot that was agreed to.
    let batches = [0, 1, 5, 200].into_iter();
    for (last_batch, granted_first) in batches.flat_map(|it| [(it, true), (it, false)]) {
        let acts = acts(400);
        let mut ends = holding(1, &acts);
        let slot = first_slot(&ends[1]);
        let [active, backup] = &mut ends;
        active.work_and_die(DUE + 1, &acts, last_batch);
        backup.link_down(DUE + 1, true);
        assert_eq!(backup.state(), PairState::TakingOver);
        assert!(!backup.pair.is_holding());
        assert_eq!(first_slot(backup), slot);
        if granted_first {
            backup.grant(DUE + 2, 2, true);
        }
        backup.work(DUE + 3, &acts, 200);
        if !granted_first {
            assert!(!backup.out.placed[&0][0].alone, "agreed to, still");
            backup.grant(DUE + 4, 2, true);
        }
        assert_eq!(seamless(backup), Some(true));
        assert_eq!(backup.out.placed.len(), 1);
        assert!(misplaced(&ends[0], &ends[1]).is_empty(), "{last_batch}");
    }
}

#[test]
fn an_active_that_dies_behind_its_commitment_has_the_message_at_the_proposed_slot() {
    let acts = acts(400);
    let mut ends = holding(1, &acts);
    let [active, backup] = &mut ends;
    hand_over(backup, active, DUE + 1);
    carry(DUE + 1, 0, active, backup);
    active.work_and_die(DUE + 1, &acts, 20);
    backup.hear(DUE + 2);
    backup.link_down(DUE + 2, true);
    backup.grant(DUE + 3, 2, true);
    assert_eq!(seamless(backup), Some(true));
    backup.work(DUE + 4, &acts, 200);
    assert_eq!(ends[0].out.placed, ends[1].out.placed);
}

#[test]
fn a_link_that_breaks_during_a_hold_leaves_the_backup_out_of_step() {
    for committed in [true, false] {
        let acts = acts(400);
        let mut ends = holding(1, &acts);
        let [active, backup] = &mut ends;
        if committed {
            hand_over(backup, active, DUE + 1);
            active.out.said.clear();
        }
        for end in [&mut *active, &mut *backup] {
            end.out.said.clear();
            end.link_down(DUE + 2, false);
        }
        assert_eq!(backup.state(), PairState::Unsynchronised);
        assert_eq!(backup.pair.reason(), Reason::LinkDown);
        assert!(!backup.pair.is_holding() && backup.sequencer.armed() == 0);
        let placed = usize::from(committed);
        assert_eq!(active.out.placed.len(), placed, "else still at its slot");
        assert_eq!(active.sequencer.armed(), 1 - placed);
        for end in &mut ends {
            end.work(DUE + 3, &acts, 3);
            assert!(settled(end).is_empty(), "there is nobody to tell");
            end.link_up(DUE + 4);
        }
        both_go_on(DUE + 5, &acts, &mut ends);
        assert_eq!(ends[0].sequencer.adm(), Adm(1));
    }
}

#[test]
fn what_is_proposed_on_one_link_is_not_answered_on_another() {
    let acts = acts(400);
    let mut ends = holding(1, &acts);
    let late = answer(&ends[1]).unwrap();
    let active = &mut ends[0];
    active.link_up(DUE + 1);
    active.inbox.push_back((DUE + 1, Said::Answer(late)));
    active.hear(DUE + 1);
    assert_eq!(active.pair.counters().committed, 0);
    assert!(active.out.placed.is_empty());
    let [_, backup] = &mut ends;
    backup.link_up(DUE + 1);
    assert!(!backup.pair.is_holding());
    assert_eq!(backup.state(), PairState::Resyncing);
}

#[test]
fn another_generation_ends_a_hold() {
    let acts = acts(400);
    // As its active: not seamless, for the old active is alive.
    let mut ends = holding(1, &acts);
    ends[1].grant(DUE + 1, 2, true);
    assert!(!ends[1].pair.is_holding());
    assert_eq!(seamless(&ends[1]), Some(false));
    assert_eq!(ends[1].sequencer.armed(), 0);
    // As its backup.
    let mut ends = holding(1, &acts);
    ends[1].grant(DUE + 1, 2, false);
    assert!(!ends[1].pair.is_holding());
    assert_eq!(ends[1].state(), PairState::Resyncing);
    // Heard of before it was granted.
    let mut ends = holding(1, &acts);
    let said = Said::AskCut {
        sid: ends[1].sequencer.sid(),
        generation: Generation(2),
    };
    ends[1].inbox.push_back((DUE + 1, said));
    ends[1].hear(DUE + 1);
    assert!(!ends[1].pair.is_holding());
    assert_eq!(ends[1].state(), PairState::Unsynchronised);
    // The active's: what it proposed under the old one is nothing to the new one.
    for active in [true, false] {
        let mut ends = holding(1, &acts);
        ends[0].grant(DUE + 1, 2, active);
        let late = answer(&ends[1]).unwrap();
        let late = Answer {
            generation: Generation(2),
            ..late
        };
        ends[0].inbox.push_back((DUE + 1, Said::Answer(late)));
        ends[0].hear(DUE + 1);
        assert_eq!(ends[0].pair.counters().committed, 0);
        assert!(settled(&ends[0]).is_empty());
    }
}

#[test]
fn a_new_cut_ends_a_hold_and_the_proposal() {
    let acts = acts(400);
    // Asked for.
    let mut ends = holding(1, &acts);
    let [active, backup] = &mut ends;
    let ask = Said::AskCut {
        sid: active.sequencer.sid(),
        generation: Generation(1),
    };
    active.inbox.push_back((DUE, ask));
    active.hear(DUE);
    assert_eq!(settled(active), [false]);
    let words = active.out.said.iter();
    let first = words
        .into_iter()
        .find(|said| matches!(said, Said::Settled(_) | Said::Cut(_)));
    assert!(matches!(first, Some(Said::Settled(_))), "then the cut");
    // Its answer comes behind that, and commits nobody; not even if the announcement behind the cut were answered first.
    let early = Answer {
        attempt: 3,
        slot: first_slot(active).unwrap(),
        ..answer(backup).unwrap()
    };
    active.hear_one(DUE, Said::Answer(early));
    hand_over(backup, active, DUE);
    assert_eq!(settled(active), [false]);
    assert_eq!(active.pair.counters().committed, 0);
    hand_over(active, backup, DUE);
    assert!(!backup.pair.is_holding());
    both_go_on(DUE + 1, &acts, &mut ends);
    assert_eq!(ends[1].pair.counters().aligned, 2);
    // Unasked, with nothing said of the proposal.
    let mut ends = holding(1, &acts);
    let [active, backup] = &mut ends;
    let (last, behind) = active.sequencer.last_of_source().unwrap();
    let cut = twinfeed_protocol::pair::Cut {
        sid: active.sequencer.sid(),
        generation: Generation(1),
        number: 2,
        last,
        behind,
        adm: Adm(0),
        inherited: Adm(0),
    };
    backup.hear_one(DUE, Said::Cut(cut));
    assert!(!backup.pair.is_holding());
}

#[test]
fn an_active_that_lost_something_in_front_of_the_slot_does_not_commit_to_it() {
    let acts = acts(400);
    for told_first in [true, false] {
        let mut ends = holding(1, &acts);
        let [active, backup] = &mut ends;
        let lost = 40..41;
        let next = active.sequencer.next_msn();
        active.sequencer.abandon(at(DUE + 1), lost, &mut active.out);
        active.done += 1;
        assert_eq!(active.sequencer.next_msn(), next, "no number went by");
        if told_first {
            active.settle(DUE + 1);
            assert_eq!(settled(active), [false]);
        }
        hand_over(backup, active, DUE + 1);
        assert_eq!(active.pair.counters().committed, 0);
        assert_eq!(settled(active), [false]);
        assert!(active.out.placed.is_empty());
        hand_over(active, backup, DUE + 1);
        assert!(!backup.pair.is_holding());
    }
}

#[test]
fn the_end_and_the_beginning_of_an_epoch_at_the_active_leave_the_slot_before_in_force() {
    for last in [Act::End(40), Act::Begin(8)] {
        let mut acts = acts(39);
        acts.push(last);
        if last == Act::End(40) {
            acts.push(Act::Begin(8));
        }
        acts.extend((1..=300).map(|sseq| Act::Message(sseq, 1)));
        let mut ends = holding(1, &acts);
        let [active, backup] = &mut ends;
        active.work(DUE + 1, &acts, 1);
        assert_eq!(active.out.placed.len(), 1, "behind the last record");
        assert_eq!(settled(active), [false]);
        hand_over(active, backup, DUE + 1);
        hand_over(backup, active, DUE + 1);
        assert!(!backup.pair.is_holding());
        backup.work(DUE + 2, &acts, 1);
        assert_eq!(active.out.placed, backup.out.placed);
        both_go_on(DUE + 3, &acts, &mut ends);
        assert_eq!(ends[1].pair.counters().aligned, 1);
        // At a backup that does not keep its hold it ends that.
        let mut ends = holding(1, &acts);
        let backup = &mut ends[1];
        backup.heedless = true;
        backup.work(DUE + 1, &acts, 1);
        assert!(!backup.pair.is_holding());
        assert_eq!(backup.pair.reason(), Reason::Unsettled);
    }
}

#[test]
fn what_is_disarmed_is_not_placed_and_ends_the_hold_and_the_proposal() {
    let acts = acts(400);
    let mut ends = holding(1, &acts);
    assert_eq!(ends[1].sequencer.disarm(), 1);
    ends[1].settle(DUE + 1);
    assert!(!ends[1].pair.is_holding());
    assert_eq!(ends[1].pair.reason(), Reason::Unsettled);
    let mut ends = holding(1, &acts);
    let [active, backup] = &mut ends;
    assert_eq!(active.sequencer.disarm(), 1);
    active.settle(DUE + 1);
    assert_eq!(settled(active), [false]);
    hand_over(backup, active, DUE + 1);
    assert_eq!(active.pair.counters().committed, 0);
    // So it is when the stream ends.
    let mut ends = holding(1, &acts);
    let active = &mut ends[0];
    active.sequencer.end_of_stream(at(DUE + 1), &mut active.out);
    active.settle(DUE + 1);
    assert_eq!(settled(active), [false]);
}
