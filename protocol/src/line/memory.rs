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
    digests: Box<[u64]>,
}

impl Memory {
    pub(super) fn new(span: usize) -> Self {
        Self {
            digests: vec![0; span].into_boxed_slice(),
        }
    }

    /// `number` came, for the first time.
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
        if horizon - number > self.digests.len() as u64 {
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
        self.digests.len() as u64
    }

    fn index(&self, number: u64) -> usize {
        // Less than the ring's length, which is a usize.
        (number % self.digests.len() as u64) as usize
    }
}

fn digest(bytes: &[u8]) -> u64 {
    xxh3_64(bytes).max(1)
}
