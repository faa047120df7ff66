//! By how much is one leg ahead of the other?
//!
//! Measured where both bring the same place: the time between the first copy and the second. Nothing is
//! decided by it; it is shown.

use twinfeed_wire::Datagram;

use super::source::Source;
use crate::event::{Leg, Place};
use crate::time::Time;

/// The newest deliveries: what came, when, and who brought it.
#[derive(Debug)]
pub(super) struct Arrivals {
    kept: [(Place, Time, Leg); KEPT_ARRIVALS],
    at: usize,
}

/// Deliveries remembered in order to measure by how much one leg is ahead.
const KEPT_ARRIVALS: usize = 64;

impl Arrivals {
    pub(super) const fn new() -> Self {
        Self {
            kept: [(Place::start(0), Time::ZERO, Leg::Zero); KEPT_ARRIVALS],
            at: 0,
        }
    }

    /// Arrivals of numbers that mean something else from here on are no measure.
    pub(super) fn forget(&mut self) {
        self.kept = Self::new().kept;
    }

    /// Notes that `leg` brought `place`; answers who brought it first, and when, if it is a second copy.
    fn note(&mut self, place: Place, now: Time, leg: Leg) -> Option<(Time, Leg)> {
        let newest = (self.at + KEPT_ARRIVALS - 1) % KEPT_ARRIVALS;
        if self.kept[newest].0 < place {
            self.kept[self.at] = (place, now, leg);
            self.at = (self.at + 1) % KEPT_ARRIVALS;
            return None;
        }
        // Newest first: the other leg is seldom far behind.
        let (newer, older) = self.kept.split_at(self.at);
        let mut known = newer.iter().rev().chain(older.iter().rev());
        let first = known.find(|(known, _, by)| *known == place && *by != leg);
        first.map(|&(_, at, by)| (at, by))
    }
}

impl Source {
    /// Measures by how much the legs are apart: the same place brought by both.
    pub(super) fn note_arrival(&mut self, leg: Leg, datagram: &Datagram<'_>, now: Time) {
        self.note_place(leg, datagram.highest_sseq(), now);
    }

    /// Notes that `leg` brought a datagram that reaches up to a number.
    pub(super) fn note_place(&mut self, leg: Leg, highest_sseq: u64, now: Time) {
        let place = Place::start(highest_sseq);
        if let Some((at, by)) = self.arrivals.note(place, now, leg) {
            // A moving average over 16 measurements.
            let lead = crate::time::nanos(now.since(at));
            let ahead = &mut self.legs[by.index()].lead_ns;
            *ahead = *ahead - *ahead / 16 + lead / 16;
            let behind = &mut self.legs[leg.index()].lead_ns;
            *behind -= *behind / 16;
        }
    }
}
