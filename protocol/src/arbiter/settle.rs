//! What becomes of what could not be delivered at once?
//!
//! ```text
//!  settle: ┌► which legs count?             liveness
//!          │  whose context is delivered?   choose_context    ─► Discontinuity
//!          │  what silence is vouched for?  cover
//!          │  what is next in the holds?    deliver_held      ─► records, Recovered
//!          │  has everybody passed a hole?  judge_hole        ─► Gap
//!          └─ is the epoch over?            judge_end         ─► Ended, Reset
//! ```
//!
//! Every step either moves the cursor, and then the round begins again, or leaves a time behind which it
//! wants to be asked again. A hole is given up only when each live leg in the cursor's context has passed it
//! and `reorder_hold` has gone by; under [`Pressure`] the waiting is skipped, never the telling, and only
//! until there is room again.

use twinfeed_wire::{Adm, ContextId, Epoch};

use super::hold::Entry;
use super::leg::{End, LegSide, View};
use super::source::{Cursor, Hole, Out, Pressure, Source, Standing, hand_over};
use crate::event::{
    DiscontinuityCause, Event, GapCause, Handler, Leg, LegState, Place, ResetCause, Tail,
};
use crate::limits::{Limits, Policy};
use crate::receipt::Trigger;
use crate::time::Time;

