//! What is missing at the cursor, and when is it given up?
//!
//! ```text
//!            cursor        until                    every live leg is past it
//!  delivered │    missing    │ held or vouched for  ──────── `reorder_hold` ────────► Gap
//! ```
//!
//! A hole is given up only when each live leg in the cursor's context has passed it, `reorder_hold` has
//! gone by, and no adapter that can be asked for it gives it (see `fill`). Records that count other administrative messages than were delivered are a hole of another
//! kind: nothing between the numbers is missing, something beside them is. Those that count more wait for the message;
//! those that count less, or what cannot be compared, lead only when nobody else does, and the application is told.

use twinfeed_wire::{Adm, ContextId, Epoch};

use super::cursor::{Cursor, Standing};
use super::fence::Count;
use super::fill::Missing;
use super::source::{Out, Source};
use super::view::View;
use crate::event::{Event, GapCause, Handler, Leg, LegState, Place};
use crate::limits::Limits;
use crate::repair::GaveUp;
use crate::time::Time;

/// A hole at the cursor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hole {
    pub(super) from: Place,
    pub(super) until: Place,
    pub(super) opened: Time,
    /// When the last live leg passed it.
    pub(super) passed: Option<Time>,
}

impl Source {
    /// First place that a leg can still bring in `context`, as far as it lies behind the cursor.
    pub(super) fn reach(
        &self,
        leg: Leg,
        view: &View,
        cursor: &Cursor,
        context: ContextId,
    ) -> Option<Place> {
        if let Some((_, entry)) = self.first_in(leg, cursor, context) {
            return Some(cursor.reach_of(entry));
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
    pub(super) fn judge_hole<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        if self.seen.is_some() {
            return self.judge_missing(out);
        }
        let Some(cursor) = self.cursor else {
            return false;
        };
        let mut until: Option<Place> = None;
        let (mut owed, mut lacking) = (None, false);
        let mut waiting = false;
        // Up to where a live leg said that it carries nothing.
        let mut silent: Option<Place> = None;
        // Since when every live leg holds something from behind the hole; `None`: one of them does not.
        let mut beyond = Some(Time::ZERO);
        for leg in Leg::BOTH {
            let side = &self.legs[leg.index()];
            waiting |= side.is_in_doubt(cursor.epoch, self.judged_at, out.limits);
            let view = side.view(cursor.epoch);
            let Some(view) = view.filter(|_| !self.is_apart(leg)) else {
                continue;
            };
            if let Some((_, entry)) = self.first_in(leg, &cursor, cursor.context) {
                if cursor.standing(entry, &self.fence) == Standing::Next {
                    // The policy holds it back: nothing is missing.
                    self.hole = None;
                    return false;
                }
                if cursor.reach_of(entry) <= cursor.next {
                    match self.fence.count(&cursor, entry.generation, entry.adm) {
                        // A message of that numbering is missing, or one behind it.
                        Count::As(adm) if adm > cursor.adm => {
                            owed = Some(owed.map_or(adm, |least: Adm| least.min(adm)));
                        }
                        // Its numbering will be gone over to, and then it is next.
                        Count::Ahead if entry.generation <= self.fence.newest() => {
                            return false;
                        }
                        Count::Ahead => {}
                        Count::As(_) | Count::Apart => lacking |= !entry.is_message(),
                    }
                }
            }
            let here = self.reach(leg, view, &cursor, cursor.context);
            if let Some(place) = here.filter(|place| *place > cursor.next) {
                until = Some(until.map_or(place, |least| least.min(place)));
            }
            let current = side
                .latest()
                .is_some_and(|latest| latest.epoch == cursor.epoch);
            let live = side.transmits() && view.context == cursor.context && current;
            waiting |= live && view.next <= cursor.next;
            if live && here.is_none() {
                silent = Some(silent.map_or(view.next, |least| least.min(view.next)));
            }
            if live {
                let held = self.first_in(leg, &cursor, cursor.context);
                let held = held.map(|(_, entry)| entry.held_at);
                beyond = beyond.and_then(|since| held.map(|at| at.max(since)));
            }
        }
        // Who goes on apart already has nothing to wait for in what lacks messages.
        lacking &= !cursor.apart;
        let apart = owed.is_some() || lacking;
        let Some(until) = until.or(apart.then_some(cursor.next)) else {
            self.hole = None;
            self.judge_skipped(&cursor);
            return false;
        };
        // Who stands in the middle of it may still bring the rest.
        waiting |= silent.is_some_and(|stands| stands < until);
        let asked = owed.is_some() || !lacking;
        let skipping = asked && self.skipping[usize::from(owed.is_some())];
        waiting &= !skipping;
        let hole = match self.hole {
            Some(hole) if hole.from == cursor.next => {
                let waits = hole.passed.is_some() && hole.until > hole.from;
                let until = match waits && !skipping && !self.forced() {
                    // What a later word adds has not waited as long: it is the next hole.
                    true => hole.until.min(until),
                    false => until,
                };
                Hole { until, ..hole }
            }
            _ => Hole {
                from: cursor.next,
                until,
                opened: out.now,
                passed: None,
            },
        };
        // Where it can be asked for, a hole behind another one has waited with that one.
        let first = match beyond {
            Some(since) if self.repair.can_ask() && since > Time::ZERO => since,
            _ => out.now,
        };
        // One held message in between does not make the others wait anew.
        let waited = self
            .messages_waited
            .filter(|(at, all, _)| *at == cursor.next && owed.is_some_and(|adm| adm <= *all));
        let waited = waited.map(|(.., since)| since);
        let passed = if waiting {
            None
        } else {
            hole.passed.or(waited).or(Some(first))
        };
        self.hole = Some(Hole { passed, ..hole });
        let until = hole.until;
        let due = skipping || passed.is_some_and(|since| self.waited(since, out));
        let missing = match owed {
            Some(adm) => Missing::Messages(cursor.adm, self.owed_in_front(&cursor, adm)),
            None => Missing::Records(cursor.next, until),
        };
        let given_up = match asked && passed.is_some() {
            true => self.given_up_until(missing, due, out),
            false => (due || self.forced()).then(|| missing.until()),
        };
        let Some(until) = given_up else {
            return false;
        };
        match owed {
            Some(all) => {
                let skipping = self.skipping;
                self.skip_messages(Adm(until.sseq), out);
                if all > Adm(until.sseq) {
                    self.messages_waited = passed.map(|since| (cursor.next, all, since));
                    self.skipping = skipping;
                }
            }
            None if lacking => self.lead_apart(),
            None => self.declare(until, self.cause(hole.opened, out.limits), out),
        }
        true
    }

    pub(super) fn cause(&self, opened: Time, limits: &Limits) -> GapCause {
        let overrun = self
            .last_local_drop
            .is_some_and(|at| at.after(limits.reorder_hold + limits.lag_time) >= opened);
        let dropped = self
            .cursor
            .is_some_and(|cursor| self.overflow.reaches(cursor.epoch, cursor.next.sseq));
        if self.skipping[0] {
            GapCause::Skipped
        } else if self.forced() || dropped {
            GapCause::HoldFull
        } else if overrun {
            GapCause::ReceiverOverrun
        } else if self.legs.iter().any(|side| side.state == LegState::Stalled) {
            GapCause::Lag
        } else {
            match self.gave_up {
                Some(GaveUp::NotRetained) => GapCause::NotRetained,
                Some(GaveUp::Unanswered) => GapCause::Unanswered,
                Some(GaveUp::NoServer) | None => GapCause::LostOnEveryLeg,
            }
        }
    }

    /// Declares everything up to `until` missing for good.
    pub(super) fn declare<H: Handler + ?Sized>(
        &mut self,
        until: Place,
        cause: GapCause,
        out: &mut Out<'_, H>,
    ) {
        if self.seen.is_some() {
            return self.declare_missing(until.sseq, cause, out);
        }
        let Some(mut cursor) = self.cursor else {
            return;
        };
        let from = cursor.next;
        self.tell_announced(from, out);
        cursor.next = until;
        self.cursor = Some(cursor);
        (self.hole, self.skipping[0]) = (None, false);
        self.tell_gap(cursor.epoch, from, until, cause, out);
    }

    pub(super) fn tell_gap<H: Handler + ?Sized>(
        &self,
        epoch: Epoch,
        from: Place,
        until: Place,
        cause: GapCause,
        out: &mut Out<'_, H>,
    ) {
        out.counters.gaps += 1;
        out.counters.gap_messages = out
            .counters
            .gap_messages
            .saturating_add(until.sseq - from.sseq + u64::from(until.part > 0));
        out.handler.event(&Event::Gap {
            sid: self.sid,
            epoch,
            from,
            until,
            cause,
        });
    }

    /// Declares administrative messages up to `adm` missing for good.
    pub(super) fn skip_messages<H: Handler + ?Sized>(&mut self, adm: Adm, out: &mut Out<'_, H>) {
        let Some(mut cursor) = self.cursor else {
            return;
        };
        self.tell_announced(cursor.next, out);
        let from = core::mem::replace(&mut cursor.adm, adm);
        self.cursor = Some(cursor);
        (self.hole, self.skipping[1]) = (None, false);
        out.handler.event(&Event::AdministrativeGap {
            sid: self.sid,
            from,
            until: adm,
            numbering: (!cursor.adopts).then_some(cursor.generation),
        });
    }

    /// Goes on with records that lack messages which were delivered, or count invalid ones: nobody else has what is next.
    fn lead_apart(&mut self) {
        if let Some(cursor) = &mut self.cursor {
            cursor.apart = true;
        }
        self.to_lead_apart |= !self.recount;
        self.recount = true;
        self.hole = None;
    }
}
