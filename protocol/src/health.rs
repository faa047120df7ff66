//! How fit is a leg, in one number?
//!
//! ```text
//!  counted:   [ 40 ticks ago ] … [ last tick ] [ now ]      points off: of what came between the first and the last
//!  score:     100 less the points off; 0 while it is not live
//!
//!         score below `health_low`
//!  fit ─────────────────────────────► degraded
//!   ▲                                    │
//!   └── `health_high` or more, all the ──┘
//!       time for `hold_down`
//! ```
//!
//! What stands here adds up what somebody else has counted. It knows no datagram and no other leg, and decides about
//! neither: whether a leg is left for its score is the arbiter's business.
//!
//! **Invariant:** what was counted more than [`SPAN`] ago costs nothing. Nothing is allocated after
//! [`Health::new`], and between two ticks nothing is done at all.

use core::time::Duration;

use crate::limits::Limits;
use crate::time::Time;

/// From one judgement to the next.
pub const TICK: Duration = Duration::from_millis(250);
/// Ticks that are looked back upon.
pub const TICKS: usize = 40;
/// How long a fault counts.
pub const SPAN: Duration = Duration::from_secs(10);

/// Most points off for datagrams that were lost, one for each in a thousand. Loss alone makes no leg degraded under the
/// default `health_low`: the other leg fills it (RM-19).
pub const LOST_MOST: u64 = 40;
/// Most points off for datagrams that this host's kernel dropped, one for each in a thousand; each is lost as well.
pub const DROPPED_MOST: u64 = 10;
/// Most points off for late heartbeats, one for each.
pub const LATE_MOST: u64 = 40;
/// Points off each time that a leg that kept up is lost without having said so.
pub const SILENCE: u64 = 15;
/// Points off each time that a leg falls behind by more than `lag`, or its source alone is silent.
pub const STALL: u64 = 15;
/// Points off for each process that replaced the one before.
pub const RESTART: u64 = 5;
/// Points off for each datagram that claimed what its sender then took back.
pub const DOUBTED: u64 = 5;
/// Most points off for those: they change nothing, whoever sent them.
pub const DOUBTED_MOST: u64 = 40;
/// Most points off for being behind at the tick: by `lag_messages` source numbers, and as many for being `lag_time` late.
pub const BEHIND_MOST: u64 = 10;

/// Switches decided by health within a minute, per source stream: leaving a degraded leg and going back to the preferred
/// one alike. What a loss or a lag forces is not counted, and not bounded.
pub const SWITCHES_PER_MINUTE: usize = 4;

/// What a leg has done so far. The numbers only grow, but for `lost`: what comes late is taken back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Datagrams that it numbered, whether or not they came.
    pub sent: u64,
    /// Datagrams missing in its numbering.
    pub lost: u64,
    /// Datagrams of it that this host's kernel dropped.
    pub dropped: u64,
    /// Times that it was silent for two of its heartbeat intervals.
    pub late: u64,
    /// Times that it was lost by silence, or by its peer's word; not one that was stalled already.
    pub silences: u64,
    /// Times that it fell behind by more than `lag`, or heard nothing from its source while the other one did.
    pub stalls: u64,
    /// Processes that replaced the one before.
    pub restarts: u64,
    /// Datagrams that were dropped because their sender took back what they claimed.
    pub doubted: u64,
}

impl Tally {
    /// What was counted between `earlier` and this.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            sent: self.sent.saturating_sub(earlier.sent),
            lost: self.lost.saturating_sub(earlier.lost),
            dropped: self.dropped.saturating_sub(earlier.dropped),
            late: self.late.saturating_sub(earlier.late),
            silences: self.silences.saturating_sub(earlier.silences),
            stalls: self.stalls.saturating_sub(earlier.stalls),
            restarts: self.restarts.saturating_sub(earlier.restarts),
            doubted: self.doubted.saturating_sub(earlier.doubted),
        }
    }

    /// Points off for all of it.
    #[must_use]
    pub fn points(&self) -> u64 {
        let in_a_thousand = |count: u64, most: u64| {
            let of = u128::from(self.sent.max(1));
            let rate = (u128::from(count) * 1_000).div_ceil(of);
            u64::try_from(rate).unwrap_or(most).min(most)
        };
        [
            in_a_thousand(self.lost, LOST_MOST),
            in_a_thousand(self.dropped, DROPPED_MOST),
            self.late.min(LATE_MOST),
            self.silences.saturating_mul(SILENCE),
            self.stalls.saturating_mul(STALL),
            self.restarts.saturating_mul(RESTART),
            self.doubted.saturating_mul(DOUBTED).min(DOUBTED_MOST),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// How far a leg is behind the other one, in thousandths of what makes it stalled.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Behind {
    /// Of `lag_messages`.
    pub messages: u64,
    /// Of `lag_time`.
    pub time: u64,
}

impl Behind {
    /// Points off.
    #[must_use]
    pub fn points(&self) -> u64 {
        let share = |thousandths: u64| BEHIND_MOST * thousandths.min(1_000) / 1_000;
        share(self.messages) + share(self.time)
    }
}

/// How a leg stands at a tick.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bearing {
    /// Nothing was ever heard of it: there is nothing to judge.
    Unheard,
    /// It cannot be delivered: lost, stalled, or set apart in a divergence.
    Out,
    /// It is live.
    Live(Behind),
}

