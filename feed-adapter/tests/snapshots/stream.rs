//! An adapter's output, written by hand.

use std::time::Duration;

use twinfeed_feed_adapter::snapshots::{Bounds, Follower};
use twinfeed_protocol::{JoinLimits, Time};
use twinfeed_wire::record::code::{action, side};
use twinfeed_wire::record::{DbnRecord, InstrumentDefMsg, MboMsg, StatusMsg};
use twinfeed_wire::{
    Adm, AdminId, AdminKind, Beat, BodyKind, ContextId, DEFAULT_DATAGRAM, Datagram, Dsn, Epoch,
    Flags, Generation, Header, Incarnation, Msn, Record, RecordFlags, Sid, StoredAdmin, StreamId,
    Writer, write_heartbeat,
};

pub(crate) const SID: Sid = Sid(1);
pub(crate) const STREAM: StreamId = StreamId(17);

pub(crate) const BOUNDS: Bounds = Bounds {
    orders: 10_000,
    instruments: 100,
    spool: 16 << 20,
    join: JoinLimits {
        kept_items: 100_000,
        kept_bytes: 16 << 20,
        time: Duration::from_secs(10),
        quiet: Duration::from_secs(10),
        on_gap: false,
    },
};

pub(crate) fn follower() -> Follower {
    Follower::new(SID, STREAM, BOUNDS)
}

/// A stream that numbers what it is given.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) header: Header,
    pub(crate) sseq: u64,
    pub(crate) adm: u64,
    /// Number of the last record.
    pub(crate) last: u64,
    records: Vec<(BodyKind, u64, u64, u64, Vec<u8>)>,
}

impl Stream {
    /// At the beginning of an epoch whose first number is 1.
    pub(crate) fn new() -> Self {
        Self {
            header: Header {
                flags: Flags(0),
                count: 0,
                stream: STREAM,
                generation: Generation(1),
                incarnation: Incarnation(7),
                dsn: Dsn(0),
                first_msn: Msn(1),
                sid: SID,
                abandoned: 0,
                epoch: Epoch(5),
                context: ContextId(50),
                first: 1,
                predecessor: Epoch::NONE,
                base_sseq: 0,
                base_adm: Adm(0),
                sent_at: 0,
                received_at: 0,
            },
            sseq: 0,
            adm: 0,
            last: 0,
            records: Vec::new(),
        }
    }

    /// Begins another epoch.
    pub(crate) fn begin(&mut self, epoch: u64, context: u64) {
        self.header.predecessor = self.header.epoch;
        (self.header.epoch, self.header.context) = (Epoch(epoch), ContextId(context));
        (self.sseq, self.last) = (0, 0);
    }

    pub(crate) fn incomplete(&mut self, context: u64) {
        self.header.context = ContextId(context);
        self.header.flags = Flags::INCOMPLETE;
    }

    /// One source message of this record; `silent` numbers before it carry nothing.
    pub(crate) fn dbn(&mut self, silent: u64, record: &impl DbnRecord) {
        let prev = self.sseq;
        self.sseq += 1 + silent;
        self.last = self.sseq;
        let body = record.as_bytes().to_vec();
        self.records
            .push((BodyKind::Dbn, self.sseq, prev, self.adm, body));
    }

    pub(crate) fn admin(&mut self, kind: AdminKind, payload: &[u8]) {
        let id = AdminId {
            generation: self.header.generation,
            number: Adm(self.adm),
        };
        let message = StoredAdmin::new(id, kind, payload).unwrap();
        let body = message.bytes().to_vec();
        let kind = BodyKind::Administrative;
        self.records
            .push((kind, self.sseq, self.sseq, self.adm, body));
        self.adm += 1;
    }

    /// What has gathered, as one datagram.
    pub(crate) fn datagram(&mut self) -> Vec<u8> {
        let records = std::mem::take(&mut self.records);
        let first = records.first().unwrap();
        let first_msn = self.header.first_msn;
        self.header.first_msn = first_msn.plus(records.len() as u64);
        let header = Header {
            first_msn,
            base_sseq: first.1,
            base_adm: Adm(first.3),
            count: records.len() as u16,
            ..self.header
        };
        let mut buffer = [0; DEFAULT_DATAGRAM];
        let mut writer = Writer::begin(&mut buffer, header);
        for (kind, sseq, prev, adm, body) in &records {
            let record = Record {
                kind: *kind,
                flags: RecordFlags::LAST,
                part: 0,
                sseq: *sseq,
                prev: *prev,
                adm: Adm(*adm),
                body,
            };
            writer.push(&record).unwrap();
        }
        let length = writer.finish(Dsn(1), header.flags, 0);
        buffer[..length].to_vec()
    }

    pub(crate) fn heartbeat(&self) -> Vec<u8> {
        let beat = Beat {
            next_sseq: self.sseq + 1,
            prev: self.last,
            predecessor_next: 0,
            predecessor_prev: 0,
            interval_us: 10_000,
            ended: false,
            inherited: Adm(0),
        };
        let header = Header {
            flags: self.header.flags.with(Flags::HEARTBEAT),
            base_sseq: self.sseq + 1,
            base_adm: Adm(self.adm),
            ..self.header
        };
        let mut buffer = [0; DEFAULT_DATAGRAM];
        let length = write_heartbeat(&mut buffer, &header, &beat, &[]);
        buffer[..length].to_vec()
    }
}

pub(crate) fn follow(follower: &mut Follower, bytes: &[u8]) {
    follower.datagram(&Datagram::parse(bytes).unwrap(), Time(1));
}

pub(crate) fn order(
    instrument: u32,
    action: u8,
    id: u64,
    bid: bool,
    price: i64,
    size: u32,
) -> MboMsg {
    let mut record = MboMsg {
        order_id: id.into(),
        price: price.into(),
        size: size.into(),
        action,
        side: if bid { side::BID } else { side::ASK },
        ..MboMsg::default()
    };
    record.hd.instrument_id = instrument.into();
    record
}

pub(crate) fn add(instrument: u32, id: u64) -> MboMsg {
    order(instrument, action::ADD, id, true, 100, 5)
}

pub(crate) fn definition(instrument: u32, publisher: u16) -> InstrumentDefMsg {
    let mut record = InstrumentDefMsg::default();
    record.hd.instrument_id = instrument.into();
    record.hd.publisher_id = publisher.into();
    record
}

pub(crate) fn status(instrument: u32, action: u16, trading: u8, restricted: u8) -> StatusMsg {
    let mut record = StatusMsg {
        action: action.into(),
        is_trading: trading,
        is_short_sell_restricted: restricted,
        ..StatusMsg::default()
    };
    record.hd.instrument_id = instrument.into();
    record
}
