//! What becomes of what could not be delivered at once?
//!
//! ```text
//!  settle: ┌► which legs count?             liveness
//!          │  is the active back?           pin               ─► Discontinuity
//!          │  whose context is delivered?   contexts          ─► Discontinuity
//!          │  whose numbering is in force?  fence             ─► Discontinuity
//!          │  what silence is vouched for?  cover
//!          │  what is next in the holds?    deliver_held      ─► records, Recovered
//!          │  what message did not come?    owed              ─► AdministrativeGap
//!          │  has everybody passed a hole?  holes             ─► Gap, Discontinuity
//!          │  what stands where nobody is?  behind            ─► AdministrativeGap
//!          └─ is the epoch over?            epochs            ─► Ended, Reset
//! ```
//!
//! Every step either moves the cursor, and then the round begins again, or leaves a time behind which it
//! wants to be asked again. Under [`Pressure`] the waiting is skipped, never the telling, and only until there
//! is room again. What each step decides by is its own file's.

use twinfeed_wire::ContextId;

use super::cursor::{Cursor, Standing};
use super::fence::{Count, GivenUp};
use super::hold::Entry;
use super::source::{Out, Pressure, Source};
use crate::event::{Handler, Leg, Place};
use crate::limits::{Limits, Policy};
use crate::receipt::Trigger;
use crate::time::{Time, earlier};

