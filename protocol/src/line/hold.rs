//! Where do messages stay that came before their turn?
//!
//! A ring of slots, one per source number, and a slab of 64-byte blocks for the bytes. A slot is blank,
//! or says since when its number is known to be missing, or holds a message. Which numbers matter is the
//! caller's business: everything outside its range must be blank.
//!
//! ```text
//!  number mod ring   | blank | missing since t | held ──► block ──► block |
//! ```

use crate::time::Time;

/// Bytes per block of the slab.
const BLOCK: usize = 64;
/// The longest message that can be held: what a 16-bit length can say.
pub(super) const LONGEST_HELD: usize = u16::MAX as usize;
/// End of a chain of blocks.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
enum Slot {
    Blank,
    Missing {
        /// When a line last passed the number without it.
        since: Time,
    },
    Held {
        received_at: u64,
        length: u16,
        first: u32,
    },
}

/// A message taken out of the hold; its bytes are valid until the next call.
#[derive(Debug)]
pub(super) struct Taken<'h> {
    pub(super) bytes: &'h [u8],
    pub(super) received_at: u64,
}

#[derive(Debug)]
pub(super) struct Hold {
    /// As many as a power of two, at least as many as numbers can be told apart: a number finds its slot by a mask.
    slots: Box<[Slot]>,
    /// How many numbers can be told apart.
    span: usize,
    /// Block after block. Zeroed memory that nothing writes to before it is needed costs a process nothing,
    /// neither while it lives nor when the kernel takes it apart after its death.
    blocks: Box<[u8]>,
    /// The block behind each block, in a chain or in the free list.
    behind: Box<[u32]>,
    /// The first of the blocks that were used and came back.
    free: u32,
    /// The first of the blocks that were never used.
    fresh: u32,
    free_count: usize,
    held: usize,
    /// Where a message is put together again.
    whole: Box<[u8]>,
}

impl Hold {
    pub(super) fn new(messages: usize, bytes: usize) -> Self {
        let count = bytes.div_ceil(BLOCK);
        Self {
            slots: vec![Slot::Blank; messages.next_power_of_two()].into_boxed_slice(),
            span: messages,
            blocks: vec![0; count * BLOCK].into_boxed_slice(),
            behind: vec![0; count].into_boxed_slice(),
            free: NONE,
            fresh: 0,
            free_count: count,
            held: 0,
            whole: vec![0; LONGEST_HELD].into_boxed_slice(),
        }
    }

    /// How many numbers the ring can tell apart.
    pub(super) fn span(&self) -> u64 {
        self.span as u64
    }

    /// How many messages are held.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Whether less than half of it is taken.
    pub(super) fn is_roomy(&self) -> bool {
        self.held < self.span.div_ceil(2) && self.free_count > self.behind.len() / 2
    }

    pub(super) fn is_held(&self, number: u64) -> bool {
        matches!(self.slots[self.index(number)], Slot::Held { .. })
    }

    /// Since when `number` is missing; [`Time::ZERO`] when nobody missed it.
    pub(super) fn missing_since(&self, number: u64) -> Time {
        match self.slots[self.index(number)] {
            Slot::Missing { since } => since,
            Slot::Blank | Slot::Held { .. } => Time::ZERO,
        }
    }

    /// A line passed `number` without it; nothing changes when it is held.
    pub(super) fn miss(&mut self, number: u64, since: Time) {
        let index = self.index(number);
        match &mut self.slots[index] {
            Slot::Held { .. } => {}
            slot @ (Slot::Blank | Slot::Missing { .. }) => *slot = Slot::Missing { since },
        }
    }

