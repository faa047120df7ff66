//! What a generation inherits: never a number that subscribers of the one before may know as another message.
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod pair_support;

use pair_support::{Act, End, acts, seamless, synchronised, talk};
use twinfeed_protocol::pair::{News, PairLimits, PairState};
use twinfeed_wire::{Adm, Generation};

/// A synchronised pair under generation 1 that has placed two messages.
fn placed(acts: &[Act]) -> [End; 2] {
    let mut ends = synchronised(PairLimits::default(), acts, 40);
    for _ in 0..2 {
        assert!(ends[0].originate(2));
    }
    talk(2, &mut ends);
    for end in &mut ends {
        end.work(3, acts, 400);
    }
    talk(3, &mut ends);
    assert_eq!(counts(&ends[0]), (1, 0, 2));
    assert_eq!(counts(&ends[1]), (1, 0, 2));
    ends
}

/// Generation of its numbering, what that inherited, and how many messages it counts.
fn counts(end: &End) -> (u32, u64, u64) {
    let seq = &end.sequencer;
    (seq.generation().0, seq.inherited().0, seq.adm().0)
}

/// What its last takeover said that it inherits.
fn said(end: &End) -> Option<u64> {
    end.out.news.iter().rev().find_map(|news| match news {
        News::Opened { inherited, .. } => Some(inherited.0),
        _ => None,
    })
}

fn cut(ends: &mut [End; 2], tick: u64) {
    for end in ends {
        end.inbox.clear();
        end.out.said.clear();
        end.link_down(tick, false);
        end.out.said.clear();
    }
}

#[test]
fn an_opener_out_of_step_inherits_what_it_placed_under_the_generation_before() {
    let acts = acts(2_000);
    let mut ends = placed(&acts);
    cut(&mut ends, 4);
    // The active places another, alone.
    assert!(ends[0].originate(5));
    ends[0].work(6, &acts, 10);
    assert_eq!(counts(&ends[0]), (1, 0, 3));
    ends[1].grant(7, 2, true);
    assert_eq!(counts(&ends[1]), (2, 2, 2));
    assert_eq!((said(&ends[1]), seamless(&ends[1])), (Some(2), Some(false)));
    // What it originates is number 2 again, of another generation.
    assert!(ends[1].originate(8));
    ends[1].work(9, &acts, 10);
    assert_eq!(ends[0].out.placed[&2][0].generation, 1);
    assert_eq!(ends[1].out.placed[&2][0].generation, 2);
}

#[test]
fn a_backup_counts_as_before_until_it_has_taken_over_the_new_numbering() {
    let acts = acts(2_000);
    let mut ends = placed(&acts);
    cut(&mut ends, 4);
    assert!(ends[0].originate(5));
    ends[0].work(6, &acts, 10);
    ends[1].grant(7, 2, true);
    ends[0].grant(7, 2, false);
    assert_eq!(ends[0].pair.generation(), Generation(2));
    assert_eq!(counts(&ends[0]), (1, 0, 3), "its datagrams say so");
    ends[1].work(8, &acts, 10);
    for end in &mut ends {
        end.link_up(9);
    }
    talk(9, &mut ends);
    assert_eq!(ends[0].state(), PairState::Synchronised);
    assert_eq!(counts(&ends[0]), (2, 2, 2));
}

#[test]
fn an_old_active_that_never_counted_as_its_successor_did_inherits_nothing() {
    let acts = acts(2_000);
    let mut ends = placed(&acts);
    cut(&mut ends, 4);
    ends[1].grant(5, 2, true);
    ends[0].grant(5, 2, false);
    // Its numbers 0 and 1 are those of generation 2 as well, but it does not know that.
    ends[0].grant(6, 3, true);
    assert_eq!(counts(&ends[0]), (3, 0, 0));
    assert_eq!((said(&ends[0]), seamless(&ends[0])), (Some(0), Some(false)));
    assert!(ends[0].originate(7));
    ends[0].work(8, &acts, 10);
    assert_eq!(ends[0].out.placed[&0].last().unwrap().generation, 3);
}

#[test]
fn nothing_is_inherited_over_a_generation_in_between() {
    let acts = acts(2_000);
    for skipped in [false, true] {
        let mut ends = placed(&acts);
        ends[1].link_down(4, true);
        assert_eq!(ends[1].state(), PairState::TakingOver);
        ends[1].grant(5, if skipped { 3 } else { 2 }, true);
        assert_eq!(seamless(&ends[1]), Some(!skipped));
        let inherited = if skipped { Adm(0) } else { Adm(2) };
        assert_eq!(ends[1].sequencer.inherited(), inherited);
        assert_eq!(ends[1].sequencer.adm(), inherited);
    }
}

#[test]
fn an_active_that_stays_active_inherits_what_waits() {
    let acts = acts(2_000);
    let mut ends = placed(&acts);
    assert!(ends[0].originate(4));
    talk(4, &mut ends);
    assert_eq!(ends[0].sequencer.armed(), 1);
    ends[0].grant(5, 2, true);
    assert_eq!(counts(&ends[0]), (2, 3, 2));
    assert_eq!(seamless(&ends[0]), Some(true));
}
