//! What was decided for the application while it waited?
//!
//! ```text
//!   items   | record 61.0 | record 61.1 | Gap 62..64 | message 3 | record 64.0 | …   oldest first
//!               │ length      │ length                  │           │
//!   bodies  [ … … … … … … … ][ … … … … … … ]   chunks; a body lies within one, 8-byte aligned
//! ```
//!
//! Bounded in items and in bytes. Chunks that were told are used again, so that after warm-up nothing is allocated.

use std::collections::VecDeque;

use twinfeed_wire::{Adm, BodyKind, ContextId, Generation, Pos, RecordFlags};
use zerocopy::IntoBytes;

use super::cut::opens;
use crate::event::{Delivered, Event, Leg, Place};

/// A record without its body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) pos: Pos,
    pub(super) kind: BodyKind,
    flags: RecordFlags,
    pub(super) adm: Adm,
    leg: Leg,
    length: usize,
    received_at: u64,
    sent_at: u64,
    next: Place,
    context: ContextId,
    complete: bool,
    pub(super) numbering: Option<Generation>,
}

/// One thing that was decided.
#[derive(Debug)]
pub(super) enum Item {
    Record(Head),
    /// Rare and long: apart, so that records stand close together.
    Event(Box<Event>),
}

impl Item {
    pub(super) fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(event) => Some(event),
            Self::Record(_) => None,
        }
    }

    fn ends_the_lead(&self) -> bool {
        match self {
            Self::Record(head) => head.kind != BodyKind::Administrative,
            Self::Event(event) => opens(event),
        }
    }
}

/// It does not find room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Full;

/// What was kept.
#[derive(Debug)]
pub(super) struct Kept {
    items: VecDeque<Item>,
    bodies: Bodies,
    most_items: usize,
    most_bytes: usize,
}

