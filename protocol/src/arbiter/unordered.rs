//! What does the application get of a source whose records need no order?
//!
//! ```text
//!           floor                                top
//!  settled  │ . # # . # # # # . # # # # # # # # │
//!             ▲       ▲         ▲                    each record is handed over as it comes
//!             └ missing: a Gap once every live leg's heartbeats are past it for `reorder_hold`,
//!               or when the window must slide past it
//! ```
//!
//! Such a source has the same legs, contexts, epochs and quarantine as an ordered one (RM-16). Only its
//! cursor differs: it stands at the floor, the lowest number that was neither delivered nor declared, and
//! `window` knows what came above it. So a record waits for nothing before it, and no hole holds anything up:
//! there is no `Recovered`, for nothing waited. What waits in a hold is a later part of a message whose
//! earlier part is not here, a record of another context or of a later epoch, and one that counts an
//! administrative message which is not here.
//!
//! **Belief.** No leap is believed that is further than the window remembers. Where a leg stands its newest heartbeat
//! says: a record with an absurd number that was near enough to be believed is taken back by it.
//!
//! **Progress** is what a leg's heartbeats say: a record proves nothing of the numbers before its own but the
//! silence it vouches for.
//!
//! **Policy.** To prefer one leg is to hold back what the other brings until its turn comes; without order there
//! is no turn. Under both policies the first arrival is delivered, and a switch is recorded once per leg lost.
//!
//! **Administrative messages** are the one thing that has a place: nothing that counts message n is
//! delivered before n was delivered or declared. What does not count it may still come behind it, for
//! nobody waits for the late; each record says by its `adm` on which side it stands.
//!
//! **Joining** is at the lowest number of the first datagram; what lies below is not owed. Announcements
//! (`Discontinuity`) stand `at` the floor.

use core::ops::Range;

use super::cursor::{Cursor, Standing};
use super::fence::{Count, Fence};
use super::fill::Missing;
use super::hold::Entry;
use super::holes::Hole;
use super::source::{Out, Source};
use super::view::End;
use crate::event::{GapCause, Handler, Leg, Place};
use crate::limits::Limits;
use crate::time::Time;
use crate::window::{Offer, Unordered};

/// What came of an unordered source in the cursor's epoch.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) numbers: Unordered,
    /// Silence of each leg's heartbeat that the window knows of.
    silent: [Option<End>; 2],
}

impl Seen {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            numbers: Unordered::new(limits.seen_window, limits.half_messages, 0),
            silent: [None; 2],
        }
    }

    pub(super) fn reset(&mut self, first: u64) {
        self.numbers.reset(first);
        self.silent = [None; 2];
    }

    fn standing(&self, cursor: &Cursor, entry: &Entry, fence: &Fence) -> Standing {
        if entry.is_message() {
            return fence.standing(cursor, entry);
        }
        // What counts messages that are none is not behind any.
        let counted = match fence.count(cursor, entry.generation, entry.adm) {
            Count::As(adm) => cursor.adopts || adm <= cursor.adm,
            Count::Apart => true,
            Count::Ahead => false,
        };
        match self.numbers.look(entry.place()) {
            Offer::Duplicate => Standing::Delivered,
            Offer::Deliver if counted => Standing::Next,
            Offer::Deliver | Offer::Early => Standing::Beyond,
        }
    }
}

impl Source {
    /// Where a record stands, of whichever kind the source is.
    pub(super) fn standing(&self, cursor: &Cursor, entry: &Entry) -> Standing {
        match &self.seen {
            Some(seen) => seen.standing(cursor, entry, &self.fence),
            None => cursor.standing(entry, &self.fence),
        }
    }

    /// Everything that was delivered lies below.
    pub(super) fn reached(&self, cursor: &Cursor) -> Place {
        let top = self.seen.as_ref().map(|seen| seen.numbers.top());
        top.map_or(cursor.next, Place::start)
    }

    /// Declares what the window must forget for `entry`, and notes that the record is delivered.
    pub(super) fn see<H: Handler + ?Sized>(&mut self, entry: &Entry, out: &mut Out<'_, H>) {
        let (place, last) = (entry.place(), entry.is_last());
        let silent_from = if entry.part == 0 {
            entry.prev.saturating_add(1)
        } else {
            entry.sseq
        };
        while let Some(missing) = self
            .seen
            .as_mut()
            .and_then(|seen| seen.numbers.make_room(place, last, silent_from))
        {
            let why = self.unless_skipped(GapCause::HoldFull);
            self.tell_missing(&missing, why, out);
        }
        if let Some(seen) = &mut self.seen {
            seen.numbers.take(place, last, silent_from);
        }
        self.stand_at_floor();
    }