/// The score of one leg and what follows from it.
#[derive(Clone, Debug)]
pub struct Health {
    /// What was counted at the last ticks, the oldest at `at`.
    counted: [Tally; TICKS],
    at: usize,
    score: u8,
    fitness: Fitness,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fitness {
    Fit,
    Degraded {
        /// Since when the score is high enough.
        high_since: Option<Time>,
    },
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// A leg of which nothing is known: fit, without a fault.
    #[must_use]
    pub fn new() -> Self {
        Self {
            counted: [Tally::default(); TICKS],
            at: 0,
            score: FULL,
            fitness: Fitness::Fit,
        }
    }

    /// Judges the leg, `ticks` ticks (at least one) after it was judged last: what was counted meanwhile counts as
    /// having happened now.
    pub fn tick(&mut self, ticks: u64, now: Time, tally: Tally, bearing: Bearing, limits: &Limits) {
        let missed = ticks.saturating_sub(1).min(TICKS as u64);
        let last = self.counted[(self.at + TICKS - 1) % TICKS];
        for _ in 0..missed {
            self.remember(last);
        }
        let oldest = self.remember(tally);
        self.score = match bearing {
            // It keeps what it began with, and is fit when it speaks.
            Bearing::Unheard => return,
            Bearing::Out => 0,
            Bearing::Live(behind) => score(tally.since(&oldest).points() + behind.points()),
        };
        self.judge(now, limits);
    }

    /// Between 0 and 100, as of the last tick.
    #[must_use]
    pub const fn score(&self) -> u8 {
        self.score
    }

    /// Whether the score fell below `health_low`, and was not `health_high` for `hold_down` since.
    #[must_use]
    pub const fn is_degraded(&self) -> bool {
        matches!(self.fitness, Fitness::Degraded { .. })
    }

    fn judge(&mut self, now: Time, limits: &Limits) {
        let (low, high) = (
            self.score < limits.health_low,
            self.score >= limits.health_high,
        );
        self.fitness = match self.fitness {
            Fitness::Fit if low => Fitness::Degraded { high_since: None },
            Fitness::Degraded { high_since } if high => {
                let since = high_since.unwrap_or(now);
                match now.since(since) >= limits.hold_down {
                    true => Fitness::Fit,
                    false => Fitness::Degraded {
                        high_since: Some(since),
                    },
                }
            }
            Fitness::Degraded { .. } => Fitness::Degraded { high_since: None },
            Fitness::Fit => Fitness::Fit,
        };
    }

    /// Returns what it forgets.
    fn remember(&mut self, tally: Tally) -> Tally {
        let oldest = core::mem::replace(&mut self.counted[self.at], tally);
        self.at = (self.at + 1) % TICKS;
        oldest
    }
}

/// The score of a leg without a fault.
const FULL: u8 = 100;

fn score(points: u64) -> u8 {
    // It fits, for it is no more than 100.
    u8::try_from(u64::from(FULL).saturating_sub(points)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THOUSAND: Tally = Tally {
        sent: 1_000,
        lost: 0,
        dropped: 0,
        late: 0,
        silences: 0,
        stalls: 0,
        restarts: 0,
        doubted: 0,
    };

    /// A leg that has done so much since it began.
    fn of(tally: Tally) -> u8 {
        let mut health = Health::new();
        let live = Bearing::Live(Behind::default());
        health.tick(1, Time(1), tally, live, &Limits::default());
        health.score()
    }

    /// Each kind alone, at its edges.
    #[test]
    fn the_table_of_points() {
        type Set = fn(&mut Tally, u64);
        let lost: Set = |tally, count| tally.lost = count;
        let dropped: Set = |tally, count| tally.dropped = count;
        let late: Set = |tally, count| tally.late = count;
        let silences: Set = |tally, count| tally.silences = count;
        let stalls: Set = |tally, count| tally.stalls = count;
        let restarts: Set = |tally, count| tally.restarts = count;
        let doubted: Set = |tally, count| tally.doubted = count;
        for (kind, set, rows) in [
            ("lost", lost, [(0, 100), (1, 99), (39, 61), (41, 60)]),
            ("dropped", dropped, [(0, 100), (1, 99), (9, 91), (11, 90)]),
            ("late", late, [(0, 100), (1, 99), (39, 61), (41, 60)]),
            ("silences", silences, [(1, 85), (2, 70), (6, 10), (7, 0)]),
            ("stalls", stalls, [(1, 85), (2, 70), (6, 10), (7, 0)]),
            ("restarts", restarts, [(1, 95), (5, 75), (20, 0), (21, 0)]),
            ("doubted", doubted, [(1, 95), (7, 65), (8, 60), (9, 60)]),
        ] {
            for (count, expected) in rows {
                let mut tally = THOUSAND;
                set(&mut tally, count);
                assert_eq!(of(tally), expected, "{count} {kind}");
            }
        }
    }

    #[test]
    fn loss_is_measured_by_what_was_sent_and_rounded_up() {
        for (sent, lost, expected) in [
            (0, 0, 100),
            (100_000, 1, 99),
            (100_000, 100, 99),
            (100_000, 101, 98),
            (7, 1, 60),
            (u64::MAX, u64::MAX, 60),
        ] {
            let tally = Tally {
                sent,
                lost,
                ..Tally::default()
            };
            assert_eq!(of(tally), expected, "{lost} of {sent}");
        }
    }

    #[test]
    fn loss_and_drops_alone_degrade_nobody_and_one_late_heartbeat_more_does() {
        let limits = Limits::default();
        for (late, degraded) in [(0, false), (1, true)] {
            let tally = Tally {
                lost: 500,
                dropped: 500,
                late,
                ..THOUSAND
            };
            let mut health = Health::new();
            let live = Bearing::Live(Behind::default());
            health.tick(1, Time(1), tally, live, &limits);
            assert_eq!(health.is_degraded(), degraded, "{}", health.score());
        }
    }

    #[test]
    fn whoever_is_as_late_as_a_stalled_leg_loses_twenty_points() {
        for (messages, time, points) in [
            (0, 0, 0),
            (99, 99, 0),
            (100, 99, 1),
            (1_000, 0, 10),
            (1_000, 500, 15),
            (u64::MAX, u64::MAX, 20),
        ] {
            let behind = Behind { messages, time };
            assert_eq!(behind.points(), points, "{behind:?}");
        }
    }

    /// A silence at tick 1 costs until tick 40 and not at tick 41, however the ticks come.
    #[test]
    fn a_fault_is_forgotten_after_the_span() {
        let live = Bearing::Live(Behind::default());
        let limits = Limits::default();
        let fault = Tally {
            silences: 1,
            ..THOUSAND
        };
        for missed in [1, 2, 39] {
            let mut health = Health::new();
            health.tick(1, Time(1), fault, live, &limits);
            let mut tick = 1;
            while tick + missed < 1 + TICKS as u64 {
                tick += missed;
                health.tick(missed, Time(tick), fault, live, &limits);
                assert_eq!(health.score(), 85, "{missed}: tick {tick}");
            }
            health.tick(1 + TICKS as u64 - tick, Time(99), fault, live, &limits);
            assert_eq!(health.score(), 100, "{missed}");
        }
    }

    /// `health_low` 50, `health_high` 75, hold-down 1 s: one judgement per line.
    #[test]
    fn a_degraded_leg_is_fit_when_it_was_high_for_the_hold_down() {
        let limits = Limits::default();
        let mut health = Health::new();
        let mut silences = 0;
        for (at_ms, ticks, new, score, degraded) in [
            (0, 1, 0, 100, false),
            (250, 1, 3, 55, false),
            (500, 1, 1, 40, true),
            (10_250, 39, 0, 85, true),
            (11_249, 1, 2, 70, true), // not high for one moment: from the beginning
            (20_500, 40, 0, 100, true),
            (21_499, 1, 0, 100, true),
            (21_500, 1, 0, 100, false),
        ] {
            silences += new;
            let tally = Tally {
                silences,
                ..THOUSAND
            };
            let now = Time(at_ms * 1_000_000);
            let live = Bearing::Live(Behind::default());
            health.tick(ticks, now, tally, live, &limits);
            let is = (health.score(), health.is_degraded());
            assert_eq!(is, (score, degraded), "at {at_ms} ms");
        }
    }

    #[test]
    fn a_leg_that_is_out_has_nothing_and_one_that_was_never_heard_is_fit_when_it_speaks() {
        let limits = Limits::default();
        let mut health = Health::new();
        health.tick(1, Time(1), Tally::default(), Bearing::Unheard, &limits);
        assert!(!health.is_degraded());
        health.tick(1, Time(2), THOUSAND, Bearing::Out, &limits);
        assert_eq!((health.score(), health.is_degraded()), (0, true));
    }
}
