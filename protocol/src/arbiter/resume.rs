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
//!
//! **Untold.** Who has joined by heartbeats alone was told nothing. As long as that is so, where it joined may be moved: to the end of a
//! snapshot, from which it goes on as from an earlier run's cursor.

use super::Arbiter;
use super::cursor::Cursor;
use super::leg::LegSide;
use super::source::Source;
use super::view::Rank;
use crate::cursor::{CannotResume, Cursor as Told};
use crate::event::DiscontinuityCause;
use crate::limits::Limits;
use crate::time::Time;
use twinfeed_wire::{Adm, Generation, Pos, Sid};

impl Arbiter {
    /// Goes on with a source stream where an earlier run stood. To be said before its first datagram.
    ///
    /// # Errors
    /// [`CannotResume`], and nothing is changed.
    pub fn resume(&mut self, from: &Told) -> Result<(), CannotResume> {
        let sid = from.next.sid;
        self.wants.touch_all();
        let source = self.sources.iter_mut().find(|source| source.sid == sid);
        let source = source.ok_or(CannotResume::Unknown(sid))?;
        if source.seen.is_some() {
            return Err(CannotResume::Unordered(sid));
        }
        if source.cursor.is_some() {
            return Err(CannotResume::Joined(sid));
        }
        source.resume(from);
        source.note_short_ways();
        Ok(())
    }

    /// Where an ordered source stream was joined of which nothing was told yet, for nothing but heartbeats came.
    #[must_use]
    pub fn untold(&self, sid: Sid) -> Option<Told> {
        let source = self.source(sid).filter(|source| source.is_untold())?;
        let cursor = source.cursor.as_ref()?;
        Some(Told {
            next: Pos {
                sid,
                epoch: cursor.epoch,
                sseq: cursor.next.sseq,
                part: cursor.next.part,
            },
            last: cursor.last,
            context: cursor.context,
            complete: cursor.complete,
            count: source.count(),
            predecessor: cursor.predecessor,
        })
    }

    /// How many administrative messages of an ordered source stream were told or declared where the application stands, and in which
    /// numbering; `None`: it stands nowhere, or that is not known.
    #[must_use]
    pub fn count(&self, sid: Sid) -> Option<(Adm, Generation)> {
        self.source(sid)?.count()
    }

    /// Goes on from here instead of from where it joined, as long as nothing was told; returns whether it does. What follows from that is
    /// decided by [`Arbiter::on_deadline`], which is due.
    pub fn resume_untold(&mut self, from: &Told) -> bool {
        self.wants.touch_all();
        let mut sources = self.sources.iter_mut();
        match sources.find(|source| source.sid == from.next.sid) {
            Some(source) if source.is_untold() => {
                source.move_join(from);
                source.note_short_ways();
                true
            }
            _ => false,
        }
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

    fn is_untold(&self) -> bool {
        self.seen.is_none() && self.announce == Some(DiscontinuityCause::Join)
    }

    fn count(&self) -> Option<(Adm, Generation)> {
        let cursor = self.cursor.as_ref().filter(|cursor| !cursor.adopts)?;
        Some((cursor.adm, cursor.generation))
    }

    /// What was decided about where it joined is void.
    fn move_join(&mut self, from: &Told) {
        if let (Some(joined), Some(furthest)) = (&self.cursor, self.in_front_of_join.take()) {
            // It has arrived, and was not kept, for it was in front of all that was to be told.
            self.overflow.note(joined.epoch, furthest);
        }
        (self.announce, self.hole, self.given_up, self.gave_up) = (None, None, None, None);
        (self.recount, self.to_lead_apart, self.ended) = (false, false, false);
        (self.orphan_since, self.deserted_since) = (None, None);
        (self.regress_since, self.outranked_since) = (None, None);
        (self.owed_since, self.miscounted_since) = (None, None);
        self.forget_counted_behind();
        self.repair.close();
        self.asks = [None; 2];
        self.retired.remove(from.next.epoch);
        self.resume(from);
        // Whoever speaks in it may have been heard before.
        self.learn_context();
        self.moved = true;
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
        if self.catching_up {
            // Whoever was heard last need not have said a word that is processed.
            self.learn_context();
        }
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
        if !cursor.predecessor.is_some() {
            // Which epoch came before is so in whatever context somebody speaks: it is not come back to.
            let views = self.legs.iter().filter_map(|side| side.view(cursor.epoch));
            let before = views.map(|view| view.predecessor);
            if let Some(before) = before.into_iter().find(|it| it.is_some()) {
                cursor.predecessor = before;
                self.retired.add(before);
            }
        }
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
