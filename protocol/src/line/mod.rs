//! Which messages does a source have, when two lines each lose some of them?

use core::ops::Range;
use core::time::Duration;

use twinfeed_wire::Epoch;

use crate::epoch::EpochStart;
use crate::limits::BadLimit;
use crate::time::Time;

/// One of the origin's redundant transports into an adapter.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Line {
    /// The first one.
    A,
    /// The second one.
    B,
}

/// What comes out of the lines, in order.
pub trait Source {
    /// An epoch begins; also when the source stepped back within one (then `start.epoch` is the same).
    fn begin(&mut self, start: EpochStart);
    /// The next message.
    fn message(&mut self, sseq: u64, bytes: &[u8], received_at: u64);
    /// These numbers are given up: nothing of them is delivered later.
    fn abandoned(&mut self, range: Range<u64>);
    /// The source ended the epoch, and everything below `next_sseq` was delivered or given up.
    fn ended(&mut self, epoch: Epoch, next_sseq: u64);
    /// Every line is silent (`true`) or one speaks again (`false`).
    fn stale(&mut self, stale: bool);
}

/// Knobs and bounds of one source's lines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LineLimits {
    /// The number that the source gives its first message of an epoch; 1 for MoldUDP64.
    pub origin_first: u64,
    /// How long a hole is kept open after every live line has passed it.
    pub reorder_hold: Duration,
    /// How long a hole is kept open for a live line that has not passed it yet.
    pub lag_hold: Duration,
    /// A line that says nothing for so long is silent: nobody waits for it.
    pub silence: Duration,
    /// Most numbers between the next one to deliver and the furthest one held.
    pub held_messages: usize,
    /// Most bytes held; rounded up to whole blocks of 64.
    pub held_bytes: usize,
    /// A jump of more numbers than this is absurd until confirmed; at most `held_messages`.
    pub window: u64,
    /// Packets or heartbeats in agreement that confirm a jump or a new epoch when the other line does not.
    pub confirmations: u32,
    /// How many epochs that were left are remembered, so that none returns.
    pub retired_epochs: usize,
}

impl Default for LineLimits {
    fn default() -> Self {
        Self {
            origin_first: 1,
            reorder_hold: Duration::from_millis(2),
            lag_hold: Duration::from_millis(100),
            silence: Duration::from_secs(3),
            held_messages: 32_768,
            held_bytes: 4 << 20,
            window: 32_768,
            confirmations: 4,
            retired_epochs: 64,
        }
    }
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LineCounters {
    /// Messages delivered.
    pub messages: u64,
    /// Holes given up.
    pub gaps: u64,
    /// Numbers given up.
    pub abandoned: u64,
    /// Copies with a number that was delivered with other bytes.
    pub line_conflicts: u64,
}

/// How a line is doing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LineState {
    /// Nothing was ever heard of it.
    Unheard,
    /// Speaking.
    Live,
    /// Speaking, but so far behind that nobody waits for it.
    Lagging,
    /// Silent.
    Silent,
}

/// One line's account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LineStatus {
    /// How it is doing.
    pub state: LineState,
    /// Messages that this line had first.
    pub first_arrivals: u64,
    /// Messages that the other line had first.
    pub duplicates: u64,
    /// Numbers that it skipped.
    pub missed: u64,
    /// When it last said something.
    pub last_heard: Option<Time>,
    /// The number behind the furthest it spoke of in this epoch; 0 when it did not.
    pub next: u64,
}

/// Lines A and B of one source.
#[derive(Debug)]
pub struct Lines {
    counters: LineCounters,
}

impl Lines {
    /// Allocates everything that will ever be needed.
    ///
    /// # Errors
    /// [`BadLimit`] names the first limit that cannot be worked with.
    pub fn new(_limits: LineLimits) -> Result<Self, BadLimit> {
        todo!()
    }

    /// A packet of `count` messages, the first of which is number `first`.
    #[allow(clippy::too_many_arguments, reason = "a packet's header, taken apart")]
    pub fn on_packet<'m>(
        &mut self,
        _line: Line,
        _now: Time,
        _epoch: Epoch,
        _first: u64,
        _count: u16,
        _messages: impl Iterator<Item = &'m [u8]>,
        _received_at: u64,
        _out: &mut impl Source,
    ) {
        todo!()
    }

    /// The source says that `next` is the number of its next message.
    pub fn on_heartbeat(
        &mut self,
        _line: Line,
        _now: Time,
        _epoch: Epoch,
        _next: u64,
        _out: &mut impl Source,
    ) {
        todo!()
    }

    /// The source says that the epoch is over and `next` would have been the next number.
    pub fn on_end(
        &mut self,
        _line: Line,
        _now: Time,
        _epoch: Epoch,
        _next: u64,
        _out: &mut impl Source,
    ) {
        todo!()
    }

    /// The time that [`Lines::next_deadline`] named has come.
    pub fn on_deadline(&mut self, _now: Time, _out: &mut impl Source) {
        todo!()
    }

    /// Nothing will follow on any line (the end of a file): gives up every hole, delivers what is held.
    pub fn on_close(&mut self, _now: Time, _out: &mut impl Source) {
        todo!()
    }

    /// When [`Lines::on_deadline`] wants to be called.
    pub fn next_deadline(&self) -> Option<Time> {
        todo!()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &LineCounters {
        &self.counters
    }

    /// One line's account.
    pub fn status(&self, _line: Line, _now: Time) -> LineStatus {
        todo!()
    }
}
