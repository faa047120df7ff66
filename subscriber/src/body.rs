//! What is in a record, and how is it kept longer than the callback?
//!
//! A delivered record borrows the receive buffer: viewing its body costs nothing and keeping it is a
//! copy. [`RecordBody`] views, [`OwnedRecord`] keeps, [`restore_received_at`] puts the receive time
//! back where files have it. What a record does to a book is the business of [`crate::book`].

use bytes::Bytes;
use twinfeed_protocol::{Cursor, Delivered, Leg, Place};
use twinfeed_wire::record::{
    DbnRecord, ImbalanceMsg, InstrumentDefMsg, MboMsg, Mbp1Msg, Mbp10Msg, RecordHeader, RecordRef,
    StatMsg, StatusMsg, TradeMsg, code::rtype,
};
use twinfeed_wire::{Adm, BodyKind, ContextId, Generation, Pos, RecordFlags};

/// Views of a record's body, checked.
pub trait RecordBody {
    /// What the body is.
    fn kind(&self) -> BodyKind;
    /// The body's bytes.
    fn bytes(&self) -> &[u8];

    /// The body as a DBN record `R`, in place; `None` when it is anything else. Prices are 1e-9, times
    /// Unix nanoseconds, `ts_recv` is `UNDEF_TIMESTAMP` (see [`restore_received_at`]).
    ///
    /// ```
    /// use twinfeed_subscriber::{Delivered, RecordBody, record::MboMsg};
    ///
    /// fn price(record: &Delivered<'_>) -> Option<i64> {
    ///     record.dbn::<MboMsg>().map(|order| order.price.get())
    /// }
    /// ```
    fn dbn<R: DbnRecord>(&self) -> Option<&R> {
        match self.kind() {
            BodyKind::Dbn => R::view(self.bytes()),
            BodyKind::Administrative | BodyKind::Opaque | BodyKind::Unknown(_) => None,
        }
    }

    /// The body as whatever DBN record it is; `None` when it is not a well-formed one.
    fn any_dbn(&self) -> Option<RecordRef<'_>> {
        match self.kind() {
            BodyKind::Dbn => RecordRef::parse(self.bytes()).ok(),
            BodyKind::Administrative | BodyKind::Opaque | BodyKind::Unknown(_) => None,
        }
    }
}

impl RecordBody for Delivered<'_> {
    fn kind(&self) -> BodyKind {
        self.kind
    }

    fn bytes(&self) -> &[u8] {
        self.body
    }
}

impl RecordBody for OwnedRecord {
    fn kind(&self) -> BodyKind {
        self.kind
    }

    fn bytes(&self) -> &[u8] {
        &self.body
    }
}

/// A record with a body of its own: one allocation and one copy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnedRecord {
    /// Where the record stands, once and for all.
    pub pos: Pos,
    /// What the body is.
    pub kind: BodyKind,
    /// Last part, continued body.
    pub flags: RecordFlags,
    /// Administrative messages before this record.
    pub adm: Adm,
    /// The leg it was taken from.
    pub leg: Leg,
    /// The body; a clone of the record shares it.
    pub body: Bytes,
    /// When the adapter received the source datagram, Unix ns; 0 when not known.
    pub received_at: u64,
    /// When the adapter sent the datagram, Unix ns.
    pub sent_at: u64,
    /// The first place that the application has heard nothing of once it has this record.
    pub next: Place,
    /// What the conversion of the record remembers.
    pub context: ContextId,
    /// Whether that reaches back to the source's own first number, without a hole.
    pub complete: bool,
    /// In whose numbering `adm` counts; `None`: that is not known.
    pub numbering: Option<Generation>,
}

impl OwnedRecord {
    /// Where the application stands once it has this record: what its next run goes on from.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.as_delivered().cursor()
    }

    /// The record as a handler gets it.
    #[must_use]
    pub fn as_delivered(&self) -> Delivered<'_> {
        Delivered {
            pos: self.pos,
            kind: self.kind,
            flags: self.flags,
            adm: self.adm,
            leg: self.leg,
            body: &self.body,
            received_at: self.received_at,
            sent_at: self.sent_at,
            next: self.next,
            context: self.context,
            complete: self.complete,
            numbering: self.numbering,
        }
    }

    /// The body with its receive time put back, for export: see [`restore_received_at`].
    #[must_use]
    pub fn into_exported(self) -> Vec<u8> {
        let mut body = Vec::from(self.body);
        restore_received_at(&mut body, self.received_at);
        body
    }
}

impl From<&Delivered<'_>> for OwnedRecord {
    fn from(record: &Delivered<'_>) -> Self {
        Self {
            pos: record.pos,
            kind: record.kind,
            flags: record.flags,
            adm: record.adm,
            leg: record.leg,
            body: Bytes::copy_from_slice(record.body),
            received_at: record.received_at,
            sent_at: record.sent_at,
            next: record.next,
            context: record.context,
            complete: record.complete,
            numbering: record.numbering,
        }
    }
}

