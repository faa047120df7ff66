//! Which administrative messages were sent and did not come?
//!
//! ```text
//!  records        delivered up to here │
//!  heartbeat                           │ "seven messages stand before me"      delivered: six ─► owed: number 6
//! ```
//!
//! A message at the tail has no record behind it that counts it; only heartbeats do. It is waited for as long as a live
//! leg may still bring it, at most `lag_time`, and then declared missing: before the epoch is told to have ended.
//!
//! A count that is no live leg's, by far, was never true. It is healed as a position is (RM-14a): see `epochs`.

use twinfeed_wire::{Adm, Generation};

use super::cursor::Cursor;
use super::fence::Count;
use super::fill::Missing;
use super::hold::Entry;
use super::leg::LegSide;
use super::source::{Out, Source};
use super::view::View;
use crate::event::{DiscontinuityCause, Handler, Leg};

/// A generation that is further than this from every one known is absurd until confirmed.
pub(super) const GENERATION_STRIDE: u32 = 1_000;

impl Source {
    /// The legs whose count of administrative messages is heard: that of one that is set apart is not.
    pub(super) fn counting(&self) -> impl Iterator<Item = &LegSide> {
        let merged = Leg::BOTH.into_iter().filter(|leg| !self.is_apart(*leg));
        merged.map(|leg| &self.legs[leg.index()])
    }

    /// The leg that is set apart, where it alone works in the numbering in force: nobody else knows how many messages that
    /// has.
    fn unheeded(&self, cursor: &Cursor) -> Option<&LegSide> {
        let apart = Leg::BOTH.into_iter().find(|leg| self.is_apart(*leg))?;
        let works = |leg: Leg| {
            let view = self.legs[leg.index()].view(cursor.epoch);
            view.is_some_and(|view| {
                view.beat.is_some() && view.beat_generation == cursor.generation
            })
        };
        let alone = works(apart) && !works(apart.other());
        (alone && !cursor.adopts).then(|| &self.legs[apart.index()])
    }

    /// What a view's newest heartbeat counts, in the numbering in force.
    fn beat_count(&self, cursor: &Cursor, view: &View) -> Option<Count> {
        let count = self
            .fence
            .count(cursor, view.beat_generation, view.beat_adm);
        view.beat.map(|_| count)
    }

    /// Whether a leg's newest heartbeat counts messages that were not delivered, or cannot be judged yet.
    pub(super) fn counts_more(&self, cursor: &Cursor, view: &View) -> bool {
        match self.beat_count(cursor, view) {
            Some(Count::As(adm)) => adm > cursor.adm,
            Some(Count::Ahead) => true,
            Some(Count::Apart) | None => false,
        }
    }

