//! What does a source look like from outside: two lines in, one account out.

use core::ops::Range;

use twinfeed_wire::Epoch;

use crate::epoch::EpochStart;

/// One of the origin's redundant transports into an adapter.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Line {
    /// The first one.
    A,
    /// The second one.
    B,
}

impl Line {
    /// Both lines.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// 0 or 1.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What comes out of the lines, in order.
pub trait Source {
    /// An epoch begins; also when the source stepped back within one, or went on behind its end (then `start.epoch` is the same).
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
