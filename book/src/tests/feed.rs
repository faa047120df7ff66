//! The books of a feed: events, administrative messages, bounds.

use twinfeed_protocol::{
    CloseReason, Delivered, DiscontinuityCause, Event, GapCause, Handler, Leg, Place, ResetCause,
    Tail,
};
use twinfeed_wire::record::code::{action, flags, side, tri};
use twinfeed_wire::record::{StatusMsg, UNDEF_PRICE};
use twinfeed_wire::{
    Adm, AdminId, AdminKind, BodyKind, ContextId, Epoch, Generation, Pos, RecordFlags, Sid,
    StoredAdmin,
};
use zerocopy::IntoBytes;

use super::*;
use crate::Inconsistency as Wrong;
use crate::{Books, Level, Settings, Trust, View};

const SID: Sid = Sid(1);

fn reset(complete: bool) -> Event {
    Event::Reset {
        sid: SID,
        epoch: Epoch(2),
        at: Place::start(1),
        context: ContextId(1),
        complete,
        cause: ResetCause::Epoch {
            from: Epoch(1),
            tail: Tail::Complete,
        },
    }
}

fn gap() -> Event {
    Event::Gap {
        sid: SID,
        epoch: Epoch(2),
        from: Place::start(5),
        until: Place::start(6),
        cause: GapCause::LostOnEveryLeg,
    }
}

#[test]
fn the_best_prices_follow_the_orders() {
    let mut books = Books::new(1);
    books.event(&reset(true));
    let level = |price, size, orders| {
        Some(Level {
            price,
            size,
            orders,
        })
    };
    let steps = [
        (
            order(action::ADD, 1, side::BID, 100, 5),
            level(100, 5, 1),
            None,
        ),
        (
            order(action::ADD, 2, side::BID, 101, 7),
            level(101, 7, 1),
            None,
        ),
        (
            order(action::ADD, 3, side::BID, 101, 1),
            level(101, 8, 2),
            None,
        ),
        (
            order(action::ADD, 4, side::ASK, 103, 9),
            level(101, 8, 2),
            level(103, 9, 1),
        ),
        (
            order(action::TRADE, 0, side::ASK, 101, 2),
            level(101, 8, 2),
            level(103, 9, 1),
        ),
        (
            order(action::FILL, 2, side::BID, 101, 2),
            level(101, 8, 2),
            level(103, 9, 1),
        ),
        (
            order(action::CANCEL, 2, side::BID, 101, 2),
            level(101, 6, 2),
            level(103, 9, 1),
        ),
        (
            order(action::CANCEL, 2, side::BID, 101, 5),
            level(101, 1, 1),
            level(103, 9, 1),
        ),
        (
            order(action::MODIFY, 4, side::ASK, 102, 3),
            level(101, 1, 1),
            level(102, 3, 1),
        ),
        (
            order(action::CANCEL, 3, side::BID, 101, 1),
            level(100, 5, 1),
            level(102, 3, 1),
        ),
        (
            order(action::CLEAR, 0, side::NONE, UNDEF_PRICE, 0),
            None,
            None,
        ),
    ];
    for (number, (record, bid, ask)) in steps.iter().enumerate() {
        assert!(books.apply(SID, record).is_empty());
        let top = books.top(SID, 7).unwrap();
        assert_eq!((top.bid, top.ask), (*bid, *ask), "after step {number}");
        assert_eq!(top.trust, Trust::Sound, "after step {number}");
    }
}

#[test]
fn each_event_does_to_the_book_what_the_table_says() {
    let join = |at, complete| Event::Discontinuity {
        sid: SID,
        epoch: Epoch(2),
        at: Place::start(at),
        context: ContextId(1),
        complete,
        cause: DiscontinuityCause::Join,
    };
    let context = Event::Discontinuity {
        sid: SID,
        epoch: Epoch(2),
        at: Place::start(9),
        context: ContextId(2),
        complete: true,
        cause: DiscontinuityCause::Context { from: ContextId(1) },
    };
    let (kept, gone) = (true, false);
    let (sound, suspect) = (Trust::Sound, Trust::Suspect);
    let table = [
        (gap(), kept, suspect),
        (join(1, true), gone, sound),
        (join(2, true), gone, suspect),
        (join(1, false), gone, suspect),
        (context, gone, suspect),
        (reset(true), gone, sound),
        (reset(false), gone, suspect),
        (Event::Stale { sid: SID }, kept, sound),
        (Event::Live { sid: SID }, kept, sound),
    ];
    for (event, keeps, trust) in table {
        let mut books = Books::new(1);
        books.event(&reset(true));
        let _ = books.apply(SID, &order(action::ADD, 1, side::BID, 100, 5));
        books.event(&event);
        let _ = books.apply(SID, &order(action::ADD, 2, side::BID, 99, 5));
        let top = books.top(SID, 7).unwrap();
        let best = if keeps { 100 } else { 99 };
        assert_eq!(top.bid.unwrap().price, best, "{event:?}");
        assert_eq!(top.trust, trust, "{event:?}");
        assert_eq!(top.stale, matches!(event, Event::Stale { .. }), "{event:?}");
    }
}

