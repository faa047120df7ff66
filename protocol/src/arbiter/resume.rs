//! How does an application go on where its last run stood?
//!
//! ```text
//!   last run                 this one
//!   … delivered │ next … … … … … … … │ the legs are here
//!               cursor    a hole as any other: adapters are asked for it, and what nobody retains is a Gap
//! ```
//!
//! Nothing is joined: the cursor of the last run is this one's from the beginning, and what was delivered before is dropped as a
//! duplicate. Everything else is as after a hole: another context or numbering is told as `Discontinuity`, an epoch that is over
//! as `Reset`, and of its tail what adapters retain is delivered before.
//!
//! **Catching up.** How much lies between is not known, and no bound holds it all. So until a leg that lives is reached a full hold
//! drops what comes last, for it can be asked for when its turn comes, instead of giving up what is next; and
//! as long as something comes, it is asked for.

use super::Arbiter;
use super::cursor::Cursor;
use super::leg::LegSide;
use super::source::Source;
use super::view::Rank;
use crate::cursor::{CannotResume, Cursor as Told};
use crate::limits::Limits;
use crate::time::Time;
use twinfeed_wire::{Adm, Generation};

impl Arbiter {
    /// Goes on with a source stream where an earlier run stood. To be said before its first datagram.
    ///
    /// # Errors
    /// [`CannotResume`], and nothing is changed.
    pub fn resume(&mut self, from: &Told) -> Result<(), CannotResume> {
        let sid = from.next.sid;
        let source = self.sources.iter_mut().find(|source| source.sid == sid);
        let source = source.ok_or(CannotResume::Unknown(sid))?;
        if source.seen.is_some() {
            return Err(CannotResume::Unordered(sid));
        }
        if source.cursor.is_some() {
            return Err(CannotResume::Joined(sid));
        }
        source.resume(from);
        Ok(())
    }
}

impl Source {
    fn resume(&mut self, from: &Told) {
        let (adm, generation) = from.count.unwrap_or((Adm(0), Generation(0)));
        let next = from.place();
        self.cursor = Some(Cursor {
            epoch: from.next.epoch,
            predecessor: from.predecessor,
            context: from.context,
            complete: from.complete,
            // Nobody outranks it: whether it is anybody's still shows.
            rank: Rank::HIGHEST,
            next,
            last: from.last,
            adm,
            generation,
            adopts: from.count.is_none(),
            apart: false,
            led: None,
        });
        if from.predecessor.is_some() {
            self.retired.add(from.predecessor);
        }
        // Which messages came meanwhile is not known then.
        self.recount = from.count.is_none();
        self.fence.heard(generation);
        self.set_catching_up(true);
    }

    pub(super) fn set_catching_up(&mut self, catching_up: bool) {
        self.catching_up = catching_up;
        self.repair.set_patient(catching_up);
    }

    /// Whether whoever speaks in the epoch and context of the earlier run may yet be heard: legs are heard one after the other.
    pub(super) fn is_early(&self, since: Time, limits: &Limits) -> bool {
        self.catching_up && !self.forced() && self.judged_at < since.after(limits.lag_time)
    }

    /// Ends catching up once a leg that lives is reached: from there on it is with the others.
    pub(super) fn judge_caught_up(&mut self) {
        let Some(cursor) = self
            .cursor
            .filter(|_| self.catching_up && self.hole.is_none())
        else {
            return;
        };
        let reached = |side: &LegSide| {
            let here = side.view(cursor.epoch);
            let here = here.filter(|view| view.context == cursor.context);
            side.transmits() && here.is_some_and(|view| view.next == cursor.next)
        };
        if self.legs.iter().any(reached) {
            self.set_catching_up(false);
        }
    }

    /// Takes what is known of the context of a cursor of another run from whoever speaks in it.
    pub(super) fn learn_context(&mut self) {
        let Some(cursor) = &mut self.cursor else {
            return;
        };
        if cursor.rank != Rank::HIGHEST {
            return;
        }
        let mut views = self.legs.iter().filter_map(|side| side.view(cursor.epoch));
        if let Some(view) = views.find(|view| view.context == cursor.context) {
            (cursor.rank, cursor.complete) = (view.rank, view.complete);
            if view.predecessor.is_some() {
                cursor.predecessor = view.predecessor;
            }
        }
    }
}
