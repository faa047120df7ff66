//! Do the books agree with the slow and obvious ones, record after record?
//!
//! The twin is a vector per instrument, in the order in which orders have priority in time, and everything else is counted from it.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use twinfeed_subscriber::book::{
    Book, Books, Counts, Inconsistency as Wrong, Level, Order, Settings, Side, Trust, View,
};
use twinfeed_subscriber::record::{
    MboMsg, UNDEF_ORDER_SIZE, UNDEF_PRICE,
    code::{action, flags, side},
};
use twinfeed_subscriber::{ContextId, Epoch, Event, Handler, Place, ResetCause, Sid};

const SID: Sid = Sid(1);
const MAX_ORDERS: usize = 12;

/// The orders of each instrument, those first in time first.
#[derive(Default)]
struct Twin {
    books: BTreeMap<u32, Vec<Order>>,
}

impl Twin {
    /// What is wrong with a record; what it does is done.
    fn apply(&mut self, record: &MboMsg) -> Vec<Wrong> {
        let resting: usize = self.books.values().map(Vec::len).sum();
        let book = self.books.entry(record.hd.instrument_id.get()).or_default();
        let id = record.order_id.get();
        let at = book.iter().position(|order| order.id == id);
        let (price, size) = (record.price.get(), record.size.get());
        let stated = match record.side {
            side::BID => Some(Side::Bid),
            side::ASK => Some(Side::Ask),
            _ => None,
        };
        let placeable = price != UNDEF_PRICE && size != UNDEF_ORDER_SIZE && size != 0;
        let new = stated.filter(|_| placeable).map(|side| Order {
            id,
            side,
            price,
            size,
        });
        let mut wrong = Vec::new();
        match (record.action, at) {
            (action::CLEAR, _) => book.clear(),
            (action::ADD, _) | (action::MODIFY, None) => {
                if record.action == action::MODIFY {
                    wrong.push(Wrong::UnknownOrder);
                }
                match (new, at) {
                    (None, _) => wrong.push(Wrong::Undefined),
                    (Some(new), Some(at)) => {
                        wrong.push(Wrong::DuplicateOrder);
                        book.remove(at);
                        book.push(new);
                    }
                    (Some(_), None) if resting == MAX_ORDERS => wrong.push(Wrong::OrdersFull),
                    (Some(new), None) => book.push(new),
                }
            }
            (action::MODIFY, Some(at)) => {
                let old = book[at];
                if stated.is_some_and(|side| side != old.side) {
                    wrong.push(Wrong::WrongSide);
                }
                match new {
                    None => {
                        wrong.push(Wrong::Undefined);
                        book.remove(at);
                    }
                    Some(new)
                        if (new.side, new.price) == (old.side, old.price) && size <= old.size =>
                    {
                        book[at].size = size;
                    }
                    Some(new) => {
                        book.remove(at);
                        book.push(new);
                    }
                }
            }
            // Whose order was filled is not said.
            (action::FILL, _) if id == 0 => {}
            (action::CANCEL | action::FILL, None) => wrong.push(Wrong::UnknownOrder),
            (action::CANCEL | action::FILL, Some(at)) => {
                let old = book[at];
                if stated.is_some_and(|side| side != old.side) {
                    wrong.push(Wrong::WrongSide);
                }
                let cancels = record.action == action::CANCEL;
                if cancels && price != UNDEF_PRICE && price != old.price {
                    wrong.push(Wrong::WrongPrice);
                }
                if cancels && (size == 0 || size == UNDEF_ORDER_SIZE) {
                    wrong.push(Wrong::Undefined);
                } else if size > old.size {
                    wrong.push(Wrong::Oversized);
                }
                match old.size.checked_sub(size).filter(|left| *left > 0) {
                    _ if !cancels => {}
                    Some(left) => book[at].size = left,
                    None => drop(book.remove(at)),
                }
            }
            _ => {}
        }
        if record.flags & flags::F_MAYBE_BAD_BOOK != 0 {
            wrong.push(Wrong::Flagged);
        }
        wrong.sort_unstable();
        wrong
    }
}

/// The levels of a side, counted from the orders.
fn levels(orders: &[Order], side: Side) -> Vec<Level> {
    let mut levels: BTreeMap<i64, Level> = BTreeMap::new();
    for order in orders.iter().filter(|order| order.side == side) {
        let price = order.price;
        let level = levels.entry(price).or_insert(Level {
            price,
            ..Level::default()
        });
        level.size += u64::from(order.size);
        level.orders += 1;
    }
    let rising = levels.into_values();
    match side {
        Side::Bid => rising.rev().collect(),
        Side::Ask => rising.collect(),
    }
}

