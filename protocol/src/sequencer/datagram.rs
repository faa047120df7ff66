//! What is the datagram under way?
//!
//! One buffer, one datagram at a time, and the dsn that goes up with every one that leaves. All records in
//! it share one receive time and one header; whoever changes what the header says finishes it first.

use twinfeed_wire::{
    Beat, Dsn, Flags, HEADER_LENGTH, Header, RangeDigest, Record, Refused, Writer, write_heartbeat,
};

#[derive(Debug)]
pub(super) struct Outgoing {
    buffer: Box<[u8]>,
    /// The datagram begun in `buffer` and its length, if one is.
    begun: Option<(Header, usize)>,
    next_dsn: Dsn,
}

impl Outgoing {
    /// Room for datagrams of `max_datagram` bytes, rounded down to a multiple of 8.
    pub(super) fn new(max_datagram: usize) -> Self {
        Self {
            buffer: vec![0; max_datagram - max_datagram % 8].into_boxed_slice(),
            begun: None,
            next_dsn: Dsn(1),
        }
    }

    pub(super) const fn next_dsn(&self) -> Dsn {
        self.next_dsn
    }

    pub(super) const fn is_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Receive time of the records under way; 0 when there are none.
    pub(super) fn received_at(&self) -> u64 {
        self.begun
            .as_ref()
            .map_or(0, |(header, _)| header.received_at)
    }

    /// Appends `record`, beginning a datagram with `header` when none is under way. `false`: it does not go
    /// into the one under way; finish that first.
    pub(super) fn push(&mut self, header: &Header, record: &Record<'_>) -> bool {
        let (begun, length) = self.begun.take().unwrap_or((*header, HEADER_LENGTH));
        let mut writer = Writer::resume(&mut self.buffer, begun, length);
        let pushed = match writer.push(record) {
            Ok(()) => true,
            Err(Refused::Full | Refused::Offset | Refused::Distance) => false,
        };
        let (begun, length) = writer.suspend();
        self.begun = (begun.count > 0).then_some((begun, length));
        pushed
    }

    /// The datagram under way, complete, if there is one.
    pub(super) fn finish(&mut self, flags: Flags, sent_at: u64) -> Option<&[u8]> {
        let (header, length) = self.begun.take()?;
        let dsn = self.take_dsn();
        let length = Writer::resume(&mut self.buffer, header, length).finish(dsn, flags, sent_at);
        Some(&self.buffer[..length])
    }

    /// How many records are under way, and how long their datagram is, bytes.
    pub(super) fn begun(&self) -> Option<(usize, usize)> {
        let (header, length) = self.begun.as_ref()?;
        Some((usize::from(header.count), *length))
    }

    /// The datagram under way, complete but for its number and the time at which it is sent.
    pub(super) fn finish_unnumbered(&mut self, flags: Flags) -> Option<&[u8]> {
        let (header, length) = self.begun.take()?;
        let writer = Writer::resume(&mut self.buffer, header, length);
        let length = writer.finish(Dsn(0), flags, 0);
        Some(&self.buffer[..length])
    }

    /// A heartbeat. It is written where records would be: none may be under way.
    pub(super) fn heartbeat(
        &mut self,
        header: &Header,
        beat: &Beat,
        digests: &[RangeDigest],
    ) -> &[u8] {
        debug_assert!(self.begun.is_none(), "records are finished first");
        let length = write_heartbeat(&mut self.buffer, header, beat, digests);
        &self.buffer[..length]
    }

    /// The number of a datagram that leaves.
    pub(super) fn take_dsn(&mut self) -> Dsn {
        let dsn = self.next_dsn;
        // 2^64 datagrams take five centuries at one per nanosecond.
        self.next_dsn = Dsn(dsn.0.wrapping_add(1));
        dsn
    }
}