    /// What heartbeats that are not ahead in the stream count beyond what was delivered.
    fn counted_beyond<'a>(&'a self, cursor: &'a Cursor) -> impl Iterator<Item = Adm> {
        self.counting()
            .chain(self.unheeded(cursor))
            .filter_map(|side| side.view(cursor.epoch))
            .filter(|view| {
                let reached = |prev| cursor.is_behind_all(prev);
                self.seen.is_some() || view.beat.is_some_and(|beat| reached(beat.prev))
            })
            .filter_map(|view| match self.beat_count(cursor, view) {
                Some(Count::As(adm)) if adm > cursor.adm => Some(adm),
                _ => None,
            })
    }

    /// The lowest number behind messages that were sent before what is next here and did not come. Whatever the
    /// context: such a message means the same in each.
    pub(super) fn owed(&self, cursor: &Cursor) -> Option<Adm> {
        let counted = self.counted_beyond(cursor).min()?;
        let until = self.up_to_held(cursor, counted, |_, entry| entry.adm >= cursor.adm);
        (until > cursor.adm).then_some(until)
    }

    /// Up to which number messages are missing in front of number `counted`: to the first of them that is held, of whatever leg
    /// and context, and `stands` there. That is delivered, not declared.
    pub(super) fn up_to_held(
        &self,
        cursor: &Cursor,
        counted: Adm,
        stands: impl Fn(&LegSide, &Entry) -> bool,
    ) -> Adm {
        let sides = self.legs.iter().filter(|side| side.hold.messages() > 0);
        let held = sides.flat_map(|side| side.hold.iter().map(move |entry| (side, entry)));
        let held = held.filter(|(side, entry)| {
            let count = self.fence.count(cursor, entry.generation, entry.adm);
            entry.is_message() && count == Count::As(entry.adm) && stands(side, entry)
        });
        held.map(|(_, entry)| entry.adm).fold(counted, Adm::min)
    }

    /// The same where a record that counts so many is next but for them.
    pub(super) fn owed_in_front(&self, cursor: &Cursor, counted: Adm) -> Adm {
        self.up_to_held(cursor, counted, |side, entry| {
            let turn = side.view(cursor.epoch).map(|view| view.turn);
            let in_front = self.seen.is_some() || cursor.is_behind_all(entry.sseq);
            Some(entry.turn) == turn && in_front && entry.adm > cursor.adm
        })
    }

    /// Gives up messages that every live leg has sent, or that were waited for long enough.
    pub(super) fn judge_owed<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        if cursor.adopts && self.adopt(&cursor, out) {
            return true;
        }
        let Some(until) = self.owed(&cursor) else {
            self.owed_since = None;
            return false;
        };
        // What was counted from the first on has been waited for as long, whatever of it was declared meanwhile.
        let counted = self.counted_beyond(&cursor).max().unwrap_or(until);
        let waits = self.owed_since.filter(|(_, all)| until <= *all);
        let (since, _) = *self.owed_since.insert(waits.unwrap_or((out.now, counted)));
        let awaited = self.counting().any(|side| {
            let view = side.view(cursor.epoch);
            let there = side.latest().map(|latest| latest.epoch) == Some(cursor.epoch);
            side.transmits() && there && view.is_some_and(|view| !self.counts_more(&cursor, view))
        });
        let long = self.judged_at >= since.after(out.limits.lag_time);
        let due = long || !awaited && self.waited(since, out);
        let missing = Missing::Messages(cursor.adm, until);
        let Some(until) = self.given_up_until(missing, due, out) else {
            return false;
        };
        self.skip_messages(Adm(until.sseq), out);
        true
    }

    /// Whether no administrative message can follow the last record of the cursor's epoch, which somebody has ended. A
    /// leg that lacks some may end it before another brings them.
    pub(super) fn messages_are_over(&self, cursor: &Cursor) -> bool {
        let views = || {
            let there = self.counting().map(|side| (side, side.view(cursor.epoch)));
            there.filter_map(|(side, view)| view.map(|view| (side, view)))
        };
        let counted = views().any(|(_, view)| {
            view.ended.is_some() && self.beat_count(cursor, view) == Some(Count::As(cursor.adm))
        });
        let stays = views().any(|(side, view)| {
            let there = side.latest().map(|latest| latest.epoch) == Some(cursor.epoch);
            side.transmits() && there && view.ended.is_none()
        });
        (counted || !stays) && !views().any(|(_, view)| self.counts_more(cursor, view))
    }

    /// Takes the count of a heartbeat of the numbering in force, where none was known. Told at once: the messages that
    /// are passed over are at the tail, where no record may ever follow.
    fn adopt<H: Handler + ?Sized>(&mut self, cursor: &Cursor, out: &mut Out<'_, H>) -> bool {
        let counted = self
            .counting()
            // What a leg on standby said before it fell silent is old.
            .filter(|side| !side.standby)
            .filter_map(|side| side.view(cursor.epoch))
            .filter(|view| {
                let reached = |prev| cursor.is_behind_all(prev);
                view.beat_generation == cursor.generation
                    && view.beat.is_some_and(|beat| reached(beat.prev))
            })
            .map(|view| view.beat_adm)
            .min();
        let Some(adm) = counted else { return false };
        self.cursor = Some(Cursor {
            adm,
            adopts: false,
            ..*cursor
        });
        self.given_up = None;
        self.recount |= cursor.apart && adm != cursor.adm;
        if self.recount && self.announce != Some(DiscontinuityCause::Join) {
            self.tell_announced(cursor.next, out);
        }
        true
    }

    /// Counts anew when every live leg stands far below the count or the generation in force.
    pub(super) fn judge_miscount<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        let live = || {
            let live = self.legs.iter().filter(|side| side.transmits());
            live.filter_map(|side| side.view(cursor.epoch))
                .filter(|view| view.beat.is_some())
        };
        let window = out.limits.adm_window;
        let below = |view: &View| {
            let generation = view.beat_generation.0.saturating_add(GENERATION_STRIDE);
            let adm = view.beat_adm.0.saturating_add(window);
            generation < cursor.generation.0
                || view.beat_generation == cursor.generation && adm < cursor.adm.0
        };
        if live().next().is_none() || !live().all(below) {
            self.miscounted_since = None;
            return false;
        }
        let since = *self.miscounted_since.get_or_insert(out.now);
        if self.judged_at.since(since) < self.regress_patience() {
            return false;
        }
        let newest = live().map(|view| view.beat_generation).max();
        self.miscounted_since = None;
        self.count_anew(newest.unwrap_or(Generation(0)));
        true
    }
}
