//! Where do the bodies stand that one source message becomes?
//!
//! In an arena that is cleared for every message and never grows: records and opaque bytes one
//! after the other, each on an 8-byte boundary. The position in the arena is the `part` of the
//! record's `Pos`, so the rule by which a long opaque body is cut belongs here and to the
//! configuration's digest: two adapters must cut alike.
//!
//! Nothing here knows a datagram, or what a body says.

use std::ops::Range;

use twinfeed_wire::BodyKind;
use twinfeed_wire::record::{DbnRecord, MAX_RECORD_LENGTH};
use zerocopy::IntoBytes;

/// Most records that one source message of any format becomes, opaque bodies apart.
pub const MOST_RECORDS: usize = 16;
/// Longest source message, bytes: what a 16-bit length can say.
pub const LONGEST_MESSAGE: usize = u16::MAX as usize;

/// The bodies that one source message became.
#[derive(Debug)]
pub struct Parts {
    words: Box<[u64]>,
    /// How many of the words are taken.
    used: usize,
    entries: Box<[Entry]>,
    /// How many of the entries count.
    count: usize,
    longest_body: usize,
}

/// One body: where its bytes stand.
#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: BodyKind,
    continued: bool,
    /// Of the first byte, from the start of the arena.
    at: u32,
    length: u32,
}

impl Entry {
    const NONE: Self = Self {
        kind: BodyKind::Opaque,
        continued: false,
        at: 0,
        length: 0,
    };
}

/// One body of a source message.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Its index within the source message.
    pub part: u16,
    /// What the bytes are.
    pub kind: BodyKind,
    /// The body, on an 8-byte boundary.
    pub bytes: &'a [u8],
    /// Whether it is the last one of its source message.
    pub last: bool,
    /// Whether the next part goes on with the same opaque body.
    pub continued: bool,
}

impl Parts {
    /// An arena whose opaque bodies are cut at `longest_body` bytes, rounded down to a multiple of
    /// 8 but never below the longest record.
    #[must_use]
    pub fn new(longest_body: usize) -> Self {
        let longest_body = (longest_body & !7).max(MAX_RECORD_LENGTH);
        let most_parts = MOST_RECORDS + LONGEST_MESSAGE / longest_body + 1;
        let most_bytes = MOST_RECORDS * MAX_RECORD_LENGTH + LONGEST_MESSAGE + 8;
        Self {
            words: vec![0; most_bytes / 8 + 1].into_boxed_slice(),
            used: 0,
            entries: vec![Entry::NONE; most_parts].into_boxed_slice(),
            count: 0,
            longest_body,
        }
    }

    /// Forgets all bodies.
    pub fn clear(&mut self) {
        (self.used, self.count) = (0, 0);
    }

    /// How many bodies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the message became nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends a record.
    #[inline]
    pub fn push_record<R: DbnRecord>(&mut self, record: &R) {
        let room = self.room(BodyKind::Dbn, size_of::<R>(), false);
        // As a whole, whose length is known: a copy of bytes is a call.
        let written = record.write_to(room);
        assert!(written.is_ok(), "the room is as long");
    }

