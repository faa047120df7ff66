//! What becomes of what an application was too slow for?
//!
//! ```text
//!   delivered │ waited in the sockets: left out by the driver │ a leg speaks
//!             cursor ──────────── Gap(Skipped) ──────────────►│ and from there on as ever
//! ```
//!
//! What was held is left out, too, and what legs had vouched for is forgotten: where the stream is, the next word of a leg shows. Up to there
//! everything is declared at once. Nobody waits for the leg that is behind, and no adapter is asked, for whoever is too slow
//! would be slower still. The cursor stays: nothing from before it comes again.

use super::cursor::Cursor;
use super::source::Source;
use super::view::Rank;
use crate::event::{DiscontinuityCause, GapCause};
use crate::time::Time;

impl Source {
    /// Leaves out what waits for the application. Whoever spoke before may have spoken in it.
    pub(super) fn skip(&mut self, now: Time) {
        for side in &mut self.legs {
            side.overlook(now);
        }
        if self
            .cursor
            .is_some_and(|cursor| cursor.rank == Rank::HIGHEST)
        {
            // It goes on from an earlier run, and is owed what it missed since then: this is no more than another loss.
            return;
        }
        for side in &mut self.legs {
            // What is missing in the end without having been left out arrived, and was not kept.
            for (epoch, furthest) in side.furthest_kept() {
                self.overflow.note(epoch, furthest);
            }
            side.skip();
        }
        self.hole = None;
        self.repair.close();
        self.asks = [None; 2];
        (self.orphan_since, self.deserted_since, self.owed_since) = (None, None, None);
        self.forget_counted_behind();
        self.set_catching_up(false);
        if self.announce == Some(DiscontinuityCause::Join) {
            // Nothing was told yet: it joins where the stream is.
            self.cursor = None;
        }
        self.skipping = [self.cursor.is_some(); 2];
    }

    /// Why records are missing: not for `cause` where what waited was left out.
    pub(super) fn unless_skipped(&self, cause: GapCause) -> GapCause {
        match self.skipping[0] {
            true => GapCause::Skipped,
            false => cause,
        }
    }

    /// Nothing is missing at the cursor: where a leg that lives shows that, nothing was left out.
    pub(super) fn judge_skipped(&mut self, cursor: &Cursor) {
        if self.skipping == [false; 2] {
            return;
        }
        let shown = self.counting().filter(|side| side.transmits()).any(|side| {
            let view = side.view(cursor.epoch);
            view.is_some_and(|view| {
                let reached = view.beat.is_some() && view.next >= cursor.next;
                reached && view.context == cursor.context && !self.counts_more(cursor, view)
            })
        });
        if shown {
            self.skipping = [false; 2];
        }
    }
}
