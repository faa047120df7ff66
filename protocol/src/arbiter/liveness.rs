//! Which legs count, and who is told when that changes?
//!
//! ```text
//!            first datagram                 silence, step-down
//!  Unheard ───────────────► Live ──────────────────────────────► Lost
//!                            │ ▲        ▲                          │
//!              behind, stale │ │ caught │ any datagram             │
//!                            ▼ │ up     └──────────────────────────┤
//!                          Stalled ────── silence, step-down ──────►
//! ```
//!
//! A hint (the other leg's `PeerLost`) changes no state: it stops prefer-active from preferring the leg and
//! shortens the patience with its silence. A switch is recorded once per leg lost, when the leg was relied
//! on and another one goes on.

use super::leg::{Hint, LegSide};
use super::source::{Out, Source};
use super::standby::Owed;
use crate::event::{Event, Handler, Leg, LegState};
use crate::limits::{Limits, Policy};
use crate::receipt::{Receipt, Trigger};
use crate::time::Time;
use twinfeed_wire::{Flags, Header};

impl Source {
    /// Notes that a leg spoke, and what it says about its peer.
    pub(super) fn heard<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        header: &Header,
        late: bool,
        out: &mut Out<'_, H>,
    ) {
        let gap_messages = out.counters.gap_messages;
        let side = &mut self.legs[leg.index()];
        side.last_heard = out.now;
        side.silence = core::time::Duration::ZERO;
        side.gaps_when_heard = gap_messages;
        let farewell = side.stepped_down || header.flags.has(Flags::END_OF_STREAM);
        if matches!(side.state, LegState::Unheard | LegState::Lost) && !farewell {
            side.generation = header.generation;
            side.live_since = out.now;
            // It was gone, not behind: its time to catch up begins now.
            side.behind_since = None;
            side.far_since = None;
            self.owed_switch.take_if(|owed| owed.from == leg);
            if !self.legs.iter().any(speaks) {
                self.rounds.wake(out.now);
            }
            self.set_state(leg, LegState::Live, out);
        }
        if late {
            return;
        }
        if self.ordered == Some(leg.other()) {
            self.obey(leg, out);
        }
        if header.flags.has(Flags::PEER_LOST) {
            self.on_peer_lost(leg, out);
        } else {
            self.legs[leg.other().index()].hint = None;
        }
    }

    /// Looks at each leg: silence, lag, stale sources.
    pub(super) fn refresh_legs<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) {
        for leg in Leg::BOTH {
            let side = &self.legs[leg.index()];
            if !speaks(side) {
                continue;
            }
            let (patience, trigger) = side.patience(out.limits);
            if self.judged_at.since(side.last_heard) >= patience {
                self.lose(leg, trigger, out);
            }
        }
        for leg in Leg::BOTH {
            self.judge_lag(leg, out);
        }
    }

    /// Says that nobody speaks, once everything that was still to be said has been.
    pub(super) fn tell_stale<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) {
        let pending =
            self.hole.is_some() || self.orphan_since.is_some() || self.deserted_since.is_some();
        if self.is_stale(out.limits) && !pending && !self.stale && !self.ended {
            self.stale = true;
            out.handler.event(&Event::Stale { sid: self.sid });
        }
    }

    /// Says that somebody speaks of the source again, before what that one brings.
    pub(super) fn tell_live<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) {
        if !self.is_stale(out.limits) {
            self.tell_spoken(out);
        }
    }

    /// Says the same before a record: whoever brings one speaks, although it may hear nothing more from its source
    /// than what an abandoned hole there has kept back.
    pub(super) fn tell_spoken<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) {
        if self.stale {
            self.stale = false;
            out.handler.event(&Event::Live { sid: self.sid });
        }
    }

    /// Whether nobody speaks of the source any more, or whoever speaks hears nothing from it.
    fn is_stale(&self, limits: &Limits) -> bool {
        let mut speaking = self
            .legs
            .iter()
            .filter(|side| speaks(side) && !side.standby)
            .peekable();
        match speaking.peek() {
            None => {
                let due = self.standby_due(limits);
                // Whoever is first heard saying that it ends never lived here.
                let gone = |side: &LegSide| side.state == LegState::Lost || side.stepped_down;
                self.legs.iter().any(gone) && due.is_none_or(|due| self.judged_at >= due)
            }
            Some(_) => speaking.all(|side| side.source_stale),
        }
    }

    /// A leg is gone.
    pub(super) fn lose<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        trigger: Trigger,
        out: &mut Out<'_, H>,
    ) {
        let was = self.legs[leg.index()].state;
        if matches!(was, LegState::Lost | LegState::Unheard) {
            return;
        }
        let hint = self.legs[leg.index()].hint.take();
        self.set_state(leg, LegState::Lost, out);
        // Whoever says that it ends has done nothing wrong; and a stall that ends so was counted.
        let fault = was == LegState::Live && trigger != Trigger::StepDown;
        self.legs[leg.index()].faults.silences += u64::from(fault);
        if was == LegState::Live {
            self.switch(leg, trigger, hint, out);
        }
    }

    /// A leg is alive but cannot be waited for.
    pub(super) fn stall<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        trigger: Trigger,
        out: &mut Out<'_, H>,
    ) {
        self.set_state(leg, LegState::Stalled, out);
        self.legs[leg.index()].faults.stalls += 1;
        self.switch(leg, trigger, None, out);
    }

    /// Prefers `leg`, as ordered, from now on or as soon as it can be relied on. Where the other one was announced as gone, nothing waits
    /// for that any more, and whether it is gone or only told to be left shows when it speaks or has been silent for long
    /// enough.
    pub(super) fn prefer<H: Handler + ?Sized>(&mut self, leg: Leg, out: &mut Out<'_, H>) {
        self.ordered = None;
        let unheard = self.legs.iter().all(|side| side.state == LegState::Unheard);
        if unheard {
            self.preferred = leg;
        }
        if self.may_be_preferred(leg, out) {
            match self.legs[leg.other().index()].hint {
                Some(_) => self.ordered = Some(leg),
                None => self.switch(leg.other(), Trigger::Order, None, out),
            }
        }
        self.rounds.prefer(leg, self.preferred != leg);
    }

    /// A leg that was announced as gone, and was to be left, speaks.
    fn obey<H: Handler + ?Sized>(&mut self, leaves: Leg, out: &mut Out<'_, H>) {
        self.ordered = None;
        if self.may_be_preferred(leaves.other(), out) {
            self.switch(leaves, Trigger::Order, None, out);
            self.rounds.prefer(leaves.other(), self.preferred == leaves);
        }
    }

    /// Whether another leg than this one is preferred, and this one can be relied on.
    fn may_be_preferred<H: Handler + ?Sized>(&self, leg: Leg, out: &Out<'_, H>) -> bool {
        let other = self.policy(out.limits) == Policy::PreferActive && self.preferred != leg;
        other && self.is_steady(leg, out) && !self.is_apart(leg)
    }

    /// Whether `leg` sends what it has, has done so for `hold_down`, and is fit.
    pub(super) fn is_steady<H: Handler + ?Sized>(&self, leg: Leg, out: &Out<'_, H>) -> bool {
        let side = &self.legs[leg.index()];
        side.transmits()
            && out.now.since(side.live_since) >= out.limits.hold_down
            && !side.health.is_degraded()
    }

    /// Gives the account of a switch, if this is one.
    pub(super) fn switch<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        trigger: Trigger,
        hint: Option<Hint>,
        out: &mut Out<'_, H>,
    ) {
        let other = leg.other();
        let relied_on = self.policy(out.limits) == Policy::FirstArrival || leg == self.preferred;
        if !relied_on
            || self.is_apart(leg)
            || self.legs[leg.index()].standby
            || !speaks(&self.legs[other.index()])
        {
            return;
        }
        if self.legs[other.index()].standby {
            self.owed_switch = Some(Owed {
                from: leg,
                trigger,
                hint,
                wins: self.legs[other.index()].wins,
            });
            return;
        }
        (self.preferred, self.ordered) = (other, None);
        let held = self.legs[other.index()].hold.len() as u64;
        let filled = self.release(other, out);
        let duplicates = self.legs[0].duplicates + self.legs[1].duplicates;
        let gone = &self.legs[leg.index()];
        let receipt = Receipt {
            sid: self.sid,
            from_leg: leg,
            from: gone.side(self.sid),
            to: self.legs[other.index()].side(self.sid),
            trigger,
            duplicates_dropped: duplicates - self.duplicates_told,
            held: held + hint.map_or(0, |hint| hint.held),
            filled: filled + hint.map_or(0, |hint| hint.filled),
            gaps_left: out.counters.gap_messages - gone.gaps_when_heard,
            stall: gone.silence,
            at: out.now,
        };
        self.duplicates_told = duplicates;
        out.counters.switches += 1;
        out.handler.event(&Event::Switched(receipt));
    }

    /// Decides whether an alive leg keeps up with the other one.
    fn judge_lag<H: Handler + ?Sized>(&mut self, leg: Leg, out: &mut Out<'_, H>) {
        let other = &self.legs[leg.other().index()];
        let side = &self.legs[leg.index()];
        if !speaks(side) {
            return;
        }
        let alone = !other.transmits() || side.standby;
        let lag = if alone { None } else { self.behind(leg) };
        let deaf = side.source_stale && !alone && !other.source_stale;
        let lag_time = self.lag_time(leg, out.limits);
        let far = lag.is_some_and(|messages| messages > out.limits.lag_messages);
        let mark = side.latest().map(|view| (view.epoch, view.next));
        let judged_at = self.judged_at;
        let side = &mut self.legs[leg.index()];
        let moved = side.mark != mark;
        side.capped &= lag.is_some();
        if lag.is_none() {
            side.behind_since = None;
        } else if side.behind_since.is_none() || moved {
            side.behind_since = Some(out.now);
        }
        side.mark = mark;
        side.far_since = if far {
            side.far_since.or(Some(out.now))
        } else {
            None
        };
        let expired = |since: Option<Time>| since.is_some_and(|at| judged_at.since(at) >= lag_time);
        let behind = expired(side.behind_since) || expired(side.far_since);
        match side.state {
            LegState::Live if deaf => self.stall(leg, Trigger::SourceStale, out),
            LegState::Live if behind => self.stall(leg, Trigger::Lag, out),
            LegState::Stalled
                if !deaf && !behind && !far && !side.capped && (lag.is_none() || moved) =>
            {
                side.live_since = out.now;
                self.owed_switch.take_if(|owed| owed.from == leg);
                self.set_state(leg, LegState::Live, out);
            }
            _ => {}
        }
    }

    /// By how many source numbers a leg is behind the other one; `None` when it is not.
    pub(super) fn behind(&self, leg: Leg) -> Option<u64> {
        let this = self.legs[leg.index()].latest()?;
        let other = self.legs[leg.other().index()].latest()?;
        if this.epoch == other.epoch {
            return (other.next > this.next)
                .then(|| other.next.sseq.saturating_sub(this.next.sseq));
        }
        let cursor = self.cursor?;
        // Still in the epoch that the application is in, while the other one went on; or came from further back than is
        // known here: then who works under the newer generation is nearer to the truth.
        let older = self.legs[leg.other().index()].generation < self.legs[leg.index()].generation;
        let known = cursor.epoch == other.predecessor;
        let over = self.is_over(leg.other(), other.epoch, other.predecessor)
            || cursor.predecessor == other.epoch;
        (this.epoch == cursor.epoch && !over && (known || !older)).then_some(0)
    }

    fn set_state<H: Handler + ?Sized>(&mut self, leg: Leg, state: LegState, out: &mut Out<'_, H>) {
        let side = &mut self.legs[leg.index()];
        if side.state == state {
            return;
        }
        side.state = state;
        out.handler.event(&Event::Leg {
            sid: self.sid,
            leg,
            state,
            generation: side.generation,
        });
    }

    /// When the state of a leg must be looked at again.
    pub(super) fn liveness_deadlines(&self, leg: Leg, limits: &Limits) -> [Option<Time>; 3] {
        let side = &self.legs[leg.index()];
        if !speaks(side) {
            return [None; 3];
        }
        let lag = |since: Option<Time>| {
            since
                .filter(|_| side.state == LegState::Live)
                .map(|since| since.after(self.lag_time(leg, limits)))
        };
        let patience = side.patience(limits).0.min(side.late_patience());
        let silence = side.last_heard.after(patience);
        [Some(silence), lag(side.behind_since), lag(side.far_since)]
    }
}

/// Whether a leg says anything at present.
pub(super) fn speaks(side: &LegSide) -> bool {
    matches!(side.state, LegState::Live | LegState::Stalled)
}