/// Writes `received_at` (Unix ns) into the `ts_recv` of the DBN record in `body` and returns whether it
/// has one. On the wire `ts_recv` is UNDEF, because two adapters receive one message at two times and
/// their records must be equal; the time travels once per datagram. 0 means unknown and changes nothing.
pub fn restore_received_at(body: &mut [u8], received_at: u64) -> bool {
    if received_at == 0 {
        return false;
    }
    match RecordHeader::peek(body).map(|header| header.rtype) {
        Some(rtype::MBO) => set::<MboMsg>(body, |record| record.ts_recv.set(received_at)),
        Some(rtype::MBP_0) => set::<TradeMsg>(body, |record| record.ts_recv.set(received_at)),
        Some(rtype::MBP_1) => set::<Mbp1Msg>(body, |record| record.ts_recv.set(received_at)),
        Some(rtype::MBP_10) => set::<Mbp10Msg>(body, |record| record.ts_recv.set(received_at)),
        Some(rtype::STATUS) => set::<StatusMsg>(body, |record| record.ts_recv.set(received_at)),
        Some(rtype::INSTRUMENT_DEF) => {
            set::<InstrumentDefMsg>(body, |record| record.ts_recv.set(received_at))
        }
        Some(rtype::IMBALANCE) => {
            set::<ImbalanceMsg>(body, |record| record.ts_recv.set(received_at))
        }
        Some(rtype::STATISTICS) => set::<StatMsg>(body, |record| record.ts_recv.set(received_at)),
        _ => false,
    }
}

fn set<R: DbnRecord>(body: &mut [u8], write: impl FnOnce(&mut R)) -> bool {
    if R::view(body).is_none() {
        return false;
    }
    let Ok(record) = R::mut_from_bytes(body) else {
        return false;
    };
    write(record);
    true
}

#[cfg(test)]
mod tests {
    use twinfeed_wire::record::UNDEF_TIMESTAMP;
    use zerocopy::IntoBytes;

    use super::*;

    #[test]
    fn a_body_is_viewed_only_as_what_it_is() {
        let order = MboMsg::default();
        let mut record = delivered(order.as_bytes());
        assert_eq!(record.dbn::<MboMsg>(), Some(&order));
        assert!(record.dbn::<TradeMsg>().is_none());
        assert!(matches!(record.any_dbn(), Some(RecordRef::Mbo(seen)) if *seen == order));
        record.kind = BodyKind::Opaque;
        assert!(record.dbn::<MboMsg>().is_none() && record.any_dbn().is_none());
    }

    #[test]
    fn every_record_that_has_a_receive_time_gets_it_back() {
        fn check<R: DbnRecord + Default>(read: impl Fn(&R) -> u64) {
            let mut body = R::default().as_bytes().to_vec();
            assert_eq!(read(R::view(&body).unwrap()), UNDEF_TIMESTAMP);
            assert!(!restore_received_at(&mut body, 0));
            assert_eq!(read(R::view(&body).unwrap()), UNDEF_TIMESTAMP);
            assert!(restore_received_at(&mut body, 17));
            assert_eq!(read(R::view(&body).unwrap()), 17);
            body.push(0);
            assert!(
                !restore_received_at(&mut body, 18),
                "not exactly one record"
            );
        }
        check::<MboMsg>(|record| record.ts_recv.get());
        check::<TradeMsg>(|record| record.ts_recv.get());
        check::<Mbp1Msg>(|record| record.ts_recv.get());
        check::<Mbp10Msg>(|record| record.ts_recv.get());
        check::<StatusMsg>(|record| record.ts_recv.get());
        check::<InstrumentDefMsg>(|record| record.ts_recv.get());
        check::<ImbalanceMsg>(|record| record.ts_recv.get());
        check::<StatMsg>(|record| record.ts_recv.get());
    }

    #[test]
    fn bytes_that_are_no_record_stay_as_they_are() {
        let mut body = *b"opaque bytes of a source";
        assert!(!restore_received_at(&mut body, 17));
        assert_eq!(body, *b"opaque bytes of a source");
        assert!(!restore_received_at(&mut [], 17));
    }

    fn delivered(body: &[u8]) -> Delivered<'_> {
        Delivered {
            pos: Pos::default(),
            kind: BodyKind::Dbn,
            flags: RecordFlags::LAST,
            adm: Adm(0),
            leg: Leg::Zero,
            body,
            received_at: 0,
            sent_at: 0,
            next: Place::start(1),
            context: ContextId(0),
            complete: true,
            numbering: None,
        }
    }
}
