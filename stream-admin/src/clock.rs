//! What time is it, and for how long did this process not ask? The one place that looks at clocks.

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

/// The clock of leases. It stands still while this process attends to nobody – stopped, without a core, waiting for its
/// disk – because who could not be heard was not silent. A lease ends later for it here, and at its holder when it always
/// did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attention {
    seen: Now,
    stalled_ms: u64,
    stalls: u64,
}

impl Attention {
    /// The time of leases, and for how long nobody was attended to before it, in milliseconds.
    pub(crate) fn look(&mut self, at: Now) -> (Now, Option<u64>) {
        let away = at.since(self.seen);
        self.seen = self.seen.max(at);
        let stall = (away > LONGEST_GLANCE_MS).then_some(away);
        if let Some(stall) = stall {
            self.stalls += 1;
            // Every look moves the time: a process that attends to its callers seldom lets leases end late, not never.
            self.stalled_ms += stall - GLANCE_MS;
        }
        (Now(self.seen.since(Now(self.stalled_ms))), stall)
    }

    /// How often, and for how many milliseconds, nobody was attended to.
    pub(crate) const fn stalls(&self) -> (u64, u64) {
        (self.stalls, self.stalled_ms)
    }
}

/// How often a process that attends to its callers looks by itself.
const GLANCE_MS: u64 = 100;
/// Longest time between two looks of such a process.
const LONGEST_GLANCE_MS: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_stand_still_while_nobody_is_attended_to() {
        let mut attention = Attention::default();
        // What the clock says, the time of leases, and the stall before it.
        let looks = [
            (0, 0, None),
            (100, 100, None),
            (600, 600, None),
            (1_101, 700, Some(501)),
            (1_101, 700, None),
            (1_200, 799, None),
            (9_200, 899, Some(8_000)),
            (9_300, 999, None),
            // Another thread read the clock first and came last.
            (9_250, 999, None),
            (9_310, 1_009, None),
            // One that looks too seldom: slowly, but on.
            (9_911, 1_109, Some(601)),
            (10_512, 1_209, Some(601)),
        ];
        for (at, time, stall) in looks {
            assert_eq!(attention.look(Now(at)), (Now(time), stall), "at {at}");
        }
        assert_eq!(attention.stalls(), (4, 9_303));
    }
}
