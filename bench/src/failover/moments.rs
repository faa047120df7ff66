//! When in a session does a trigger fall?
//!
//! Seeded, in the middle of a burst, far enough from the ends of the session and from each other that no
//! window sees anything but its own trigger.

use std::ops::Range;

use twinfeed_harness::run::Burst;

use crate::chance::Chance;

/// `count` moments, ascending, one in each equal part of `span` (nanoseconds since the session opened),
/// each with `window_ns` to spare before its part ends; `None` if a part does not hold a burst and a
/// window.
pub(crate) fn choose(
    span: &Range<u64>,
    count: u32,
    window_ns: u64,
    burst: Option<Burst>,
    chance: &mut Chance,
) -> Option<Vec<u64>> {
    let part = span.end.checked_sub(span.start)? / u64::from(count.max(1));
    let moment = |index: u32| {
        let start = span.start + part * u64::from(index);
        let end = (start + part).checked_sub(window_ns)?;
        one(&(start..end), burst, chance)
    };
    (0..count).map(moment).collect()
}

fn one(span: &Range<u64>, burst: Option<Burst>, chance: &mut Chance) -> Option<u64> {
    let Some(burst) = burst else {
        return (!span.is_empty()).then(|| span.start + chance.below(span.end - span.start));
    };
    let (period, length) = (nanos(burst.period).max(1), nanos(burst.length));
    // A burst counts with its middle half: its edges are as early and as late as the clocks are.
    let (from, until) = (length / 4, length - length / 4);
    let first = span.start.saturating_sub(from).div_ceil(period);
    let behind = span.end.checked_sub(until)? / period + 1;
    (first < behind).then(|| {
        let start = (first + chance.below(behind - first)) * period;
        start + from + chance.below((until - from).max(1))
    })
}

fn nanos(span: std::time::Duration) -> u64 {
    // A burst of 584 years is none.
    span.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    const fn burst(period_ms: u64, length_ms: u64) -> Burst {
        let (period, length) = (
            Duration::from_millis(period_ms),
            Duration::from_millis(length_ms),
        );
        Burst {
            factor: 3,
            period,
            length,
        }
    }

    #[test]
    fn a_part_too_short_for_burst_and_window_has_no_moment() {
        let choose = |end_ms, count| {
            let burst = Some(burst(100, 20));
            choose(
                &(50 * MS..end_ms * MS),
                count,
                200 * MS,
                burst,
                &mut Chance::seeded(1),
            )
        };
        // The burst from 100 to 120 ms counts with 105 to 115 ms; then 200 ms.
        assert_eq!(choose(314, 1), None);
        assert!(choose(315, 1).is_some_and(|it| (105 * MS..115 * MS).contains(&it[0])));
        assert_eq!(choose(500, 2), None);
        assert_eq!(choose(40, 1), None);
    }

    proptest! {
        #[test]
        fn every_moment_is_in_a_burst_of_its_own_part(
            start_ms in 0_u64..2_000, length_ms in 0_u64..3_000, count in 1_u32..4,
            period_ms in 20_u64..200, burst_ms in 4_u64..20, bursts: bool, seed: u64,
        ) {
            let window = 200 * MS;
            let span = start_ms * MS..(start_ms + length_ms) * MS;
            let burst = bursts.then(|| burst(period_ms, burst_ms));
            let chosen = choose(&span, count, window, burst, &mut Chance::seeded(seed));
            for (index, &moment) in chosen.iter().flatten().enumerate() {
                let part = (span.end - span.start) / u64::from(count);
                let part = span.start + part * index as u64..span.start + part * (index as u64 + 1);
                prop_assert!(part.start <= moment && moment + window <= part.end);
                if burst.is_some() {
                    let phase = moment % (period_ms * MS);
                    prop_assert!((burst_ms * MS / 4..=burst_ms * MS).contains(&phase), "{phase}");
                }
            }
            // Room for a period, a burst and a window in every part is always enough.
            if length_ms >= u64::from(count) * (period_ms + burst_ms + 201) {
                prop_assert_eq!(chosen.map_or(0, |it| it.len()), count as usize);
            }
        }
    }
}