impl Source {
    pub(super) fn settle<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) {
        self.settle_while(|_| true, out);
    }

    fn settle_while<H: Handler + ?Sized>(
        &mut self,
        goes_on: impl Fn(&Self) -> bool,
        out: &mut Out<'_, H>,
    ) {
        while goes_on(self) {
            self.repair.look(out.now);
            self.refresh_legs(out);
            let moved = self.judge_pin(out)
                || self.choose_context(out)
                || self.judge_generation(out)
                || self.cover(out)
                || self.deliver_held(out)
                || self.judge_owed(out)
                || self.judge_hole(out)
                || self.judge_behind(out)
                || self.judge_end(out)
                || self.judge_regress(out)
                || self.judge_miscount(out);
            if !moved {
                if self.catching_up {
                    self.judge_caught_up();
                }
                self.close_repair();
                self.tell_stale(out);
                return;
            }
        }
    }

    /// Decides what is due by the clock, too.
    pub(super) fn on_deadline<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) {
        self.judged_at = out.now;
        self.moved = false;
        self.note_late();
        self.settle(out);
        if self.judge_health(out) {
            self.settle(out);
        }
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
        if self.legs[other.index()].transmits() && self.holds_up(other) {
            self.legs[other.index()].capped = true;
            self.stall(other, Trigger::Lag, out);
        }
        self.relieve(Pressure::Hold(leg, length), out);
    }

    /// Decides what is pending without waiting, until there is room, and no more: what there is room for then may be the next.
    pub(super) fn relieve<H: Handler + ?Sized>(
        &mut self,
        pressure: Pressure,
        out: &mut Out<'_, H>,
    ) {
        self.pressure = Some(pressure);
        self.settle_while(Self::forced, out);
        self.pressure = None;
    }

    /// Whether decisions cannot wait, for there is no room.
    pub(super) fn forced(&self) -> bool {
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
    pub(super) fn waited<H: Handler + ?Sized>(&self, since: Time, out: &Out<'_, H>) -> bool {
        self.forced() || self.judged_at >= since.after(out.limits.reorder_hold)
    }

    /// Moves over silence that a heartbeat vouches for.
    fn cover<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        if self.seen.is_some() {
            return self.cover_unordered();
        }
        let Some(mut cursor) = self.cursor else {
            return false;
        };
        let silent = Leg::BOTH
            .into_iter()
            .filter(|leg| !self.is_apart(*leg))
            .filter_map(|leg| self.legs[leg.index()].view(cursor.epoch))
            .filter(|view| view.context == cursor.context && !self.counts_more(&cursor, view))
            .filter_map(|view| view.beat)
            .filter(|beat| cursor.is_behind_all(beat.prev))
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
        self.drop_seen(out);
        while let Some((leg, index)) = self.next_held(out) {
            let Some((entry, kept)) = self.legs[leg.index()].hold.take(index) else {
                break;
            };
            let adm = self.deliver(leg, &entry, out);
            let body = self.legs[leg.index()].hold.body(kept);
            self.hand_over((leg, adm), &entry, body, out);
            moved = true;
        }
        if moved {
            self.drop_seen(out);
        }
        moved
    }

    /// The held record to deliver next. Drops what was delivered meanwhile.
    fn next_held<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> Option<(Leg, usize)> {
        if self.seen.is_some() {
            return self.next_unordered();
        }
        let cursor = self.cursor?;
        for leg in Leg::BOTH {
            self.drop_delivered(leg, &cursor, out);
        }
        let next = Leg::BOTH.into_iter().find_map(|leg| {
            let (index, entry) = self.first_in(leg, &cursor, cursor.context)?;
            let due = self.forced()
                || self.is_relied_on(leg, out.limits)
                || self.preferred_passed(&cursor)
                || self.judged_at.since(entry.held_at) >= out.limits.lag_time;
            let next = cursor.standing(entry, &self.fence) == Standing::Next
                || self.fills(leg, &cursor, entry);
            (due && next).then_some((leg, index))
        });
        next.or_else(|| self.next_elsewhere(&cursor))
    }

    /// The administrative message to deliver next that is held in another context, or of a leg that is set apart: it means
    /// the same to every leg, and perhaps only this one has it.
    pub(super) fn next_elsewhere(&self, cursor: &Cursor) -> Option<(Leg, usize)> {
        Leg::BOTH.into_iter().find_map(|leg| {
            let side = &self.legs[leg.index()];
            if side.hold.messages() == 0 {
                return None;
            }
            let apart = self.is_apart(leg);
            let turn = side.view(cursor.epoch)?.turn;
            let mut held = side.hold.iter().take_while(|entry| entry.turn <= turn);
            let next = held.position(|entry| {
                entry.is_message()
                    && entry.turn == turn
                    && (apart || entry.context != cursor.context)
                    && self.standing(cursor, entry) == Standing::Next
            });
            next.map(|index| (leg, index))
        })
    }

    /// Whether a record of `leg` that lacks messages, or counts invalid ones, closes a hole whose two sides count alike
    /// (RM-25a). What `leg` itself counts behind the hole shows that only while it is in step: out of step it comes to
    /// any number, by a message at another place or by a cut.
    fn fills(&self, leg: Leg, cursor: &Cursor, record: &Entry) -> bool {
        let leg = record.given_by.unwrap_or(leg);
        self.lacks(cursor, record) && cursor.is_at(record) && self.stands_alike(leg, cursor, record)
    }

    /// Whether a record lacks messages that were delivered, or counts invalid ones.
    pub(super) fn lacks(&self, cursor: &Cursor, record: &Entry) -> bool {
        let counted = self.fence.count(cursor, record.generation, record.adm);
        !record.is_message() && cursor.outdoes(counted)
    }

    /// Whether no message is missing between the cursor and what is known to stand behind a record of `leg`.
    pub(super) fn stands_alike(&self, leg: Leg, cursor: &Cursor, record: &Entry) -> bool {
        let counted = |generation, adm| match self.fence.count(cursor, generation, adm) {
            Count::As(adm) if adm >= cursor.adm => Some(adm),
            _ => None,
        };
        let led = cursor.apart && cursor.led == Some((record.generation, record.adm));
        if led && self.leads_to_the_same(cursor, record) {
            return true;
        }
        let shows = |whose: Leg, in_step: bool| whose != leg || in_step;
        // The nearest behind it that lacks nothing, whoever brought it.
        let behind = Leg::BOTH.into_iter().filter_map(|whose| {
            let mut held = self.held_in(whose, cursor, cursor.context);
            held.find_map(|(_, entry)| {
                let adm = counted(entry.generation, entry.adm)?;
                // A message stands behind every part of its number.
                let beyond = match entry.is_message() {
                    true => entry.sseq >= record.sseq,
                    false => entry.place() > record.place(),
                };
                let whose = entry.given_by.unwrap_or(whose);
                (beyond && shows(whose, entry.in_step)).then_some((entry.sseq, adm))
            })
        });
        if let Some((_, adm)) = behind.min() {
            return adm == cursor.adm;
        }
        let merged = Leg::BOTH.into_iter().filter(|whose| !self.is_apart(*whose));
        let mut views = merged.filter_map(|whose| {
            let view = self.legs[whose.index()].view(cursor.epoch)?;
            (view.context == cursor.context && shows(whose, view.beat_in_step)).then_some(view)
        });
        views.any(|view| {
            let passed = view.beat.is_some_and(|beat| beat.prev >= record.sseq);
            passed && counted(view.beat_generation, view.beat_adm) == Some(cursor.adm)
        })
    }

    /// Whether what stands behind a record counts as it does, to the number, as what stands in front of it does: that the application
    /// does not count so it was told.
    fn leads_to_the_same(&self, cursor: &Cursor, record: &Entry) -> bool {
        let counts = Some((record.generation, record.adm));
        let held = Leg::BOTH
            .into_iter()
            .flat_map(|leg| self.held_in(leg, cursor, cursor.context))
            .map(|(_, entry)| entry)
            .filter(|entry| !entry.is_message() && entry.place() > record.place());
        if let Some(behind) = held.min_by_key(|entry| entry.place()) {
            return Some((behind.generation, behind.adm)) == counts;
        }
        self.counting().any(|side| {
            let view = side.view(cursor.epoch);
            let view = view.filter(|view| view.context == cursor.context);
            view.is_some_and(|view| {
                let passed = view.beat.is_some_and(|beat| beat.prev >= record.sseq);
                passed && Some((view.beat_generation, view.beat_adm)) == counts
            })
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
        // Messages that wait for others in front of them may stand before what was passed.
        let mut index = 0;
        while let Some(entry) = side.hold.get(index).filter(|entry| entry.turn <= turn) {
            match cursor.standing(entry, &self.fence) {
                Standing::Fenced => {
                    out.counters.fenced += 1;
                    GivenUp::note_fenced(&mut self.given_up, entry);
                }
                standing if entry.turn < turn || standing == Standing::Delivered => {
                    side.duplicates += 1;
                    out.counters.duplicates += 1;
                }
                _ if entry.is_message() => {
                    index += 1;
                    continue;
                }
                _ => return,
            }
            side.hold.take(index);
        }
    }

    /// The first record of the cursor's epoch that a leg holds in `context` and that was not passed, with its index; none of a
    /// leg that is set apart. Between the parts of a source message no administrative one is next, nor does it keep from what
    /// stands behind it.
    pub(super) fn first_in(
        &self,
        leg: Leg,
        cursor: &Cursor,
        context: ContextId,
    ) -> Option<(usize, &Entry)> {
        let begun = cursor.next.part != 0;
        let mut held = self.held_in(leg, cursor, context);
        held.find(|(_, entry)| match entry.is_message() {
            true => !begun,
            false => entry.place() >= cursor.next,
        })
    }

    /// What a leg holds of the cursor's epoch in `context`, in order, each with its index.
    pub(super) fn held_in(
        &self,
        leg: Leg,
        cursor: &Cursor,
        context: ContextId,
    ) -> impl Iterator<Item = (usize, &Entry)> {
        let side = &self.legs[leg.index()];
        let view = side.view(cursor.epoch).filter(|_| !self.is_apart(leg));
        let turn = view.map(|view| view.turn);
        side.hold
            .iter()
            .enumerate()
            .take_while(move |(_, entry)| turn.is_some_and(|turn| entry.turn <= turn))
            .filter(move |(_, entry)| Some(entry.turn) == turn && entry.context == context)
    }

    /// When [`Source::settle`] must be called again although nothing arrived. What was due when it was last
    /// called and still is open waits for something else than time.
    pub(super) fn next_deadline(&self, limits: &Limits) -> Option<Time> {
        let held = |leg: Leg| {
            let front = self.legs[leg.index()]
                .hold
                .front()
                .map(|entry| entry.held_at);
            front.filter(|_| self.policy(limits) == Policy::PreferActive)
        };
        let after = |since: Option<Time>, span| since.map(|since| since.after(span));
        let hold = limits.reorder_hold;
        let early =
            |since: Option<Time>| after(since.filter(|_| self.catching_up), limits.lag_time);
        let owed_since = self.owed_since.map(|(since, _)| since);
        let mut soonest = None;
        let mut ask = |due: Option<Time>| {
            soonest = earlier(soonest, due.filter(|due| *due > self.judged_at));
        };
        let moved = self.moved.then(|| Time(self.judged_at.0.saturating_add(1)));
        for due in [
            moved,
            after(self.hole.and_then(|hole| hole.passed), hold),
            after(self.orphan_since, hold),
            early(self.orphan_since),
            after(self.deserted_since, hold),
            early(self.deserted_since),
            self.end_due(),
            self.back_due(),
            after(self.regress_since, self.regress_patience()),
            after(self.miscounted_since, self.regress_patience()),
            after(self.outranked_since, hold),
            after(owed_since, hold),
            after(owed_since, limits.lag_time),
            self.behind_due(limits),
            after(held(Leg::Zero), limits.lag_time),
            after(held(Leg::One), limits.lag_time),
            self.apart_deadline(limits),
            self.standby_due(limits).filter(|_| !self.stale),
            self.health_due(),
            self.pin_due(limits),
            self.repair.deadline(),
        ] {
            ask(due);
        }
        for leg in Leg::BOTH {
            self.liveness_deadlines(leg, limits)
                .into_iter()
                .for_each(&mut ask);
        }
        soonest
    }
}
