//! Is one group of measurements distinguishable from another?
//!
//! Two groups of silences, one after real triggers and one after sham triggers, are compared by the
//! ratios of their medians and of their 90th percentiles. How far chance alone moves a ratio is told by
//! the bootstrap: both groups are drawn again from themselves, with replacement, and the ratio is taken
//! each time; the middle 95 % of those ratios are the interval (percentile method; Efron, Tibshirani:
//! "An Introduction to the Bootstrap", 1993, chapter 13).
//!
//! A maximum is never compared: it grows with the number of runs. This module does not know what was
//! measured, nor in which unit.

use serde::Serialize;

use crate::chance::Chance;

/// Measurements, in ascending order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Sample(Vec<u64>);

impl Sample {
    pub(crate) fn new(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        Self(values)
    }

    /// In ascending order.
    pub(crate) fn values(&self) -> &[u64] {
        &self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest value that at least `percent` % of the values do not exceed (nearest rank); `None`
    /// of an empty sample.
    pub(crate) fn percentile(&self, percent: f64) -> Option<u64> {
        (!self.0.is_empty()).then(|| self.0[rank(percent, self.0.len())])
    }

    pub(crate) fn max(&self) -> Option<u64> {
        self.0.last().copied()
    }

    /// One percentile of a resample of the same size.
    ///
    /// Places are drawn instead of values: as the values are sorted, the value at the n-th place of the
    /// drawn is the n-th value.
    fn resampled(
        &self,
        percents: [f64; 2],
        chance: &mut Chance,
        places: &mut Vec<usize>,
    ) -> [u64; 2] {
        let count = self.0.len();
        places.clear();
        // Below `count`, which is a usize.
        places.extend((0..count).map(|_| chance.below(count as u64) as usize));
        percents.map(|percent| {
            let (_, place, _) = places.select_nth_unstable(rank(percent, count));
            self.0[*place]
        })
    }
}

/// How two groups compare: `trigger / baseline`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Comparison {
    /// Ratio of the medians.
    pub(crate) median_ratio: f64,
    /// Its 95 % bootstrap interval.
    pub(crate) median_interval: [f64; 2],
    /// Ratio of the 90th percentiles.
    pub(crate) p90_ratio: f64,
    /// Its 95 % bootstrap interval.
    pub(crate) p90_interval: [f64; 2],
    /// How often the groups were drawn again.
    pub(crate) resamples: u32,
    /// What follows.
    pub(crate) verdict: Distinction,
}

/// What a comparison says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Distinction {
    /// The medians' ratio is at most [`LIMIT`] and the interval of the 90th percentiles' ratio reaches
    /// below it.
    NotDistinguishable,
    /// One of the two does not hold.
    Distinguishable,
    /// A group has fewer than [`LEAST_RUNS`] values: chance would decide.
    TooFew,
}

impl Distinction {
    /// For people.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::NotDistinguishable => "not distinguishable from sham",
            Self::Distinguishable => "distinguishable from sham",
            Self::TooFew => "too few runs to tell",
        }
    }
}

/// Compares a group with its baseline; `None` if one of them is empty.
pub(crate) fn compare(
    group: &Sample,
    baseline: &Sample,
    resamples: u32,
    chance: &mut Chance,
) -> Option<Comparison> {
    let at = |sample: &Sample| {
        Some(PERCENTS)
            .zip(sample.max())
            .map(|(percents, _)| percents.map(|percent| sample.0[rank(percent, sample.len())]))
    };
    let [median_ratio, p90_ratio] = ratios(at(group)?, at(baseline)?);
    let mut places = Vec::with_capacity(group.len().max(baseline.len()));
    let (mut medians, mut p90s) = (Vec::new(), Vec::new());
    for _ in 0..resamples.max(1) {
        let above = group.resampled(PERCENTS, chance, &mut places);
        let below = baseline.resampled(PERCENTS, chance, &mut places);
        let [median, p90] = ratios(above, below);
        medians.push(median);
        p90s.push(p90);
    }
    let (median_interval, p90_interval) = (interval(&mut medians), interval(&mut p90s));
    let verdict = if group.len().min(baseline.len()) < LEAST_RUNS {
        Distinction::TooFew
    } else if median_ratio <= LIMIT && p90_interval[0] < LIMIT {
        Distinction::NotDistinguishable
    } else {
        Distinction::Distinguishable
    };
    Some(Comparison {
        median_ratio,
        median_interval,
        p90_ratio,
        p90_interval,
        resamples: resamples.max(1),
        verdict,
    })
}

