//! What does an adapter send?

use std::time::Duration;

use twinfeed_feed_adapter::decode::itch50::Converter;
use twinfeed_feed_adapter::decode::{Decoder, Parts};
use twinfeed_protocol::sequencer::Sequencer;
use twinfeed_protocol::{Body, EpochStart, Now, SequencerConfig, Time, Transmit};
use twinfeed_wire::{
    AdminId, AdminKind, Epoch, Generation, GenerationOpened, Incarnation, Msn, OpenReason, Sid,
    StoredAdmin, StreamId,
};

use super::{given, source};
use crate::itch50::{SETTINGS, day};

struct Sent(Vec<Vec<u8>>);

impl Transmit for Sent {
    fn datagram(&mut self, bytes: &[u8]) {
        self.0.push(bytes.to_vec());
    }
}

/// A short day's datagrams, heartbeats and administrative messages among them.
pub(super) fn datagrams() -> Vec<Vec<u8>> {
    let config = SequencerConfig {
        stream: StreamId(10),
        sid: Sid(1),
        incarnation: Incarnation(5),
        max_datagram: 1_200,
        heartbeat: Duration::from_millis(10),
        history: 64,
    };
    let mut seq = given(Sequencer::new(config));
    let mut out = Sent(Vec::new());
    let now = |us: u64| Now {
        time: Time(us * 1_000),
        unix_ns: 1_700_000_000_000_000_000 + us * 1_000,
    };
    let start = EpochStart {
        epoch: Epoch(9),
        first: 1,
        complete: true,
        predecessor: Epoch::NONE,
    };
    seq.begin_epoch(now(0), start, &mut out);
    for (number, message) in (0..).zip(messages()) {
        seq.arm(Msn(1 + number), message, true);
    }
    let mut decoder = Converter::new(SETTINGS, day());
    let mut parts = Parts::new(1_000);
    for (sseq, message) in (1..).zip(source::day(2, 40)) {
        given(decoder.convert(sseq, &message, &mut parts));
        let bodies = parts.iter().map(|part| Body {
            kind: part.kind,
            bytes: part.bytes,
        });
        seq.message(now(sseq), sseq, 1_700_000_000_000_000_000, bodies, &mut out);
    }
    seq.flush(now(50), &mut out);
    for us in [20_000, 40_000] {
        seq.on_deadline(now(us), &mut out);
    }
    seq.end_epoch(now(60_000), 41, &mut out);
    seq.on_deadline(now(90_000), &mut out);
    seq.end_of_stream(now(100_000), &mut out);
    out.0.truncate(24);
    out.0
}

/// One of every kind, numbered from 0.
pub(super) fn messages() -> Vec<StoredAdmin> {
    let id = |number| AdminId {
        generation: Generation(0),
        number: twinfeed_wire::Adm(number),
    };
    let opened = GenerationOpened {
        predecessor: Generation(0),
        reason: OpenReason::First,
        synchronised: true,
    };
    vec![
        StoredAdmin::generation_opened(id(0), opened),
        given(StoredAdmin::clear_book(id(1), &[1, 2])),
        given(StoredAdmin::new(id(2), AdminKind::SourceStale, b"")),
        given(StoredAdmin::new(
            id(3),
            AdminKind::OperatorNotice,
            b"notice",
        )),
        given(StoredAdmin::new(id(4), AdminKind::Unknown(99), b"later")),
    ]
}
