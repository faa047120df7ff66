//! How does an adapter hand its context over without standing still?
//!
//! ```text
//!  begin ─► walking ─ all slots visited, and as far as the taker wants ─► ending ─ all chunks sent ─► over
//!              └────────── queue full, context changed, taker says over ──────┴────────────────────► over
//! ```
//!
//! After every batch a bounded number of slots of the order table is visited; after every message what it changed is
//! added. Both become items in chunks, which wait in a bounded queue until the taker has taken in what went before. The
//! end is one moment between two messages: what it was told by then is exactly what is remembered then.

use std::collections::VecDeque;

use twinfeed_wire::Sid;
use twinfeed_wire::link::{
    ContextChunk, ContextEnd, ContextHead, ContextRequest, Frame, LONGEST_CHUNK, OverReason,
};

use super::{MOST_UNDER_WAY, NEXT_EVERY};
use crate::decode::itch50::Memory;

/// A transfer from the giver's side; its memory is used again for the next one.
#[derive(Debug)]
pub struct Giving {
    sid: Sid,
    transfer: u32,
    from: u64,
    stage: Stage,
    /// Items that do not fill a chunk yet.
    items: Vec<u8>,
    waiting: VecDeque<ContextChunk>,
    most_waiting: usize,
    /// Chunks closed.
    closed: u32,
    sent: u32,
    taken: u32,
    /// Over the head and the chunks so far.
    check: u64,
    /// How far the taker was told that this end is.
    told: u64,
    spoilt: Option<OverReason>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Some slots were not visited yet.
    Walking,
    /// All were, but this end has not come as far as the taker wants.
    Waiting,
    /// Nothing more is copied.
    Ending(ContextEnd),
}

/// Where the giver's stream stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Everything below was converted.
    pub next: u64,
    /// What the next record bears as its `prev`.
    pub prev: u64,
}

/// What is left to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Progress {
    /// More can be done at once.
    Busy,
    /// It waits: for the taker, or for messages of the source.
    Idle,
    /// Everything was said.
    Done,
    /// There will be no context, and the taker must hear why.
    Over(OverReason),
}

impl Giving {
    /// Room for a queue of so many bytes. Nothing is allocated afterwards.
    #[must_use]
    pub fn new(queue_bytes: usize) -> Self {
        let most_waiting = (queue_bytes / size_of::<ContextChunk>()).max(LEAST_WAITING);
        Self {
            sid: Sid(0),
            transfer: 0,
            from: 0,
            stage: Stage::Waiting,
            items: Vec::with_capacity(LONGEST_CHUNK),
            waiting: VecDeque::with_capacity(most_waiting),
            most_waiting,
            closed: 0,
            sent: 0,
            taken: 0,
            check: 0,
            told: 0,
            spoilt: None,
        }
    }

    /// Begins a transfer that was asked for; `head` is the answer to be said.
    pub fn begin(&mut self, request: &ContextRequest, head: &ContextHead, memory: &mut Memory) {
        memory.begin_copy();
        self.items.clear();
        self.waiting.clear();
        (self.sid, self.transfer) = (request.sid, request.transfer);
        (self.from, self.told) = (request.from, head.next);
        (self.stage, self.spoilt) = (Stage::Walking, None);
        (self.closed, self.sent, self.taken) = (0, 0, 0);
        self.check = head.check();
    }

    /// Which transfer it is.
    #[must_use]
    pub const fn transfer(&self) -> u32 {
        self.transfer
    }

    /// It cannot be finished.
    pub fn spoil(&mut self, reason: OverReason) {
        self.spoilt = self.spoilt.or(Some(reason));
    }

    /// A message was converted: `memory` says what that changed, everything below `next` is converted.
    pub fn after_message(&mut self, memory: &mut Memory, next: u64) {
        if matches!(self.stage, Stage::Ending(_)) || self.spoilt.is_some() {
            return;
        }
        if !memory.is_copied() {
            self.spoil(OverReason::Changed);
            return;
        }
        memory.copy_changes(&mut |item| self.push(item, next));
        if next - self.told >= NEXT_EVERY {
            self.close(next);
        }
    }

    /// The taker has taken in so many chunks.
    pub fn on_taken(&mut self, chunks: u32) {
        if chunks <= self.sent {
            self.taken = self.taken.max(chunks);
        }
    }

    /// After a batch: goes on with the copy, and says what may be said.
    pub fn after_batch(
        &mut self,
        memory: &mut Memory,
        at: Standing,
        mut say: impl FnMut(Frame),
    ) -> Progress {
        let copied = matches!(self.stage, Stage::Ending(_)) || memory.is_copied();
        if !copied {
            self.spoil(OverReason::Changed);
        }
        let walks = matches!(self.stage, Stage::Walking) && self.waiting.len() < WALK_AHEAD;
        if walks && self.spoilt.is_none() {
            self.walk(memory, at);
        }
        if matches!(self.stage, Stage::Waiting) && at.next >= self.from && self.spoilt.is_none() {
            self.end(memory, at);
        }
        if let Some(reason) = self.spoilt {
            return Progress::Over(reason);
        }
        while self.sent - self.taken < MOST_UNDER_WAY
            && let Some(chunk) = self.waiting.pop_front()
        {
            self.sent += 1;
            say(Frame::ContextChunk(chunk));
        }
        match self.stage {
            Stage::Ending(end) if self.waiting.is_empty() => {
                say(Frame::ContextEnd(end));
                Progress::Done
            }
            Stage::Walking if self.waiting.len() < WALK_AHEAD => Progress::Busy,
            Stage::Walking | Stage::Waiting | Stage::Ending(_) => Progress::Idle,
        }
    }

    fn walk(&mut self, memory: &mut Memory, at: Standing) {
        let all = memory.copy_on(SLOTS_PER_BATCH, &mut |item| self.push(item, at.next));
        if all {
            self.stage = Stage::Waiting;
        }
    }

    fn end(&mut self, memory: &mut Memory, at: Standing) {
        let orders = memory.open_orders() as u64;
        memory.end_copy(&mut |item| self.push(item, at.next));
        if !self.items.is_empty() {
            self.close(at.next);
        }
        let end = ContextEnd {
            sid: self.sid,
            transfer: self.transfer,
            chunks: self.closed,
            next: at.next,
            prev: at.prev,
            orders,
            check: 0,
        };
        self.stage = Stage::Ending(end.sealed(self.check));
    }

    fn push(&mut self, item: &[u8], next: u64) {
        if self.items.len() + item.len() > LONGEST_CHUNK {
            self.close(next);
        }
        self.items.extend_from_slice(item);
    }

    /// Makes a chunk of the items at hand.
    fn close(&mut self, next: u64) {
        let chunk = ContextChunk::new(self.sid, self.transfer, self.closed, next, &self.items);
        self.items.clear();
        self.told = next;
        match chunk {
            Some(chunk) if self.waiting.len() < self.most_waiting => {
                self.check = chunk.fold(self.check);
                self.closed += 1;
                self.waiting.push_back(chunk);
            }
            _ => self.spoil(OverReason::GiverFull),
        }
    }
}

/// Slots of the order table that are visited per batch: 24 KiB are read, and at most 14 chunks made.
const SLOTS_PER_BATCH: usize = 1_024;
/// Chunks that wait before the walk waits too; the rest of the queue is for what changes.
const WALK_AHEAD: usize = 64;
/// Chunks that the queue holds at least: the walk's, and what one end adds.
const LEAST_WAITING: usize = 2 * WALK_AHEAD;
