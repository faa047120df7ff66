//! One book: what each record does, and what about it can be wrong.

use twinfeed_wire::record::code::{action, flags, side};
use twinfeed_wire::record::{UNDEF_ORDER_SIZE, UNDEF_PRICE};

use super::*;
use crate::Inconsistency as Wrong;
use crate::{Book, Order, Trust};

/// A book with two bids of 5 at 100, orders 1 and 2, and an offer of 9 at 103, order 4.
fn book() -> Book {
    let mut book = Book::new(7);
    for record in [
        order(action::ADD, 1, side::BID, 100, 5),
        order(action::ADD, 2, side::BID, 100, 5),
        order(action::ADD, 4, side::ASK, 103, 9),
    ] {
        assert!(book.apply(&record).is_empty());
    }
    book
}

/// Number and quantity of all orders, in the order of priority.
fn orders(book: &Book) -> Vec<(u64, u32)> {
    book.orders().map(|order| (order.id, order.size)).collect()
}

#[test]
fn only_another_price_or_more_of_it_loses_the_place_in_the_queue() {
    let table = [
        (
            order(action::CANCEL, 1, side::BID, 100, 2),
            vec![(1, 3), (2, 5), (4, 9)],
        ),
        (
            order(action::MODIFY, 1, side::BID, 100, 4),
            vec![(1, 4), (2, 5), (4, 9)],
        ),
        (
            order(action::MODIFY, 1, side::BID, 100, 5),
            vec![(1, 5), (2, 5), (4, 9)],
        ),
        (
            order(action::MODIFY, 1, side::BID, 100, 6),
            vec![(2, 5), (1, 6), (4, 9)],
        ),
        (
            order(action::MODIFY, 1, side::BID, 99, 5),
            vec![(2, 5), (1, 5), (4, 9)],
        ),
        (
            order(action::MODIFY, 2, side::BID, 101, 1),
            vec![(2, 1), (1, 5), (4, 9)],
        ),
        (
            order(action::FILL, 2, side::BID, 100, 1),
            vec![(1, 5), (2, 5), (4, 9)],
        ),
        (order(action::CLEAR, 0, side::NONE, UNDEF_PRICE, 0), vec![]),
    ];
    for (record, expected) in table {
        let mut book = book();
        assert!(book.apply(&record).is_empty(), "{record:?}");
        assert_eq!(orders(&book), expected, "{record:?}");
        assert_eq!((book.trust(), book.check()), (Trust::Sound, Ok(())));
    }
}

