//! Where do the random numbers of a seeded world come from?
//!
//! SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
//! generators", OOPSLA 2014): eight bytes of state, the same numbers on every
//! machine for ever. It is not fit for secrets, and nothing here has one. Whoever composes
//! something for an exchange to send draws from here as well.

/// A seeded generator; equal seeds give equal numbers.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator for one purpose: different `purpose` values of one seed are
    /// unrelated streams, so that a line's losses do not depend on the flow.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mut mixer = Self { state: seed };
        let state = mixer.next() ^ purpose.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        Self { state }
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`; `bound` must not be 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        debug_assert!(bound > 0, "an empty range has no number");
        // The product of two 32-bit numbers, so its upper half fits 32 bits.
        (((self.next() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// A number in `0..bound` that is small more often than large: the cube of a
    /// uniform fraction, so that half of the draws fall into the first eighth.
    pub fn skewed_below(&mut self, bound: u32) -> u32 {
        let fraction = self.next() >> 32;
        let square = (fraction * fraction) >> 32;
        let cube = (square * fraction) >> 32;
        ((cube * u64::from(bound)) >> 32) as u32
    }

    /// True with the given probability, in parts per million.
    pub fn chance_ppm(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < ppm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_of_one_seed_are_different_streams() {
        assert_ne!(Rng::new(1, 0).next(), Rng::new(1, 1).next());
        assert_eq!(Rng::new(1, 1).next(), Rng::new(1, 1).next());
    }

    #[test]
    fn bounds_are_kept_and_reached() {
        let mut rng = Rng::new(7, 0);
        let (mut uniform, mut skewed) = ([0_u32; 4], [0_u32; 8]);
        for _ in 0..8_000 {
            uniform[rng.below(4) as usize] += 1;
            skewed[rng.skewed_below(8) as usize] += 1;
        }
        assert!(uniform.iter().all(|&n| n > 1_700), "{uniform:?}");
        assert!(skewed[0] > 3_700 && skewed[7] > 0, "{skewed:?}");
    }

    #[test]
    fn certain_and_impossible_are_exact() {
        let mut rng = Rng::new(7, 0);
        assert!((0..1_000).all(|_| rng.chance_ppm(1_000_000)));
        assert!(!(0..1_000).any(|_| rng.chance_ppm(0)));
    }
}
