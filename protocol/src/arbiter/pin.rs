//! Which leg is believed when both say different things under equal numbers?
//!
//! ```text
//!          a range differs                pinned leg gone, another one active or ordered, the active back for long
//!  merged ────────────────► pinned to the active ─────────────────────────────────────────► pinned to the other
//!    ▲       Divergence        │                             Discontinuity                          │
//!    └──── Converged ◄── so many ranges in a row agree ─────────────────────────────────────────────┘
//! ```
//!
//! While a leg is pinned the other one is set *apart*: what it brings waits in its hold, fills nothing, vouches
//! for nothing and is nobody's context, until the pinned leg is gone (RM-31). Administrative messages alone are taken
//! from both: no conversion made them. Which of the two is right is not known here; that they are not mixed is. A range
//! is told when it is over, so of the numbers between its first and the place of the event either leg's may have been
//! delivered.
//!
//! How far a leg has come, and when its epoch ended, is numbering: that of a leg set apart still counts.

use core::time::Duration;

use twinfeed_wire::{Epoch, Generation};

use super::source::{Out, Source};
use super::view::View;
use crate::agreement::{Agreement, Turn};
use crate::event::{DiscontinuityCause, Event, Handler, Leg, LegState, Place};
use crate::limits::Limits;
use crate::receipt::Trigger;
use crate::time::Time;

/// What is known of a source stream's divergence.
#[derive(Debug, Default)]
pub(super) struct Pin {
    /// The only leg that is delivered, while the two differ.
    leg: Option<Leg>,
    agreement: Agreement,
    /// Who is active under which generation, as stream administration said last.
    active: Option<(Generation, Leg)>,
    /// The leg that an operator chose: from there the active is not gone back to.
    ordered: Option<Leg>,
}

impl Pin {
    /// Whether one leg alone is delivered.
    pub(super) fn is_set(&self) -> bool {
        self.leg.is_some()
    }
}

impl Source {
    /// Whether nothing that `leg` brings is delivered, because another one is pinned.
    pub(super) fn is_apart(&self, leg: Leg) -> bool {
        self.pin.leg == Some(leg.other())
    }

    /// Whether `leg` may be gone over to: it transmits, and no other one is pinned that does.
    pub(super) fn is_eligible(&self, leg: Leg) -> bool {
        let transmits = |leg: Leg| self.legs[leg.index()].transmits();
        transmits(leg) && !(self.is_apart(leg) && transmits(leg.other()))
    }

    /// How long a leg may be behind. The pinned one is waited for longer: leaving it costs a `Discontinuity`.
    pub(super) fn lag_time(&self, leg: Leg, limits: &Limits) -> Duration {
        let usual = self.legs[leg.index()].lag_time(limits);
        match self.pin.leg == Some(leg) {
            true => usual.max(limits.pinned_lag_time),
            false => usual,
        }
    }

    /// Both legs told the content of a range: the same, or not.
    pub(super) fn compared<H: Handler + ?Sized>(
        &mut self,
        same: bool,
        (epoch, range): (Epoch, u64),
        out: &mut Out<'_, H>,
    ) {
        out.counters.compared_ranges += 1;
        out.counters.diverged_ranges += u64::from(!same);
        let sid = self.sid;
        match (self.pin.agreement).note(range, same, out.limits.agreed_ranges) {
            None => {}
            Some(Turn::Parted) => {
                let pinned = self.believed();
                self.pin.ordered = None;
                (self.pin.leg, self.preferred) = (Some(pinned), pinned);
                let at = self.cursor.map_or(Place::start(0), |cursor| cursor.next);
                // This follows the join, too.
                self.tell_announced(at, out);
                // What opened it may be of the other leg.
                self.hole = None;
                out.counters.divergences += 1;
                out.handler.event(&Event::Divergence {
                    sid,
                    epoch,
                    range,
                    at,
                    pinned,
                });
            }
            Some(Turn::Met) => {
                let gone_over =
                    matches!(self.announce, Some(DiscontinuityCause::Divergence { .. }));
                if let Some(cursor) = self.cursor.filter(|_| gone_over) {
                    self.tell_announced(cursor.next, out);
                }
                self.pin.leg = None;
                out.counters.convergences += 1;
                out.handler.event(&Event::Converged { sid, epoch, range });
            }
        }
    }

