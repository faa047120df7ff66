//! What did a leg bring that cannot be delivered yet?
//!
//! ```text
//!  entries (sorted by turn, place)   | 61.0 | 61.1 | 62.0 | 70.0 | ...
//!                                       │      │      └────────────► small slot (128 bytes)
//!                                       └──────┴──────────────────► large slot (one longest body)
//! ```
//!
//! One hold per leg, so that merging two legs is merging two sorted lists. A `turn` counts the epochs the
//! leg has spoken in: entries of an epoch it has left stand before those of the next. Everything is
//! allocated at construction; [`Full`] is an answer, never a growth.

use std::collections::VecDeque;

use twinfeed_wire::{
    Adm, BodyKind, ContextId, Flags, Generation, Header, Record, RecordFlags, longest_body,
};
use zerocopy::IntoBytes;

use crate::event::{Leg, Place};
use crate::limits::Limits;
use crate::time::Time;

/// A record without its body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) turn: u32,
    pub(super) sseq: u64,
    pub(super) part: u16,
    pub(super) prev: u64,
    /// In whose numbering `adm` counts.
    pub(super) generation: Generation,
    pub(super) adm: Adm,
    /// Its sender did not call itself out of step.
    pub(super) in_step: bool,
    /// Who was asked for it, where that is not the leg that holds it.
    pub(super) given_by: Option<Leg>,
    pub(super) kind: BodyKind,
    pub(super) flags: RecordFlags,
    pub(super) context: ContextId,
    pub(super) received_at: u64,
    pub(super) sent_at: u64,
    pub(super) held_at: Time,
}

impl Entry {
    /// A record of a datagram that is taken in `now`, in its leg's `turn`.
    pub(super) fn of(turn: u32, header: &Header, record: &Record<'_>, now: Time) -> Self {
        Self {
            turn,
            sseq: record.sseq,
            part: record.part,
            prev: record.prev,
            generation: header.generation,
            adm: record.adm,
            in_step: !header.flags.has(Flags::UNSYNCHRONISED),
            given_by: None,
            kind: record.kind,
            flags: record.flags,
            context: header.context,
            received_at: header.received_at,
            sent_at: header.sent_at,
            held_at: now,
        }
    }

    /// Where the record stands in the leg's order: an administrative message behind every part of the
    /// number it stands behind. Of two numberings the same number is two messages; a record is the same in both. Of two
    /// contexts the same place is two records; a message is the same in both.
    fn key(&self) -> (u32, u64, u32, u32, u64, u64) {
        let (part, generation, context) = match self.kind {
            BodyKind::Administrative => (u32::MAX, self.generation.0, 0),
            _ => (u32::from(self.part), 0, self.context.0),
        };
        (self.turn, self.sseq, part, generation, self.adm.0, context)
    }

    pub(super) fn is_message(&self) -> bool {
        self.kind == BodyKind::Administrative
    }

    pub(super) fn place(&self) -> Place {
        Place {
            sseq: self.sseq,
            part: self.part,
        }
    }

    /// Whether it is the last record of its source message.
    pub(super) fn is_last(&self) -> bool {
        self.flags.has(RecordFlags::LAST)
    }

    /// First place that is not missing any more once this record is at hand: its own, or the one behind
    /// `prev`, from where it vouches for silence.
    pub(super) fn reach(&self) -> Place {
        if self.is_message() {
            return Place::start(self.sseq.saturating_add(1));
        }
        if self.part == 0 {
            Place::start(self.prev.saturating_add(1))
        } else {
            self.place()
        }
    }
}

/// Neither an entry nor a slot of the right size is free.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Full;

#[derive(Clone, Copy, Debug)]
struct Slot {
    large: bool,
    index: u32,
    length: u16,
}

/// The held records of one leg.
#[derive(Debug)]
pub(super) struct Hold {
    entries: VecDeque<(Entry, Slot)>,
    capacity: usize,
    /// Administrative messages among the entries.
    messages: usize,
    small: Slab,
    large: Slab,
}

