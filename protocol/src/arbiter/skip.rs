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

use super::leg::LegSide;
use super::source::Source;
use crate::event::DiscontinuityCause;

impl Source {
    /// Leaves out what waits for the application.
    pub(super) fn skip(&mut self) {
        self.legs.iter_mut().for_each(LegSide::skip);
        self.hole = None;
        self.repair.close();
        self.asks = [None; 2];
        (self.orphan_since, self.deserted_since, self.owed_since) = (None, None, None);
        self.set_catching_up(false);
        if self.announce == Some(DiscontinuityCause::Join) {
            // Nothing was told yet: it joins where the stream is.
            self.cursor = None;
        }
        self.skipping = [self.cursor.is_some(); 2];
    }
}
