//! How long may somebody be silent after stream-admin was restarted, and still be there?
//!
//! A restarted stream-admin knows who sat, not who lives. It judges nobody as gone before everybody who
//! lives had the time to say so:
//!
//! ```text
//!   request times out ─► delay, at most the ceiling ─► the next request: heard
//!   ├── REQUEST_TIMEOUT ─┤├──── BACKOFF_CEILING ─────┤
//!       ▲ stream-admin is up again, at the earliest
//! ```
//!
//! The other way round, delays no longer than a third of the lease, would need that whoever asks knows the
//! lease: who has never sat does not, and a restart may bring another one. And delays alone do not bound the
//! silence, since a request that nobody answers takes its time as well. Here both ends are sure, at the
//! price that the death of an adapter during stream-admin's own outage is seen later.

use std::time::Duration;

/// No back-off delay towards stream-admin is longer.
pub const BACKOFF_CEILING: Duration = Duration::from_secs(5);

/// An adapter gives a request to stream-admin up after this time.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// How many times a lease is renewed before it would end.
pub const RENEWALS_PER_LEASE: u32 = 3;

/// How long after its own start stream-admin takes those who sat for living, in milliseconds.
#[must_use]
pub const fn presumption_ms(lease_ms: u64) -> u64 {
    // Seven seconds fit.
    let silence_ms = (BACKOFF_CEILING.as_millis() + REQUEST_TIMEOUT.as_millis()) as u64;
    if lease_ms > silence_ms {
        lease_ms
    } else {
        silence_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backoff;

    /// The longest silence of an adapter that asks by back-off: a request into the void, then a delay.
    #[test]
    fn nobody_who_asks_by_back_off_is_silent_for_longer_than_the_presumption() {
        let presumption = Duration::from_millis(presumption_ms(100));
        for seed in 0..1_000 {
            let mut backoff = Backoff::with_seed(seed);
            for _ in 0..20 {
                assert!(REQUEST_TIMEOUT + backoff.next_delay() <= presumption);
            }
        }
    }

    #[test]
    fn nobody_who_renews_is_silent_for_longer_than_the_presumption() {
        for lease_ms in [0, 100, 2_999, 3_000, 6_999, 7_000, 7_001, 3_600_000] {
            let silence = Duration::from_millis(lease_ms) / RENEWALS_PER_LEASE + REQUEST_TIMEOUT;
            assert!(silence <= Duration::from_millis(presumption_ms(lease_ms)));
            assert!(presumption_ms(lease_ms) >= lease_ms);
        }
    }
}
