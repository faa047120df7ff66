//! How far does chance move the ratio of two tails that were measured in rounds?
//!
//! What is measured in one round hangs together: a host that is busy elsewhere spoils a round, not a datagram. So whole rounds
//! are drawn again, with replacement, each with both of its kinds, for those ran next to each other (block bootstrap, percentile
//! interval; Efron, Tibshirani: "An Introduction to the Bootstrap", 1993, sections 8.6 and 13.3).

use crate::chance::Chance;
use crate::stats::{interval, rank, ratio};

/// The values of many rounds of one kind.
#[derive(Debug)]
pub(super) struct Pool {
    /// Each with its round, in descending order.
    values: Vec<(u64, usize)>,
    /// How many of each round.
    sizes: Vec<u64>,
}

impl Pool {
    pub(super) fn new(rounds: &[Vec<u64>]) -> Self {
        let labelled = rounds.iter().enumerate();
        let mut values: Vec<(u64, usize)> = labelled
            .flat_map(|(round, values)| values.iter().map(move |value| (*value, round)))
            .collect();
        values.sort_unstable_by(|one, other| other.cmp(one));
        let sizes = rounds.iter().map(|values| values.len() as u64).collect();
        Self { values, sizes }
    }

    /// The percentile of all values, where each round counts as often as `times` says; 0 of none.
    fn percentile(&self, percent: f64, times: &[u64]) -> u64 {
        let counts = self.sizes.iter().zip(times);
        let count: u64 = counts.map(|(size, times)| size * times).sum();
        if count == 0 {
            return 0;
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut above = (count - 1 - rank(percent, count)) as u64;
        for (value, round) in &self.values {
            let Some(left) = above.checked_sub(times[*round]) else {
                return *value;
            };
            above = left;
        }
        0
    }
}

/// The ratio of a percentile of two kinds over the same rounds, and its 95 % interval.
pub(super) fn compare(
    above: &Pool,
    below: &Pool,
    percent: f64,
    resamples: u32,
    chance: &mut Chance,
) -> (f64, [f64; 2]) {
    let rounds = above.sizes.len().min(below.sizes.len());
    let of = |times: &[u64]| {
        ratio(
            above.percentile(percent, times),
            below.percentile(percent, times),
        )
    };
    let mut ratios = Vec::new();
    for _ in 0..resamples.max(1) {
        let mut times = vec![0; rounds];
        for _ in 0..rounds {
            // Below `rounds`, which is a usize.
            times[chance.below(rounds as u64) as usize] += 1;
        }
        ratios.push(of(&times));
    }
    (of(&vec![1; rounds]), interval(&mut ratios))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::Sample;

    fn rounds() -> impl Strategy<Value = Vec<Vec<u64>>> {
        prop::collection::vec(prop::collection::vec(1_u64..1_000, 0..40), 1..8)
    }

    proptest! {
        #[test]
        fn a_round_that_counts_twice_is_as_good_as_there_twice(
            rounds in rounds(), times in prop::collection::vec(0_u64..4, 8), percent in 1_u32..=100,
        ) {
            let percent = f64::from(percent);
            let drawn = rounds.iter().zip(&times);
            let naive: Vec<u64> = drawn
                .flat_map(|(values, times)| (0..*times).flat_map(|_| values.clone()))
                .collect();
            let expected = Sample::new(naive).percentile(percent).unwrap_or(0);
            prop_assert_eq!(Pool::new(&rounds).percentile(percent, &times), expected);
        }

        #[test]
        fn a_kind_compared_with_itself_is_equal_however_it_is_drawn(rounds in rounds(), seed: u64) {
            let pool = Pool::new(&rounds);
            let compared = compare(&pool, &pool, 99.0, 100, &mut Chance::seeded(seed));
            prop_assert_eq!(compared, (1.0, [1.0, 1.0]));
        }
    }

    #[test]
    fn one_bad_round_of_four_widens_the_interval_and_four_alike_do_not() {
        let usual: Vec<u64> = (1_000..1_100).collect();
        let bad: Vec<u64> = usual.iter().map(|value| value * 5).collect();
        let below = Pool::new(&vec![usual.clone(); 4]);
        let one_bad = Pool::new(&[usual.clone(), usual.clone(), usual.clone(), bad]);
        let compared = |above| compare(above, &below, 99.0, 1_000, &mut Chance::seeded(3));
        let (ratio, [low, high]) = compared(&one_bad);
        assert!(
            ratio > 4.0 && low == 1.0 && high > 4.0,
            "{ratio} {low} {high}"
        );
        let longer: Vec<u64> = usual.iter().map(|value| value * 2).collect();
        let (ratio, [low, high]) = compared(&Pool::new(&vec![longer; 4]));
        assert_eq!((ratio, low, high), (2.0, 2.0, 2.0));
    }
}
