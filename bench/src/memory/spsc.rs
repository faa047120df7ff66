//! The floor: the least that one process needs to tell another something by memory. One writes, one reads, records have
//! one length, and whoever writes waits for whoever reads.
//!
//! ```text
//! word 0 written │ 16 read │ 32 … slots, each whole cache lines
//! ```

use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use twinfeed_net::shared::SharedWords;

const WRITTEN: usize = 0;
const READ: usize = 16;
const SLOTS_AT: usize = 32;
const LINE: usize = 8;

/// One side.
#[derive(Debug)]
pub(super) struct Spsc {
    memory: SharedWords,
    slots: usize,
    /// Words of a record, and of its slot.
    words: usize,
    stride: usize,
    /// Records that this side has passed on, and that the other had when it was last looked at.
    own: u64,
    other: u64,
    bytes: Vec<u8>,
}

impl Spsc {
    /// A new one; `slots` is a power of two.
    pub(super) fn create(slots: usize, length: usize) -> std::io::Result<Self> {
        let stride = length.div_ceil(8).next_multiple_of(LINE);
        let memory = SharedWords::create(SLOTS_AT + slots * stride)?;
        Ok(Self::over(memory, slots, length))
    }

    /// The other side of one.
    pub(super) fn open(file: OwnedFd, slots: usize, length: usize) -> std::io::Result<Self> {
        Ok(Self::over(SharedWords::open(file)?, slots, length))
    }

    fn over(memory: SharedWords, slots: usize, length: usize) -> Self {
        let words = length.div_ceil(8);
        Self {
            memory,
            slots,
            words,
            stride: words.next_multiple_of(LINE),
            own: 0,
            other: 0,
            bytes: vec![0; words * 8],
        }
    }

    pub(super) fn memory(&self) -> &SharedWords {
        &self.memory
    }

    fn slot(&self) -> &[AtomicU64] {
        let at = SLOTS_AT + (self.own as usize & (self.slots - 1)) * self.stride;
        &self.memory.words()[at..at + self.words]
    }

    /// Writes one record, once there is room.
    #[inline]
    pub(super) fn push(&mut self, record: &[u8]) {
        while self.own - self.other == self.slots as u64 {
            self.other = self.memory.words()[READ].load(Acquire);
            std::hint::spin_loop();
        }
        let slot = self.slot();
        let (words, rest) = record.as_chunks::<8>();
        for (cell, word) in slot.iter().zip(words) {
            cell.store(u64::from_ne_bytes(*word), Relaxed);
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            slot[words.len()].store(u64::from_ne_bytes(last), Relaxed);
        }
        self.own += 1;
        self.memory.words()[WRITTEN].store(self.own, Release);
    }

    /// Copies the next record out, if it is there.
    #[inline]
    pub(super) fn receive(&mut self) -> Option<&[u8]> {
        if self.own == self.other {
            self.other = self.memory.words()[WRITTEN].load(Acquire);
            if self.own == self.other {
                return None;
            }
        }
        let at = SLOTS_AT + (self.own as usize & (self.slots - 1)) * self.stride;
        let slot = &self.memory.words()[at..at + self.words];
        let own = self.bytes.as_chunks_mut::<8>().0;
        for (word, cell) in own.iter_mut().zip(slot) {
            *word = cell.load(Relaxed).to_ne_bytes();
        }
        self.own += 1;
        self.memory.words()[READ].store(self.own, Release);
        Some(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn records_come_out_as_they_went_in() {
        let mut one = Spsc::create(2, 20).unwrap();
        let file = one.memory().as_fd().try_clone_to_owned().unwrap();
        let mut other = Spsc::open(file, 2, 20).unwrap();
        for number in 0..9 {
            one.push(&[number; 20]);
            one.push(&[number + 100; 20]);
            for number in [number, number + 100] {
                assert_eq!(
                    other.receive().map(|record| &record[..20]),
                    Some(&[number; 20][..])
                );
            }
            assert_eq!(other.receive(), None);
        }
    }
}
