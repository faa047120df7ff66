//! How many messages are due at time t?
//!
//! A pure function of the time since the session opened, in both directions:
//! [`Pace::due`] counts, [`Pace::time_of`] says when message k leaves. As the
//! second one depends on k alone, a message's timestamp does too, and content
//! stays the same however often or seldom the exchange is polled.
//!
//! ```text
//!  rate │ ┌──┐        ┌──┐             factor × rate for `length`
//!       │ │  └────────┘  └────────     the rest of `period` slower,
//!       └─┴──┴────────┴──┴──────► t    so that the mean stays `rate`
//! ```
//!
//! Bursts are a change of clock: a *flat* time runs `factor` times as fast in a
//! burst and slower after it, and agrees with real time at every period.

use std::num::{NonZeroU32, NonZeroU64};

/// Nanoseconds in a second.
pub const SECOND_NS: u64 = 1_000_000_000;

/// A regular burst within a mean rate that stays what it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Burst {
    period_ns: u64,
    length_ns: u64,
    factor: u64,
}

impl Burst {
    /// A burst of `length_ns` at `factor` times the mean rate at the start of
    /// every `period_ns`.
    ///
    /// `None` unless `length_ns > 0` and `factor × length_ns < period_ns`: with
    /// more, the rest of the period would have to send less than nothing.
    pub fn new(period_ns: u64, length_ns: u64, factor: NonZeroU32) -> Option<Self> {
        let factor = u64::from(factor.get());
        let in_burst = factor.checked_mul(length_ns)?;
        (length_ns > 0 && in_burst < period_ns).then_some(Self {
            period_ns,
            length_ns,
            factor,
        })
    }

    /// Flat time at real time `t_ns`.
    fn flatten(&self, t_ns: u64) -> u64 {
        let within = t_ns % self.period_ns;
        let flat = if within <= self.length_ns {
            within * self.factor
        } else {
            let slow = u128::from(within - self.length_ns) * u128::from(self.slow_messages());
            self.burst_messages() + narrow(slow / u128::from(self.slow_ns()))
        };
        (t_ns - within).saturating_add(flat)
    }

    /// The earliest real time whose flat time is `flat_ns` or later.
    fn unflatten(&self, flat_ns: u64) -> u64 {
        let within = flat_ns % self.period_ns;
        let real = if within <= self.burst_messages() {
            within.div_ceil(self.factor)
        } else {
            let slow = u128::from(within - self.burst_messages()) * u128::from(self.slow_ns());
            self.length_ns + narrow(slow.div_ceil(u128::from(self.slow_messages())))
        };
        (flat_ns - within).saturating_add(real)
    }

    /// Flat nanoseconds spent in the burst of one period.
    fn burst_messages(&self) -> u64 {
        self.factor * self.length_ns
    }

    /// Flat nanoseconds spent in the rest of one period; above 0 by construction.
    fn slow_messages(&self) -> u64 {
        self.period_ns - self.burst_messages()
    }

    /// Real nanoseconds of that rest.
    fn slow_ns(&self) -> u64 {
        self.period_ns - self.length_ns
    }
}

/// A mean rate with or without bursts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace {
    per_second: NonZeroU64,
    burst: Option<Burst>,
}

impl Pace {
    /// A steady rate in messages per second.
    pub const fn steady(per_second: NonZeroU64) -> Self {
        Self {
            per_second,
            burst: None,
        }
    }

    /// The same mean rate, delivered in bursts.
    #[must_use]
    pub const fn with_burst(self, burst: Burst) -> Self {
        Self {
            burst: Some(burst),
            ..self
        }
    }

    /// How many messages are due `elapsed_ns` after the session opened. The
    /// first one is due at 0.
    pub fn due(&self, elapsed_ns: u64) -> u64 {
        let flat = self
            .burst
            .map_or(elapsed_ns, |burst| burst.flatten(elapsed_ns));
        let whole = u128::from(flat) * u128::from(self.per_second.get()) / u128::from(SECOND_NS);
        narrow(whole).saturating_add(1)
    }

    /// When message `index` (the first is 0) becomes due, in nanoseconds after
    /// the session opened; saturates at `u64::MAX` after 584 years.
    pub fn time_of(&self, index: u64) -> u64 {
        let flat = narrow(
            (u128::from(index) * u128::from(SECOND_NS)).div_ceil(u128::from(self.per_second.get())),
        );
        match self.burst {
            Some(burst) if flat < u64::MAX => burst.unflatten(flat),
            _ => flat,
        }
    }
}

/// Back to 64 bits, saturating: a time beyond the range is "never".
fn narrow(wide: u128) -> u64 {
    u64::try_from(wide).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    fn steady(per_second: u64) -> Pace {
        Pace::steady(NonZeroU64::new(per_second).unwrap())
    }

    fn five_fold() -> Pace {
        let factor = NonZeroU32::new(5).unwrap();
        steady(100_000).with_burst(Burst::new(100 * MS, 10 * MS, factor).unwrap())
    }

    #[test]
    fn a_steady_pace_counts_from_the_first_nanosecond() {
        let table = [
            (0, 1),
            (MS - 1, 1),
            (MS, 2),
            (2 * MS - 1, 2),
            (2 * MS, 3),
            (SECOND_NS, 1_001),
        ];
        for (t, due) in table {
            assert_eq!(steady(1_000).due(t), due, "at {t} ns");
        }
    }

    #[test]
    fn a_burst_keeps_the_mean() {
        // 10 ms at 500,000/s, then 90 ms at 5,000 / 90 ms = 55,555.5/s.
        let table = [
            (0, 1),
            (MS, 501),
            (10 * MS, 5_001),
            (55 * MS, 7_501),
            (100 * MS, 10_001),
            (101 * MS, 10_501),
            (1_000 * MS, 100_001),
        ];
        for (t, due) in table {
            assert_eq!(five_fold().due(t), due, "at {t} ns");
        }
    }

    #[test]
    fn a_burst_that_leaves_nothing_for_the_rest_is_refused() {
        let five = NonZeroU32::new(5).unwrap();
        assert!(Burst::new(100, 19, five).is_some());
        assert_eq!(Burst::new(100, 20, five), None);
        assert_eq!(Burst::new(100, 0, five), None);
        assert_eq!(Burst::new(100, u64::MAX, five), None);
    }

    #[test]
    fn the_end_of_time_saturates() {
        assert_eq!(steady(1).time_of(u64::MAX), u64::MAX);
        assert!(five_fold().due(u64::MAX) > 0);
    }

    proptest! {
        /// `time_of` is the exact inverse of `due`: message k is not due one
        /// nanosecond before its time, and is due at it.
        #[test]
        fn a_message_is_due_at_its_time_and_not_before(
            index in 0_u64..10_000_000,
            rate in 1_u64..5_000_000,
            period in 1_000_u64..200_000_000,
            length in 1_u64..20_000_000,
            factor in 1_u32..12,
        ) {
            let burst = Burst::new(period, length, NonZeroU32::new(factor).unwrap());
            let flat = steady(rate);
            let pace = burst.map_or(flat, |burst| flat.with_burst(burst));
            let t = pace.time_of(index);
            prop_assert!(pace.due(t) > index);
            prop_assert!(t == 0 || pace.due(t - 1) <= index);
        }
    }
}