impl Kept {
    pub(super) fn new(most_items: usize, most_bytes: usize) -> Self {
        Self {
            items: VecDeque::new(),
            bodies: Bodies::default(),
            most_items,
            most_bytes,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.items.len() * size_of::<Item>() + self.bodies.words * 8
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Item> + Clone {
        self.items.iter()
    }

    pub(super) fn record(&mut self, record: &Delivered<'_>) -> Result<(), Full> {
        self.room(record.body.len())?;
        self.bodies.push(record.body);
        self.items.push_back(Item::Record(Head {
            pos: record.pos,
            kind: record.kind,
            flags: record.flags,
            adm: record.adm,
            leg: record.leg,
            length: record.body.len(),
            received_at: record.received_at,
            sent_at: record.sent_at,
            next: record.next,
            context: record.context,
            complete: record.complete,
            numbering: record.numbering,
        }));
        Ok(())
    }

    pub(super) fn event(&mut self, event: &Event) -> Result<(), Full> {
        self.room(0)?;
        self.items.push_back(Item::Event(Box::new(*event)));
        Ok(())
    }

    /// Gives the oldest item to `see`; `false`: there is none.
    pub(super) fn pop(&mut self, see: impl FnOnce(Told<'_>)) -> bool {
        match self.items.pop_front() {
            None => return false,
            Some(Item::Event(event)) => see(Told::Event(&event)),
            Some(Item::Record(head)) => {
                let body = self.bodies.front(head.length);
                see(Told::Record(&Delivered {
                    pos: head.pos,
                    kind: head.kind,
                    flags: head.flags,
                    adm: head.adm,
                    leg: head.leg,
                    body,
                    received_at: head.received_at,
                    sent_at: head.sent_at,
                    next: head.next,
                    context: head.context,
                    complete: head.complete,
                    numbering: head.numbering,
                }));
                self.bodies.pop(head.length);
            }
        }
        true
    }

    /// Whether what follows is told of: by a record that has a place of its own, no administrative message, or by what says that
    /// numbers do not go on.
    pub(super) fn goes_on(&self) -> bool {
        self.items.iter().any(Item::ends_the_lead)
    }

    /// The events in front of that.
    pub(super) fn leading_events(&mut self) -> impl Iterator<Item = &mut Event> {
        let leading = self.items.iter_mut();
        let leading = leading.take_while(|item| !item.ends_the_lead());
        leading.filter_map(|item| match item {
            Item::Event(event) => Some(&mut **event),
            Item::Record(_) => None,
        })
    }

    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.bodies.clear();
    }

    fn room(&self, length: usize) -> Result<(), Full> {
        let bytes = self.bytes() + size_of::<Item>() + length.div_ceil(8) * 8;
        match self.items.len() < self.most_items && bytes <= self.most_bytes {
            true => Ok(()),
            false => Err(Full),
        }
    }
}

/// What comes out again.
#[derive(Debug)]
pub(super) enum Told<'a> {
    Record(&'a Delivered<'a>),
    Event(&'a Event),
}

/// Bodies, oldest first.
#[derive(Debug, Default)]
struct Bodies {
    /// None is empty but the last one.
    chunks: VecDeque<Vec<u64>>,
    /// Words of the first chunk that were taken.
    taken: usize,
    words: usize,
    spare: Vec<Vec<u64>>,
}

/// Words of a chunk, unless a body is longer.
const CHUNK: usize = 8_192;
/// Chunks that are kept for later.
const SPARE: usize = 16;

impl Bodies {
    fn push(&mut self, body: &[u8]) {
        let words = body.len().div_ceil(8);
        if words == 0 {
            return;
        }
        let fits = |chunk: &Vec<u64>| chunk.len() + words <= chunk.capacity();
        if !self.chunks.back().is_some_and(fits) {
            let spare = self.spare.pop().filter(fits);
            let chunk = spare.unwrap_or_else(|| Vec::with_capacity(words.max(CHUNK)));
            self.chunks.push_back(chunk);
        }
        let Some(chunk) = self.chunks.back_mut() else {
            return; // one was pushed
        };
        let from = chunk.len();
        chunk.resize(from + words, 0);
        chunk[from..].as_mut_bytes()[..body.len()].copy_from_slice(body);
        self.words += words;
    }

    /// The oldest body, which has this many bytes.
    fn front(&self, length: usize) -> &[u8] {
        let words = length.div_ceil(8);
        match self.chunks.front() {
            Some(chunk) if words > 0 => &chunk[self.taken..self.taken + words].as_bytes()[..length],
            _ => &[],
        }
    }

    fn pop(&mut self, length: usize) {
        let words = length.div_ceil(8);
        if words == 0 {
            return;
        }
        self.words -= words;
        self.taken += words;
        if let Some(chunk) = self.chunks.front()
            && chunk.len() == self.taken
        {
            self.taken = 0;
            if let Some(mut chunk) = self.chunks.pop_front()
                && self.spare.len() < SPARE
            {
                chunk.clear();
                self.spare.push(chunk);
            }
        }
    }

    fn clear(&mut self) {
        self.chunks.clear();
        (self.taken, self.words) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use twinfeed_wire::Sid;

    use super::*;

    fn record(body: &[u8]) -> Delivered<'_> {
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

    #[test]
    fn bodies_of_every_length_come_out_aligned_and_in_order_while_others_go_in() {
        let lengths = [0, 1, 8, 9, 56, 0, 1_400, 65_535, 65_536, 7, 70_000, 3];
        let content = |at: usize| vec![at as u8 + 1; lengths[at % lengths.len()]];
        let mut kept = Kept::new(100, 1 << 30);
        let (mut pushed, mut popped) = (0, 0);
        for round in 0..200 {
            for _ in 0..=round % 5 {
                kept.record(&record(&content(pushed % 250))).unwrap();
                pushed += 1;
            }
            for _ in 0..(round * 7) % 6 {
                let there = kept.pop(|told| {
                    let Told::Record(record) = told else {
                        panic!("a record")
                    };
                    assert_eq!(record.body, content(popped % 250));
                    let address = record.body.as_ptr() as usize;
                    assert!(record.body.is_empty() || address.is_multiple_of(8));
                });
                popped += usize::from(there);
            }
            if kept.len() > 80 {
                while kept.pop(|_| {}) {
                    popped += 1;
                }
            }
        }
        assert!(popped > 200);
        while kept.pop(|_| {}) {}
        assert_eq!((kept.bytes(), kept.len()), (0, 0));
    }

    #[test]
    fn both_bounds_hold_to_the_item_and_to_the_byte() {
        let mut kept = Kept::new(2, 1 << 20);
        let event = Event::Stale { sid: Sid(1) };
        assert_eq!(kept.event(&event), Ok(()));
        assert_eq!(kept.record(&record(&[1])), Ok(()));
        assert_eq!(kept.event(&event), Err(Full));
        let one = size_of::<Item>() + 8;
        for (bytes, fits) in [(one, true), (one - 1, false)] {
            let mut kept = Kept::new(9, bytes);
            assert_eq!(kept.record(&record(&[1; 8])).is_ok(), fits);
            assert_eq!(kept.record(&record(&[])).is_ok(), !fits);
        }
    }
}
