//! What does a stream remember of the epoch at hand?

use core::ops::Range;

use twinfeed_wire::{ContextId, Epoch};

use crate::digest::{Context, Ranges};
use crate::epoch::EpochStart;

#[derive(Debug)]
pub(super) struct Run {
    pub(super) start: EpochStart,
    /// Next number of the epoch before when it ended; 0: not known.
    pub(super) predecessor_next: u64,
    /// The last record of the epoch before; 0: not known.
    pub(super) predecessor_prev: u64,
    /// The lowest number that may still come.
    pub(super) next_sseq: u64,
    /// What the next record follows: the last record, or the last number given up, or `first − 1`.
    ///
    /// Invariant: `prev < next_sseq`.
    pub(super) prev: u64,
    pub(super) ranges: Ranges,
    context: Context,
    /// What was remembered at first is what a snapshot of the source's said.
    of_snapshot: bool,
    pub(super) context_id: ContextId,
    /// What the conversion remembered when the epoch began; `None` after the source stepped back within it: that
    /// beginning is not the epoch's.
    pub(super) begun: Option<ContextId>,
    /// Records of the source since then.
    pub(super) records: u64,
    /// Administrative messages since then.
    pub(super) administrative: u64,
}

impl Run {
    /// Before any epoch.
    pub(super) fn none() -> Self {
        Self::begin(
            EpochStart {
                epoch: Epoch::NONE,
                first: 1,
                complete: false,
                predecessor: Epoch::NONE,
            },
            0,
            0,
        )
    }

    /// The run that follows this one. What is known of this one's end goes with it, if it is the
    /// predecessor that `start` names; `ended` says that the source itself ended it.
    pub(super) fn succeeded_by(&self, start: EpochStart, ended: bool) -> Self {
        let here = self.start.epoch;
        if here.is_some() && here == start.epoch {
            // The source stepped back within its epoch: the one before is still the same.
            let start = EpochStart {
                predecessor: self.start.predecessor,
                ..start
            };
            Self {
                begun: None,
                ..Self::begin(start, self.predecessor_next, self.predecessor_prev)
            }
        } else if here.is_some() && here == start.predecessor {
            Self::begin(start, if ended { self.next_sseq } else { 0 }, self.prev)
        } else {
            Self::begin(start, 0, 0)
        }
    }

    /// Numbers from `range.start`, which is beyond `prev`, are lost.
    pub(super) fn abandon(&mut self, range: Range<u64>) {
        self.prev = range.end - 1;
        self.next_sseq = range.end;
        self.context.abandon(range);
        self.context_id = self.context.id();
    }

    /// The conversion remembers from the next number on what a complete one does, or what a snapshot of the source's says,
    /// and the last record was number `prev`.
    pub(super) fn inherit(&mut self, start: EpochStart, prev: u64) {
        let known = self.start.predecessor;
        self.start = EpochStart {
            predecessor: if known.is_some() {
                known
            } else {
                start.predecessor
            },
            ..start
        };
        self.prev = prev;
        self.ranges = Ranges::going_on_at(self.next_sseq);
        self.context = match start.complete {
            true => Context::new(start.epoch, start.first),
            false => Context::of_snapshot(start.epoch, start.first),
        };
        self.of_snapshot = !start.complete;
        self.context_id = self.context.id();
        self.begun = None;
    }

    /// Whether the conversion remembers what a snapshot said, and has lost nothing since.
    pub(super) const fn is_of_snapshot(&self) -> bool {
        self.of_snapshot && self.context.abandoned() == 0
    }

    /// Whether what the conversion remembers is worth less than what a snapshot says of everything from `first` on.
    pub(super) const fn is_worth_less_than_a_snapshot(&self, first: u64) -> bool {
        !(self.is_complete() || self.is_of_snapshot() && self.start.first <= first)
    }

    /// How many numbers were given up, saturating.
    pub(super) fn abandoned(&self) -> u32 {
        u32::try_from(self.context.abandoned()).unwrap_or(u32::MAX)
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.start.complete && self.context.abandoned() == 0
    }

    fn begin(start: EpochStart, predecessor_next: u64, predecessor_prev: u64) -> Self {
        let context = Context::new(start.epoch, start.first);
        Self {
            start,
            predecessor_next,
            predecessor_prev,
            next_sseq: start.first,
            prev: start.first - 1,
            ranges: Ranges::starting_at(start.first),
            context_id: context.id(),
            begun: start.epoch.is_some().then(|| context.id()),
            context,
            of_snapshot: false,
            records: 0,
            administrative: 0,
        }
    }
}
