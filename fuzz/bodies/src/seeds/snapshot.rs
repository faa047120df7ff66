//! What do an asker and an adapter say to each other of a snapshot?

use twinfeed_wire::record::{InstrumentDefMsg, MboMsg, StatusMsg};
use twinfeed_wire::snapshot::{
    Begin, Cursor, End, Instrument, LONGEST_FRAME, NotBefore, Order, Reason, Refused, Request,
    Side, Snapshot, Trust, write_orders,
};
use twinfeed_wire::{
    Adm, AdminId, AdminKind, AdminMessage, ContextId, Epoch, Generation, Pos, Sid, StreamId,
};

/// One of each kind; orders of one and of several.
pub(super) fn frames() -> Vec<Vec<u8>> {
    let cursor = Cursor {
        next: Pos {
            sid: Sid(1),
            epoch: Epoch(9),
            sseq: 100,
            part: 2,
        },
        last: 100,
        context: ContextId(3),
        complete: true,
        count: Some((Adm(4), Generation(2))),
        predecessor: Epoch(8),
    };
    let request = |fills: &str| {
        Snapshot::Request(Request {
            sid: Sid(1),
            stream: StreamId(10),
            request: 7,
            // One of the two below.
            fills: fills.parse().unwrap_or_else(|_| unreachable!("an address")),
            not_before: NotBefore {
                epoch: Epoch(9),
                sseq: 90,
                part: 1,
                adm: Adm(3),
            },
            context: ContextId(3),
        })
    };
    let id = AdminId {
        generation: Generation(2),
        number: Adm(3),
    };
    let clears = [7, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0];
    let messages = [
        AdminMessage::new(id, AdminKind::ClearBook, &clears),
        AdminMessage::new(id, AdminKind::SourceStale, &[]),
    ];
    let (definition, status) = (InstrumentDefMsg::default(), StatusMsg::default());
    let change = MboMsg::default();
    let mut all = vec![
        request("10.0.0.7:4001"),
        request("[2001:db8::7]:4001"),
        Snapshot::Begin(Begin {
            cursor,
            stream: StreamId(10),
            instruments: 2,
            orders: 3,
        }),
        Snapshot::Instrument(Instrument {
            id: 7,
            trust: Trust::Suspect,
            orders: 3,
        }),
        Snapshot::Definition(&definition),
        Snapshot::Status(&status),
        Snapshot::Change(&change),
        Snapshot::End(End {
            cursor: Cursor {
                count: None,
                ..cursor
            },
            trust: Trust::Sound,
            silent: true,
            instruments: 2,
            orders: 3,
            frames: 8,
            digest: 5,
        }),
    ];
    all.extend(messages.into_iter().flatten().map(Snapshot::Message));
    all.extend(Reason::ALL.map(|reason| {
        Snapshot::Refused(Refused {
            sid: Sid(1),
            stream: StreamId(10),
            request: 7,
            reason,
            retry_after_us: 500_000,
        })
    }));
    let mut buffer = vec![0; LONGEST_FRAME];
    let mut frames: Vec<Vec<u8>> = all
        .iter()
        .map(|frame| {
            let length = frame.emit(&mut buffer);
            buffer[..length].to_vec()
        })
        .collect();
    for count in [1, 20] {
        let orders = (0..count).map(|id| Order {
            id,
            side: if id % 2 == 0 { Side::Bid } else { Side::Ask },
            price: 100,
            size: 5,
        });
        let length = write_orders(&mut buffer, 7, orders);
        frames.push(buffer[..length].to_vec());
    }
    frames
}