#[test]
fn doubt_lasts_until_the_numbering_starts_afresh() {
    let mut books = Books::new(1);
    books.event(&reset(true));
    books.event(&gap());
    let _ = books.apply(SID, &order(action::ADD, 1, side::BID, 100, 5));
    assert_eq!(books.top(SID, 7).unwrap().trust, Trust::Suspect);
    books.event(&reset(true));
    let _ = books.apply(SID, &order(action::ADD, 1, side::BID, 100, 5));
    assert_eq!(books.top(SID, 7).unwrap().trust, Trust::Sound);
    let reason = CloseReason::Revoked;
    books.event(&Event::Closed { reason });
    assert_eq!(books.top(SID, 7), None);
}

#[test]
fn what_cannot_be_applied_is_doubt_about_its_instrument_alone() {
    let mut flagged = order(action::NONE, 0, side::NONE, UNDEF_PRICE, 0);
    flagged.flags = flags::F_MAYBE_BAD_BOOK;
    let wrong = [
        flagged,
        order(action::CANCEL, 9, side::BID, 100, 1),
        order(action::ADD, 9, side::NONE, 100, 1),
        order(action::ADD, 9, side::BID, UNDEF_PRICE, 1),
    ];
    for record in wrong {
        let mut books = Books::new(1);
        books.event(&reset(true));
        let mut other = order(action::ADD, 1, side::BID, 100, 1);
        other.hd.instrument_id = U32::new(8);
        let _ = books.apply(SID, &other);
        assert!(!books.apply(SID, &record).is_empty());
        assert_eq!(
            books.top(SID, 7).unwrap().trust,
            Trust::Suspect,
            "{record:?}"
        );
        assert_eq!(books.top(SID, 8).unwrap().trust, Trust::Sound, "{record:?}");
    }
}

#[test]
fn bounds_refuse_and_say_so_and_what_rests_stays_right() {
    let settings = Settings {
        max_orders: 2,
        max_instruments: 2,
        ..Settings::default()
    };
    let mut books = Books::with_settings(settings);
    books.event(&reset(true));
    let of = |instrument: u32, mut record: MboMsg| {
        record.hd.instrument_id = U32::new(instrument);
        record
    };
    let add = |id| order(action::ADD, id, side::BID, 100, 5);
    assert!(books.apply(SID, &of(7, add(1))).is_empty());
    assert!(books.apply(SID, &of(8, add(1))).is_empty());
    assert!(books.apply(SID, &of(7, add(2))).has(Wrong::OrdersFull));
    assert!(books.apply(SID, &of(9, add(1))).has(Wrong::InstrumentsFull));
    let trust = |books: &Books, instrument| books.top(SID, instrument).map(|top| top.trust);
    assert_eq!(trust(&books, 7), Some(Trust::Suspect));
    assert_eq!(
        trust(&books, 8),
        Some(Trust::Sound),
        "what is full is its own doubt"
    );
    assert_eq!(trust(&books, 9), None);
    assert_eq!(books.counts(SID).total(), 2);
    // One that goes makes room.
    let gone = order(action::CANCEL, 1, side::BID, 100, 5);
    assert!(books.apply(SID, &of(8, gone)).is_empty());
    assert!(books.apply(SID, &of(8, add(3))).is_empty());
    assert_eq!((books.orders(SID), books.check()), (2, Ok(())));
}

fn delivered(kind: BodyKind, body: &[u8]) -> Delivered<'_> {
    Delivered {
        pos: Pos {
            sid: SID,
            ..Pos::default()
        },
        kind,
        flags: RecordFlags::LAST,
        adm: Adm(0),
        leg: Leg::Zero,
        body,
        received_at: 0,
        sent_at: 0,
        next: Place::start(1),
        context: ContextId(0),
        numbering: None,
        complete: true,
    }
}

/// Tells the books an administrative message.
fn administer(books: &mut Books, kind: AdminKind, payload: &[u8]) {
    let id = AdminId {
        generation: Generation(1),
        number: Adm(0),
    };
    let message = StoredAdmin::new(id, kind, payload).unwrap();
    books.record(&delivered(BodyKind::Administrative, message.bytes()));
}

#[test]
fn an_operator_who_clears_books_is_obeyed_and_leaves_doubt() {
    for (named, kept) in [(vec![], vec![]), (vec![7_u32, 9], vec![8])] {
        let mut books = Books::new(1);
        books.event(&reset(true));
        for instrument in [7, 8] {
            let mut record = order(action::ADD, 1, side::BID, 100, 5);
            record.hd.instrument_id = U32::new(instrument);
            assert!(books.apply(SID, &record).is_empty());
        }
        let payload: Vec<u8> = named.iter().flat_map(|it| it.to_le_bytes()).collect();
        administer(&mut books, AdminKind::ClearBook, &payload);
        for book in books.books(SID) {
            let keeps = kept.contains(&book.instrument());
            assert_eq!(book.is_empty(), !keeps, "{named:?}");
            assert_eq!(book.trust() == Trust::Sound, keeps, "{named:?}");
        }
        assert_eq!((books.orders(SID), books.check()), (kept.len(), Ok(())));
    }
}

