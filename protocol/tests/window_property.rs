//! Does the window agree with plain sets that never forget?

#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use twinfeed_protocol::Place;
use twinfeed_protocol::window::{Offer, Unordered, Verdict, Window};

#[test]
fn second_leg_repeats_and_fills() {
    let mut window = Window::new(64, 1);
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
fn it_works_up_to_the_last_number_and_never_tells_nothing_apart() {
    let mut window = Window::new(64, u64::MAX - 3);
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
    assert_eq!(Window::new(0, 1).span(), 64);
}

/// Takes a record in as the arbiter does; what was given up for it goes to `lost`.
fn offer(
    unordered: &mut Unordered,
    place: (u64, u16),
    last: bool,
    lost: &mut Vec<(Place, Place)>,
) -> Offer {
    let (sseq, part) = place;
    let place = Place { sseq, part };
    let offer = unordered.look(place);
    if offer == Offer::Deliver {
        while let Some(range) = unordered.make_room(place, last, sseq) {
            lost.push((range.start, range.end));
        }
        unordered.take(place, last, sseq);
    }
    offer
}

#[test]
fn a_half_delivered_message_is_continued_never_repeated() {
    let mut unordered = Unordered::new(64, 1, 1);
    let mut offer = |sseq, part, last| {
        let mut lost = Vec::new();
        let offer = offer(&mut unordered, (sseq, part), last, &mut lost);
        (offer, lost)
    };
    let gap = |from, part, until| (Place { sseq: from, part }, Place::start(until));
    assert_eq!(offer(2, 1, true), (Offer::Early, vec![]));
    assert_eq!(offer(2, 0, false), (Offer::Deliver, vec![]));
    assert_eq!(offer(2, 0, false), (Offer::Duplicate, vec![]));
    assert_eq!(offer(2, 1, true), (Offer::Deliver, vec![]));
    assert_eq!(offer(2, 1, true), (Offer::Duplicate, vec![]));
    assert_eq!(offer(3, 0, false), (Offer::Deliver, vec![]));
    assert_eq!(
        offer(4, 0, false),
        (Offer::Deliver, vec![gap(3, 1, 4)]),
        "only one may be half delivered"
    );
    assert_eq!(offer(3, 1, true), (Offer::Duplicate, vec![]));
    assert_eq!(offer(4, 1, true), (Offer::Deliver, vec![]));
    assert_eq!(
        offer(1_000, 0, true),
        (Offer::Deliver, vec![gap(1, 0, 2), gap(5, 0, 937)])
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_sets_that_never_forget(span in 1..300_usize, steps in prop::collection::vec(0..400_u64, 1..800)) {
        let mut window = Window::new(span, 1);
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
        let mut unordered = Unordered::new(64, partial, 1);
        let mut delivered: BTreeMap<u64, u16> = BTreeMap::new();
        let mut lost: Vec<(Place, Place)> = Vec::new();
        let parts = |sseq: u64| (sseq % 3 + 1) as u16;
        for (index, (ahead, part)) in offers.iter().enumerate() {
            let sseq = 1 + index as u64 / 8 + ahead;
            let part = part % parts(sseq);
            let last = part + 1 == parts(sseq);
            let inside = lost.iter().any(|gap| (gap.0..gap.1).contains(&Place { sseq, part }));
            if offer(&mut unordered, (sseq, part), last, &mut lost) == Offer::Deliver {
                let next = delivered.entry(sseq).or_default();
                prop_assert_eq!(*next, part);
                *next += 1;
                prop_assert!(!inside, "{} after it was lost", sseq);
            }
        }
        let floor = unordered.floor() + 200;
        while let Some(range) = unordered.give_up(floor) {
            lost.push((range.start, range.end));
        }
        for sseq in 1..floor {
            for part in 0..parts(sseq) {
                let came = delivered.get(&sseq).is_some_and(|next| part < *next);
                let gaps = lost.iter().filter(|gap| (gap.0..gap.1).contains(&Place { sseq, part }));
                prop_assert_eq!(usize::from(came) + gaps.count(), 1, "{}.{}", sseq, part);
            }
        }
    }

    /// Numbers vouched for as silent are neither missing nor delivered, wherever they stand.
    #[test]
    fn silence_is_never_missing(steps in prop::collection::vec((1..90_u64, 0..90_u64, any::<bool>()), 1..100)) {
        let mut unordered = Unordered::new(64, 2, 1);
        let mut missing = BTreeSet::new();
        let (mut next, mut skipped) = (1, BTreeSet::new());
        for (silent, lost, tell) in steps {
            skipped.extend(next..next + lost);
            let (from, sseq) = (next + lost, next + lost + silent);
            let place = Place::start(sseq);
            if tell {
                prop_assert_eq!(unordered.look(place), Offer::Deliver);
                while let Some(range) = unordered.make_room(place, true, from) {
                    missing.extend(range.start.sseq..range.end.sseq);
                }
                unordered.take(place, true, from);
            } else {
                skipped.extend(from..sseq + 1);
            }
            next = sseq + 1;
        }
        while let Some(range) = unordered.give_up(next) {
            missing.extend(range.start.sseq..range.end.sseq);
        }
        prop_assert_eq!(missing, skipped);
    }
}
