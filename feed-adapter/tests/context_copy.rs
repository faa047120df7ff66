//! Does a memory that was copied, while it changed, convert what follows as the one that it was copied from?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod support;

use proptest::prelude::*;
use support::flow::{Step, message, steps};
use twinfeed_feed_adapter::decode::itch50::{BadItems, Converter, Memory, Settings};
use twinfeed_feed_adapter::decode::{Decoder as _, LONGEST_MESSAGE, Parts, TradingDay};

const MOST_ORDERS: usize = 120;

fn day() -> TradingDay {
    TradingDay::new(2019, 12, 30).unwrap()
}

fn converter(max_open_orders: usize) -> Converter {
    let settings = Settings {
        max_open_orders,
        ..Settings::default()
    };
    Converter::new(settings, day())
}

/// What `converter` makes of the messages from number `first` on: every body's bytes.
fn convert(converter: &mut Converter, first: u64, steps: &[Step]) -> Vec<Vec<u8>> {
    let mut parts = Parts::new(LONGEST_MESSAGE);
    let mut bodies = Vec::new();
    for (sseq, step) in (first..).zip(steps) {
        converter
            .convert(sseq, &message(sseq, *step), &mut parts)
            .unwrap();
        assert!(!parts.is_empty());
        bodies.extend(parts.iter().map(|part| part.bytes.to_vec()));
    }
    bodies
}

/// Copies all of it at once.
fn copy(memory: &mut Memory) -> Vec<u8> {
    let mut items = Vec::new();
    let mut push = |item: &[u8]| items.extend_from_slice(item);
    memory.begin_copy();
    assert!(memory.copy_on(usize::MAX, &mut push));
    memory.end_copy(&mut push);
    items
}

proptest! {
    #[test]
    fn what_is_restored_converts_what_follows_alike(before in steps(400), after in steps(400)) {
        let mut original = converter(MOST_ORDERS);
        convert(&mut original, 1, &before);
        let mut memory = Memory::new(MOST_ORDERS);
        prop_assert_eq!(memory.take_in(&copy(original.memory())), Ok(()));
        prop_assert_eq!(memory.open_orders(), original.open_orders());
        let mut restored = Converter::with_memory(Settings::XNAS_ITCH, day(), memory);
        let first = before.len() as u64 + 1;
        prop_assert_eq!(convert(&mut restored, first, &after), convert(&mut original, first, &after));
    }

    /// A few slots at a time, messages in between; what comes out at any moment is of that moment.
    #[test]
    fn what_is_copied_while_it_changes_is_of_the_moment_at_which_the_copy_ends(
        before in steps(300), meanwhile in steps(300), after in steps(300), slots in 1_usize..40,
        full in any::<bool>(),
    ) {
        // A table in which most of the references do not fit, or all.
        let limit = if full { 40 } else { 256 };
        let mut original = converter(limit);
        convert(&mut original, 1, &before);
        let mut items = Vec::new();
        original.memory().begin_copy();
        let mut next = before.len() as u64 + 1;
        let mut walked = false;
        for steps in meanwhile.chunks(3) {
            walked = original.memory().copy_on(slots, &mut |item| items.extend_from_slice(item));
            for step in steps {
                convert(&mut original, next, std::slice::from_ref(step));
                original.memory().copy_changes(&mut |item| items.extend_from_slice(item));
                next += 1;
            }
        }
        while !walked {
            walked = original.memory().copy_on(slots, &mut |item| items.extend_from_slice(item));
        }
        original.memory().end_copy(&mut |item| items.extend_from_slice(item));
        let mut memory = Memory::new(limit);
        prop_assert_eq!(memory.take_in(&items), Ok(()));
        prop_assert_eq!(memory.open_orders(), original.open_orders());
        let mut restored = Converter::with_memory(Settings::XNAS_ITCH, day(), memory);
        prop_assert_eq!(convert(&mut restored, next, &after), convert(&mut original, next, &after));
    }

    #[test]
    fn damaged_items_are_refused_or_taken_in_and_nothing_else(
        before in steps(200), cut in any::<prop::sample::Index>(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut original = converter(MOST_ORDERS);
        convert(&mut original, 1, &before);
        let whole = copy(original.memory());
        prop_assume!(!whole.is_empty());
        let mut items = whole.clone();
        for (place, value) in hits {
            let place = place.index(items.len());
            items[place] = value;
        }
        items.truncate(cut.index(items.len()) + 1);
        let mut memory = Memory::new(MOST_ORDERS);
        let taken = memory.take_in(&items);
        prop_assert!(items != whole || taken == Ok(()), "{taken:?}");
        prop_assert!(memory.open_orders() <= MOST_ORDERS);
    }
}

#[test]
fn a_taker_with_a_smaller_table_refuses() {
    let mut original = converter(8);
    let adds: Vec<Step> = (0..8).map(|which| (0, which, 1)).collect();
    convert(&mut original, 1, &adds);
    let items = copy(original.memory());
    assert_eq!(Memory::new(8).take_in(&items), Ok(()));
    assert_eq!(Memory::new(7).take_in(&items), Err(BadItems::TooManyOrders));
}

#[test]
fn items_that_are_none_are_named() {
    let mut memory = Memory::new(8);
    assert_eq!(memory.take_in(&[9]), Err(BadItems::Unknown(9)));
    assert_eq!(memory.take_in(&[2, 0, 0]), Err(BadItems::Cut));
    let beyond = [3, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(memory.take_in(&beyond), Err(BadItems::Locates(1_024)));
    assert_eq!(memory.take_in(&[]), Ok(()));
}

#[test]
fn a_new_epoch_ends_a_copy() {
    let mut original = converter(8);
    original.memory().begin_copy();
    assert!(original.memory().is_copied());
    original.reset(day());
    assert!(!original.memory().is_copied());
}