#[test]
fn a_venue_that_is_silent_makes_books_stale_until_it_speaks() {
    let mut books = Books::new(1);
    books.event(&reset(true));
    let add = order(action::ADD, 1, side::BID, 100, 5);
    let stale = |books: &Books| books.top(SID, 7).unwrap().stale;
    let _ = books.apply(SID, &add);
    administer(&mut books, AdminKind::SourceStale, &[]);
    assert!(stale(&books));
    administer(&mut books, AdminKind::SourceRestored, &[]);
    assert!(!stale(&books));
    administer(&mut books, AdminKind::SourceStale, &[]);
    let _ = books.apply(SID, &order(action::TRADE, 0, side::NONE, 100, 1));
    assert!(!stale(&books), "what follows it is of the venue");
}

#[test]
fn an_administrative_message_that_cannot_be_read_is_doubt() {
    let mut books = Books::new(1);
    books.event(&reset(true));
    let _ = books.apply(SID, &order(action::ADD, 1, side::BID, 100, 5));
    administer(&mut books, AdminKind::OperatorNotice, b"half day");
    assert_eq!(books.top(SID, 7).unwrap().trust, Trust::Sound);
    books.record(&delivered(BodyKind::Administrative, b"no such thing"));
    assert_eq!(books.top(SID, 7).unwrap().trust, Trust::Suspect);
}

#[test]
fn a_crossed_book_is_wrong_only_where_trading_is_continuous_and_an_event_is_over() {
    let settings = Settings {
        judge_crossed: true,
        ..Settings::default()
    };
    let mut books = Books::with_settings(settings);
    books.event(&reset(true));
    let status = |books: &mut Books, instrument: u32, trading: u8| {
        let mut status = StatusMsg {
            is_trading: trading,
            ..StatusMsg::default()
        };
        status.hd.instrument_id = U32::new(instrument);
        books.record(&delivered(BodyKind::Dbn, status.as_bytes()));
    };
    let mut id = 0;
    let mut crosses = |books: &mut Books, last: bool| {
        id += 1;
        let mut record = order(
            action::ADD,
            id,
            [side::BID, side::ASK][id as usize % 2],
            100,
            1,
        );
        record.flags = if last { flags::F_LAST } else { 0 };
        books.apply(SID, &record).has(Wrong::Crossed)
    };
    assert!(!crosses(&mut books, true), "one side");
    assert!(!crosses(&mut books, true), "nobody said that it trades");
    status(&mut books, 7, tri::YES);
    assert!(
        !crosses(&mut books, false),
        "between the records of an event"
    );
    assert!(crosses(&mut books, true));
    status(&mut books, 0, tri::NO);
    assert!(!crosses(&mut books, true), "the venue is closed");
    status(&mut books, 0, tri::NOT_AVAILABLE);
    assert!(!crosses(&mut books, true), "which was not said");
    status(&mut books, 0, tri::YES);
    assert!(crosses(&mut books, true));
    status(&mut books, 7, tri::NO);
    assert!(!crosses(&mut books, true), "a halt");
    assert_eq!(books.counts(SID).of(Wrong::Crossed), 2);
    assert!(books.book(SID, 7).unwrap().is_crossed());
}

#[test]
fn what_is_brought_in_pieces_is_what_was_there() {
    let mut giver = Books::new(1);
    giver.event(&reset(true));
    for id in 1..=6 {
        let mut record = order(action::ADD, id, side::BID, 100, 5);
        record.hd.instrument_id = U32::new(7 + (id % 2) as u32);
        assert!(giver.apply(SID, &record).is_empty());
    }
    giver.silence(SID, true);
    assert_eq!(giver.expected(SID), Trust::Sound);
    assert_eq!(
        (giver.place(SID, 8), giver.place(SID, 7)),
        (Some(0), Some(1))
    );
    assert_eq!(giver.place(SID, 9), None);
    let from_second: Vec<u32> = giver.books_from(SID, 1).map(View::instrument).collect();
    assert_eq!(from_second, [7]);
    assert_eq!(giver.books_from(SID, 3).count(), 0);

    let mut taker = Books::new(1);
    assert_eq!(taker.expected(SID), Trust::Suspect);
    for view in giver.books(SID) {
        let at = (SID, view.instrument());
        let orders: Vec<_> = view.orders().collect();
        assert!(taker.import(at, [], view.trust()).is_empty());
        for piece in orders.chunks(2) {
            assert!(taker.append(at, piece.iter().copied()).is_empty());
        }
        assert_eq!(taker.book(SID, at.1), Some(view));
        assert!(taker.append(at, [orders[0]]).has(Wrong::DuplicateOrder));
    }
    taker.expect(SID, giver.expected(SID));
    taker.silence(SID, giver.is_silent(SID));
    assert!(taker.is_silent(SID));
    let _ = taker.apply(SID, &order(action::ADD, 1, side::ASK, 100, 5));
    assert_eq!(taker.expected(SID), Trust::Sound);
    assert_eq!((taker.orders(SID), taker.check()), (7, Ok(())));
}