/// Everything that a book can be asked.
fn agree(book: View<'_>, orders: &[Order]) {
    book.check().unwrap();
    assert_eq!(
        (book.len(), book.is_empty()),
        (orders.len(), orders.is_empty())
    );
    let mut all = Vec::new();
    for side in Side::BOTH {
        let expected = levels(orders, side);
        assert_eq!(book.levels(side).collect::<Vec<_>>(), expected);
        assert_eq!(book.depth(side), expected.len());
        let best = match side {
            Side::Bid => book.top().bid,
            Side::Ask => book.top().ask,
        };
        assert_eq!(best, expected.first().copied());
        for price in PRICES {
            let level = expected.iter().find(|level| level.price == price);
            assert_eq!(book.level(side, price), level.copied());
            let here = |order: &&Order| (order.side, order.price) == (side, price);
            let queue: Vec<_> = orders.iter().filter(here).copied().collect();
            assert_eq!(book.queue(side, price).collect::<Vec<_>>(), queue);
        }
        for level in expected {
            let here = |order: &&Order| (order.side, order.price) == (side, level.price);
            all.extend(orders.iter().filter(here).copied());
        }
    }
    assert_eq!(book.orders().collect::<Vec<_>>(), all);
    for id in IDS {
        let order = orders.iter().find(|order| order.id == id);
        assert_eq!(book.order(id), order.copied());
    }
    // What is given away and taken over is the same book.
    let mut taker = Book::new(book.instrument());
    assert!(taker.import(book.orders(), Trust::Sound).is_empty());
    assert!(taker.view() == book);
}

/// Few of each, so that they meet; the extremes of what a price can be are among them.
const IDS: std::ops::Range<u64> = 0..10;
const PRICES: [i64; 6] = [i64::MIN, -1, 0, 100, 101, i64::MAX - 1];

fn records() -> impl Strategy<Value = Vec<MboMsg>> {
    let code = prop_oneof![
        10 => Just(action::ADD),
        8 => Just(action::CANCEL),
        6 => Just(action::MODIFY),
        2 => Just(action::FILL),
        1 => Just(action::TRADE),
        1 => prop_oneof![Just(action::CLEAR), Just(action::NONE)],
    ];
    let side = prop_oneof![
        10 => Just(side::BID),
        10 => Just(side::ASK),
        1 => Just(side::NONE),
    ];
    let price = prop_oneof![
        20 => prop::sample::select(PRICES.to_vec()),
        1 => Just(UNDEF_PRICE),
    ];
    let size = prop_oneof![20 => 1_u32..6, 1 => Just(0), 1 => Just(UNDEF_ORDER_SIZE)];
    let flags = prop_oneof![20 => Just(0), 1 => Just(flags::F_MAYBE_BAD_BOOK)];
    let record = (code, 1_u32..4, IDS, side, price, size, flags);
    let record = record.prop_map(|(action, instrument, id, side, price, size, flags)| {
        let mut record = MboMsg {
            order_id: id.into(),
            price: price.into(),
            size: size.into(),
            action,
            side,
            flags,
            ..MboMsg::default()
        };
        record.hd.instrument_id = instrument.into();
        record
    });
    prop::collection::vec(record, 0..250)
}

fn begun() -> Books {
    let mut books = Books::with_settings(Settings {
        max_orders: MAX_ORDERS,
        ..Settings::default()
    });
    books.event(&Event::Reset {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(1),
        context: ContextId(1),
        complete: true,
        cause: ResetCause::Regress,
    });
    books
}

proptest! {
    #[test]
    fn books_agree_with_vectors_after_every_record(records in records()) {
        let (mut books, mut twin) = (begun(), Twin::default());
        let mut doubted: BTreeMap<u32, Vec<Wrong>> = BTreeMap::new();
        for record in &records {
            let wrong = twin.apply(record);
            let findings: Vec<_> = books.apply(SID, record).iter().collect();
            prop_assert_eq!(&findings, &wrong, "{:?}", record);
            let instrument = record.hd.instrument_id.get();
            let before = doubted.entry(instrument).or_default();
            before.extend(wrong);
            let book = books.book(SID, instrument).unwrap();
            prop_assert_eq!(book.trust() == Trust::Sound, before.is_empty());
            let counts: &Counts = book.counts();
            for (kind, count) in counts.iter() {
                let expected = before.iter().filter(|it| **it == kind).count();
                prop_assert_eq!(count, expected as u64);
            }
            agree(book, &twin.books[&instrument]);
        }
        // No instrument was touched by another's records.
        for book in books.books(SID) {
            agree(book, &twin.books[&book.instrument()]);
        }
        books.check().unwrap();
        prop_assert_eq!(books.orders(SID), twin.books.values().map(Vec::len).sum::<usize>());
        let wrong: usize = doubted.values().map(Vec::len).sum();
        prop_assert_eq!(books.counts(SID).total(), wrong as u64);
    }

    /// A book alone, and the same within the books of a feed.
    #[test]
    fn a_book_alone_is_that_of_its_instrument_among_others(records in records()) {
        let mut books = begun();
        let mut alone = Book::with_max_orders(2, usize::MAX);
        // More orders than there are numbers rest nowhere, so that nothing is full.
        for record in records.iter().filter(|it| it.hd.instrument_id.get() == 2) {
            prop_assert_eq!(books.apply(SID, record), alone.apply(record));
        }
        let none = Book::new(2);
        prop_assert!(books.book(SID, 2).unwrap_or(none.view()) == alone.view());
    }
}
