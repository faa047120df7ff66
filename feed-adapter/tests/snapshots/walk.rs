//! While a snapshot is written everything goes on changing, in batches of any size, and each change lands somewhere else with regard to what
//! was written. What is taken is what there was at its end, and nothing of it depends on where the steps fell.

use std::collections::BTreeMap;

use proptest::prelude::*;
use twinfeed_book::Books;
use twinfeed_feed_adapter::snapshots::{Bounds, Follower};
use twinfeed_protocol::{Event, Handler, Place, ResetCause};
use twinfeed_wire::record::code::{action, status as state, tri};
use twinfeed_wire::record::{InstrumentDefMsg, MboMsg, StatusMsg};
use twinfeed_wire::{AdminKind, ContextId, Epoch};

use super::stream::{
    BOUNDS, SID, STREAM, Stream, add, definition, follow, follower, order, status,
};
use super::taker::{assert_same, snapshot, take};

#[derive(Clone, Debug)]
enum Happens {
    Order(MboMsg),
    Definition(u32, u16),
    Status(u32, u16, u8, u8),
    Clear(Vec<u32>),
    Silent(bool),
}

fn happens() -> impl Strategy<Value = Happens> {
    let actions = prop_oneof![
        6 => Just(action::ADD),
        3 => Just(action::CANCEL),
        2 => Just(action::MODIFY),
        1 => Just(action::FILL),
        1 => Just(action::CLEAR),
    ];
    let order = (
        1..7_u32,
        actions,
        0..40_u64,
        any::<bool>(),
        95..105_i64,
        0..9_u32,
    )
        .prop_map(|(instrument, action, id, bid, price, size)| {
            Happens::Order(order(instrument, action, id, bid, price, size))
        });
    let actions = prop_oneof![
        Just(state::HALT),
        Just(state::TRADING),
        Just(state::SSR_CHANGE)
    ];
    let word = || prop_oneof![Just(tri::YES), Just(tri::NO), Just(tri::NOT_AVAILABLE)];
    prop_oneof![
        20 => order,
        2 => (1..9_u32, any::<u16>()).prop_map(|(id, of)| Happens::Definition(id, of)),
        2 => (0..9_u32, actions, word(), word()).prop_map(|(id, what, trading, short)| {
            Happens::Status(id, what, trading, short)
        }),
        1 => prop::collection::vec(1..9_u32, 0..3).prop_map(Happens::Clear),
        1 => any::<bool>().prop_map(Happens::Silent),
    ]
}

/// What was said, remembered the obvious way.
struct Twin {
    books: Books,
    definitions: BTreeMap<u32, InstrumentDefMsg>,
    statuses: BTreeMap<u32, Vec<StatusMsg>>,
}

impl Twin {
    fn new() -> Self {
        let mut books = Books::new(1);
        books.event(&Event::Reset {
            sid: SID,
            epoch: Epoch(5),
            at: Place::start(1),
            context: ContextId(50),
            complete: true,
            cause: ResetCause::Regress,
        });
        Self {
            books,
            definitions: BTreeMap::new(),
            statuses: BTreeMap::new(),
        }
    }
}

/// Says it in the stream and to the twin.
fn say(stream: &mut Stream, twin: &mut Twin, what: &Happens) {
    match what {
        Happens::Order(record) => {
            stream.dbn(u64::from(record.size.get() % 2), record);
            let _ = twin.books.apply(SID, record);
        }
        Happens::Definition(id, of) => {
            let record = definition(*id, *of);
            stream.dbn(0, &record);
            twin.definitions.insert(*id, record);
            twin.books.silence(SID, false);
        }
        Happens::Status(id, what, trading, short) => {
            let record = status(*id, *what, *trading, *short);
            stream.dbn(0, &record);
            twin.statuses.entry(*id).or_default().push(record);
            twin.books.silence(SID, false);
        }
        Happens::Clear(named) => {
            let payload: Vec<u8> = named.iter().flat_map(|it| it.to_le_bytes()).collect();
            stream.admin(AdminKind::ClearBook, &payload);
            let all: Vec<u32> = match named.is_empty() {
                true => {
                    twin.books.expect(SID, twinfeed_book::Trust::Suspect);
                    twin.books.instruments(SID).collect()
                }
                false => named.clone(),
            };
            for id in all {
                let suspect = twinfeed_book::Trust::Suspect;
                let _ = twin.books.import((SID, id), [], suspect);
            }
        }
        Happens::Silent(silent) => {
            let kind = match silent {
                true => AdminKind::SourceStale,
                false => AdminKind::SourceRestored,
            };
            stream.admin(kind, &[]);
            twin.books.silence(SID, *silent);
        }
    }
}

