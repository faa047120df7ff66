//! How do converted messages become one numbered stream?

use core::ops::Range;
use core::time::Duration;

use twinfeed_wire::{
    BodyKind, ContextId, Dsn, Epoch, Generation, Incarnation, Msn, Pos, Sid, StreamId,
};

use crate::epoch::EpochStart;
use crate::limits::BadLimit;
use crate::time::Time;

/// What one stream is configured with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequencerConfig {
    /// The stream, assigned by stream-admin.
    pub stream: StreamId,
    /// The source stream it carries.
    pub sid: Sid,
    /// Life of this process.
    pub incarnation: Incarnation,
    /// Longest datagram, bytes.
    pub max_datagram: usize,
    /// A heartbeat follows after so long a silence, and every three times so long on a busy stream.
    pub heartbeat: Duration,
}

/// Both clocks' readings in one duty cycle.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// The monotonic clock: decides.
    pub time: Time,
    /// The wall clock, Unix ns: goes on the wire.
    pub unix_ns: u64,
}

/// Where finished datagrams go.
pub trait Transmit {
    /// Sends one datagram; `bytes` are valid during the call only.
    fn datagram(&mut self, bytes: &[u8]);
}

/// One record of a source message, converted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Body<'a> {
    /// What the bytes are: [`BodyKind::Dbn`] or [`BodyKind::Opaque`].
    pub kind: BodyKind,
    /// The bytes; an opaque body may be longer than a datagram.
    pub bytes: &'a [u8],
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SequencerCounters {
    /// Datagrams sent, heartbeats included.
    pub datagrams: u64,
    /// Heartbeats sent.
    pub heartbeats: u64,
    /// Bytes of datagrams sent.
    pub bytes: u64,
    /// Source messages sequenced, covered ones included.
    pub messages: u64,
    /// Source messages without a record.
    pub covered: u64,
    /// Records sent.
    pub records: u64,
    /// Source numbers given up.
    pub abandoned: u64,
    /// Inputs that no state of the stream allows, ignored.
    pub refused: u64,
}

/// One adapter's numbered output of one source stream.
#[derive(Debug)]
pub struct Sequencer {
    counters: SequencerCounters,
}

impl Sequencer {
    /// Allocates the one datagram that is ever under way.
    ///
    /// # Errors
    /// [`BadLimit`] names the first limit that cannot be worked with.
    pub fn new(_config: SequencerConfig) -> Result<Self, BadLimit> {
        todo!()
    }

    /// A role assignment with a higher generation: msn restarts at 1.
    pub fn set_generation(&mut self, _now: Now, _generation: Generation, _out: &mut impl Transmit) {
        todo!()
    }

    /// An epoch begins: announced by four heartbeats at once.
    pub fn begin_epoch(&mut self, _now: Now, _start: EpochStart, _out: &mut impl Transmit) {
        todo!()
    }

    /// The records of source message `sseq`; without any, the message is covered.
    pub fn message<'a>(
        &mut self,
        _now: Now,
        _sseq: u64,
        _received_at: u64,
        _bodies: impl ExactSizeIterator<Item = Body<'a>> + Clone,
        _out: &mut impl Transmit,
    ) {
        todo!()
    }

    /// The source lost these numbers for good.
    pub fn abandon(&mut self, _now: Now, _range: Range<u64>, _out: &mut impl Transmit) {
        todo!()
    }

    /// The source ended the epoch: announced by four heartbeats at once.
    pub fn end_epoch(&mut self, _now: Now, _next_sseq: u64, _out: &mut impl Transmit) {
        todo!()
    }

    /// Sends what is under way: the end of a source datagram or of a batch.
    pub fn flush(&mut self, _now: Now, _out: &mut impl Transmit) {
        todo!()
    }

    /// The pair link was reset, or stands again.
    pub fn set_peer_lost(&mut self, _now: Now, _lost: bool, _out: &mut impl Transmit) {
        todo!()
    }

    /// Every line of the source is silent, or one speaks again.
    pub fn set_source_stale(&mut self, _now: Now, _stale: bool, _out: &mut impl Transmit) {
        todo!()
    }

    /// Nothing follows from this incarnation.
    pub fn end_of_stream(&mut self, _now: Now, _out: &mut impl Transmit) {
        todo!()
    }

    /// The time that [`Sequencer::next_deadline`] named has come.
    pub fn on_deadline(&mut self, _now: Now, _out: &mut impl Transmit) {
        todo!()
    }

    /// When [`Sequencer::on_deadline`] wants to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        todo!()
    }

    /// Number of the next record.
    #[must_use]
    pub fn next_msn(&self) -> Msn {
        todo!()
    }

    /// Number of the next datagram.
    #[must_use]
    pub fn next_dsn(&self) -> Dsn {
        todo!()
    }

    /// Where the next record will stand at the earliest; `None` before the first epoch.
    #[must_use]
    pub fn next_pos(&self) -> Option<Pos> {
        todo!()
    }

    /// What the conversion remembers; `None` before the first epoch.
    #[must_use]
    pub fn context_id(&self) -> Option<ContextId> {
        todo!()
    }

    /// The current epoch; `None` before the first one.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        todo!()
    }

    /// The generation under which this stream works.
    #[must_use]
    pub fn generation(&self) -> Generation {
        todo!()
    }

    /// Whether the context reaches back to the source's own first number without a hole.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        todo!()
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counters(&self) -> &SequencerCounters {
        &self.counters
    }
}
