//! How far ahead must a slot lie so that the peer can answer before it is reached?
//!
//! As many records as the stream places in two round trips of the link (RM-25b), measured: the rate over
//! spans of a millisecond, the round trip from announcements to their answers. Or in a longer time that is
//! configured, where two threads on busy hosts are further apart than their link is long.

use core::time::Duration;

use twinfeed_wire::Msn;

use crate::time::{Time, nanos};

#[derive(Debug)]
pub(super) struct Pace {
    /// Records per second: what the last spans were at their busiest, fading.
    rate: u64,
    round_trip_ns: u64,
    since: Time,
    from: Msn,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self {
            rate: 0,
            round_trip_ns: FIRST_ROUND_TRIP_NS,
            since: Time::ZERO,
            from: Msn(0),
        }
    }

    /// The stream stands here.
    pub(super) fn on_progress(&mut self, now: Time, processed: Msn) {
        let span_ns = nanos(now.since(self.since));
        if span_ns < SPAN_NS {
            return;
        }
        // Backwards only when another numbering begins: that span measures nothing.
        let placed = processed.0.saturating_sub(self.from.0);
        let rate = (u128::from(placed) * 1_000_000_000 / u128::from(span_ns)) as u64;
        self.rate = rate.max(self.rate - self.rate / 8);
        (self.since, self.from) = (now, processed);
    }

    /// Another numbering begins: the distance to it is no progress.
    pub(super) const fn begin_anew(&mut self, now: Time, processed: Msn) {
        (self.since, self.from) = (now, processed);
    }

    /// An announcement was answered after so long.
    pub(super) fn on_answer(&mut self, after: Duration) {
        let sample = nanos(after).min(LONGEST_ROUND_TRIP_NS);
        self.round_trip_ns = self.round_trip_ns - self.round_trip_ns / 8 + sample / 8;
    }

    /// How many records ahead a slot must lie, at least 1, and as many as come in `least`.
    pub(super) fn lead(&self, least: Duration) -> u64 {
        let round_trips = Duration::from_nanos(self.round_trip_ns.saturating_mul(2));
        self.records_in(least.max(round_trips)).max(1)
    }

    /// How many records come in so long a time.
    pub(super) fn records_in(&self, span: Duration) -> u64 {
        let records = u128::from(self.rate).saturating_mul(span.as_nanos()) / 1_000_000_000;
        u64::try_from(records).unwrap_or(u64::MAX)
    }
}

/// Over how long a rate is measured at least.
const SPAN_NS: u64 = 1_000_000;
/// What a round trip takes before one was measured: a local network and two threads that must wake.
const FIRST_ROUND_TRIP_NS: u64 = 500_000;
/// A longer one says that a process stood still, not how long the way is.
const LONGEST_ROUND_TRIP_NS: u64 = 100_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_is_two_round_trips_of_records() {
        let mut pace = Pace::new();
        assert_eq!(
            pace.lead(Duration::ZERO),
            1,
            "a stream that stands still needs the next slot"
        );
        pace.on_progress(Time(1_000_000), Msn(0));
        // 100 records in a millisecond, twice half a millisecond.
        pace.on_progress(Time(2_000_000), Msn(100));
        assert_eq!(pace.lead(Duration::ZERO), 100);
        assert_eq!(pace.lead(Duration::from_micros(999)), 100);
        assert_eq!(pace.lead(Duration::from_millis(5)), 500);
        for _ in 0..200 {
            pace.on_answer(Duration::from_micros(100));
        }
        assert!(
            (18..=21).contains(&pace.lead(Duration::ZERO)),
            "{}",
            pace.lead(Duration::ZERO)
        );
        assert_eq!(pace.records_in(Duration::from_millis(3)), 300);
        assert_eq!(pace.records_in(Duration::MAX), u64::MAX);
    }

    #[test]
    fn a_busy_span_fades_and_another_numbering_measures_nothing() {
        let mut pace = Pace::new();
        pace.on_progress(Time(1_000_000), Msn(1_000));
        pace.on_progress(Time(2_000_000), Msn(3_000));
        let busy = pace.lead(Duration::ZERO);
        pace.on_progress(Time(3_000_000), Msn(5));
        assert!(pace.lead(Duration::ZERO) < busy && pace.lead(Duration::ZERO) > busy / 2);
        for ms in 4..100 {
            pace.on_progress(Time(ms * 1_000_000), Msn(5));
        }
        assert_eq!(pace.lead(Duration::ZERO), 1);
    }
}
