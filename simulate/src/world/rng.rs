//! Which random number comes next, today and in ten years?
//!
//! xoshiro256++ by Blackman and Vigna (public domain, <https://prng.di.unimi.it>), seeded through
//! SplitMix64. Written out here because a seed must replay the same world for ever: no crate's new
//! version may change what a seed means.

use core::time::Duration;

/// A small generator; equal seeds give equal sequences on every machine.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The generator of one seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self {
            state: core::array::from_fn(|_| split_mix(&mut state)),
        }
    }

    /// A generator of its own for the component called `name`, so that a component added later draws
    /// from its own sequence and leaves the others' alone.
    #[must_use]
    pub fn of(seed: u64, name: &str) -> Self {
        let label = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self::new(seed ^ label)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        // The two lines above fold the reference's six assignments: s1 ^= s2 and s0 ^= s3 use the
        // already mixed s2 and s3, s2 ^= t uses s1 as it was.
        result
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The multiply-shift method; its bias is below 2^-32 for the small bounds of a world.
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True once in `n` draws.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// True in `percent` of 100 draws.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`.
    ///
    /// # Panics
    /// When there is nothing to choose from.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A span in `low..=high` µs.
    pub fn micros(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.between(low, high))
    }
}

/// One step of SplitMix64.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference implementation, assignment by assignment.
    fn reference(s: &mut [u64; 4]) -> u64 {
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    #[test]
    fn equals_the_reference_generator() {
        let mut rng = Rng::new(7);
        let mut state = rng.state;
        for _ in 0..10_000 {
            assert_eq!(rng.bits(), reference(&mut state));
        }
    }

    #[test]
    fn split_mix_equals_its_published_first_outputs() {
        let mut state = 1_234_567;
        assert_eq!(split_mix(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(split_mix(&mut state), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_bound_is_never_reached() {
        let mut rng = Rng::new(1);
        assert!((0..10_000).all(|_| rng.below(3) < 3));
        assert!((0..10_000).all(|_| (5..=6).contains(&rng.between(5, 6))));
        assert_eq!(rng.below(0), 0);
    }
}
