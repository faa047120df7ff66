//! A frame of a snapshot is read as it was written, and nothing else is read as one.
#![allow(
    clippy::unwrap_used,
    reason = "a frame that does not parse fails the test"
)]

use std::net::SocketAddr;

use proptest::prelude::*;
use twinfeed_wire::record::{InstrumentDefMsg, MboMsg, StatusMsg, code};
use twinfeed_wire::snapshot::*;
use twinfeed_wire::{
    Adm, AdminId, AdminKind, AdminMessage, ContextId, Epoch, Generation, Pos, Sid, StreamId,
};

/// What a frame is made of, as a value that owns everything.
#[derive(Clone, Debug)]
enum Made {
    Whole(Snapshot<'static>),
    Definition(Box<InstrumentDefMsg>),
    Status(StatusMsg),
    Orders(u32, Vec<Order>),
    Change(MboMsg),
    Message(u32, u64, Vec<u32>),
}

impl Made {
    fn bytes(&self) -> Vec<u8> {
        let mut buffer = vec![0; LONGEST_FRAME];
        let length = match self {
            Self::Whole(frame) => frame.emit(&mut buffer),
            Self::Definition(record) => Snapshot::Definition(record).emit(&mut buffer),
            Self::Status(record) => Snapshot::Status(record).emit(&mut buffer),
            Self::Orders(instrument, orders) => {
                write_orders(&mut buffer, *instrument, orders.iter().copied())
            }
            Self::Change(record) => Snapshot::Change(record).emit(&mut buffer),
            Self::Message(generation, number, payload) => {
                let payload: Vec<u8> = payload.iter().flat_map(|it| it.to_le_bytes()).collect();
                let message = message((*generation, *number), &payload);
                Snapshot::Message(message).emit(&mut buffer)
            }
        };
        buffer.truncate(length);
        buffer
    }

    fn is(&self, read: &Snapshot<'_>) -> bool {
        match (self, read) {
            (Self::Whole(made), read) => made == read,
            (Self::Definition(made), Snapshot::Definition(read)) => **made == **read,
            (Self::Status(made), Snapshot::Status(read)) => made == *read,
            (Self::Orders(instrument, made), Snapshot::Orders(read)) => {
                *instrument == read.instrument() && read.iter().eq(made.iter().copied())
            }
            (Self::Change(made), Snapshot::Change(read)) => made == *read,
            (Self::Message(generation, number, made), Snapshot::Message(read)) => {
                let id = AdminId {
                    generation: Generation(*generation),
                    number: Adm(*number),
                };
                read.id() == id && read.instruments().unwrap().eq(made.iter().copied())
            }
            _ => false,
        }
    }
}

fn message((generation, number): (u32, u64), payload: &[u8]) -> AdminMessage<'_> {
    let id = AdminId {
        generation: Generation(generation),
        number: Adm(number),
    };
    AdminMessage::new(id, AdminKind::ClearBook, payload).unwrap()
}

fn request() -> impl Strategy<Value = Request> {
    let place = (1_u64.., any::<u64>(), any::<u16>(), any::<u64>());
    let who = (any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>());
    (who, place, any::<SocketAddr>()).prop_map(
        |((sid, stream, request, context), (epoch, sseq, part, adm), fills)| Request {
            sid: Sid(sid),
            stream: StreamId(stream),
            request,
            fills: SocketAddr::new(fills.ip(), fills.port()),
            not_before: NotBefore {
                epoch: Epoch(epoch),
                sseq,
                part,
                adm: Adm(adm),
            },
            context: ContextId(context),
        },
    )
}

fn refused() -> impl Strategy<Value = Refused> {
    let reason = prop_oneof![
        prop::sample::select(&Reason::ALL[..]),
        (7_u8..).prop_map(Reason::Other)
    ];
    (any::<(u32, u32, u64, u32)>(), reason).prop_map(
        |((sid, stream, request, retry_after_us), reason)| Refused {
            sid: Sid(sid),
            stream: StreamId(stream),
            request,
            reason,
            retry_after_us,
        },
    )
}

