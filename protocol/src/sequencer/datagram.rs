//! What is the datagram under way?
//!
//! One buffer, one datagram at a time, and the dsn that goes up with every one that leaves. All records in
//! it share one receive time and one header; whoever changes what the header says finishes it first.

use twinfeed_wire::{
    Beat, Draft, Dsn, Flags, Header, RangeDigest, Record, Refused, write_heartbeat,
};

#[derive(Debug)]
pub(super) struct Outgoing {
    buffer: Box<[u8]>,
    /// The datagram in `buffer`; none is under way as long as it has no record.
    draft: Draft,
    next_dsn: Dsn,
}

impl Outgoing {
    /// Room for datagrams of `max_datagram` bytes, rounded down to a multiple of 8.
    pub(super) fn new(max_datagram: usize) -> Self {
        Self {
            buffer: vec![0; max_datagram - max_datagram % 8].into_boxed_slice(),
            draft: Draft::begin(Header::default()),
            next_dsn: Dsn(1),
        }
    }

    pub(super) const fn next_dsn(&self) -> Dsn {
        self.next_dsn
    }

    #[inline]
    pub(super) const fn is_begun(&self) -> bool {
        self.draft.header().count > 0
    }

    /// Receive time of the records under way; 0 when there are none.
    pub(super) const fn received_at(&self) -> u64 {
        if self.is_begun() {
            self.draft.header().received_at
        } else {
            0
        }
    }

    /// Begins a datagram; none is under way.
    pub(super) fn begin(&mut self, header: Header) {
        debug_assert!(!self.is_begun(), "what is under way is finished first");
        self.draft = Draft::begin(header);
    }

    /// Appends `record` to the datagram begun last. `false`: it does not go into that one; finish it first.
    #[inline(always)]
    pub(super) fn push(&mut self, record: &Record<'_>) -> bool {
        match self.draft.push(&mut self.buffer, record) {
            Ok(()) => true,
            Err(Refused::Full | Refused::Offset | Refused::Distance) => false,
        }
    }

    /// The datagram under way, complete, if there is one.
    pub(super) fn finish(&mut self, flags: Flags, sent_at: u64) -> Option<&[u8]> {
        if !self.is_begun() {
            return None;
        }
        let dsn = self.take_dsn();
        Some(self.complete(dsn, flags, sent_at))
    }

    /// How many records are under way, and how long their datagram is, bytes.
    pub(super) fn begun(&self) -> Option<(usize, usize)> {
        let records = usize::from(self.draft.header().count);
        self.is_begun().then(|| (records, self.draft.length()))
    }

    /// The datagram under way, complete but for its number and the time at which it is sent.
    pub(super) fn finish_unnumbered(&mut self, flags: Flags) -> Option<&[u8]> {
        self.is_begun().then(|| self.complete(Dsn(0), flags, 0))
    }

    fn complete(&mut self, dsn: Dsn, flags: Flags, sent_at: u64) -> &[u8] {
        let draft = core::mem::replace(&mut self.draft, Draft::begin(Header::default()));
        let length = draft.finish(&mut self.buffer, dsn, flags, sent_at);
        &self.buffer[..length]
    }

    /// A heartbeat. It is written where records would be: none may be under way.
    pub(super) fn heartbeat(
        &mut self,
        header: &Header,
        beat: &Beat,
        digests: &[RangeDigest],
    ) -> &[u8] {
        debug_assert!(!self.is_begun(), "records are finished first");
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
