//! Does the window agree with plain sets that never forget?

#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use twinfeed_protocol::Place;
use twinfeed_protocol::window::{Offer, Unordered, Verdict, Window};

#[test]
fn second_leg_repeats_and_fills() {
    let mut window = Window::new(64, 1).unwrap();
    let steps = [
        (1, Verdict::Fresh),
        (1, Verdict::Settled),
        (4, Verdict::Fresh),
        (4, Verdict::Duplicate),
        (3, Verdict::Fresh),
        (65, Verdict::Fresh),
        (66, Verdict::Beyond),
        (u64::MAX, Verdict::Beyond),
    ];
    for (number, verdict) in steps {
        assert_eq!(window.mark(number), verdict, "{number}");
    }
    assert_eq!(window.advance_to(4), Some(2..3));
    assert_eq!((window.floor(), window.advance_to(4)), (5, None));
    assert_eq!(window.advance_to(1_000), Some(5..65));
    assert_eq!(window.advance_to(1_000), Some(66..1_000));
    assert_eq!(window.mark(1_000), Verdict::Fresh);
}

#[test]
fn it_works_up_to_the_last_number_and_bounds_of_zero_are_refused() {
    let mut window = Window::new(64, u64::MAX - 3).unwrap();
    assert_eq!(window.mark(u64::MAX - 1), Verdict::Fresh);
    assert_eq!(window.mark(u64::MAX), Verdict::Beyond);
    assert_eq!(
        window.advance_to(u64::MAX),
        Some(u64::MAX - 3..u64::MAX - 1)
    );
    assert_eq!(
        (window.floor(), window.advance_to(u64::MAX)),
        (u64::MAX, None)
    );
    assert_eq!(Window::new(0, 1).unwrap_err().name, "window");
    assert_eq!(Unordered::new(64, 0, 1).unwrap_err().name, "partial");
}

#[test]
fn a_half_delivered_message_is_continued_never_repeated() {
    let mut unordered = Unordered::new(64, 1, 1).unwrap();
    let mut lost = Vec::new();
    let mut offer = |sseq, part, last| {
        lost.clear();
        let offer = unordered.offer(Place { sseq, part }, last, |range| {
            lost.push((range.start, range.end));
        });
        (offer, lost.clone())
    };
    assert_eq!(offer(2, 1, true), (Offer::Early, vec![]));
    assert_eq!(offer(2, 0, false), (Offer::Deliver, vec![]));
    assert_eq!(offer(2, 0, false), (Offer::Duplicate, vec![]));
    assert_eq!(offer(2, 1, true), (Offer::Deliver, vec![]));
    assert_eq!(offer(2, 1, true), (Offer::Duplicate, vec![]));
    assert_eq!(offer(3, 0, false), (Offer::Deliver, vec![]));
    assert_eq!(
        offer(4, 0, false),
        (Offer::Deliver, vec![(3, 4)]),
        "only one may be half delivered"
    );
    assert_eq!(offer(3, 1, true), (Offer::Duplicate, vec![]));
    assert_eq!(offer(4, 1, true), (Offer::Deliver, vec![]));
    assert_eq!(
        offer(1_000, 0, true),
        (Offer::Deliver, vec![(1, 2), (5, 937)])
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_sets_that_never_forget(span in 1..300_usize, steps in prop::collection::vec(0..400_u64, 1..800)) {
        let mut window = Window::new(span, 1).unwrap();
        let (mut seen, mut lost) = (BTreeSet::new(), BTreeSet::new());
        for step in steps {
            let number = window.floor().saturating_sub(16) + step;
            match window.mark(number) {
                Verdict::Fresh => prop_assert!(seen.insert(number) && !lost.contains(&number)),
                Verdict::Duplicate => prop_assert!(seen.contains(&number)),
                Verdict::Settled => prop_assert!(number < window.floor()),
                Verdict::Beyond => {
                    prop_assert!(number >= window.floor() + window.span());
                    let before = window.floor();
                    while let Some(range) = window.advance_to(number + 1 - window.span()) {
                        prop_assert!(!range.is_empty());
                        lost.extend(range);
                    }
                    prop_assert!(window.floor() > before);
                }
            }
            let floor = window.floor();
            prop_assert!(!seen.contains(&floor));
        }
        let settled_once = |number| seen.contains(&number) != lost.contains(&number);
        prop_assert!((1..window.floor()).all(settled_once));
    }

    /// Every record once at most, in the order of its parts; every message whole or reported lost, and what
    /// came is lost only where it never was whole.
    #[test]
    fn every_message_is_delivered_or_reported(
        partial in 1..4_usize,
        offers in prop::collection::vec((0..150_u64, 0..3_u16), 1..1_500),
    ) {
        let mut unordered = Unordered::new(64, partial, 1).unwrap();
        let mut delivered: BTreeMap<u64, u16> = BTreeMap::new();
        let mut lost = BTreeSet::new();
        let parts = |sseq: u64| (sseq % 3 + 1) as u16;
        for (index, (ahead, part)) in offers.iter().enumerate() {
            let sseq = 1 + index as u64 / 8 + ahead;
            let part = part % parts(sseq);
            let last = part + 1 == parts(sseq);
            let offer = unordered.offer(Place { sseq, part }, last, |range| lost.extend(range));
            if offer == Offer::Deliver {
                let next = delivered.entry(sseq).or_default();
                prop_assert_eq!(*next, part);
                *next += 1;
                prop_assert!(!lost.contains(&sseq), "{} after it was lost", sseq);
            }
        }
        let floor = unordered.floor() + 200;
        unordered.settle(floor, |range| lost.extend(range));
        for sseq in 1..floor {
            let whole = delivered.get(&sseq) == Some(&parts(sseq));
            prop_assert!(whole != lost.contains(&sseq), "{}", sseq);
        }
    }
}
