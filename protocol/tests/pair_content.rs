//! Two ends number alike: do they also say the same, and what if not?
#![allow(clippy::unwrap_used, reason = "what is missing fails the test")]

mod pair_support;

use pair_support::*;
use proptest::prelude::*;
use twinfeed_protocol::pair::{News, PairLimits, PairState, Reason, Said};
use twinfeed_wire::link::Verdict;

/// Source numbers of one range.
const RANGE: usize = 4_096;

/// What the backup told of its content, in order: the range, and whether it agrees.
fn told(end: &End) -> Vec<(u64, bool)> {
    let of_content = end.out.news.iter().filter_map(|news| match news {
        News::Differs { range } => Some((*range, false)),
        News::Agrees { range } => Some((*range, true)),
        _ => None,
    });
    of_content.collect()
}

/// Both do the next `count` acts, the end `first` before the other, and hear each other.
fn step(tick: u64, acts: &[Act], count: usize, first: usize, ends: &mut [End; 2]) {
    ends[first].work(tick, acts, count);
    talk(tick, ends);
    ends[1 - first].work(tick, acts, count);
    talk(tick, ends);
}

/// A pair whose backup has converted number 5,000 wrongly, and which has come as far as number 8,192 together.
fn apart(acts: &[Act]) -> [End; 2] {
    let mut ends = synchronised(PairLimits::default(), acts, 100);
    ends[1].wrong = vec![5_000];
    step(2, acts, 2 * RANGE - 100 + 2, 0, &mut ends);
    assert_eq!(told(&ends[1]), [(1, false)]);
    ends
}

#[test]
fn whoever_says_the_same_stays_synchronised() {
    let acts = acts(10_000);
    for first in [0, 1] {
        let mut ends = synchronised(PairLimits::default(), &acts, 100);
        step(2, &acts, 9_900, first, &mut ends);
        let counters = ends[1].pair.counters();
        assert_eq!((counters.ranges_compared, counters.ranges_diverged), (2, 0));
        assert_eq!(told(&ends[1]), []);
        assert!(ends.iter().all(End::is_protected));
    }
}

#[test]
fn a_backup_that_says_something_else_is_unsynchronised_once_its_range_is_over() {
    let acts = acts(20_000);
    for first in [0, 1] {
        let mut ends = synchronised(PairLimits::default(), &acts, 100);
        ends[1].wrong = vec![5_000, 5_001];
        step(2, &acts, 2 * RANGE - 101, first, &mut ends);
        assert!(ends.iter().all(End::is_protected), "not over yet");
        step(3, &acts, 10, first, &mut ends);
        assert_eq!(told(&ends[1]), [(1, false)], "first {first}");
        assert_eq!(ends[1].state(), PairState::Unsynchronised);
        assert_eq!(ends[1].pair.reason(), Reason::Content);
        assert_eq!(ends[1].pair.differs_in(), Some(1));
        assert!(!ends.iter().any(End::is_protected));
        assert!(
            ends.iter().all(|end| end.out.unsynchronised),
            "subscribers hear of it"
        );
        assert_eq!(ends[0].pair.differs_in(), None);
    }
}

#[test]
fn it_takes_no_cut_over_however_often_it_may_ask() {
    let acts = acts(20_000);
    let mut ends = apart(&acts);
    let asked = |end: &End| {
        end.out
            .said
            .iter()
            .any(|said| matches!(said, Said::AskCut { .. }))
    };
    for tick in (100_000..1_000_000).step_by(100_000) {
        ends[1].settle(tick);
        assert!(!asked(&ends[1]), "a cut cannot help");
        assert_eq!(ends[1].state(), PairState::Unsynchronised);
        talk(tick, &mut ends);
    }
    // Nor does another link help, or another generation.
    for end in &mut ends {
        end.link_down(1_000_000, false);
        end.link_up(1_000_001);
    }
    talk(1_000_001, &mut ends);
    assert_eq!(ends[1].state(), PairState::Unsynchronised);
    ends[1].grant(1_000_002, 2, false);
    ends[0].grant(1_000_002, 2, true);
    talk(1_000_002, &mut ends);
    assert_eq!(ends[1].state(), PairState::Unsynchronised);
    assert_eq!(ends[1].pair.reason(), Reason::Content);
    assert_eq!(told(&ends[1]), [(1, false)], "told once");
}

#[test]
fn it_wakes_nobody_while_it_differs() {
    let acts = acts(20_000);
    let mut ends = apart(&acts);
    let late = 10_000_000;
    ends[1].settle(late);
    let next = ends[1].pair.next_deadline().unwrap();
    assert!(next > at(late).time, "nothing is due over and over");
}