impl Hold {
    /// Room for `limits.held_records` records and `limits.held_bytes` bytes of bodies.
    pub(super) fn new(limits: &Limits) -> Self {
        let largest = longest_body(limits.max_datagram).div_ceil(8) * 8;
        let small = (limits.held_bytes / 2 / SMALL).clamp(1, limits.held_records);
        let large = (limits.held_bytes / 2 / largest).clamp(1, limits.held_records);
        Self {
            entries: VecDeque::with_capacity(limits.held_records),
            capacity: limits.held_records,
            messages: 0,
            small: Slab::new(SMALL, small),
            large: Slab::new(largest, large),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many administrative messages are held.
    pub(super) const fn messages(&self) -> usize {
        self.messages
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a body of `length` bytes finds room in an empty hold.
    pub(super) fn can_hold(&self, length: usize) -> bool {
        length <= self.large.slot_words * 8
    }

    /// Whether one more record with a body of `length` bytes would find room.
    pub(super) fn has_room(&self, length: usize) -> bool {
        self.entries.len() < self.capacity
            && (self.small.has_room(length) || self.large.has_room(length))
    }

    /// Keeps a record. `Ok(false)`: it was here already.
    pub(super) fn insert(&mut self, entry: Entry, body: &[u8]) -> Result<bool, Full> {
        let key = entry.key();
        let place = match self.entries.back() {
            Some((last, _)) if last.key() >= key => {
                match self
                    .entries
                    .binary_search_by(|(held, _)| held.key().cmp(&key))
                {
                    Ok(_) => return Ok(false),
                    Err(place) => place,
                }
            }
            _ => self.entries.len(),
        };
        if self.entries.len() == self.capacity {
            return Err(Full);
        }
        let slot = self.store(body).ok_or(Full)?;
        self.messages += usize::from(entry.is_message());
        self.entries.insert(place, (entry, slot));
        Ok(true)
    }

    /// Drops what `gone` says is not wanted any more; returns how many records that was.
    pub(super) fn drop_where(&mut self, mut gone: impl FnMut(&Entry) -> bool) -> u64 {
        let before = self.entries.len();
        let (small, large, messages) = (&mut self.small, &mut self.large, &mut self.messages);
        self.entries.retain(|(entry, slot)| {
            let drop = gone(entry);
            if drop {
                let slab = if slot.large { &mut *large } else { &mut *small };
                slab.release(slot.index);
                *messages -= usize::from(entry.is_message());
            }
            !drop
        });
        (before - self.entries.len()) as u64
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        while self.take(0).is_some() {}
    }

    /// The held records in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|(entry, _)| entry)
    }

    pub(super) fn front(&self) -> Option<&Entry> {
        self.get(0)
    }

    pub(super) fn get(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index).map(|(entry, _)| entry)
    }

    /// Takes the record at `index` out. Its body stays readable through [`Hold::body`] until the next
    /// insertion.
    pub(super) fn take(&mut self, index: usize) -> Option<(Entry, Kept)> {
        let (entry, slot) = self.entries.remove(index)?;
        if self.entries.is_empty() {
            // It begins again at its beginning: else every page of it would be touched in time, however few are held.
            self.entries.clear();
        }
        self.messages -= usize::from(entry.is_message());
        if slot.large {
            self.large.release(slot.index);
        } else {
            self.small.release(slot.index);
        }
        Some((entry, Kept(slot)))
    }

    /// The body of a record taken out just before.
    pub(super) fn body(&self, kept: Kept) -> &[u8] {
        let slab = if kept.0.large {
            &self.large
        } else {
            &self.small
        };
        slab.bytes(kept.0)
    }

    fn store(&mut self, body: &[u8]) -> Option<Slot> {
        // A datagram's body length is 16 bits wide.
        let length = body.len() as u16;
        match self.small.store(body) {
            Some(index) => Some(Slot {
                large: false,
                index,
                length,
            }),
            None => self.large.store(body).map(|index| Slot {
                large: true,
                index,
                length,
            }),
        }
    }
}

/// A body that was taken out and may be read until the next insertion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept(Slot);

/// Bytes of a slot for bodies of ordinary size.
const SMALL: usize = 128;

/// Slots of one size with a list of the free ones.
#[derive(Debug)]
struct Slab {
    words: Vec<u64>,
    slot_words: usize,
    free: Vec<u32>,
}

impl Slab {
    fn new(slot_bytes: usize, slots: usize) -> Self {
        let slot_words = slot_bytes.div_ceil(8);
        // More than 2^32 slots would be half a terabyte of the smallest kind.
        let slots = u32::try_from(slots).unwrap_or(u32::MAX);
        Self {
            words: vec![0; slot_words * slots as usize],
            slot_words,
            free: (0..slots).rev().collect(),
        }
    }

    fn has_room(&self, length: usize) -> bool {
        length <= self.slot_words * 8 && !self.free.is_empty()
    }