impl Source {
    pub(super) fn settle<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) {
        loop {
            self.refresh_legs(out);
            let moved = self.choose_context(out)
                || self.cover(out)
                || self.deliver_held(out)
                || self.judge_hole(out)
                || self.judge_end(out)
                || self.judge_regress(out);
            if !moved {
                self.tell_stale(out);
                return;
            }
        }
    }

    /// Decides what is due by the clock, too.
    pub(super) fn on_deadline<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) {
        self.judged_at = out.now;
        self.settle(out);
    }

    /// Makes room for a body of `length` bytes in the full hold of `leg`: whoever is waited for is not
    /// waited for any longer.
    pub(super) fn force<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        length: usize,
        out: &mut Out<'_, H>,
    ) {
        let other = leg.other();
        if self.legs[other.index()].state == LegState::Live && self.holds_up(other) {
            self.legs[other.index()].capped = true;
            self.stall(other, Trigger::Lag, out);
        }
        self.relieve(Pressure::Hold(leg, length), out);
    }

    /// Decides what is pending without waiting, until there is room.
    pub(super) fn relieve<H: Handler + ?Sized>(
        &mut self,
        pressure: Pressure,
        out: &mut Out<'_, H>,
    ) {
        self.pressure = Some(pressure);
        self.settle(out);
        self.pressure = None;
    }

    /// Whether decisions cannot wait, for there is no room.
    fn forced(&self) -> bool {
        self.pressure.is_some_and(|pressure| match pressure {
            Pressure::Hold(leg, length) => !self.legs[leg.index()].hold.has_room(length),
            Pressure::Views(leg) => self.legs[leg.index()].crowded(),
        })
    }

    /// Whether what the other leg has brought waits for this one.
    fn holds_up(&self, leg: Leg) -> bool {
        let latest = |leg: Leg| self.legs[leg.index()].latest();
        let (Some(this), Some(other)) = (latest(leg), latest(leg.other())) else {
            return false;
        };
        if this.epoch == other.epoch {
            this.next < other.next
        } else {
            other.predecessor == this.epoch
        }
    }

    /// Whether what began at `since` has waited for `reorder_hold`.
    fn waited<H: Handler + ?Sized>(&self, since: Time, out: &Out<'_, H>) -> bool {
        self.forced() || self.judged_at >= since.after(out.limits.reorder_hold)
    }

    /// Goes over to the context that outranks, or that is left (RM-9a).
    fn choose_context<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        let live = |leg: &Leg| self.legs[leg.index()].state == LegState::Live;
        let best = Leg::BOTH
            .into_iter()
            .filter(live)
            .filter_map(|leg| {
                self.legs[leg.index()]
                    .view(cursor.epoch)
                    .map(|view| (leg, *view))
            })
            .max_by_key(|(_, view)| (view.rank, view.context == cursor.context));
        let Some((leg, view)) = best else {
            self.orphan_since = None;
            return false;
        };
        if view.context == cursor.context {
            self.orphan_since = None;
            return false;
        }
        if view.rank > cursor.rank {
            self.enter(&view);
            return true;
        }
        let spoken = Leg::BOTH.into_iter().filter(live).any(|leg| {
            let view = self.legs[leg.index()].view(cursor.epoch);
            view.is_some_and(|view| view.context == cursor.context)
        });
        if spoken {
            self.orphan_since = None;
            return false;
        }
        let since = *self.orphan_since.get_or_insert(out.now);
        let left = Leg::BOTH
            .into_iter()
            .any(|leg| self.first_in(leg, &cursor, cursor.context).is_some());
        if left || !self.waited(since, out) {
            return false;
        }
        let until = self.reach(leg, &view, &cursor, view.context);
        if let Some(until) = until.filter(|until| *until > cursor.next) {
            self.declare(until, GapCause::Abandoned, out);
        }
        self.enter(&view);
        true
    }

    /// Takes `view`'s context; told when something follows in it.
    fn enter(&mut self, view: &View) {
        let Some(cursor) = &mut self.cursor else {
            return;
        };
        self.announce = match self.announce {
            None => Some(DiscontinuityCause::Context {
                from: cursor.context,
            }),
            Some(DiscontinuityCause::Context { from }) if from == view.context => None,
            told => told,
        };
        cursor.context = view.context;
        cursor.complete = view.complete;
        cursor.rank = view.rank;
        self.hole = None;
        self.orphan_since = None;
    }

    /// Moves over silence that a heartbeat vouches for.
    fn cover<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let Some(mut cursor) = self.cursor else {
            return false;
        };
        let silent = self
            .legs
            .iter()
            .filter_map(|side| side.view(cursor.epoch))
            .filter(|view| view.context == cursor.context && view.beat_adm == cursor.adm)
            .filter_map(|view| view.beat)
            .filter(|beat| cursor.next.part == 0 && beat.prev < cursor.next.sseq)
            .map(|beat| beat.next)
            .max()
            .filter(|next| *next > cursor.next.sseq);
        let Some(next) = silent else { return false };
        cursor.next = Place::start(next);
        self.cursor = Some(cursor);
        self.tell_recovered(out);
        true
    }

    /// Delivers whatever is next in the holds, as far as the policy lets it.
    pub(super) fn deliver_held<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let mut moved = false;
        while let Some((leg, index)) = self.next_held(out) {
            let Some(cursor) = self.cursor else { break };
            let Some((entry, kept)) = self.legs[leg.index()].hold.take(index) else {
                break;
            };
            self.deliver(leg, &entry, out);
            let body = self.legs[leg.index()].hold.body(kept);
            hand_over(self.sid, cursor.epoch, leg, &entry, body, out);
            moved = true;
        }
        moved
    }

    /// The held record to deliver next. Drops what was delivered meanwhile.
    fn next_held<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> Option<(Leg, usize)> {
        let cursor = self.cursor?;
        for leg in Leg::BOTH {
            self.drop_delivered(leg, &cursor, out);
        }
        Leg::BOTH.into_iter().find_map(|leg| {
            let (index, entry) = self.first_in(leg, &cursor, cursor.context)?;
            let due = self.forced()
                || self.is_relied_on(leg, out.limits)
                || self.preferred_passed(&cursor)
                || self.judged_at.since(entry.held_at) >= out.limits.lag_time;
            (due && cursor.standing(entry) == Standing::Next).then_some((leg, index))
        })
    }

    /// Whether the preferred leg has gone past the cursor, so that only the other one can fill it.
    fn preferred_passed(&self, cursor: &Cursor) -> bool {
        self.legs[self.preferred.index()]
            .view(cursor.epoch)
            .is_some_and(|view| view.context == cursor.context && view.next > cursor.next)
    }

    fn drop_delivered<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        cursor: &Cursor,
        out: &mut Out<'_, H>,
    ) {
        let side = &mut self.legs[leg.index()];
        let Some(turn) = side.view(cursor.epoch).map(|view| view.turn) else {
            return;
        };
        while side.hold.front().is_some_and(|entry| {
            entry.turn < turn || entry.turn == turn && cursor.standing(entry) == Standing::Delivered
        }) {
            side.hold.take(0);
            side.duplicates += 1;
            out.counters.duplicates += 1;
        }
    }

    /// The first record of the cursor's epoch that a leg holds in `context`, with its index.
    fn first_in(&self, leg: Leg, cursor: &Cursor, context: ContextId) -> Option<(usize, &Entry)> {
        let side = &self.legs[leg.index()];
        let turn = side.view(cursor.epoch)?.turn;
        side.hold
            .iter()
            .enumerate()
            .take_while(|(_, entry)| entry.turn <= turn)
            .find(|(_, entry)| entry.turn == turn && entry.context == context)
    }

    /// First place that a leg can still bring in `context`, as far as it lies behind the cursor.
    fn reach(&self, leg: Leg, view: &View, cursor: &Cursor, context: ContextId) -> Option<Place> {
        if let Some((_, entry)) = self.first_in(leg, cursor, context) {
            return Some(entry.reach());
        }
        if view.context != context || view.next <= cursor.next {
            return None;
        }
        match view.beat {
            Some(beat) if beat.prev >= cursor.next.sseq => Some(Place::start(beat.prev + 1)),
            // Silence up to where the leg stands: nothing is missing.
            Some(beat) if cursor.next.part == 0 && view.next <= Place::start(beat.next) => None,
            _ => Some(view.next),
        }
    }

    /// Finds a hole at the cursor and gives it up when nobody can fill it any more.
    fn judge_hole<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        let mut until: Option<Place> = None;
        let mut counted_apart = None;
        let mut waiting = false;
        for leg in Leg::BOTH {
            let side = &self.legs[leg.index()];
            let Some(view) = side.view(cursor.epoch) else {
                continue;
            };
            if let Some((_, entry)) = self.first_in(leg, &cursor, cursor.context) {
                if cursor.standing(entry) == Standing::Next {
                    // The policy holds it back: nothing is missing.
                    self.hole = None;
                    return false;
                }
                if entry.reach() <= cursor.next {
                    counted_apart = Some(entry.adm);
                }
            }
            let here = self.reach(leg, view, &cursor, cursor.context);
            if let Some(place) = here.filter(|place| *place > cursor.next) {
                until = Some(until.map_or(place, |least| least.min(place)));
            }
            let current = side
                .latest()
                .is_some_and(|latest| latest.epoch == cursor.epoch);
            let live = side.state == LegState::Live && view.context == cursor.context && current;
            waiting |= live && view.next <= cursor.next;
        }
        let Some(until) = until.or(counted_apart.map(|_| cursor.next)) else {
            self.hole = None;
            return false;
        };
        let hole = match self.hole {
            Some(hole) if hole.from == cursor.next => Hole { until, ..hole },
            _ => Hole {
                from: cursor.next,
                until,
                opened: out.now,
                passed: None,
            },
        };
        let passed = if waiting {
            None
        } else {
            hole.passed.or(Some(out.now))
        };
        self.hole = Some(Hole { passed, ..hole });
        let give_up = self.forced() || passed.is_some_and(|since| self.waited(since, out));
        if !give_up {
            return false;
        }
        match counted_apart {
            Some(adm) => self.count_apart(adm, out),
            None => self.declare(until, self.cause(hole.opened, out.limits), out),
        }
        true
    }

    fn cause(&self, opened: Time, limits: &Limits) -> GapCause {
        let overrun = self
            .last_local_drop
            .is_some_and(|at| at.after(limits.reorder_hold + limits.lag_time) >= opened);
        if self.forced() {
            GapCause::HoldFull
        } else if overrun {
            GapCause::ReceiverOverrun
        } else if self.legs.iter().any(|side| side.state == LegState::Stalled) {
            GapCause::Lag
        } else {
            GapCause::LostOnEveryLeg
        }
    }

    /// Declares everything up to `until` missing for good.
    fn declare<H: Handler + ?Sized>(
        &mut self,
        until: Place,
        cause: GapCause,
        out: &mut Out<'_, H>,
    ) {
        let Some(mut cursor) = self.cursor else {
            return;
        };
        let from = cursor.next;
        self.tell_announced(from, out);
        let messages = until.sseq - from.sseq + u64::from(until.part > 0);
        out.counters.gaps += 1;
        out.counters.gap_messages += messages;
        cursor.next = until;
        self.cursor = Some(cursor);
        self.hole = None;
        out.handler.event(&Event::Gap {
            sid: self.sid,
            epoch: cursor.epoch,
            from,
            until,
            cause,
        });
    }

    /// What is next counts other administrative messages than were delivered, and nobody can bring them.
    fn count_apart<H: Handler + ?Sized>(&mut self, adm: Adm, out: &mut Out<'_, H>) {
        let Some(mut cursor) = self.cursor else {
            return;
        };
        self.tell_announced(cursor.next, out);
        if adm > cursor.adm {
            let event = Event::AdministrativeGap {
                sid: self.sid,
                from: cursor.adm,
                until: adm,
            };
            out.handler.event(&event);
        } else {
            self.announce = Some(DiscontinuityCause::Administrative);
        }
        cursor.adm = adm;
        self.cursor = Some(cursor);
        self.hole = None;
    }

    /// Tells the end of an epoch, and goes over to the next one.
    fn judge_end<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        let told_end = self
            .legs
            .iter()
            .filter_map(|side| side.view(cursor.epoch).and_then(|view| view.ended))
            .max_by_key(|end| end.next);
        if let Some(end) = told_end.filter(|end| cursor.next >= Place::start(end.next))
            && !self.ended
        {
            self.ended = true;
            self.tell_announced(cursor.next, out);
            out.handler.event(&Event::Ended {
                sid: self.sid,
                epoch: cursor.epoch,
                next_sseq: end.next,
            });
            return true;
        }
        let Some(target) = self.successor(&cursor) else {
            self.deserted_since = None;
            return false;
        };
        let held = |leg| self.first_in(leg, &cursor, cursor.context).is_some();
        if self.hole.is_some() || Leg::BOTH.into_iter().any(held) || self.orphans_held(&cursor) {
            return false;
        }
        let link = self.link(target, cursor.epoch);
        let end = told_end.or(link.flatten());
        let over = end.is_some_and(|end| cursor.next.part == 0 && cursor.next.sseq > end.prev);
        // Without a link there may be an epoch in between, and whoever stays may yet go there.
        if !over || link.is_none() {
            // No pressure is a reason to guess while a live leg is there.
            let stays = self.somebody_stays(&cursor, link.is_none());
            let certain = link.is_some() || !self.somebody_lives_in(cursor.epoch);
            if stays && !(self.forced() && certain) {
                self.deserted_since = None;
                return false;
            }
            let since = *self.deserted_since.get_or_insert(out.now);
            if !self.waited(since, out) {
                return false;
            }
            if let Some(end) = end.filter(|_| !over) {
                let cause = self.cause(since, out.limits);
                self.declare(Place::start(end.prev + 1), cause, out);
                return true;
            }
        }
        let tail = if link.is_some() && end.is_some() {
            Tail::Complete
        } else {
            Tail::Unknown
        };
        self.begin(
            target,
            ResetCause::Epoch {
                from: cursor.epoch,
                tail,
            },
            out,
        );
        true
    }

    /// The epoch to go over to, once this one is over.
    fn successor(&self, cursor: &Cursor) -> Option<Epoch> {
        let ahead = |leg: Leg| {
            self.legs[leg.index()]
                .latest()
                .filter(|view| view.epoch != cursor.epoch && view.epoch != cursor.predecessor)
        };
        match (ahead(Leg::Zero), ahead(Leg::One)) {
            (Some(zero), Some(one)) => {
                let zero_first = zero.predecessor == cursor.epoch || one.predecessor == zero.epoch;
                let one_first = one.predecessor == cursor.epoch || zero.predecessor == one.epoch;
                let live = self.legs[0].state == LegState::Live;
                Some(if zero_first || (!one_first && live) {
                    zero.epoch
                } else {
                    one.epoch
                })
            }
            (zero, one) => zero.or(one).map(|view| view.epoch),
        }
    }

    /// Whether somebody in `target` names `epoch` as the one before, and what it knows of its end.
    fn link(&self, target: Epoch, epoch: Epoch) -> Option<Option<End>> {
        self.legs
            .iter()
            .filter_map(|side| side.view(target))
            .filter(|view| view.predecessor == epoch)
            .map(|view| view.predecessor_end)
            .max_by_key(|end| end.map(|end| end.next))
    }

    /// Whether a leg is still in the cursor's epoch: a live one that has not ended it, or, when the way on is
    /// not certain, any that speaks and hears its source.
    fn somebody_stays(&self, cursor: &Cursor, uncertain: bool) -> bool {
        self.legs.iter().any(|side| {
            let there = side.latest().filter(|view| view.epoch == cursor.epoch);
            there.is_some_and(|view| match side.state {
                LegState::Live => uncertain || view.ended.is_none(),
                LegState::Stalled => uncertain && !side.source_stale,
                LegState::Unheard | LegState::Lost => false,
            })
        })
    }

    fn somebody_lives_in(&self, epoch: Epoch) -> bool {
        self.legs.iter().any(|side| {
            let there = side.latest().is_some_and(|view| view.epoch == epoch);
            there && side.state == LegState::Live
        })
    }

    /// Whether records of the epoch are held in a context that is not delivered yet, but will be.
    fn orphans_held(&self, cursor: &Cursor) -> bool {
        self.orphan_since.is_some()
            && self.legs.iter().any(|side| {
                let turn = side.view(cursor.epoch).map(|view| view.turn);
                side.hold.iter().any(|entry| Some(entry.turn) == turn)
            })
    }

    /// Starts afresh in `epoch`, at its best leg's first number (or where that leg stands).
    fn begin<H: Handler + ?Sized>(
        &mut self,
        epoch: Epoch,
        cause: ResetCause,
        out: &mut Out<'_, H>,
    ) {
        let best = self
            .legs
            .iter()
            .filter_map(|side| {
                side.view(epoch)
                    .map(|view| (side.state == LegState::Live, view))
            })
            .max_by_key(|(live, view)| (*live, view.rank));
        let (Some(&(_, view)), Some(left)) = (best.as_ref(), self.cursor) else {
            return;
        };
        let view = *view;
        let next = match cause {
            ResetCause::Epoch { .. } => Place::start(view.first),
            // The lowest, so that no live leg's first numbers are taken for old ones.
            ResetCause::Regress => {
                let live = self.legs.iter().filter(|side| side.state == LegState::Live);
                let places = live
                    .filter_map(|side| side.view(epoch))
                    .map(|view| view.next);
                places.min().unwrap_or(view.next)
            }
        };
        let before = if view.predecessor.is_some() {
            view.predecessor
        } else {
            left.epoch
        };
        self.cursor = Some(Cursor {
            epoch,
            predecessor: if epoch == left.epoch {
                left.predecessor
            } else {
                before
            },
            context: view.context,
            complete: view.complete,
            rank: view.rank,
            next,
            adm: left.adm,
        });
        if epoch != left.epoch {
            self.retire(left.epoch);
            if before != left.epoch {
                self.retire(before);
            }
            for side in &mut self.legs {
                out.counters.retired_epoch += side.go_on_to(epoch, &self.retired);
            }
        }
        self.ended = false;
        self.hole = None;
        self.orphan_since = None;
        self.deserted_since = None;
        self.regress_since = None;
        self.forget_arrivals();
        if self.announce.take() == Some(DiscontinuityCause::Join) {
            // Nothing was told of what is left: the application joins here.
            self.announce = Some(DiscontinuityCause::Join);
            return;
        }
        out.counters.resets += 1;
        out.handler.event(&Event::Reset {
            sid: self.sid,
            epoch,
            at: next,
            context: view.context,
            complete: view.complete,
            cause,
        });
    }

    /// Rebases when every live leg stands below the cursor by more than the window (RM-14a).
    fn judge_regress<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        let live = || self.legs.iter().filter(|side| side.state == LegState::Live);
        let below = live().next().is_some()
            && live().all(|side| {
                side.latest().is_some_and(|view| {
                    view.epoch == cursor.epoch
                        && view.next.sseq.saturating_add(out.limits.window) < cursor.next.sseq
                })
            });
        let stepped_back = below_at_all(live(), &cursor);
        if !below && !stepped_back {
            self.regress_since = None;
            return false;
        }
        let since = *self.regress_since.get_or_insert(out.now);
        if !stepped_back && self.judged_at.since(since) < self.regress_patience() {
            return false;
        }
        for side in &mut self.legs {
            side.step_back(cursor.epoch);
        }
        self.begin(cursor.epoch, ResetCause::Regress, out);
        true
    }

    /// When [`Source::settle`] must be called again although nothing arrived. What was due when it was last
    /// called and still is open waits for something else than time.
    pub(super) fn next_deadline(&self, limits: &Limits) -> Option<Time> {
        let held = |leg: Leg| {
            let front = self.legs[leg.index()]
                .hold
                .front()
                .map(|entry| entry.held_at);
            front.filter(|_| limits.policy == Policy::PreferActive)
        };
        let after = |since: Option<Time>, span| since.map(|since| since.after(span));
        let hold = limits.reorder_hold;
        let deadlines = [
            after(self.hole.and_then(|hole| hole.passed), hold),
            after(self.orphan_since, hold),
            after(self.deserted_since, hold),
            after(self.regress_since, self.regress_patience()),
            after(held(Leg::Zero), limits.lag_time),
            after(held(Leg::One), limits.lag_time),
        ];
        let legs = Leg::BOTH
            .into_iter()
            .flat_map(|leg| self.liveness_deadlines(leg, limits));
        deadlines
            .into_iter()
            .chain(legs)
            .flatten()
            .filter(|due| *due > self.judged_at)
            .min()
    }

    fn regress_patience(&self) -> core::time::Duration {
        self.legs[0].heartbeat.max(self.legs[1].heartbeat) * 3
    }
}

/// Whether every live leg says itself that its source stepped back below the cursor.
fn below_at_all<'a>(mut live: impl Iterator<Item = &'a LegSide>, cursor: &Cursor) -> bool {
    let said = |side: &LegSide| {
        side.view(cursor.epoch)
            .is_some_and(|view| view.stepped_back && view.next < cursor.next)
    };
    live.next().is_some_and(said) && live.all(said)
}
