//! How does a memory come out of what the giver says?
//!
//! ```text
//!  begun ─ head ─► chunk 0, chunk 1, ... each sound and in its turn ─ end that fits them ─► whole
//!     └──────────────── anything else ────────────────────────────────────────────────────► failed
//! ```
//!
//! Nothing that a frame says decides how much is allocated: with the head the memory is made, for `max_open_orders`,
//! and what does not fit it is refused. Before, for a peer may refuse for hours, nothing is.

use twinfeed_wire::Sid;
use twinfeed_wire::link::{ContextChunk, ContextEnd, ContextHead, ContextTaken, Frame, OverReason};

use super::{NEXT_EVERY, TAKEN_EVERY, Whole};
use crate::decode::TradingDay;
use crate::decode::itch50::{BadItems, Converter, MEMORY_VERSION, Memory, Settings};

/// A transfer that is put together.
#[derive(Debug)]
pub struct Assembly {
    sid: Sid,
    transfer: u32,
    settings: Settings,
    day: TradingDay,
    begun: Option<(ContextHead, Box<Converter>)>,
    chunks: u32,
    /// Over the head and the chunks so far.
    check: u64,
    /// How far the giver is, as was said last.
    told: u64,
}

/// What follows from a frame.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// Nothing to be said.
    Going(Assembly),
    /// It goes on; the giver or the data thread should know how far it is.
    Said {
        /// It goes on.
        assembly: Assembly,
        /// To the giver.
        taken: Option<ContextTaken>,
        /// To the data thread: the giver has converted everything below.
        passed: Option<u64>,
    },
    /// The memory is there.
    Whole(Box<Whole>),
    /// There will be none.
    Failed(OverReason),
}

impl Assembly {
    /// A transfer that will be asked for.
    #[must_use]
    pub const fn new(sid: Sid, transfer: u32, settings: Settings, day: TradingDay) -> Self {
        Self {
            sid,
            transfer,
            settings,
            day,
            begun: None,
            chunks: 0,
            check: 0,
            told: 0,
        }
    }

    /// Which transfer of which source.
    #[must_use]
    pub const fn id(&self) -> (Sid, u32) {
        (self.sid, self.transfer)
    }

    /// Takes a frame in. One of another transfer, or of no transfer, changes nothing.
    pub fn on_frame(self, frame: &Frame) -> Step {
        let ours = self.id();
        match frame {
            Frame::ContextHead(head) if (head.sid, head.transfer) == ours => self.on_head(head),
            Frame::ContextChunk(chunk) if (chunk.sid, chunk.transfer) == ours => {
                self.on_chunk(chunk)
            }
            Frame::ContextEnd(end) if (end.sid, end.transfer) == ours => self.on_end(end),
            _ => Step::Going(self),
        }
    }

    fn on_head(mut self, head: &ContextHead) -> Step {
        if self.begun.is_some() {
            return Step::Failed(OverReason::Damaged);
        }
        if (head.format, head.version) != (ContextHead::ITCH50, MEMORY_VERSION) {
            return Step::Failed(OverReason::Format);
        }
        let Some(memory) = Memory::try_new(self.settings.max_open_orders) else {
            return Step::Failed(OverReason::NoMemory);
        };
        let decoder = Converter::with_memory(self.settings.publisher_id, self.day, memory);
        self.begun = Some((*head, Box::new(decoder)));
        (self.told, self.check) = (head.next, head.check());
        Step::Said {
            taken: None,
            passed: Some(head.next),
            assembly: self,
        }
    }

    fn on_chunk(mut self, chunk: &ContextChunk) -> Step {
        let decoder = self.begun.as_mut().map(|(_, decoder)| decoder);
        let in_turn = chunk.index == self.chunks && chunk.is_sound();
        let Some(decoder) = decoder.filter(|_| in_turn) else {
            return Step::Failed(OverReason::Damaged);
        };
        match decoder.memory().take_in(chunk.items()) {
            Ok(()) => {}
            Err(BadItems::TooManyOrders) => return Step::Failed(OverReason::TooManyOrders),
            Err(BadItems::Unknown(_) | BadItems::Cut | BadItems::Locates(_)) => {
                return Step::Failed(OverReason::Damaged);
            }
        }
        self.check = chunk.fold(self.check);
        self.chunks += 1;
        let taken = ContextTaken {
            sid: self.sid,
            transfer: self.transfer,
            chunks: self.chunks,
        };
        let taken = Some(taken).filter(|it| it.chunks.is_multiple_of(TAKEN_EVERY));
        let far = chunk.next.saturating_sub(self.told) >= NEXT_EVERY;
        if taken.is_none() && !far {
            return Step::Going(self);
        }
        self.told = chunk.next;
        Step::Said {
            assembly: self,
            taken,
            passed: Some(chunk.next),
        }
    }

    fn on_end(self, end: &ContextEnd) -> Step {
        let Some((head, mut decoder)) = self.begun else {
            return Step::Failed(OverReason::Damaged);
        };
        let orders = decoder.memory().open_orders() as u64;
        let sealed = end.sealed(self.check) == *end;
        if !sealed || (end.chunks, end.orders) != (self.chunks, orders) {
            return Step::Failed(OverReason::Damaged);
        }
        Step::Whole(Box::new(Whole {
            decoder: *decoder,
            head,
            snapshot: false,
            next: end.next,
            prev: end.prev,
        }))
    }
}
