//! What does a process's clock show?
//!
//! Worlds have one time; a process reads it through its own [`Clock`], which may run a little fast or slow, and whose wall
//! clock may be set at any moment. Deadlines that a machine names are read back through the same clock.

use core::time::Duration;

use twinfeed_protocol::sequencer::Now;
use twinfeed_protocol::time::Time;

/// A process's two clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// The world's time and the process's at the last change of the rate.
    world: Time,
    own: Time,
    /// How many parts of a million it runs fast.
    fast_ppm: i64,
    /// By how much the wall clock is wrong, ns.
    wrong_ns: i64,
}

impl Clock {
    /// The process's time at a moment of the world's.
    #[must_use]
    pub fn time(&self, world: Time) -> Time {
        if self.fast_ppm == 0 {
            return Time(self.own.0 + world.0.saturating_sub(self.world.0));
        }
        let passed = i128::from(world.0) - i128::from(self.world.0);
        let own = i128::from(self.own.0) + (passed * self.rate()).div_euclid(MILLION);
        Time(own.clamp(0, i128::from(u64::MAX)) as u64)
    }

    /// The first moment of the world at which the process's time is this or later.
    #[must_use]
    pub fn world(&self, own: Time) -> Time {
        if own == Time::NEVER {
            return own;
        }
        if self.fast_ppm == 0 {
            return Time(self.world.0 + own.0.saturating_sub(self.own.0));
        }
        let passed = i128::from(own.0) - i128::from(self.own.0);
        let (whole, rate) = (passed * MILLION, self.rate());
        let up = whole.div_euclid(rate) + i128::from(whole.rem_euclid(rate) != 0);
        let mut world = (i128::from(self.world.0) + up).clamp(0, i128::from(u64::MAX)) as u64;
        // The division by the rate rounded down on the way here.
        while self.time(Time(world)) < own {
            world += 1;
        }
        Time(world)
    }

    /// Both clocks.
    #[must_use]
    pub fn read(&self, world: Now) -> Now {
        Now {
            time: self.time(world.time),
            unix_ns: world.unix_ns.saturating_add_signed(self.wrong_ns),
        }
    }

    /// From `now` on it runs so many parts of a million fast; nothing jumps.
    pub fn drift(&mut self, now: Time, fast_ppm: i64) {
        (self.own, self.world) = (self.time(now), now);
        self.fast_ppm = fast_ppm;
    }

    /// The wall clock is set.
    pub fn step(&mut self, by: Duration, back: bool) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.wrong_ns = self.wrong_ns.saturating_add(if back { -by } else { by });
    }

    fn rate(&self) -> i128 {
        MILLION + i128::from(self.fast_ppm)
    }
}

const MILLION: i128 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_over_when_the_world_says_so_and_not_a_nanosecond_before() {
        for ppm in [-3_000, -1, 0, 1, 777, 3_000] {
            let mut clock = Clock::default();
            clock.drift(Time(12_345), ppm);
            for own in [12_345, 12_346, 99_999, 1_000_000_007, 3_600_000_000_000] {
                let world = clock.world(Time(own));
                assert!(clock.time(world) >= Time(own), "{ppm} {own}");
                let before = Time(world.0 - 1);
                let first = own == 12_345;
                assert!(first || clock.time(before) < Time(own), "{ppm} {own}");
            }
        }
    }

    #[test]
    fn a_clock_never_runs_backwards_when_its_rate_changes() {
        let mut clock = Clock::default();
        let mut last = Time::ZERO;
        for turn in 0..1_000_u64 {
            let world = Time(turn * 1_001);
            let own = clock.time(world);
            assert!(own >= last);
            last = own;
            clock.drift(world, (turn as i64 % 7 - 3) * 1_000);
        }
    }
}