/// Index of the nearest rank of `percent` among `count` sorted values, which must not be 0.
pub(crate) fn rank(percent: f64, count: usize) -> usize {
    // Exact for counts below 2^53; the small step keeps 90 % of 10 from becoming 10.
    let rank = (percent / 100.0 * count as f64 - 1e-9).ceil() as usize;
    rank.clamp(1, count) - 1
}

fn ratios(group: [u64; 2], baseline: [u64; 2]) -> [f64; 2] {
    [ratio(group[0], baseline[0]), ratio(group[1], baseline[1])]
}

/// Nothing is as long as nothing, and anything is infinitely longer.
pub(crate) fn ratio(group: u64, baseline: u64) -> f64 {
    match (group, baseline) {
        (0, 0) => 1.0,
        (group, baseline) => group as f64 / baseline as f64,
    }
}

/// The middle 95 %.
pub(crate) fn interval(ratios: &mut [f64]) -> [f64; 2] {
    ratios.sort_unstable_by(f64::total_cmp);
    [2.5, 97.5].map(|percent| ratios[rank(percent, ratios.len())])
}

/// The least, the median and the most, to thousandths; zeros of nothing.
pub(crate) fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    if values.is_empty() {
        return [0.0; 3];
    }
    values.sort_unstable_by(f64::total_cmp);
    [0.0, 50.0, 100.0].map(|percent| (values[rank(percent, values.len())] * 1e3).round() / 1e3)
}

/// Ratio up to which two groups count as equal.
pub(crate) const LIMIT: f64 = 1.2;
/// Fewest values of a group from which anything is concluded.
pub(crate) const LEAST_RUNS: usize = 30;
/// How often groups are drawn again, unless told otherwise.
pub(crate) const RESAMPLES: u32 = 10_000;

