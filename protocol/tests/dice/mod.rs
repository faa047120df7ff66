//! What is chance in a small world, and how many worlds are tried?

use std::env::VarError;

#[derive(Clone, Copy)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    pub(crate) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// How many seeds are tried: so many as the environment variable says, or `usual`.
pub(crate) fn seeds(variable: &str, usual: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => match text.parse() {
            Ok(seeds) => seeds,
            Err(error) => panic!("{variable}={text}: {error}"),
        },
        Err(VarError::NotPresent) => usual,
        Err(error) => panic!("{variable}: {error}"),
    }
}
