//! How does a source catch up with what its peer remembered a moment ago?
//!
//! It keeps its own messages while the memory is on its way, and converts those that the memory does not know of with
//! it, a few per batch, publishing nothing of that: they are published as ever, in the old context. When none is left,
//! both stand in front of the same message, and the source goes on with the new memory.

use twinfeed_wire::link::OverReason;

use super::Whole;
use super::kept::Kept;
use crate::decode::{Decoder as _, Parts};

/// A transfer from the taker's side, in one source.
#[derive(Debug)]
pub struct Taking {
    kept: Box<Kept>,
    /// What is below is in the memory, or will be.
    known: u64,
    /// The number behind the last one that was lost here.
    hole: u64,
    whole: Option<Box<Whole>>,
    spoilt: Option<OverReason>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum CatchUp {
    /// The memory is not here yet, or of a moment that this source has not reached.
    Waiting,
    /// There is more to convert.
    Behind,
    /// The memory is of this moment.
    There,
    /// It will not be.
    Spoilt(OverReason),
}

impl Taking {
    /// Keeps messages from now on, in `kept`, which is empty.
    #[must_use]
    pub const fn new(kept: Box<Kept>) -> Self {
        Self {
            kept,
            known: 0,
            hole: 0,
            whole: None,
            spoilt: None,
        }
    }

    /// The source's next message.
    pub fn message(&mut self, sseq: u64, bytes: &[u8]) {
        if sseq >= self.known && !self.kept.push(sseq, bytes) {
            self.spoil(OverReason::TakerFull);
        }
    }

    /// The source lost everything from what came last to `next`.
    pub const fn lost(&mut self, next: u64) {
        self.hole = next;
    }

    /// The giver has converted everything below `next`, and so will have what it hands over.
    pub fn passed(&mut self, next: u64) {
        if self.whole.is_none() {
            self.forget_below(next);
        }
    }

    /// The memory is here.
    pub fn on_whole(&mut self, whole: Box<Whole>) {
        self.forget_below(whole.next);
        self.whole = Some(whole);
    }

    fn forget_below(&mut self, known: u64) {
        self.known = known;
        self.kept.forget_below(known);
    }

    /// It cannot be finished.
    pub fn spoil(&mut self, reason: OverReason) {
        self.spoilt = self.spoilt.or(Some(reason));
    }

    /// Converts at most `most` messages of those that were kept; the source's next number is `next`. `parts` is used, and
    /// says nothing afterwards.
    pub fn catch_up(&mut self, next: u64, most: usize, parts: &mut Parts) -> CatchUp {
        if let Some(reason) = self.spoilt {
            return CatchUp::Spoilt(reason);
        }
        let Some(whole) = &mut self.whole else {
            return CatchUp::Waiting;
        };
        if self.hole > whole.next {
            return CatchUp::Spoilt(OverReason::Hole);
        }
        if next < whole.next {
            return CatchUp::Waiting;
        }
        for _ in 0..most {
            let Some((sseq, bytes)) = self.kept.take() else {
                // What lies in between was not kept: it came before the transfer did.
                return if whole.next == next {
                    CatchUp::There
                } else {
                    CatchUp::Spoilt(OverReason::Hole)
                };
            };
            if sseq != whole.next {
                return CatchUp::Spoilt(OverReason::Hole);
            }
            if let Err(error) = whole.decoder.convert(sseq, bytes, parts)
                && error.refuses()
            {
                return CatchUp::Spoilt(OverReason::Changed);
            }
            if !parts.is_empty() {
                whole.prev = sseq;
            }
            whole.next = sseq + 1;
        }
        CatchUp::Behind
    }

    /// The memory, and the buffer to be freed elsewhere.
    #[must_use]
    pub fn finish(self) -> (Option<Box<Whole>>, Box<Kept>) {
        (self.whole, self.kept)
    }
}
