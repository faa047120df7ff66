//! Snapshots, items and an application, made by hand.
#![allow(unreachable_pub, reason = "a module of test binaries")]
#![allow(dead_code, reason = "each test binary uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use twinfeed_protocol::join::{Spool, Step, Whole};
use twinfeed_protocol::{Cursor, Delivered, Leg, Place};
use twinfeed_wire::snapshot::{
    Begin, Digest, End, Instrument, LONGEST_FRAME, Order, Side, Snapshot, Trust, write_orders,
};
use twinfeed_wire::*;

pub const SID: Sid = Sid(7);

/// Where a snapshot or a stream stands: epoch, place, last number, context, count, numbering.
pub fn cursor(epoch: u64, sseq: u64, part: u16, last: u64, adm: u64) -> Cursor {
    Cursor {
        next: Pos {
            sid: SID,
            epoch: Epoch(epoch),
            sseq,
            part,
        },
        last,
        context: ContextId(1),
        complete: true,
        count: Some((Adm(adm), Generation(1))),
        predecessor: Epoch::NONE,
    }
}

/// The frames of a snapshot with one book, `instrument`, that has these orders.
pub fn frames(cursor: &Cursor, instrument: u32, orders: &[u64]) -> Vec<Vec<u8>> {
    let mut buffer = vec![0; LONGEST_FRAME];
    let mut frames = Vec::new();
    let mut digest = Digest::default();
    let mut put = |length: usize, buffer: &[u8]| {
        digest.add(&buffer[..length]);
        frames.push(buffer[..length].to_vec());
    };
    let begin = Snapshot::Begin(Begin {
        cursor: (*cursor).into(),
        stream: StreamId(1),
        instruments: 1,
        orders: orders.len() as u64,
    });
    put(begin.emit(&mut buffer), &buffer);
    let book = Snapshot::Instrument(Instrument {
        id: instrument,
        trust: Trust::Sound,
        orders: orders.len() as u64,
    });
    put(book.emit(&mut buffer), &buffer);
    // Few in a frame, so that there are several.
    for some in orders.chunks(3) {
        let some = some.iter().map(|&id| Order {
            id,
            side: Side::Bid,
            price: 1,
            size: 1,
        });
        put(write_orders(&mut buffer, instrument, some), &buffer);
    }
    let end = Snapshot::End(End {
        cursor: (*cursor).into(),
        trust: Trust::Sound,
        silent: false,
        instruments: 1,
        orders: orders.len() as u64,
        frames: digest.frames(),
        digest: digest.value(),
    });
    let length = end.emit(&mut buffer);
    frames.push(buffer[..length].to_vec());
    frames
}

/// A snapshot, proven.
pub fn whole(cursor: &Cursor, instrument: u32, orders: &[u64]) -> Whole {
    let mut spool = Spool::new(SID, 1 << 24);
    for frame in frames(cursor, instrument, orders) {
        if let Step::Whole(whole) = spool.push(&frame).unwrap() {
            return whole;
        }
    }
    panic!("a snapshot has an end");
}

/// A record whose body is `content`.
pub fn record<'a>(pos: Pos, last: bool, adm: u64, content: &'a [u8]) -> Delivered<'a> {
    Delivered {
        pos,
        kind: BodyKind::Dbn,
        flags: if last {
            RecordFlags::LAST
        } else {
            RecordFlags(0)
        },
        adm: Adm(adm),
        leg: Leg::Zero,
        body: content,
        received_at: 0,
        sent_at: 0,
        next: match last {
            true => Place::start(pos.sseq + 1),
            false => Place {
                sseq: pos.sseq,
                part: pos.part + 1,
            },
        },
        context: ContextId(1),
        complete: true,
        numbering: Some(Generation(1)),
    }
}