#[test]
fn what_does_not_fit_is_named_counted_and_doubted_and_applied_as_far_as_it_can_be() {
    let as_it_was = || vec![(1, 5), (2, 5), (4, 9)];
    let flagged = |mut record: MboMsg, flags| {
        record.flags = flags;
        record
    };
    let mut other = order(action::ADD, 9, side::BID, 100, 1);
    other.hd.instrument_id = U32::new(8);
    let table = [
        (
            order(action::CANCEL, 9, side::BID, 100, 1),
            vec![Wrong::UnknownOrder],
            as_it_was(),
        ),
        (
            order(action::FILL, 9, side::BID, 100, 1),
            vec![Wrong::UnknownOrder],
            as_it_was(),
        ),
        (
            order(action::MODIFY, 9, side::BID, 100, 1),
            vec![Wrong::UnknownOrder],
            vec![(1, 5), (2, 5), (9, 1), (4, 9)],
        ),
        (
            order(action::MODIFY, 9, side::NONE, 100, 1),
            vec![Wrong::UnknownOrder, Wrong::Undefined],
            as_it_was(),
        ),
        (
            order(action::ADD, 1, side::BID, 100, 7),
            vec![Wrong::DuplicateOrder],
            vec![(2, 5), (1, 7), (4, 9)],
        ),
        (
            order(action::CANCEL, 1, side::BID, 100, 6),
            vec![Wrong::Oversized],
            vec![(2, 5), (4, 9)],
        ),
        (
            order(action::FILL, 1, side::BID, 100, 6),
            vec![Wrong::Oversized],
            as_it_was(),
        ),
        (
            order(action::CANCEL, 1, side::ASK, 101, 1),
            vec![Wrong::WrongSide, Wrong::WrongPrice],
            vec![(1, 4), (2, 5), (4, 9)],
        ),
        (
            order(action::MODIFY, 1, side::ASK, 104, 5),
            vec![Wrong::WrongSide],
            vec![(2, 5), (4, 9), (1, 5)],
        ),
        (
            order(action::ADD, 9, side::NONE, 100, 1),
            vec![Wrong::Undefined],
            as_it_was(),
        ),
        (
            order(action::ADD, 9, side::BID, UNDEF_PRICE, 1),
            vec![Wrong::Undefined],
            as_it_was(),
        ),
        (
            order(action::ADD, 9, side::BID, 100, 0),
            vec![Wrong::Undefined],
            as_it_was(),
        ),
        (
            order(action::ADD, 9, side::BID, 100, UNDEF_ORDER_SIZE),
            vec![Wrong::Undefined],
            as_it_was(),
        ),
        (
            order(action::CANCEL, 1, side::NONE, UNDEF_PRICE, UNDEF_ORDER_SIZE),
            vec![Wrong::Undefined],
            vec![(2, 5), (4, 9)],
        ),
        (
            order(action::CANCEL, 1, side::BID, 100, 0),
            vec![Wrong::Undefined],
            as_it_was(),
        ),
        (
            order(action::MODIFY, 1, side::BID, 100, 0),
            vec![Wrong::Undefined],
            vec![(2, 5), (4, 9)],
        ),
        (
            order(b'?', 1, side::BID, 100, 1),
            vec![Wrong::UnknownAction],
            as_it_was(),
        ),
        (other, vec![Wrong::OtherInstrument], as_it_was()),
        (
            flagged(order(action::ADD, 9, side::BID, 100, 1), flags::F_TOB),
            vec![Wrong::Aggregated],
            as_it_was(),
        ),
        (
            flagged(
                order(action::CANCEL, 1, side::BID, 100, 1),
                flags::F_MAYBE_BAD_BOOK,
            ),
            vec![Wrong::Flagged],
            vec![(1, 4), (2, 5), (4, 9)],
        ),
        (
            flagged(
                order(action::CANCEL, 9, side::NONE, UNDEF_PRICE, 1),
                flags::F_MAYBE_BAD_BOOK,
            ),
            vec![Wrong::UnknownOrder, Wrong::Flagged],
            as_it_was(),
        ),
    ];
    for (record, wrong, expected) in table {
        let mut book = book();
        let findings = book.apply(&record);
        assert_eq!(findings.iter().collect::<Vec<_>>(), wrong, "{record:?}");
        assert_eq!(orders(&book), expected, "{record:?}");
        assert_eq!((book.trust(), book.check()), (Trust::Suspect, Ok(())));
        for (kind, count) in book.view().counts().iter() {
            assert_eq!(
                count,
                u64::from(wrong.contains(&kind)),
                "{record:?} {kind:?}"
            );
        }
    }
}

#[test]
fn what_was_taken_over_is_equal_and_goes_on_alike() {
    let mut giver = book();
    let _ = giver.apply(&order(action::MODIFY, 1, side::BID, 100, 6));
    let mut taker = Book::new(7);
    assert_ne!(taker, giver);
    assert!(taker.import(giver.orders(), Trust::Sound).is_empty());
    assert_eq!(taker, giver);
    for book in [&mut giver, &mut taker] {
        let _ = book.apply(&order(action::CANCEL, 2, side::BID, 100, 1));
    }
    assert_eq!(taker, giver);
    // The same orders in another queue are another book.
    let mut orders: Vec<Order> = giver.orders().collect();
    orders.swap(0, 1);
    assert!(taker.import(orders.clone(), Trust::Sound).is_empty());
    assert_ne!(taker, giver);
    // So are those of another instrument.
    let mut other = Book::new(8);
    let _ = other.import(giver.orders(), Trust::Sound);
    assert_ne!(other, giver);
    // What does not fit among itself is found.
    orders.push(orders[0]);
    assert!(
        taker
            .import(orders, Trust::Sound)
            .has(Wrong::DuplicateOrder)
    );
    assert_eq!((taker.trust(), taker.check()), (Trust::Suspect, Ok(())));
}
