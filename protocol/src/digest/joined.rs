//! What is the digest of two bytes and a body, without putting them together first?
//!
//! XXH3 (64 bit, seeded) of 33 to 64 bytes, which is what nearly all records have: the algorithm's own steps for that length over
//! words that are taken from the body where it lies. A copy that is read at once in other pieces than it was written in waits
//! until it has left the core's store buffer, and costs more than the digest.
//!
//! Source: xxHash, `doc/xxhash_spec.md`, "XXH3 Algorithm Description", medium inputs.

/// The lengths of bodies that are digested here.
const LENGTHS: core::ops::RangeInclusive<usize> = 32..=62;

/// The digest of `front` and `body` together; `None` when the body is shorter or longer than what is digested here.
#[inline(always)]
pub(super) fn digest(front: [u8; 2], body: &[u8], seed: u64) -> Option<u64> {
    if !LENGTHS.contains(&body.len()) {
        return None;
    }
    let [a, b, c, d] = words(body.first_chunk()?);
    let [w, x, y, z] = words(body.last_chunk()?);
    let front = u64::from(u16::from_le_bytes(front));
    let length = 2 + body.len() as u64;
    let sum = length
        .wrapping_mul(PRIME)
        .wrapping_add(mix(front | a << 16, a >> 48 | b << 16, 0, seed))
        .wrapping_add(mix(b >> 48 | c << 16, c >> 48 | d << 16, 4, seed))
        .wrapping_add(mix(w, x, 6, seed))
        .wrapping_add(mix(y, z, 2, seed));
    Some(avalanche(sum))
}

#[inline(always)]
fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks();
    // Not `array::from_fn`, whose closure may become a call for each word.
    [
        u64::from_le_bytes(words[0]),
        u64::from_le_bytes(words[1]),
        u64::from_le_bytes(words[2]),
        u64::from_le_bytes(words[3]),
    ]
}

/// Both halves of the product of two words, each under its word of the secret.
#[inline(always)]
fn mix(low: u64, high: u64, secret: usize, seed: u64) -> u64 {
    let low = low ^ SECRET[secret].wrapping_add(seed);
    let high = high ^ SECRET[secret + 1].wrapping_sub(seed);
    let product = u128::from(low) * u128::from(high);
    product as u64 ^ (product >> 64) as u64
}

#[inline]
const fn avalanche(sum: u64) -> u64 {
    let sum = (sum ^ sum >> 37).wrapping_mul(0x1656_6791_9E37_79F9);
    sum ^ sum >> 32
}

/// XXH64's first prime.
const PRIME: u64 = 0x9E37_79B1_85EB_CA87;
/// The first words of the algorithm's default secret.
const SECRET: [u64; 8] = [
    0xBE4B_A423_396C_FEB8,
    0x1CAD_21F7_2C81_017C,
    0xDB97_9083_E96D_D4DE,
    0x1F67_B3B7_A4A4_4072,
    0x78E5_C0CC_4EE6_79CB,
    0x2172_FFCC_7DD0_5A82,
    0x8E24_43F7_7446_08B8,
    0x4C26_3A81_E690_35E0,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64_with_seed;

    use super::*;

    #[test]
    fn other_lengths_are_left_to_others() {
        for length in (0..200).filter(|length| !LENGTHS.contains(length)) {
            assert_eq!(digest([1, 2], &vec![7; length], 9), None, "{length}");
        }
    }

    proptest! {
        /// The same as of a copy of both.
        #[test]
        fn it_is_the_digest_of_both_together(
            front: [u8; 2],
            body in prop::collection::vec(any::<u8>(), LENGTHS),
            seed: u64,
        ) {
            let together = [&front[..], &body].concat();
            prop_assert_eq!(digest(front, &body, seed), Some(xxh3_64_with_seed(&together, seed)));
        }
    }
}
