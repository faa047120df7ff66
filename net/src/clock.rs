//! What time is it, for everything one duty cycle does?
//!
//! A cycle reads the clock once and hands the reading down; nobody below asks again. The two
//! times are not interchangeable: deadlines and gaps are differences of the monotonic one, times
//! of day and comparisons with kernel time stamps are of the other.

use crate::sys::time;

/// Both clocks of the host, read together.
///
/// ```
/// use twinfeed_net::clock::Reading;
///
/// let (first, second) = (Reading::now(), Reading::now());
/// assert!(second.monotonic_ns >= first.monotonic_ns);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reading {
    /// Nanoseconds of `CLOCK_MONOTONIC`. Never goes back, and is the same clock for all processes
    /// of one host, so readings of two processes may be subtracted; its zero means nothing.
    pub monotonic_ns: u64,
    /// Nanoseconds since the Unix epoch, `CLOCK_REALTIME`: the clock of kernel time stamps. It
    /// steps when somebody sets the host's time.
    pub realtime_ns: u64,
}

impl Reading {
    /// Reads both clocks: two calls into the vDSO, no system call on usual hosts.
    pub fn now() -> Self {
        Self {
            monotonic_ns: time::monotonic_ns(),
            realtime_ns: time::realtime_ns(),
        }
    }
}

/// The monotonic clock alone, ns; see [`Reading::monotonic_ns`].
pub fn monotonic_ns() -> u64 {
    time::monotonic_ns()
}

/// The time of day alone, ns since the Unix epoch; see [`Reading::realtime_ns`].
pub fn realtime_ns() -> u64 {
    time::realtime_ns()
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_time_of_day_lies_between_two_readings_of_the_standard_library() {
        let std_ns = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_nanos()
        };
        let before = std_ns();
        let ours = u128::from(Reading::now().realtime_ns);
        assert!((before..=std_ns()).contains(&ours));
    }

    #[test]
    fn the_monotonic_clock_never_goes_back() {
        let mut last = monotonic_ns();
        for _ in 0..10_000 {
            let now = monotonic_ns();
            assert!(now >= last);
            last = now;
        }
    }
}
