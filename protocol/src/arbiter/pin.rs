//! Which leg is believed when both say different things under equal numbers?
//!
//! ```text
//!          a range differs                          pinned leg gone, another one active or ordered
//!  merged ────────────────► pinned to the active ───────────────────────────────────► pinned to the other
//!    ▲       Divergence        │                             Discontinuity                    │
//!    └──── Converged ◄── so many ranges in a row agree ───────────────────────────────────────┘
//! ```
//!
//! While a leg is pinned the other one is set *apart*: what it brings waits in its hold, fills nothing, vouches
//! for nothing and is nobody's context, until the pinned leg is gone (RM-31). Which of the two is right is not
//! known here; that they are not mixed is. A range is told when it is over, so of the numbers between its first
//! and the place of the event either leg's may have been delivered.
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

/// What is known of a source stream's divergence.
#[derive(Debug, Default)]
pub(super) struct Pin {
    /// The only leg that is delivered, while the two differ.
    leg: Option<Leg>,
    agreement: Agreement,
    /// Who is active under which generation, as stream administration said last.
    active: Option<(Generation, Leg)>,
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
            self.pin_to(leg, out);
        }
    }

    /// Pins `leg` instead of the one that is, if any is and `leg` lives.
    pub(super) fn pin_to<H: Handler + ?Sized>(&mut self, leg: Leg, out: &mut Out<'_, H>) {
        let Some(cursor) = self.cursor else { return };
        let view = self.legs[leg.index()].view(cursor.epoch).copied();
        if let Some(view) = view.filter(|_| self.is_apart(leg) && self.lives(leg)) {
            self.switch(leg.other(), Trigger::Order, None, out);
            self.go_over(leg, &view, out);
        }
    }

    /// Delivers the leg that was set apart from here on, and sets the other one apart. Told when something follows.
    pub(super) fn go_over<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        view: &View,
        out: &mut Out<'_, H>,
    ) {
        (self.pin.leg, self.preferred) = (Some(leg), leg);
        let cause = self.cause(out.now, out.limits);
        self.declare_until_reached(leg, view, cause, out);
        self.take_context(view);
        self.announce = match self.announce {
            None | Some(DiscontinuityCause::Context { .. }) => {
                Some(DiscontinuityCause::Divergence { from: leg.other() })
            }
            Some(DiscontinuityCause::Divergence { from }) if from == leg => None,
            told => told,
        };
    }

    /// The active of the newest generation that is known, if it transmits; else whoever does.
    fn believed(&self) -> Leg {
        let [zero, one] = [&self.legs[0], &self.legs[1]].map(|side| side.generation);
        let told = self.pin.active;
        let told = told.filter(|(generation, _)| *generation >= zero.max(one) || zero == one);
        let active = match told {
            Some((_, leg)) => leg,
            // Who works under a newer one than was told is nearer to whoever holds it.
            None if zero > one => Leg::Zero,
            None if one > zero => Leg::One,
            None => self.preferred,
        };
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