const PERCENTS: [f64; 2] = [50.0, 90.0];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(values: impl IntoIterator<Item = u64>) -> Sample {
        Sample::new(values.into_iter().collect())
    }

    fn compared(group: &Sample, baseline: &Sample) -> Comparison {
        compare(group, baseline, 2_000, &mut Chance::seeded(7)).unwrap()
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let ten = sample((1..=10).rev());
        for (percent, expected) in [
            (0.0, 1),
            (10.0, 1),
            (10.1, 2),
            (50.0, 5),
            (90.0, 9),
            (90.1, 10),
            (100.0, 10),
        ] {
            assert_eq!(ten.percentile(percent), Some(expected), "{percent} %");
        }
        assert_eq!(sample([7]).percentile(50.0), Some(7));
        assert_eq!(sample([]).percentile(50.0), None);
    }

    #[test]
    fn a_spread_has_the_median_in_the_middle() {
        let of = |values: &[f64]| spread(values.iter().copied());
        assert_eq!(of(&[3.0, 1.0, 2.0, 9.0]), [1.0, 2.0, 9.0]);
        assert_eq!(of(&[0.500_4]), [0.5; 3]);
        assert_eq!(of(&[]), [0.0; 3]);
    }

    #[test]
    fn a_group_compared_with_itself_is_not_distinguishable() {
        let group = sample((0..300).map(|index| 1_000 + index * 7));
        let comparison = compared(&group, &group);
        assert_eq!((comparison.median_ratio, comparison.p90_ratio), (1.0, 1.0));
        assert_eq!(comparison.verdict, Distinction::NotDistinguishable);
        let [low, high] = comparison.p90_interval;
        assert!(low <= 1.0 && (1.0..1.2).contains(&high), "{comparison:?}");
    }

    #[test]
    fn each_of_the_two_conditions_can_fail_alone() {
        let baseline = sample((0..300).map(|index| 1_000 + index % 10));
        // Every value a quarter longer: the medians tell.
        let longer = sample((0..300).map(|index| (1_000 + index % 10) * 5 / 4));
        assert_eq!(
            compared(&longer, &baseline).verdict,
            Distinction::Distinguishable
        );
        // One value in five is thirty times as long: only the tails tell.
        let tail = |index: u64| {
            if index.is_multiple_of(5) {
                30_000
            } else {
                1_000 + index % 10
            }
        };
        let tailed = sample((0..300).map(tail));
        let comparison = compared(&tailed, &baseline);
        assert!(comparison.median_ratio < 1.01 && comparison.p90_interval[0] > 1.2);
        assert_eq!(comparison.verdict, Distinction::Distinguishable);
    }

    #[test]
    fn a_median_ratio_on_the_limit_passes_and_one_beyond_does_not() {
        let baseline = sample([1_000; 30]);
        for (value, verdict) in [
            (1_199, Distinction::NotDistinguishable),
            // The interval does not reach *below* 1.2.
            (1_200, Distinction::Distinguishable),
            (1_201, Distinction::Distinguishable),
        ] {
            assert_eq!(
                compared(&sample([value; 30]), &baseline).verdict,
                verdict,
                "{value}"
            );
        }
        // 20 of 1,200 and 10 of 1,000: median 1.2 exactly, and the tails' interval is the same number.
        let mixed = sample([1_200; 20].into_iter().chain([1_000; 10]));
        let comparison = compared(&mixed, &baseline);
        assert_eq!(
            (comparison.median_ratio, comparison.p90_interval[0]),
            (1.2, 1.2)
        );
        assert_eq!(comparison.verdict, Distinction::Distinguishable);
    }

    #[test]
    fn nothing_is_concluded_from_29_runs() {
        let thirty = sample([1; 30]);
        assert_eq!(
            compared(&thirty, &thirty).verdict,
            Distinction::NotDistinguishable
        );
        assert_eq!(
            compared(&sample([1; 29]), &thirty).verdict,
            Distinction::TooFew
        );
        assert_eq!(
            compared(&thirty, &sample([9; 29])).verdict,
            Distinction::TooFew
        );
        assert_eq!(
            compare(&sample([]), &thirty, 10, &mut Chance::seeded(1)),
            None
        );
    }

    #[test]
    fn zeros_divide() {
        let (zeros, ones) = (sample([0; 30]), sample([1; 30]));
        assert_eq!(compared(&zeros, &zeros).median_ratio, 1.0);
        assert_eq!(compared(&ones, &zeros).median_ratio, f64::INFINITY);
        assert_eq!(compared(&zeros, &ones).median_ratio, 0.0);
    }

    /// The bootstrap as a textbook writes it: draw values, sort them, look the percentile up.
    fn naive(group: &Sample, baseline: &Sample, resamples: u32, seed: u64) -> [f64; 2] {
        let mut chance = Chance::seeded(seed);
        let mut p90 = |sample: &Sample| {
            let mut drawn: Vec<u64> = (0..sample.len())
                .map(|_| sample.values()[chance.below(sample.len() as u64) as usize])
                .collect();
            drawn.sort_unstable();
            *drawn
                .iter()
                .find(|v| drawn.iter().filter(|other| other <= v).count() * 10 >= drawn.len() * 9)
                .unwrap()
        };
        let mut ratios: Vec<f64> = (0..resamples)
            .map(|_| {
                let above = p90(group);
                ratio(above, p90(baseline))
            })
            .collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let at = |per_mille: usize| ratios[(ratios.len() * per_mille).div_ceil(1_000) - 1];
        [at(25), at(975)]
    }

    proptest! {
        #[test]
        fn the_percentile_is_the_first_value_that_enough_do_not_exceed(
            values in prop::collection::vec(0_u64..50, 1..60), percent in 1_usize..=100,
        ) {
            let sample = Sample::new(values.clone());
            let enough = |v: &u64| {
                values.iter().filter(|other| *other <= v).count() * 100 >= percent * values.len()
            };
            let expected = values.iter().copied().filter(enough).min();
            prop_assert_eq!(sample.percentile(percent as f64), expected);
        }

        #[test]
        fn the_bootstrap_equals_its_naive_twin(
            group in prop::collection::vec(1_u64..1_000, 1..40),
            baseline in prop::collection::vec(1_u64..1_000, 1..40),
            seed: u64,
        ) {
            let (group, baseline) = (Sample::new(group), Sample::new(baseline));
            let comparison = compare(&group, &baseline, 200, &mut Chance::seeded(seed)).unwrap();
            prop_assert_eq!(comparison.p90_interval, naive(&group, &baseline, 200, seed));
        }

        #[test]
        fn twice_as_long_is_twice_the_ratio(
            group in prop::collection::vec(1_u64..1_000, 1..40),
            baseline in prop::collection::vec(1_u64..1_000, 1..40),
        ) {
            let baseline = Sample::new(baseline);
            let twice = Sample::new(group.iter().map(|value| value * 2).collect());
            let (one, two) = (compared(&Sample::new(group), &baseline), compared(&twice, &baseline));
            prop_assert_eq!(one.median_ratio * 2.0, two.median_ratio);
            prop_assert_eq!(one.p90_interval.map(|bound| bound * 2.0), two.p90_interval);
            prop_assert!(two.median_interval[0] <= two.median_interval[1]);
        }
    }
}