    /// Notes silence that heartbeats vouch for; answers whether the cursor moved.
    pub(super) fn cover_unordered(&mut self) -> bool {
        let apart = Leg::BOTH.map(|leg| self.is_apart(leg));
        let (Some(cursor), Some(seen)) = (self.cursor, &mut self.seen) else {
            return false;
        };
        for ((side, known), apart) in self.legs.iter().zip(&mut seen.silent).zip(apart) {
            let view = side.view(cursor.epoch).filter(|_| !apart);
            let view = view.filter(|view| view.context == cursor.context);
            let Some(beat) = view.and_then(|view| view.beat) else {
                continue;
            };
            let silent = beat.prev.saturating_add(1)..beat.next;
            if *known != Some(beat) && seen.numbers.pass_silence(silent) {
                *known = Some(beat);
            }
        }
        self.stand_at_floor();
        self.cursor.is_some_and(|now| now.next > cursor.next)
    }

    /// Notes the silence that records vouch for which are held, and may be told only behind what is declared: they wait for a message.
    /// Answers whether the window reached all of it.
    fn cover_in_front_of_held(&mut self) -> bool {
        let Some(cursor) = self.cursor else {
            return true;
        };
        let Some(mut seen) = self.seen.take() else {
            return true;
        };
        let held = Leg::BOTH
            .into_iter()
            .flat_map(|leg| self.held(leg, &cursor));
        let first_parts = held
            .map(|(_, entry)| entry)
            .filter(|entry| entry.part == 0 && !entry.is_message());
        let mut all = true;
        for entry in first_parts {
            let silent = entry.prev.saturating_add(1)..entry.sseq;
            all &= seen.numbers.pass_silence(silent);
        }
        self.seen = Some(seen);
        all
    }

    /// The held record to deliver next: of those that may be, the lowest, so that a message is finished before
    /// another one is begun.
    pub(super) fn next_unordered(&self) -> Option<(Leg, usize)> {
        let cursor = self.cursor?;
        let next = Leg::BOTH.into_iter().filter_map(|leg| {
            let (index, entry) = self
                .held(leg, &cursor)
                .find(|(_, entry)| self.standing(&cursor, entry) == Standing::Next)?;
            Some((entry.sseq, entry.part, leg, index))
        });
        let next = next.min().map(|(.., leg, index)| (leg, index));
        next.or_else(|| self.next_elsewhere(&cursor))
    }

