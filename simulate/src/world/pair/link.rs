//! How do two adapters talk, and how do they learn that the other one does not any more?
//!
//! A [`PairLink`] behaves as a TCP connection does and the link's rules make of it: ordered, lossless while it
//! stands, late after a cut that ends in time. A process that is killed is heard of behind everything that it had
//! handed to its kernel, and as *gone*; a host that is lost, a cut and a stall are heard of as silence. Where words are
//! [`PairLink::write_late`], what a process said last may not have been with its kernel when it was killed.
//!
//! ```text
//!  said ─► (a thread that writes late) ─► delay, in order, behind a cut or a stall ─► heard
//!  nothing comes for `patience` ─► given up here, goodbye to there ─► connected again
//! ```

use core::time::Duration;
use std::collections::VecDeque;

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
    /// Words are written by another thread than the one that says them.
    late: Option<Rng>,
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
    /// Words said so far.
    said: u64,
    /// Of these, the ones that may not be written yet, each with when it was said.
    unwritten: VecDeque<(u64, Time)>,
    /// In this pairing, words from this one on were never written.
    never_written: (u64, u64),
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
            said: 0,
            unwritten: VecDeque::new(),
            never_written: (0, 0),
        };
        Self {
            delay,
            jitter_us,
            patience,
            pairing: 0,
            ways: [way(), way()],
            rng,
            late: None,
        }
    }

    /// From here on words are written by a thread that may be late, as `rng` decides.
    pub fn write_late(&mut self, rng: Rng) {
        self.late = Some(rng);
    }

    /// One more word to the adapter of `to`; returns its place among all of them.
    pub fn note_said(&mut self, now: Time, to: Leg) -> u64 {
        let way = &mut self.ways[to.index()];
        way.said += 1;
        if self.late.is_some() {
            let written = |&(_, at): &(u64, Time)| at.after(LATEST_WRITTEN) < now;
            while way.unwritten.front().is_some_and(written) {
                way.unwritten.pop_front();
            }
            way.unwritten.push_back((way.said, now));
        }
        way.said
    }

    /// Whether whoever writes gets to it in time.
    pub fn writes_in_time(&mut self) -> bool {
        let late = self.late.as_mut();
        late.is_none_or(|rng| !rng.chance(LATE_PERCENT))
    }

    /// Everything said to the adapter of `to` so far is written.
    pub fn written(&mut self, to: Leg) {
        self.ways[to.index()].unwritten.clear();
    }

    /// Whoever spoke to the adapter of `to` is killed; returns whether words die with it.
    pub fn die(&mut self, now: Time, to: Leg) -> bool {
        let Some(rng) = &mut self.late else {
            return false;
        };
        let way = &mut self.ways[to.index()];
        let behind = rng.micros(0, LATEST_WRITTEN.as_micros() as u64);
        let lost = rng.chance(50);
        let first = way.unwritten.iter().find(|(_, at)| at.after(behind) >= now);
        if let Some(&(first, _)) = first.filter(|_| lost) {
            way.never_written = (self.pairing, first);
        }
        way.unwritten.clear();
        way.never_written.0 == self.pairing
    }

    /// Whether a word, by its place, was written.
    #[must_use]
    pub fn wrote(&self, to: Leg, pairing: u64, place: u64) -> bool {
        let (of, from) = self.ways[to.index()].never_written;
        of != pairing || place < from
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

/// Longest time from when a word is said until it is with the kernel.
const LATEST_WRITTEN: Duration = Duration::from_micros(300);
/// How often in a hundred times whoever waits for that gives up.
const LATE_PERCENT: u64 = 10;
