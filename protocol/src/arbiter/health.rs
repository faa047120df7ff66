//! When is a leg judged by its score, and what follows?
//!
//! ```text
//!                 `to` is fit, live for `hold_down`, means the same by its numbers
//!   the preferred one is degraded ─────────────────────────────────────────────────► switch, `health`
//!   the other one is to be preferred ──────────────────────────────────────────────► switch, `health` or `order`
//! ```
//!
//! At ticks, which are points of the clock, all sources at once; no record is looked at for its sake. A score is one more
//! reason to switch, under prefer-active alone, and changes no rule of what is delivered: both legs have what follows, so
//! what is held of the other one is released. At most [`SWITCHES_PER_MINUTE`] are decided so.

use core::time::Duration;

use super::leg::LegSide;
use super::liveness::speaks;
use super::source::{Out, Source};
use crate::event::{Handler, Leg, LegState};
use crate::health::{Bearing, Behind, SWITCHES_PER_MINUTE, TICK};
use crate::limits::{Limits, Policy};
use crate::receipt::Trigger;
use crate::time::{Time, nanos};

/// When the legs were judged, and what was decided.
#[derive(Debug)]
pub(super) struct Rounds {
    /// Number of the last tick, counted from the clock's origin.
    tick: u64,
    /// In which tick somebody spoke again after nobody did.
    woken: u64,
    /// The leg that is to be preferred: of the active, or as ordered.
    home: Leg,
    /// That was ordered, and not done yet.
    owed: bool,
    /// The latest switches that were decided here, the oldest at `at`.
    decided: [Option<Time>; SWITCHES_PER_MINUTE],
    at: usize,
}

impl Rounds {
    pub(super) const fn new() -> Self {
        Self {
            tick: 0,
            woken: 0,
            home: Leg::Zero,
            owed: false,
            decided: [None; SWITCHES_PER_MINUTE],
            at: 0,
        }
    }

    /// From now on `leg` is to be preferred; `owed`: it is not yet.
    pub(super) const fn prefer(&mut self, leg: Leg, owed: bool) {
        (self.home, self.owed) = (leg, owed);
    }

    /// Somebody speaks after nobody did: what went by meanwhile is not made up for tick by tick.
    pub(super) fn wake(&mut self, now: Time) {
        self.woken = tick_of(now);
    }

    /// Ticks since the last one.
    fn elapsed(&mut self, now: Time) -> u64 {
        let tick = tick_of(now);
        let elapsed = tick.saturating_sub(self.tick);
        self.tick = self.tick.max(tick);
        elapsed
    }

    /// Whether one more switch may be decided.
    pub(super) fn has_room(&self, now: Time) -> bool {
        self.decided[self.at].is_none_or(|oldest| now.since(oldest) >= MINUTE)
    }

    pub(super) fn note(&mut self, now: Time) {
        self.decided[self.at] = Some(now);
        self.at = (self.at + 1) % SWITCHES_PER_MINUTE;
    }
}

fn tick_of(now: Time) -> u64 {
    now.0 / nanos(TICK)
}

const MINUTE: Duration = Duration::from_secs(60);

/// Silent heartbeat intervals that are counted as late.
const LATE_INTERVALS: u32 = 2;

impl LegSide {
    /// How long it may be silent before that is counted as late; for ever once it was.
    pub(super) fn late_patience(&self) -> Duration {
        match self.late_after == Some(self.last_heard) {
            true => Duration::MAX,
            false => self.heartbeat * LATE_INTERVALS,
        }
    }
}

impl Source {
    /// Counts legs that are late, each silence once. Tells nobody.
    pub(super) fn note_late(&mut self) {
        let judged_at = self.judged_at;
        for side in self.legs.iter_mut().filter(|side| speaks(side)) {
            if judged_at.since(side.last_heard) >= side.late_patience() {
                side.late_after = Some(side.last_heard);
                side.faults.late += 1;
            }
        }
    }

    /// When the legs are judged next; never while nobody speaks.
    pub(super) fn health_due(&self) -> Option<Time> {
        let tick = tick_of(self.judged_at).max(self.rounds.woken);
        let next = Time((tick + 1).saturating_mul(nanos(TICK)));
        self.legs.iter().any(speaks).then_some(next)
    }

