//! What time is it? The one place that asks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::lease::Now;

/// The process's clock: monotonic for leases, the wall for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// Milliseconds since the start.
    #[must_use]
    pub(crate) fn now(&self) -> Now {
        Now(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Microseconds since the Unix epoch, for histories and times of the day; 0 before it.
    #[must_use]
    pub(crate) fn unix_us() -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}