fn cursor() -> impl Strategy<Value = Cursor> {
    let numbers = (any::<u64>(), any::<u64>()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let of = (any::<u32>(), 1_u64.., any::<u16>(), any::<u64>());
    (numbers, of, any::<(bool, Option<(u64, u32)>, u64)>()).prop_map(
        |((last, sseq), (sid, epoch, part, context), (complete, count, predecessor))| Cursor {
            next: Pos {
                sid: Sid(sid),
                epoch: Epoch(epoch),
                sseq,
                part,
            },
            last,
            context: ContextId(context),
            complete,
            count: count.map(|(adm, generation)| (Adm(adm), Generation(generation))),
            predecessor: Epoch(predecessor),
        },
    )
}

fn trust() -> impl Strategy<Value = Trust> {
    prop_oneof![Just(Trust::Sound), Just(Trust::Suspect)]
}

fn order() -> impl Strategy<Value = Order> {
    let side = prop_oneof![Just(Side::Bid), Just(Side::Ask)];
    (any::<u64>(), side, any::<i64>(), 1_u32..).prop_map(|(id, side, price, size)| Order {
        id,
        side,
        price,
        size,
    })
}

fn made() -> impl Strategy<Value = Made> {
    let begin = (cursor(), any::<(u32, u64, u64)>()).prop_map(|(cursor, of)| Begin {
        cursor,
        stream: StreamId(of.0),
        instruments: of.1,
        orders: of.2,
    });
    let instrument = (any::<(u32, u64)>(), trust()).prop_map(|((id, orders), trust)| Instrument {
        id,
        trust,
        orders,
    });
    let end = (cursor(), trust(), any::<(bool, u64, u64, u64, u64)>()).prop_map(
        |(cursor, trust, (silent, instruments, orders, frames, digest))| End {
            cursor,
            trust,
            silent,
            instruments,
            orders,
            frames,
            digest,
        },
    );
    prop_oneof![
        request().prop_map(|it| Made::Whole(Snapshot::Request(it))),
        refused().prop_map(|it| Made::Whole(Snapshot::Refused(it))),
        begin.prop_map(|it| Made::Whole(Snapshot::Begin(it))),
        instrument.prop_map(|it| Made::Whole(Snapshot::Instrument(it))),
        end.prop_map(|it| Made::Whole(Snapshot::End(it))),
        any::<u32>().prop_map(|id| {
            let mut record = InstrumentDefMsg::default();
            record.hd.instrument_id = id.into();
            Made::Definition(Box::new(record))
        }),
        any::<(u32, u16)>().prop_map(|(id, action)| {
            let mut record = StatusMsg {
                action: action.into(),
                ..StatusMsg::default()
            };
            record.hd.instrument_id = id.into();
            Made::Status(record)
        }),
        (any::<u32>(), prop::collection::vec(order(), 1..9))
            .prop_map(|(id, it)| Made::Orders(id, it)),
        any::<(u32, u64, i64, u32)>().prop_map(|(id, order, price, size)| {
            let mut record = MboMsg {
                order_id: order.into(),
                price: price.into(),
                size: size.into(),
                action: code::action::ADD,
                ..MboMsg::default()
            };
            record.hd.instrument_id = id.into();
            Made::Change(record)
        }),
        any::<(u32, u64)>().prop_flat_map(|(generation, number)| {
            let named = prop::collection::vec(any::<u32>(), 0..5);
            named.prop_map(move |named| Made::Message(generation, number, named))
        }),
    ]
}

proptest! {
    #[test]
    fn a_frame_is_read_as_it_was_written(made in made()) {
        let bytes = made.bytes();
        let header = bytes.first_chunk().unwrap();
        prop_assert_eq!(frame_length(header), Ok(bytes.len()));
        let read = Snapshot::parse(&bytes).unwrap();
        prop_assert!(made.is(&read), "{:?}", read);
        let mut again = vec![0; LONGEST_FRAME];
        let length = read.emit(&mut again);
        prop_assert_eq!(&again[..length], &bytes[..]);
    }

    /// Wherever it stands in memory: a frame is borrowed from a buffer at any offset.
    #[test]
    fn a_frame_is_read_at_any_address(made in made(), offset in 0..8_usize) {
        let mut bytes = vec![0; offset];
        bytes.extend(made.bytes());
        prop_assert!(made.is(&Snapshot::parse(&bytes[offset..]).unwrap()));
    }

    #[test]
    fn a_byte_that_changed_is_noticed(
        made in made(),
        at in any::<prop::sample::Index>(),
        change in 1..=u8::MAX,
    ) {
        let mut bytes = made.bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(Snapshot::parse(&bytes).is_err());
    }

    #[test]
    fn a_frame_that_was_cut_or_goes_on_is_refused(made in made(), more in 1..40_usize) {
        let mut bytes = made.bytes();
        for length in 0..bytes.len() {
            prop_assert!(Snapshot::parse(&bytes[..length]).is_err(), "{} bytes", length);
        }
        bytes.resize(bytes.len() + more, 0);
        prop_assert!(Snapshot::parse(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Snapshot::parse(&bytes);
    }

    /// With a right check, whatever else it says: what is not refused is written as the same bytes.
    #[test]
    fn any_body_is_read_or_refused(kind in 0..12_u8, body in prop::collection::vec(any::<u8>(), 0..160)) {
        let bytes = sealed(kind, &body);
        if let Ok(read) = Snapshot::parse(&bytes) {
            let mut again = vec![0; LONGEST_FRAME];
            let length = read.emit(&mut again);
            prop_assert_eq!(&again[..length], &bytes[..]);
        }
    }

    #[test]
    fn a_digest_knows_an_order(frames in prop::collection::vec(made(), 2..6)) {
        let digest = |frames: &[Made]| {
            let mut digest = Digest::default();
            frames.iter().for_each(|made| digest.add(&made.bytes()));
            digest
        };
        let whole = digest(&frames);
        prop_assert_eq!(whole.frames(), frames.len() as u64);
        prop_assert_ne!(digest(&frames[1..]), whole);
        let mut other = frames.clone();
        other.rotate_left(1);
        let bytes = |frames: &[Made]| frames.iter().map(Made::bytes).collect::<Vec<_>>();
        prop_assert_eq!(digest(&other) == whole, bytes(&other) == bytes(&frames));
    }
}

/// A frame with a right check.
fn sealed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"TS\x01".to_vec();
    bytes.push(kind);
    bytes.extend((body.len() as u32).to_le_bytes());
    let check =
        xxhash_rust::xxh3::xxh3_64(body) ^ xxhash_rust::xxh3::xxh3_64(&bytes).rotate_left(32);
    bytes.extend(check.to_le_bytes());
    bytes.extend(body);
    bytes
}

fn refusal(bytes: &[u8]) -> BadSnapshot {
    Snapshot::parse(bytes).map(|_| ()).unwrap_err()
}

#[test]
fn a_length_that_lies_is_refused_before_anything_is_read() {
    let header = |length: u32| {
        let mut bytes = [0; FRAME_HEADER_LENGTH];
        bytes[..3].copy_from_slice(b"TS\x01");
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        frame_length(&bytes)
    };
    assert_eq!(header(0), Ok(16));
    assert_eq!(header(65_536), Ok(LONGEST_FRAME));
    assert_eq!(header(65_544), Err(BadSnapshot::Length(65_560)));
    assert_eq!(header(12), Err(BadSnapshot::Length(28)));
    assert_eq!(
        header(u32::MAX),
        Err(BadSnapshot::Length(16 + u32::MAX as usize))
    );
}

#[test]
fn what_is_foreign_or_impossible_is_named() {
    let mut other = sealed(2, &[0; 24]);
    other[2] = 9;
    let version = BadSnapshot::Version { theirs: 9, ours: 1 };
    assert_eq!(refusal(&other), version);
    other[0] = b'X';
    assert_eq!(
        refusal(&other),
        BadSnapshot::Magic(u16::from_le_bytes(*b"XS"))
    );
    assert_eq!(refusal(&sealed(11, &[])), BadSnapshot::Kind(11));
    assert_eq!(refusal(&sealed(2, &[0; 24])), BadSnapshot::Value("reason"));
    assert_eq!(refusal(&sealed(4, &[0; 16])), BadSnapshot::Value("trust"));
    assert_eq!(
        refusal(&sealed(1, &[0; 72])),
        BadSnapshot::Value("address family")
    );
    assert_eq!(refusal(&sealed(3, &[0; 88])), BadSnapshot::Value("epoch"));
    let rtype = code::rtype::MBO;
    assert_eq!(
        refusal(&sealed(8, &[0; 56])),
        BadSnapshot::Record { rtype, length: 56 }
    );
    let mut order = vec![0; 32];
    order[4] = 1;
    assert_eq!(refusal(&sealed(7, &order)), BadSnapshot::Value("side"));
    order[8 + 20] = b'A';
    assert_eq!(refusal(&sealed(7, &order)), BadSnapshot::Value("size"));
    order[8 + 16] = 1;
    assert!(Snapshot::parse(&sealed(7, &order)).is_ok());
    order[4] = 2;
    assert_eq!(refusal(&sealed(7, &order)), BadSnapshot::Length(48));
}

#[test]
fn as_many_orders_as_fit_are_taken_and_the_rest_is_left() {
    let order = Order {
        id: 1,
        side: Side::Bid,
        price: 1,
        size: 1,
    };
    let many = MOST_ORDERS + 3;
    let mut orders = (0..many as u64).map(|id| Order { id, ..order });
    let mut buffer = vec![0; LONGEST_FRAME];
    let mut seen = Vec::new();
    loop {
        let length = write_orders(&mut buffer, 7, orders.by_ref());
        if length == 0 {
            break;
        }
        let Ok(Snapshot::Orders(read)) = Snapshot::parse(&buffer[..length]) else {
            panic!("no orders");
        };
        seen.push(read.len());
        assert!(read.iter().all(|it| it.price == 1));
    }
    assert_eq!(seen, [MOST_ORDERS, 3]);
}

#[test]
fn a_place_is_reached_where_nothing_is_missing_in_between() {
    let at = |sseq, part, count: Option<u64>| Cursor {
        next: Pos {
            sid: Sid(1),
            epoch: Epoch(5),
            sseq,
            part,
        },
        last: 0,
        context: ContextId(1),
        complete: true,
        count: count.map(|adm| (Adm(adm), Generation(1))),
        predecessor: Epoch::NONE,
    };
    let place = NotBefore {
        epoch: Epoch(5),
        sseq: 10,
        part: 2,
        adm: Adm(3),
    };
    for (cursor, reached) in [
        (at(10, 2, Some(3)), true),
        (at(10, 1, Some(3)), false),
        (at(11, 0, Some(3)), true),
        (at(9, 9, Some(9)), false),
        (at(11, 0, Some(2)), false),
        (at(11, 0, None), true),
    ] {
        assert_eq!(place.is_reached_by(&cursor), reached, "{cursor:?}");
    }
    let elsewhere = NotBefore {
        epoch: Epoch(6),
        ..place
    };
    assert!(!elsewhere.is_reached_by(&at(11, 0, Some(3))));
}
