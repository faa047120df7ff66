//! What becomes of messages that stand in an epoch which the application has left?
//!
//! ```text
//!  leg 0, still in epoch 1   "seven messages stand before me"
//!  leg 1, in epoch 2         five were delivered           ─► two are missing: no place for them will come
//! ```
//!
//! An adapter that stays where its source has ended may go on to place messages there. Who has gone on with the other one is never told
//! them in their place, and as long as nobody in its epoch counts them they would be missing without a word. So heartbeats of epochs that were
//! left are heard for this alone. The other adapter was told of them, too, and may place them where it is: it has `lag_time` and some heartbeats for
//! that, which costs nobody anything. Nor is anything given up while something else is missing that is waited, or asked, for: it may come with that.
//!
//! One heartbeat alone may be anybody's: what two in a row count is believed. An epoch that may be come back to says nothing of what lies behind.

use core::time::Duration;

use twinfeed_wire::{Adm, Datagram, Generation};

use super::cursor::Cursor;
use super::fence::Count;
use super::leg::LegSide;
use super::source::{Out, Source};
use crate::event::{DiscontinuityCause, Handler, Leg};
use crate::limits::Limits;
use crate::time::Time;

/// Heartbeats in which they may still be placed elsewhere: longer than two adapters need to agree on a place.
const PATIENCE: u32 = 12;

/// What the heartbeats of a leg count whose newest word is of an epoch that was left.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountedBehind {
    generation: Generation,
    adm: Adm,
    /// What two in a row count at least.
    sure: Adm,
}

impl CountedBehind {
    /// The next heartbeat of an epoch that was left.
    fn note(known: &mut Option<Self>, generation: Generation, adm: Adm) {
        let before = known.filter(|it| it.generation == generation);
        let sure = before.map_or(Adm(0), |it| it.adm.min(adm));
        *known = Some(Self {
            generation,
            adm,
            sure,
        });
    }
}

impl Source {
    /// The newest word of `leg` is of an epoch that was left; answers whether somebody counts messages there that are missing.
    pub(super) fn note_counted_behind(&mut self, leg: Leg, datagram: &Datagram<'_>) -> bool {
        let header = datagram.header();
        let joins = self.announce == Some(DiscontinuityCause::Join);
        let returns = self.left.is_some_and(|left| left.epoch == header.epoch);
        let known = &mut self.legs[leg.index()].counted_behind;
        if joins || returns {
            *known = None;
        } else if header.is_heartbeat() {
            CountedBehind::note(known, header.generation, header.base_adm);
        }
        let cursor = self.cursor.as_ref();
        cursor.is_some_and(|cursor| self.counted_behind(cursor).is_some())
    }

    /// Forgets what was counted in epochs that were left.
    pub(super) fn forget_counted_behind(&mut self) {
        for side in &mut self.legs {
            side.counted_behind = None;
        }
        self.behind = None;
    }

    /// The least that a leg counts there beyond what was delivered. Who does not know its own count compares nothing.
    fn counted_behind(&self, cursor: &Cursor) -> Option<Adm> {
        let said = self.counting().filter_map(|side| side.counted_behind);
        let counts = said.map(|it| self.fence.count(cursor, it.generation, it.sure));
        let beyond = counts.filter_map(|count| match count {
            Count::As(adm) if adm > cursor.adm && !cursor.adopts => Some(adm),
            _ => None,
        });
        beyond.min()
    }

    /// Gives up messages that stand in an epoch which was left, once nobody has brought them elsewhere for long enough.
    pub(super) fn judge_behind<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let Some(cursor) = self.cursor.filter(|_| !self.catching_up) else {
            return false;
        };
        let Some(counted) = self.counted_behind(&cursor) else {
            self.behind = None;
            return false;
        };
        // What is counted meanwhile waits for its own time.
        let waits = self.behind.filter(|(_, all)| cursor.adm < *all);
        let (since, all) = *self.behind.insert(waits.unwrap_or((out.now, counted)));
        // They may be among what is not believed yet, or come with what is missing.
        let doubted = |side: &LegSide| side.transmits() && side.quarantine.newest().is_some();
        let open = self.hole.is_some() || self.owed_since.is_some() || cursor.next.part != 0;
        if open
            || self.legs.iter().any(doubted)
            || self.judged_at < since.after(self.behind_patience(out.limits))
        {
            return false;
        }
        let until = self.up_to_held(&cursor, all.min(counted), |_, entry| {
            entry.adm >= cursor.adm
        });
        if until <= cursor.adm {
            return false;
        }
        self.skip_messages(until, out);
        true
    }

    /// How long they may still be placed elsewhere.
    fn behind_patience(&self, limits: &Limits) -> Duration {
        let [zero, one] = &self.legs;
        limits.lag_time + zero.heartbeat.max(one.heartbeat) * PATIENCE
    }

    /// When they are given up.
    pub(super) fn behind_due(&self, limits: &Limits) -> Option<Time> {
        let (since, _) = self.behind?;
        Some(since.after(self.behind_patience(limits)))
    }
}
