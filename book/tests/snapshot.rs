//! What does a snapshot do to books?
#![allow(
    clippy::unwrap_used,
    reason = "a frame that cannot be made fails the test"
)]

use twinfeed_book::{Books, Trust};
use twinfeed_protocol::{Cursor, Event, Handler, Piece, RestartCause};
use twinfeed_wire::record::MboMsg;
use twinfeed_wire::record::code::{action, side};
use twinfeed_wire::snapshot::{self, LONGEST_FRAME, Order, Side, Snapshot, write_orders};
use twinfeed_wire::{Adm, ContextId, Epoch, Generation, Pos, Sid};

const SID: Sid = Sid(1);

fn cursor() -> Cursor {
    Cursor {
        next: Pos {
            sid: SID,
            epoch: Epoch(1),
            sseq: 9,
            part: 0,
        },
        last: 8,
        context: ContextId(1),
        complete: true,
        count: Some((Adm(0), Generation(1))),
        predecessor: Epoch::NONE,
    }
}

fn begin(books: &mut Books, orders: u64) {
    let begin = Piece::Begin {
        cursor: cursor(),
        instruments: 1,
        orders,
    };
    books.snapshot(SID, &begin);
}

fn book(books: &mut Books, instrument: u32, ids: &[u64]) {
    let trust = snapshot::Trust::Sound;
    books.snapshot(SID, &Piece::Instrument { instrument, trust });
    // One order in a frame: each goes behind those before it.
    for &id in ids {
        let mut buffer = vec![0; LONGEST_FRAME];
        let order = Order {
            id,
            side: Side::Bid,
            price: 5,
            size: 1,
        };
        let length = write_orders(&mut buffer, instrument, [order].into_iter());
        let Ok(Snapshot::Orders(orders)) = Snapshot::parse(&buffer[..length]) else {
            panic!("orders were written");
        };
        books.snapshot(SID, &Piece::Orders(orders));
    }
}

fn end(books: &mut Books, trust: snapshot::Trust) {
    let end = Piece::End {
        cursor: cursor(),
        trust,
        silent: false,
    };
    books.snapshot(SID, &end);
}

fn add(instrument: u32, id: u64) -> MboMsg {
    let mut record = MboMsg {
        order_id: id.into(),
        price: 5.into(),
        size: 1.into(),
        action: action::ADD,
        side: side::BID,
        ..MboMsg::default()
    };
    record.hd.instrument_id = instrument.into();
    record
}

fn ids(books: &Books, instrument: u32) -> Vec<u64> {
    let book = books.book(SID, instrument).unwrap();
    book.orders().map(|order| order.id).collect()
}

fn trust(books: &Books, instrument: u32) -> Trust {
    books.book(SID, instrument).unwrap().trust()
}

#[test]
fn a_snapshot_takes_the_place_of_what_was_there_and_is_stale_until_its_end() {
    let mut books = Books::new(1);
    assert!(books.apply(SID, &add(3, 99)).is_empty());
    begin(&mut books, 4);
    book(&mut books, 3, &[2, 1, 7]);
    assert!(books.top(SID, 3).unwrap().stale);
    books.snapshot(SID, &Piece::Change(&add(3, 4)));
    end(&mut books, snapshot::Trust::Sound);
    assert!(!books.top(SID, 3).unwrap().stale);
    assert_eq!(ids(&books, 3), [2, 1, 7, 4]);
    assert_eq!(trust(&books, 3), Trust::Sound);
    assert!(books.apply(SID, &add(4, 1)).is_empty());
    assert_eq!(
        trust(&books, 4),
        Trust::Sound,
        "it was not named: it was empty"
    );
    books.check().unwrap();
}

#[test]
fn a_number_of_orders_that_is_not_what_came_makes_all_books_suspect() {
    for (orders, expected) in [(2, Trust::Sound), (1, Trust::Suspect), (3, Trust::Suspect)] {
        let mut books = Books::new(1);
        begin(&mut books, orders);
        book(&mut books, 3, &[2, 1]);
        end(&mut books, snapshot::Trust::Sound);
        assert_eq!(trust(&books, 3), expected, "{orders}");
    }
}

#[test]
fn what_a_filter_withholds_is_suspect_and_nothing_else_is() {
    let mut books = Books::new(1);
    begin(&mut books, 50);
    books.snapshot(SID, &Piece::Withheld { instrument: 4 });
    book(&mut books, 3, &[2, 1]);
    end(&mut books, snapshot::Trust::Sound);
    let both = (trust(&books, 3), trust(&books, 4));
    assert_eq!(both, (Trust::Sound, Trust::Suspect));
}

#[test]
fn a_snapshot_that_is_broken_off_leaves_nothing_to_believe() {
    let mut books = Books::new(1);
    begin(&mut books, 2);
    book(&mut books, 3, &[2, 1]);
    let cause = RestartCause::Full;
    books.event(&Event::JoinRestarted { sid: SID, cause });
    assert_eq!(books.orders(SID), 0);
    assert!(books.apply(SID, &add(3, 5)).is_empty());
    assert_eq!(trust(&books, 3), Trust::Suspect);
    // Behind the end of one it is a hole: what is there is kept, and doubted.
    begin(&mut books, 2);
    book(&mut books, 3, &[2, 1]);
    end(&mut books, snapshot::Trust::Sound);
    books.event(&Event::JoinRestarted { sid: SID, cause });
    assert_eq!(
        (ids(&books, 3), trust(&books, 3)),
        (vec![2, 1], Trust::Suspect)
    );
}

#[test]
fn books_that_a_suspect_snapshot_does_not_name_are_suspect() {
    let mut books = Books::new(1);
    begin(&mut books, 1);
    book(&mut books, 3, &[2]);
    end(&mut books, snapshot::Trust::Suspect);
    assert!(books.apply(SID, &add(4, 1)).is_empty());
    let both = (trust(&books, 3), trust(&books, 4));
    assert_eq!(both, (Trust::Sound, Trust::Suspect));
}
