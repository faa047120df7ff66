//! How do two adapters talk, and how do they learn that the other one does not any more?
//!
//! A [`PairLink`] behaves as a TCP connection does and the link's rules make of it: ordered, lossless while it
//! stands, late after a cut that ends in time. A process that is killed is heard of behind everything that it had
//! handed to its kernel, and as *gone*; a host that is lost, a cut and a stall are heard of as silence.
//!
//! ```text
//!  said ─► delay, in order, behind a cut or a stall ─► heard
//!  nothing comes for `patience` ─► given up here, goodbye to there ─► connected again
//! ```

use core::time::Duration;

use twinfeed_protocol::Leg;
use twinfeed_protocol::time::Time;

use crate::world::rng::Rng;

/// The connection between the adapters of a pair.
#[derive(Debug)]
pub struct PairLink {
    delay: Duration,
    jitter_us: u64,
    patience: Duration,
    pairing: u64,
    /// The way to each leg.
    ways: [Way; 2],
    rng: Rng,
}

/// The way to one adapter.
#[derive(Debug)]
struct Way {
    /// Whether that adapter knows of the connection.
    up: bool,
    /// When what was said last arrives.
    last: Time,
    /// Nothing passes before.
    closed_until: Time,
    /// Since when nothing passes.
    closed_since: Time,
    /// What is under way in this pairing is lost.
    lost: u64,
}

impl PairLink {
    /// Two ends that do not know each other. `patience`: how long an end hears nothing before it gives up.
    #[must_use]
    pub fn new(delay: Duration, jitter_us: u64, patience: Duration, rng: Rng) -> Self {
        let way = || Way {
            up: false,
            last: Time::ZERO,
            closed_until: Time::ZERO,
            closed_since: Time::ZERO,
            lost: 0,
        };
        Self {
            delay,
            jitter_us,
            patience,
            pairing: 0,
            ways: [way(), way()],
            rng,
        }
    }

    /// How long an end hears nothing before it gives up.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The count of times that the two ends began to talk.
    #[must_use]
    pub fn pairing(&self) -> u64 {
        self.pairing
    }

    /// Whether the adapter of `leg` knows of a connection.
    #[must_use]
    pub fn is_up(&self, leg: Leg) -> bool {
        self.ways[leg.index()].up
    }

    /// When something said to the adapter of `to` now arrives.
    pub fn arrival(&mut self, now: Time, to: Leg) -> Time {
        let jitter = Duration::from_micros(self.rng.below(self.jitter_us + 1));
        let way = &mut self.ways[to.index()];
        let at = now.after(self.delay + jitter);
        way.last = at.max(way.last).max(way.closed_until);
        way.last
    }

    /// Whether something said in `pairing` is heard by the adapter of `to`.
    #[must_use]
    pub fn carries(&self, to: Leg, pairing: u64) -> bool {
        let way = &self.ways[to.index()];
        way.up && pairing == self.pairing && way.lost != pairing
    }

    /// Nothing passes to the adapter of `to` before `until`.
    pub fn close(&mut self, now: Time, to: Leg, until: Time) {
        let way = &mut self.ways[to.index()];
        if now >= way.closed_until {
            way.closed_since = now;
        }
        way.closed_until = way.closed_until.max(until);
    }

    /// Everything passes again.
    pub fn open(&mut self, now: Time, to: Leg) {
        let way = &mut self.ways[to.index()];
        way.closed_until = way.closed_until.min(now);
    }

    /// What is under way to the adapter of `to` is lost, and nothing follows.
    pub fn lose(&mut self, to: Leg) {
        self.ways[to.index()].lost = self.pairing;
    }

    /// Whether the adapter of `to` has heard nothing for so long that it gives up.
    #[must_use]
    pub fn is_silent(&self, now: Time, to: Leg) -> bool {
        let way = &self.ways[to.index()];
        way.up && now < way.closed_until && now.since(way.closed_since) >= self.patience
    }

    /// Whether both ways are open.
    #[must_use]
    pub fn is_open(&self, now: Time) -> bool {
        self.ways.iter().all(|way| now >= way.closed_until)
    }

    /// The adapter of `leg` knows of no connection any more; whether it did.
    pub fn leave(&mut self, leg: Leg) -> bool {
        core::mem::take(&mut self.ways[leg.index()].up)
    }

    /// Both know of a new one.
    pub fn connect(&mut self, now: Time) {
        self.pairing += 1;
        for way in &mut self.ways {
            way.up = true;
            way.last = way.last.max(now);
        }
    }
}
