//! Whoever takes a snapshot: applies it frame by frame, and believes nothing that the end does not prove.

use std::collections::BTreeMap;

use twinfeed_book::{Books, View};
use twinfeed_feed_adapter::snapshots::{Follower, Given};
use twinfeed_protocol::join::{Spool, Step, Whole};
use twinfeed_protocol::{Delivered, Leg, Place};
use twinfeed_wire::record::{InstrumentDefMsg, StatusMsg};
use twinfeed_wire::snapshot::{Begin, Digest, End, FRAME_HEADER_LENGTH, Snapshot, frame_length};
use twinfeed_wire::{Adm, AdminMessage, BodyKind, ContextId, LONGEST_ADMIN, Pos, RecordFlags};

use super::stream::SID;

/// What a snapshot comes to.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) begin: Begin,
    pub(crate) end: End,
    pub(crate) books: Books,
    pub(crate) definitions: BTreeMap<u32, InstrumentDefMsg>,
    pub(crate) statuses: BTreeMap<u32, Vec<StatusMsg>>,
}

/// The frames of bytes.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let header: &[u8; FRAME_HEADER_LENGTH] = bytes.first_chunk().unwrap();
        let (frame, rest) = bytes.split_at(frame_length(header).unwrap());
        frames.push(frame);
        bytes = rest;
    }
    frames
}

pub(crate) fn take(bytes: &[u8]) -> Taken {
    let frames = frames(bytes);
    let Ok(Snapshot::Begin(begin)) = Snapshot::parse(frames[0]) else {
        panic!("it does not begin");
    };
    let mut books = Books::new(1);
    let (mut definitions, mut statuses) = (BTreeMap::new(), BTreeMap::<u32, Vec<_>>::new());
    let mut digest = Digest::default();
    let mut owed = (0, 0);
    for (at, frame) in frames.iter().enumerate() {
        match Snapshot::parse(frame).unwrap() {
            Snapshot::Begin(_) => assert_eq!(at, 0),
            Snapshot::Definition(it) => {
                definitions.insert(it.hd.instrument_id.get(), *it);
            }
            Snapshot::Status(it) => {
                let id = it.hd.instrument_id.get();
                statuses.entry(id).or_default().push(*it);
            }
            Snapshot::Instrument(it) => {
                assert_eq!(owed.1, 0, "orders of {} are missing", owed.0);
                owed = (it.id, it.orders);
                let _ = books.import((SID, it.id), [], it.trust.into());
            }
            Snapshot::Orders(it) => {
                assert_eq!(it.instrument(), owed.0);
                owed.1 -= it.len() as u64;
                let orders = it.iter().map(Into::into);
                assert!(books.append((SID, it.instrument()), orders).is_empty());
            }
            Snapshot::Change(it) => {
                let _ = books.apply(SID, it);
            }
            Snapshot::Message(it) => administer(&mut books, &it),
            Snapshot::End(end) => {
                assert_eq!(at, frames.len() - 1);
                assert_eq!((end.frames, end.digest), (digest.frames(), digest.value()));
                assert_eq!(end.orders, books.orders(SID) as u64);
                assert_eq!(end.instruments, books.instruments(SID).count() as u64);
                books.expect(SID, end.trust.into());
                books.silence(SID, end.silent);
                return Taken {
                    begin,
                    end,
                    books,
                    definitions,
                    statuses,
                };
            }
            other => panic!("{other:?} is none of a snapshot"),
        }
        digest.add(frame);
    }
    panic!("it does not end");
}

fn administer(books: &mut Books, message: &AdminMessage<'_>) {
    let mut body = [0; LONGEST_ADMIN];
    let length = message.emit(&mut body);
    let _ = books.deliver(&Delivered {
        pos: Pos {
            sid: SID,
            ..Pos::default()
        },
        kind: BodyKind::Administrative,
        flags: RecordFlags::LAST,
        adm: Adm(0),
        leg: Leg::Zero,
        body: &body[..length],
        received_at: 0,
        sent_at: 0,
        next: Place::start(0),
        context: ContextId(0),
        complete: true,
        numbering: None,
    });
}

/// Whether both have the same books, order by order and trust by trust, and think the same of those to come.
pub(crate) fn assert_same(taken: &Books, known: &Books) {
    let sorted = |books: &Books| {
        let mut all: Vec<u32> = books.instruments(SID).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(sorted(taken), sorted(known));
    for id in taken.instruments(SID) {
        let (one, other) = (taken.book(SID, id).unwrap(), known.book(SID, id).unwrap());
        assert_eq!(
            one.orders().collect::<Vec<_>>(),
            other.orders().collect::<Vec<_>>()
        );
        assert_eq!((one, View::trust(one)), (other, View::trust(other)), "{id}");
    }
    assert_eq!(taken.expected(SID), known.expected(SID));
    assert_eq!(taken.is_silent(SID), known.is_silent(SID));
    assert_eq!((taken.check(), known.check()), (Ok(()), Ok(())));
}

/// Steps until it is whole, and takes it.
pub(crate) fn snapshot(follower: &mut Follower, orders: usize) -> Taken {
    assert!(follower.walk(), "{:?}", follower.lacking());
    loop {
        if let Some(given) = follower.step(orders) {
            return take(&given.chunks().collect::<Vec<_>>().concat());
        }
        assert!(follower.is_walking());
    }
}

/// What was written, as whoever asks for it proves it.
pub(crate) fn whole(given: &Given) -> Whole {
    let bytes = given.chunks().collect::<Vec<_>>().concat();
    let mut spool = Spool::new(SID, 1 << 24);
    for frame in frames(&bytes) {
        if let Step::Whole(whole) = spool.push(frame).unwrap() {
            return whole;
        }
    }
    panic!("it does not end")
}