    fn store(&mut self, body: &[u8]) -> Option<u32> {
        if !self.has_room(body.len()) {
            return None;
        }
        let index = self.free.pop()?;
        let start = index as usize * self.slot_words;
        let slot = self.words[start..start + self.slot_words].as_mut_bytes();
        slot[..body.len()].copy_from_slice(body);
        Some(index)
    }

    fn release(&mut self, index: u32) {
        self.free.push(index);
    }

    fn bytes(&self, slot: Slot) -> &[u8] {
        let start = slot.index as usize * self.slot_words;
        &self.words[start..start + self.slot_words].as_bytes()[..usize::from(slot.length)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(turn: u32, sseq: u64, part: u16) -> Entry {
        Entry {
            turn,
            sseq,
            part,
            prev: sseq - 1,
            generation: Generation(1),
            adm: Adm(0),
            in_step: true,
            given_by: None,
            kind: BodyKind::Dbn,
            flags: RecordFlags::LAST,
            context: ContextId(1),
            received_at: 0,
            sent_at: 0,
            held_at: Time::ZERO,
        }
    }

    fn hold(records: usize) -> Hold {
        Hold::new(&Limits {
            held_records: records,
            held_bytes: 8_192,
            ..Limits::default()
        })
    }

    #[test]
    fn what_is_held_for_a_moment_is_held_in_the_same_memory_each_time() {
        let mut hold = hold(16);
        let mut places = Vec::new();
        for sseq in (2..30).step_by(2) {
            assert!(hold.insert(entry(0, sseq, 0), &[7; 16]).is_ok());
            assert!(hold.insert(entry(0, sseq + 1, 0), &[7; 16]).is_ok());
            places.push(std::ptr::from_ref(hold.front().unwrap()));
            assert!(hold.take(0).is_some());
            assert!(hold.take(0).is_some());
        }
        places.dedup();
        assert_eq!(places.len(), 1);
    }

    #[test]
    fn order_is_by_turn_then_place_whatever_the_arrival() {
        let mut hold = hold(16);
        for (turn, sseq, part) in [(1, 5, 0), (0, 9, 1), (0, 9, 0), (1, 4, 0), (0, 7, 0)] {
            assert_eq!(
                hold.insert(entry(turn, sseq, part), &[part as u8; 9]),
                Ok(true)
            );
        }
        assert_eq!(hold.insert(entry(0, 9, 1), &[]), Ok(false));
        let order: Vec<_> = hold.iter().map(|e| (e.turn, e.sseq, e.part)).collect();
        assert_eq!(
            order,
            [(0, 7, 0), (0, 9, 0), (0, 9, 1), (1, 4, 0), (1, 5, 0)]
        );
        let (_, kept) = hold.take(2).unwrap();
        assert_eq!(hold.body(kept), [1; 9]);
    }

    #[test]
    fn an_administrative_message_stands_behind_the_parts_of_its_number() {
        let mut hold = hold(8);
        let admin = Entry {
            kind: BodyKind::Administrative,
            ..entry(0, 9, 0)
        };
        hold.insert(admin, &[]).unwrap();
        hold.insert(entry(0, 9, 3), &[]).unwrap();
        hold.insert(entry(0, 10, 0), &[]).unwrap();
        let kinds: Vec<_> = hold.iter().map(|e| (e.sseq, e.kind)).collect();
        assert_eq!(kinds[1], (9, BodyKind::Administrative));
    }

    #[test]
    fn of_two_contexts_the_same_place_is_two_records_and_one_message() {
        let mut hold = hold(8);
        let of = |context, kind| Entry {
            kind,
            context: ContextId(context),
            ..entry(0, 9, 0)
        };
        for (kind, new) in [(BodyKind::Dbn, true), (BodyKind::Administrative, false)] {
            assert_eq!(hold.insert(of(1, kind), &[]), Ok(true));
            assert_eq!(hold.insert(of(2, kind), &[]), Ok(new));
            assert_eq!(hold.insert(of(1, kind), &[]), Ok(false));
        }
    }

    #[test]
    fn full_is_an_answer_and_taking_makes_room() {
        let mut hold = hold(2);
        hold.insert(entry(0, 1, 0), b"one").unwrap();
        hold.insert(entry(0, 2, 0), b"two").unwrap();
        assert_eq!(hold.insert(entry(0, 3, 0), b"three"), Err(Full));
        assert!(!hold.has_room(5));
        hold.take(0).unwrap();
        assert!(hold.has_room(5));
        assert_eq!(hold.insert(entry(0, 3, 0), b"three"), Ok(true));
    }
}
