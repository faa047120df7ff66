//! Did the second copy of a number say the same as the first?
//!
//! A ring of content digests, one per number, over as many numbers as can matter. A digest of 0 stands
//! for a number that was given up.

use xxhash_rust::xxh3::xxh3_64;

/// What is known of a number that arrives again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Repeat {
    /// The same bytes as before.
    Same,
    /// Other bytes than before.
    Conflict,
    /// It was given up: too late.
    Late,
    /// Too long ago to tell.
    Forgotten,
}

#[derive(Debug)]
pub(super) struct Memory {
    /// As many as a power of two, at least as many as are remembered: a number finds its place by a mask.
    digests: Box<[u64]>,
    /// How many numbers are remembered.
    span: u64,
}

impl Memory {
    pub(super) fn new(span: usize) -> Self {
        Self {
            digests: vec![0; span.next_power_of_two()].into_boxed_slice(),
            span: span as u64,
        }
    }

    /// `number` came, for the first time.
    #[inline]
    pub(super) fn came(&mut self, number: u64, bytes: &[u8]) {
        let index = self.index(number);
        self.digests[index] = digest(bytes);
    }

    /// `number` was given up.
    pub(super) fn gave_up(&mut self, number: u64) {
        let index = self.index(number);
        self.digests[index] = 0;
    }

    /// `number`, which lies below `horizon`, came again.
    pub(super) fn compare(&self, number: u64, bytes: &[u8], horizon: u64) -> Repeat {
        if horizon - number > self.span {
            return Repeat::Forgotten;
        }
        match self.digests[self.index(number)] {
            0 => Repeat::Late,
            known if known == digest(bytes) => Repeat::Same,
            _ => Repeat::Conflict,
        }
    }

    /// How many numbers back it reaches.
    pub(super) fn span(&self) -> u64 {
        self.span
    }

    fn index(&self, number: u64) -> usize {
        // The length is a power of two, and what is below it a usize.
        number as usize & (self.digests.len() - 1)
    }
}

fn digest(bytes: &[u8]) -> u64 {
    xxh3_64(bytes).max(1)
}