    /// Keeps a copy of `bytes` under `number`, which is not held. `false`: there is no room for it.
    pub(super) fn insert(&mut self, number: u64, bytes: &[u8], received_at: u64) -> bool {
        let needed = bytes.len().div_ceil(BLOCK);
        let Ok(length) = u16::try_from(bytes.len()) else {
            return false;
        };
        if needed > self.free_count {
            return false;
        }
        let index = self.index(number);
        debug_assert!(
            !matches!(self.slots[index], Slot::Held { .. }),
            "a held message is never overwritten"
        );
        let (mut first, mut last) = (NONE, NONE);
        for chunk in bytes.chunks(BLOCK) {
            let block = self.take_block();
            self.blocks[at(block)..][..chunk.len()].copy_from_slice(chunk);
            if last == NONE {
                first = block;
            } else {
                self.behind[last as usize] = block;
            }
            last = block;
        }
        self.free_count -= needed;
        self.held += 1;
        self.slots[index] = Slot::Held {
            received_at,
            length,
            first,
        };
        true
    }

    /// Takes out what is held under `number`, and blanks its slot in any case.
    pub(super) fn take(&mut self, number: u64) -> Option<Taken<'_>> {
        let index = self.index(number);
        let slot = core::mem::replace(&mut self.slots[index], Slot::Blank);
        let Slot::Held {
            received_at,
            length,
            first,
        } = slot
        else {
            return None;
        };
        let length = usize::from(length);
        let (mut block, mut last) = (first, NONE);
        for chunk in self.whole[..length].chunks_mut(BLOCK) {
            chunk.copy_from_slice(&self.blocks[at(block)..][..chunk.len()]);
            last = block;
            block = self.behind[block as usize];
        }
        if last != NONE {
            self.behind[last as usize] = self.free;
            self.free = first;
        }
        self.free_count += length.div_ceil(BLOCK);
        self.held -= 1;
        Some(Taken {
            bytes: &self.whole[..length],
            received_at,
        })
    }

    /// A block that nobody uses, the end of its chain; there is one, the count said so.
    fn take_block(&mut self) -> u32 {
        let block = if self.free == NONE {
            // `LineLimits::check` keeps the count far below 2^32.
            self.fresh += 1;
            self.fresh - 1
        } else {
            let block = self.free;
            self.free = self.behind[block as usize];
            block
        };
        self.behind[block as usize] = NONE;
        block
    }

    fn index(&self, number: u64) -> usize {
        // The length is a power of two, and what is below it a usize.
        number as usize & (self.slots.len() - 1)
    }
}

/// Where a block's bytes begin.
const fn at(block: u32) -> usize {
    block as usize * BLOCK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_comes_back_whatever_the_order() {
        let mut hold = Hold::new(8, 10 * BLOCK);
        for round in 0..100_u64 {
            let lengths = [0, 1, 63, 64, 65, 200];
            for (number, length) in (round..).zip(lengths) {
                let bytes = vec![number as u8; length];
                assert!(hold.insert(number, &bytes, number * 3), "round {round}");
            }
            // 0 + 1 + 1 + 1 + 2 + 4 = 9 of 10 blocks.
            assert!(!hold.insert(round + 6, &[0; 65], 0), "one block is left");
            for offset in [3, 0, 5, 1, 4, 2] {
                let number = round + offset;
                let taken = hold.take(number).unwrap();
                assert_eq!(taken.bytes, vec![number as u8; lengths[offset as usize]]);
                assert_eq!(taken.received_at, number * 3);
                assert!(hold.take(number).is_none());
            }
            assert_eq!((hold.held(), hold.free_count), (0, 10));
        }
    }

    #[test]
    fn what_is_held_is_not_missed_and_what_is_too_long_is_refused() {
        let mut hold = Hold::new(4, 4 * LONGEST_HELD);
        hold.miss(2, Time(5));
        hold.miss(2, Time(9));
        assert_eq!(hold.missing_since(2), Time(9));
        assert!(hold.insert(2, &[7; LONGEST_HELD], 0));
        hold.miss(2, Time(11));
        assert!(hold.is_held(2));
        assert!(!hold.insert(3, &[7; LONGEST_HELD + 1], 0));
        assert_eq!(hold.take(2).unwrap().bytes, [7; LONGEST_HELD]);
    }
}