    /// Stream administration says who is active under which generation; an older one, or the same again, is no news.
    pub(super) fn on_active<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        generation: Generation,
        out: &mut Out<'_, H>,
    ) {
        let known = self.pin.active;
        if known.is_none_or(|(known, _)| generation > known) {
            self.pin.active = Some((generation, leg));
            self.pin.ordered = None;
            self.pin_to(leg, Trigger::Order, out);
        }
    }

    /// An operator wants `leg`, for as long as nobody says who is active anew.
    pub(super) fn pin_by_order<H: Handler + ?Sized>(&mut self, leg: Leg, out: &mut Out<'_, H>) {
        self.pin.ordered = Some(leg);
        self.pin_to(leg, Trigger::Order, out);
    }

    /// Pins `leg` instead of the one that is, if any is and `leg` lives; says whether that changed anything.
    fn pin_to<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        trigger: Trigger,
        out: &mut Out<'_, H>,
    ) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        let view = self.legs[leg.index()].view(cursor.epoch).copied();
        let view = view.filter(|_| self.is_apart(leg) && self.lives(leg));
        if let Some(view) = view {
            self.switch(leg.other(), trigger, None, out);
            self.go_over(leg, &view);
        }
        view.is_some()
    }

    /// Goes back to the active that was left and is has lived for `hold_down` again: it alone brings all administrative messages (RM-31).
    pub(super) fn judge_pin<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let Some(active) = self.strayed_from() else {
            return false;
        };
        // It is pinned for what it brings and not for its score, which under first-arrival nobody keeps.
        let since = self.legs[active.index()].live_since;
        let back = out.now.since(since) >= out.limits.hold_down
            && self.goes_on_here(active)
            && self.rounds.has_room(out.now)
            && self.pin_to(active, Trigger::Health, out);
        if back {
            self.rounds.note(out.now);
        }
        back
    }

    /// Whether `leg`, which is set apart, transmits and brings what is next: nothing is lost by going over to it now.
    fn goes_on_here(&self, leg: Leg) -> bool {
        let side = &self.legs[leg.index()];
        let Some(cursor) = self.cursor.filter(|_| side.transmits()) else {
            return false;
        };
        let Some(view) = side.view(cursor.epoch) else {
            return false;
        };
        let mut held = side.hold.iter().filter(|entry| {
            let here = (entry.turn, entry.context) == (view.turn, view.context);
            here && !entry.is_message() && entry.place() >= cursor.next
        });
        self.seen.is_some()
            || match held.next() {
                Some(entry) => cursor.reach_of(entry) <= cursor.next,
                None => view.next <= cursor.next,
            }
    }

    /// When [`Source::judge_pin`] goes back, if nothing happens until then.
    pub(super) fn pin_due(&self, limits: &Limits) -> Option<Time> {
        let active = self.strayed_from()?;
        let since = self.legs[active.index()].live_since;
        self.lives(active).then(|| since.after(limits.hold_down))
    }

    /// The active, while it is set apart and no operator wants it so.
    fn strayed_from(&self) -> Option<Leg> {
        let active = self.active()?;
        (self.is_apart(active) && self.pin.ordered != self.pin.leg).then_some(active)
    }

    /// Delivers the leg that was set apart from here on, and sets the other one apart. Told when something follows.
    pub(super) fn go_over(&mut self, leg: Leg, view: &View) {
        (self.pin.leg, self.preferred) = (Some(leg), leg);
        if self.announce.is_none() {
            self.told_in = self.cursor.map(|cursor| cursor.context);
        }
        // What it does not hold may be on its way, or asked for: that is a hole as any other.
        self.take_context(view);
        self.announce = match self.announce {
            None | Some(DiscontinuityCause::Context { .. }) => {
                Some(DiscontinuityCause::Divergence { from: leg.other() })
            }
            // Back to whom was not yet said to be left; but what it remembers may be something else by now.
            Some(DiscontinuityCause::Divergence { from }) if from == leg => self
                .told_in
                .filter(|from| *from != view.context)
                .map(|from| DiscontinuityCause::Context { from }),
            told => told,
        };
    }

    /// The active of the newest generation that is known.
    fn active(&self) -> Option<Leg> {
        let [zero, one] = [&self.legs[0], &self.legs[1]].map(|side| side.generation);
        let told = self.pin.active;
        let told = told.filter(|(generation, _)| *generation >= zero.max(one) || zero == one);
        match told {
            Some((_, leg)) => Some(leg),
            // Who works under a newer one than was told is nearer to whoever holds it.
            None if zero > one => Some(Leg::Zero),
            None if one > zero => Some(Leg::One),
            None => None,
        }
    }

    /// The active, if it transmits; else whoever does.
    fn believed(&self) -> Leg {
        let active = self.active().unwrap_or(self.preferred);
        let transmits = |leg: Leg| self.legs[leg.index()].transmits();
        match transmits(active) || !transmits(active.other()) {
            true => active,
            false => active.other(),
        }
    }

    fn lives(&self, leg: Leg) -> bool {
        self.legs[leg.index()].state == LegState::Live
    }
}