    /// Judges both legs if a tick has come; returns whether another one is preferred since.
    pub(super) fn judge_health<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let ticks = self.rounds.elapsed(self.judged_at);
        if ticks == 0 {
            return false;
        }
        let bearings = Leg::BOTH.map(|leg| self.bearing(leg, out.limits));
        for (side, bearing) in self.legs.iter_mut().zip(bearings) {
            let tally = side.tally();
            side.health
                .tick(ticks, self.judged_at, tally, bearing, out.limits);
        }
        self.go_where_fit(out)
    }

    fn bearing(&self, leg: Leg, limits: &Limits) -> Bearing {
        let side = &self.legs[leg.index()];
        match side.state {
            LegState::Unheard => Bearing::Unheard,
            LegState::Stalled | LegState::Lost => Bearing::Out,
            LegState::Live if self.is_apart(leg) => Bearing::Out,
            LegState::Live => Bearing::Live(self.behind_by(leg, limits)),
        }
    }

    /// By how much a live leg is behind the other one; nobody is behind a leg that does not transmit, or on standby.
    fn behind_by(&self, leg: Leg, limits: &Limits) -> Behind {
        let (side, other) = (&self.legs[leg.index()], &self.legs[leg.other().index()]);
        if side.standby || !other.transmits() {
            return Behind::default();
        }
        let thousandths = |part: u64, whole: u64| part.saturating_mul(1_000) / whole.max(1);
        Behind {
            messages: thousandths(self.behind(leg).unwrap_or(0), limits.lag_messages),
            time: thousandths(other.lead_ns, nanos(self.lag_time(leg, limits))),
        }
    }

    /// Leaves a degraded leg for a fit one, or goes back to the one that is to be preferred.
    fn go_where_fit<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let (leaves, to) = (self.preferred, self.preferred.other());
        let returns = to == self.rounds.home;
        self.rounds.owed &= returns;
        let leaving = &self.legs[leaves.index()];
        let wanted = returns || leaving.health.is_degraded();
        if self.policy(out.limits) != Policy::PreferActive
            || !wanted
            || leaving.standby
            || !(self.is_usable(to) && self.is_steady(to, out))
            || !self.rounds.has_room(out.now)
        {
            return false;
        }
        if leaving.hint.is_some() {
            // Nothing waits for it: it is left when it turns out to be gone, or speaks and was to be left.
            self.ordered = self.rounds.owed.then_some(to);
            return false;
        }
        let trigger = match self.rounds.owed {
            true => Trigger::Order,
            false => Trigger::Health,
        };
        self.rounds.owed = false;
        self.rounds.note(out.now);
        self.switch(leaves, trigger, None, out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Time {
        Time(count * 1_000_000_000)
    }

    #[test]
    fn one_switch_more_than_the_bound_waits_until_the_first_is_a_minute_old() {
        let mut rounds = Rounds::new();
        for count in 0..SWITCHES_PER_MINUTE as u64 {
            assert!(rounds.has_room(seconds(10 + count)), "{count}");
            rounds.note(seconds(10 + count));
        }
        assert!(!rounds.has_room(seconds(69)));
        assert!(rounds.has_room(seconds(70)));
        rounds.note(seconds(70));
        assert!(!rounds.has_room(seconds(70)), "the second is not that old");
        assert!(rounds.has_room(seconds(71)));
    }

    #[test]
    fn ticks_are_points_of_the_clock() {
        let mut rounds = Rounds::new();
        let tick = nanos(TICK);
        assert_eq!(rounds.elapsed(Time(4 * tick - 1)), 3);
        assert_eq!(rounds.elapsed(Time(4 * tick - 1)), 0);
        assert_eq!(rounds.elapsed(Time(4 * tick)), 1);
        assert_eq!(rounds.elapsed(Time(7 * tick + 5)), 3);
        assert_eq!(rounds.elapsed(Time(7 * tick)), 0, "a clock that steps back");
    }
}