    /// Appends bytes as the source sent them, cut into bodies that fit a datagram.
    ///
    /// Bytes beyond [`LONGEST_MESSAGE`] would not fit the arena; decoders refuse such messages.
    #[inline]
    pub fn push_opaque(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            let (body, tail) = rest.split_at(rest.len().min(self.longest_body));
            let room = self.room(BodyKind::Opaque, body.len(), !tail.is_empty());
            twinfeed_wire::copy(room, body);
            if tail.is_empty() {
                return;
            }
            rest = tail;
        }
    }

    /// The last record of type `R`, to change it.
    #[inline]
    pub fn last_record_mut<R: DbnRecord>(&mut self) -> Option<&mut R> {
        let arena = self.words.as_mut_bytes();
        let is_r = |entry: &&Entry| {
            entry.kind == BodyKind::Dbn && R::view(&arena[entry.range()]).is_some()
        };
        let entry = *self.entries[..self.count].iter().rev().find(is_r)?;
        R::mut_from_bytes(&mut arena[entry.range()]).ok()
    }

    /// The bodies, in order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Part<'_>> + Clone {
        let (arena, count) = (self.words.as_bytes(), self.count);
        self.entries[..count]
            .iter()
            .enumerate()
            .map(move |(index, entry)| Part {
                part: index as u16, // most_parts is far below 2^16
                kind: entry.kind,
                bytes: &arena[entry.range()],
                last: index + 1 == count,
                continued: entry.continued,
            })
    }

    /// Where the next body stands, to be written.
    #[inline(always)]
    fn room(&mut self, kind: BodyKind, length: usize, continued: bool) -> &mut [u8] {
        let at = self.used * 8;
        self.used += length.div_ceil(8);
        // The arena has less than 2^17 bytes.
        self.entries[self.count] = Entry {
            kind,
            continued,
            at: at as u32,
            length: length as u32,
        };
        self.count += 1;
        &mut self.words.as_mut_bytes()[at..at + length]
    }
}

impl Entry {
    fn range(&self) -> Range<usize> {
        let at = self.at as usize;
        at..at + self.length as usize
    }
}

#[cfg(test)]
mod tests {
    use twinfeed_wire::record::{MboMsg, StatusMsg};

    use super::*;

    #[test]
    fn bodies_keep_order_kind_and_alignment() {
        let mut parts = Parts::new(1_000);
        parts.push_record(&StatusMsg::default());
        parts.push_opaque(b"abc");
        parts.push_record(&MboMsg::default());
        let seen: Vec<_> = parts.iter().collect();
        assert_eq!(
            seen.iter().map(|p| p.kind.code()).collect::<Vec<_>>(),
            [1, 3, 1]
        );
        assert_eq!(
            seen.iter().map(|p| p.bytes.len()).collect::<Vec<_>>(),
            [40, 3, 56]
        );
        assert_eq!(
            seen.iter().map(|p| (p.part, p.last)).collect::<Vec<_>>(),
            [(0, false), (1, false), (2, true)]
        );
        assert!(seen.iter().all(|p| p.bytes.as_ptr().addr() % 8 == 0));
        parts.last_record_mut::<MboMsg>().unwrap().flags = 128;
        assert_eq!(
            MboMsg::view(parts.iter().last().unwrap().bytes)
                .unwrap()
                .flags,
            128
        );
        parts.clear();
        assert!(parts.is_empty());
        assert!(parts.last_record_mut::<MboMsg>().is_none());
    }

    #[test]
    fn a_long_body_is_cut_and_says_so() {
        let bytes: Vec<u8> = (0..LONGEST_MESSAGE).map(|n| n as u8).collect();
        let mut parts = Parts::new(1_327);
        parts.push_opaque(&bytes);
        assert_eq!(parts.iter().next().unwrap().bytes.len(), 1_320);
        let together: Vec<u8> = parts.iter().flat_map(|part| part.bytes.to_vec()).collect();
        assert_eq!(together, bytes);
        assert!(parts.iter().all(|part| part.continued != part.last));
        for _ in 0..MOST_RECORDS {
            parts.push_record(&twinfeed_wire::record::InstrumentDefMsg::default());
        }
        assert_eq!(
            parts.len(),
            parts.entries.len(),
            "there is no more room than that"
        );
    }

    #[test]
    fn a_body_of_the_longest_length_is_not_cut() {
        let mut parts = Parts::new(528);
        parts.push_opaque(&[7; 528]);
        assert_eq!(parts.len(), 1);
        parts.push_opaque(&[7; 529]);
        assert_eq!(parts.len(), 3);
        parts.clear();
        parts.push_opaque(&[]);
        assert_eq!(
            parts
                .iter()
                .map(|p| (p.bytes.len(), p.last))
                .collect::<Vec<_>>(),
            [(0, true)]
        );
    }
}