/// What all statuses of an instrument, one after the other, leave: each thing as it was said last.
fn left(statuses: &[StatusMsg]) -> [u64; 4] {
    let mut left = [u64::from(tri::NOT_AVAILABLE); 4];
    for of in statuses {
        if of.action.get() != state::SSR_CHANGE {
            left[0] = u64::from(of.action.get());
        }
        let fields = [of.is_trading, of.is_quoting, of.is_short_sell_restricted];
        for (place, said) in left[1..].iter_mut().zip(fields) {
            if said != tri::NOT_AVAILABLE {
                *place = u64::from(said);
            }
        }
    }
    left
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_taken_is_what_there_was_at_the_end(
        before in prop::collection::vec(happens(), 0..60),
        batches in prop::collection::vec((prop::collection::vec(happens(), 0..6), 1..12_usize), 1..40),
    ) {
        let (mut stream, mut twin, mut follower) = (Stream::new(), Twin::new(), follower());
        follow(&mut follower, &stream.heartbeat());
        for what in &before {
            say(&mut stream, &mut twin, what);
            follow(&mut follower, &stream.datagram());
        }
        prop_assert_eq!(follower.lacking(), None);
        prop_assert!(follower.walk());
        let mut given = None;
        for (batch, budget) in &batches {
            // A datagram of several records; what does not fit one is not the matter here.
            for piece in batch.chunks(2) {
                piece.iter().for_each(|what| say(&mut stream, &mut twin, what));
                follow(&mut follower, &stream.datagram());
            }
            given = follower.step(*budget);
            if given.is_some() {
                break;
            }
        }
        let given = given.or_else(|| std::iter::repeat_with(|| follower.step(3)).find_map(|it| it)).unwrap();
        let taken = take(&given.chunks().collect::<Vec<_>>().concat());
        assert_same(follower.books(), &twin.books);
        assert_same(&taken.books, &twin.books);
        prop_assert_eq!(&taken.definitions, &twin.definitions);
        let of = |statuses: &BTreeMap<u32, Vec<StatusMsg>>| -> BTreeMap<u32, [u64; 4]> {
            statuses.iter().map(|(id, all)| (*id, left(all))).collect()
        };
        prop_assert_eq!(of(&taken.statuses), of(&twin.statuses));
        let cursor = follower.cursor().unwrap();
        prop_assert_eq!(twinfeed_protocol::Cursor::from(taken.end.cursor), cursor);
        prop_assert_eq!((cursor.next.sseq, cursor.count.unwrap().0.0), (stream.sseq + 1, stream.adm));
        prop_assert!(taken.begin.cursor.next <= taken.end.cursor.next);
    }
}

#[test]
fn a_book_longer_than_a_frame_is_told_whole() {
    let (mut stream, mut follower) = (Stream::new(), follower());
    for id in 0..6_000 {
        stream.dbn(0, &add(7, id));
        follow(&mut follower, &stream.datagram());
    }
    let taken = snapshot(&mut follower, 1);
    assert_same(&taken.books, follower.books());
    assert_eq!(taken.end.orders, 6_000);
}

#[test]
fn a_walk_without_room_comes_to_nothing_and_the_next_one_may() {
    let bounds = Bounds {
        spool: 4_000,
        ..BOUNDS
    };
    let (mut stream, mut follower) = (Stream::new(), Follower::new(SID, STREAM, bounds));
    for id in 0..200 {
        stream.dbn(0, &add(7, id));
        follow(&mut follower, &stream.datagram());
    }
    assert!(follower.walk());
    assert!(follower.step(1_000).is_none());
    assert!(!follower.is_walking());
    assert_eq!((follower.abandoned(), follower.lacking()), (1, None));
    stream.dbn(0, &order(7, action::CLEAR, 0, true, 0, 0));
    follow(&mut follower, &stream.datagram());
    let taken = snapshot(&mut follower, 1);
    assert_eq!((taken.end.orders, taken.end.instruments), (0, 1));
}

#[test]
fn an_epoch_or_a_doubt_in_the_middle_ends_a_walk() {
    for change in 0..3 {
        let (mut stream, mut follower) = (Stream::new(), follower());
        for instrument in 1..9 {
            stream.dbn(0, &add(instrument, 1));
        }
        follow(&mut follower, &stream.datagram());
        assert!(follower.walk() && follower.step(1).is_none());
        match change {
            0 => stream.begin(6, 60),
            1 => stream.incomplete(51),
            _ => follower.missed(),
        }
        stream.dbn(0, &add(1, 2));
        follow(&mut follower, &stream.datagram());
        assert!(!follower.is_walking(), "{change}");
        assert_eq!(follower.abandoned(), 1);
        assert_eq!(follower.walk(), change != 2);
    }
}