    /// Drops held records that were delivered or declared meanwhile, wherever they stand.
    pub(super) fn drop_seen<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) {
        if self.seen.is_none() {
            return;
        }
        self.drop_fenced(out);
        let (Some(cursor), Some(seen)) = (self.cursor, &self.seen) else {
            return;
        };
        let fence = &self.fence;
        for side in &mut self.legs {
            let Some(turn) = side.view(cursor.epoch).map(|view| view.turn) else {
                continue;
            };
            let dropped = side.hold.drop_where(|entry| {
                let here = entry.turn == turn;
                entry.turn < turn
                    || here && seen.standing(&cursor, entry, fence) == Standing::Delivered
            });
            side.duplicates += dropped;
            out.counters.duplicates += dropped;
        }
    }

    /// Gives up what every live leg has passed.
    pub(super) fn judge_missing<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        if self.judge_apart(&cursor, out) {
            return true;
        }
        let floor = cursor.next;
        let passed = Place::start(self.passed(&cursor, out.limits));
        let open = self.hole.filter(|hole| hole.until > floor);
        let until = match open {
            Some(hole) if !self.forced() && !self.skipping[0] => hole.until.min(passed),
            _ => passed,
        };
        if until <= floor {
            self.hole = None;
            if until == floor {
                self.judge_skipped(&cursor);
            }
            return false;
        }
        let fresh = Hole {
            from: floor,
            until,
            opened: out.now,
            passed: Some(out.now),
        };
        let hole = open.map_or(fresh, |hole| Hole { until, ..hole });
        self.hole = Some(hole);
        let due = self.waited(hole.passed.unwrap_or(out.now), out);
        let missing = Missing::Records(floor, until);
        let Some(until) = self.given_up_until(missing, due, out) else {
            return false;
        };
        // A record that waits for a message is not missing; the message is, for whoever lives has passed it.
        let waits = self.apart(&cursor).filter(|entry| entry.place() < until);
        if let Some(adm) = waits.map(|entry| entry.adm).min() {
            self.skip_messages(self.owed_in_front(&cursor, adm), out);
            return true;
        }
        let cause = self.cause(hole.opened, out.limits);
        self.declare(until, cause, out);
        true
    }

    /// Declares every missing number below `until`, range by range.
    pub(super) fn declare_missing<H: Handler + ?Sized>(
        &mut self,
        until: u64,
        cause: GapCause,
        out: &mut Out<'_, H>,
    ) {
        if let Some(cursor) = self.cursor {
            self.tell_announced(cursor.next, out);
        }
        (self.hole, self.skipping[0]) = (None, false);
        let mut covered = self.cover_in_front_of_held();
        while let Some(missing) = self
            .seen
            .as_mut()
            .and_then(|seen| seen.numbers.give_up(until))
        {
            self.tell_missing(&missing, cause, out);
            // The window has moved, and may reach silence that it did not reach before.
            self.cover_unordered();
            covered = covered || self.cover_in_front_of_held();
        }
    }

    fn tell_missing<H: Handler + ?Sized>(
        &mut self,
        missing: &Range<Place>,
        cause: GapCause,
        out: &mut Out<'_, H>,
    ) {
        self.stand_at_floor();
        if let Some(cursor) = self.cursor {
            self.tell_gap(cursor.epoch, missing.start, missing.end, cause, out);
        }
    }

    fn stand_at_floor(&mut self) {
        if let (Some(cursor), Some(seen)) = (&mut self.cursor, &self.seen) {
            cursor.next = Place::start(seen.numbers.floor());
        }
    }

    /// The number that nobody who is waited for can still bring anything below of. Under pressure that is
    /// nobody: the lowest held record goes, or everything that is known to be missing.
    fn passed(&self, cursor: &Cursor, limits: &Limits) -> u64 {
        let mut least: Option<u64> = None;
        let mut most = self.reached(cursor).sseq;
        let mut lowest: Option<u64> = None;
        for leg in Leg::BOTH {
            let side = &self.legs[leg.index()];
            for (_, entry) in self.held(leg, cursor) {
                let behind = entry.sseq.saturating_add(1);
                most = most.max(behind);
                lowest = Some(lowest.map_or(behind, |least| least.min(behind)));
            }
            if side.is_in_doubt(cursor.epoch, self.judged_at, limits) {
                least = Some(0);
            }
            let view = side.view(cursor.epoch);
            let view = view.filter(|_| !self.is_apart(leg));
            let Some(view) = view.filter(|view| view.context == cursor.context) else {
                continue;
            };
            most = most.max(view.passed.sseq);
            let latest = side.latest().map(|latest| latest.epoch);
            if side.transmits() && latest == Some(cursor.epoch) {
                let passed = view.passed.sseq;
                least = Some(least.map_or(passed, |least| least.min(passed)));
            }
        }
        if self.forced() {
            return lowest.unwrap_or(most);
        }
        least.unwrap_or(most)
    }

    /// Gives up administrative messages that held records have waited for long enough.
    fn judge_apart<H: Handler + ?Sized>(&mut self, cursor: &Cursor, out: &mut Out<'_, H>) -> bool {
        let due = self.apart_deadline(out.limits);
        if !due.is_some_and(|due| self.forced() || self.judged_at >= due) {
            return false;
        }
        let counted = self.apart(cursor).map(|entry| entry.adm).min();
        counted.is_some_and(|adm| {
            self.skip_messages(self.owed_in_front(cursor, adm), out);
            true
        })
    }

    /// When administrative messages that held records count, and that did not come, are given up: a leg that
    /// is further behind than `lag_time` is not waited for.
    pub(super) fn apart_deadline(&self, limits: &Limits) -> Option<Time> {
        let cursor = self.cursor.filter(|_| self.seen.is_some())?;
        let first = self.apart(&cursor).map(|entry| entry.held_at).min()?;
        Some(first.after(limits.lag_time))
    }

    /// Held records that count administrative messages which were not delivered.
    fn apart<'a>(&'a self, cursor: &'a Cursor) -> impl Iterator<Item = &'a Entry> {
        let held = Leg::BOTH
            .into_iter()
            .flat_map(move |leg| self.held(leg, cursor));
        let entries = held.map(|(_, entry)| entry);
        entries.filter(move |entry| {
            let count = self.fence.count(cursor, entry.generation, entry.adm);
            matches!(count, Count::As(adm) if adm > cursor.adm && !cursor.adopts)
        })
    }

    /// What a leg that is not set apart holds of the cursor's epoch and context, with its index.
    fn held<'a>(
        &'a self,
        leg: Leg,
        cursor: &'a Cursor,
    ) -> impl Iterator<Item = (usize, &'a Entry)> {
        let hold = &self.legs[leg.index()].hold;
        let view = self.legs[leg.index()].view(cursor.epoch);
        let turn = view.filter(|_| !self.is_apart(leg)).map(|view| view.turn);
        hold.iter()
            .enumerate()
            .filter(move |(_, entry)| Some(entry.turn) == turn && entry.context == cursor.context)
    }
}