#[test]
fn what_is_announced_meanwhile_is_placed_by_the_active_alone() {
    let acts = acts(20_000);
    let mut ends = apart(&acts);
    assert!(ends[0].originate(3));
    talk(3, &mut ends);
    let refused = ends[0].out.news.iter().any(
        |news| matches!(news, News::Decided(answer) if answer.verdict == Verdict::Unsynchronised),
    );
    assert!(refused, "{:?}", ends[0].out.news);
}

#[test]
fn it_is_synchronised_again_when_enough_ranges_in_a_row_agree() {
    let acts = acts(60_000);
    let mut ends = apart(&acts);
    step(10, &acts, RANGE, 0, &mut ends);
    assert_eq!(ends[1].state(), PairState::Unsynchronised, "one agrees");
    step(20, &acts, RANGE, 1, &mut ends);
    assert_eq!(told(&ends[1]), [(1, false), (3, true)]);
    step(1_000_000, &acts, 10, 0, &mut ends);
    assert_eq!(ends[1].state(), PairState::Synchronised);
    assert!(ends.iter().all(End::is_protected));
    // The next time it takes twice as many.
    ends[1].wrong.push(17_000);
    for tick in 0..5 {
        assert_eq!(told(&ends[1]).len(), 2 + usize::from(tick > 0), "{tick}");
        step(2_000_000 + tick, &acts, RANGE, 0, &mut ends);
    }
    assert_eq!(told(&ends[1])[2..], [(4, false), (8, true)]);
}

#[test]
fn whoever_becomes_active_is_what_others_are_compared_with() {
    let acts = acts(20_000);
    let mut ends = apart(&acts);
    for end in &mut ends {
        end.out.news.clear();
    }
    ends[1].grant(3, 2, true);
    ends[0].grant(3, 2, false);
    talk(3, &mut ends);
    assert_eq!(ends[1].pair.differs_in(), None);
    assert_eq!(
        told(&ends[0]),
        [(1, false)],
        "known at once, not a range later"
    );
    assert_eq!(ends[0].state(), PairState::Unsynchronised);
}

#[test]
fn a_divergence_in_a_takeover_makes_it_none_without_a_trace() {
    let acts = acts(20_000);
    let mut ends = synchronised(PairLimits::default(), &acts, 100);
    ends[1].wrong = vec![5_000];
    ends[0].work(2, &acts, 2 * RANGE);
    talk(2, &mut ends);
    ends[1].link_down(3, true);
    assert_eq!(ends[1].state(), PairState::TakingOver);
    ends[1].work(4, &acts, 2 * RANGE);
    assert_eq!(ends[1].state(), PairState::Unsynchronised);
    ends[1].grant(5, 2, true);
    assert_eq!(seamless(&ends[1]), Some(false));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the two take turns: what the backup tells is what a list of the ranges that differ tells.
    #[test]
    fn every_divergence_and_every_agreement_is_told_once(
        wrong in prop::collection::vec(prop::bool::weighted(0.3), 10),
        turns in prop::collection::vec((1..6_000_usize, any::<bool>()), 8),
    ) {
        let acts = acts(10 * RANGE as u64 + 5);
        let mut ends = synchronised(PairLimits::default(), &acts, 10);
        let numbers = (0..).zip(&wrong).filter(|(_, wrong)| **wrong);
        ends[1].wrong = numbers.map(|(range, _)| range * RANGE as u64 + 2_000).collect();
        let mut tick = 2;
        for (count, first) in turns {
            tick += 1;
            step(tick, &acts, count, usize::from(first), &mut ends);
        }
        while ends[1].done < acts.len() {
            tick += 1;
            step(tick, &acts, 1_000, 0, &mut ends);
        }
        let (mut expected, mut apart, mut row, mut episodes) = (Vec::new(), false, 0, 0);
        for (range, wrong) in (0..).zip(wrong) {
            row = if wrong { 0 } else { row + 1 };
            if !apart && wrong {
                (apart, episodes) = (true, episodes + 1);
                expected.push((range, false));
            } else if apart && row == 2 << (episodes - 1) {
                apart = false;
                expected.push((range, true));
            }
        }
        prop_assert_eq!(told(&ends[1]), expected);
        prop_assert_eq!(ends[1].pair.differs_in().is_some(), apart);
        prop_assert_eq!(ends[1].pair.counters().ranges_compared, 10);
        prop_assert_eq!(told(&ends[0]), []);
    }
}
