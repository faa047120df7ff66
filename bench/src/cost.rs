//! What does one message cost, over rounds?
//!
//! Kept in whole tenths of a nanosecond, so that a [`Sample`] takes them. Knows nothing of what was done.

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::stats::Sample;

/// ns a message, over rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cost {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Cost {
    /// Of each round's tenths of ns a message.
    pub(crate) fn of(tenths: Vec<u64>) -> Self {
        let sample = Sample::new(tenths);
        let at = |percent| sample.percentile(percent).unwrap_or(0) as f64 / SCALE;
        Self {
            median: at(50.0),
            least: at(0.0),
            most: at(100.0),
        }
    }
}

/// Tenths of ns a message, of so many that took so long, ns.
pub(crate) fn tenths(spent: u128, messages: u64) -> u64 {
    // At most some hours in ns.
    (spent * SCALE as u128 / u128::from(messages.max(1))) as u64
}

/// Processor time of this thread, ns: a busy host makes it wait, but not longer by this clock.
pub(crate) fn thread_ns() -> u64 {
    let at = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (at.tv_sec.unsigned_abs(), at.tv_nsec.unsigned_abs());
    seconds * 1_000_000_000 + nanos
}

const SCALE: f64 = 10.0;
